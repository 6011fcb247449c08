//! Work that must outlive an invocation: items of the table that are due at some time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decide::{Cause, Decision, Verdict};
use crate::digest::of_texts;
use crate::facts::{InputsKey, StateFacts};
use crate::graph::Graph;
use crate::names::{RunId, Workspace};
use crate::run::RunReport;
use crate::time::Timestamp;

/// Which function serves the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// state-indexer.
    Index,
    /// run-creator.
    Create,
    /// Nobody: dead letters, for a person to see and replay.
    Dead,
}

impl Queue {
    /// Its name in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
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
    /// A run is to be created.
    Create(Workspace),
}

impl WorkKey {
    /// The queue it belongs to while it is alive.
    #[must_use]
    pub fn queue(&self) -> Queue {
        match self {
            Self::Run(..) | Self::Look(_) | Self::Waiter { .. } | Self::Verify(_) => Queue::Index,
            Self::Create(_) => Queue::Create,
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
            Self::Create(workspace) => write!(f, "run in {}", workspace.short()),
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
    /// Create a run.
    Create(Order),
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
    /// When the newest of the causes' state versions was written: whatever run comes of this is younger.
    pub newest: Timestamp,
    /// When it was decided.
    pub decided_at: Timestamp,
}

impl Order {
    /// The order that carries out `decision` about `workspace`, if that is to run.
    #[must_use]
    pub fn of(workspace: &Workspace, decision: &Decision, graph: &Graph, now: Timestamp) -> Option<Self> {
        let inputs = decision.inputs.filter(|_| decision.verdict == Verdict::Run)?;
        // The state versions go into the marker, as the same values coming back later are another change.
        let states: Vec<&StateFacts> = decision
            .causes
            .iter()
            .filter_map(|cause| graph.facts(graph.number(&cause.producer)?).state.as_ref())
            .collect();
        let newest = states.iter().map(|state| state.created_at).max().unwrap_or_default();
        let (name, key) = (workspace.to_string(), inputs.to_string());
        let versions = states.iter().map(|state| state.version.as_str());
        let digest = of_texts([name.as_str(), key.as_str()].into_iter().chain(versions)).to_string();
        let marker = Marker(format!("{MARKER_PREFIX}{}", &digest[..MARKER_DIGITS]));
        Some(Self { inputs, marker, causes: decision.causes.clone(), newest, decided_at: now })
    }

    /// The message of the run: who caused it, in people's words, then the marker.
    #[must_use]
    pub fn message(&self) -> String {
        let names: Vec<String> = self.causes.iter().take(5).map(|cause| cause.producer.short()).collect();
        let more = if self.causes.len() > 5 { " and others" } else { "" };
        format!("Outputs changed in {}{more} [{}]", names.join(", "), self.marker)
    }
}

/// A short text that stands for one (workspace, inputs), looked for in run messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marker(pub String);

const MARKER_PREFIX: &str = "sluice-";
const MARKER_DIGITS: usize = 16;

impl Marker {
    /// The marker that a run's message ends with, if Sluice wrote it.
    #[must_use]
    pub fn in_message(message: &str) -> Option<Self> {
        let (_, marker) = message.trim_end().strip_suffix(']')?.rsplit_once('[')?;
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
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_at_the_end_of_our_own_messages_only() {
        let order = Order {
            inputs: InputsKey("00112233445566778899aabbccddeeff".parse().unwrap()),
            marker: Marker("sluice-0011223344556677".into()),
            causes: Vec::new(),
            newest: Timestamp(0),
            decided_at: Timestamp(0),
        };
        assert_eq!(Marker::in_message(&order.message()), Some(order.marker));
        for message in ["", "]", "[sluice-]", "[sluice-00112233445566778]", "about [sluice-0011223344556677] and more"]
        {
            assert_eq!(Marker::in_message(message), None, "{message}");
        }
    }
}
