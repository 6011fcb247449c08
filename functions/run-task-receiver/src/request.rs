//! HCP Terraform asks a run task.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use sluice_aws::secrets::{Keyed, SecretError};
use sluice_domain::gate::{Admission, TaskRequest};
use sluice_domain::ports::{Definitions, GateStore, Recorded, StoreError, StoredTask};
use sluice_domain::{Classify, Fault, TaskName, Timestamp, chain};
use sluice_hcp::signature::{Keys, RUN_TASK_HEADER, Rejected, Verified, verify};
use sluice_hcp::wire::{Asked, Door, MalformedRequest};
use sluice_lambda::http::{empty, not_taken};
use sluice_lambda::metrics;
use tracing::{error, info, warn};

use crate::{Keyring, Receiver};

/// Longest body that is looked at, in bytes. Requests have two or three thousand.
const BODY_BYTES_MAX: usize = 131_072;

/// Why a request is not recorded.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it is longer than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("there is no such run task")]
    Unknown,
    #[error(transparent)]
    Unsigned(#[from] Rejected),
    #[error(transparent)]
    Malformed(#[from] MalformedRequest),
    #[error("its keys cannot be fetched")]
    Keys(#[from] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Answers a run task request: exactly 200 once it is recorded, whether now or before; 4xx refused; 503 not recorded,
/// so that HCP Terraform asks again. No answer has a body.
pub(crate) async fn admit<S, K>(
    receiver: &Receiver<S, K>,
    name: &TaskName,
    request: &Request<Bytes>,
    now: Timestamp,
) -> Response<Bytes>
where
    S: Definitions + GateStore,
    K: Keyring,
{
    match taken(receiver, name, request, now).await {
        Ok(()) => empty(StatusCode::OK),
        Err(refusal) => refused(name, &refusal),
    }
}

async fn taken<S, K>(
    receiver: &Receiver<S, K>,
    name: &TaskName,
    request: &Request<Bytes>,
    now: Timestamp,
) -> Result<(), Refusal>
where
    S: Definitions + GateStore,
    K: Keyring,
{
    let body = request.body();
    if body.len() > BODY_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let task = receiver.store.task(name).await?.ok_or(Refusal::Unknown)?;
    let signature = request.headers().get(RUN_TASK_HEADER).map(HeaderValue::as_bytes);
    let verified = verified(receiver, &task, body, signature, now).await?;
    let door = Door { task: name, host: &receiver.host, origin: &receiver.origin, received_at: now };
    let (asked, token) = match Asked::parse(verified, &door)? {
        Asked::Verification => {
            info!(task = %name, "run task {name} was verified");
            return Ok(());
        }
        Asked::Task { request, token } => (request, token),
    };
    let sealed = receiver.gate.seal(&asked.result, &token);
    let admission = Admission::of(*asked, task.definition.as_ref());
    if let Err(invalid) = &task.definition {
        error!(task = %name, "run task {name} fails whatever it is asked: {invalid}");
    }
    let recorded = receiver.store.admit(&admission, &sealed).await?;
    log(&admission.request, recorded);
    Ok(())
}

/// The body, if it is signed with one of the task's keys. Where it is not, a key may have been replaced meanwhile.
async fn verified<'a, S, K: Keyring>(
    receiver: &Receiver<S, K>,
    task: &StoredTask,
    body: &'a [u8],
    signature: Option<&[u8]>,
    now: Timestamp,
) -> Result<Verified<'a>, Refusal> {
    // What carries no signature at all is not worth fetching a key for.
    if signature.is_none_or(|signature| signature.trim_ascii().is_empty()) {
        return Err(Rejected::Missing.into());
    }
    let mut anew = false;
    loop {
        let Keyed { keys, missing } = receiver.keyring.keys(&task.keys, anew, now).await;
        match (verify(body, signature, &Keys::new(&keys)), missing) {
            (Err(Rejected::Wrong), None) if !anew => anew = true,
            // It may be signed with the one that is not to be had.
            (Err(Rejected::Wrong | Rejected::NoKey), Some(missing)) => return Err(missing.into()),
            (verified, _) => return Ok(verified?),
        }
    }
}

fn refused(name: &TaskName, refusal: &Refusal) -> Response<Bytes> {
    let why = chain(refusal);
    let status = match refusal {
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Unknown => StatusCode::NOT_FOUND,
        Refusal::Unsigned(_) => StatusCode::UNAUTHORIZED,
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::Keys(_) => {
            error!(task = %name, "cannot check who asks run task {name}: {why}");
            return not_taken(Fault::TRANSIENT);
        }
        Refusal::Store(error) => {
            error!(task = %name, "could not record what run task {name} was asked: {why}");
            return not_taken(error.fault());
        }
    };
    warn!(task = %name, status = status.as_u16(), "refused a request to run task {name}: {why}");
    empty(status)
}

fn log(request: &TaskRequest, recorded: Recorded) {
    let TaskRequest { result, run, workspace, workspace_id, stage, task, .. } = request;
    let (organization, name) = (&workspace.organization, &workspace.name);
    let news = match recorded {
        Recorded::New => "recorded",
        Recorded::Known => "knew already",
    };
    info!(
        target: metrics::TARGET,
        RunTasks = 1,
        task_result = %result,
        run = %run,
        organization = %organization,
        workspace = name,
        task = %task
    );
    info!(
        task_result = %result,
        %run,
        %organization,
        workspace = name,
        %workspace_id,
        %task,
        "{news} that {task} is asked about {run} of {workspace} at {stage}: {result}"
    );
}
