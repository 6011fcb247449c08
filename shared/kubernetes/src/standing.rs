//! How a job stands, from what the cluster says of it: one pure function over the Job, its pod and their events.

mod ended;
mod pending;
mod pod;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sluice_domain::Timestamp;
use sluice_domain::ports::{JobExit, Patience};

use crate::manifest::CONTAINER;

pub(crate) use pending::wants_events;

/// What is seen of a job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The Job.
    pub(crate) job: &'a Job,
    /// Its pod: the latest, should there be several.
    pub(crate) pod: Option<&'a Pod>,
    /// Events of the pod, or of the Job as long as there is none; the latest last.
    pub(crate) events: &'a [Event],
}

/// What that means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is under way.
    UnderWay {
        /// What it is at.
        message: String,
        /// When patience with that is over.
        until: Option<Timestamp>,
    },
    /// It is over.
    Over(JobExit),
    /// It is on its way out.
    Going,
}

/// How a job stands at `now`.
pub(crate) fn standing(seen: &Seen<'_>, patience: Patience, now: Timestamp) -> Look {
    if let Some(exit) = ended::ended(seen) {
        return Look::Over(exit);
    }
    if seen.job.metadata.deletion_timestamp.is_some() {
        return Look::Going;
    }
    pending::pending(seen, patience, now)
}

/// The container whose end is the verdict: others may have been put beside it.
pub(crate) fn container_of(job: &Job) -> &str {
    let spec = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    spec.and_then(|spec| spec.containers.first()).map_or(CONTAINER, |container| &container.name)
}

fn at(time: &Time) -> Timestamp {
    Timestamp(u64::try_from(time.0.as_millisecond()).unwrap_or_default())
}

fn broken(reason: &str, message: impl Into<String>) -> JobExit {
    JobExit::Broken { reason: reason.to_owned(), message: message.into() }
}

/// `: ` and what the cluster says, if it says anything.
fn because(message: Option<&str>) -> String {
    match message.map(str::trim) {
        Some(message) if !message.is_empty() => format!(": {message}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
