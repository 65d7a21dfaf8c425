//! What the OAuth proxy's cookies are signed with.

use k8s_openapi::ByteString;
use resources::content::{data, precondition};
use resources::kind::SECRET;
use runtime::inputs::Inputs;

use super::super::error::Error;
use super::super::names;
use super::{Credentials, password};

/// The Secret as it is, or a new one.
pub(super) async fn cookie<I: Inputs>(name: &str, inputs: &I) -> Result<Credentials, Error> {
    let secret = format!("{name}{}", names::OAUTH_COOKIE);
    let live = inputs.get(SECRET, &secret).await?;
    let mut data = live
        .as_ref()
        .map(|live| data(SECRET, live))
        .unwrap_or_default();
    data.retain(|key, ByteString(value)| key == names::COOKIE_SECRET && !value.is_empty());
    if data.is_empty() {
        let secret = password()?.into_bytes();
        data.insert(names::COOKIE_SECRET.into(), ByteString(secret));
    }
    Ok(Credentials {
        data,
        precondition: precondition(live.as_deref()),
    })
}
