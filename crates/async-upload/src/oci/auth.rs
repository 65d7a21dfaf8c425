//! Who may ask: the registry's challenge and the answer to it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;
use url::Url;

use crate::failure::Failure;
use crate::http;
use crate::settings::{OciAuth, Secret};

/// How long a token holds when its server does not say.
const DEFAULT_LIFE: u64 = 60;
/// A token that ends this soon is renewed before a long request.
const MARGIN: Duration = Duration::from_secs(15);

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// What is known about asking this registry.
#[derive(Debug, Default)]
pub(super) struct Session {
    challenge: Option<Challenge>,
    scopes: BTreeSet<String>,
    token: Option<(Secret, Instant)>,
}

impl Session {
    /// The value of `Authorization`, as far as it is known and still good.
    pub(super) fn header(&self, auth: &OciAuth) -> Option<Header> {
        match self.challenge.as_ref()? {
            Challenge::Basic => match auth {
                OciAuth::Basic { username, password } => {
                    Some(Header::Basic(username.clone(), password.clone()))
                }
                _ => None,
            },
            Challenge::Bearer { .. } => {
                let (token, until) = self.token.as_ref()?;
                (*until > Instant::now() + MARGIN).then(|| Header::Bearer(token.clone()))
            }
        }
    }

    /// Whether there was a token that is at its end.
    pub(super) fn stale(&self, auth: &OciAuth) -> bool {
        self.challenge.is_some() && self.header(auth).is_none()
    }

    /// Takes in what a refusal says. Scopes add up: a token that may push still has to pull. Gives
    /// those that are new.
    pub(super) fn challenged(&mut self, headers: &HeaderMap) -> Result<Vec<String>, Failure> {
        let (challenge, scope) = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .find_map(|value| parse(value.to_str().ok()?))
            .ok_or_else(|| {
                Failure::lasting(
                    "the registry refuses without saying what it wants (no WWW-Authenticate)",
                    "Check the registry's address",
                )
            })?;
        self.challenge = Some(challenge);
        self.token = None;
        let mut new = scope;
        new.retain(|scope| self.scopes.insert(scope.clone()));
        Ok(new)
    }

    /// Asks for these scopes no more: with them, a server gives no token for the others either.
    pub(super) fn forget(&mut self, scopes: &[String]) {
        self.scopes.retain(|scope| !scopes.contains(scope));
    }

    /// Fetches a token, where the registry wants one.
    pub(super) async fn renew(&mut self, client: &Client, auth: &OciAuth) -> Result<(), Failure> {
        let Some(Challenge::Bearer { realm, service }) = &self.challenge else {
            return Ok(());
        };
        let request = match auth {
            OciAuth::IdentityToken(token) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.append_pair("grant_type", "refresh_token");
                form.append_pair("client_id", "async-upload");
                form.append_pair("refresh_token", token.reveal());
                if let Some(service) = service {
                    form.append_pair("service", service);
                }
                for scope in &self.scopes {
                    form.append_pair("scope", scope);
                }
                client
                    .post(realm.clone())
                    .header(
                        reqwest::header::CONTENT_TYPE,
                        "application/x-www-form-urlencoded",
                    )
                    .body(form.finish())
            }
            OciAuth::Anonymous | OciAuth::Basic { .. } => {
                let mut url = realm.clone();
                {
                    let mut query = url.query_pairs_mut();
                    if let Some(service) = service {
                        query.append_pair("service", service);
                    }
                    for scope in &self.scopes {
                        query.append_pair("scope", scope);
                    }
                }
                let request = client.get(url);
                match auth {
                    OciAuth::Basic { username, password } => {
                        request.basic_auth(username, Some(password.reveal()))
                    }
                    _ => request,
                }
            }
        };
        let answer = http::send(request).await?;
        let body = answer.bytes().await.map_err(http::broken)?;
        let grant: Grant = serde_json::from_slice(&body).map_err(|error| {
            Failure::lasting(
                format!("{} gave no token: {error}", http::shown(realm)),
                "Check the registry's address",
            )
        })?;
        let Some(text) = grant.token.or(grant.access_token) else {
            return Err(Failure::lasting(
                format!("{} answered without a token", http::shown(realm)),
                "Check the credentials of the registry",
            ));
        };
        let life = Duration::from_secs(grant.expires_in.unwrap_or(DEFAULT_LIFE).max(DEFAULT_LIFE));
        self.token = Some((Secret::new(&text), Instant::now() + life));
        Ok(())
    }
}

/// What goes into `Authorization`.
#[derive(Debug, Clone)]
pub(super) enum Header {
    Basic(String, Secret),
    Bearer(Secret),
}

impl Header {
    pub(super) fn put(self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::Basic(user, password) => request.basic_auth(user, Some(password.reveal())),
            Self::Bearer(token) => request.bearer_auth(token.reveal()),
        }
    }
}

#[derive(Deserialize)]
struct Grant {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Reads a challenge and the scopes that it names.
fn parse(header: &str) -> Option<(Challenge, Vec<String>)> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some((Challenge::Basic, Vec::new()));
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut realm = None;
    let mut service = None;
    let mut scopes = Vec::new();
    let mut rest = rest.trim();
    // Values are quoted and may hold commas: `scope="repository:a/b:pull,push"`.
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        match key.trim().trim_start_matches(',').trim() {
            "realm" => realm = Url::parse(value).ok(),
            "service" => service = Some(value.to_owned()),
            "scope" => scopes.extend(value.split_whitespace().map(str::to_owned)),
            _ => {}
        }
        rest = after.trim_start_matches(',').trim();
    }
    Some((
        Challenge::Bearer {
            realm: realm?,
            service,
        },
        scopes,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let (challenge, scopes) = parse(
            "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",\
             scope=\"repository:a/b:pull,push repository:c:pull\",error=\"insufficient_scope\"",
        )
        .unwrap();
        assert_eq!(
            challenge,
            Challenge::Bearer {
                realm: Url::parse("https://auth.docker.io/token").unwrap(),
                service: Some("registry.docker.io".to_owned()),
            }
        );
        assert_eq!(scopes, ["repository:a/b:pull,push", "repository:c:pull"]);
        assert_eq!(parse("basic realm=\"x\"").unwrap().0, Challenge::Basic);
        assert!(parse("Negotiate").is_none());
        assert!(parse("Bearer service=\"x\"").is_none());
    }
}
