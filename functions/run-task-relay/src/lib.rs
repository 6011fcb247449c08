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
use sluice_domain::{Classify, Fault, Queue, TaskResultId, Timestamp, WorkKey};
use sluice_hcp_client::TaskClient;
use sluice_lambda::batch::{self, BatchResponse, StreamEvent};
use sluice_lambda::now;
use sluice_lambda::work::{Failed, Next, conclude};
use tracing::{error, info};

/// How long a claim lasts, in milliseconds: long enough for some callbacks, and short beside ten minutes of silence.
pub const LEASE_MS: u64 = 60_000;

/// How long after a failure the next attempt is due, in milliseconds. Longer and longer waits would soon be as long as
/// HCP Terraform's patience.
const RETRY_MS: u64 = 5_000;

/// How often what was told is written down again because somebody else wrote meanwhile.
const CONFLICTS_MAX: usize = 8;

/// What HCP Terraform answers where it finds the word itself wrong.
const UNPROCESSABLE: u16 = 422;

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
        let fault = match self {
            Self::Terraform(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Sealed(error) => error.fault(),
            Self::NoToken => Fault::Permanent,
        };
        match fault {
            Fault::Transient { after_ms: None } => Fault::Transient { after_ms: Some(RETRY_MS) },
            Fault::Transient { .. } | Fault::Throttled { .. } | Fault::Permanent => fault,
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
    let WorkKey::Relay(result) = key else { return Ok(()) };
    let Some(claimed) = relay.store.claim(key, now, LEASE_MS).await? else { return Ok(()) };
    let done = relay.tell(result, now).await.map_err(|error| Failed { error, tried: false });
    conclude(&relay.store, &claimed, done, now).await
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
                Err(RelayError::Store(StoreError::Conflict)) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(RelayError::NoToken) if conflicts < CONFLICTS_MAX => conflicts += 1,
                result => result?,
            }
        }
    }

    async fn progress(&self, gated: &Gated, report: &Report, now: Timestamp) -> Result<(), RelayError> {
        let state = match self.say(&gated.admission, report).await? {
            // A word on the way that it finds wrong is no reason to give up the last one.
            Heard::Accepted | Heard::Refused { status: UNPROCESSABLE } => {
                State { said_at: Some(now), ..gated.state.clone() }
            }
            Heard::Refused { status } => {
                State { end: Some(SaidEnd::Refused { at: now, status }), ..gated.state.clone() }
            }
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
            let known = match (&gated.state.end, &end) {
                (None, _) => false,
                (Some(SaidEnd::Refused { .. }), SaidEnd::Accepted { .. }) => false,
                (Some(_), _) => true,
            };
            let state = State { end: Some(end.clone()), ..gated.state.clone() };
            if known {
                return Ok(gated.state);
            }
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
        if heard == (Heard::Refused { status: UNPROCESSABLE }) && !report.outcomes.is_empty() {
            // The verdict matters more than what was found: once more without that.
            return Ok(self.terraform.report(&request.callback, &token, &bare(&report)).await?);
        }
        Ok(heard)
    }

    async fn token(&self, result: &TaskResultId) -> Result<SecretString, RelayError> {
        let sealed = self.store.token(result).await?.ok_or(RelayError::NoToken)?;
        Ok(self.keys.open(result, &sealed)?)
    }
}

/// The report without outcomes.
fn bare(report: &Report) -> Report {
    Report { url: None, outcomes: Vec::new(), ..report.clone() }
}

fn log(admission: &Admission, report: &Report, state: &State) {
    let request = &admission.request;
    let (result, run, status) = (&request.result, &request.run, report.status);
    match (&state.end, status) {
        (Some(SaidEnd::Refused { status: refused, .. }), _) => error!(
            task_result.id = %result,
            run.id = %run,
            http.status = refused,
            "HCP Terraform does not want to hear that {result} of {run} is {status}: it answers {refused}"
        ),
        (_, ReportStatus::Running) => info!(task_result.id = %result, run.id = %run, "{result} of {run} goes on"),
        _ => info!(task_result.id = %result, run.id = %run, "{result} of {run} {status}"),
    }
}
