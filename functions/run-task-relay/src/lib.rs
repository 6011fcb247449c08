//! run-task-relay: tells HCP Terraform how its task results stand, and the last word until that is heard.
//!
//! What there is to say is decided anew each time, from how far the checks have come. Only the last word is written
//! down before it is said, so that it stays the same however often it has to be said.

mod config;

pub use config::{Config, StartError, connect};

use std::sync::Arc;

use secrecy::SecretString;
use sluice_aws::{GateKeys, OpenError, Table, work_key};
use sluice_domain::gate::{Admission, Answer, Gated, Report, ReportStatus, Said, SaidEnd, State, answer};
use sluice_domain::ports::{GateStore, Heard, StoreError, TaskResults, TerraformError, Worklist};
use sluice_domain::{Claimed, Classify, Fault, Queue, TaskResultId, Timestamp, WorkKey, backoff_ms, chain};
use sluice_hcp_client::TaskClient;
use sluice_lambda::batch::{self, BatchResponse, StreamEvent};
use sluice_lambda::work::{self, Failed, Next, conclude};
use sluice_lambda::{metrics, now};
use tracing::{Instrument, error, info};

/// How long a claim lasts, in milliseconds: long enough for some callbacks, and short beside ten minutes of silence.
pub const LEASE_MS: u64 = 60_000;

/// How long after a failure the next attempt is due, in milliseconds. Longer and longer waits would soon be as long as
/// HCP Terraform's patience.
const RETRY_MS: u64 = 5_000;

/// How often what was told is written down again because somebody else wrote meanwhile.
const CONFLICTS_MAX: usize = 8;

/// Longest wait before another attempt, in milliseconds: HCP Terraform gives up after ten minutes of silence.
const WAIT_MS_MAX: u64 = 30_000;

/// Longest wait where HCP Terraform itself asked for one, in milliseconds.
const THROTTLED_MS_MAX: u64 = 120_000;

/// Most attempts at one word, some two hours long: HCP Terraform itself waits for one.
const ATTEMPTS_MAX: u32 = 240;

/// The function's parts, built once.
#[derive(Debug)]
pub struct Relay<S, T> {
    /// The table.
    pub store: S,
    /// HCP Terraform's task results.
    pub terraform: T,
    /// What opens access tokens.
    pub keys: GateKeys,
}

/// Why work of this function failed.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// HCP Terraform did not do its part.
    #[error(transparent)]
    Terraform(#[from] TerraformError),
    /// The table did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The access token does not open.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// The access token is gone, though the last word was not heard.
    #[error("the access token is gone: it outlives its task by an hour")]
    NoToken,
}

impl Classify for RelayError {
    fn fault(&self) -> Fault {
        match self {
            Self::Terraform(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Sealed(error) => error.fault(),
            Self::NoToken => Fault::Permanent,
        }
    }
}

/// Does the works that a batch rings for. A record that is none of this queue's work is passed over.
pub async fn handle_batch(relay: Arc<Relay<Table, TaskClient>>, event: StreamEvent) -> BatchResponse {
    batch::each(&event, |record| {
        let key = work_key(&record.pk, &record.sk).filter(|key| key.queue() == Queue::Relay)?;
        let relay = relay.clone();
        Some(async move { handle(&relay, &key, now()).await })
    })
    .await
}

/// Does the work of `key`, if it is due. An error means that not even the failure could be written down.
pub async fn handle<S, T>(relay: &Relay<S, T>, key: &WorkKey, now: Timestamp) -> Result<(), StoreError>
where
    S: GateStore + Worklist,
    T: TaskResults,
{
    work(relay, key, now).instrument(work::span(key)).await
}

async fn work<S, T>(relay: &Relay<S, T>, key: &WorkKey, now: Timestamp) -> Result<(), StoreError>
where
    S: GateStore + Worklist,
    T: TaskResults,
{
    let WorkKey::Relay(result) = key else { return Ok(()) };
    let Some(claimed) = relay.store.claim(key, now, LEASE_MS).await? else { return Ok(()) };
    work::attempting(&claimed);
    match relay.tell(result, now).await {
        Err(error) if !matches!(error, RelayError::NoToken) && claimed.attempts < ATTEMPTS_MAX => {
            put_off(&relay.store, &claimed, &error, now).await
        }
        told => conclude(&relay.store, &claimed, told.map_err(|error| Failed { error, tried: false }), now).await,
    }
}

/// The answer is tried again soon, whatever the error: given up, it would leave HCP Terraform to its timeout.
async fn put_off(
    store: &impl Worklist,
    claimed: &Claimed,
    error: &RelayError,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (work, text) = (&claimed.key, chain(error));
    let wait_ms = match error.fault() {
        Fault::Throttled { after_ms } => after_ms.min(THROTTLED_MS_MAX),
        Fault::Transient { after_ms } => {
            backoff_ms(claimed.attempts, after_ms.or(Some(RETRY_MS)), work.spread()).min(WAIT_MS_MAX)
        }
        Fault::Permanent => {
            error!(work = %work, "{work} fails in a way that a person must see to, and is tried again: {text}");
            WAIT_MS_MAX
        }
    };
    info!(work = %work, attempt = claimed.attempts, wait_ms, "will try {work} again: {text}");
    info!(target: metrics::TARGET, WorkRetried = 1);
    store.defer(claimed, now.plus_ms(wait_ms), &text, false).await
}

impl<S: GateStore, T: TaskResults> Relay<S, T> {
    /// Says what there is to say, until there is nothing more for now.
    async fn tell(&self, result: &TaskResultId, now: Timestamp) -> Result<Next, RelayError> {
        let mut conflicts = 0;
        loop {
            let Some(gated) = self.store.gated(result).await? else { return Ok(Next::Done) };
            let said = match answer(&gated, now) {
                Answer::Over => return Ok(Next::Done),
                Answer::Nothing(until) => return Ok(Next::Again(until)),
                Answer::Progress(report) => self.progress(&gated, &report, now).await,
                Answer::Last(report) => self.last(&gated, &report, now).await,
            };
            match said {
                // Somebody else has written meanwhile, or has said the last word, with which the token goes: what there
                // is to say may be something else now.
                Err(RelayError::Store(StoreError::Conflict) | RelayError::NoToken) if conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                }
                result => result?,
            }
        }
    }

    async fn progress(&self, gated: &Gated, report: &Report, now: Timestamp) -> Result<(), RelayError> {
        let state = match self.say(&gated.admission, report).await? {
            Heard::Refused { status } if is_over(status) => {
                State { end: Some(SaidEnd::Refused { at: now, status }), ..gated.state.clone() }
            }
            // A word on the way that it finds wrong is no reason to give up the last one.
            Heard::Accepted | Heard::Refused { .. } => State { said_at: Some(now), ..gated.state.clone() },
        };
        self.store.told(&gated.admission.request.result, &state, gated.version).await?;
        log(&gated.admission, report, &state);
        Ok(())
    }

    /// Decides the last word, or says it if that is decided.
    async fn last(&self, gated: &Gated, report: &Report, now: Timestamp) -> Result<(), RelayError> {
        let result = &gated.admission.request.result;
        if gated.state.verdict.is_none() {
            let verdict = Said { status: report.status, message: report.message.clone(), at: now };
            let state = State { verdict: Some(verdict), ..gated.state.clone() };
            return Ok(self.store.told(result, &state, gated.version).await?);
        }
        let end = match self.say(&gated.admission, report).await? {
            Heard::Accepted => SaidEnd::Accepted { at: now },
            Heard::Refused { status } => SaidEnd::Refused { at: now, status },
        };
        let state = self.end(result, end).await?;
        log(&gated.admission, report, &state);
        Ok(())
    }

    /// Writes down how the last word ended. That it was accepted is the truth, whatever another attempt was told.
    async fn end(&self, result: &TaskResultId, end: SaidEnd) -> Result<State, RelayError> {
        let mut conflicts = 0;
        loop {
            let Some(gated) = self.store.gated(result).await? else { return Ok(State::default()) };
            let refused = matches!(gated.state.end, Some(SaidEnd::Refused { .. }));
            let accepted = matches!(end, SaidEnd::Accepted { .. });
            if gated.state.end.is_some() && !(refused && accepted) {
                return Ok(gated.state);
            }
            let state = State { end: Some(end.clone()), ..gated.state.clone() };
            match self.store.told(result, &state, gated.version).await {
                Err(StoreError::Conflict) if conflicts < CONFLICTS_MAX => conflicts += 1,
                written => return Ok(written.map(|()| state)?),
            }
        }
    }

    async fn say(&self, admission: &Admission, report: &Report) -> Result<Heard, RelayError> {
        let request = &admission.request;
        let token = self.token(&request.result).await?;
        let report = if request.outcomes { report.clone() } else { bare(report) };
        let heard = self.terraform.report(&request.callback, &token, &report).await?;
        match heard {
            // The verdict matters more than what was found: once more without that.
            Heard::Refused { status } if !is_over(status) && !report.outcomes.is_empty() => {
                Ok(self.terraform.report(&request.callback, &token, &bare(&report)).await?)
            }
            heard => Ok(heard),
        }
    }

    async fn token(&self, result: &TaskResultId) -> Result<SecretString, RelayError> {
        let sealed = self.store.token(result).await?.ok_or(RelayError::NoToken)?;
        Ok(self.keys.open(result, &sealed)?)
    }
}

/// Whether an answer says that the result itself is over, or its token, rather than that the word was wrong.
fn is_over(status: u16) -> bool {
    matches!(status, 401 | 404 | 409 | 410)
}

/// The report without outcomes.
fn bare(report: &Report) -> Report {
    Report { url: None, outcomes: Vec::new(), ..report.clone() }
}

fn log(admission: &Admission, report: &Report, state: &State) {
    let request = &admission.request;
    let (result, run, status) = (&request.result, &request.run, report.status);
    let (organization, workspace) = (&request.workspace.organization, &request.workspace.name);
    if let Some(SaidEnd::Refused { status: refused, .. }) = state.end {
        info!(
            target: metrics::TARGET,
            CallbacksRefused = 1,
            run = %run,
            organization = %organization,
            workspace = workspace,
            status = refused
        );
        error!(
            task_result = %result,
            %run,
            %organization,
            workspace,
            http.status = refused,
            "HCP Terraform does not want to hear that {result} of {run} is {status}: it answers {refused}"
        );
        return;
    }
    info!(
        target: metrics::TARGET,
        CallbacksAccepted = 1,
        run = %run,
        organization = %organization,
        workspace = workspace,
        says = %status
    );
    let stands = if status == ReportStatus::Running { "goes on".to_owned() } else { status.to_string() };
    info!(task_result = %result, %run, %organization, workspace, "{result} of {run} {stands}");
}
