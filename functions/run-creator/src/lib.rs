//! run-creator: a claimed decision becomes a run in HCP Terraform. Claim, look if an earlier attempt may have got
//! through, create, record.

mod config;

pub use config::{Config, StartError, connect};

use std::collections::BTreeSet;
use std::sync::Arc;

use sluice_aws::{Table, work_key};
use sluice_domain::ports::{CreatedRun, FactStore, Known, Runs, StoreError, TerraformError, Worklist, Write};
use sluice_domain::{
    Claimed, Classify, Fault, Order, Queue, Refusal, RunReport, Standing, Task, Timestamp, WorkKey, Workspace, WorkspaceId,
    chain,
};
use sluice_hcp_client::Client;
use sluice_lambda::batch::{self, BatchResponse, StreamEvent};
use sluice_lambda::now;
use sluice_lambda::work::{Failed, Next, conclude, given_up};
use tracing::info;

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
    /// Nothing was ever heard of the workspace's id.
    #[error("the id of {0} is not known yet")]
    UnknownId(Workspace),
}

impl Classify for CreateError {
    fn fault(&self) -> Fault {
        match self {
            Self::Terraform(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::MayNotQueue(_) | Self::UnknownId(_) => Fault::Permanent,
        }
    }
}

/// Does the works that a batch rings for. A record that is none of this queue's work is passed over.
pub async fn handle_batch(creator: Arc<Creator<Table, Client>>, event: StreamEvent) -> BatchResponse {
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
    S: FactStore + Worklist,
    T: Runs,
{
    let Some(claimed) = creator.store.claim(key, now, LEASE_MS).await? else { return Ok(()) };
    let (WorkKey::Create(workspace), Task::Create(order)) = (key, &claimed.task) else { return Ok(()) };
    let result = creator.create(workspace, &claimed, order, now).await;
    if let Err(failed) = &result
        && given_up(&claimed, failed.error.fault())
    {
        creator.refuse(workspace, order, &failed.error, now).await?;
    }
    conclude(&creator.store, &claimed, result, now).await
}

impl<S: FactStore, T: Runs> Creator<S, T> {
    async fn create(
        &self,
        workspace: &Workspace,
        claimed: &Claimed,
        order: &Order,
        now: Timestamp,
    ) -> Result<Next, Failed<CreateError>> {
        let known = self.known(workspace).await.map_err(|error| untried(error, claimed))?;
        let id = known.facts.id.ok_or_else(|| untried(CreateError::UnknownId(workspace.clone()), claimed))?;
        let (id, run) = self.find_or_create(workspace, id, claimed, order).await?;
        info!(workspace.id = %id, run.id = %run.run, "created {} in {}", run.run, workspace.short());
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
        Ok(Next::Done)
    }

    async fn find_or_create(
        &self,
        workspace: &Workspace,
        id: WorkspaceId,
        claimed: &Claimed,
        order: &Order,
    ) -> Result<(WorkspaceId, CreatedRun), Failed<CreateError>> {
        if claimed.tried {
            let found = self.terraform.find_run(&id, &order.marker).await;
            // Looking failed, so what an earlier attempt did is as unknown as before.
            if let Some(run) = found.map_err(|error| Failed { error: error.into(), tried: true })? {
                return Ok((id, run));
            }
        }
        let message = order.message();
        match self.terraform.create_run(&id, &message).await {
            Ok(run) => Ok((id, run)),
            Err(TerraformError::NotFound { .. }) => {
                let now_id = self.terraform.workspace_id(workspace).await.map_err(failed)?;
                match now_id {
                    Some(now_id) if now_id != id => {
                        let run = self.terraform.create_run(&now_id, &message).await.map_err(failed)?;
                        Ok((now_id, run))
                    }
                    Some(_) => Err(Failed { error: CreateError::MayNotQueue(workspace.clone()), tried: false }),
                    None => Err(failed(TerraformError::NotFound { action: "the workspace to run" })),
                }
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes down that the run is under way, and that its end is to be looked for.
    async fn record(&self, report: &RunReport, order: &Order, now: Timestamp) -> Result<(), StoreError> {
        self.change(&report.workspace, |known| {
            let Known { mut facts, version, .. } = known;
            facts.hear(report, Some(order));
            vec![
                Write::Facts { workspace: report.workspace.clone(), facts: Box::new(facts), version },
                Write::Watch { report: report.clone(), until: now.plus_ms(self.watch_ms) },
            ]
        })
        .await
    }

    /// Writes down that no run can be created for these inputs, so that those who wait are told.
    async fn refuse(
        &self,
        workspace: &Workspace,
        order: &Order,
        error: &CreateError,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let gone = matches!(error, CreateError::Terraform(TerraformError::NotFound { .. }));
        self.change(workspace, |known| {
            let Known { mut facts, version, .. } = known;
            facts.refusal = Some(Refusal { inputs: order.inputs, run: None, why: chain(error), declined: false });
            let mut writes = vec![
                Write::Facts { workspace: workspace.clone(), facts: Box::new(facts), version },
                Write::Look { workspace: workspace.clone(), at: now },
            ];
            if gone {
                writes.push(Write::Verify { workspace: workspace.clone(), at: now });
            }
            writes
        })
        .await
    }

    async fn change(&self, workspace: &Workspace, change: impl Fn(Known) -> Vec<Write>) -> Result<(), StoreError> {
        let mut conflicts = 0;
        loop {
            let writes = change(self.known(workspace).await?);
            match self.store.commit(&writes).await {
                Err(StoreError::Conflict) if conflicts < CONFLICTS_MAX => conflicts += 1,
                result => return result,
            }
        }
    }

    async fn known(&self, workspace: &Workspace) -> Result<Known, StoreError> {
        let mut known = self.store.known(&BTreeSet::from([workspace.clone()])).await?;
        Ok(known.remove(workspace).unwrap_or_default())
    }
}

/// An attempt that failed before HCP Terraform was asked to create anything.
fn untried(error: impl Into<CreateError>, claimed: &Claimed) -> Failed<CreateError> {
    Failed { error: error.into(), tried: claimed.tried }
}

fn failed(error: TerraformError) -> Failed<CreateError> {
    let tried = error.may_have_had_effect();
    Failed { error: error.into(), tried }
}
