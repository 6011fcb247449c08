//! run-creator: a claimed decision becomes a run in HCP Terraform. Claim, look if an earlier attempt may have got
//! through, create, record.

mod budgets;
mod config;

pub use config::{Config, StartError, connect};

use std::sync::Arc;

use sluice_aws::{Table, TablePace, work_key};
use sluice_domain::pace::Paced;
use sluice_domain::ports::{CreatedRun, FactStore, Known, Runs, StoreError, Tallies, TerraformError, Worklist, Write};
use sluice_domain::{
    Claimed, Classify, Fault, Order, Planned, Policy, Queue, Refusal, RunKind, RunReport, Standing, Task, Timestamp,
    Verdict, WorkKey, Workspace, WorkspaceId, chain,
};
use sluice_hcp_client::Client;
use sluice_lambda::batch::{self, BatchResponse, StreamEvent};
use sluice_lambda::work::{self, ATTEMPTS_MAX, Failed, Next, conclude, given_up};
use sluice_lambda::{Measured, metrics, now};
use tracing::{Instrument, info};

use budgets::Held;

/// How long a claim lasts, in milliseconds: as long as the function may run.
pub const LEASE_MS: u64 = 60_000;

/// The default of [`Creator::watch_ms`]: ten minutes.
pub const WATCH_MS: u64 = 600_000;

/// How often a commit is tried again because facts changed underneath, before the work is put off.
const CONFLICTS_MAX: usize = 8;

/// The function's parts, built once.
#[derive(Debug)]
pub struct Creator<S, T> {
    /// The table.
    pub store: S,
    /// HCP Terraform's runs.
    pub terraform: T,
    /// What is allowed.
    pub policy: Policy,
    /// How long the run may be silent before HCP Terraform is asked how it stands, in milliseconds.
    pub watch_ms: u64,
}

/// Why no run could be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// HCP Terraform did not do its part.
    #[error(transparent)]
    Terraform(#[from] TerraformError),
    /// The table did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The workspace is there, but the token cannot queue runs in it.
    #[error("API_TOKEN may not queue runs in {0}: give its team the plan or write permission, then replay")]
    MayNotQueue(Workspace),
    /// The change has set off as many runs as one change may.
    #[error("one change of {0} has set off {1} runs, which is the limit: replay to run this workspace all the same")]
    WaveTooLarge(Workspace, u32),
    /// Attempt after attempt died before it came to an end.
    #[error("{0} attempts ended in no way at all: see the function's own errors and time limit")]
    NeverEnds(u32),
}

impl CreateError {
    /// Whether a run may have been created all the same.
    fn may_have_had_effect(&self) -> bool {
        matches!(self, Self::Terraform(error) if error.may_have_had_effect())
    }
}

impl Classify for CreateError {
    fn fault(&self) -> Fault {
        match self {
            Self::Terraform(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::MayNotQueue(_) | Self::WaveTooLarge(..) | Self::NeverEnds(_) => Fault::Permanent,
        }
    }
}

/// Does the works that a batch rings for. A record that is none of this queue's work is passed over.
pub async fn handle_batch(
    creator: Arc<Creator<Table, Paced<Client, Measured<TablePace>>>>,
    event: StreamEvent,
) -> BatchResponse {
    batch::each(&event, |record| {
        let key = work_key(&record.pk, &record.sk).filter(|key| key.queue() == Queue::Create)?;
        let creator = creator.clone();
        Some(async move { handle(&creator, &key, now()).await })
    })
    .await
}

/// Creates the run of `key`, if that is due. An error means that not even the failure could be written down.
pub async fn handle<S, T>(creator: &Creator<S, T>, key: &WorkKey, now: Timestamp) -> Result<(), StoreError>
where
    S: FactStore + Worklist + Tallies,
    T: Runs,
{
    work(creator, key, now).instrument(work::span(key)).await
}

async fn work<S, T>(creator: &Creator<S, T>, key: &WorkKey, now: Timestamp) -> Result<(), StoreError>
where
    S: FactStore + Worklist + Tallies,
    T: Runs,
{
    let Some(claimed) = creator.store.claim(key, now, LEASE_MS).await? else { return Ok(()) };
    let (WorkKey::Create(workspace), Task::Create(order)) = (key, &claimed.task) else { return Ok(()) };
    work::attempting(&claimed);
    if let Some(trace) = order.trace() {
        work::traced(&trace);
    }
    let result = match Box::pin(creator.create(workspace, &claimed, order, now)).await {
        Ok(Made::Held(held)) => return creator.hold(workspace, &claimed, held, now).await,
        Ok(Made::Run) => Ok(true),
        Ok(Made::Nothing) => Ok(false),
        Err(failed) => Err(failed),
    };
    let given_up = match &result {
        Err(failed) if given_up(&claimed, failed.error.fault()) => Some(&failed.error),
        _ => None,
    };
    if given_up.is_none() && !matches!(result, Ok(false)) {
        return conclude(&creator.store, &claimed, result.map(|_| Next::Done), now).await;
    }
    // While the order was there, a look made no other. So one follows when it is out of the way, and if this process
    // dies before it can ask for that, one follows all the same.
    let later = Write::Look { workspace: workspace.clone(), at: now.plus_ms(LEASE_MS) };
    match given_up {
        Some(error) => creator.refuse(workspace, order, error, later).await?,
        None => creator.store.commit(&[later]).await?,
    }
    let tried = claimed.tried || matches!(&result, Err(failed) if failed.tried);
    creator.count_out(workspace, order, tried, now).await?;
    conclude(&creator.store, &claimed, result.map(|_| Next::Done), now).await?;
    creator.store.commit(&[Write::Look { workspace: workspace.clone(), at: now }]).await
}

/// What came of an order.
enum Made {
    /// A run.
    Run,
    /// Nothing: it was decided otherwise since, or somebody else has run the workspace.
    Nothing,
    /// Nothing yet: it is put off.
    Held(Held),
}

impl<S: FactStore + Worklist + Tallies, T: Runs> Creator<S, T> {
    async fn create(
        &self,
        workspace: &Workspace,
        claimed: &Claimed,
        order: &Order,
        now: Timestamp,
    ) -> Result<Made, Failed<CreateError>> {
        if claimed.attempts > ATTEMPTS_MAX {
            return Err(Failed { error: CreateError::NeverEnds(claimed.attempts), tried: claimed.tried });
        }
        let untried = |error| Failed { error, tried: claimed.tried };
        let known = self.store.known_one(workspace).await.map_err(|error| untried(error.into()))?;
        let wanted = still_wanted(&known, order);
        if !wanted && !claimed.tried {
            return Ok(Made::Nothing);
        }
        if let Some(held) = self.held(workspace, claimed, order, now).await.map_err(untried)? {
            return Ok(Made::Held(held));
        }
        let found = self.terraform.workspace_named(workspace).await.map_err(|error| untried(error.into()))?;
        let found = found.ok_or(TerraformError::NotFound { action: "the workspace to run" });
        let found = found.map_err(|error| untried(error.into()))?;
        let earlier = if claimed.tried { self.find(&found.id, order).await? } else { None };
        let is_new = earlier.is_none();
        let run = match earlier {
            Some(run) => run,
            None if !wanted => return Ok(Made::Nothing),
            None => {
                if let Some(held) = self.forbidden(workspace, &found, claimed, order, now).await.map_err(untried)? {
                    return Ok(Made::Held(held));
                }
                self.create_run(workspace, &found.id, order).await.map_err(|error| {
                    // That looking found nothing does not prove that an earlier attempt came to nothing.
                    let tried = claimed.tried || error.may_have_had_effect();
                    Failed { error, tried }
                })?
            }
        };
        let id = found.id;
        work::about_run(&run.run);
        info!(workspace_id = %id, "created {} in {}", run.run, workspace.short());
        let report = RunReport {
            workspace: workspace.clone(),
            workspace_id: id,
            run: run.run,
            created_at: run.created_at,
            standing: Standing::Pending,
            at: run.created_at,
            marker: Some(order.marker.clone()),
        };
        // From here on the run exists, so whatever fails, the next attempt must look for it.
        self.record(&report, order, now).await.map_err(|error| Failed { error: error.into(), tried: true })?;
        // One that an earlier attempt created was counted by that, unless it died: fewer is better than twice.
        if is_new {
            count(order, report.created_at);
        }
        Ok(Made::Run)
    }

    /// The run that an earlier attempt may have created.
    async fn find(&self, id: &WorkspaceId, order: &Order) -> Result<Option<CreatedRun>, Failed<CreateError>> {
        let found = self.terraform.find_run(id, &order.marker, order.kind).await;
        // If looking failed, what the earlier attempt did is as unknown as before.
        found.map_err(|error| Failed { error: error.into(), tried: true })
    }

    async fn create_run(
        &self,
        workspace: &Workspace,
        id: &WorkspaceId,
        order: &Order,
    ) -> Result<CreatedRun, CreateError> {
        match self.terraform.create_run(id, &order.message(), order.kind).await {
            Ok(run) => Ok(run),
            // It was there a moment ago.
            Err(TerraformError::NotFound { .. }) => Err(CreateError::MayNotQueue(workspace.clone())),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes down that the run is under way, and that its end is to be looked for.
    async fn record(&self, report: &RunReport, order: &Order, now: Timestamp) -> Result<(), StoreError> {
        self.change(&report.workspace, |known| {
            let Known { mut facts, version, .. } = known;
            if order.kind == RunKind::PlanOnly {
                // It holds nobody, and HCP Terraform tells nothing of it.
                facts.planned = Some(Planned { inputs: order.inputs, run: report.run.clone(), ended: false });
                let workspace = report.workspace.clone();
                let (holder, waiter) = (workspace.clone(), workspace.clone());
                let watch = Write::Waiter { holder, waiter, until: now.plus_ms(self.watch_ms) };
                let facts = Write::Facts { workspace: workspace.clone(), facts: Box::new(facts), version };
                return vec![facts, watch, Write::Look { workspace, at: now }];
            }
            facts.hear(report, Some(order));
            // It may be over already, and its end taken in: then there is nothing to watch.
            let watch = facts.active.contains_key(&report.run);
            let watch = watch.then(|| Write::Watch { report: report.clone(), until: now.plus_ms(self.watch_ms) });
            let facts = Write::Facts { workspace: report.workspace.clone(), facts: Box::new(facts), version };
            [Some(facts), watch].into_iter().flatten().collect()
        })
        .await
    }

    /// Writes down that no run can be created for these inputs, so that those who wait are told.
    async fn refuse(
        &self,
        workspace: &Workspace,
        order: &Order,
        error: &CreateError,
        look: Write,
    ) -> Result<(), StoreError> {
        let gone = matches!(error, CreateError::Terraform(TerraformError::NotFound { .. }));
        self.change(workspace, |known| {
            let Known { mut facts, version, .. } = known;
            if version == 0 {
                // It was removed meanwhile, and nobody waits for it any more.
                return Vec::new();
            }
            facts.refusal = Some(Refusal {
                inputs: [order.inputs].into(),
                created_at: order.newest,
                run: None,
                why: chain(error),
                declined: false,
            });
            let mut writes =
                vec![Write::Facts { workspace: workspace.clone(), facts: Box::new(facts), version }, look.clone()];
            if gone {
                writes.push(Write::Verify { workspace: workspace.clone(), at: order.decided_at });
            }
            writes
        })
        .await
    }

    async fn change(&self, workspace: &Workspace, change: impl Fn(Known) -> Vec<Write>) -> Result<(), StoreError> {
        let mut conflicts = 0;
        loop {
            let writes = change(self.store.known_one(workspace).await?);
            match self.store.commit(&writes).await {
                Err(StoreError::Conflict) if conflicts < CONFLICTS_MAX => conflicts += 1,
                result => return result,
            }
        }
    }
}

/// A run is created and on record. How long after the change that is: the longest of a wave is that of its last run.
fn count(order: &Order, created_at: Timestamp) {
    let wave = order.wave.as_ref();
    let after = wave.and_then(|wave| wave.began_at).map(|began_at| metrics::seconds(created_at.since_ms(began_at)));
    let depth = wave.map(|wave| wave.depth);
    info!(target: metrics::TARGET, RunsCreated = 1, ApplyToLastRunSeconds = after, depth = depth);
}

/// Whether nobody else has seen to what was ordered, and it was not decided otherwise since. Where no run could be
/// created, and that was on record, a person has had it taken up again.
fn still_wanted(known: &Known, order: &Order) -> bool {
    let adopted = known.facts.active.values().any(|run| run.created_at > order.newest);
    let decided = known.decision.as_ref().is_none_or(|decision| match decision.verdict {
        Verdict::Run => order.kind == RunKind::Apply,
        // A plan for what has changed since would say that it is for something else.
        Verdict::Plan => order.kind == RunKind::PlanOnly && decision.inputs == Some(order.inputs),
        Verdict::Refused { run: None, .. } => true,
        _ => false,
    });
    !adopted && decided
}
