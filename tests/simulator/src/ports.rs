//! The domain's ports over the models: each call is suspended before its effect and after it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use sluice_domain::ports::{
    Around, Bell, CreatedRun, FactStore, Inbox, Known, Recorded, Runs, StateVersion, States, StoreError,
    TerraformError, Worklist, WorkspaceFound, Write,
};
use sluice_domain::{Claimed, Findings, Marker, Queue, RunReport, Timestamp, WorkKey, Workspace, WorkspaceId};

use crate::mutation::Mutation;
use crate::world::{Outcome, Place, World, no_table, no_terraform};

/// The world as one worker sees it.
#[derive(Debug, Clone)]
pub struct Port {
    world: Arc<Mutex<World>>,
    /// Nothing this worker commits takes effect any more: for a mutation.
    dropping: Arc<AtomicBool>,
}

/// Is pending once.
struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Port {
    /// The world for a new worker.
    #[must_use]
    pub fn new(world: Arc<Mutex<World>>) -> Self {
        Self { world, dropping: Arc::default() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("one thread polls, and a panic ends it")
    }

    async fn pause(&self, operation: &'static str, after: bool) {
        {
            let mut world = self.world();
            world.place = Place { operation, after };
            world.suspensions += 1;
        }
        Pause(false).await;
    }

    /// One operation of the table.
    async fn table<R: Send>(
        &self,
        operation: &'static str,
        writes: bool,
        effect: impl FnOnce(&mut World) -> Result<R, StoreError> + Send,
    ) -> Result<R, StoreError> {
        self.pause(operation, false).await;
        let result = {
            let mut world = self.world();
            match world.table_outcome(operation, writes) {
                Outcome::Well => effect(&mut world),
                Outcome::Conflict => Err(StoreError::Conflict),
                Outcome::After => effect(&mut world).and(Err(no_table())),
                Outcome::Before | Outcome::Throttled => Err(no_table()),
            }
        };
        self.pause(operation, true).await;
        result
    }

    /// One request to HCP Terraform.
    async fn api<R: Send>(
        &self,
        operation: &'static str,
        writes: bool,
        effect: impl FnOnce(&mut World) -> Result<R, TerraformError> + Send,
    ) -> Result<R, TerraformError> {
        self.pause(operation, false).await;
        let result = {
            let mut world = self.world();
            match world.api_outcome(operation, writes) {
                Outcome::Well => effect(&mut world),
                Outcome::After => effect(&mut world).and(Err(no_terraform(Outcome::After))),
                outcome => Err(no_terraform(outcome)),
            }
        };
        self.pause(operation, true).await;
        result
    }

    /// A commit in two halves, with a suspension between them.
    async fn torn(&self, writes: &[Write]) -> Result<(), StoreError> {
        let half = writes.len().div_ceil(2);
        self.table("commit", true, |world| world.commit_part(writes, &writes[..half])).await?;
        self.table("commit", true, |world| world.commit_rest(&writes[half..])).await
    }
}

impl Inbox for Port {
    async fn record(&self, report: &RunReport, now: Timestamp) -> Result<Recorded, StoreError> {
        self.table("record", true, |world| Ok(world.table.record(report, now))).await
    }
}

impl Worklist for Port {
    async fn claim(&self, key: &WorkKey, now: Timestamp, lease_ms: u64) -> Result<Option<Claimed>, StoreError> {
        self.table("claim", true, |world| {
            let mut claimed = world.table.claim(key, now, lease_ms);
            if world.scenario.mutation == Some(Mutation::TriedLost)
                && let Some(claimed) = &mut claimed
            {
                claimed.tried = false;
            }
            Ok(claimed)
        })
        .await
    }

    async fn complete(&self, claimed: &Claimed) -> Result<(), StoreError> {
        self.table("complete", true, |world| {
            world.table.complete(claimed);
            Ok(())
        })
        .await
    }

    async fn postpone(&self, claimed: &Claimed, until: Timestamp) -> Result<(), StoreError> {
        self.table("postpone", true, |world| {
            world.table.postpone(claimed, until);
            Ok(())
        })
        .await
    }

    async fn defer(&self, claimed: &Claimed, until: Timestamp, fault: &str, tried: bool) -> Result<(), StoreError> {
        self.table("defer", true, |world| {
            world.table.defer(claimed, until, fault, tried);
            Ok(())
        })
        .await
    }

    async fn bury(&self, claimed: &Claimed, now: Timestamp, fault: &str) -> Result<(), StoreError> {
        self.table("bury", true, |world| {
            world.note(|| format!("  a dead letter: {}: {fault}", claimed.key));
            world.table.bury(claimed, now, fault);
            Ok(())
        })
        .await
    }
}

impl Bell for Port {
    async fn due(&self, queue: Queue, now: Timestamp, limit: u16) -> Result<Vec<WorkKey>, StoreError> {
        self.table("due", false, |world| Ok(world.table.due(queue, now, limit))).await
    }

    async fn ring(&self, key: &WorkKey) -> Result<(), StoreError> {
        self.table("ring", true, |world| {
            world.table.ring(key);
            Ok(())
        })
        .await
    }
}

impl FactStore for Port {
    async fn around(&self, workspace: &Workspace) -> Result<Around, StoreError> {
        self.table("around", false, |world| Ok(world.table.around(workspace))).await
    }

    async fn known(&self, workspaces: &BTreeSet<Workspace>) -> Result<BTreeMap<Workspace, Known>, StoreError> {
        self.table("known", false, |world| Ok(world.table.known(workspaces, true))).await
    }

    async fn facts(&self, workspaces: &BTreeSet<Workspace>) -> Result<BTreeMap<Workspace, Known>, StoreError> {
        if workspaces.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.table("facts", false, |world| Ok(world.table.known(workspaces, false))).await
    }

    async fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() || self.dropping.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (mutation, writes) = {
            let mut world = self.world();
            (world.scenario.mutation, world.broken(writes))
        };
        if mutation == Some(Mutation::TornCommits) {
            return self.torn(&writes).await;
        }
        let result = self.table("commit", true, |world| world.commit(&writes)).await;
        if mutation == Some(Mutation::ConflictStopsLook) && matches!(result, Err(StoreError::Conflict)) {
            self.dropping.store(true, Ordering::Relaxed);
            return Ok(());
        }
        result
    }
}

impl States for Port {
    async fn current_state(&self, workspace: &WorkspaceId) -> Result<Option<StateVersion>, TerraformError> {
        self.api("current_state", false, |world| Ok(world.hcp.current_state(workspace))).await
    }

    async fn read_state(&self, _: &Workspace, version: &StateVersion) -> Result<Findings, TerraformError> {
        self.api("read_state", false, |world| world.hcp.read_state(version)).await
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<WorkspaceFound>, TerraformError> {
        self.api("workspace", false, |world| Ok(world.hcp.workspace(id))).await
    }

    async fn run(&self, report: &RunReport) -> Result<Option<RunReport>, TerraformError> {
        self.api("run", false, |world| Ok(world.hcp.run(report))).await
    }
}

impl Runs for Port {
    async fn create_run(&self, workspace: &WorkspaceId, message: &str) -> Result<CreatedRun, TerraformError> {
        self.api("create_run", true, |world| world.create_run(workspace, message)).await
    }

    async fn find_run(&self, workspace: &WorkspaceId, marker: &Marker) -> Result<Option<CreatedRun>, TerraformError> {
        self.api("find_run", false, |world| {
            let blind = world.scenario.mutation == Some(Mutation::NoMarkerLook);
            Ok(if blind { None } else { world.hcp.find_run(workspace, marker) })
        })
        .await
    }

    async fn workspace_id(&self, workspace: &Workspace) -> Result<Option<WorkspaceId>, TerraformError> {
        self.api("workspace_id", false, |world| Ok(world.hcp.workspace_id(workspace))).await
    }
}
