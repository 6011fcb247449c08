//! Run tasks: who is asked at which stage of a run, what was asked, and what was answered.

mod callback;
mod control;
mod deadlines;
mod life;
mod request;
mod spec;

mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::time::Instant;

pub(super) use callback::Callback;
pub(super) use deadlines::watch;
pub(super) use request::{Post, ask, client, send};
pub use spec::{Enforcement, RunTaskSpec, Stage, TaskOptions};
pub use view::{TaskCallback, TaskRequest, TaskResultStatus, TaskResultView};

/// How long a URL of the archivist that was redirected to is good for.
const REDIRECT_VALID: Duration = Duration::from_mins(1);

/// All there is about run tasks.
#[derive(Default)]
pub(super) struct RunTasks {
    pub tasks: BTreeMap<String, RunTask>,
    /// Tasks that workspaces have attached, by their ids.
    pub links: BTreeMap<String, Link>,
    pub stages: BTreeMap<String, TaskStage>,
    pub results: BTreeMap<String, TaskResult>,
    /// Result ids by what stands for them in callback URLs.
    pub callbacks: BTreeMap<String, String>,
    /// Every access token that was ever handed out.
    pub tokens: BTreeMap<String, AccessToken>,
    /// What the archivist has for a minute, by the key in its URL.
    pub objects: BTreeMap<String, Object>,
    /// How far the clock of the rules of time is ahead of the real one.
    pub ahead: Duration,
    /// Results that nobody watches the clock for yet.
    pub unwatched: Vec<String>,
}

/// A run task of an organization.
#[derive(Debug, Clone)]
pub(super) struct RunTask {
    pub id: String,
    pub organization: String,
    pub spec: RunTaskSpec,
}

/// A task that a workspace has attached.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub id: String,
    pub workspace: String,
    pub task: String,
    pub enforcement: Enforcement,
    pub stages: BTreeSet<Stage>,
}

/// A stage of a run at which tasks are asked.
#[derive(Debug, Clone)]
pub(super) struct TaskStage {
    pub id: String,
    pub run: String,
    pub stage: Stage,
    pub results: Vec<String>,
    pub created_at: OffsetDateTime,
}

/// What one task says of one stage of a run.
#[derive(Debug, Clone)]
pub(super) struct TaskResult {
    pub id: String,
    /// What stands for it in its callback URL.
    pub callback: String,
    /// The `url_code` of its callback URL.
    pub code: String,
    pub access_token: String,
    pub run: String,
    pub workspace: String,
    pub task_stage: String,
    pub stage: Stage,
    /// As it was when the stage began.
    pub task: RunTask,
    pub link: Option<String>,
    pub enforcement: Enforcement,
    pub status: TaskResultStatus,
    pub message: String,
    pub url: Option<String>,
    /// The attributes of each, in the order in which they first came.
    pub outcomes: Vec<Value>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// On the clock of the rules of time.
    pub created: Instant,
    /// The last time that anything moved.
    pub progress: Instant,
    /// How many times it was tried to have the request answered.
    pub attempts: u32,
    pub requests: Vec<TaskRequest>,
    pub heard: Vec<Heard>,
}

/// A callback as it came.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// Its place in the request log.
    pub request: usize,
    pub at: OffsetDateTime,
    pub after: Duration,
    pub status: Option<String>,
    /// Whether it had an effect, whatever was answered.
    pub accepted: bool,
}

/// What an access token is good for.
#[derive(Debug, Clone)]
pub(super) struct AccessToken {
    pub result: String,
    pub callback: String,
    pub run: String,
    pub configuration: String,
    pub stage: Stage,
    pub issued: Instant,
}

/// What can be had from the archivist.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub content: Content,
    pub expires: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// The plan of this run.
    Plan(String),
    /// The files of this configuration version.
    Configuration(String),
}

impl RunTasks {
    /// The clock of the rules of time.
    pub fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    /// The same as a date.
    pub fn date(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + self.ahead
    }

    /// Puts something on the archivist, and returns the key it has there for a minute.
    pub fn publish(&mut self, content: Content) -> String {
        let key = unguessable("object", self.objects.len());
        self.objects.insert(key.clone(), Object { content, expires: self.now() + REDIRECT_VALID });
        key
    }

    /// What is on the archivist under this key still.
    pub fn object(&self, key: &str) -> Option<&Content> {
        self.objects.get(key).filter(|object| object.expires > self.now()).map(|object| &object.content)
    }

    /// The result that a callback URL stands for.
    pub fn called_back(&mut self, callback: &str) -> Option<&mut TaskResult> {
        self.results.get_mut(self.callbacks.get(callback)?)
    }

    /// The tasks that a run of this workspace has to ask at a stage, and by which link: its own and its organization's,
    /// the stricter of the two where it is the same task.
    pub fn asked(
        &self,
        workspace: &str,
        organization: &str,
        stage: Stage,
    ) -> Vec<(RunTask, Option<Link>, Enforcement)> {
        let enabled = self.tasks.values().filter(|task| task.organization == organization && task.spec.enabled);
        let asked = enabled.filter_map(|task| {
            let mut links = self.links.values();
            let link = links.find(|it| it.task == task.id && it.workspace == workspace && it.stages.contains(&stage));
            let global = task.spec.global.as_ref().filter(|(_, stages)| stages.contains(&stage));
            let strictest = link.map(|link| link.enforcement).max(global.map(|(enforcement, _)| *enforcement));
            Some((task.clone(), link.cloned(), strictest?))
        });
        asked.collect()
    }
}

/// Counted, but looks as if nobody could have known it.
pub(super) fn unguessable(what: &str, number: usize) -> String {
    hex::encode(Sha256::digest(format!("{what} {number}")))
}
