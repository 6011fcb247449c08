//! What the simulator tells about task results.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::hcp::model::World;

use super::{Enforcement, Heard, Stage, TaskResult};

/// Where a task result stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "HCP Terraform's own words")]
pub enum TaskResultStatus {
    Pending,
    Running,
    Passed,
    Failed,
    Errored,
    Canceled,
    Unreachable,
}

impl TaskResultStatus {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Errored => "errored",
            Self::Canceled => "canceled",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether nothing can change it any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        self >= Self::Passed
    }
}

impl fmt::Display for TaskResultStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A task result as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskResultView {
    /// Its id, as `taskrs-…`.
    pub id: String,
    /// The task's name.
    pub task: String,
    /// At which stage of the run.
    pub stage: Stage,
    /// The run.
    pub run: String,
    /// The workspace's name.
    pub workspace: String,
    /// What it means for the run.
    pub enforcement: Enforcement,
    /// Its status.
    pub status: TaskResultStatus,
    /// The last message that came, or why there is none.
    pub message: String,
    /// The last URL that came.
    pub url: Option<String>,
    /// An array of the attributes of each outcome, in the order in which they first came.
    pub outcomes: Value,
    /// When it was created, as are all moments here on the clock that [`Hcp::advance`](crate::hcp::Hcp::advance) moves.
    pub created_at: OffsetDateTime,
    /// When it came to the status it has.
    pub updated_at: OffsetDateTime,
    /// Every request that was sent for it.
    pub requests: Vec<TaskRequest>,
    /// Every callback that was heard for it, in the order of arrival.
    pub callbacks: Vec<TaskCallback>,
}

impl TaskResultView {
    /// How many final callbacks had an effect: never more than one.
    #[must_use]
    pub fn accepted_finals(&self) -> usize {
        let last = |status: &str| matches!(status, "passed" | "failed");
        self.callbacks.iter().filter(|it| it.accepted && it.status.as_deref().is_some_and(last)).count()
    }

    /// How many requests were answered with 200.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.requests.iter().filter(|request| request.answer == Some(200)).count()
    }
}

/// A request that was sent to a task, and is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskRequest {
    /// When it was sent.
    pub at: OffsetDateTime,
    /// The status it was answered with, if it was.
    pub answer: Option<u16>,
    /// How long that took.
    pub took: Duration,
}

/// A callback that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskCallback {
    /// When.
    pub at: OffsetDateTime,
    /// How long after the result was created.
    pub after: Duration,
    /// Its `status`, if it could be read.
    pub status: Option<String>,
    /// What it was answered; none if it never was.
    pub answer: Option<u16>,
    /// Whether it had an effect, whatever it was answered.
    pub accepted: bool,
}

impl World {
    pub(super) fn view_result(&self, result: &TaskResult) -> TaskResultView {
        let workspace = self.workspaces.get(&result.workspace).map(|workspace| workspace.name.clone());
        TaskResultView {
            id: result.id.clone(),
            task: result.task.spec.name.clone(),
            stage: result.stage,
            run: result.run.clone(),
            workspace: workspace.unwrap_or_default(),
            enforcement: result.enforcement,
            status: result.status,
            message: result.message.clone(),
            url: result.url.clone(),
            outcomes: result.outcomes.clone().into(),
            created_at: result.created_at,
            updated_at: result.updated_at,
            requests: result.requests.clone(),
            callbacks: result.heard.iter().map(|heard| self.view_callback(heard)).collect(),
        }
    }

    fn view_callback(&self, heard: &Heard) -> TaskCallback {
        TaskCallback {
            at: heard.at,
            after: heard.after,
            status: heard.status.clone(),
            answer: self.requests[heard.request].status,
            accepted: heard.accepted,
        }
    }
}
