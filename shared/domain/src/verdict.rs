//! What is decided about a workspace, and how that reads.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::facts::InputsKey;
use crate::names::{RunId, Workspace};
use crate::time::Timestamp;

/// One reason to be stale: a workspace that is read, and which of its outputs changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The workspace that is read.
    pub producer: Workspace,
    /// Names of the outputs that changed.
    pub outputs: Vec<String>,
}

/// What is to be done about one workspace, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What is to be done.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What made it stale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Fingerprint of the causes, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<InputsKey>,
}

/// What is to be done about one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing it uses has changed.
    Settled,
    /// It is stale and nothing above it is moving: run it now.
    Run,
    /// As [`Self::Run`], but only a plan is allowed: a person applies.
    Plan,
    /// It is stale, and was planned for just these inputs: a person applies.
    Planned {
        /// The plan-only run.
        run: RunId,
    },
    /// It is stale, but what it reads may change again any moment.
    Settling {
        /// When it is looked at again.
        until: Timestamp,
    },
    /// It is stale, but so many steps below the workspace where it began that a person decides.
    TooDeep {
        /// How many steps.
        depth: u32,
    },
    /// It is stale, and a run that is young enough to see the change is there already.
    Adopt {
        /// That run.
        run: RunId,
    },
    /// It is stale, but its own present run is too old to see the change, and must end first.
    AwaitOwnRun {
        /// That run.
        run: RunId,
    },
    /// It is stale, but an ancestor is still moving.
    Wait {
        /// That ancestor.
        on: Workspace,
    },
    /// It is stale, but an ancestor failed or was declined.
    Blocked {
        /// That ancestor.
        by: Workspace,
    },
    /// It failed or was declined for just these inputs.
    Refused {
        /// The run that ended so, if there was one.
        run: Option<RunId>,
        /// How it ended.
        why: String,
    },
    /// What changed is in a cycle with it.
    Cycle {
        /// The workspace it reads and that reads it, perhaps by way of others.
        with: Workspace,
    },
    /// A workspace it reads was destroyed: a person decides.
    ProducerDestroyed {
        /// That workspace.
        producer: Workspace,
    },
    /// It is stale, but Sluice was told only to look.
    Observed,
    /// Its run is ordered, but something keeps it from being created. On record beside the decision, never instead of it.
    Held {
        /// What.
        why: String,
    },
}

impl Verdict {
    /// One lower-case word, as it is stored.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Run => "run",
            Self::Plan => "plan",
            Self::Planned { .. } => "planned",
            Self::Settling { .. } => "settling",
            Self::TooDeep { .. } => "too_deep",
            Self::Adopt { .. } => "adopt",
            Self::AwaitOwnRun { .. } => "await_own_run",
            Self::Wait { .. } => "wait",
            Self::Blocked { .. } => "blocked",
            Self::Refused { .. } => "refused",
            Self::Cycle { .. } => "cycle",
            Self::ProducerDestroyed { .. } => "producer_destroyed",
            Self::Observed => "observed",
            Self::Held { .. } => "held",
        }
    }

    /// Whether something is to be done: a run is created now, or soon.
    #[must_use]
    pub fn acts(&self) -> bool {
        matches!(self, Self::Run | Self::Plan | Self::Settling { .. })
    }

    /// The workspace whose settling makes this one worth another look.
    #[must_use]
    pub fn holder(&self) -> Option<&Workspace> {
        match self {
            Self::Wait { on } => Some(on),
            Self::Blocked { by } => Some(by),
            _ => None,
        }
    }
}

impl Decision {
    /// Whether an output of `producer` is among its causes.
    #[must_use]
    pub fn is_because_of(&self, producer: &Workspace) -> bool {
        self.causes.iter().any(|cause| cause.producer == *producer)
    }
}

impl fmt::Display for Decision {
    /// The reason as a sentence without its subject: "waits for acme/network, which is not settled".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Settled => f.write_str("nothing it reads has changed"),
            Verdict::Run => write!(f, "runs, because of {}", Causes(&self.causes)),
            Verdict::Plan => write!(f, "is planned only, because of {}", Causes(&self.causes)),
            Verdict::Planned { run } => {
                write!(f, "was planned by {run}, because of {}: a person applies", Causes(&self.causes))
            }
            Verdict::Settling { until } => {
                write!(f, "waits until {until} for more changes like {}", Causes(&self.causes))
            }
            Verdict::TooDeep { depth } => {
                write!(f, "is {depth} steps below the change, which is over the limit: a person decides")
            }
            Verdict::Adopt { run } => write!(f, "{run} is there already and will see {}", Causes(&self.causes)),
            Verdict::AwaitOwnRun { run } => {
                write!(f, "waits for its own {run}, which is older than {}", Causes(&self.causes))
            }
            Verdict::Wait { on } => write!(f, "waits for {}, which is not settled", on.short()),
            Verdict::Blocked { by } => write!(f, "is held by {}, which did not get through", by.short()),
            Verdict::Refused { run: Some(run), why } => write!(f, "is not run again for the same inputs: {run} {why}"),
            Verdict::Refused { run: None, why } => write!(f, "cannot be run: {why}"),
            Verdict::Cycle { with } => write!(f, "is in a cycle with {}, and cycles never trigger", with.short()),
            Verdict::ProducerDestroyed { producer } => {
                write!(f, "{} was destroyed: a person decides", producer.short())
            }
            Verdict::Held { why } => write!(f, "has to wait for its run: {why}"),
            Verdict::Observed => {
                write!(f, "would run, because of {}, but only observing is allowed", Causes(&self.causes))
            }
        }
    }
}

/// How many causes, and how many outputs of each, a sentence names.
const NAMED_MAX: usize = 3;

struct Causes<'a>(&'a [Cause]);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, cause) in self.0.iter().take(NAMED_MAX).enumerate() {
            let outputs: Vec<&str> = cause.outputs.iter().take(NAMED_MAX).map(String::as_str).collect();
            let more = if cause.outputs.len() > NAMED_MAX { ", …" } else { "" };
            write!(
                f,
                "{}{} ({}{more})",
                if n == 0 { "" } else { " and " },
                cause.producer.short(),
                outputs.join(", ")
            )?;
        }
        if self.0.len() > NAMED_MAX { f.write_str(" and others") } else { Ok(()) }
    }
}
