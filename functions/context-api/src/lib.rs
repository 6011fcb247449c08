//! context-api: one JSON object for each run, which its checks share. Read, replaced or changed by whoever has a token.

mod caller;
mod conditions;
mod config;
mod refusal;

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use sluice_aws::{GateKeys, Patience, change_context};
use sluice_domain::context::{CONTEXT_BYTES_MAX, Document, DocumentError};
use sluice_domain::ports::{ContextKey, ContextStore, GateStore, Kept, StoreError};
use sluice_domain::{RunId, Standing, Timestamp, chain};
use sluice_lambda::http::empty;
use tracing::{error, info, warn};

use caller::{Caller, caller, meant};
use conditions::{Conditions, etag};
use refusal::Refusal;

pub use caller::Operators;
pub use config::{Config, StartError, connect};

/// Longest body of any request, in bytes.
pub const REQUEST_BYTES_MAX: usize = CONTEXT_BYTES_MAX;

/// The function's parts, built once.
pub struct ContextApi<S> {
    /// The table.
    pub store: S,
    /// What the tokens of checks are made with.
    pub gate: GateKeys,
    /// The people who may read and write the context of any run.
    pub operators: Operators,
    /// How long a change is tried again while others come first.
    pub patience: Duration,
}

/// Answers `GET`, `POST` or `PATCH /context/v1/{runId}`: 200 with the document, or else why not. 503 if the table fails,
/// and never an empty document in the place of one that could not be read.
pub async fn handle<S>(api: &ContextApi<S>, request: Request<Bytes>, now: Timestamp) -> Response<Bytes>
where
    S: GateStore + ContextStore,
{
    let Some(run) = run(request.uri().path()) else { return Refusal::Path.response() };
    let mut who = None;
    // Boxed, as the compiler's patience with futures in each other ends somewhere below the SDK.
    let answered: Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(answered(api, &run, &request, now, &mut who));
    match answered.await {
        Ok(response) => {
            let (status, who) = (response.status().as_u16(), who.as_ref().map(ToString::to_string).unwrap_or_default());
            let (method, sent, bytes) = (request.method(), request.body().len(), response.body().len());
            info!(run = %run, %method, status, sent, bytes, who, "context of {run}: {method} by {who} answered {status}");
            if *method == Method::HEAD { without_body(response) } else { response }
        }
        Err(refusal) => {
            log(&run, &request, who.as_ref(), &refusal);
            refusal.response()
        }
    }
}

/// A request's body that is too long to be handed over is answered like one that is only just too long.
#[must_use]
pub fn too_large() -> Response<Bytes> {
    Refusal::Body(DocumentError::TooLarge).response()
}

/// The run that a path means.
fn run(path: &str) -> Option<RunId> {
    path.strip_prefix("/context/v1/")?.parse().ok()
}

async fn answered<S>(
    api: &ContextApi<S>,
    run: &RunId,
    request: &Request<Bytes>,
    now: Timestamp,
    who: &mut Option<Caller>,
) -> Result<Response<Bytes>, Refusal>
where
    S: GateStore + ContextStore,
{
    let method = request.method();
    if ![Method::GET, Method::HEAD, Method::POST, Method::PATCH].contains(method) {
        return Err(Refusal::Method);
    }
    let who = who.insert(caller(api, run, request).await?);
    let of = meant(api, run, who).await?;
    let conditions = Conditions::of(request.headers());
    if matches!(*method, Method::GET | Method::HEAD) {
        let kept = api.store.context(&of).await?;
        return match (conditions.met_by(kept.version), conditions.known(kept.version)) {
            (false, _) => Err(Refusal::Changed),
            (true, true) => Ok(tagged(empty(StatusCode::NOT_MODIFIED), kept.version)),
            (true, false) => Ok(shown(kept)),
        };
    }
    let over = api.store.context_standing(&of).await?.is_some_and(Standing::ended);
    if over && !who.outlives_the_run() {
        return Err(Refusal::Over);
    }
    let body = Document::parse(request.body()).map_err(Refusal::Body)?;
    let written = if *method == Method::POST {
        replace(api, &of, body, &conditions, now).await
    } else {
        merge(api, &of, &body, &conditions, now).await
    };
    written.map(shown)
}

/// Puts a document in the place of whatever is there by then.
async fn replace<S: ContextStore>(
    api: &ContextApi<S>,
    of: &ContextKey,
    document: Document,
    conditions: &Conditions<'_>,
    now: Timestamp,
) -> Result<Kept, Refusal> {
    let mut patience = Patience::new(api.patience);
    loop {
        let version = api.store.context_version(of).await?;
        check(conditions, version)?;
        match api.store.put_context(of, &document, version, now).await {
            Err(StoreError::Conflict) if patience.wait().await => {}
            written => return Ok(Kept { version: written?, document }),
        }
    }
}

/// Changes the document by a merge patch.
async fn merge<S: ContextStore>(
    api: &ContextApi<S>,
    of: &ContextKey,
    patch: &Document,
    conditions: &Conditions<'_>,
    now: Timestamp,
) -> Result<Kept, Refusal> {
    let change = |kept: &Kept| {
        check(conditions, kept.version)?;
        kept.document.merge(patch).map_err(|error| match error {
            error @ DocumentError::TooLarge => Refusal::Result(error),
            // The patch was looked at, so it is the other.
            error => StoreError::Unreadable { key: format!("CONTEXT#{of}"), detail: error.to_string() }.into(),
        })
    };
    change_context(&api.store, of, api.patience, now, change).await
}

/// A change of what the sender does not know, or knows to be another, is not made.
fn check(conditions: &Conditions<'_>, version: u64) -> Result<(), Refusal> {
    if conditions.met_by(version) && !conditions.known(version) { Ok(()) } else { Err(Refusal::Changed) }
}

fn shown(kept: Kept) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(kept.document.into_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    tagged(response, kept.version)
}

fn tagged(mut response: Response<Bytes>, version: u64) -> Response<Bytes> {
    response.headers_mut().insert(ETAG, etag(version));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to HEAD: all but the body.
fn without_body(response: Response<Bytes>) -> Response<Bytes> {
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(parts, Bytes::new())
}

fn log(run: &RunId, request: &Request<Bytes>, who: Option<&Caller>, refusal: &Refusal) {
    let (method, status, sent) = (request.method(), refusal.status().as_u16(), request.body().len());
    let who = who.map_or_else(|| "somebody".to_owned(), ToString::to_string);
    match refusal {
        Refusal::Store(why) => {
            let why = chain(why);
            error!(run = %run, %method, status, sent, who, "could not {method} the context of {run} for {who}: {why}");
        }
        Refusal::Changed => {
            info!(run = %run, %method, status, sent, who, "context of {run}: {method} by {who} met another version");
        }
        why => {
            warn!(run = %run, %method, status, sent, who, "refused {who} to {method} the context of {run}: {why}");
        }
    }
}
