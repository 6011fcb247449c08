//! What job checks need of a cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use secrecy::SecretString;

use crate::digest::of_texts;
use crate::fault::Told;
use crate::gate::{JobSpec, PodSettings};
use crate::names::{CheckName, TaskResultId};

/// Where a job lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobPlace {
    /// The namespace.
    pub namespace: String,
    /// Its name, which follows from the check it is for: to ask for the same job twice is to ask for it once.
    pub name: String,
}

impl JobPlace {
    /// Where the job of a check lies.
    #[must_use]
    pub fn of(namespace: &str, result: &TaskResultId, check: &CheckName) -> Self {
        let digest = of_texts(["job", result.as_str(), check.as_str()]);
        let name = digest.0.iter().take(10).fold("sluice-".to_owned(), |name, byte| format!("{name}{byte:02x}"));
        Self { namespace: namespace.to_owned(), name }
    }
}

impl fmt::Display for JobPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A job that is wanted.
#[derive(Debug, Clone)]
pub struct JobOrder<'a> {
    /// Where.
    pub place: JobPlace,
    /// What it runs.
    pub spec: &'a JobSpec,
    /// How its pod is set up: the deployment's settings and its own.
    pub settings: PodSettings,
    /// What it is for, as labels and annotations show it.
    pub about: About,
    /// Variables that anybody may see.
    pub env: BTreeMap<String, String>,
    /// Variables that nobody may see who cannot read secrets.
    pub secrets: BTreeMap<String, SecretString>,
    /// Files that nobody may see who cannot read secrets, by name: they lie in [`FILES`].
    pub files: BTreeMap<String, SecretString>,
    /// How long it may run, in seconds. The cluster ends it by then, whoever else does not.
    pub seconds: u32,
}

/// Where the files of a job are mounted.
pub const FILES: &str = "/var/run/secrets/sluice";

/// Where a job has a directory to write to, empty at the beginning and gone at the end.
pub const WORKSPACE: &str = "/workspace";

/// What a job is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The task result.
    pub result: TaskResultId,
    /// The check.
    pub check: CheckName,
    /// The run.
    pub run: String,
    /// The organization.
    pub organization: String,
    /// The workspace.
    pub workspace: String,
}

/// How long a cluster has for what may come right by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until the program runs: a node may have to be made, a volume to come.
    pub start: Duration,
    /// Until the image is there: a registry may fail for a moment.
    pub image: Duration,
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is under way.
    UnderWay {
        /// In a sentence.
        message: String,
    },
    /// It is over.
    Ended(JobEnd),
    /// There is no such job.
    Gone,
}

/// How a job ended, and what it left.
#[derive(Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// How.
    pub how: JobExit,
    /// The end of what it wrote, as it wrote it. It may hold secrets.
    pub output: Output,
    /// What it left in the annotation `lagoon.sh/taskData`, as it wrote it.
    pub task_data: Option<String>,
}

impl fmt::Debug for JobEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What programs write is for those who may see the run.
        f.debug_struct("JobEnd").field("how", &self.how).finish_non_exhaustive()
    }
}

/// The end of what a program wrote.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// The last of it.
    pub text: String,
    /// There was more before.
    pub cut: bool,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobExit {
    /// Its program ended by itself.
    Code(i32),
    /// It came to no end of its own.
    Broken {
        /// The cluster's word for it, as `OOMKilled`.
        reason: String,
        /// In a sentence: what happened, and who must act.
        message: String,
    },
}

/// Where jobs run.
pub trait Cluster: Send + Sync {
    /// Why a cluster does not do its part.
    type Error: Told + Send + 'static;

    /// Has a job run, unless it is there already.
    fn start(&self, order: &JobOrder<'_>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// How a job stands, as soon as that is news, or when `slice` is over.
    fn watch(
        &self,
        place: &JobPlace,
        patience: Patience,
        slice: Duration,
    ) -> impl Future<Output = Result<Standing, Self::Error>> + Send;

    /// The end of what a job has written so far; nothing where none is to be had.
    fn output(&self, place: &JobPlace) -> impl Future<Output = Result<Output, Self::Error>> + Send;

    /// Leaves nothing of a job, whether it runs or not. It is no error if there is none.
    fn remove(&self, place: &JobPlace) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
