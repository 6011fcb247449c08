//! What the simulator tells about itself: runs, events, deliveries, requests.

use std::fmt;
use std::net::SocketAddr;

use time::OffsetDateTime;

use super::api::Route;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "HCP Terraform's own words")]
pub enum RunStatus {
    Pending,
    PrePlanRunning,
    PrePlanCompleted,
    Planning,
    Planned,
    PostPlanRunning,
    PostPlanCompleted,
    Confirmed,
    PreApplyRunning,
    PreApplyCompleted,
    Applying,
    PostApplyRunning,
    PostApplyCompleted,
    Applied,
    PlannedAndFinished,
    Discarded,
    Errored,
    Canceled,
    ForceCanceled,
}

impl RunStatus {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::PrePlanRunning => "pre_plan_running",
            Self::PrePlanCompleted => "pre_plan_completed",
            Self::Planning => "planning",
            Self::Planned => "planned",
            Self::PostPlanRunning => "post_plan_running",
            Self::PostPlanCompleted => "post_plan_completed",
            Self::Confirmed => "confirmed",
            Self::PreApplyRunning => "pre_apply_running",
            Self::PreApplyCompleted => "pre_apply_completed",
            Self::Applying => "applying",
            Self::PostApplyRunning => "post_apply_running",
            Self::PostApplyCompleted => "post_apply_completed",
            Self::Applied => "applied",
            Self::PlannedAndFinished => "planned_and_finished",
            Self::Discarded => "discarded",
            Self::Errored => "errored",
            Self::Canceled => "canceled",
            Self::ForceCanceled => "force_canceled",
        }
    }

    /// Whether the run waits for its run tasks.
    #[must_use]
    pub fn awaits_tasks(self) -> bool {
        matches!(self, Self::PrePlanRunning | Self::PostPlanRunning | Self::PreApplyRunning | Self::PostApplyRunning)
    }

    /// Whether the run waits for confirmation, unless it applies by itself. With tasks after the plan it comes through
    /// `planned` before they are asked, and does not stay there.
    #[must_use]
    pub fn is_confirmable(self) -> bool {
        matches!(self, Self::Planned | Self::PostPlanCompleted)
    }

    /// Whether the run is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        self >= Self::Applied
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run came to a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Counts from 0 in the order of happening.
    pub number: usize,
    /// When.
    pub at: OffsetDateTime,
    /// The organization.
    pub organization: String,
    /// The workspace's name.
    pub workspace: String,
    /// The run.
    pub run: String,
    /// Its message.
    pub message: String,
    /// Its new status.
    pub status: RunStatus,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.workspace, self.run, self.status)
    }
}

/// A run as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunView {
    /// Its id.
    pub id: String,
    /// Its workspace's name.
    pub workspace: String,
    /// Its status.
    pub status: RunStatus,
    /// Its message.
    pub message: String,
    /// Who created it.
    pub created_by: String,
    /// Where it came from, as `tfe-api`.
    pub source: String,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When its plan began.
    pub planning_at: Option<OffsetDateTime>,
    /// When it came to a final status.
    pub finished_at: Option<OffsetDateTime>,
    /// Whether its plan had changes.
    pub has_changes: bool,
    /// Whether it is speculative.
    pub plan_only: bool,
    /// Whether it destroys.
    pub is_destroy: bool,
    /// Why it is `errored`.
    pub error: Option<String>,
}

/// One attempt, or refusal, to deliver a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When it was over.
    pub at: OffsetDateTime,
    /// The notification configuration.
    pub configuration: String,
    /// The workspace's name.
    pub workspace: String,
    /// The trigger, as `run:completed`.
    pub trigger: String,
    /// The run; none in a verification.
    pub run: Option<String>,
    /// The run's status that it told.
    pub run_status: Option<RunStatus>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Delivery {
    /// The receiver's status, if it answered.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Answered(status) => Some(status),
            Outcome::Unreachable | Outcome::Lost => None,
        }
    }
}

/// What became of a delivery. There is no second attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered with this status.
    Answered(u16),
    /// The receiver did not answer.
    Unreachable,
    /// A fault lost it before it was sent.
    Lost,
}

/// One request to the API or the archivist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// When it came.
    pub at: OffsetDateTime,
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// What it asks for.
    pub route: Route,
    /// The user its token belongs to.
    pub user: Option<String>,
    /// What it was answered; none while it hangs, and if the connection was cut instead.
    pub status: Option<u16>,
}

/// A token that was sent where it must not go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// The task result whose access token it was; `None` is another token.
    pub result: Option<String>,
    /// The path it was sent to.
    pub path: String,
    /// Who sent it.
    pub peer: SocketAddr,
}

/// How often the request limits were exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exceeded {
    /// Requests beyond the limit of a second.
    pub per_second: u64,
    /// Run lists beyond the limit of a minute.
    pub run_lists: u64,
}
