//! What an AdmissionReview and a ConversionReview begin with, in versions v1 and v1beta1, which
//! look alike. The answer has the version of the question.

use serde::{Deserialize, de::DeserializeOwned};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<A> {
    api_version: String,
    kind: String,
    request: Option<A>,
}

/// The version of a review of this kind and group, and what it asks.
///
/// # Errors
/// The text is no such review: a sentence for the log of the API server.
pub(super) fn read<A: DeserializeOwned>(
    review: &[u8],
    kind: &str,
    group: &str,
) -> Result<(String, A), String> {
    let review: Review<A> =
        serde_json::from_slice(review).map_err(|error| format!("this is no {kind}: {error}"))?;
    let version = review.api_version;
    let in_group = version
        .strip_prefix(group)
        .is_some_and(|rest| rest.starts_with('/'));
    if review.kind != kind || !in_group {
        return Err(format!(
            "{} of {version} is no {kind} of {group}",
            review.kind
        ));
    }
    let asked = review
        .request
        .ok_or_else(|| format!("the {kind} has no request"))?;
    Ok((version, asked))
}
