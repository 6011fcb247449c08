//! notification-receiver: verify, record, answer. At most one write to the table, and nothing else on the way.

mod config;

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use sluice_domain::ports::{Inbox, Recorded, StoreError};
use sluice_domain::{Classify, Fault, Host, RunReport, Timestamp, Trace, chain};
use sluice_hcp::signature::{Keys, NOTIFICATION_HEADER, Rejected, verify};
use sluice_hcp::wire::{Heard, Malformed, Notification};
use sluice_lambda::http::{empty, not_taken};
use sluice_lambda::metrics;
use tracing::{error, info, warn};

pub use config::{Config, StartError, connect};

/// Longest body that is looked at, in bytes. Notifications have a few thousand.
pub const BODY_BYTES_MAX: usize = 262_144;

/// The function's parts, built once.
#[derive(Debug)]
pub struct Receiver<I> {
    inbox: I,
    keys: Keys,
    host: Host,
}

impl<I> Receiver<I> {
    /// A receiver that records news in `inbox` if it is signed with one of `keys`, as news of runs on `host`.
    pub fn new(inbox: I, keys: Keys, host: Host) -> Self {
        Self { inbox, keys, host }
    }
}

/// Why a request is not let in.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("its method is not POST")]
    Method,
    #[error("it is longer than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    #[error(transparent)]
    Unsigned(#[from] Rejected),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Answers a notification: 200 done or ignored, 202 the end of a run is on record, 4xx refused, 503 not recorded.
/// No answer has a body.
pub async fn handle<I: Inbox>(receiver: &Receiver<I>, request: Request<Bytes>, now: Timestamp) -> Response<Bytes> {
    let (heard, trace) = match admit(receiver, &request) {
        Ok(admitted) => admitted,
        Err(refusal) => return refused(&refusal),
    };
    let mut status = StatusCode::OK;
    for heard in heard {
        match heard {
            Heard::Verification => {
                info!(target: metrics::TARGET, Notifications = 1);
                info!("a notification configuration was verified");
            }
            Heard::Ignored { trigger, why } => {
                info!(target: metrics::TARGET, Notifications = 1);
                info!(trigger, "ignored a notification of {trigger}: {why}");
            }
            Heard::Run(report) => {
                let trace = trace.clone().unwrap_or_else(|| Trace::of_run(&receiver.host, &report.run));
                match receiver.inbox.record(&report, now).await {
                    Ok(recorded) => {
                        log_recorded(&report, recorded, &trace);
                        if report.standing.ended() {
                            status = StatusCode::ACCEPTED;
                        }
                    }
                    Err(error) => return not_recorded(&report, &error, &trace),
                }
            }
        }
    }
    empty(status)
}

/// What the request says, if it is one to listen to, and the trace that its run's message tells.
fn admit<I>(receiver: &Receiver<I>, request: &Request<Bytes>) -> Result<(Vec<Heard>, Option<Trace>), Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::Method);
    }
    let body = request.body();
    if body.len() > BODY_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let signature = request.headers().get(NOTIFICATION_HEADER).map(HeaderValue::as_bytes);
    let verified = verify(body, signature, &receiver.keys)?;
    let notification = Notification::parse(verified)?;
    Ok((notification.events(&receiver.host)?, notification.trace()))
}

fn refused(refusal: &Refusal) -> Response<Bytes> {
    let status = match refusal {
        Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Unsigned(_) => StatusCode::UNAUTHORIZED,
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
    };
    info!(target: metrics::TARGET, NotificationsRefused = 1, status = status.as_u16());
    warn!(status = status.as_u16(), "refused a notification: {}", chain(refusal));
    let mut response = empty(status);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

fn log_recorded(report: &RunReport, recorded: Recorded, trace: &Trace) {
    let RunReport { run, workspace, workspace_id, standing, .. } = report;
    let news = match recorded {
        Recorded::New => "recorded",
        Recorded::Known => "knew already",
    };
    count(report, trace);
    info!(
        organization = %workspace.organization,
        workspace = workspace.name,
        %workspace_id,
        %run,
        %standing,
        %trace,
        "{news} that {run} of {workspace} is {standing}"
    );
}

/// Nothing was written, so the sender is asked to keep its news, whether or not it does.
fn not_recorded(report: &RunReport, error: &StoreError, trace: &Trace) -> Response<Bytes> {
    let RunReport { run, workspace, workspace_id, .. } = report;
    let (organization, name, why, fault) = (&workspace.organization, &workspace.name, chain(error), error.fault());
    count(report, trace);
    match fault {
        Fault::Transient { .. } | Fault::Throttled { .. } => warn!(
            %organization, workspace = name, %workspace_id, %run, %trace,
            "could not record {run} of {workspace}: {why}"
        ),
        Fault::Permanent => error!(
            %organization, workspace = name, %workspace_id, %run, %trace,
            "cannot record {run} of {workspace}: {why}"
        ),
    }
    not_taken(fault)
}

fn count(report: &RunReport, trace: &Trace) {
    let RunReport { run, workspace, standing, .. } = report;
    info!(
        target: metrics::TARGET,
        Notifications = 1,
        organization = %workspace.organization,
        workspace = workspace.name,
        run = %run,
        standing = %standing,
        trace = %trace
    );
}

#[cfg(test)]
mod tests;
