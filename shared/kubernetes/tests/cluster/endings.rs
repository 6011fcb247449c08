//! Every ending that a pod can come to.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use sluice_domain::ports::{Cluster as _, JobExit, Output, Standing};
use sluice_kubernetes::Limits;
use sluice_tests::kubernetes::{Ending, Fault, Image, Kubelet, KubeletOptions, Mishap};

use super::{IMAGE, LONG, PATIENCE, Scene, broken, connect, sh};

/// A program that is told to go and goes well.
const HEEDS: &str = "trap 'exit 0' TERM; echo up; while true; do sleep 0.05; done";

#[tokio::test]
async fn a_program_ends_with_its_own_code_and_what_it_wrote() {
    let scene = Scene::new().await;
    let _kubelet = scene.kubelet("echo out; echo err >&2; exit 130").await;
    scene.start().await.unwrap();
    let end = scene.end().await;
    assert_eq!(end.how, JobExit::Code(130));
    assert_eq!((end.output.text.as_str(), end.output.cut, end.task_data), ("out\nerr\n", false, None));
}

#[tokio::test]
async fn of_much_that_was_written_the_end_is_kept() {
    for script in [
        "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done",
        "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo line 999",
    ] {
        let scene = Scene::new().await;
        let _kubelet = scene.kubelet(script).await;
        scene.start().await.unwrap();
        let end = scene.end().await;
        assert!(end.output.cut && end.output.text.len() <= 64 * 1024, "{} bytes", end.output.text.len());
        assert!(end.output.text.ends_with("line 999\n"), "{script}");
    }
    let scene = Scene::new().await;
    let _kubelet = scene.kubelet("echo line 1; head -c 3000000 /dev/zero | tr '\\0' x").await;
    scene.start().await.unwrap();
    let Output { text, cut } = scene.end().await.output;
    assert!(cut && text.len() <= 64 * 1024 && text.starts_with("xx"), "{} bytes", text.len());
    assert!(text.ends_with("its end cannot be read)\n"));
}

#[tokio::test]
async fn what_a_program_annotates_its_pod_with_is_read() {
    let scene = Scene::new().await.settings(&[("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "default")]);
    let script = "token=$(cat $SLUICE_TEST_ROOT/var/run/secrets/kubernetes.io/serviceaccount/token)
        curl -sS -o /dev/null -X PATCH -H \"Authorization: Bearer $token\" \
          -H 'Content-Type: application/merge-patch+json' \
          -d '{\"metadata\":{\"annotations\":{\"lagoon.sh/taskData\":\"eyJhIjoxfQ==\"}}}' \
          $KUBERNETES_API/api/v1/namespaces/$NAMESPACE/pods/$PODNAME; exit 1";
    let _kubelet = scene.kubelet(script).await;
    scene.start().await.unwrap();
    let end = scene.end().await;
    assert_eq!((end.how, end.task_data.as_deref()), (JobExit::Code(1), Some("eyJhIjoxfQ==")));
}

#[tokio::test]
async fn an_end_counts_though_nobody_can_read_what_was_written() {
    let scene = Scene::new().await;
    let _kubelet = scene.kubelet("echo out; exit 3").await;
    scene.start().await.unwrap();
    scene.cluster.fault(Fault::next("get", "pods/log", Mishap::Forbidden).times(9));
    let end = scene.end().await;
    assert_eq!(end.how, JobExit::Code(3));
    let pod = scene.pod().await;
    let told = format!(
        "(what the program wrote is not to be had: cannot get pods/log {pod} in the namespace jobs: a role has to allow \
         get on pods/log there to whoever Sluice is for the cluster)"
    );
    assert_eq!((end.output.text, end.output.cut), (told, true));
    let cured = Scene::new().await;
    cured.cluster.fault(Fault::next("get", "pods/log", Mishap::InternalError));
    let _kubelet = cured.kubelet("echo out; exit 3").await;
    cured.start().await.unwrap();
    assert_eq!(cured.end().await.output.text, "out\n");
}

#[tokio::test]
async fn an_end_is_told_in_time_though_its_node_says_nothing() {
    let scene = Scene::new().await;
    let _kubelet = scene.kubelet("echo out; exit 3").await;
    scene.start().await.unwrap();
    assert_eq!(scene.end().await.how, JobExit::Code(3));
    let limits = Limits { output: Duration::from_millis(200), ..Limits::default() };
    let hasty = connect(&scene.cluster.kubeconfig(), &scene.skew_ms, limits).await;
    let soon = Duration::from_secs(15);
    let (place, pod) = (scene.place(), scene.pod().await);
    let told = format!(
        "(what the program wrote is not to be had: the cluster did not answer in time, asked to get pods/log {pod} in \
         the namespace jobs)"
    );
    scene.cluster.fault(Fault::next("get", "pods/log", Mishap::Hang).times(9));
    let watched = tokio::time::timeout(soon, hasty.watch(&place, PATIENCE, LONG)).await.expect("it is told in time");
    let Standing::Ended(end) = watched.unwrap() else { panic!("it has ended") };
    assert_eq!((end.how, end.output.text, end.output.cut), (JobExit::Code(3), told.clone(), true));
    let output = tokio::time::timeout(soon, hasty.output(&place)).await.expect("it is told in time");
    assert_eq!(output.unwrap().text, told);
}

#[tokio::test]
async fn what_the_node_makes_of_a_program_is_told() {
    for (ending, script, reason, text) in [
        (Ending::OomKilled, "exit 0", "OOMKilled", "more memory than it may have (512Mi)"),
        (Ending::Evicted("The node was low on resource: memory.".to_owned()), "exit 0", "Evicted", "low on resource"),
        (Ending::Lost, "exit 0", "NodeLost", "lost sight of it"),
    ] {
        let scene = Scene::new().await;
        let _kubelet = Kubelet::start(&scene.cluster, [(IMAGE, sh(script).ending(ending))]).await;
        scene.start().await.unwrap();
        let end = scene.end().await;
        let (found, message) = broken(&end);
        assert!(found == reason && message.contains(text), "{found}: {message}");
    }
    let scene = Scene::new().await;
    let _kubelet = scene.kubelet("kill -9 $$").await;
    scene.start().await.unwrap();
    assert_eq!(broken(&scene.end().await).0, "Signal");
    let scene = Scene::new().await;
    let _kubelet = Kubelet::start(&scene.cluster, [(IMAGE, Image::new(["/no/such/program"]))]).await;
    scene.start().await.unwrap();
    assert_eq!(broken(&scene.end().await).0, "StartError");
}

#[tokio::test]
async fn an_image_that_does_not_come_ends_it_after_its_patience() {
    let scene = Scene::new().await;
    let _kubelet = Kubelet::start(&scene.cluster, []).await;
    scene.start().await.unwrap();
    scene.at("cannot be pulled yet").await;
    scene.advance(Duration::from_secs(121));
    let end = scene.end().await;
    let (reason, message) = broken(&end);
    assert!(reason == "ImagePull" && message.contains(IMAGE), "{reason}: {message}");
    assert_eq!(end.output.text, "");
}

#[tokio::test]
async fn a_name_that_no_image_has_ends_it_at_once() {
    let mut scene = Scene::new().await;
    scene.job.program = sluice_domain::gate::Program::Image { image: Some("Not/An:Image:Name".to_owned()) };
    let _kubelet = Kubelet::start(&scene.cluster, []).await;
    scene.start().await.unwrap();
    assert_eq!(broken(&scene.end().await).0, "InvalidImageName");
}

#[tokio::test]
async fn a_secret_that_is_missing_is_waited_for_and_then_told() {
    let scene = Scene::new().await.settings(&[("ExecutorEphemeralSecret", "absent")]);
    let _kubelet = scene.kubelet("exit 0").await;
    scene.start().await.unwrap();
    scene.at("its container cannot be made yet").await;
    scene.advance(Duration::from_secs(121));
    let end = scene.end().await;
    let (reason, message) = broken(&end);
    assert!(reason == "CreateContainerConfigError" && message.contains("\"absent\" not found"), "{reason}: {message}");
}

#[tokio::test]
async fn a_volume_that_does_not_come_is_told_by_its_event() {
    let mut scene = Scene::new().await;
    scene.job.ssh_key = true;
    let _kubelet = scene.kubelet("exit 0").await;
    scene.start().await.unwrap();
    scene.at("waits for a volume").await;
    scene.advance(Duration::from_secs(301));
    let end = scene.end().await;
    let (reason, message) = broken(&end);
    assert!(reason == "FailedMount" && message.contains("lagoon-sshkey"), "{reason}: {message}");
}

#[tokio::test]
async fn a_pod_that_no_node_takes_ends_it_with_what_the_scheduler_says() {
    let scene = Scene::new().await.settings(&[("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "gpu=yes")]);
    let _kubelet = scene.kubelet("exit 0").await;
    scene.start().await.unwrap();
    scene.at("waits for a node: 0/1 nodes are available").await;
    scene.advance(Duration::from_secs(301));
    let end = scene.end().await;
    let (reason, message) = broken(&end);
    assert!(reason == "Unschedulable" && message.contains("0/1 nodes"), "{reason}: {message}");
}

#[tokio::test]
async fn a_node_that_comes_late_is_waited_for() {
    let scene = Scene::new().await.settings(&[("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "gpu=yes")]);
    scene.start().await.unwrap();
    scene.at("waits for a node").await;
    scene.advance(Duration::from_mins(4));
    let options = KubeletOptions { labels: [("gpu".to_owned(), "yes".to_owned())].into(), ..KubeletOptions::default() };
    let _kubelet = Kubelet::start_with(&scene.cluster, options, [(IMAGE, sh("exit 0"))]).await;
    assert_eq!(scene.end().await.how, JobExit::Code(0));
}

#[tokio::test]
async fn an_account_that_is_missing_is_told_by_the_jobs_event() {
    let scene = Scene::new().await.settings(&[("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "absent")]);
    let _kubelet = scene.kubelet("exit 0").await;
    scene.start().await.unwrap();
    scene.at("its pod cannot be made yet").await;
    scene.advance(Duration::from_secs(301));
    let end = scene.end().await;
    let (reason, message) = broken(&end);
    assert!(reason == "FailedCreate" && message.contains("absent"), "{reason}: {message}");
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_stopped_by_the_cluster_whatever_it_makes_of_that() {
    let scene = Scene::new().await;
    let kubelet = scene.kubelet(HEEDS).await;
    scene.start().await.unwrap();
    scene.at("runs since").await;
    // The node's clock first: what it sees from then on it sees late.
    kubelet.advance(Duration::from_secs(901));
    scene.advance(Duration::from_secs(901));
    let end = scene.end().await;
    assert_eq!(broken(&end).0, "DeadlineExceeded");
}

#[tokio::test]
async fn a_pod_that_somebody_deletes_is_a_job_that_broke() {
    let scene = Scene::new().await;
    let kubelet = scene.kubelet(HEEDS).await;
    scene.start().await.unwrap();
    scene.at("runs since").await;
    scene.pods().delete(&scene.pod().await, &DeleteParams::default()).await.unwrap();
    assert_eq!(broken(&scene.end().await).0, "PodDeleted");
    assert_eq!(kubelet.starts(IMAGE), 1);
}

#[tokio::test]
async fn a_job_that_somebody_deletes_is_gone() {
    let scene = Scene::new().await;
    let _kubelet = scene.kubelet(HEEDS).await;
    scene.start().await.unwrap();
    scene.at("runs since").await;
    let (deleted, standing) = tokio::join!(
        async { scene.jobs().delete(&scene.place().name, &DeleteParams::background()).await },
        tokio::time::timeout(LONG, scene.watch(LONG)),
    );
    deleted.unwrap();
    let standing = match standing.unwrap() {
        // The pod was seen on its way out before the Job was seen to be gone.
        Standing::Ended(end) => broken(&end).0.to_owned(),
        standing => format!("{standing:?}"),
    };
    assert!(["Gone", "PodDeleted", "JobDeleted"].contains(&standing.as_str()), "{standing}");
    assert_eq!(scene.watch(LONG).await, Standing::Gone);
}

#[tokio::test]
async fn a_job_is_canceled_as_lagoon_cancels() {
    let scene = Scene::new().await;
    let _kubelet = scene.kubelet(HEEDS).await;
    scene.start().await.unwrap();
    scene.at("runs since").await;
    let marks = json!({"metadata": {"labels": {"lagoon.sh/cancelTask": "true"},
        "annotations": {"lagoon.sh/cancelReason": "not needed"}}});
    scene.pods().patch(&scene.pod().await, &PatchParams::default(), &Patch::Merge(marks)).await.unwrap();
    let end = scene.end().await;
    assert_eq!(broken(&end), ("Cancelled", "it was canceled: not needed"));
}

#[tokio::test]
async fn a_node_that_is_lost_is_a_job_that_broke() {
    let scene = Scene::new().await;
    let kubelet = scene.kubelet(HEEDS).await;
    scene.start().await.unwrap();
    scene.at("runs since").await;
    kubelet.stop();
    scene.cluster.lose_node(kubelet.name());
    scene.advance(Duration::from_secs(301));
    let end = scene.end().await;
    let (reason, message) = broken(&end);
    assert_eq!(reason, "NodeLost", "{message}");
    let taken = Scene::new().await;
    let kubelet = taken.kubelet(HEEDS).await;
    taken.start().await.unwrap();
    taken.at("runs since").await;
    kubelet.stop();
    taken.cluster.delete_node(kubelet.name());
    let end = taken.end().await;
    let (reason, message) = broken(&end);
    assert!(["NodeLost", "PodDeleted"].contains(&reason), "{reason}: {message}");
}
