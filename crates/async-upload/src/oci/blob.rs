//! Blobs: looked for, mounted, read, and sent while they are being made.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Body, Method, Response, StatusCode};
use url::Url;

use super::client::{header, success};
use super::{Descriptor, Repository};
use crate::failure::Failure;
use crate::http;
use crate::source::{Content, Object, steady};

/// How long a registry may think about a blob that it has whole: some copy it to another store.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_mins(15);
/// How long sending may stand still.
const STALL_LIMIT: Duration = Duration::from_mins(2);
const OCTETS: &str = "application/octet-stream";

impl Repository {
    /// The size of a blob that the repository has.
    pub async fn blob_size(&self, digest: &str) -> Result<Option<u64>, Failure> {
        let what = format!("looking for blob {digest} in {}", self.label());
        self.shared
            .patience
            .retry(&what, || async {
                let url = self.url(&["blobs", digest]).await?;
                let response = self
                    .authorized(|| self.shared.reader.head(url.clone()))
                    .await?;
                if response.status() == StatusCode::NOT_FOUND {
                    return Ok(None);
                }
                let response = success(response).await?;
                Ok(header(response.headers(), "content-length")
                    .and_then(|length| length.parse().ok()))
            })
            .await
    }

    /// Takes a blob over from the repository `from` of the same registry. `false` if the registry
    /// will not, for whatever reason: then it is sent.
    pub async fn mount(&self, digest: &str, from: &str) -> bool {
        let mounted = async {
            let mut url = self.url(&["blobs", "uploads/"]).await?;
            url.query_pairs_mut()
                .append_pair("mount", digest)
                .append_pair("from", from);
            let response = self
                .authorized(|| {
                    self.shared
                        .reader
                        .post(url.clone())
                        .header(CONTENT_LENGTH, 0)
                })
                .await?;
            // 202 is an upload that was begun instead; registries drop those by themselves.
            Ok::<_, Failure>(response.status() == StatusCode::CREATED)
        };
        mounted.await.unwrap_or(false)
    }

    /// Stores a small blob.
    pub async fn put_blob(&self, media_type: &str, content: Bytes) -> Result<Descriptor, Failure> {
        let blob = Descriptor::of(media_type, &content);
        if self.blob_size(&blob.digest).await?.is_some() {
            return Ok(blob);
        }
        let what = format!("sending blob {} to {}", blob.digest, self.label());
        self.shared
            .patience
            .retry(&what, || async {
                let upload = self.begin().await?;
                upload
                    .put(&blob.digest, content.clone().into(), blob.size)
                    .await
            })
            .await?;
        Ok(blob)
    }

    /// Begins an upload.
    pub async fn begin(&self) -> Result<Upload, Failure> {
        let url = self.url(&["blobs", "uploads/"]).await?;
        let response = self
            .authorized(|| {
                self.shared
                    .reader
                    .post(url.clone())
                    .header(CONTENT_LENGTH, 0)
            })
            .await?;
        let response = success(response).await?;
        Ok(Upload {
            location: location(&response)?,
            repository: self.clone(),
            sent: 0,
        })
    }

    /// A small blob, compared with its digest.
    pub async fn small(&self, digest: &str, size: u64) -> Result<Bytes, Failure> {
        let mut content = steady(self.object(digest), 0..size, self.shared.patience);
        let mut whole = Vec::new();
        while let Some(data) = content.next().await {
            whole.extend_from_slice(&data?);
        }
        if super::digest(&whole) != digest {
            return Err(Failure::lasting(
                format!("blob {digest} in {} has other content", self.label()),
                "The registry's storage or a proxy before it is damaged",
            ));
        }
        Ok(whole.into())
    }

    /// A blob as something to read from.
    #[must_use]
    pub fn object(&self, digest: &str) -> Arc<dyn Object> {
        Arc::new(Blob {
            repository: self.clone(),
            digest: digest.to_owned(),
        })
    }
}

/// A blob on its way.
#[derive(Debug)]
pub struct Upload {
    repository: Repository,
    location: Url,
    sent: u64,
}

impl Upload {
    /// Sends the next `length` bytes. `ranged` says which bytes these are, as registries want it
    /// that get a blob in several requests.
    pub async fn send(
        &mut self,
        pieces: Content,
        length: u64,
        ranged: bool,
    ) -> Result<(), Failure> {
        let shared = &self.repository.shared;
        self.repository.fresh().await?;
        let mut request = self
            .repository
            .at(&shared.sender, Method::PATCH, &self.location)
            .await
            .header(CONTENT_TYPE, OCTETS)
            .header(CONTENT_LENGTH, length);
        if ranged {
            let last = (self.sent + length).saturating_sub(1);
            request = request.header(CONTENT_RANGE, format!("{}-{last}", self.sent));
        }
        let response = self.watched(request, pieces).await?;
        self.sent += length;
        self.location = location(&response)?;
        Ok(())
    }

    /// Ends the upload: the registry compares what it got with `digest`.
    pub async fn finish(&self, digest: &str) -> Result<(), Failure> {
        let shared = &self.repository.shared;
        let url = self.with_digest(digest);
        let build = async || {
            self.repository
                .at(&shared.sender, Method::PUT, &url)
                .await
                .header(CONTENT_LENGTH, 0)
                .timeout(ANSWER_LIMIT)
                .send()
                .await
                .map_err(http::broken)
        };
        self.repository.fresh().await?;
        let mut response = build().await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            // The token ended while the content was on its way.
            self.repository.answer(response.headers()).await?;
            response = build().await?;
        }
        stored(&success(response).await?, digest)
    }

    /// Sends a whole blob whose digest is known.
    pub async fn put(&self, digest: &str, body: Body, length: u64) -> Result<(), Failure> {
        let shared = &self.repository.shared;
        self.repository.fresh().await?;
        let request = self
            .repository
            .at(&shared.sender, Method::PUT, &self.with_digest(digest))
            .await
            .header(CONTENT_TYPE, OCTETS)
            .header(CONTENT_LENGTH, length)
            .timeout(ANSWER_LIMIT)
            .body(body);
        let response = request.send().await.map_err(http::broken)?;
        stored(&success(self.known(response).await?).await?, digest)
    }

    /// As [`Self::put`], for content that is being read.
    pub async fn put_pieces(
        &self,
        digest: &str,
        pieces: Content,
        length: u64,
    ) -> Result<(), Failure> {
        let shared = &self.repository.shared;
        self.repository.fresh().await?;
        let request = self
            .repository
            .at(&shared.sender, Method::PUT, &self.with_digest(digest))
            .await
            .header(CONTENT_TYPE, OCTETS)
            .header(CONTENT_LENGTH, length);
        let response = self.watched(request, pieces).await?;
        stored(&response, digest)
    }

    /// Sends `pieces` and looks that they move.
    async fn watched(
        &self,
        request: reqwest::RequestBuilder,
        pieces: Content,
    ) -> Result<Response, Failure> {
        let moved = Arc::new(AtomicU64::new(0));
        let failed = Arc::new(std::sync::Mutex::new(None));
        let (count, slot) = (moved.clone(), failed.clone());
        let body = pieces
            .inspect_ok(move |data| {
                count.fetch_add(data.len() as u64, Ordering::Relaxed);
            })
            .map_err(move |failure: Failure| {
                let text = failure.cause.clone();
                if let Ok(mut slot) = slot.lock() {
                    *slot = Some(failure);
                }
                std::io::Error::other(text)
            });
        let sending = request.body(Body::wrap_stream(body)).send();
        tokio::pin!(sending);
        let mut last = 0;
        let mut still = Duration::ZERO;
        let step = Duration::from_secs(5);
        let response = loop {
            tokio::select! {
                response = &mut sending => break response,
                () = tokio::time::sleep(step) => {
                    let now = moved.load(Ordering::Relaxed);
                    still = if now == last { still + step } else { Duration::ZERO };
                    last = now;
                    // With all sent the registry may take its time.
                    let limit = if Arc::strong_count(&moved) == 1 { ANSWER_LIMIT } else { STALL_LIMIT };
                    if still >= limit {
                        return Err(Failure::passing(format!(
                            "{} took nothing for {} s",
                            self.repository.registry(),
                            still.as_secs()
                        )));
                    }
                }
            }
        };
        // The source's failure is the cause of the broken connection, not the other way round.
        if let Some(failure) = failed.lock().ok().and_then(|mut slot| slot.take()) {
            return Err(failure);
        }
        let response = response.map_err(http::broken)?;
        success(self.known(response).await?).await
    }

    /// A refusal for want of a token is over with the next attempt, which has one.
    async fn known(&self, response: Response) -> Result<Response, Failure> {
        if response.status() == StatusCode::UNAUTHORIZED {
            self.repository.answer(response.headers()).await?;
            return Err(Failure::passing("the registry wanted a new token"));
        }
        Ok(response)
    }

    fn with_digest(&self, digest: &str) -> Url {
        let mut url = self.location.clone();
        url.query_pairs_mut().append_pair("digest", digest);
        url
    }
}

fn stored(response: &Response, digest: &str) -> Result<(), Failure> {
    match header(response.headers(), "docker-content-digest") {
        Some(theirs) if theirs != digest => Err(Failure::passing(format!(
            "the registry stored {theirs} instead of {digest}"
        ))),
        _ => Ok(()),
    }
}

/// Where an upload goes on. Relative to the request in some registries.
fn location(response: &Response) -> Result<Url, Failure> {
    header(response.headers(), LOCATION.as_str())
        .and_then(|location| response.url().join(&location).ok())
        .ok_or_else(|| {
            Failure::lasting(
                format!(
                    "{} does not say where the upload goes on",
                    http::shown(response.url())
                ),
                "Check the registry's address",
            )
        })
}

/// A blob to read from.
struct Blob {
    repository: Repository,
    digest: String,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Object for Blob {
    fn read(self: Arc<Self>, range: Range<u64>) -> Content {
        futures::stream::once(async move {
            let url = self.repository.url(&["blobs", &self.digest]).await?;
            let response = self
                .repository
                .authorized(|| {
                    self.repository
                        .shared
                        .reader
                        .get(url.clone())
                        .header(RANGE, http::range(&range))
                })
                .await?;
            http::from(success(response).await?, &range)
        })
        .try_flatten()
        .boxed()
    }

    fn name(&self) -> String {
        format!("blob {}@{}", self.repository.label(), self.digest)
    }
}
