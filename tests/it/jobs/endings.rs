//! Every end that a pod can come to, as HCP Terraform hears of it: with its reason, in one last word, and with nothing
//! left in the cluster.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_domain::gate::CheckVerdict;
use sluice_job_runner::JobSettings;
use sluice_tests::hcp::TaskResultView;
use sluice_tests::kubernetes::{Ending, Fault, Image, Mishap};

use super::contract::shown;
use super::scene::{IMAGE, JobScene, STAYS, check, image, sh};
use crate::gate::scene::{assert_answered, assert_failed, assert_passed, outcome, until};
use sluice_tests::hcp::TaskResultStatus;

/// What was wrong is the cluster's, and neither the program's word nor anybody's verdict.
async fn assert_broke(scene: &JobScene, result: &TaskResultView, check: &str, says: &[&str]) {
    assert_failed(result);
    let end = scene.execution(&result.id, check).await.unwrap().end.unwrap();
    assert_eq!(end.verdict, CheckVerdict::Errored, "{}", result.message);
    for text in says {
        assert!(result.message.contains(text), "{text}: {}", result.message);
    }
    let tag = &outcome(result, check)["tags"]["Status"][0];
    assert_eq!(tag, &json!({ "label": "Error", "level": "error" }));
    scene.cleared().await;
}

/// A job of this name that differs in this from others.
fn with(name: &str, more: &Value) -> Value {
    let mut job = json!({ "image": IMAGE });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    check(name, job)
}

/// Longer than a node may take.
const START_PATIENCE: Duration = Duration::from_secs(301);

#[tokio::test]
async fn what_keeps_a_program_from_running() {
    let scene = JobScene::restless().await;
    let kubelet = scene.runs("exit 0").await;
    let settings = |name: &str, value: &str| json!({ "settings": { name: value } });
    let cases = [
        (
            with("image", &json!({ "image": "registry.example/absent:1" })),
            "the image registry.example/absent:1 cannot be pulled yet: ",
            "ImagePull: the image registry.example/absent:1 cannot be pulled; is its name right, and may its node have it?",
            "registry.example/absent:1: not found",
        ),
        (
            with("secret", &settings("ExecutorEphemeralSecret", "absent")),
            "its container cannot be made yet (CreateContainerConfigError)",
            "CreateContainerConfigError: its container cannot be made: ",
            "secret \"absent\" not found",
        ),
        (
            with("volume", &json!({ "ssh_key": true })),
            "waits for a volume: ",
            "FailedMount: a volume of it was not mounted in 300 seconds: ",
            "secret \"lagoon-sshkey\" not found",
        ),
        (
            with("node", &settings("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "gpu=yes")),
            "waits for a node: 0/1 nodes are available",
            "Unschedulable: no node took it in 300 seconds: ",
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector",
        ),
        (
            with("account", &settings("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "absent")),
            "its pod cannot be made yet: ",
            "FailedCreate: its pod cannot be made: ",
            "serviceaccount \"absent\" not found",
        ),
    ];
    let result = scene.begin(&cases.iter().map(|(check, ..)| check.clone()).collect()).await;
    for (check, at, ..) in &cases {
        scene.at(&result, check["name"].as_str().unwrap(), at).await;
    }
    scene.advance(START_PATIENCE);
    let answer = scene.answer(&result).await;
    for (check, _, reason, text) in &cases {
        let name = check["name"].as_str().unwrap();
        // The message has room for the first of them; each is told in full by its outcome.
        let description = outcome(&answer, name)["description"].as_str().unwrap();
        assert!(description.starts_with(&format!("{name}: {reason}")) && description.contains(text), "{description}");
        assert_broke(&scene, &answer, name, &[]).await;
    }
    assert!(answer.message.starts_with("image: ImagePull: "), "{}", answer.message);
    assert_eq!(kubelet.starts(IMAGE), 0);
    scene.end().await;
}

#[tokio::test]
async fn what_somebody_does_to_it() {
    let scene = JobScene::new().await;
    let kubelet = scene.runs(STAYS).await;
    let names = ["job", "pod", "label", "mark"];
    let result = scene.begin(&names.iter().map(|name| image(name)).collect()).await;
    let mut pods = Vec::new();
    for name in names {
        scene.at(&result, name, "").await;
        pods.push(scene.running(&result, name).await);
    }
    let marks = |why: &str| {
        json!({ "metadata": {
            "labels": { "lagoon.sh/cancelTask": "true" }, "annotations": { "lagoon.sh/cancelReason": why },
        } })
    };
    let job = scene.place(&result, "job").name;
    scene.api::<Job>().delete(&job, &DeleteParams::background()).await.unwrap();
    scene.api::<Pod>().delete(&pods[1], &DeleteParams::default()).await.unwrap();
    scene.patch_job(&result, "label", marks("not needed")).await;
    let patch = Patch::Merge(marks("too dear"));
    scene.api::<Pod>().patch(&pods[3], &PatchParams::default(), &patch).await.unwrap();
    let answer = scene.answer(&result).await;
    // Whichever is seen first of what goes with a Job.
    let gone = ["its job checks/", "PodDeleted: ", "JobDeleted: "];
    assert!(gone.iter().any(|gone| answer.message.starts_with(&format!("job: {gone}"))), "{}", answer.message);
    assert_broke(&scene, &answer, "job", &["deleted"]).await;
    assert_broke(&scene, &answer, "pod", &["pod: PodDeleted: "]).await;
    assert_broke(&scene, &answer, "label", &["label: Cancelled: it was canceled: not needed"]).await;
    assert_broke(&scene, &answer, "mark", &["mark: Cancelled: it was canceled: too dear"]).await;
    assert_eq!(kubelet.starts(IMAGE), 4);
    scene.end().await;
}

#[tokio::test]
async fn what_its_node_makes_of_a_program() {
    let scene = JobScene::new().await;
    let low = "The node was low on resource: memory.";
    let images = [
        ("oom:1", sh("echo so far").ending(Ending::OomKilled)),
        ("evicted:1", sh("exit 0").ending(Ending::Evicted(low.to_owned()))),
        ("lost:1", sh("exit 0").ending(Ending::Lost)),
        ("killed:1", sh("kill -9 $$")),
        ("absent:1", Image::new(["/no/such/program"])),
    ];
    let _kubelet = scene.kubelet(images).await;
    let cases = [
        (
            "oom",
            vec!["OOMKilled: it needed more memory than it may have (512Mi): raise EPHEMERAL_MEMORY_LIMIT: so far"],
        ),
        ("evicted", vec!["Evicted: ", low]),
        ("lost", vec!["NodeLost: its node lost sight of it"]),
        ("killed", vec!["Signal: it was ended by SIGKILL (exit code 137)"]),
        ("absent", vec!["StartError: its program cannot be started", "no such file or directory"]),
    ];
    let checks: Value = cases.iter().map(|(name, _)| check(name, json!({ "image": format!("{name}:1") }))).collect();
    let result = scene.ask(&checks).await;
    for (name, says) in &cases {
        assert_broke(&scene, &result, name, says).await;
        assert!(result.message.contains(&format!("{name}: {}", says[0])), "{}", result.message);
    }
    assert_eq!(shown(&result, "oom"), "```\nso far\n```");

    // Whoever wants to lets pass what came to no verdict.
    let lenient = |check: &Value| {
        let mut check = check.clone();
        check["on_error"] = json!("pass");
        check
    };
    let result = scene.ask(&checks.as_array().unwrap().iter().map(lenient).collect()).await;
    assert_passed(&result);
    for (name, says) in &cases {
        assert!(result.message.contains(&format!("{name}: {}", says[0])), "{}", result.message);
        let tag = &outcome(&result, name)["tags"]["Status"][0];
        assert_eq!(tag, &json!({ "label": "Error", "level": "warning" }));
    }
    scene.end().await;
}

#[tokio::test]
async fn a_name_that_no_image_has() {
    let scene = JobScene::new().await;
    let _kubelet = scene.kubelet([]).await;
    // What is saved is looked at; what a node has to say of it comes to the same.
    let result = scene.ask(&json!([check("check", json!({ "image": "Not/An:Image:Name" }))])).await;
    assert_failed(&result);
    assert!(result.message.contains("is no reference to an image"), "{}", result.message);
    assert_eq!(scene.cluster.count("create", "jobs"), 0);
    scene.end().await;
}

#[tokio::test]
async fn a_node_that_is_lost() {
    let scene = JobScene::restless().await;
    let kubelet = scene.runs(STAYS).await;
    let result = scene.begin(&json!([image("check")])).await;
    scene.running(&result, "check").await;
    kubelet.stop();
    scene.cluster.lose_node(kubelet.name());
    scene.advance(START_PATIENCE);
    let answer = scene.answer(&result).await;
    // Nobody can tell what a silent node still does: its pod goes when that does.
    until("its Job is left", async || scene.left().await.iter().all(|name| name.starts_with("pods/")).then_some(()))
        .await;
    scene.cluster.delete_node(kubelet.name());
    assert_broke(&scene, &answer, "check", &["check: NodeLost: "]).await;
    scene.end().await;
}

#[tokio::test]
async fn a_node_that_is_taken_away() {
    let scene = JobScene::new().await;
    let kubelet = scene.runs(STAYS).await;
    let result = scene.begin(&json!([image("check")])).await;
    scene.running(&result, "check").await;
    kubelet.stop();
    scene.cluster.delete_node(kubelet.name());
    let answer = scene.answer(&result).await;
    let reason = if answer.message.contains("NodeLost") { "check: NodeLost: " } else { "check: PodDeleted: " };
    assert_broke(&scene, &answer, "check", &[reason]).await;
    scene.end().await;
}

#[tokio::test]
async fn the_deadline_of_the_check() {
    let scene = JobScene::new().await;
    let kubelet = scene.runs(STAYS).await;
    let mut slow = image("check");
    slow["timeout_seconds"] = json!(2);
    let result = scene.ask(&json!([slow])).await;
    assert_broke(&scene, &result, "check", &["check: took longer than it may"]).await;
    assert_eq!(shown(&result, "check"), "```\nup\n```");
    assert_eq!(kubelet.starts(IMAGE), 1);
    scene.end().await;
}

#[tokio::test]
async fn the_deadline_of_the_job() {
    let scene = JobScene::restless().await;
    let kubelet = scene.runs(STAYS).await;
    let result = scene.begin(&json!([image("check")])).await;
    scene.at(&result, "check", "runs since").await;
    // The task's time, and a minute for whoever reads what it wrote.
    // The node's clock first: what it sees from then on it sees late.
    kubelet.advance(Duration::from_secs(601));
    scene.advance(Duration::from_secs(601));
    let answer = scene.answer(&result).await;
    assert_broke(&scene, &answer, "check", &["check: DeadlineExceeded: "]).await;
    scene.end().await;
}

#[tokio::test]
async fn somebody_suspends_it() {
    let scene = JobScene::restless().await;
    let _kubelet = scene.runs(STAYS).await;
    let result = scene.begin(&json!([image("check")])).await;
    scene.running(&result, "check").await;
    scene.patch_job(&result, "check", json!({ "spec": { "suspend": true } })).await;
    let answer = async {
        loop {
            if let Some(result) = scene.scene.hcp().task_result(&result).filter(|it| it.status.is_final()) {
                return result;
            }
            scene.advance(Duration::from_secs(100));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let answer = tokio::time::timeout(crate::gate::scene::PATIENCE, answer).await.unwrap();
    assert_failed(&answer);
    let known = ["check: Suspended: ", "check: PodDeleted: "];
    assert!(known.iter().any(|known| answer.message.starts_with(known)), "{}", answer.message);
    scene.end().await;
}

#[tokio::test]
async fn a_cluster_that_is_away_for_a_while() {
    let scene = JobScene::restless().await;
    let kubelet = scene.runs("exit 0").await;
    // Before there is a job, and after its program has run.
    for (verb, resource) in [("create", "jobs"), ("list", "jobs"), ("delete", "jobs")] {
        scene.cluster.fault(Fault::next(verb, resource, Mishap::Unavailable));
    }
    let result = scene.ask(&json!([image("check")])).await;
    assert_passed(&result);
    assert_eq!((scene.cluster.faults_left(), kubelet.starts(IMAGE)), (Vec::new(), 1));
    scene.end().await;
}

#[tokio::test]
async fn a_cluster_that_does_not_come_back() {
    let scene = JobScene::new().await;
    scene.cluster.fault(Fault::next("create", "jobs", Mishap::Unavailable).times(100));
    let result = scene.begin(&json!([image("check")])).await;
    // What it would try over minutes.
    for later in 1..=20 {
        scene.work(&result, "check", later * 20_000).await;
    }
    scene.tell(&result, 420_000).await;
    let answer = scene.answer(&result).await;
    let says = ["check: could not be carried out: the cluster cannot create jobs.batch sluice-", "it says 503"];
    assert_broke(&scene, &answer, "check", &says).await;
    scene.end().await;
}

#[tokio::test]
async fn nobody_may_create_jobs() {
    let scene = JobScene::new().await;
    scene.cluster.fault(Fault::next("create", "jobs", Mishap::Forbidden));
    let result = scene.ask(&json!([image("check")])).await;
    let says =
        ["check: could not be carried out: cannot create jobs.batch", "a role has to allow create on jobs.batch"];
    assert_broke(&scene, &result, "check", &says).await;
    scene.end().await;
}

#[tokio::test]
async fn nobody_may_watch_what_was_begun() {
    let mut settings = JobSettings { slice: Duration::from_millis(150), ..JobSettings::default() };
    settings.patience.image = Duration::from_millis(300);
    let scene = JobScene::with(settings).await;
    let _kubelet = scene.runs(STAYS).await;
    scene.cluster.fault(Fault::next("list", "pods", Mishap::Forbidden).times(1_000));
    let result = scene.ask(&json!([image("check")])).await;
    let says = ["check: nobody sees how its job stands: cannot list pods", "a role has to allow list on pods"];
    assert_broke(&scene, &result, "check", &says).await;
    scene.end().await;
}

#[tokio::test]
async fn a_quota_that_has_room_again_later() {
    let scene = JobScene::new().await;
    let kubelet = scene.runs("exit 0").await;
    scene.cluster.fault(Fault::next("create", "jobs", Mishap::QuotaExceeded));
    let result = scene.ask(&json!([image("check")])).await;
    assert_passed(&result);
    assert_eq!((scene.cluster.count("create", "jobs"), kubelet.starts(IMAGE)), (2, 1));
    scene.end().await;
}

#[tokio::test]
async fn a_log_that_nobody_may_read() {
    let scene = JobScene::new().await;
    let _kubelet = scene.runs("echo said; exit 3").await;
    scene.cluster.fault(Fault::next("get", "pods/log", Mishap::Forbidden).times(9));
    let result = scene.ask(&json!([image("check")])).await;
    assert_answered(&result, TaskResultStatus::Failed);
    assert!(
        result.message.starts_with("check: exit code 3: (what the program wrote is not to be had: "),
        "{}",
        result.message
    );
    let end = scene.execution(&result.id, "check").await.unwrap().end.unwrap();
    assert_eq!(end.verdict, CheckVerdict::Failed);
    scene.end().await;
}

#[tokio::test]
async fn watches_that_are_cut_and_forgotten() {
    let scene = JobScene::new().await;
    let kubelet = scene.runs(STAYS).await;
    let result = scene.begin(&json!([image("check")])).await;
    scene.running(&result, "check").await;
    let watched = async |count: usize| {
        let enough = async || (scene.cluster.count("watch", "pods") >= count).then_some(());
        until("nobody watches", enough).await;
    };
    let begun = scene.cluster.count("watch", "pods");
    watched(begun.max(1)).await;
    scene.cluster.cut_watches();
    watched(begun.max(1) + 1).await;
    scene.cluster.compact();
    scene.cluster.cut_watches();
    watched(begun.max(1) + 2).await;
    let pod = scene.running(&result, "check").await;
    scene.api::<Pod>().delete(&pod, &DeleteParams::default()).await.unwrap();
    let answer = scene.answer(&result).await;
    assert_broke(&scene, &answer, "check", &["check: PodDeleted: "]).await;
    assert_eq!(kubelet.starts(IMAGE), 1);
    scene.end().await;
}
