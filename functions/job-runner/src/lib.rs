//! job-runner: runs the checks of run tasks that are programs, each in an ephemeral job of a cluster. A job is begun
//! once, watched for a while at a time, and taken away after what it came to is written down.

mod config;
mod end;
mod order;
mod output;
mod task_data;

pub use config::{Config, JobSettings, StartError, connect, credentials};
pub use sluice_runner::{Asked, Executor, Runner, Step, handle};

use std::sync::Arc;
use std::time::Duration;

use sluice_aws::{GateKeys, Table};
use sluice_domain::gate::{Check, CheckKind, CheckVerdict, Ended, FieldFault, JobSpec, PodSettings};
use sluice_domain::ports::{Cluster, ContextStore, JobExit, JobPlace, Patience, Standing};
use sluice_domain::{CheckName, Classify, Fault, Queue, TaskResultId, chain};
use sluice_lambda::batch::{BatchResponse, StreamEvent};
use sluice_runner::{TOO_LONG, Told};
use tracing::warn;

/// How long a cluster may take to have a job run, or to tell what one wrote.
const ANSWER: Duration = Duration::from_secs(30);

/// Runs jobs in a cluster.
#[derive(Debug)]
pub struct Jobs<S, C> {
    /// The table, for what jobs leave in the context of their run.
    pub store: S,
    /// The cluster.
    pub cluster: C,
    /// What makes the tokens that jobs are given.
    pub keys: GateKeys,
    /// What jobs are told, and how their pods are set up.
    pub settings: JobSettings,
}

/// The function's parts.
pub type JobRunner = Runner<Table, Jobs<Table, sluice_kubernetes::Kubernetes>>;

/// Does the works that a batch rings for.
pub async fn handle_batch(runner: Arc<JobRunner>, event: StreamEvent) -> BatchResponse {
    sluice_runner::handle_batch(runner, Queue::Job, event).await
}

/// Why a job comes to no verdict.
#[derive(Debug, thiserror::Error)]
pub enum JobError<E: Classify> {
    /// The cluster does not do its part.
    #[error(transparent)]
    Cluster(E),
    /// The cluster does not answer.
    #[error("the cluster did not answer within {} seconds", ANSWER.as_secs())]
    TooSlow,
    /// The settings of its pod, as the check and the deployment have them together.
    #[error("the settings of its pod are not valid: {}", list(.0))]
    Settings(Vec<FieldFault>),
    /// Nobody said which image.
    #[error("names no image, and ExecutorEphemeralImage is not among the settings of the deployment")]
    NoImage,
    /// The check is another's.
    #[error("it is no job, and job-runner runs nothing else")]
    NotAJob,
}

fn list(faults: &[FieldFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl<E: Classify> Classify for JobError<E> {
    fn fault(&self) -> Fault {
        match self {
            Self::Cluster(error) => error.fault(),
            Self::TooSlow => Fault::TRANSIENT,
            Self::Settings(_) | Self::NoImage | Self::NotAJob => Fault::Permanent,
        }
    }
}

impl<E: Classify + 'static> Told for JobError<E> {
    fn told(&self) -> String {
        chain(self)
    }
}

impl<S: ContextStore, C: Cluster> Executor for Jobs<S, C> {
    type Error = JobError<C::Error>;

    const LEAVES_SOMETHING: bool = true;

    async fn execute(&self, asked: Asked<'_>) -> Result<Step, Self::Error> {
        let CheckKind::Job(spec) = &asked.check.kind else { return Err(JobError::NotAJob) };
        if asked.execution.started_at.is_none() {
            return Box::pin(self.begin(asked, spec)).await;
        }
        let place = self.place(spec, &asked.request().result, &asked.check.name)?;
        let left = Duration::from_millis(asked.deadline.since_ms(asked.now));
        let patience = Patience { start: Duration::from_secs(spec.start_seconds.into()), ..self.settings.patience };
        match Box::pin(self.watched(&place, patience, self.settings.slice.min(left))).await? {
            Standing::UnderWay { message } => Ok(Step::Again { at: asked.now, message }),
            Standing::Ended(end) => Ok(Step::Ended(Box::pin(self.ended(asked, &place, end)).await)),
            // It was there once. To begin it anew might do twice what it does.
            Standing::Gone => {
                let message = format!("its job {place} is gone: somebody deleted it before it had ended");
                Ok(Step::Ended(Ended::new(asked.now, CheckVerdict::Errored, message)))
            }
        }
    }

    async fn overdue(&self, asked: Asked<'_>) -> Ended {
        let end = Ended::new(asked.now, CheckVerdict::Errored, TOO_LONG);
        let CheckKind::Job(spec) = &asked.check.kind else { return end };
        if asked.execution.started_at.is_none() {
            return end;
        }
        // What it has written by now may tell why.
        let Ok(place) = self.place(spec, &asked.request().result, &asked.check.name) else { return end };
        match tokio::time::timeout(ANSWER, Box::pin(self.cluster.output(&place))).await {
            Ok(Ok(output)) => end.with(self.so_far(asked, &output)),
            Ok(Err(error)) => {
                warn!(job = %place, "cannot read what job {place} wrote: {}", chain(&error));
                end
            }
            Err(_) => end,
        }
    }

    async fn clear(&self, result: &TaskResultId, check: &Check) -> Result<(), Self::Error> {
        let CheckKind::Job(spec) = &check.kind else { return Ok(()) };
        // Where its settings make no sense any more there was never a job.
        let Ok(place) = self.place(spec, result, &check.name) else { return Ok(()) };
        let removed = tokio::time::timeout(ANSWER, Box::pin(self.cluster.remove(&place))).await;
        removed.map_err(|_| JobError::TooSlow)?.map_err(JobError::Cluster)
    }
}

impl<S: ContextStore, C: Cluster> Jobs<S, C> {
    async fn begin(&self, asked: Asked<'_>, spec: &JobSpec) -> Result<Step, JobError<C::Error>> {
        let order = self.order(asked, spec)?;
        let started = tokio::time::timeout(ANSWER, self.cluster.start(&order)).await;
        started.map_err(|_| JobError::TooSlow)?.map_err(JobError::Cluster)?;
        Ok(Step::Again { at: asked.now, message: format!("job {} is begun", order.place) })
    }

    /// How a job stands. A cluster that does not come back from watching is as good as one that does not answer.
    async fn watched(
        &self,
        place: &JobPlace,
        patience: Patience,
        slice: Duration,
    ) -> Result<Standing, JobError<C::Error>> {
        let watched = tokio::time::timeout(slice + ANSWER, self.cluster.watch(place, patience, slice)).await;
        watched.map_err(|_| JobError::TooSlow)?.map_err(JobError::Cluster)
    }

    /// The settings of its pod: those of the deployment, and its own over them.
    fn pod(&self, spec: &JobSpec) -> Result<PodSettings, JobError<C::Error>> {
        PodSettings::read(&PodSettings::merged(&self.settings.pod, &spec.settings)).map_err(JobError::Settings)
    }

    fn place(&self, spec: &JobSpec, result: &TaskResultId, check: &CheckName) -> Result<JobPlace, JobError<C::Error>> {
        let namespace = self.pod(spec)?.namespace.unwrap_or_else(|| self.settings.namespace.clone());
        Ok(JobPlace::of(&namespace, result, check))
    }
}

/// What a job came to, as a check and in words.
fn verdict(exit: &JobExit) -> (CheckVerdict, String) {
    match exit {
        JobExit::Code(0) => (CheckVerdict::Passed, "exit code 0".to_owned()),
        JobExit::Code(code) => (CheckVerdict::Failed, format!("exit code {code}")),
        JobExit::Broken { reason, message } => (CheckVerdict::Errored, format!("{reason}: {message}")),
    }
}
