//! The controllers: how jobs get their pods, and how they end.

use super::*;

fn sh(script: &str) -> Image {
    Image::new(["/bin/sh", "-c", script])
}

const TOOL: &str = "registry.example/tool:1";

#[tokio::test]
async fn a_job_runs_its_pod_and_completes() {
    for scene in scenes().await {
        let _kubelet = scene.kubelet([(TOOL, sh("echo out; echo err >&2; echo last"))]).await;
        scene.create(scene.job("good", json!({}), json!({}))).await;
        let job = scene.ended("good", "Complete").await;
        assert_eq!((&job["status"]["succeeded"], &job["status"]["failed"]), (&json!(1), &Value::Null));
        assert!(job["status"]["startTime"].is_string() && job["status"]["completionTime"].is_string(), "{job}");
        let [pod] = scene.pods_of("good").await.try_into().unwrap();
        let name = pod["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("good-") && name.len() == "good-".len() + 5, "{name}");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], job["metadata"]["uid"]);
        assert_eq!(pod["metadata"]["ownerReferences"][0]["controller"], true);
        let terminated = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(0), &json!("Completed")));
        assert_eq!(pod["status"]["phase"], "Succeeded");
        assert_eq!(scene.log(&pod).await, "out\nerr\nlast\n");
    }
}

#[tokio::test]
async fn a_job_fails_with_its_pod() {
    for scene in scenes().await {
        let _kubelet = scene.kubelet([(TOOL, sh("exit 3"))]).await;
        scene.create(scene.job("bad", json!({}), json!({}))).await;
        let job = scene.ended("bad", "Failed").await;
        let conditions = job["status"]["conditions"].as_array().unwrap();
        let failed = conditions.iter().find(|one| one["type"] == "Failed").unwrap();
        assert_eq!(failed["reason"], "BackoffLimitExceeded");
        assert_eq!(failed["message"], "Job has reached the specified backoff limit");
        assert_eq!(job["status"]["failed"], 1);
        let [pod] = scene.pods_of("bad").await.try_into().unwrap();
        let terminated = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(3), &json!("Error")));
    }
}

#[tokio::test]
async fn a_failed_pod_is_replaced_after_a_pause() {
    let scene = Scene::double().await;
    let kubelet = scene.kubelet([(TOOL, sh("exit 1"))]).await;
    scene.create(scene.job("again", json!({ "backoffLimit": 1 }), json!({}))).await;
    scene.job_when("again", "a failure", |job| job["status"]["failed"] == 1).await;
    assert_eq!(scene.pods_of("again").await.len(), 1);
    scene.cluster.advance(Duration::from_secs(10));
    let job = scene.ended("again", "Failed").await;
    assert_eq!((job["status"]["failed"].as_u64(), kubelet.starts(TOOL)), (Some(2), 2));
}

#[tokio::test]
async fn a_deadline_ends_a_job_and_its_pod() {
    for scene in scenes().await {
        let _kubelet = scene.kubelet([(TOOL, sh("trap 'exit 0' TERM; while :; do sleep 0.02; done"))]).await;
        let seconds = if scene.cluster.is_real() { 3 } else { 600 };
        scene.create(scene.job("late", json!({ "activeDeadlineSeconds": seconds }), json!({}))).await;
        scene.pod("late", "a running pod", |pod| pod["status"]["phase"] == "Running").await;
        if !scene.cluster.is_real() {
            scene.cluster.advance(Duration::from_secs(seconds));
        }
        let job = scene.ended("late", "Failed").await;
        let conditions = job["status"]["conditions"].as_array().unwrap();
        let failed = conditions.iter().find(|one| one["type"] == "Failed").unwrap();
        assert_eq!(failed["reason"], "DeadlineExceeded");
        assert_eq!(failed["message"], "Job was active longer than specified deadline");
        let counted = (&job["status"]["failed"], &job["status"]["succeeded"]);
        assert_eq!(counted, (&json!(1), &Value::Null), "its process ended well, but too late");
        until("the pod to go", async || scene.pods_of("late").await.is_empty().then_some(())).await;
    }
}

#[tokio::test]
async fn a_finished_job_goes_when_its_time_is_over() {
    for scene in scenes().await {
        let _kubelet = scene.kubelet([(TOOL, sh("exit 0"))]).await;
        let seconds = if scene.cluster.is_real() { 2 } else { 600 };
        scene.create(scene.job("brief", json!({ "ttlSecondsAfterFinished": seconds }), json!({}))).await;
        scene.ended("brief", "Complete").await;
        if !scene.cluster.is_real() {
            scene.cluster.advance(Duration::from_secs(seconds - 10));
            assert_eq!(scene.pods_of("brief").await.len(), 1);
            scene.cluster.advance(Duration::from_secs(10));
        }
        let gone =
            async || scene.jobs().get_opt("brief").await.unwrap().is_none() && scene.pods_of("brief").await.is_empty();
        until("the job to go", async || gone().await.then_some(())).await;
    }
}

#[tokio::test]
async fn a_suspended_job_has_no_pod_until_it_is_resumed() {
    for scene in scenes().await {
        let _kubelet = scene.kubelet([(TOOL, sh("exit 0"))]).await;
        scene.create(scene.job("held", json!({ "suspend": true }), json!({}))).await;
        let job = scene.ended("held", "Suspended").await;
        assert_eq!(job["status"]["startTime"], Value::Null);
        assert!(scene.pods_of("held").await.is_empty());
        let patch = merge(json!({ "spec": { "suspend": false } }));
        scene.jobs().patch("held", &PatchParams::default(), &patch).await.unwrap();
        scene.ended("held", "Complete").await;
    }
}

#[tokio::test]
async fn a_service_account_that_is_not_there_keeps_a_job_from_its_pod() {
    for scene in scenes().await {
        let spec = json!({ "template": { "spec": { "serviceAccountName": "nobody" } } });
        scene.create(scene.job("account", spec, json!({}))).await;
        let events = Api::<k8s_openapi::api::core::v1::Event>::namespaced(scene.client.clone(), &scene.namespace);
        let event = until("an event", async || {
            let listed = events.list(&ListParams::default().fields("involvedObject.name=account")).await.unwrap();
            listed.items.into_iter().find(|event| event.reason.as_deref() == Some("FailedCreate"))
        });
        let message = event.await.message.unwrap();
        assert!(message.starts_with("Error creating: pods \"account-"), "{message}");
        assert!(message.contains("serviceaccount \"nobody\" not found"), "{message}");
        assert!(scene.pods_of("account").await.is_empty());
    }
}

#[tokio::test]
async fn a_pod_that_fits_no_node_says_why() {
    for scene in scenes().await {
        let _kubelet = scene.kubelet([(TOOL, sh("exit 0"))]).await;
        let unfit = async |name: &str, spec: Value, container: Value, expected: &str| {
            scene.create(scene.job(name, json!({ "template": { "spec": spec } }), container)).await;
            let said = |pod: &Value| {
                let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
                conditions.into_iter().find(|one| one["type"] == "PodScheduled").unwrap_or_default()
            };
            // A node that is new may have been tainted for a moment.
            let expected = |pod: &Value| said(pod)["message"].as_str().is_some_and(|text| text.contains(expected));
            let pod = scene.pod(name, "the verdict", expected).await;
            assert_eq!((&said(&pod)["reason"], &said(&pod)["status"]), (&json!("Unschedulable"), &json!("False")));
            assert_eq!(pod["status"]["phase"], "Pending");
            said(&pod)["message"].as_str().unwrap().to_owned()
        };
        let affinity = "didn't match Pod's node affinity/selector";
        let selector = unfit("selector", json!({ "nodeSelector": { "disk": "fast" } }), json!({}), affinity).await;
        assert!(selector.starts_with("0/") && selector.contains(" nodes are available: "), "{selector}");
        let wants = json!({ "resources": { "requests": { "cpu": "64" } } });
        let room = unfit("room", json!({}), wants, "Insufficient cpu").await;
        if !scene.cluster.is_real() {
            let expected = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No \
                            preemption victims found for incoming pod.";
            assert_eq!(room, expected);
        }
    }
}

#[tokio::test]
async fn a_taint_keeps_pods_away_that_do_not_tolerate_it() {
    let scene = Scene::double().await;
    let taints = vec![("spot".to_owned(), "yes".to_owned(), "NoSchedule".to_owned())];
    let labels = [("scene".to_owned(), scene.namespace.clone())].into();
    let options = KubeletOptions { labels, taints, ..KubeletOptions::default() };
    let _kubelet = Kubelet::start_with(&scene.cluster, options, [(TOOL, sh("exit 0"))]).await;
    scene.create(scene.job("plain", json!({}), json!({}))).await;
    let pod = scene.pod("plain", "a verdict", |pod| condition(pod, "PodScheduled") == "False").await;
    assert!(pod.to_string().contains("node(s) had untolerated taint {spot: yes}"), "{pod}");
    let tolerations = json!([{ "key": "spot", "operator": "Equal", "value": "yes", "effect": "NoSchedule" }]);
    let spec = json!({ "template": { "spec": { "tolerations": tolerations } } });
    scene.create(scene.job("tolerant", spec, json!({}))).await;
    scene.ended("tolerant", "Complete").await;
}

#[tokio::test]
async fn a_node_that_is_deleted_fails_its_pods() {
    let scene = Scene::double().await;
    let kubelet = scene.kubelet([(TOOL, sh("sleep 600"))]).await;
    scene.create(scene.job("gone", json!({}), json!({}))).await;
    scene.pod("gone", "a running pod", |pod| pod["status"]["phase"] == "Running").await;
    kubelet.stop();
    scene.cluster.delete_node(kubelet.name());
    let job = scene.ended("gone", "Failed").await;
    assert_eq!(job["status"]["failed"], 1);
    assert!(scene.pods_of("gone").await.is_empty());
    assert!(scene.cluster.everything().contains("PodGC: node no longer exists"));
}

#[tokio::test]
async fn a_node_that_is_not_heard_of_loses_its_pods_after_a_while() {
    let scene = Scene::double().await;
    let kubelet = scene.kubelet([(TOOL, sh("sleep 600"))]).await;
    scene.create(scene.job("silent", json!({}), json!({}))).await;
    scene.pod("silent", "a running pod", |pod| pod["status"]["phase"] == "Running").await;
    kubelet.stop();
    scene.cluster.lose_node(kubelet.name());
    let [pod] = scene.pods_of("silent").await.try_into().unwrap();
    assert_eq!(pod["metadata"]["deletionTimestamp"], Value::Null);
    scene.cluster.advance(Duration::from_secs(301));
    // Nobody is there to say that its processes have ended: it stays, and the job says that it will fail.
    let [pod] = scene.pods_of("silent").await.try_into().unwrap();
    assert!(pod["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(condition(&pod, "DisruptionTarget"), "True");
    scene.job_when("silent", "the verdict", |job| condition(job, "FailureTarget") == "True").await;
}
