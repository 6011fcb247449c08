//! HCP Terraform in memory: workspaces with a queue of runs each, states, and what it tells of them.

mod api;
mod deeds;
mod evaluate;
mod list;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_domain::{Autonomy, Digest, Marker, Standing, StateVersionId, Workspace, WorkspaceId};

use crate::scenario::Spec;

pub use api::{number_of, run_id};
pub use evaluate::{expected, mix};

/// Values of the outputs `o0`, `o1` …
pub type Values = Vec<u64>;

/// What a run read of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// By which name it was read.
    pub name: Workspace,
    /// The values.
    pub values: Values,
    /// When their state version was written, by HCP Terraform's clock.
    pub created_at: u64,
}

/// A state version.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    /// Its id.
    pub version: StateVersionId,
    /// Counts up.
    pub serial: u64,
    /// The run that wrote it.
    pub run: Option<usize>,
    /// When, by HCP Terraform's clock.
    pub created_at: u64,
    /// The outputs.
    pub outputs: Values,
    /// The copies of what was read, by the names of then.
    pub copies: BTreeMap<Workspace, Values>,
    /// Stands for its resources.
    pub content: u64,
    /// The generation of the workspace.
    pub lineage: u32,
    /// Nothing is in it.
    pub empty: bool,
    /// The copies were taken over by a run that did not act on them.
    pub partial: bool,
}

/// What a run is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Everything.
    Whole,
    /// Nothing but what its target or a refresh takes in: what is read is not acted on.
    Partly,
    /// Destroy everything.
    Destroys,
    /// Show what it would do.
    PlanOnly,
}

/// One run.
#[derive(Debug)]
pub struct Run {
    /// Its workspace.
    pub workspace: usize,
    /// Which making of the workspace it belongs to.
    pub generation: u32,
    /// Its message.
    pub message: String,
    /// The marker in it, if Sluice wrote it.
    pub marker: Option<Marker>,
    /// When it was created, by HCP Terraform's clock.
    pub created_at: u64,
    /// Where it stands.
    pub standing: Standing,
    /// Since when, by HCP Terraform's clock.
    pub since: u64,
    /// The workspace's own setting that it runs with.
    pub own: u64,
    /// How often the configuration was rewritten that it runs with.
    pub program: u64,
    /// What it is to do.
    pub way: Way,
    /// What it read, once it has begun to plan.
    pub saw: BTreeMap<usize, Seen>,
    /// What was there to be read when it was created.
    pub offered: BTreeMap<usize, Values>,
    /// It fails: when it plans, or when it applies.
    pub fails: Option<Standing>,
    /// When it began to plan, by our clock.
    pub began: Option<u64>,
    /// When it ended, by our clock.
    pub ended: Option<u64>,
}

impl Run {
    /// Whether Sluice created it.
    #[must_use]
    pub fn ours(&self) -> bool {
        self.marker.is_some()
    }
}

/// One workspace.
#[derive(Debug)]
pub struct Site {
    /// How it behaves.
    pub spec: Spec,
    /// Counts how often it was made.
    pub generation: u32,
    /// Its id.
    pub id: WorkspaceId,
    /// Its name now.
    pub name: Workspace,
    /// It is there.
    pub alive: bool,
    /// Its own setting.
    pub own: u64,
    /// How often its configuration was rewritten.
    pub program: u64,
    /// Its state versions.
    pub states: Vec<Arc<State>>,
    /// Its runs, the oldest first.
    pub runs: Vec<usize>,
    /// Its last run that got through.
    pub through: Option<usize>,
    /// Its last run that ended.
    pub last: Option<usize>,
    /// It is locked.
    pub locked: bool,
    /// So many of its next runs fail.
    pub breaks: u8,
    /// Its names so far.
    pub renames: u32,
    /// A state version is still to be written.
    pub writing: bool,
    /// What its tags allow.
    pub tag: Option<Autonomy>,
    /// What they ever allowed.
    pub tags_had: BTreeSet<Option<Autonomy>>,
    /// Counts changes of its outputs.
    pub turns: u64,
}

impl Site {
    /// Its current state version.
    #[must_use]
    pub fn state(&self) -> Option<&Arc<State>> {
        self.states.last()
    }
}

/// What becomes of a run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// The next run of the workspace begins to plan, if none is in its way.
    Begin(usize),
    /// The plan-only run begins.
    BeginAlone(usize),
    /// The run has planned.
    Planned(usize),
    /// Whoever was shown the run's plan has had time to look at it.
    Judged(usize),
    /// A person confirms the run's plan.
    Confirm(usize),
    /// A person discards the run's plan.
    Discard(usize),
    /// The run has applied.
    Applied(usize),
    /// The state that the run wrote becomes current.
    Written(usize),
}

/// A piece of news that HCP Terraform sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The run.
    pub run: usize,
    /// What happened.
    pub trigger: &'static str,
    /// The run's status.
    pub status: &'static str,
    /// The body, as it is sent.
    pub body: String,
    /// Whether it tells of the run's end.
    pub ends: bool,
}

/// HCP Terraform.
#[derive(Debug, Default)]
pub struct Hcp {
    /// Our clock.
    pub now: u64,
    /// How far its own clock is ahead.
    pub skew_ms: i64,
    /// The workspaces.
    pub sites: Vec<Site>,
    /// All runs.
    pub runs: Vec<Run>,
    /// How long the state of each applied run takes to become current, in milliseconds, in turn.
    pub lags: Vec<u64>,
    /// What is to be sent.
    pub outbox: Vec<Notice>,
    /// Runs whose plans are to be shown.
    pub shown: Vec<usize>,
    /// What is to happen.
    pub timers: Vec<(u64, Timer)>,
    /// Counts changes: what is at rest does not change.
    pub stirs: u64,
    /// The list of workspaces begins with those that never ran.
    pub idle_first: bool,
    ids: BTreeMap<WorkspaceId, usize>,
    names: BTreeMap<Workspace, usize>,
    versions: u64,
    /// Digests change with every state version: for a mutation.
    pub digests_with_version: bool,
}

impl Hcp {
    /// Nothing is there yet.
    #[must_use]
    pub fn new(now: u64, skew_ms: i64) -> Self {
        Self { now, skew_ms, ..Self::default() }
    }

    /// Its own clock.
    #[must_use]
    pub fn clock(&self) -> u64 {
        self.now.saturating_add_signed(self.skew_ms)
    }

    /// The workspace of a name.
    #[must_use]
    pub fn by_name(&self, name: &Workspace) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Workspaces with what they have read and written before Sluice was there.
    pub fn found(&mut self, specs: &[Spec]) {
        for (number, spec) in specs.iter().enumerate() {
            let site = Site {
                spec: spec.clone(),
                generation: 0,
                id: site_id(number, 0),
                name: name(number, 0),
                alive: true,
                own: 1,
                program: 0,
                states: Vec::new(),
                runs: Vec::new(),
                through: None,
                last: None,
                locked: false,
                breaks: 0,
                renames: 0,
                writing: false,
                tag: None,
                tags_had: [None].into(),
                turns: 0,
            };
            self.ids.insert(site.id.clone(), number);
            self.names.insert(site.name.clone(), number);
            self.sites.push(site);
        }
        // Twice, so that those in a cycle have something to have read; then until only they are stale.
        for _ in 0..2 {
            for number in 0..specs.len() {
                self.has_run(number);
            }
        }
        for _ in 0..4 * specs.len() {
            let stale: Vec<usize> = (0..specs.len()).filter(|number| self.is_outdated(*number)).collect();
            if stale.is_empty() {
                break;
            }
            for number in stale {
                self.has_run(number);
            }
        }
    }

    /// The workspace has changed some time ago, and nobody who reads it has run since.
    pub fn has_changed(&mut self, number: usize) {
        self.sites[number].own += 1;
        self.has_run(number);
    }

    /// Whether something that the workspace read outside of any cycle is otherwise now.
    fn is_outdated(&self, number: usize) -> bool {
        let saw = self.sites[number].through.map(|run| &self.runs[run].saw);
        let now = self.look_at_inputs(number, self.sites[number].program);
        let differs = |(read, seen): (&usize, &Seen)| {
            let before = saw.and_then(|saw| saw.get(read)).map(|seen| &seen.values);
            before != Some(&seen.values) && !self.reads_back(number, *read)
        };
        now.iter().any(differs)
    }

    /// Whether `producer` reads `number`, perhaps by way of others.
    #[must_use]
    pub fn reads_back(&self, number: usize, producer: usize) -> bool {
        let mut seen = vec![false; self.sites.len()];
        let mut left = vec![producer];
        while let Some(next) = left.pop() {
            if next == number {
                return true;
            }
            if !std::mem::replace(&mut seen[next], true) {
                left.extend(&self.sites[next].spec.reads);
            }
        }
        false
    }

    /// The workspace has run and applied, some time ago.
    fn has_run(&mut self, number: usize) {
        // All of it in the last hour, however many there are.
        let apart = if self.sites.len() > 200 { 10 } else { 1_000 };
        let at = self.clock() - 3_600_000 + apart * self.runs.len() as u64;
        let run = self.new_run(number, "before", at, Way::Whole);
        let saw = self.look_at_inputs(number, self.sites[number].program);
        let (outputs, content) = self.evaluate(number, (self.sites[number].own, self.sites[number].program), &saw);
        self.push_state(number, Some(run), at + 500, outputs, &saw, content, Way::Whole);
        let made = &mut self.runs[run];
        (made.standing, made.since, made.ended) = (sluice_domain::Standing::Applied, at, Some(0));
        made.saw = saw;
        let site = &mut self.sites[number];
        (site.through, site.last) = (Some(run), Some(run));
    }

    /// The digest of one output of a state version.
    fn digest(&self, state: &State, value: u64) -> Digest {
        let salt = if self.digests_with_version { state.serial } else { 0 };
        digest(value ^ salt << 48)
    }
}

/// A digest that stands for a value.
#[must_use]
pub fn digest(value: u64) -> Digest {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&value.to_be_bytes());
    Digest(bytes)
}

/// The id of a workspace by its number and making.
fn site_id(number: usize, generation: u32) -> WorkspaceId {
    format!("ws-{number}-{generation}").parse().expect("it is an id")
}

/// The name of a workspace by its number and how often it was renamed.
#[must_use]
pub fn name(number: usize, renames: u32) -> Workspace {
    let suffix = if renames == 0 { String::new() } else { format!("-{renames}") };
    format!("tfe/acme/w{number:02}{suffix}").parse().expect("it is a name")
}
