//! What is answered to a request that is not carried out. The words go to whoever asked, so they say nothing that was
//! sent, and nothing of the account that Sluice runs in.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use sluice_domain::context::DocumentError;
use sluice_domain::ports::StoreError;
use sluice_domain::{Classify, Fault, Workspace};

/// How long to wait before asking again, in seconds: while others write, and where a person has to act first.
const RETRY_SECONDS: u16 = 1;
const RETRY_LATER_SECONDS: u16 = 60;

/// Why a request is not carried out, and who must act.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is nothing at this path: a context is at /context/v1/ and the id of its run, run-…")]
    Path,
    #[error("a context is read with GET, replaced with POST, and changed with PATCH")]
    Method,
    #[error("send the token as Authorization: Bearer and the token")]
    NoToken,
    #[error("this token is none of Sluice's: send that of a check that runs, or of an operator")]
    Token,
    #[error("the check that this token was made for is over, and the token with it")]
    Ended,
    #[error("this token was made for another run: a check shares the context of its own run only")]
    AnotherRun,
    #[error("no task of Sluice's was asked about this run: attach one to its workspace, or look at the id")]
    Unknown,
    #[error("{}", claimed(.0))]
    Claimed(Vec<Workspace>),
    #[error("the run is over: its context can be read, and is not written any more")]
    Over,
    #[error("the context is at another version than If-Match or If-None-Match allow: read it and try again")]
    Changed,
    #[error("the body is no document: {0}")]
    Body(DocumentError),
    #[error("the context would be too large: {0}")]
    Result(DocumentError),
    #[error("{}", told(.0))]
    Store(#[from] StoreError),
}

/// What is said of the table.
fn told(error: &StoreError) -> &'static str {
    match error {
        StoreError::Conflict => "too many write this context at the same time: read it and try again",
        error if error.fault() == Fault::Permanent => {
            "the context cannot be read or written: whoever operates Sluice finds the reason in the log of context-api"
        }
        _ => "the context cannot be read or written just now: try again",
    }
}

/// What is said of a run that more than one workspace is said to have.
fn claimed(workspaces: &[Workspace]) -> String {
    let names: Vec<_> = workspaces.iter().map(ToString::to_string).collect();
    format!(
        "tasks were asked about this run in more than one workspace, and no notification, or more than one, tells which of \
         them has it: {}",
        names.join(", "),
    )
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Path | Self::Unknown => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoToken | Self::Token | Self::Ended => StatusCode::UNAUTHORIZED,
            Self::AnotherRun => StatusCode::FORBIDDEN,
            Self::Over | Self::Claimed(_) => StatusCode::CONFLICT,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::Body(DocumentError::TooLarge) | Self::Result(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn response(&self) -> Response<Bytes> {
        let body = serde_json::json!({ "error": self.to_string() }).to_string();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PATCH"));
            }
            Self::NoToken | Self::Token | Self::Ended => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Store(error) => {
                let waits = error.fault() == Fault::Permanent;
                let seconds = if waits { RETRY_LATER_SECONDS } else { RETRY_SECONDS };
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => {}
        }
        response
    }
}
