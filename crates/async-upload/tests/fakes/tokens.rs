//! A server of tokens for registries: who asks with the right name and password gets a token for
//! the scopes that it allows. The registry itself checks signature, time and scopes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

const SERVICE: &str = "registry.example.test";
const ISSUER: &str = "tokens.example.test";
const KEY: &str = "one";
/// So much later than a token says does the registry still take it.
const LEEWAY: u64 = 60;

pub(crate) const USER: &str = "up";
pub(crate) const PASSWORD: &str = "s3cret-password";
pub(crate) const REFRESH: &str = "s3cret-refresh";

/// What happens to a scope that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// It is not in the token.
    LeaveOut,
    /// There is no token at all: 403.
    Refuse,
}

/// What the server does.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Repositories that nobody gets.
    pub(crate) closed: &'static [&'static str],
    pub(crate) denial: Denial,
    /// Seconds that the registry takes a token.
    pub(crate) life: u64,
    /// The key of the token in the answer.
    pub(crate) field: &'static str,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            closed: &[],
            denial: Denial::LeaveOut,
            life: 300,
            field: "token",
        }
    }
}

/// One question for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) service: String,
    /// Sorted.
    pub(crate) scopes: Vec<String>,
    /// Whether it came with a name and a password, or with a refresh token.
    pub(crate) known: bool,
}

/// A running server of tokens. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Tokens {
    state: Arc<Inner>,
    address: SocketAddr,
}

struct Inner {
    key: KeyPair,
    rules: Rules,
    asked: Mutex<Vec<Asked>>,
}

impl Tokens {
    pub(crate) async fn start(rules: Rules) -> Self {
        let state = Arc::new(Inner {
            key: KeyPair::generate_for(&PKCS_ED25519).unwrap(),
            rules,
            asked: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { state, address }
    }

    /// The line of a registry's configuration that makes it want these tokens. The keys are written
    /// to `dir`.
    pub(crate) fn line(&self, dir: &Path) -> String {
        let keys = json!({"keys": [{
            "kty": "OKP",
            "crv": "Ed25519",
            "kid": KEY,
            "alg": "EdDSA",
            "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(self.state.key.der_bytes()),
        }]});
        let file = dir.join("keys.json");
        std::fs::write(&file, keys.to_string()).unwrap();
        format!(
            "token: {{realm: \"http://{}/token\", service: {SERVICE}, issuer: {ISSUER}, jwks: {}, \
             signingalgorithms: [EdDSA]}}",
            self.address,
            file.display()
        )
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }
}

async fn answer(
    State(state): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = match method {
        Method::POST => String::from_utf8(body.to_vec()).unwrap(),
        _ => uri.query().unwrap_or_default().to_owned(),
    };
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect();
    let all = |name: &str| -> Vec<String> {
        let named = pairs.iter().filter(|(key, _)| key == name);
        named.map(|(_, value)| value.clone()).collect()
    };
    let one = |name: &str| all(name).pop().unwrap_or_default();
    let basic = headers.get("authorization").map(|value| {
        let right = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        value.to_str().unwrap() == format!("Basic {right}")
    });
    let known = match (basic, &*one("grant_type")) {
        (Some(right), _) => Some(right),
        (None, "refresh_token") => Some(one("refresh_token") == REFRESH),
        (None, _) => None,
    };
    // The registry names the actions of a scope in any order.
    let mut scopes: Vec<String> = all("scope").iter().map(|scope| in_order(scope)).collect();
    scopes.sort();
    state.asked.lock().unwrap().push(Asked {
        method: method.to_string(),
        service: one("service"),
        scopes: scopes.clone(),
        known: known == Some(true),
    });
    if known == Some(false) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    // Who says nothing may only read.
    let Some(granted) = state.granted(&scopes, known.is_some()) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let token = state.token(&granted);
    axum::Json(json!({state.rules.field: token, "expires_in": 300})).into_response()
}

/// The scope with its actions in alphabetical order.
fn in_order(scope: &str) -> String {
    let Some((of, actions)) = scope.rsplit_once(':') else {
        return scope.to_owned();
    };
    let mut actions: Vec<&str> = actions.split(',').collect();
    actions.sort_unstable();
    format!("{of}:{}", actions.join(","))
}

impl Inner {
    /// Actions by repository; `None` if there is no token for this.
    fn granted(&self, scopes: &[String], known: bool) -> Option<BTreeMap<String, Vec<String>>> {
        let mut granted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for scope in scopes {
            let (_, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            if self.rules.closed.contains(&name) {
                match self.rules.denial {
                    Denial::LeaveOut => continue,
                    Denial::Refuse => return None,
                }
            }
            let actions = actions
                .split(',')
                .filter(|action| known || *action == "pull");
            let all = granted.entry(name.to_owned()).or_default();
            all.extend(actions.map(str::to_owned));
        }
        Some(granted)
    }

    fn token(&self, granted: &BTreeMap<String, Vec<String>>) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_secs();
        let access: Vec<Value> = granted
            .iter()
            .map(|(name, actions)| json!({"type": "repository", "name": name, "actions": actions}))
            .collect();
        let claims = json!({
            "iss": ISSUER,
            "sub": USER,
            "aud": SERVICE,
            "iat": now,
            "nbf": now,
            "exp": now + self.rules.life - LEEWAY,
            "jti": "1",
            "access": access,
        });
        let head = json!({"typ": "JWT", "alg": "EdDSA", "kid": KEY});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signature = self.key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
