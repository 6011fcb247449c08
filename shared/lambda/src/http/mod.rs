//! HTTP through Lambda: a function sees a request and gives a response, whatever front door they came through.

mod answer;
mod event;

use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode};
use lambda_runtime::{LambdaEvent, service_fn};
use sluice_domain::Fault;
use tracing::warn;

pub use answer::Answer;
pub use event::{BadEvent, Event};

/// Polls Lambda for requests and hands each to `handler`. Returns only if Lambda cannot be polled.
pub async fn serve<H, F>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(Request<Bytes>) -> F,
    F: Future<Output = Response<Bytes>>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        Ok::<_, Infallible>(answer(event.payload, handler).await)
    }))
    .await
}

/// The answer of `handler` to `event`; 400 for an event that is no request.
pub async fn answer<F>(event: Event, handler: impl Fn(Request<Bytes>) -> F) -> Answer
where
    F: Future<Output = Response<Bytes>>,
{
    let form = event.form();
    let response = match Request::try_from(event) {
        Ok(request) => handler(request).await,
        Err(bad) => {
            warn!("refused an event: {bad}");
            empty(StatusCode::BAD_REQUEST)
        }
    };
    Answer::new(response, form)
}

/// A response without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// The response to a request that could not be written down, so that its sender keeps it: 503, with the time to wait
/// where waiting helps.
#[must_use]
pub fn not_taken(fault: Fault) -> Response<Bytes> {
    let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
    let after_ms = match fault {
        Fault::Transient { after_ms } => Some(after_ms.unwrap_or_default()),
        Fault::Throttled { after_ms } => Some(after_ms),
        Fault::Permanent => None,
    };
    if let Some(after_ms) = after_ms {
        let seconds = after_ms.div_ceil(1_000).max(1);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(test)]
mod tests;
