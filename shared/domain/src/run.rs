//! What is heard of a run, by notification or by asking.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Marker, Order, RunId, Timestamp, Trace, Workspace, WorkspaceId};

/// Where a run stands, coarse enough to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Queued: it has not read its inputs yet.
    Pending,
    /// Planning: it reads its inputs now.
    Planning,
    /// Waits for a person: to confirm, or to override a policy.
    AwaitingPerson,
    /// Confirmed or applying.
    Applying,
    /// Ended with a new state.
    Applied,
    /// Ended because there was nothing to change.
    NoChanges,
    /// Ended in an error.
    Errored,
    /// Ended by a person who stopped it.
    Canceled,
    /// Ended by a person who did not want its plan.
    Discarded,
}

impl Standing {
    /// Whether the run is over.
    #[must_use]
    pub fn ended(self) -> bool {
        self >= Self::Applied
    }

    /// Whether the run is over and did what it was there for.
    #[must_use]
    pub fn got_through(self) -> bool {
        matches!(self, Self::Applied | Self::NoChanges)
    }

    /// Order in which a run passes through its standings. News of a lower or equal rank is old news.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Pending => 1,
            Self::Planning => 2,
            Self::AwaitingPerson => 3,
            Self::Applying => 4,
            // A run that is not to be seen any more is taken for canceled; any other end that is heard of later is
            // the real one.
            Self::Canceled => 8,
            Self::Applied | Self::NoChanges | Self::Errored | Self::Discarded => 9,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Planning => "planning",
            Self::AwaitingPerson => "waiting for a person",
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::NoChanges => "without changes",
            Self::Errored => "errored",
            Self::Canceled => "canceled",
            Self::Discarded => "discarded",
        })
    }
}

/// News of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The workspace, by name.
    pub workspace: Workspace,
    /// The workspace, by id.
    pub workspace_id: WorkspaceId,
    /// The run.
    pub run: RunId,
    /// When the run was created, by HCP Terraform's clock.
    pub created_at: Timestamp,
    /// Where it stands.
    pub standing: Standing,
    /// Since when, by HCP Terraform's clock.
    pub at: Timestamp,
    /// The marker in its message, if Sluice created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<Marker>,
}

impl RunReport {
    /// The trace of the wave that the run is part of, or would begin. `order` is what Sluice ordered last.
    #[must_use]
    pub fn trace(&self, order: Option<&Order>) -> Trace {
        let ours = order.filter(|order| order.made(self)).and_then(Order::trace);
        ours.unwrap_or_else(|| Trace::of_run(&self.workspace.host, &self.run))
    }
}
