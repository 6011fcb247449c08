//! What is seen of one job: listed first, and then kept up to date by what is watched.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource as _;
use kube::api::{ListParams, WatchParams};
use kube::core::{ObjectList, Request};
use sluice_domain::ports::JobPlace;

use crate::calls::Calls;
use crate::error::{ClusterError, Tried};
use crate::lines::{Lines, News};
use crate::manifest::LABEL_JOB;
use crate::standing::{Seen, wants_events};

/// Most events that are listed.
const EVENTS_MAX: u32 = 100;
/// Longest that one connection watches, in seconds: the client's crate allows no more.
const WATCH_SECONDS_MAX: u64 = 290;

/// Where the list was, and what has come since.
struct Way {
    version: String,
    lines: Option<Lines>,
}

impl Way {
    fn new(version: Option<String>) -> Self {
        Self { version: version.unwrap_or_default(), lines: None }
    }
}

/// What is seen of one job.
pub(crate) struct Sight<'a> {
    calls: &'a Calls,
    place: &'a JobPlace,
    job: Option<Job>,
    pods: BTreeMap<String, Pod>,
    events: Vec<Event>,
    of_job: Way,
    of_pods: Way,
    /// Nothing was seen but what was listed.
    pub(crate) fresh: bool,
}

/// What came of watching.
pub(crate) enum Came {
    /// Something is different.
    Change,
    /// A way has ended, and can be taken again.
    Ended,
    /// It has to be listed again.
    Expired,
}

impl<'a> Sight<'a> {
    /// Lists what there is of a job.
    pub(crate) async fn of(calls: &'a Calls, place: &'a JobPlace) -> Result<Self, ClusterError> {
        let namespace = &place.namespace;
        let only = ListParams::default().fields(&format!("metadata.name={}", place.name));
        let list = Request::new(Job::url_path(&(), Some(namespace))).list(&only);
        let tried = Tried::new("list", "jobs.batch", namespace, &place.name);
        let jobs: ObjectList<Job> = calls.ask(&tried, list).await?;
        let only = ListParams::default().labels(&format!("{LABEL_JOB}={}", place.name));
        let list = Request::new(Pod::url_path(&(), Some(namespace))).list(&only);
        let tried = Tried::new("list", "pods", namespace, &place.name);
        let pods: ObjectList<Pod> = calls.ask(&tried, list).await?;
        let named = |job: &Job| job.metadata.name.as_deref() == Some(&place.name);
        Ok(Self {
            calls,
            place,
            of_job: Way::new(jobs.metadata.resource_version),
            job: jobs.items.into_iter().find(named),
            of_pods: Way::new(pods.metadata.resource_version),
            pods: pods.items.into_iter().map(|pod| (pod.metadata.name.clone().unwrap_or_default(), pod)).collect(),
            events: Vec::new(),
            fresh: true,
        })
    }

    /// It, if there is such a job.
    pub(crate) fn seen(&self) -> Option<Seen<'_>> {
        let job = self.job.as_ref()?;
        Some(Seen { job, pod: self.pod(), events: &self.events })
    }

    /// The pod: the latest, should there be several, and none of an earlier job of this name.
    pub(crate) fn pod(&self) -> Option<&Pod> {
        let uid = self.job.as_ref()?.metadata.uid.as_deref().unwrap_or_default();
        let owned = |pod: &&Pod| {
            pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "Job" && owner.uid == uid)
        };
        let made = |pod: &&Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        self.pods.values().filter(owned).max_by_key(made)
    }

    /// Whether events could tell more.
    pub(crate) fn wants_events(&self) -> bool {
        self.seen().is_some_and(|seen| wants_events(&seen))
    }

    /// Looks at the events. An answer that does not come is no harm: they only explain.
    pub(crate) async fn explain(&mut self) {
        let Some(seen) = self.seen() else { return };
        let about = seen.pod.map_or(&seen.job.metadata, |pod| &pod.metadata);
        let (name, uid) = (about.name.clone().unwrap_or_default(), about.uid.clone().unwrap_or_default());
        let only = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(EVENTS_MAX);
        let list = Request::new(Event::url_path(&(), Some(&self.place.namespace))).list(&only);
        let tried = Tried::new("list", "events", &self.place.namespace, &name);
        let Ok(events) = self.calls.ask::<ObjectList<Event>>(&tried, list).await else { return };
        self.events = events.items;
        self.events.retain(|event| event.involved_object.uid.as_deref() == Some(&uid));
        self.events.sort_by_key(when);
    }

    /// Watches until something is different, or a way ends.
    pub(crate) async fn next(&mut self, seconds: u64) -> Result<Came, ClusterError> {
        let namespace = &self.place.namespace;
        let params = WatchParams::default().timeout(u32::try_from(seconds.clamp(1, WATCH_SECONDS_MAX)).unwrap_or(1));
        if self.of_job.lines.is_none() {
            let params = params.clone().fields(&format!("metadata.name={}", self.place.name));
            let tried = Tried::new("watch", "jobs.batch", namespace, &self.place.name);
            let watch = Request::new(Job::url_path(&(), Some(namespace))).watch(&params, &self.of_job.version);
            match opened(self.calls.stream(&tried, watch).await)? {
                Some(lines) => self.of_job.lines = Some(lines),
                None => return Ok(Came::Expired),
            }
        }
        if self.of_pods.lines.is_none() {
            let params = params.labels(&format!("{LABEL_JOB}={}", self.place.name));
            let tried = Tried::new("watch", "pods", namespace, &self.place.name);
            let watch = Request::new(Pod::url_path(&(), Some(namespace))).watch(&params, &self.of_pods.version);
            match opened(self.calls.stream(&tried, watch).await)? {
                Some(lines) => self.of_pods.lines = Some(lines),
                None => return Ok(Came::Expired),
            }
        }
        let (Some(jobs), Some(pods)) = (&mut self.of_job.lines, &mut self.of_pods.lines) else {
            return Ok(Came::Ended);
        };
        tokio::select! {
            news = jobs.next::<Job>() => Ok(self.of_job(news)),
            news = pods.next::<Pod>() => Ok(self.of_pods(news)),
        }
    }

    fn of_job(&mut self, news: News<Job>) -> Came {
        let name = self.place.name.as_str();
        match news {
            News::Now(job) | News::Never(job) if job.metadata.name.as_deref() != Some(name) => Came::Change,
            News::Now(job) => {
                self.of_job.version = job.metadata.resource_version.clone().unwrap_or_default();
                self.changed(|sight| sight.job = Some(job))
            }
            News::Never(job) => {
                self.of_job.version = job.metadata.resource_version.unwrap_or_default();
                self.changed(|sight| sight.job = None)
            }
            News::Version(version) => {
                self.of_job.version = version;
                Came::Change
            }
            News::Ended => {
                self.of_job.lines = None;
                Came::Ended
            }
            News::Expired => Came::Expired,
        }
    }

    fn of_pods(&mut self, news: News<Pod>) -> Came {
        let name = |pod: &Pod| pod.metadata.name.clone().unwrap_or_default();
        match news {
            News::Now(pod) => {
                self.of_pods.version = pod.metadata.resource_version.clone().unwrap_or_default();
                self.changed(|sight| drop(sight.pods.insert(name(&pod), pod)))
            }
            News::Never(pod) => {
                self.of_pods.version = pod.metadata.resource_version.clone().unwrap_or_default();
                self.changed(|sight| drop(sight.pods.remove(&name(&pod))))
            }
            News::Version(version) => {
                self.of_pods.version = version;
                Came::Change
            }
            News::Ended => {
                self.of_pods.lines = None;
                Came::Ended
            }
            News::Expired => Came::Expired,
        }
    }

    fn changed(&mut self, change: impl FnOnce(&mut Self)) -> Came {
        change(self);
        self.fresh = false;
        Came::Change
    }
}

/// The lines, unless it has to be listed again.
fn opened(body: Result<kube::client::Body, ClusterError>) -> Result<Option<Lines>, ClusterError> {
    match body {
        Ok(body) => Ok(Some(Lines::new(body))),
        Err(ClusterError::Expired(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// When an event was last seen.
fn when(event: &Event) -> i128 {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    let created = event.metadata.creation_timestamp.as_ref().map(|Time(time)| *time);
    series.max(last).or(first).or(created).map_or(0, k8s_openapi::jiff::Timestamp::as_nanosecond)
}
