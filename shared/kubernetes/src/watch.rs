//! A job is watched for a while: until it is over, or something is new, or the while is over.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use sluice_domain::Timestamp;
use sluice_domain::ports::{JobEnd, JobExit, JobPlace, Output, Patience, Standing};
use tokio::time::{Instant, sleep, timeout};

use crate::Clock;
use crate::calls::Calls;
use crate::error::ClusterError;
use crate::logs;
use crate::manifest::ANNOTATION_TASK_DATA;
use crate::sight::{Came, Sight};
use crate::standing::{Look, container_of, standing};

/// How often events are looked at while they could tell more: nobody tells of them.
const EXPLAIN: Duration = Duration::from_secs(15);
/// The first look at them: what keeps a pod from being made keeps it from the beginning.
const EXPLAIN_FIRST: Duration = Duration::from_secs(3);
/// The shortest and the longest pause before a way that ended is taken again.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MOST: Duration = Duration::from_secs(5);

pub(crate) async fn watch(
    calls: &Calls,
    clock: &Clock,
    place: &JobPlace,
    patience: Patience,
    slice: Duration,
) -> Result<Standing, ClusterError> {
    let mut watch = Watch { until: Instant::now() + slice, told: None, pause: PAUSE, explained: None, looks: 0 };
    let mut sight = Sight::of(calls, place).await?;
    loop {
        watch.explain(&mut sight).await;
        let Some(seen) = sight.seen() else {
            if sight.fresh {
                return Ok(Standing::Gone);
            }
            sight = Sight::of(calls, place).await?;
            continue;
        };
        match standing(&seen, patience, clock()) {
            // What is new of one of both may be ahead of what is new of the other: the end is told from a list.
            Look::Over(_) if !sight.fresh => sight = Sight::of(calls, place).await?,
            Look::Over(how) => {
                let (container, pod) = (container_of(seen.job).to_owned(), seen.pod.cloned());
                return Ok(Standing::Ended(end(calls, place, pod, &container, how).await));
            }
            Look::Going => return Ok(Standing::Gone),
            Look::UnderWay { message, until } => {
                if watch.is_news(&message) || watch.is_over() {
                    return Ok(Standing::UnderWay { message });
                }
                let patient = until.map(|until: Timestamp| Duration::from_millis(until.since_ms(clock())));
                if watch.wait(&mut sight, patient).await? {
                    sight = Sight::of(calls, place).await?;
                }
            }
        }
    }
}

/// How it ended, and what it left.
async fn end(calls: &Calls, place: &JobPlace, pod: Option<Pod>, container: &str, how: JobExit) -> JobEnd {
    let Some(pod) = pod else { return JobEnd { how, output: Output::default(), task_data: None } };
    let output = match &pod.metadata.name {
        Some(name) if began(&pod, container) => logs::output(calls, place, name, container).await,
        _ => Output::default(),
    };
    let task_data = pod.metadata.annotations.and_then(|mut found| found.remove(ANNOTATION_TASK_DATA));
    JobEnd { how, output, task_data }
}

/// Whether a container has run at all: what never ran has written nothing.
fn began(pod: &Pod, container: &str) -> bool {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let state = statuses.iter().find(|status| status.name == container).and_then(|status| status.state.as_ref());
    state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
}

/// One watch.
struct Watch {
    until: Instant,
    /// What was the case at the beginning.
    told: Option<String>,
    /// How long a way that ended is left alone.
    pause: Duration,
    /// When the events were looked at, and how often.
    explained: Option<Instant>,
    looks: u32,
}

impl Watch {
    /// Whether it is something else than at the beginning.
    fn is_news(&mut self, message: &str) -> bool {
        self.told.get_or_insert_with(|| message.to_owned()) != message
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// When the events are due to be looked at.
    fn explain_in(&self) -> Duration {
        let every = if self.looks < 2 { EXPLAIN_FIRST } else { EXPLAIN };
        self.explained.map_or(Duration::ZERO, |last| every.saturating_sub(last.elapsed()))
    }

    async fn explain(&mut self, sight: &mut Sight<'_>) {
        if sight.wants_events() && self.explain_in().is_zero() {
            sight.explain().await;
            self.explained = Some(Instant::now());
            self.looks += 1;
        }
    }

    /// Waits until something is different, and no longer than anything allows. Whether it has to be listed again.
    async fn wait(&mut self, sight: &mut Sight<'_>, patient: Option<Duration>) -> Result<bool, ClusterError> {
        let left = self.until.saturating_duration_since(Instant::now());
        let explain = sight.wants_events().then(|| self.explain_in());
        let wait = [patient, explain].into_iter().flatten().fold(left, Duration::min);
        let Ok(came) = timeout(wait, sight.next(left.as_secs() + 1)).await else { return Ok(false) };
        let came = came?;
        if matches!(came, Came::Change) {
            self.pause = PAUSE;
            return Ok(false);
        }
        sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(PAUSE_MOST);
        Ok(matches!(came, Came::Expired))
    }
}
