//! Blobs: looked for, mounted, read, and stored when they are small.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::StatusCode;
use reqwest::header::RANGE;

use super::client::{header, success};
use super::upload::in_memory;
use super::{Descriptor, Repository};
use crate::failure::Failure;
use crate::http;
use crate::source::{Content, Object, steady};

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
        let asked = self.ask_upload(&[("mount", digest), ("from", from)]).await;
        // 202 is an upload that was begun instead; registries drop those by themselves.
        asked.is_ok_and(|response| response.status() == StatusCode::CREATED)
    }

    /// Stores a small blob.
    pub async fn put_blob(&self, media_type: &str, content: Bytes) -> Result<Descriptor, Failure> {
        let blob = Descriptor::of(media_type, &content);
        if self.blob_size(&blob.digest).await?.is_some() {
            return Ok(blob);
        }
        let content = [content];
        self.put_content(&blob.digest, blob.size, async || (), || in_memory(&content))
            .await?;
        Ok(blob)
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
