//! The domain's ports over the models: each call is suspended before its effect and after it.

mod asks;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use sluice_domain::ports::{
    Around, Bell, FactStore, Inbox, Known, Pause, Recorded, StoreError, Tallies, Tally, TerraformError, Worklist, Write,
};
use sluice_domain::{Autonomy, Claimed, Queue, RunReport, Timestamp, WorkKey, Workspace, WorkspaceId};

use crate::mutation::Mutation;
use crate::world::{Outcome, Place, World, no_table, no_terraform};

/// What one worker has been told, as far as what it does next is to be judged by it.
#[derive(Debug, Clone, Default)]
pub struct Seat {
    /// When it began, by the clock it was given.
    pub started: u64,
    /// What the workspace that it asked for by name allowed at that moment.
    pub allowed: Option<(WorkspaceId, Autonomy)>,
    /// When it was told last that runs may be created.
    pub unpaused_at: Option<u64>,
    /// It has a turn to ask HCP Terraform.
    pub turn: bool,
    /// It has a turn to list runs.
    pub list_turn: bool,
}

/// The world as one worker sees it.
#[derive(Debug, Clone)]
pub struct Port {
    world: Arc<Mutex<World>>,
    /// Nothing this worker commits takes effect any more: for a mutation.
    dropping: Arc<AtomicBool>,
    seat: Arc<Mutex<Seat>>,
}

/// Is pending once.
struct Suspension(bool);

impl Future for Suspension {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Port {
    /// The world for a new worker, who begins at `started`.
    #[must_use]
    pub fn new(world: Arc<Mutex<World>>, started: u64) -> Self {
        let seat = Seat { started, ..Seat::default() };
        Self { world, dropping: Arc::default(), seat: Arc::new(Mutex::new(seat)) }
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().expect("one thread polls, and a panic ends it")
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("one thread polls, and a panic ends it")
    }

    async fn suspend(&self, operation: &'static str, after: bool) {
        {
            let mut world = self.world();
            world.place = Place { operation, after };
            world.suspensions += 1;
        }
        Suspension(false).await;
    }

    /// One operation of the table.
    async fn table<R: Send>(
        &self,
        operation: &'static str,
        writes: bool,
        effect: impl FnOnce(&mut World) -> Result<R, StoreError> + Send,
    ) -> Result<R, StoreError> {
        self.suspend(operation, false).await;
        let result = {
            let mut world = self.world();
            match world.table_outcome(operation, writes) {
                Outcome::Well => effect(&mut world),
                Outcome::Conflict => Err(StoreError::Conflict),
                Outcome::After => effect(&mut world).and(Err(no_table())),
                Outcome::Before | Outcome::Throttled => Err(no_table()),
            }
        };
        self.suspend(operation, true).await;
        result
    }

    /// One request to HCP Terraform.
    async fn api<R: Send>(
        &self,
        operation: &'static str,
        writes: bool,
        effect: impl FnOnce(&mut World) -> Result<R, TerraformError> + Send,
    ) -> Result<R, TerraformError> {
        // Whoever has waited for a turn uses it at once.
        let result = {
            let mut world = self.world();
            world.take_request(operation, &mut self.seat());
            match world.api_outcome(operation, writes) {
                Outcome::Well => effect(&mut world),
                Outcome::After => effect(&mut world).and(Err(no_terraform(Outcome::After))),
                outcome => Err(no_terraform(outcome)),
            }
        };
        self.suspend(operation, true).await;
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

    async fn postpone(&self, claimed: &Claimed, until: Timestamp, why: Option<&str>) -> Result<(), StoreError> {
        self.table("postpone", true, |world| {
            world.table.postpone(claimed, until, why);
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

impl Tallies for Port {
    async fn join(&self, tally: &Tally, run: &str, most: u32, _: Timestamp) -> Result<bool, StoreError> {
        self.table("join", true, |world| {
            let ignored = world.scenario.mutation == Some(Mutation::BudgetIgnored);
            Ok(world.table.join(tally, run, if ignored { u32::MAX } else { most }))
        })
        .await
    }

    async fn leave(&self, tally: &Tally, run: &str) -> Result<(), StoreError> {
        self.table("leave", true, |world| {
            if world.scenario.mutation != Some(Mutation::UnderwayLeaks) {
                world.table.leave(tally, run);
            }
            Ok(())
        })
        .await
    }

    async fn counted(&self, tally: &Tally) -> Result<BTreeSet<String>, StoreError> {
        self.table("counted", false, |world| Ok(world.table.counted(tally))).await
    }

    async fn paused(&self) -> Result<Option<Pause>, StoreError> {
        self.table("paused", false, |world| {
            let pause = world.table.ask_paused();
            if world.scenario.mutation == Some(Mutation::PauseIgnored) {
                return Ok(None);
            }
            self.seat().unpaused_at = pause.is_none().then_some(world.now);
            Ok(pause)
        })
        .await
    }

    async fn set_paused(&self, pause: Option<&Pause>) -> Result<(), StoreError> {
        self.table("set_paused", true, |world| {
            world.table.set_paused(pause);
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
