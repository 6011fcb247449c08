//! Whether a job is over, and how.

use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use sluice_domain::Timestamp;
use sluice_domain::ports::JobExit;

use super::pod::{before, condition, program, terminated, waiting};
use super::{Seen, at, because, broken, container_of};
use crate::manifest::{CANCEL, CANCEL_REASON};

/// Exit codes that are those of a program which was killed, or crashed, as a shell and the container's own first process
/// tell of it: 128 and the signal. Others above 128 are a program's own to use: 129 (its terminal went), 130
/// (interrupted) and 141 (nobody reads) are how scripts end by themselves.
const SIGNALS: [(i32, &str); 7] = [
    (132, "SIGILL"),
    (134, "SIGABRT"),
    (135, "SIGBUS"),
    (136, "SIGFPE"),
    (137, "SIGKILL"),
    (139, "SIGSEGV"),
    (143, "SIGTERM"),
];

/// What came between a program and its end.
struct Interruption {
    /// When, if that is known: a program that was over by then ended by itself.
    since: Option<Timestamp>,
    exit: JobExit,
}

pub(super) fn ended(seen: &Seen<'_>) -> Option<JobExit> {
    let program = seen.pod.and_then(|pod| terminated(pod, container_of(seen.job)));
    let interruption = interruption(seen);
    match (program, interruption) {
        (Some(program), Some(interruption)) => {
            let finished = program.finished_at.as_ref().map(at);
            let first = finished.zip(interruption.since).is_some_and(|(finished, since)| finished < since);
            Some(if first { exit(seen, program) } else { canceled(seen).unwrap_or(interruption.exit) })
        }
        (Some(program), None) => Some(exit(seen, program)),
        (None, Some(interruption)) => Some(canceled(seen).unwrap_or(interruption.exit)),
        (None, None) => canceled(seen).or_else(|| unborn(seen)),
    }
}

/// Somebody has canceled it, as a task of Lagoon's is canceled.
fn canceled(seen: &Seen<'_>) -> Option<JobExit> {
    let both = [Some(&seen.job.metadata), seen.pod.map(|pod| &pod.metadata)];
    let found = both.into_iter().flatten().find(|metadata| {
        metadata.labels.as_ref().and_then(|labels| labels.get(CANCEL)).is_some_and(|value| value == "true")
    })?;
    let why = found.annotations.as_ref().and_then(|annotations| annotations.get(CANCEL_REASON));
    Some(broken("Cancelled", format!("it was canceled{}", because(why.map(String::as_str)))))
}

fn interruption(seen: &Seen<'_>) -> Option<Interruption> {
    deadline(seen).or_else(|| seen.pod.and_then(|pod| torn(seen.job, pod)))
}

fn job_condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

/// Why the Job failed, if it did.
fn failed(job: &Job) -> Option<&JobCondition> {
    job_condition(job, "Failed").or_else(|| job_condition(job, "FailureTarget"))
}

/// Its time was over.
fn deadline(seen: &Seen<'_>) -> Option<Interruption> {
    let exit = || {
        let seconds = seen.job.spec.as_ref().and_then(|spec| spec.active_deadline_seconds).unwrap_or_default();
        broken("DeadlineExceeded", format!("it was not done within its {seconds} seconds, and was stopped"))
    };
    // `Failed` comes last, when the pod is down; `FailureTarget` before it is asked to go.
    let told = ["FailureTarget", "Failed"].into_iter().filter_map(|kind| job_condition(seen.job, kind));
    let of_job = told.filter(|failed| failed.reason.as_deref() == Some("DeadlineExceeded"));
    let moments: Vec<_> = of_job.map(|failed| failed.last_transition_time.as_ref().map(at)).collect();
    if !moments.is_empty() {
        let since = moments.into_iter().chain([seen.pod.and_then(deleted_at)]).flatten().min();
        return Some(Interruption { since, exit: exit() });
    }
    let of_pod = seen.pod.and_then(|pod| pod.status.as_ref()?.reason.as_deref());
    (of_pod == Some("DeadlineExceeded")).then(|| Interruption { since: None, exit: exit() })
}

/// When it was asked for that a pod be deleted: what is written down is when it will be. Nobody can tell of one without a
/// grace period: the node lets go of a pod that way once its program is over, and the API server then moves the time to
/// that moment, however long before it was asked for
/// (`markAsDeleting` in `k8s.io/apiserver/pkg/registry/generic/registry/store.go`).
fn deleted_at(pod: &Pod) -> Option<Timestamp> {
    let by = at(pod.metadata.deletion_timestamp.as_ref()?);
    let grace = u64::try_from(pod.metadata.deletion_grace_period_seconds?).ok().filter(|seconds| *seconds > 0)?;
    Some(Timestamp(by.0.saturating_sub(grace * 1000)))
}

/// The cluster, or somebody, took the pod away from under the program.
fn torn(job: &Job, pod: &Pod) -> Option<Interruption> {
    let status = pod.status.as_ref();
    let disruption = condition(pod, "DisruptionTarget").filter(|condition| condition.status == "True");
    let since = disruption.and_then(|disruption| disruption.last_transition_time.as_ref()).map(at);
    let reason = status.and_then(|status| status.reason.as_deref()).unwrap_or_default();
    let said = because(status.and_then(|status| status.message.as_deref()));
    let exit = match reason {
        "Evicted" => Some(broken("Evicted", format!("its node had not enough left, and evicted it{said}"))),
        "Preempting" => Some(broken("Preempting", format!("it had to make room for something more important{said}"))),
        "NodeLost" => Some(broken("NodeLost", format!("its node was lost{said}"))),
        "Shutdown" | "NodeShutdown" | "Terminated" => {
            Some(broken("NodeShutdown", format!("its node was shut down{said}")))
        }
        "UnexpectedAdmissionError" | "NodeAffinity" | "Unschedulable" => {
            Some(broken(reason, format!("its node did not take it{said}")))
        }
        reason if reason.starts_with("OutOf") => Some(broken(reason, format!("its node did not take it{said}"))),
        _ => None,
    };
    if let Some(exit) = exit {
        return Some(Interruption { since, exit });
    }
    if let Some(disruption) = disruption {
        let said = because(disruption.message.as_deref());
        let exit = match disruption.reason.as_deref().unwrap_or_default() {
            "PreemptionByScheduler" => {
                broken("Preempting", format!("it had to make room for something more important{said}"))
            }
            "DeletionByTaintManager" => broken("NodeLost", format!("its node was lost, or is not for it{said}")),
            "DeletionByPodGC" => broken("NodeLost", format!("its node is no more{said}")),
            reason => broken("Evicted", format!("it was evicted ({reason}){said}")),
        };
        return Some(Interruption { since, exit });
    }
    let lost = terminated(pod, container_of(job))
        .filter(|program| program.reason.as_deref() == Some("ContainerStatusUnknown"));
    if let Some(lost) = lost {
        let said = because(lost.message.as_deref());
        return Some(Interruption {
            since: None,
            exit: broken("NodeLost", format!("its node lost sight of it{said}")),
        });
    }
    pod.metadata.deletion_timestamp.as_ref()?;
    let exit = if job.metadata.deletion_timestamp.is_some() {
        broken("JobDeleted", "somebody deleted its Job while it ran")
    } else {
        broken("PodDeleted", "somebody, or something, deleted its pod while it ran")
    };
    Some(Interruption { since: deleted_at(pod), exit })
}

/// How a program ended that nothing came between. What is said of that by the program itself, or was taken from its log,
/// is not for everybody; only of one that never started it is the runtime that says it.
fn exit(seen: &Seen<'_>, program: &ContainerStateTerminated) -> JobExit {
    let code = program.exit_code;
    match program.reason.as_deref().unwrap_or_default() {
        // What was killed may have been one of its children, without which it came to its end all the same.
        "OOMKilled" if code != 0 => {
            let limit = memory_limit(seen.job).map_or_else(String::new, |limit| format!(" ({limit})"));
            let raise = "raise EPHEMERAL_MEMORY_LIMIT";
            broken("OOMKilled", format!("it needed more memory than it may have{limit}: {raise}"))
        }
        "StartError" | "ContainerCannotRun" | "RunContainerError" => {
            let said = because(program.message.as_deref());
            broken("StartError", format!("its program cannot be started{said}"))
        }
        _ => match SIGNALS.iter().find(|(signal, _)| *signal == code) {
            Some((_, signal)) => broken("Signal", format!("it was ended by {signal} (exit code {code})")),
            None => match program.signal.filter(|signal| *signal != 0) {
                Some(signal) => broken("Signal", format!("it was ended by signal {signal} (exit code {code})")),
                None => JobExit::Code(code),
            },
        },
    }
}

fn memory_limit(job: &Job) -> Option<&str> {
    let container = job.spec.as_ref()?.template.spec.as_ref()?.containers.first()?;
    container.resources.as_ref()?.limits.as_ref()?.get("memory").map(|limit| limit.0.as_str())
}

/// It is over, and its program never ran, or nobody knows any more how it ended.
fn unborn(seen: &Seen<'_>) -> Option<JobExit> {
    let phase = seen.pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()).unwrap_or_default();
    if let Some(pod) = seen.pod {
        let initial = before(pod).iter().find_map(|status| {
            let terminated = status.state.as_ref()?.terminated.as_ref()?;
            (terminated.exit_code != 0).then_some((status, terminated))
        });
        let idle = program(pod, container_of(seen.job)).is_none_or(|program| waiting(program).is_some());
        if let Some((status, terminated)) = initial
            && idle
            && (phase == "Failed" || failed(seen.job).is_some())
        {
            let (name, code) = (&status.name, terminated.exit_code);
            let said = because(terminated.message.as_deref().or(terminated.reason.as_deref()));
            return Some(broken("InitError", format!("{name}, which runs before it, ended with code {code}{said}")));
        }
        if phase == "Failed" {
            let status = pod.status.as_ref();
            let reason = status.and_then(|status| status.reason.as_deref()).unwrap_or("PodFailed");
            let said = because(status.and_then(|status| status.message.as_deref()));
            return Some(broken(reason, format!("its pod failed{said}")));
        }
    } else if job_condition(seen.job, "Complete").is_some() {
        // A program that was told to go and went well counts as done well, too: without its pod nobody can tell.
        let message = "its pod is gone, and with it how it ended: the cluster only says that it ended well";
        return Some(broken("PodDeleted", message));
    }
    let failed = failed(seen.job)?;
    let said = because(failed.message.as_deref());
    match failed.reason.as_deref() {
        None | Some("BackoffLimitExceeded") if seen.pod.is_none() => {
            Some(broken("PodDeleted", format!("its pod is gone: somebody deleted it, or its node was lost{said}")))
        }
        reason => Some(broken(reason.unwrap_or("JobFailed"), format!("the cluster gave it up{said}"))),
    }
}
