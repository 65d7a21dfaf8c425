//! The HTTP client: whom it trusts, how long it waits, and what an answer means.

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{CONTENT_RANGE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use url::Url;

use crate::failure::{Failure, chain};
use crate::settings::Tls;
use crate::source::Content;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest silence while reading an answer.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// A peer that is gone without a word is noticed after this.
const DEAD_PEER: Duration = Duration::from_secs(30);
/// How much of an error's text is shown.
const ERROR_TEXT: usize = 300;

const PROXY_REMEDY: &str =
    "Put user and password into HTTPS_PROXY and HTTP_PROXY, or the host into NO_PROXY";

/// Further certificate authorities, from variables that the tools before this one honoured.
const CA_VARIABLES: [&str; 3] = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Short requests and long answers: silence is an error.
    Read,
    /// Long requests: the answer comes after the body, so the sender watches over it.
    Send,
}

/// A client that trusts what `tls` says, honours the proxies of the environment, and follows
/// redirects without taking credentials to another host.
pub fn client(tls: &Tls, purpose: Use) -> Result<Client, Failure> {
    let mut roots = trusted()?.to_vec();
    for file in &tls.ca_files {
        roots.extend(certificates(file)?);
    }
    crypto::install();
    let builder = Client::builder()
        .user_agent(concat!("async-upload/", env!("CARGO_PKG_VERSION")))
        .tls_certs_only(roots)
        .tls_danger_accept_invalid_certs(!tls.verify)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(DEAD_PEER)
        .pool_max_idle_per_host(64);
    let builder = match purpose {
        Use::Read => builder.read_timeout(READ_TIMEOUT),
        // A body that streams cannot be sent again to another place.
        Use::Send => builder.redirect(reqwest::redirect::Policy::none()),
    };
    builder.build().map_err(|error| {
        Failure::lasting(
            format!("no HTTP client: {}", chain(&error)),
            "Check the proxy variables and the certificate files",
        )
    })
}

/// The built-in and the system's authorities and those of [`CA_VARIABLES`], read once.
fn trusted() -> Result<&'static [Certificate], Failure> {
    static TRUSTED: OnceLock<Vec<Certificate>> = OnceLock::new();
    if let Some(trusted) = TRUSTED.get() {
        return Ok(trusted);
    }
    let mut all = Vec::new();
    // What the system has and cannot be read is no reason to fail: the built-in ones remain.
    let system = rustls_native_certs::load_native_certs();
    for der in system.certs.iter().map(AsRef::as_ref).chain(
        webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .map(AsRef::as_ref),
    ) {
        all.extend(Certificate::from_der(der).ok());
    }
    for variable in CA_VARIABLES {
        if let Some(file) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
            all.extend(certificates(Path::new(&file))?);
        }
    }
    Ok(TRUSTED.get_or_init(|| all))
}

/// The certificates of a PEM file.
fn certificates(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let pem = std::fs::read(file).map_err(|error| {
        Failure::lasting(
            format!("CA file {}: {error}", file.display()),
            "Mount the file or unset the option that names it",
        )
    })?;
    Certificate::from_pem_bundle(&pem).map_err(|error| {
        Failure::lasting(
            format!("CA file {}: {}", file.display(), chain(&error)),
            "Give a file of PEM certificates",
        )
    })
}

/// Sends a request and judges the answer's status. Addresses in messages carry no query, which may
/// hold a signature.
pub async fn send(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await.map_err(broken)?;
    if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
        Ok(response)
    } else {
        Err(refused(response).await)
    }
}

/// What an error of a connection means.
#[must_use]
pub fn broken(error: reqwest::Error) -> Failure {
    let place = error.url().map(shown);
    let lasting = error.is_builder() || error.is_redirect();
    let error = error.without_url();
    let text = match place {
        Some(place) => format!("{place}: {}", chain(&error)),
        None => chain(&error),
    };
    if text.contains("certificate") {
        return Failure::lasting(
            text,
            "Give the certificate authority of the server, or correct the address",
        );
    }
    if text.contains("proxy authorization required") {
        return Failure::lasting(text, PROXY_REMEDY);
    }
    if lasting {
        return Failure::lasting(text, "Correct the address");
    }
    Failure::passing(text)
}

/// What an answer that is no success means.
pub async fn refused(response: Response) -> Failure {
    let status = response.status();
    let place = shown(response.url());
    let wait = retry_after(response.headers());
    let text = text(response).await;
    let cause = format!("{place} answered {status}{text}");
    let mut failure = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failure::lasting(cause, "Check the credentials and their rights")
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Failure::lasting(cause, PROXY_REMEDY),
        StatusCode::NOT_FOUND => Failure::lasting(cause, "Check the address and the name"),
        StatusCode::PRECONDITION_FAILED => Failure::lasting(
            cause,
            "The source changed while it was read; run the Job again when it is complete",
        ),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY => {
            Failure::passing(cause)
        }
        status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
            Failure::passing(cause)
        }
        _ => Failure::lasting(cause, "Check the settings of this server"),
    };
    failure.wait = wait;
    failure
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// The start of an error's body, in one line, behind a colon.
async fn text(mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < 4 * ERROR_TEXT {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            _ => break,
        }
    }
    let body = String::from_utf8_lossy(&body);
    // A bucket's error repeats the request that it could not verify, with its token.
    let body = match (element(&body, "Code"), element(&body, "Message")) {
        (Some(code), message) => format!("{code} {}", message.unwrap_or_default()),
        (None, _) => body.into_owned(),
    };
    let line: String = body
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|character| !character.is_control())
        .take(ERROR_TEXT)
        .collect();
    if line.is_empty() {
        line
    } else {
        format!(": {line}")
    }
}

/// The text of an XML element without attributes.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// The text of an XML element with its characters as they are meant.
pub(crate) fn plain(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The value of a `Range` header.
#[must_use]
pub fn range(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

/// Checks that an answer is the range that was asked for. A server may give the whole thing
/// instead, which is only right when the whole thing was asked for.
pub fn partial(response: Response, range: &Range<u64>) -> Result<Response, Failure> {
    let given = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    let right = match (response.status(), given) {
        (StatusCode::PARTIAL_CONTENT, Some(given)) => {
            given.starts_with(&format!("bytes {}-{}/", range.start, range.end - 1))
        }
        (StatusCode::OK, None) => range.start == 0 && response.content_length() == Some(range.end),
        _ => false,
    };
    if right {
        return Ok(response);
    }
    Err(Failure::lasting(
        format!(
            "{} answered {} with range {:?} when asked for bytes {}-{}",
            shown(response.url()),
            response.status(),
            given.unwrap_or_default(),
            range.start,
            range.end - 1
        ),
        "The server or a proxy before it does not serve ranges",
    ))
}

/// The range that was asked for, from a server that may ignore the question and give everything:
/// then what comes before it is read and dropped.
pub fn from(response: Response, range: &Range<u64>) -> Result<Content, Failure> {
    if response.status() != StatusCode::OK || response.headers().contains_key(CONTENT_RANGE) {
        return Ok(body(partial(response, range)?));
    }
    let (mut skip, mut left) = (range.start, range.end - range.start);
    Ok(body(response)
        .try_filter_map(move |mut data| {
            let dropped = skip.min(data.len() as u64);
            skip -= dropped;
            // At most the length of `data`.
            let _ = data.split_to(usize::try_from(dropped).unwrap_or(usize::MAX));
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= data.len() as u64;
            std::future::ready(Ok((!data.is_empty()).then_some(data)))
        })
        .boxed())
}

/// The body of an answer.
#[must_use]
pub fn body(response: Response) -> Content {
    response.bytes_stream().map_err(broken).boxed()
}

/// An address as messages show it: no user, no query.
#[must_use]
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_messages_hold_no_secret() {
        let url = "https://me:pw@h/p?X-Amz-Signature=s#f".parse().unwrap();
        assert_eq!(shown(&url), "https://h/p");
    }

    #[test]
    fn a_missing_ca_file_is_named() {
        let tls = Tls {
            verify: true,
            ca_files: vec!["/nowhere/ca.crt".into()],
        };
        let failure = client(&tls, Use::Read).unwrap_err();
        assert!(
            failure.cause.contains("/nowhere/ca.crt"),
            "{}",
            failure.cause
        );
    }
}
