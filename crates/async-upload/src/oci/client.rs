//! One repository of one registry: requests with the right credentials, manifests.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use super::auth::Session;
use super::upload::{ANSWER_LIMIT, Lessons};
use super::{digest, media};
use crate::failure::{Failure, Patience, chain};
use crate::http::{self, Use};
use crate::settings::OciImage;

/// The largest manifest that is read. Registries refuse more than 4 MiB.
const MANIFEST_LIMIT: usize = 8 << 20;

/// A repository and who asks.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(super) shared: Arc<Shared>,
    /// The name of the repository, without the registry.
    pub name: String,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) reader: Client,
    pub(super) sender: Client,
    image: OciImage,
    base: OnceCell<Url>,
    session: Mutex<Session>,
    pub(super) patience: Patience,
    pub(super) lessons: Lessons,
}

/// A manifest or an index as the registry holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What it is.
    pub media_type: String,
    /// `sha256:` and hex, of `content`.
    pub digest: String,
    /// Byte for byte.
    pub content: Bytes,
}

impl Repository {
    /// The repository that `image` is in. No request is made.
    pub fn new(image: &OciImage, patience: Patience) -> Result<Self, Failure> {
        Ok(Self {
            shared: Arc::new(Shared {
                reader: http::client(&image.tls, Use::Read)?,
                sender: http::client(&image.tls, Use::Send)?,
                image: image.clone(),
                base: OnceCell::new(),
                session: Mutex::default(),
                patience,
                lessons: Lessons::default(),
            }),
            name: image.reference.repository().to_owned(),
        })
    }

    /// Another repository of the same registry, with the same credentials.
    #[must_use]
    pub fn sibling(&self, name: &str) -> Self {
        Self {
            shared: self.shared.clone(),
            name: name.to_owned(),
        }
    }

    /// The registry, as in references.
    #[must_use]
    pub fn registry(&self) -> &str {
        self.shared.image.reference.registry()
    }

    /// The manifest called `reference` (a tag or a digest), `None` if there is none.
    pub async fn manifest(&self, reference: &str) -> Result<Option<Manifest>, Failure> {
        let what = format!("reading manifest {}/{}", self.label(), reference);
        self.shared
            .patience
            .retry(&what, || self.manifest_once(reference))
            .await
    }

    async fn manifest_once(&self, reference: &str) -> Result<Option<Manifest>, Failure> {
        let url = self.url(&["manifests", reference]).await?;
        let accept = [
            media::INDEX,
            media::MANIFEST,
            media::DOCKER_INDEX,
            media::DOCKER_MANIFEST,
        ]
        .join(", ");
        let response = self
            .authorized(|| self.shared.reader.get(url.clone()).header(ACCEPT, &accept))
            .await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = success(response).await?;
        let media_type = header(response.headers(), "content-type").unwrap_or_default();
        let content = limited(response, MANIFEST_LIMIT).await?;
        let digest = digest(&content);
        if reference.starts_with("sha256:") && reference != digest {
            return Err(Failure::lasting(
                format!("{}: manifest {reference} has digest {digest}", self.label()),
                "The registry's storage or a proxy before it is damaged",
            ));
        }
        Ok(Some(Manifest {
            media_type,
            digest,
            content,
        }))
    }

    /// Stores a manifest under `reference` (a tag, or its digest) and says which digest it has.
    /// The second value is whether the registry took note of its `subject`.
    pub async fn put_manifest(
        &self,
        reference: &str,
        media_type: &str,
        content: &Bytes,
    ) -> Result<(String, bool), Failure> {
        let what = format!("writing manifest {}/{}", self.label(), reference);
        self.shared
            .patience
            .retry(&what, || async {
                let url = self.url(&["manifests", reference]).await?;
                let response = self
                    .authorized(|| {
                        self.shared
                            .sender
                            .put(url.clone())
                            .header(CONTENT_TYPE, media_type)
                            .body(content.clone())
                            .timeout(ANSWER_LIMIT)
                    })
                    .await?;
                let response = success(response).await?;
                let ours = digest(content);
                let theirs = header(response.headers(), "docker-content-digest");
                if let Some(theirs) = theirs.filter(|theirs| *theirs != ours) {
                    return Err(Failure::passing(format!(
                        "the registry stored {theirs} instead of {ours}"
                    )));
                }
                Ok((ours, response.headers().contains_key("oci-subject")))
            })
            .await
    }

    /// Removes a manifest, and with it the tags that name it.
    pub async fn delete_manifest(&self, digest: &str) -> Result<(), Failure> {
        let url = self.url(&["manifests", digest]).await?;
        let response = self
            .authorized(|| self.shared.reader.delete(url.clone()))
            .await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(()),
            _ => success(response).await.map(drop),
        }
    }

    /// The tags of the repository, at most the first page; none if the registry does not tell.
    pub async fn tags(&self) -> Vec<String> {
        #[derive(serde::Deserialize)]
        struct Tags {
            tags: Option<Vec<String>>,
        }
        let answer = async {
            let url = self.url(&["tags", "list"]).await?;
            let response = self
                .authorized(|| self.shared.reader.get(url.clone()))
                .await?;
            limited(success(response).await?, MANIFEST_LIMIT).await
        };
        let Ok(content) = answer.await else {
            return Vec::new();
        };
        serde_json::from_slice::<Tags>(&content)
            .ok()
            .and_then(|tags| tags.tags)
            .unwrap_or_default()
    }

    /// Registry and repository, for messages.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.registry(), self.name)
    }

    /// The address of something in this repository.
    pub(super) async fn url(&self, path: &[&str]) -> Result<Url, Failure> {
        let base = self.shared.base.get_or_try_init(|| self.find()).await?;
        base.join(&format!("{}/{}", self.name, path.join("/")))
            .map_err(|error| {
                Failure::lasting(
                    format!("{}: {error}", self.label()),
                    "Correct the name of the image",
                )
            })
    }

    /// HTTPS, or what answers where certificates are not looked at.
    async fn find(&self) -> Result<Url, Failure> {
        let registry = self.shared.image.reference.host();
        let at = |scheme: &str| {
            Url::parse(&format!("{scheme}://{registry}/v2/")).map_err(|error| {
                Failure::lasting(
                    format!("registry {registry:?}: {error}"),
                    "Give it as host or host:port",
                )
            })
        };
        let https = at("https")?;
        if self.shared.image.tls.verify {
            return Ok(https);
        }
        match self.shared.reader.get(https.clone()).send().await {
            Ok(_) => Ok(https),
            Err(error) => {
                tracing::debug!(
                    "{registry} speaks no HTTPS ({}); taking HTTP",
                    chain(&error)
                );
                at("http")
            }
        }
    }

    /// Sends what `build` makes, with credentials, and once more if the registry asks for others.
    pub(super) async fn authorized(
        &self,
        build: impl Fn() -> RequestBuilder,
    ) -> Result<Response, Failure> {
        self.fresh().await?;
        let response = self
            .with_header(build())
            .await
            .send()
            .await
            .map_err(http::broken)?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        self.answer(response.headers()).await?;
        self.with_header(build())
            .await
            .send()
            .await
            .map_err(http::broken)
    }

    /// Credentials that hold for a while, before a request that cannot be sent twice.
    pub(super) async fn fresh(&self) -> Result<(), Failure> {
        let image = &self.shared.image;
        let mut session = self.shared.session.lock().await;
        if session.stale(&image.auth) {
            session.renew(&self.shared.reader, &image.auth).await?;
        }
        Ok(())
    }

    /// Adds what is known about credentials.
    pub(super) async fn with_header(&self, request: RequestBuilder) -> RequestBuilder {
        let session = self.shared.session.lock().await;
        match session.header(&self.shared.image.auth) {
            Some(header) => header.put(request),
            None => request,
        }
    }

    /// Answers a challenge.
    pub(super) async fn answer(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let mut session = self.shared.session.lock().await;
        let new = session.challenged(headers)?;
        session
            .renew(&self.shared.reader, &self.shared.image.auth)
            .await
            .map_err(|failure| {
                session.forget(&new);
                failure.while_doing(&format!("asking for access to {}", self.label()))
            })
    }

    /// A request to where an answer pointed: credentials only go to the registry itself.
    pub(super) async fn at(&self, client: &Client, method: Method, url: &Url) -> RequestBuilder {
        let request = client.request(method, url.clone());
        let ours = self.shared.base.get().is_some_and(|base| {
            (base.host_str(), base.port_or_known_default())
                == (url.host_str(), url.port_or_known_default())
        });
        if ours {
            self.with_header(request).await
        } else {
            request
        }
    }
}

/// The answer, if it is a success.
pub(super) async fn success(response: Response) -> Result<Response, Failure> {
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(http::refused(response).await)
    }
}

/// A header as text.
pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// A body of at most `limit` bytes.
pub(super) async fn limited(mut response: Response, limit: usize) -> Result<Bytes, Failure> {
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(http::broken)? {
        content.extend_from_slice(&chunk);
        if content.len() > limit {
            return Err(Failure::lasting(
                format!(
                    "{} is longer than {limit} bytes",
                    http::shown(response.url())
                ),
                "This is no manifest; check the name",
            ));
        }
    }
    Ok(content.into())
}
