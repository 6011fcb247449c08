//! Another checker answers, as if we were HCP Terraform.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use sluice_domain::gate::{CheckKind, Gated};
use sluice_domain::ports::{Advance, GateStore, Guard, StoreError};
use sluice_domain::{CheckName, Classify, TaskResultId, Timestamp, chain};
use sluice_hcp::wire::{MalformedCallback, parse_callback};
use sluice_lambda::http::{empty, not_taken};
use tracing::{error, info, warn};

use crate::{Keyring, Receiver};

/// Longest answer that is taken, in bytes: API Gateway and Lambda let no more through (contract hcp-terraform,
/// section 2.3 has five megabytes for HCP Terraform itself).
pub(crate) const ANSWER_BYTES_MAX: usize = 6 << 20;

/// How often an answer is written down again because somebody else wrote meanwhile.
const CONFLICTS_MAX: usize = 8;

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    #[error("its token is not that of the check")]
    Token,
    #[error("no such check is on record")]
    Unknown,
    #[error("the check is over already")]
    Over,
    #[error(transparent)]
    Malformed(#[from] MalformedCallback),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Answers as HCP Terraform would: 200 taken, 401 wrong token, 404 unknown, 409 over already, 422 not understood.
pub(crate) async fn hear<S, K>(
    receiver: &Receiver<S, K>,
    result: &TaskResultId,
    check: &CheckName,
    request: &Request<Bytes>,
    now: Timestamp,
) -> Response<Bytes>
where
    S: GateStore,
    K: Keyring,
{
    match heard(receiver, result, check, request, now).await {
        Ok(()) => empty(StatusCode::OK),
        Err(refusal) => refused(result, check, &refusal),
    }
}

async fn heard<S, K>(
    receiver: &Receiver<S, K>,
    result: &TaskResultId,
    check: &CheckName,
    request: &Request<Bytes>,
    now: Timestamp,
) -> Result<(), Refusal>
where
    S: GateStore,
    K: Keyring,
{
    let mut gated = live(receiver, result, check, request).await?;
    // A job has the same token, for the plan; what it comes to is its exit code.
    if !matches!(gated.admission.check(check).map(|check| &check.kind), Some(CheckKind::Http { .. })) {
        return Err(Refusal::Unknown);
    }
    if request.body().len() > ANSWER_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let report = parse_callback(request.body())?;
    let mut conflicts = 0;
    loop {
        let mut execution = gated.execution(check);
        if !execution.hear(report.clone(), now) {
            return Err(Refusal::Over);
        }
        let ended = execution.end.is_some();
        let definition = gated.admission.check(check).ok_or(Refusal::Unknown)?;
        let deadline = execution.deadline(definition, &gated.admission);
        let due = (!ended).then(|| execution.silent_at().map_or(deadline, |silent| silent.min(deadline)));
        let wakes = if ended { gated.admission.waiting_for(check).collect() } else { Vec::new() };
        let key = gated.admission.work(definition);
        let step = Advance { key: &key, execution: &execution, due, wakes, tells: true, now };
        let seq = gated.seq.get(check).copied().unwrap_or_default();
        match receiver.store.advance(Guard::Read { seq }, &step).await {
            Err(StoreError::Conflict) if conflicts < CONFLICTS_MAX => conflicts += 1,
            written => {
                written?;
                info!(task_result = %result, check = %check, "check {check} of {result} says {}", report.status);
                return Ok(());
            }
        }
        gated = live(receiver, result, check, request).await?;
    }
}

/// The task result, if the request has the token of a check that it waits for.
pub(crate) async fn live<S: GateStore, K>(
    receiver: &Receiver<S, K>,
    result: &TaskResultId,
    check: &CheckName,
    request: &Request<Bytes>,
) -> Result<Gated, Refusal> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token =
        header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
    if !token.is_some_and(|token| receiver.gate.is_checker_token(result, check, token.trim())) {
        return Err(Refusal::Token);
    }
    let gated = receiver.store.gated(result).await?.ok_or(Refusal::Unknown)?;
    if gated.admission.check(check).is_none() {
        return Err(Refusal::Unknown);
    }
    if gated.state.verdict.is_some() || gated.state.end.is_some() || gated.execution(check).end.is_some() {
        return Err(Refusal::Over);
    }
    Ok(gated)
}

pub(crate) fn refused(result: &TaskResultId, check: &CheckName, refusal: &Refusal) -> Response<Bytes> {
    let why = chain(refusal);
    let status = match refusal {
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Token => StatusCode::UNAUTHORIZED,
        Refusal::Unknown => StatusCode::NOT_FOUND,
        Refusal::Over => StatusCode::CONFLICT,
        Refusal::Malformed(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Store(store) => {
            error!(task_result = %result, check = %check, "could not take what check {check} of {result} says: {why}");
            return not_taken(store.fault());
        }
    };
    warn!(task_result = %result, check = %check, status = status.as_u16(), "refused what check {check} of {result} says: {why}");
    empty(status)
}
