//! The routes of the server.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State as Shared},
    response::{IntoResponse, Response},
    routing::post,
};
use http::{StatusCode, header};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use super::{Admission, Around, Known, Request, Webhooks, conversion, review};
use crate::capabilities::Capabilities;

/// Largest AdmissionReview that is read: twice the largest object, as in controller-runtime.
const REVIEW_LIMIT: usize = 7 << 20;
/// Largest ConversionReview that is read. A list is converted in one review.
const CONVERSION_LIMIT: usize = 32 << 20;
/// Conversions at once, each of which may hold a whole list.
const CONVERSIONS: usize = 4;
/// A body is complete within this time, so that a slow client keeps no slot.
const BODY: Duration = Duration::from_secs(10);

/// What the handlers share.
#[derive(Clone)]
pub(super) struct State {
    pub(super) admission: Arc<dyn Admission>,
    pub(super) capabilities: watch::Receiver<Arc<Capabilities>>,
    pub(super) known: Known,
}

impl State {
    fn around(&self) -> Around {
        Around::new(self.capabilities.borrow().clone(), Arc::clone(&self.known))
    }
}

/// The routes.
pub(super) fn router(webhooks: &Webhooks, state: State) -> Router {
    let mut router = Router::new();
    for path in webhooks.mutate {
        router = router.route(path, post(mutate));
    }
    for path in webhooks.validate {
        router = router.route(path, post(validate));
    }
    let mut conversions = Router::new();
    if let Some(path) = webhooks.convert {
        let slots = Arc::new(Semaphore::new(CONVERSIONS));
        let admission = Arc::clone(&state.admission);
        // The slot is taken before the body is read.
        let handler = move |request: axum::extract::Request| convert(slots, admission, request);
        conversions = conversions.route(path, post(handler));
    }
    router
        .layer(DefaultBodyLimit::max(REVIEW_LIMIT))
        .with_state(state)
        .merge(conversions)
}

async fn mutate(Shared(state): Shared<State>, body: Bytes) -> Response {
    respond(review::answer(&body, |request: &Request| {
        let object = state.admission.defaulted(request, &state.around())?;
        Ok(review::Verdict {
            object: Some(object),
            ..review::Verdict::default()
        })
    }))
}

async fn validate(Shared(state): Shared<State>, body: Bytes) -> Response {
    respond(review::answer(&body, |request: &Request| {
        let warnings = state.admission.check(request, &state.around())?;
        Ok(review::Verdict {
            warnings,
            ..review::Verdict::default()
        })
    }))
}

async fn convert(
    slots: Arc<Semaphore>,
    admission: Arc<dyn Admission>,
    request: axum::extract::Request,
) -> Response {
    // The semaphore is never closed.
    let Ok(_slot) = slots.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let body = axum::body::to_bytes(request.into_body(), CONVERSION_LIMIT);
    match tokio::time::timeout(BODY, body).await {
        Ok(Ok(body)) => respond(conversion::answer(&body, |object, version| {
            admission.convert(object, version)
        })),
        Ok(Err(error)) => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

fn respond(answer: Result<Value, String>) -> Response {
    match answer {
        Ok(review) => (
            [(header::CONTENT_TYPE, "application/json")],
            review.to_string(),
        )
            .into_response(),
        Err(sentence) => (StatusCode::BAD_REQUEST, sentence).into_response(),
    }
}
