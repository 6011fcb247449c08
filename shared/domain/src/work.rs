//! Work that must outlive an invocation: items of the table that are due at some time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::of_texts;
use crate::facts::{InputsKey, StateFacts};
use crate::graph::Graph;
use crate::names::{CheckName, Host, Organization, RunId, StateVersionId, TaskResultId, Workspace, WorkspaceId};
use crate::policy::Autonomy;
use crate::run::RunReport;
use crate::time::Timestamp;
use crate::trace::{Trace, last_bracket};
use crate::verdict::{Cause, Decision, Verdict};

/// Which function serves the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// state-indexer.
    Index,
    /// state-indexer, for what can wait.
    Bulk,
    /// run-creator.
    Create,
    /// task-runner.
    Check,
    /// job-runner.
    Job,
    /// run-task-relay.
    Relay,
    /// Nobody: dead letters, for a person to see and replay.
    Dead,
}

impl Queue {
    /// Its name in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Bulk => "bulk",
            Self::Create => "create",
            Self::Check => "check",
            Self::Job => "job",
            Self::Relay => "relay",
            Self::Dead => "dead",
        }
    }
}

/// One piece of work. There is at most one of each, so asking for it twice is asking for it once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKey {
    /// News of a run is to be taken in. The workspace is part of it: a run keeps its id when that is renamed.
    Run(Workspace, RunId),
    /// A workspace and what is below it are to be looked at.
    Look(Workspace),
    /// A wait has lasted so long that it is to be looked at again.
    Waiter {
        /// The workspace that is waited for.
        holder: Workspace,
        /// The workspace that waits.
        waiter: Workspace,
    },
    /// It is to be found out whether a workspace is still there.
    Verify(Workspace),
    /// The current state of a workspace is to be read, whatever was heard of its runs.
    Read(Workspace),
    /// The workspaces of an organization are to be listed.
    Survey(Host, Organization),
    /// A run is to be created.
    Create(Workspace),
    /// A check of a task result is to be begun, or looked after.
    Check(TaskResultId, CheckName),
    /// The job of a check is to be begun, looked after, or removed.
    Job(TaskResultId, CheckName),
    /// HCP Terraform is to be told about a task result.
    Relay(TaskResultId),
}

impl WorkKey {
    /// The queue it belongs to while it is alive.
    #[must_use]
    pub fn queue(&self) -> Queue {
        match self {
            Self::Run(..) | Self::Look(_) | Self::Waiter { .. } | Self::Verify(_) => Queue::Index,
            Self::Read(_) | Self::Survey(..) => Queue::Bulk,
            Self::Create(_) => Queue::Create,
            Self::Check(..) => Queue::Check,
            Self::Job(..) => Queue::Job,
            Self::Relay(_) => Queue::Relay,
        }
    }

    /// A number that differs between works, to keep their retries apart.
    #[must_use]
    pub fn spread(&self) -> u64 {
        u64::from(of_texts([self.to_string().as_str()]).0[0])
    }
}

impl fmt::Display for WorkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(workspace, run) => write!(f, "news of {run} in {}", workspace.short()),
            Self::Look(workspace) => write!(f, "look at {}", workspace.short()),
            Self::Waiter { holder, waiter } => write!(f, "wait of {} for {}", waiter.short(), holder.short()),
            Self::Verify(workspace) => write!(f, "whether {} is there", workspace.short()),
            Self::Read(workspace) => write!(f, "state of {}", workspace.short()),
            Self::Survey(_, organization) => write!(f, "list of the workspaces of {organization}"),
            Self::Create(workspace) => write!(f, "run in {}", workspace.short()),
            Self::Check(result, check) => write!(f, "check {check} of {result}"),
            Self::Job(result, check) => write!(f, "job {check} of {result}"),
            Self::Relay(result) => write!(f, "answer to {result}"),
        }
    }
}

/// Work that this invocation has taken on, until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Which work.
    pub key: WorkKey,
    /// Counts how often the work was asked for: work that was asked for again meanwhile is not done with.
    pub seq: u64,
    /// Which attempt this is, from 1.
    pub attempts: u32,
    /// An earlier attempt may have had its effect: look before acting.
    pub tried: bool,
    /// It was given up, and a person has had it taken up again.
    pub replayed: bool,
    /// What is to be done.
    pub task: Task,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Take in news of a run.
    Run(RunReport),
    /// Look at a workspace and what is below it.
    Look,
    /// Look at a workspace that has waited long.
    Waiter,
    /// Find out whether a workspace is still there.
    Verify,
    /// Read a workspace's current state.
    Read(Reading),
    /// List the workspaces of an organization.
    Survey(Survey),
    /// Create a run.
    Create(Order),
    /// Begin a check, or look after it.
    Check,
    /// Tell HCP Terraform.
    Relay,
}

/// A state that is to be read though no run told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The workspace, by id.
    pub id: WorkspaceId,
    /// It is taken as it is, and makes nobody stale: nothing was known of the workspace before.
    #[serde(default)]
    pub baseline: bool,
    /// What its tags allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagged: Option<Autonomy>,
}

/// How far the workspaces of an organization have been listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Survey {
    /// What is under way.
    pub scope: SurveyScope,
    /// The next page, from 1.
    pub page: u32,
    /// How many workspaces have been listed.
    pub listed: u32,
    /// How many there are, as HCP Terraform says.
    pub total: u32,
    /// How many of those listed have a state that was not known.
    pub unknown: u32,
    /// When everything was listed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
}

/// Which workspaces a survey lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum SurveyScope {
    /// Those that ran last, until all on a page are as they are known: finds what no notification told.
    #[default]
    LatelyRun,
    /// Those whose state changed last, likewise.
    LatelyChanged,
    /// All of them.
    All,
}

/// A run that is to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What the run is for.
    pub inputs: InputsKey,
    /// Goes into the run's message, so that a lost answer can be made good by looking.
    pub marker: Marker,
    /// Why.
    pub causes: Vec<Cause>,
    /// Whether it may change anything.
    #[serde(default)]
    pub kind: RunKind,
    /// The change it follows from; unknown of orders from before waves were told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<Wave>,
    /// When the newest of the causes' state versions was written: whatever run comes of this is younger.
    pub newest: Timestamp,
    /// When it was decided.
    pub decided_at: Timestamp,
}

/// Whether a run may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// It plans, and applies where the workspace's own setting says so.
    #[default]
    Apply,
    /// It only plans. HCP Terraform never notifies of such a run.
    PlanOnly,
}

/// Everything that follows from one change: where it began, and how many steps it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// The workspace where it began.
    pub root: Workspace,
    /// The state version it began with.
    pub origin: StateVersionId,
    /// How many steps below the root.
    pub depth: u32,
    /// The id by which it is found again; unknown of waves from before they had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// When that state version was written, by HCP Terraform's clock; unknown likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
}

impl Wave {
    /// The wave that reaches a workspace by what was decided about it; of several, the one that has come furthest.
    #[must_use]
    pub fn of(decision: &Decision, graph: &Graph) -> Option<Self> {
        causing(decision, graph).map(|(producer, state)| state.wave_below(producer)).max_by_key(|wave| wave.depth)
    }

    /// The id by which it is found again.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.trace.clone().unwrap_or_else(|| Trace::of_state(&self.root.host, &self.origin))
    }
}

/// The states that a decision was made because of, with their workspaces.
fn causing<'a>(decision: &'a Decision, graph: &'a Graph) -> impl Iterator<Item = (&'a Workspace, &'a StateFacts)> {
    let state = |producer| graph.facts(graph.number(producer)?).state.as_ref();
    decision.causes.iter().filter_map(move |cause| Some((&cause.producer, state(&cause.producer)?)))
}

impl Order {
    /// The order that carries out `decision` about `workspace`, if that is to run.
    #[must_use]
    pub fn of(workspace: &Workspace, decision: &Decision, graph: &Graph, now: Timestamp) -> Option<Self> {
        let kind = match decision.verdict {
            Verdict::Run => RunKind::Apply,
            Verdict::Plan => RunKind::PlanOnly,
            _ => return None,
        };
        let inputs = decision.inputs?;
        // The state versions go into the marker, as the same values coming back later are another change.
        let states: Vec<&StateFacts> = causing(decision, graph).map(|(_, state)| state).collect();
        let newest = states.iter().map(|state| state.created_at).max().unwrap_or_default();
        let (name, key) = (workspace.to_string(), inputs.to_string());
        let versions = states.iter().map(|state| state.version.as_str());
        let only = (kind == RunKind::PlanOnly).then_some("plan only");
        let digest = of_texts([name.as_str(), key.as_str()].into_iter().chain(versions).chain(only)).to_string();
        let marker = Marker(format!("{MARKER_PREFIX}{}", &digest[..MARKER_DIGITS]));
        let wave = Wave::of(decision, graph);
        Some(Self { inputs, marker, causes: decision.causes.clone(), kind, wave, newest, decided_at: now })
    }

    /// Whether the run of `report` was created for this order: its message tells, even to someone who hears of the
    /// run before its creation is on record.
    #[must_use]
    pub fn made(&self, report: &RunReport) -> bool {
        report.marker.as_ref() == Some(&self.marker)
    }

    /// The trace of the wave that the run is part of.
    #[must_use]
    pub fn trace(&self) -> Option<Trace> {
        self.wave.as_ref().map(Wave::trace)
    }

    /// The message of the run: who caused it, in people's words, then the trace, then the marker: that comes last, where
    /// functions of the version before look for it while one takes the other's place.
    #[must_use]
    pub fn message(&self) -> String {
        let names: Vec<String> = self.causes.iter().take(5).map(|cause| cause.producer.short()).collect();
        let more = if self.causes.len() > 5 { " and others" } else { "" };
        let trace = self.trace().map_or_else(String::new, |trace| format!(" {}", trace.bracket()));
        format!("Outputs changed in {}{more}{trace} [{}]", names.join(", "), self.marker)
    }
}

/// A short text that stands for one (workspace, inputs), looked for in run messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marker(pub String);

impl Marker {
    /// How the run is counted against budgets: with its workspace, so that its count can be checked.
    #[must_use]
    pub fn counted_in(&self, workspace: &Workspace) -> String {
        format!("{self} {workspace}")
    }

    /// The workspace of a run that is counted.
    #[must_use]
    pub fn counted_workspace(counted: &str) -> Option<Workspace> {
        counted.split_once(' ')?.1.parse().ok()
    }
}

const MARKER_PREFIX: &str = "sluice-";
const MARKER_DIGITS: usize = 16;

impl Marker {
    /// The marker that a run's message ends with, if Sluice wrote it.
    #[must_use]
    pub fn in_message(message: &str) -> Option<Self> {
        let (_, marker) = last_bracket(message)?;
        let digits = marker.strip_prefix(MARKER_PREFIX)?;
        let hex = digits.len() == MARKER_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        hex.then(|| Self(marker.to_owned()))
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
