//! The model registry's REST API, as far as a run needs it.

use reqwest::{Client as Http, Method, RequestBuilder, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use crate::config::ModelRegistry;
use crate::failure::Failure;
use crate::http::{self, Use};
use crate::settings::Secret;

/// An entity as the server gives it: its fields by name.
pub(crate) type Entity = Map<String, Value>;

/// What became of a request to create something.
pub(crate) enum Created {
    /// It is new.
    New(Entity),
    /// Something has that name. It may be what an earlier, unanswered attempt has made.
    Conflict(String),
}

/// A client. Each call is one attempt: who calls knows what may be done twice.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: Http,
    api: Url,
    token: Option<Secret>,
}

impl Client {
    pub(crate) fn new(registry: &ModelRegistry) -> Result<Self, Failure> {
        Ok(Self {
            http: http::client(&registry.tls, Use::Read)?,
            api: registry.api.clone(),
            token: registry.token.clone(),
        })
    }

    /// The address that it asks, for messages.
    pub(crate) fn address(&self) -> String {
        http::shown(&self.api)
    }

    /// An entity by its path, or by the parameters of a search; `None` if there is none.
    pub(crate) async fn find(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<Entity>, Failure> {
        let request = self.request(Method::GET, path)?.query(query);
        let response = request.send().await.map_err(http::broken)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        entity(response).await.map(Some)
    }

    /// Changes the fields of an entity that `body` has.
    pub(crate) async fn change(&self, path: &str, body: &Entity) -> Result<Entity, Failure> {
        let request = self.request(Method::PATCH, path)?.json(body);
        entity(request.send().await.map_err(http::broken)?).await
    }

    /// Creates an entity.
    pub(crate) async fn create(&self, path: &str, body: &Entity) -> Result<Created, Failure> {
        let request = self.request(Method::POST, path)?.json(body);
        let response = request.send().await.map_err(http::broken)?;
        if response.status() == StatusCode::CONFLICT {
            let answer = http::refused(response).await;
            return Ok(Created::Conflict(answer.cause));
        }
        entity(response).await.map(Created::New)
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        let url = self.api.join(path).map_err(|error| {
            Failure::lasting(
                format!("{path} is no path of the model registry: {error}"),
                "Correct --registry-server-address",
            )
        })?;
        let request = self
            .http
            .request(method, url)
            .header("accept", "application/json");
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        })
    }
}

async fn entity(response: reqwest::Response) -> Result<Entity, Failure> {
    if !response.status().is_success() {
        return Err(http::refused(response).await);
    }
    let place = http::shown(response.url());
    let body = response.bytes().await.map_err(http::broken)?;
    serde_json::from_slice(&body).map_err(|error| {
        Failure::lasting(
            format!("{place} answered what no model registry says: {error}"),
            "Correct --registry-server-address",
        )
    })
}
