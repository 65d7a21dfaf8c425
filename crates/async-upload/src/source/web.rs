//! A file or an archive behind an address.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName,
    IF_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use reqwest::{Client, RequestBuilder, StatusCode};
use url::Url;

use super::archive::{self, Archive};
use super::blocking::Encoded;
use super::unsized_file::settle;
use super::{Body, Content, File, Listing, Object, relative};
use crate::failure::{Failure, Patience};
use crate::http::{self, Use};
use crate::settings::{Http, Secret};

/// Lists what is behind an address: one file, or what an archive holds.
pub(super) async fn list(
    place: &Http,
    spool: Option<&Path>,
    patience: Patience,
) -> Result<Listing, Failure> {
    let name = file_name(&place.url)?;
    let mut page = Page::new(place)?;
    let found = patience
        .retry(&format!("asking for {}", http::shown(&page.url)), || {
            page.ask()
        })
        .await?;
    page.version = found.version;
    let page = Arc::new(page);
    let identity = page
        .version
        .as_ref()
        .map(|(_, version)| format!("{} {version}", http::shown(&page.url)));
    let object: Arc<dyn Object> = page.clone();

    let sized = match (found.size, found.encoded) {
        (Some(size), false) => File {
            path: name.clone(),
            size,
            identity,
            sha256: None,
            body: Body::Range {
                object,
                offset: 0,
                parallel: found.ranges,
            },
        },
        (_, encoded) => {
            let content = if encoded {
                // The length of what is sent is not that of what is meant.
                Body::Member {
                    archive: Arc::new(Encoded {
                        object,
                        size: found.size.unwrap_or(u64::MAX),
                        patience,
                    }),
                    index: 0,
                }
            } else {
                Body::Range {
                    object,
                    offset: 0,
                    parallel: false,
                }
            };
            settle(name.clone(), identity, content, spool, patience).await?
        }
    };
    match (archive::format(&name), &sized.body) {
        (
            Some(format),
            Body::Range {
                object, parallel, ..
            },
        ) => {
            let archive = Archive {
                object: object.clone(),
                size: sized.size,
                identity: sized.identity.clone(),
                ranged: *parallel,
                patience,
            };
            archive::list(archive, format).await
        }
        (Some(_), _) => Err(Failure::lasting(
            format!("{name:?} is an archive that the server compresses once more"),
            "Give a directory with --storage-path to keep the archive in",
        )),
        (None, _) => Ok(Listing {
            files: vec![sized],
            sequential: false,
        }),
    }
}

/// The last part of the path, as a name.
fn file_name(url: &Url) -> Result<String, Failure> {
    let last = url.path_segments().and_then(|mut parts| parts.next_back());
    let decoded: Vec<u8> = percent(last.unwrap_or_default());
    let name = String::from_utf8_lossy(&decoded).into_owned();
    if name.is_empty() {
        return Err(Failure::lasting(
            format!("No filename contained in URI {}", http::shown(url)),
            "Give the address of a file",
        ));
    }
    relative(&name.replace('/', "_"))
}

fn percent(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// An address and how to ask for it.
#[derive(Debug)]
pub(super) struct Page {
    client: Client,
    pub(super) url: Url,
    user: Option<(String, Secret)>,
    token: Option<Secret>,
    /// The header that asks for exactly this version.
    version: Option<(HeaderName, String)>,
}

/// What the first answer told.
struct Found {
    size: Option<u64>,
    ranges: bool,
    encoded: bool,
    version: Option<(HeaderName, String)>,
}

impl Page {
    fn new(place: &Http) -> Result<Self, Failure> {
        let mut url = place.url.clone();
        let decoded = |text: &str| String::from_utf8_lossy(&percent(text)).into_owned();
        let user = (!url.username().is_empty()).then(|| {
            let password = url.password().unwrap_or_default();
            (decoded(url.username()), Secret::new(&decoded(password)))
        });
        // What is in the address would be in every message about it.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self {
            client: http::client(&place.tls, Use::Read)?,
            url,
            user,
            token: place.token.clone(),
            version: None,
        })
    }

    /// An address on a hub.
    pub(super) fn of_hub(client: Client, url: Url, token: Option<Secret>) -> Self {
        Self {
            client,
            url,
            user: None,
            token,
            version: None,
        }
    }

    fn get(&self, range: &str) -> RequestBuilder {
        let mut request = self
            .client
            .get(self.url.clone())
            .header(ACCEPT_ENCODING, "identity")
            .header(RANGE, range);
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, Some(password.reveal()));
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        if let Some((header, value)) = &self.version {
            request = request.header(header, value);
        }
        request
    }

    /// Asks for the first byte: the answer tells how long it is and whether ranges are served.
    async fn ask(&self) -> Result<Found, Failure> {
        let response = self.get("bytes=0-0").send().await.map_err(http::broken)?;
        let status = response.status();
        let headers = response.headers();
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let encoded = text(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        let total = |range: &str| range.rsplit('/').next()?.parse().ok();
        // Nothing is a range of an empty file.
        let empty = status == StatusCode::RANGE_NOT_SATISFIABLE
            && text(CONTENT_RANGE).and_then(total) == Some(0);
        if !status.is_success() && !empty {
            return Err(http::refused(response).await);
        }
        let ranges = status == StatusCode::PARTIAL_CONTENT;
        Ok(Found {
            size: match status {
                StatusCode::OK => text(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
                _ => text(CONTENT_RANGE).and_then(total),
            },
            ranges,
            encoded,
            version: version(headers),
        })
    }
}

/// What a server says about the version of a file. A weak ETag says nothing about bytes.
fn version(headers: &HeaderMap) -> Option<(HeaderName, String)> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
    match text(ETAG) {
        Some(etag) if !etag.starts_with("W/") => Some((IF_MATCH, etag)),
        _ => Some((IF_UNMODIFIED_SINCE, text(LAST_MODIFIED)?)),
    }
}

impl Object for Page {
    fn read(self: Arc<Self>, range: Range<u64>) -> Content {
        futures::stream::once(async move {
            // An open end, where the length is not known.
            let asked = match range.end {
                u64::MAX => format!("bytes={}-", range.start),
                _ => http::range(&range),
            };
            let response = self.get(&asked).send().await.map_err(http::broken)?;
            if !response.status().is_success() {
                return Err(http::refused(response).await);
            }
            if range.end == u64::MAX && response.status() == StatusCode::PARTIAL_CONTENT {
                return Ok(http::body(response));
            }
            http::from(response, &range)
        })
        .try_flatten()
        .boxed()
    }

    fn name(&self) -> String {
        http::shown(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_last_part_of_the_path() {
        let name = |url: &str| file_name(&url.parse().unwrap());
        assert_eq!(name("http://h/a/b%20c.bin?x=q.zip").unwrap(), "b c.bin");
        assert_eq!(name("http://h/a%2fb").unwrap(), "a_b");
        assert!(name("http://h/").is_err());
        assert!(name("http://h/%2e%2e").is_err());
        assert_eq!(percent("100%"), b"100%");
    }
}
