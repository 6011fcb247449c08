//! What the functions need of the table and of HCP Terraform, in this crate's own words.

mod cluster;
mod context;
mod gate;
mod pulse;
mod terraform;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use serde::{Deserialize, Serialize};

pub use crate::errors::{StoreError, TerraformError};
use crate::facts::Facts;
use crate::names::{Host, Organization, StateVersionId, Workspace};
use crate::run::RunReport;
use crate::time::Timestamp;
use crate::verdict::Decision;
use crate::work::{Claimed, Order, Queue, Reading, Survey, WorkKey};

pub use cluster::{About, Cluster, FILES, JobEnd, JobExit, JobOrder, JobPlace, Output, Patience, Standing, WORKSPACE};
pub use context::{ContextKey, ContextStore, Kept};
pub use gate::{Advance, Definitions, GateStore, Guard, Heard, StoredTask, TaskResults};
pub use pulse::{Pulse, Pulses, Sweeps};
pub use terraform::{
    CreatedRun, DownloadUrl, ListPage, RunListed, Runs, StateVersion, States, WorkspaceFound, WorkspaceListed,
};

/// Whether news was news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was written down, and work is due.
    New,
    /// As much was known already.
    Known,
}

/// Where news of runs is written down.
pub trait Inbox: Sync {
    /// Records `report`, unless as much is known, in one write.
    fn record(&self, report: &RunReport, now: Timestamp) -> impl Future<Output = Result<Recorded, StoreError>> + Send;
}

/// The work that is due.
pub trait Worklist: Sync {
    /// Takes work on until `now + lease_ms`. None if it is not due: done, deferred, or taken by another.
    fn claim(
        &self,
        key: &WorkKey,
        now: Timestamp,
        lease_ms: u64,
    ) -> impl Future<Output = Result<Option<Claimed>, StoreError>> + Send;

    /// The work is done, unless it was asked for again meanwhile.
    fn complete(&self, claimed: &Claimed) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The work is to be looked at again at `until`, from the first attempt on, as nothing went wrong. `why` says what
    /// it waits for. That an earlier attempt may have had its effect stays on record.
    fn postpone(
        &self,
        claimed: &Claimed,
        until: Timestamp,
        why: Option<&str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The work failed and is to be tried again at `until`. `tried`: the attempt may have had its effect.
    fn defer(
        &self,
        claimed: &Claimed,
        until: Timestamp,
        fault: &str,
        tried: bool,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The work failed for good: it becomes a dead letter.
    fn bury(
        &self,
        claimed: &Claimed,
        now: Timestamp,
        fault: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The bell that wakes functions for what is due.
pub trait Bell: Sync {
    /// Up to `limit` works of `queue` that were due at `now`, the oldest first.
    fn due(
        &self,
        queue: Queue,
        now: Timestamp,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<WorkKey>, StoreError>> + Send;

    /// Wakes the function that serves `key`.
    fn ring(&self, key: &WorkKey) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Facts as they were read, with what is needed to change them safely.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The facts; empty if nothing is known.
    pub facts: Facts,
    /// Counts changes of the facts, from 1; 0 if nothing is known.
    pub version: u64,
    /// The last decision.
    pub decision: Option<Decision>,
    /// The run that was ordered last.
    pub order: Option<Order>,
    /// That run is still to be created.
    pub ordered: bool,
    /// Why it has not been created yet, if something keeps it.
    pub held: Option<String>,
}

/// A workspace among its neighbours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Around {
    /// The workspace itself.
    pub known: Known,
    /// The workspaces that read it.
    pub consumers: BTreeSet<Workspace>,
    /// The workspaces that wait for it to settle.
    pub waiters: BTreeSet<Workspace>,
}

/// One change of the table. A commit makes all of its changes or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// New facts, if they are still at `version`.
    Facts {
        /// Whose.
        workspace: Workspace,
        /// The new facts.
        facts: Box<Facts>,
        /// The version that was read.
        version: u64,
    },
    /// Nothing, but only if the facts are still at `version`.
    Unchanged {
        /// Whose.
        workspace: Workspace,
        /// The version that was read.
        version: u64,
    },
    /// `consumer` reads `producer`.
    Consumer {
        /// The workspace that is read.
        producer: Workspace,
        /// The workspace that reads.
        consumer: Workspace,
    },
    /// `consumer` no longer reads `producer`.
    NoConsumer {
        /// The workspace that was read.
        producer: Workspace,
        /// The workspace that read.
        consumer: Workspace,
    },
    /// The workspace and what is below it are to be looked at.
    Look {
        /// Which.
        workspace: Workspace,
        /// When it is due.
        at: Timestamp,
    },
    /// The current state of the workspace is to be read.
    Read {
        /// Which.
        workspace: Workspace,
        /// How.
        reading: Reading,
        /// When it is due.
        at: Timestamp,
    },
    /// A survey begins, or goes on from where it is.
    Survey {
        /// The instance.
        host: Host,
        /// Whose workspaces are listed.
        organization: Organization,
        /// How far it is.
        survey: Survey,
        /// When it is due.
        at: Timestamp,
        /// Only if it was asked for as often as this and no oftener.
        seq: Option<u64>,
    },
    /// As [`Write::Survey`] from the beginning, but only if there never was one of the organization.
    FirstSurvey {
        /// The instance.
        host: Host,
        /// Whose workspaces are listed.
        organization: Organization,
        /// When it is due.
        at: Timestamp,
    },
    /// It is to be found out whether the workspace is still there.
    Verify {
        /// Which.
        workspace: Workspace,
        /// When it is due.
        at: Timestamp,
    },
    /// What was decided, and why.
    Decision {
        /// About which workspace.
        workspace: Workspace,
        /// The decision.
        decision: Decision,
        /// When.
        at: Timestamp,
    },
    /// Something about a workspace goes on record beside its decisions.
    Note {
        /// About which workspace.
        workspace: Workspace,
        /// What.
        decision: Decision,
        /// When.
        at: Timestamp,
    },
    /// `waiter` is to be looked at when `holder` settles, and at `until` in any case.
    Waiter {
        /// The workspace that is waited for.
        holder: Workspace,
        /// The workspace that waits.
        waiter: Workspace,
        /// When the wait is to be looked at.
        until: Timestamp,
    },
    /// `waiter` no longer waits for `holder`.
    NoWaiter {
        /// The workspace that was waited for.
        holder: Workspace,
        /// The workspace that waited.
        waiter: Workspace,
    },
    /// A run is to be created, unless one is being created.
    Order {
        /// Where.
        workspace: Workspace,
        /// The order.
        order: Order,
    },
    /// A run that Sluice created: its end is looked for at `until` if no notification tells of it.
    Watch {
        /// The run.
        report: RunReport,
        /// When to look.
        until: Timestamp,
    },
    /// Nothing is known of the workspace any more, if its facts are still at `version`.
    Forget {
        /// Which.
        workspace: Workspace,
        /// The version that was read.
        version: u64,
    },
}

/// Most changes in one commit; DynamoDB takes 100 actions, and some changes are two.
pub const WRITES_MAX: usize = 48;

/// What is known of workspaces.
pub trait FactStore: Sync {
    /// A workspace and its neighbours.
    fn around(&self, workspace: &Workspace) -> impl Future<Output = Result<Around, StoreError>> + Send;

    /// What is known of each of `workspaces`; those nothing is known of are left out.
    fn known(
        &self,
        workspaces: &BTreeSet<Workspace>,
    ) -> impl Future<Output = Result<BTreeMap<Workspace, Known>, StoreError>> + Send;

    /// What is known of one workspace.
    fn known_one(&self, workspace: &Workspace) -> impl Future<Output = Result<Known, StoreError>> + Send {
        async {
            let mut known = self.known(&BTreeSet::from([workspace.clone()])).await?;
            Ok(known.remove(workspace).unwrap_or_default())
        }
    }

    /// The facts of each of `workspaces` and their versions, and nothing else: a third of the reads.
    fn facts(
        &self,
        workspaces: &BTreeSet<Workspace>,
    ) -> impl Future<Output = Result<BTreeMap<Workspace, Known>, StoreError>> + Send;

    /// Makes all of `writes`, at most [`WRITES_MAX`], or none of them.
    fn commit(&self, writes: &[Write]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Runs that count against a budget, together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tally {
    /// Those that follow from the change that this state version was.
    Wave(StateVersionId),
    /// Those created in this hour of the clock, counted since the Unix epoch.
    Hour(u64),
    /// Those under way.
    UnderWay,
}

/// Counts runs against budgets, and knows whether a person has stopped everything.
pub trait Tallies: Sync {
    /// Adds `run` to `tally`, unless that has `most` others. Whoever is in it already stays in it, so that trying
    /// again counts once.
    fn join(
        &self,
        tally: &Tally,
        run: &str,
        most: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Takes `run` out of `tally`.
    fn leave(&self, tally: &Tally, run: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The runs in `tally`.
    fn counted(&self, tally: &Tally) -> impl Future<Output = Result<BTreeSet<String>, StoreError>> + Send;

    /// Since when, and why, no run is to be created at all; None if runs may be.
    fn paused(&self) -> impl Future<Output = Result<Option<Pause>, StoreError>> + Send;

    /// Stops the creation of runs, or lets it go on.
    fn set_paused(&self, pause: Option<&Pause>) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A person has stopped the creation of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When.
    pub since: Timestamp,
    /// Why, in that person's words.
    pub why: String,
}
