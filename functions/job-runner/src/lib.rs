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
use sluice_domain::gate::{Check, CheckKind, CheckVerdict, Ended, Execution, FieldFault, JobSpec, PodSettings};
use sluice_domain::ports::{Cluster, ContextStore, JobExit, JobPlace, Patience, Standing};
use sluice_domain::{CheckName, Classify, Fault, Queue, TaskResultId, Told, chain};
use sluice_lambda::batch::{BatchResponse, StreamEvent};
use sluice_runner::TOO_LONG;
use tokio::time::Instant;
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
pub enum JobError<E: Told> {
    /// The cluster does not do its part.
    #[error(transparent)]
    Cluster(E),
    /// The cluster does not answer.
    #[error("the cluster did not answer within {} seconds", ANSWER.as_secs())]
    TooSlow,
    /// The settings of its pod, as the check and the deployment have them together.
    #[error("the settings of its pod are not valid: {}", list(.0))]
    Settings(Vec<FieldFault>),
    /// The check is another's.
    #[error("it is no job, and job-runner runs nothing else")]
    NotAJob,
}

fn list(faults: &[FieldFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl<E: Told> Classify for JobError<E> {
    fn fault(&self) -> Fault {
        match self {
            Self::Cluster(error) => error.fault(),
            Self::TooSlow => Fault::TRANSIENT,
            Self::Settings(_) | Self::NotAJob => Fault::Permanent,
        }
    }
}

impl<E: Told + 'static> Told for JobError<E> {
    fn told(&self) -> String {
        match self {
            Self::Cluster(error) => error.told(),
            error => error.to_string(),
        }
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
        let (began, left) = (Instant::now(), Duration::from_millis(asked.deadline.since_ms(asked.now)));
        let place = self.place(spec, &asked.request().result, &asked.check.name, asked.execution)?;
        let standing = match self.watched(&place, spec, self.settings.slice.min(left)).await {
            Ok(standing) => standing,
            // The job goes on, whatever keeps us from seeing it.
            Err(error) => return Ok(self.unseen(asked, &place, &error)),
        };
        let at = asked.now.plus_ms(ms(began.elapsed()));
        match standing {
            Standing::UnderWay { message } => Ok(Step::Again { at: asked.now, message }),
            Standing::Ended(end) => {
                let end = Box::pin(self.ended(asked, &place, end)).await;
                Ok(Step::Ended(Ended { at, ..end }))
            }
            // It was there once. To begin it anew might do twice what it does.
            Standing::Gone => {
                let message = format!("its job {place} is gone: somebody deleted it before it had ended");
                Ok(Step::Ended(Ended::new(at, CheckVerdict::Errored, message)))
            }
        }
    }

    async fn overdue(&self, asked: Asked<'_>) -> Ended {
        let too_long = Ended::new(asked.now, CheckVerdict::Errored, TOO_LONG);
        let CheckKind::Job(spec) = &asked.check.kind else { return too_long };
        let place = self.place(spec, &asked.request().result, &asked.check.name, asked.execution);
        let Ok(place) = place else { return too_long };
        // It may have ended in time, and nobody looked.
        match self.watched(&place, spec, Duration::ZERO).await {
            Ok(Standing::Ended(end)) => Box::pin(self.ended(asked, &place, end)).await,
            Ok(Standing::Gone) => too_long,
            // What it has written by now may tell why.
            Ok(Standing::UnderWay { message }) => {
                let output = tokio::time::timeout(ANSWER, Box::pin(self.cluster.output(&place))).await;
                let outcomes = match output {
                    Ok(Ok(output)) => self.so_far(asked, &output),
                    Ok(Err(_)) | Err(_) => Vec::new(),
                };
                Ended { message: format!("{TOO_LONG}; at last: {message}"), ..too_long }.with(outcomes)
            }
            Err(error) => {
                warn!(job = %place, "job {place} was out of sight when its time was over: {}", chain(&error));
                Ended { message: format!("{TOO_LONG}; {}", out_of_sight(&error)), ..too_long }
            }
        }
    }

    async fn clear(&self, result: &TaskResultId, check: &Check, execution: &Execution) -> Result<(), Self::Error> {
        let CheckKind::Job(spec) = &check.kind else { return Ok(()) };
        // Where its settings make no sense any more, and none was noted, there is nowhere to look.
        let Ok(place) = self.place(spec, result, &check.name, execution) else { return Ok(()) };
        let removed = tokio::time::timeout(ANSWER, Box::pin(self.cluster.remove(&place))).await;
        removed.map_err(|_| JobError::TooSlow)?.map_err(JobError::Cluster)
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn out_of_sight<E: Told + 'static>(error: &JobError<E>) -> String {
    format!("nobody sees how its job stands: {}", error.told())
}

impl<S: ContextStore, C: Cluster> Jobs<S, C> {
    async fn begin(&self, asked: Asked<'_>, spec: &JobSpec) -> Result<Step, JobError<C::Error>> {
        let order = self.order(asked, spec)?;
        let started = tokio::time::timeout(ANSWER, Box::pin(self.cluster.start(&order))).await;
        started.map_err(|_| JobError::TooSlow)?.map_err(JobError::Cluster)?;
        let message = format!("job {} is begun", order.place);
        Ok(Step::Begun { note: order.place.namespace, message })
    }

    /// A job that goes on out of sight is looked for again, until its time is over; or for a while, where the cluster
    /// says that this will not change.
    fn unseen(&self, asked: Asked<'_>, place: &JobPlace, error: &JobError<C::Error>) -> Step {
        warn!(job = %place, "job {place} is out of sight: {}", chain(error));
        let message = out_of_sight(error);
        let wait_ms = match error.fault() {
            Fault::Throttled { after_ms } | Fault::Transient { after_ms: Some(after_ms) } => after_ms,
            Fault::Transient { after_ms: None } | Fault::Permanent => ms(self.settings.slice / 2),
        };
        let since = asked.execution.progress.as_ref().filter(|progress| progress.message == message);
        let waited = since.is_some_and(|progress| asked.now >= progress.at.plus_ms(ms(self.settings.patience.image)));
        if waited && error.fault() == Fault::Permanent {
            return Step::Ended(Ended::new(asked.now, CheckVerdict::Errored, message));
        }
        Step::Again { at: asked.now.plus_ms(wait_ms), message }
    }

    /// How a job stands. A cluster that does not come back from watching is as good as one that does not answer.
    async fn watched(&self, place: &JobPlace, spec: &JobSpec, slice: Duration) -> Result<Standing, JobError<C::Error>> {
        let patience = Patience { start: Duration::from_secs(spec.start_seconds.into()), ..self.settings.patience };
        let watch = Box::pin(self.cluster.watch(place, patience, slice));
        let watched = tokio::time::timeout(slice + ANSWER, watch).await;
        watched.map_err(|_| JobError::TooSlow)?.map_err(JobError::Cluster)
    }

    /// The settings of its pod: those of the deployment, and its own over them.
    fn pod(&self, spec: &JobSpec) -> Result<PodSettings, JobError<C::Error>> {
        PodSettings::read(&PodSettings::merged(&self.settings.pod, &spec.settings)).map_err(JobError::Settings)
    }

    /// Where a job runs whose pod is set up so: where its settings say, or else where all do.
    fn namespace(&self, pod: &PodSettings) -> String {
        pod.namespace.clone().unwrap_or_else(|| self.settings.namespace.clone())
    }

    /// Where the job of a check is: where it was begun, or would be now.
    fn place(
        &self,
        spec: &JobSpec,
        result: &TaskResultId,
        check: &CheckName,
        execution: &Execution,
    ) -> Result<JobPlace, JobError<C::Error>> {
        let namespace = match &execution.note {
            Some(namespace) => namespace.clone(),
            None => self.namespace(&self.pod(spec)?),
        };
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
