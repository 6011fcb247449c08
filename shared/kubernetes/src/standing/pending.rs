//! What a job that is not over is at, and for how much longer it may be at that.

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use sluice_domain::Timestamp;
use sluice_domain::ports::Patience;

use super::pod::{before, condition, program, waiting};
use super::{Look, Seen, at, because, broken, container_of};

/// What only a person can put right.
const HOPELESS: [&str; 2] = ["InvalidImageName", "ErrImageNeverPull"];
/// An image that does not come.
const IMAGE: [&str; 5] =
    ["ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"];
/// A container that cannot be made of it.
const CONTAINER: [&str; 6] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PreCreateHookError",
    "PostStartHookError",
    "CrashLoopBackOff",
];
/// Events that tell of a volume.
const VOLUME: [&str; 3] = ["FailedMount", "FailedAttachVolume", "FailedMapVolume"];

/// What has to be done before its containers are made: it has a node, a network, and what runs before it is over.
const STEPS: [&str; 3] = ["PodScheduled", "PodReadyToStartContainers", "Initialized"];

/// Events that tell how far a pod is.
const TOLD: [&str; 6] =
    ["FailedMount", "FailedAttachVolume", "FailedMapVolume", "Pulling", "Pulled", "FailedCreatePodSandBox"];

/// Whether events could tell more than the objects do.
pub(crate) fn wants_events(seen: &Seen<'_>) -> bool {
    let Some(pod) = seen.pod else { return !suspended(seen) };
    let scheduled = condition(pod, "PodScheduled").is_some_and(|condition| condition.status == "True");
    let told = |status: &ContainerStatus| {
        waiting(status).is_none_or(|(reason, _)| !matches!(reason, "" | "ContainerCreating" | "PodInitializing"))
    };
    scheduled && !before(pod).iter().any(is_running) && !program(pod, container_of(seen.job)).is_some_and(told)
}

fn suspended(seen: &Seen<'_>) -> bool {
    seen.job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true)
}

fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.running.is_some())
}

/// Something it is at, which is only so long to be borne.
struct Wait {
    message: String,
    until: Timestamp,
    /// What it is called, and what is said, once it was not.
    reason: &'static str,
    end: String,
}

impl Wait {
    fn look(self, now: Timestamp) -> Look {
        if now < self.until {
            return Look::UnderWay { message: self.message, until: Some(self.until) };
        }
        Look::Over(broken(self.reason, self.end))
    }
}

pub(super) fn pending(seen: &Seen<'_>, patience: Patience, now: Timestamp) -> Look {
    let created = seen.job.metadata.creation_timestamp.as_ref().map_or(now, at);
    let started = seen.job.status.as_ref().and_then(|status| status.start_time.as_ref()).map_or(created, at);
    let start_by = started.plus_ms(ms(patience.start));
    let Some(pod) = seen.pod else { return no_pod(seen, start_by).look(now) };
    if let Some(running) =
        program(pod, container_of(seen.job)).and_then(|program| program.state.as_ref()?.running.as_ref())
    {
        let since = running.started_at.as_ref().map(|since| format!(" since {}", since.0)).unwrap_or_default();
        return Look::UnderWay { message: format!("runs{since}"), until: None };
    }
    let scheduled = condition(pod, "PodScheduled");
    if let Some(unscheduled) = scheduled.filter(|condition| condition.status == "False") {
        let said = because(unscheduled.message.as_deref());
        let reason =
            if unscheduled.reason.as_deref() == Some("SchedulingGated") { "SchedulingGated" } else { "Unschedulable" };
        let end = format!("no node took it in {} seconds{said}", patience.start.as_secs());
        return Wait { message: format!("waits for a node{said}"), until: start_by, reason, end }.look(now);
    }
    let ready = ready(pod).or_else(|| pod.metadata.creation_timestamp.as_ref().map(at)).unwrap_or(started);
    let image_by = ready.plus_ms(ms(patience.image)).min(start_by);
    let all = before(pod).iter().chain(program(pod, container_of(seen.job)));
    for status in all {
        let Some((reason, waiting)) = waiting(status) else { continue };
        if let Some(look) = stuck(status, reason, waiting.message.as_deref(), image_by, now) {
            return look;
        }
    }
    being_made(seen, pod, patience, start_by).look(now)
}

/// When the last of the steps was done that come before a container's image: neither a slow network nor what runs before
/// it takes of the patience with that.
fn ready(pod: &Pod) -> Option<Timestamp> {
    let done = STEPS.iter().filter_map(|step| condition(pod, step)).filter(|condition| condition.status == "True");
    done.filter_map(|condition| condition.last_transition_time.as_ref()).map(at).max()
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn no_pod(seen: &Seen<'_>, until: Timestamp) -> Wait {
    if suspended(seen) {
        return Wait {
            message: "is suspended, and waits to be let go".to_owned(),
            until,
            reason: "Suspended",
            end: "it was suspended, and nobody let it go on".to_owned(),
        };
    }
    match latest(seen.events, &["FailedCreate"]) {
        Some(failed) => {
            let said = because(failed.message.as_deref());
            Wait {
                message: format!("its pod cannot be made yet{said}"),
                until,
                reason: "FailedCreate",
                end: format!("its pod cannot be made{said}"),
            }
        }
        None => Wait {
            message: "waits for its pod".to_owned(),
            until,
            reason: "FailedCreate",
            end: "the cluster made no pod of it, and does not say why".to_owned(),
        },
    }
}

/// A container that says why it does not come up.
fn stuck(
    status: &ContainerStatus,
    reason: &str,
    message: Option<&str>,
    until: Timestamp,
    now: Timestamp,
) -> Option<Look> {
    let (image, said) = (&status.image, because(message));
    if HOPELESS.contains(&reason) {
        return Some(Look::Over(broken(reason, format!("the image {image} cannot be pulled{said}"))));
    }
    let wait = if IMAGE.contains(&reason) {
        Wait {
            message: format!("the image {image} cannot be pulled yet{said}"),
            until,
            reason: "ImagePull",
            end: format!("the image {image} cannot be pulled; is its name right, and may its node have it?{said}"),
        }
    } else if CONTAINER.contains(&reason) {
        let known = CONTAINER.into_iter().find(|known| *known == reason)?;
        Wait {
            message: format!("its container cannot be made yet ({reason}){said}"),
            until,
            reason: known,
            end: format!("its container cannot be made{said}"),
        }
    } else {
        return None;
    };
    Some(wait.look(now))
}

fn being_made(seen: &Seen<'_>, pod: &Pod, patience: Patience, until: Timestamp) -> Wait {
    let seconds = patience.start.as_secs();
    let wait = |message: String, reason, end: String| Wait { message, until, reason, end };
    if let Some(first) = before(pod).iter().find(|status| is_running(status) && status.started != Some(true)) {
        let name = &first.name;
        let end = format!("{name}, which runs before it, was not done in {seconds} seconds");
        return wait(format!("waits for {name}, which runs before it"), "InitTimeout", end);
    }
    let told = latest(seen.events, &TOLD)
        .map(|event| (event.reason.as_deref().unwrap_or_default(), because(event.message.as_deref())));
    match told {
        Some((reason, said)) if VOLUME.contains(&reason) => {
            let end = format!("a volume of it was not mounted in {seconds} seconds{said}");
            wait(format!("waits for a volume{said}"), "FailedMount", end)
        }
        Some(("Pulling", said)) => {
            let end = format!("its image was not there in {seconds} seconds{said}");
            wait(format!("pulls its image{said}"), "ImagePullSlow", end)
        }
        Some(("FailedCreatePodSandBox", said)) => {
            let end = format!("its pod was not made in {seconds} seconds{said}");
            wait(format!("its pod cannot be made yet{said}"), "FailedCreatePodSandBox", end)
        }
        _ => {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            let on = node.map_or_else(String::new, |node| format!(" on {node}"));
            let end =
                format!("its container did not run within {seconds} seconds{on}, and the cluster does not say why");
            wait(format!("its container is being made{on}"), "ContainerCreating", end)
        }
    }
}

/// The latest event that has one of `reasons`.
fn latest<'a>(events: &'a [Event], reasons: &[&str]) -> Option<&'a Event> {
    events.iter().rfind(|event| event.reason.as_deref().is_some_and(|reason| reasons.contains(&reason)))
}
