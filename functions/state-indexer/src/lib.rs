//! state-indexer: takes in news of runs, reads the new state version, and decides what is stale now.
//!
//! Every step looks at what is true now, so work that is done twice, late or out of order does no harm.

mod config;
mod count;
mod look;
mod news;
mod removal;
mod survey;

pub use config::{Config, StartError, connect, survey_ms};

use std::sync::Arc;

use sluice_aws::{Table, TablePace, work_key};
use sluice_domain::pace::Paced;
use sluice_domain::ports::{FactStore, Inbox, States, StoreError, Tallies, TerraformError, Worklist};
use sluice_domain::reach::ReachError;
use sluice_domain::{Claimed, Classify, Fault, Policy, Queue, Task, Timestamp, WorkKey};
use sluice_hcp_client::Client;
use sluice_lambda::batch::{self, BatchResponse, StreamEvent};
use sluice_lambda::work::{self, ATTEMPTS_MAX, Failed, Next, conclude};
use sluice_lambda::{Measured, now};
use tracing::Instrument;

/// How long a claim lasts, in milliseconds: as long as the function may run.
pub const LEASE_MS: u64 = 120_000;

/// How often a commit is tried again because facts changed underneath, before the work is put off.
const CONFLICTS_MAX: usize = 8;

/// The function's parts, built once.
#[derive(Debug)]
pub struct Indexer<S, T> {
    /// The table.
    pub store: S,
    /// HCP Terraform's states.
    pub terraform: T,
    /// The same, for what can wait.
    pub bulk: T,
    /// What is allowed.
    pub policy: Policy,
    /// How long a run may be silent before HCP Terraform is asked how it stands, in milliseconds.
    pub watch_ms: u64,
    /// How often what no notification told is looked for, in milliseconds.
    pub survey_ms: u64,
}

/// The default of [`Indexer::watch_ms`]: ten minutes.
pub const WATCH_MS: u64 = 600_000;

/// The default of [`Indexer::survey_ms`]: five minutes.
pub const SURVEY_MS: u64 = 300_000;

/// Why work of this function failed.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// HCP Terraform did not do its part.
    #[error(transparent)]
    Terraform(#[from] TerraformError),
    /// The table did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run applied, but the state version it wrote is not the current one yet.
    #[error("the state version of {0} is not there yet")]
    NotCurrentYet(sluice_domain::RunId),
    /// Attempt after attempt died before it came to an end.
    #[error("{0} attempts ended in no way at all: see the function's own errors and time limit")]
    NeverEnds(u32),
    /// What a decision needs cannot be read.
    #[error(transparent)]
    Reach(ReachError),
}

impl Classify for IndexError {
    fn fault(&self) -> Fault {
        match self {
            Self::Terraform(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::NotCurrentYet(_) => Fault::TRANSIENT,
            Self::Reach(error) => error.fault(),
            Self::NeverEnds(_) => Fault::Permanent,
        }
    }
}

impl From<ReachError> for IndexError {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::Store(error) => Self::Store(error),
            error @ ReachError::TooMany(_) => Self::Reach(error),
        }
    }
}

/// Does the works that a batch rings for. A record that is none of this queue's work is passed over.
pub async fn handle_batch(
    indexer: Arc<Indexer<Table, Paced<Client, Measured<TablePace>>>>,
    event: StreamEvent,
) -> BatchResponse {
    batch::each(&event, |record| {
        let key = work_key(&record.pk, &record.sk).filter(|key| matches!(key.queue(), Queue::Index | Queue::Bulk))?;
        let indexer = indexer.clone();
        Some(async move { handle(&indexer, &key, now()).await })
    })
    .await
}

/// Does the work of `key`, if it is due. An error means that not even the failure could be written down.
pub async fn handle<S, T>(indexer: &Indexer<S, T>, key: &WorkKey, now: Timestamp) -> Result<(), StoreError>
where
    S: FactStore + Worklist + Inbox + Tallies,
    T: States,
{
    work(indexer, key, now).instrument(work::span(key)).await
}

async fn work<S, T>(indexer: &Indexer<S, T>, key: &WorkKey, now: Timestamp) -> Result<(), StoreError>
where
    S: FactStore + Worklist + Inbox + Tallies,
    T: States,
{
    let Some(claimed) = indexer.store.claim(key, now, LEASE_MS).await? else { return Ok(()) };
    work::attempting(&claimed);
    let result = indexer.perform(&claimed, now).await.map_err(|error| Failed { error, tried: false });
    conclude(&indexer.store, &claimed, result, now).await
}

impl<S: FactStore + Inbox + Tallies, T: States> Indexer<S, T> {
    async fn perform(&self, claimed: &Claimed, now: Timestamp) -> Result<Next, IndexError> {
        let ended = matches!(&claimed.task, Task::Run(report) if report.standing.ended());
        if claimed.attempts > ATTEMPTS_MAX && !ended {
            return Err(IndexError::NeverEnds(claimed.attempts));
        }
        // Each kind of work on the heap: together they would be more than a stack should hold.
        match (&claimed.key, &claimed.task) {
            (_, Task::Run(report)) if report.standing.ended() => Box::pin(self.take_in_end(claimed, report, now)).await,
            (_, Task::Run(report)) => Box::pin(self.take_in_activity(report, now)).await,
            (WorkKey::Look(workspace), _) => Box::pin(self.look(workspace, now)).await,
            (WorkKey::Waiter { holder, waiter }, _) => Box::pin(self.look_after_waiting(holder, waiter, now)).await,
            (WorkKey::Verify(workspace), _) => Box::pin(self.verify(workspace, now)).await,
            (WorkKey::Read(workspace), Task::Read(reading)) => {
                Box::pin(self.take_in_state(workspace, reading, now)).await
            }
            (WorkKey::Survey(host, organization), Task::Survey(survey)) => {
                Box::pin(self.survey(host, organization, (survey, claimed.seq), now)).await
            }
            // The rest is other functions' work, and their queues are not this one's.
            (
                WorkKey::Run(..)
                | WorkKey::Read(_)
                | WorkKey::Survey(..)
                | WorkKey::Create(_)
                | WorkKey::Check(..)
                | WorkKey::Job(..)
                | WorkKey::Relay(_),
                _,
            ) => Ok(Next::Done),
        }
    }
}

/// Makes `attempt` again while facts change underneath it.
macro_rules! retrying {
    ($attempt:expr) => {{
        let mut conflicts = 0;
        loop {
            match $attempt {
                Err($crate::IndexError::Store(sluice_domain::ports::StoreError::Conflict))
                    if conflicts < $crate::CONFLICTS_MAX =>
                {
                    conflicts += 1;
                }
                result => break result,
            }
        }
    }};
}
pub(crate) use retrying;
