//! Every ending of a pod, and every stage before it.

use std::time::Duration;

use expect_test::{Expect, expect};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};
use sluice_domain::Timestamp;
use sluice_domain::ports::{JobExit, Patience};

use super::{Look, Seen, standing, wants_events};

/// 2026-11-21, twelve o'clock: when the Job was let go.
const NOON: u64 = 1_795_262_400_000;
const PATIENCE: Patience = Patience { start: Duration::from_mins(5), image: Duration::from_mins(2) };

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

fn job(more: Value) -> Job {
    let mut job = json!({
        "metadata": {"name": "sluice-1", "uid": "u1", "creationTimestamp": "2026-11-21T11:59:59Z"},
        "spec": {
            "suspend": false, "activeDeadlineSeconds": 900,
            "template": {"spec": {"containers": [
                {"name": "lagoon-task", "resources": {"limits": {"memory": "512Mi"}}}
            ]}}
        },
        "status": {"startTime": "2026-11-21T12:00:00Z"}
    });
    merge(&mut job, more);
    serde_json::from_value(job).unwrap()
}

fn pod(more: Value) -> Pod {
    let mut pod = json!({
        "metadata": {"name": "sluice-1-abcde", "creationTimestamp": "2026-11-21T12:00:00Z"},
        "spec": {"nodeName": "node-1", "containers": []},
        "status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-21T12:01:00Z"}
        ]}
    });
    merge(&mut pod, more);
    serde_json::from_value(pod).unwrap()
}

fn container(state: impl Into<Value>) -> Value {
    let state: Value = state.into();
    json!([{"name": "lagoon-task", "image": "acme/check:1", "imageID": "", "ready": false, "restartCount": 0, "state": state}])
}

fn waits(reason: &str, message: &str) -> Pod {
    pod(json!({"status": {"containerStatuses": container(json!({"waiting": {"reason": reason, "message": message}}))}}))
}

fn ended(code: i32, more: Value) -> Value {
    let mut terminated = json!({"exitCode": code, "finishedAt": "2026-11-21T12:05:00Z"});
    merge(&mut terminated, more);
    json!({"status": {"phase": "Failed", "containerStatuses": container(json!({"terminated": terminated}))}})
}

fn with(mut one: Value, more: Value) -> Pod {
    merge(&mut one, more);
    pod(one)
}

fn event(reason: &str, message: &str) -> Event {
    serde_json::from_value(json!({"metadata": {}, "involvedObject": {}, "reason": reason, "message": message})).unwrap()
}

fn told(look: &Look) -> String {
    match look {
        Look::UnderWay { message, until: None } => message.clone(),
        Look::UnderWay { message, until: Some(until) } => format!("{message} | until {}", (until.0 - NOON) / 1000),
        Look::Over(JobExit::Code(code)) => format!("code {code}"),
        Look::Over(JobExit::Broken { reason, message }) => format!("{reason}: {message}"),
        Look::Going => "going".to_owned(),
    }
}

/// How it stands so many seconds after noon.
#[track_caller]
fn check(job: &Job, pod: Option<&Pod>, events: &[Event], seconds: u64, expect: &Expect) {
    let seen = Seen { job, pod, events };
    expect.assert_eq(&told(&standing(&seen, PATIENCE, Timestamp(NOON + seconds * 1000))));
}

fn plain() -> Job {
    job(json!({}))
}

#[test]
fn an_exit_code_is_the_programs_own() {
    for (code, expect) in [
        (0, expect!["code 0"]),
        (1, expect!["code 1"]),
        (3, expect!["code 3"]),
        (127, expect!["code 127"]),
        (130, expect!["code 130"]),
        (141, expect!["code 141"]),
        (255, expect!["code 255"]),
    ] {
        let more = json!({"reason": "Error", "message": "what it wrote: hush"});
        check(&plain(), Some(&pod(ended(code, more))), &[], 301, &expect);
    }
}

#[test]
fn a_program_that_is_killed_or_never_starts_broke() {
    for (code, more, expect) in [
        (
            137,
            json!({"reason": "OOMKilled", "message": "what it wrote: hush"}),
            expect!["OOMKilled: it needed more memory than it may have (512Mi): raise EPHEMERAL_MEMORY_LIMIT"],
        ),
        (
            1,
            json!({"reason": "OOMKilled"}),
            expect!["OOMKilled: it needed more memory than it may have (512Mi): raise EPHEMERAL_MEMORY_LIMIT"],
        ),
        (0, json!({"reason": "OOMKilled"}), expect!["code 0"]),
        (
            137,
            json!({"reason": "Error", "message": "what it wrote: hush"}),
            expect!["Signal: it was ended by SIGKILL (exit code 137)"],
        ),
        (143, json!({"reason": "Error"}), expect!["Signal: it was ended by SIGTERM (exit code 143)"]),
        (139, json!({"reason": "Error"}), expect!["Signal: it was ended by SIGSEGV (exit code 139)"]),
        (
            2,
            json!({"signal": 9, "message": "what it wrote: hush"}),
            expect!["Signal: it was ended by signal 9 (exit code 2)"],
        ),
        (
            128,
            json!({"reason": "StartError", "message": "exec: \"foo\": not found"}),
            expect![[r#"StartError: its program cannot be started: exec: "foo": not found"#]],
        ),
        (
            127,
            json!({"reason": "ContainerCannotRun", "message": "no such file"}),
            expect!["StartError: its program cannot be started: no such file"],
        ),
        (
            137,
            json!({"reason": "ContainerStatusUnknown", "message": "could not be located"}),
            expect!["NodeLost: its node lost sight of it: could not be located"],
        ),
    ] {
        check(&plain(), Some(&pod(ended(code, more))), &[], 301, &expect);
    }
}

#[test]
fn a_pod_that_is_taken_away_broke_whatever_its_program_made_of_it() {
    let reason = |reason: &str, message: &str| json!({"status": {"reason": reason, "message": message}});
    let disrupted = |reason: &str| {
        json!({"status": {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason,
            "message": "told why", "lastTransitionTime": "2026-11-21T12:04:00Z"}]}})
    };
    for (code, more, expect) in [
        (
            137,
            reason("Evicted", "The node was low on resource: memory."),
            expect!["Evicted: its node had not enough left, and evicted it: The node was low on resource: memory."],
        ),
        (
            0,
            reason("Evicted", "Pod ephemeral local storage usage exceeds 1Gi."),
            expect![
                "Evicted: its node had not enough left, and evicted it: Pod ephemeral local storage usage exceeds 1Gi."
            ],
        ),
        (143, reason("Preempting", ""), expect!["Preempting: it had to make room for something more important"]),
        (
            143,
            reason("NodeLost", "Node node-1 which was running pod is unresponsive"),
            expect!["NodeLost: its node was lost: Node node-1 which was running pod is unresponsive"],
        ),
        (
            0,
            reason("Terminated", "Pod was terminated in response to imminent node shutdown."),
            expect!["NodeShutdown: its node was shut down: Pod was terminated in response to imminent node shutdown."],
        ),
        (
            137,
            reason("DeadlineExceeded", "Pod was active on the node longer than allowed"),
            expect!["DeadlineExceeded: it was not done within its 900 seconds, and was stopped"],
        ),
        (
            143,
            disrupted("PreemptionByScheduler"),
            expect!["Preempting: it had to make room for something more important: told why"],
        ),
        (143, disrupted("DeletionByTaintManager"), expect!["NodeLost: its node was lost, or is not for it: told why"]),
        (143, disrupted("DeletionByPodGC"), expect!["NodeLost: its node is no more: told why"]),
        (0, disrupted("EvictionByEvictionAPI"), expect!["Evicted: it was evicted (EvictionByEvictionAPI): told why"]),
        (137, disrupted("TerminationByKubelet"), expect!["Evicted: it was evicted (TerminationByKubelet): told why"]),
    ] {
        check(&plain(), Some(&with(ended(code, json!({})), more)), &[], 301, &expect);
    }
    let refused = json!({"status": {"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough"}});
    check(
        &plain(),
        Some(&pod(refused)),
        &[],
        61,
        &expect!["OutOfcpu: its node did not take it: Node didn't have enough"],
    );
    let refused = json!({"status": {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no device"}});
    check(
        &plain(),
        Some(&pod(refused)),
        &[],
        61,
        &expect!["UnexpectedAdmissionError: its node did not take it: no device"],
    );
}

#[test]
fn what_came_after_a_program_had_ended_is_nothing_to_it() {
    let late = json!({"status": {"conditions": [{"type": "DisruptionTarget", "status": "True",
        "reason": "EvictionByEvictionAPI", "lastTransitionTime": "2026-11-21T12:05:01Z"}]}});
    check(&plain(), Some(&with(ended(3, json!({})), late)), &[], 301, &expect!["code 3"]);
    // Asked for at 12:05:10, to be done by 12:05:40.
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-11-21T12:05:40Z", "deletionGracePeriodSeconds": 30}});
    check(&plain(), Some(&with(ended(0, json!({})), deleted.clone())), &[], 311, &expect!["code 0"]);
    // Asked for at 12:04:50: it heeded that it was asked to go.
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-11-21T12:05:20Z", "deletionGracePeriodSeconds": 30}});
    check(
        &plain(),
        Some(&with(ended(0, json!({})), deleted)),
        &[],
        301,
        &expect!["PodDeleted: somebody, or something, deleted its pod while it ran"],
    );
    // It heeded that, and its node has let go of it since: when it was asked to go is written nowhere any more.
    let let_go = json!({"metadata": {"deletionTimestamp": "2026-11-21T12:05:01Z", "deletionGracePeriodSeconds": 0}});
    check(
        &plain(),
        Some(&with(ended(0, json!({})), let_go)),
        &[],
        302,
        &expect!["PodDeleted: somebody, or something, deleted its pod while it ran"],
    );
}

#[test]
fn the_clusters_deadline_is_told_as_such() {
    let late = |kind: &str| {
        job(json!({"status": {"conditions": [{"type": kind, "status": "True", "reason": "DeadlineExceeded",
            "message": "Job was active longer than specified deadline", "lastTransitionTime": "2026-11-21T12:15:00Z"}]}}))
    };
    let stopped = |at: &str, code: i32| pod(ended(code, json!({"finishedAt": at})));
    check(
        &late("Failed"),
        None,
        &[],
        901,
        &expect!["DeadlineExceeded: it was not done within its 900 seconds, and was stopped"],
    );
    check(
        &late("FailureTarget"),
        Some(&stopped("2026-11-21T12:15:02Z", 143)),
        &[],
        903,
        &expect!["DeadlineExceeded: it was not done within its 900 seconds, and was stopped"],
    );
    check(
        &late("Failed"),
        Some(&stopped("2026-11-21T12:15:02Z", 0)),
        &[],
        903,
        &expect!["DeadlineExceeded: it was not done within its 900 seconds, and was stopped"],
    );
    check(&late("Failed"), Some(&stopped("2026-11-21T12:14:59Z", 3)), &[], 903, &expect!["code 3"]);
    // The last word comes when the pod is down, and the node has let go of it.
    let mut both = late("FailureTarget");
    let last = json!({"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": "2026-11-21T12:15:09Z"});
    both.status.as_mut().unwrap().conditions.as_mut().unwrap().push(serde_json::from_value(last).unwrap());
    let let_go = json!({"metadata": {"deletionTimestamp": "2026-11-21T12:15:03Z", "deletionGracePeriodSeconds": 0}});
    check(
        &both,
        Some(&with(ended(0, json!({"finishedAt": "2026-11-21T12:15:02Z"})), let_go)),
        &[],
        910,
        &expect!["DeadlineExceeded: it was not done within its 900 seconds, and was stopped"],
    );
}

#[test]
fn a_pod_or_a_job_that_somebody_deletes_is_told_as_such() {
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-11-21T12:03:30Z", "deletionGracePeriodSeconds": 30},
        "status": {"phase": "Running", "containerStatuses": container(json!({"running": {}}))}});
    check(
        &plain(),
        Some(&pod(deleted.clone())),
        &[],
        181,
        &expect!["PodDeleted: somebody, or something, deleted its pod while it ran"],
    );
    let going = job(json!({"metadata": {"deletionTimestamp": "2026-11-21T12:03:00Z"}}));
    check(&going, Some(&pod(deleted)), &[], 181, &expect!["JobDeleted: somebody deleted its Job while it ran"]);
    check(&going, None, &[], 181, &expect!["going"]);
    let gone = job(json!({"status": {"conditions": [{"type": "Failed", "status": "True",
        "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}]}}));
    check(
        &gone,
        None,
        &[],
        181,
        &expect![
            "PodDeleted: its pod is gone: somebody deleted it, or its node was lost: Job has reached the specified backoff limit"
        ],
    );
    let done = job(json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}}));
    check(
        &done,
        None,
        &[],
        181,
        &expect!["PodDeleted: its pod is gone, and with it how it ended: the cluster only says that it ended well"],
    );
    let other = job(json!({"status": {"conditions": [{"type": "Failed", "status": "True",
        "reason": "PodFailurePolicy", "message": "rule 0"}]}}));
    check(&other, None, &[], 181, &expect!["PodFailurePolicy: the cluster gave it up: rule 0"]);
}

#[test]
fn a_job_that_is_canceled_as_lagoon_cancels_is_told_as_such() {
    let marks = json!({"metadata": {"labels": {"lagoon.sh/cancelTask": "true"},
        "annotations": {"lagoon.sh/cancelReason": "not needed"}}});
    let running = json!({"status": {"containerStatuses": container(json!({"running": {}}))}});
    check(&job(marks.clone()), None, &[], 1, &expect!["Cancelled: it was canceled: not needed"]);
    check(&plain(), Some(&with(running, marks.clone())), &[], 200, &expect!["Cancelled: it was canceled: not needed"]);
    let unmarked = json!({"metadata": {"labels": {"lagoon.sh/cancelTask": "false"}}});
    check(&job(unmarked), None, &[], 1, &expect!["waits for its pod | until 300"]);
    // It had ended before anybody could cancel it.
    check(&plain(), Some(&with(ended(3, json!({})), marks.clone())), &[], 301, &expect!["code 3"]);
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-11-21T12:04:00Z"}});
    let mut both = marks;
    merge(&mut both, deleted);
    check(
        &plain(),
        Some(&with(ended(143, json!({})), both)),
        &[],
        301,
        &expect!["Cancelled: it was canceled: not needed"],
    );
}

#[test]
fn an_image_that_does_not_come_has_its_own_patience_from_when_a_node_was_found() {
    let back_off = waits("ImagePullBackOff", "Back-off pulling image \"acme/check:1\"");
    check(
        &plain(),
        Some(&back_off),
        &[],
        179,
        &expect![[r#"the image acme/check:1 cannot be pulled yet: Back-off pulling image "acme/check:1" | until 180"#]],
    );
    check(
        &plain(),
        Some(&back_off),
        &[],
        180,
        &expect![[
            r#"ImagePull: the image acme/check:1 cannot be pulled; is its name right, and may its node have it?: Back-off pulling image "acme/check:1""#
        ]],
    );
    check(
        &plain(),
        Some(&waits("ErrImagePull", "unauthorized")),
        &[],
        100,
        &expect!["the image acme/check:1 cannot be pulled yet: unauthorized | until 180"],
    );
    check(
        &plain(),
        Some(&waits("InvalidImageName", "couldn't parse image name")),
        &[],
        61,
        &expect!["InvalidImageName: the image acme/check:1 cannot be pulled: couldn't parse image name"],
    );
    check(
        &plain(),
        Some(&waits("ErrImageNeverPull", "not present with pull policy of Never")),
        &[],
        61,
        &expect!["ErrImageNeverPull: the image acme/check:1 cannot be pulled: not present with pull policy of Never"],
    );
}

#[test]
fn what_comes_before_a_container_takes_nothing_of_the_patience_with_its_image() {
    let at = |kind: &str, status: &str, time: &str| {
        let time = format!("2026-11-21T12:0{time}Z");
        json!({"type": kind, "status": status, "lastTransitionTime": time})
    };
    let steps = |conditions: Value, reason: &str| {
        let mut pod = waits(reason, "why");
        let conditions = serde_json::from_value(conditions).unwrap();
        pod.status.as_mut().unwrap().conditions = Some(conditions);
        pod
    };
    let (node, network) = (at("PodScheduled", "True", "0:10"), at("PodReadyToStartContainers", "True", "1:30"));
    let (first, not_yet) = (at("Initialized", "True", "2:20"), at("Initialized", "False", "2:50"));
    for (conditions, until) in [
        (json!([node]), 130),
        (json!([first, node, network]), 260),
        (json!([node, network, not_yet]), 210),
        // Patience with the beginning as a whole is over before.
        (json!([node, at("Initialized", "True", "4:00")]), 300),
    ] {
        for reason in ["ErrImagePull", "CreateContainerConfigError"] {
            let pod = steps(conditions.clone(), reason);
            let seen = |seconds: u64| {
                let job = plain();
                let seen = Seen { job: &job, pod: Some(&pod), events: &[] };
                standing(&seen, PATIENCE, Timestamp(NOON + seconds * 1000))
            };
            assert!(told(&seen(until - 1)).ends_with(&format!("why | until {until}")), "{}", told(&seen(until - 1)));
            assert!(matches!(seen(until), Look::Over(_)), "{}", told(&seen(until)));
        }
    }
}

#[test]
fn a_container_that_cannot_be_made_is_told_with_why() {
    let config = waits("CreateContainerConfigError", "secret \"one\" not found");
    check(
        &plain(),
        Some(&config),
        &[],
        100,
        &expect![[
            r#"its container cannot be made yet (CreateContainerConfigError): secret "one" not found | until 180"#
        ]],
    );
    check(
        &plain(),
        Some(&config),
        &[],
        180,
        &expect![[r#"CreateContainerConfigError: its container cannot be made: secret "one" not found"#]],
    );
    check(
        &plain(),
        Some(&waits("CreateContainerError", "context deadline exceeded")),
        &[],
        200,
        &expect!["CreateContainerError: its container cannot be made: context deadline exceeded"],
    );
    check(
        &plain(),
        Some(&waits("RunContainerError", "failed to start")),
        &[],
        200,
        &expect!["RunContainerError: its container cannot be made: failed to start"],
    );
}

#[test]
fn a_pod_that_no_node_takes_is_told_with_what_the_scheduler_says() {
    let unscheduled = pod(json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient memory."}]}}));
    check(
        &plain(),
        Some(&unscheduled),
        &[],
        299,
        &expect!["waits for a node: 0/3 nodes are available: 3 Insufficient memory. | until 300"],
    );
    check(
        &plain(),
        Some(&unscheduled),
        &[],
        300,
        &expect!["Unschedulable: no node took it in 300 seconds: 0/3 nodes are available: 3 Insufficient memory."],
    );
    let gated = pod(json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "SchedulingGated", "message": "Scheduling is blocked"}]}}));
    check(
        &plain(),
        Some(&gated),
        &[],
        300,
        &expect!["SchedulingGated: no node took it in 300 seconds: Scheduling is blocked"],
    );
}

#[test]
fn a_pod_that_is_not_made_is_told_with_what_the_cluster_says() {
    let quota = [event("FailedCreate", "pods \"a\" is forbidden: exceeded quota: q")];
    check(&plain(), None, &[], 1, &expect!["waits for its pod | until 300"]);
    check(
        &plain(),
        None,
        &quota,
        1,
        &expect![[r#"its pod cannot be made yet: pods "a" is forbidden: exceeded quota: q | until 300"#]],
    );
    check(
        &plain(),
        None,
        &quota,
        300,
        &expect![[r#"FailedCreate: its pod cannot be made: pods "a" is forbidden: exceeded quota: q"#]],
    );
    check(&plain(), None, &[], 300, &expect!["FailedCreate: the cluster made no pod of it, and does not say why"]);
    let suspended = job(json!({"spec": {"suspend": true}, "status": {"startTime": null}}));
    check(&suspended, None, &[], 1, &expect!["is suspended, and waits to be let go | until 299"]);
    check(&suspended, None, &[], 299, &expect!["Suspended: it was suspended, and nobody let it go on"]);
}

#[test]
fn a_volume_that_is_not_mounted_is_told_by_its_event() {
    let creating = waits("ContainerCreating", "");
    let volume = [event("Scheduled", ""), event("FailedMount", "secret \"lagoon-sshkey\" not found")];
    check(
        &plain(),
        Some(&creating),
        &volume,
        100,
        &expect![[r#"waits for a volume: secret "lagoon-sshkey" not found | until 300"#]],
    );
    check(
        &plain(),
        Some(&creating),
        &volume,
        300,
        &expect![[r#"FailedMount: a volume of it was not mounted in 300 seconds: secret "lagoon-sshkey" not found"#]],
    );
    let pulling = [event("FailedMount", "once"), event("Pulling", "Pulling image \"acme/check:1\"")];
    check(
        &plain(),
        Some(&creating),
        &pulling,
        100,
        &expect![[r#"pulls its image: Pulling image "acme/check:1" | until 300"#]],
    );
    check(
        &plain(),
        Some(&creating),
        &pulling,
        300,
        &expect![[r#"ImagePullSlow: its image was not there in 300 seconds: Pulling image "acme/check:1""#]],
    );
    let sandbox = [event("FailedCreatePodSandBox", "no IP addresses available")];
    check(
        &plain(),
        Some(&creating),
        &sandbox,
        300,
        &expect!["FailedCreatePodSandBox: its pod was not made in 300 seconds: no IP addresses available"],
    );
    check(&plain(), Some(&creating), &[], 100, &expect!["its container is being made on node-1 | until 300"]);
    check(
        &plain(),
        Some(&creating),
        &[],
        300,
        &expect![
            "ContainerCreating: its container did not run within 300 seconds on node-1, and the cluster does not say why"
        ],
    );
}

#[test]
fn what_runs_before_the_program_is_waited_for_and_its_failure_told() {
    let before = |state: Value| {
        json!([{"name": "vault-agent-init", "image": "vault", "imageID": "", "ready": false, "restartCount": 0,
            "state": state}])
    };
    let initializing = || container(json!({"waiting": {"reason": "PodInitializing"}}));
    let running = pod(json!({"status": {"initContainerStatuses": before(json!({"running": {}})),
        "containerStatuses": initializing()}}));
    check(&plain(), Some(&running), &[], 100, &expect!["waits for vault-agent-init, which runs before it | until 300"]);
    check(
        &plain(),
        Some(&running),
        &[],
        300,
        &expect!["InitTimeout: vault-agent-init, which runs before it, was not done in 300 seconds"],
    );
    let failed = pod(json!({"status": {"phase": "Failed",
        "initContainerStatuses": before(json!({"terminated": {"exitCode": 1, "message": "permission denied"}})),
        "containerStatuses": initializing()}}));
    check(
        &plain(),
        Some(&failed),
        &[],
        100,
        &expect!["InitError: vault-agent-init, which runs before it, ended with code 1: permission denied"],
    );
    let image = pod(json!({"status": {
        "initContainerStatuses": before(json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}})),
        "containerStatuses": initializing()}}));
    check(
        &plain(),
        Some(&image),
        &[],
        180,
        &expect![
            "ImagePull: the image vault cannot be pulled; is its name right, and may its node have it?: not found"
        ],
    );
}

#[test]
fn a_program_that_runs_is_told_since_when_and_its_end_counts_whatever_runs_beside_it() {
    let state = json!({"running": {"startedAt": "2026-11-21T12:02:00Z"}});
    let running = pod(json!({"status": {"phase": "Running", "containerStatuses": container(state)}}));
    check(&plain(), Some(&running), &[], 100_000, &expect!["runs since 2026-11-21T12:02:00Z"]);
    let mut both = container(json!({"terminated": {"exitCode": 4}}));
    both.as_array_mut().unwrap().push(json!({"name": "istio-proxy", "image": "istio", "imageID": "", "ready": true,
        "restartCount": 0, "state": {"running": {}}}));
    let beside = pod(json!({"status": {"phase": "Running", "containerStatuses": both}}));
    check(&plain(), Some(&beside), &[], 301, &expect!["code 4"]);
}

#[test]
fn events_are_asked_for_only_where_they_could_tell_more() {
    let job = plain();
    let asks = |job: &Job, pod: Option<&Pod>| wants_events(&Seen { job, pod, events: &[] });
    assert!(asks(&job, None));
    assert!(!asks(&self::job(json!({"spec": {"suspend": true}})), None));
    assert!(asks(&job, Some(&pod(json!({})))));
    assert!(asks(&job, Some(&waits("ContainerCreating", ""))));
    assert!(!asks(&job, Some(&waits("ErrImagePull", ""))));
    assert!(!asks(&job, Some(&pod(json!({"status": {"containerStatuses": container(json!({"running": {}}))}})))));
    assert!(!asks(&job, Some(&pod(ended(0, json!({}))))));
}
