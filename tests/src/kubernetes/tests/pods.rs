//! The kubelet: what a container finds, and how pods end.

use kube::api::LogParams;

use super::*;

const TOOL: &str = "registry.example/tool:1";

fn sh(script: &str) -> Image {
    Image::new(["/bin/sh", "-c", script])
}

async fn secret(scene: &Scene, name: &str, data: Value) {
    let secret = json!({ "metadata": { "name": name }, "stringData": data });
    scene.secrets().create(&PostParams::default(), &of(secret)).await.unwrap();
}

/// Why the container of a job waits.
async fn waiting(scene: &Scene, job: &str, reason: &str) -> String {
    let state = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    let pod = scene.pod(job, reason, |pod| state(pod)["reason"] == reason).await;
    assert_eq!(pod["status"]["phase"], "Pending");
    state(&pod)["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_environment_is_as_a_pod_has_it() {
    for scene in scenes().await {
        let script = "for name in OWN LATER PLAIN REF LABEL POD NS MISSING NESTED PRE_A; do eval echo $name=\\$$name; done; \
                      echo \"$0 $1\"";
        let _kubelet = scene.kubelet([(TOOL, Image::new(["/bin/sh", "-c", script]).cmd(["zero", "one"]))]).await;
        secret(&scene, "first", json!({ "OWN": "first", "LATER": "first", "A": "prefixed" })).await;
        secret(&scene, "second", json!({ "LATER": "second" })).await;
        let container = json!({
            "envFrom": [
                { "secretRef": { "name": "first" } },
                { "secretRef": { "name": "second" } },
                { "prefix": "PRE_", "secretRef": { "name": "first" } },
                { "configMapRef": { "name": "none", "optional": true } },
            ],
            "env": [
                { "name": "OWN", "value": "own" },
                { "name": "PLAIN", "value": "x" },
                { "name": "NESTED", "value": "$(PLAIN)$(LATER)$(NOTHING)" },
                { "name": "REF", "valueFrom": { "secretKeyRef": { "name": "second", "key": "LATER" } } },
                { "name": "MISSING", "valueFrom": { "secretKeyRef": { "name": "none", "key": "x", "optional": true } } },
                { "name": "POD", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                { "name": "NS", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
                { "name": "LABEL", "valueFrom": { "fieldRef": { "fieldPath": "metadata.labels['job-name']" } } },
            ],
        });
        scene.create(scene.job("env", json!({}), container)).await;
        scene.ended("env", "Complete").await;
        let [pod] = scene.pods_of("env").await.try_into().unwrap();
        let (name, namespace) = (pod["metadata"]["name"].as_str().unwrap(), &scene.namespace);
        let expected = format!(
            "OWN=own\nLATER=second\nPLAIN=x\nREF=second\nLABEL=env\nPOD={name}\nNS={namespace}\nMISSING=\n\
             NESTED=xsecond$(NOTHING)\nPRE_A=prefixed\nzero one\n"
        );
        assert_eq!(scene.log(&pod).await, expected);
    }
}

#[tokio::test]
async fn volumes_lie_where_they_are_mounted() {
    for scene in scenes().await {
        let script = "cd $SLUICE_TEST_ROOT && cat etc/payload/inner/json && echo x > scratch/file && cat scratch/file && \
                      stat -L -c %a etc/payload/inner/json && ls etc/payload";
        let _kubelet = scene.kubelet([(TOOL, sh(script))]).await;
        secret(&scene, "payload", json!({ "payload.json": "{}\n", "other": "unseen" })).await;
        let items = json!([{ "key": "payload.json", "path": "inner/json", "mode": 0o400 }]);
        let volumes = json!([
            { "name": "payload", "secret": { "secretName": "payload", "items": items } },
            { "name": "scratch", "emptyDir": {} },
        ]);
        let mounts = json!([
            { "name": "payload", "mountPath": "/etc/payload", "readOnly": true },
            { "name": "scratch", "mountPath": "/scratch" },
        ]);
        let spec = json!({ "template": { "spec": { "volumes": volumes } } });
        scene.create(scene.job("volumes", spec, json!({ "volumeMounts": mounts }))).await;
        let pod = scene.pod("volumes", "the end", |pod| pod["status"]["phase"] == "Succeeded").await;
        assert_eq!(scene.log(&pod).await, "{}\nx\n400\ninner\n");
    }
}

#[tokio::test]
async fn a_pod_annotates_itself_with_the_token_it_was_given() {
    let scene = Scene::double().await;
    let script = "token=$(cat $SLUICE_TEST_ROOT/var/run/secrets/kubernetes.io/serviceaccount/token)
        curl -sS -o /dev/null -w '%{http_code}\\n' -X PATCH -H \"Authorization: Bearer $token\" \
          -H 'Content-Type: application/merge-patch+json' \
          -d '{\"metadata\":{\"annotations\":{\"lagoon.sh/taskData\":\"e30=\"}}}' \
          $KUBERNETES_API/api/v1/namespaces/$NAMESPACE/pods/$PODNAME
        curl -sS -o /dev/null -w '%{http_code}\\n' -H \"Authorization: Bearer $token\" \
          $KUBERNETES_API/api/v1/namespaces/$NAMESPACE/secrets";
    let _kubelet = scene.kubelet([(TOOL, sh(script))]).await;
    let field = |path: &str| json!({ "fieldRef": { "fieldPath": path } });
    let env = json!([
        { "name": "NAMESPACE", "valueFrom": field("metadata.namespace") },
        { "name": "PODNAME", "valueFrom": field("metadata.name") },
    ]);
    scene.create(scene.job("annotate", json!({}), json!({ "env": env }))).await;
    scene.ended("annotate", "Complete").await;
    let [pod] = scene.pods_of("annotate").await.try_into().unwrap();
    assert_eq!(scene.log(&pod).await, "200\n403\n");
    assert_eq!(pod["metadata"]["annotations"]["lagoon.sh/taskData"], "e30=");
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_waited_for() {
    for scene in scenes().await {
        let kubelet = scene.kubelet([]).await;
        scene.create(scene.job("pull", json!({}), json!({}))).await;
        let message = waiting(&scene, "pull", "ImagePullBackOff").await;
        assert!(message.starts_with(&format!("Back-off pulling image \"{TOOL}\"")), "{message}");
        let name = scene.pods_of("pull").await[0]["metadata"]["name"].as_str().unwrap().to_owned();
        let message = refused(scene.pods().logs(&name, &LogParams::default()).await, 400, "BadRequest");
        assert!(message.contains(&format!("container \"main\" in pod \"{name}\" is waiting to start")), "{message}");
        kubelet.add_image(TOOL, sh("exit 0"));
        scene.ended("pull", "Complete").await;
    }
}

#[tokio::test]
async fn what_keeps_a_container_from_being_made_is_said() {
    for scene in scenes().await {
        let _kubelet = scene.kubelet([(TOOL, sh("exit 0"))]).await;
        scene.create(scene.job("name", json!({}), json!({ "image": "Not/An:Image:Name" }))).await;
        let message = waiting(&scene, "name", "InvalidImageName").await;
        assert!(message.contains("couldn't parse image name"), "{message}");
        let from = |name: &str| json!({ "envFrom": [{ "secretRef": { "name": name } }] });
        scene.create(scene.job("none", json!({}), from("none"))).await;
        assert_eq!(waiting(&scene, "none", "CreateContainerConfigError").await, "secret \"none\" not found");
        secret(&scene, "half", json!({ "a": "b" })).await;
        let env = json!({ "env": [{ "name": "X", "valueFrom": { "secretKeyRef": { "name": "half", "key": "x" } } }] });
        scene.create(scene.job("half", json!({}), env)).await;
        let expected = format!("couldn't find key x in Secret {}/half", scene.namespace);
        assert_eq!(waiting(&scene, "half", "CreateContainerConfigError").await, expected);
        secret(&scene, "none", json!({ "a": "b" })).await;
        scene.ended("none", "Complete").await;
    }
}

#[tokio::test]
async fn a_volume_that_cannot_be_mounted_is_waited_for() {
    for scene in scenes().await {
        let _kubelet = scene.kubelet([(TOOL, sh("exit 0"))]).await;
        let volumes = json!([{ "name": "data", "secret": { "secretName": "late" } }]);
        let spec = json!({ "template": { "spec": { "volumes": volumes } } });
        scene.create(scene.job("mount", spec, json!({}))).await;
        waiting(&scene, "mount", "ContainerCreating").await;
        let events = Api::<k8s_openapi::api::core::v1::Event>::namespaced(scene.client.clone(), &scene.namespace);
        let event = until("an event", async || {
            let listed = events.list(&ListParams::default()).await.unwrap();
            listed.items.into_iter().find(|event| event.reason.as_deref() == Some("FailedMount"))
        });
        let message = event.await.message.unwrap();
        assert_eq!(message, "MountVolume.SetUp failed for volume \"data\" : secret \"late\" not found");
        secret(&scene, "late", json!({})).await;
        scene.ended("mount", "Complete").await;
    }
}

#[tokio::test]
async fn ends_that_no_process_comes_to_are_scripted() {
    for scene in scenes().await {
        let low = "The node was low on resource: memory.";
        let images = [
            ("oom:1", sh("exit 0").ending(Ending::OomKilled)),
            ("evicted:1", sh("exit 0").ending(Ending::Evicted(low.to_owned()))),
            ("lost:1", sh("exit 0").ending(Ending::Lost)),
            ("signal:1", sh("kill -9 $$")),
            ("absent:1", Image::new(["/no/such/program"])),
        ];
        let _kubelet = scene.kubelet(images).await;
        for (name, code, reason) in [
            ("oom", 137, "OOMKilled"),
            ("evicted", 137, "Error"),
            ("lost", 137, "ContainerStatusUnknown"),
            ("signal", 137, "Error"),
            ("absent", 128, "StartError"),
        ] {
            scene.create(scene.job(name, json!({}), json!({ "image": format!("{name}:1") }))).await;
            scene.ended(name, "Failed").await;
            let [pod] = scene.pods_of(name).await.try_into().unwrap();
            let terminated = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
            assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(code), &json!(reason)), "{pod}");
            assert_eq!(pod["status"]["reason"] == "Evicted", name == "evicted");
            assert_eq!(pod["status"]["message"] == low, name == "evicted");
            assert_eq!(condition(&pod, "DisruptionTarget") == "True", name == "evicted");
        }
    }
}

#[tokio::test]
async fn a_deletion_asks_a_process_to_end_and_then_ends_it() {
    let scene = Scene::double().await;
    let images = [
        ("polite:1", sh("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done")),
        ("rude:1", sh("trap '' TERM; echo up; while :; do sleep 0.02; done")),
    ];
    let kubelet = scene.kubelet(images).await;
    for name in ["polite", "rude"] {
        scene.create(scene.job(name, json!({}), json!({ "image": format!("{name}:1") }))).await;
        let pod = scene.pod(name, "a running pod", |pod| pod["status"]["phase"] == "Running").await;
        until("its first word", async || (scene.log(&pod).await == "up\n").then_some(())).await;
        let options = DeleteParams { grace_period_seconds: Some(600), ..DeleteParams::default() };
        scene.pods().delete(pod["metadata"]["name"].as_str().unwrap(), &options).await.unwrap();
        if name == "rude" {
            let [pod] = scene.pods_of(name).await.try_into().unwrap();
            assert!(pod["metadata"]["deletionTimestamp"].is_string());
            until("the pod to go", async || {
                // The grace period may not have begun yet.
                kubelet.advance(Duration::from_mins(10));
                scene.pods_of(name).await.is_empty().then_some(())
            })
            .await;
        }
        until("the pod to go", async || scene.pods_of(name).await.is_empty().then_some(())).await;
        scene.ended(name, "Failed").await;
    }
    let everything = scene.cluster.everything();
    assert!(everything.contains("\"exitCode\":137"), "the rude one was killed");
}

#[tokio::test]
async fn the_deadline_of_a_pod_ends_it() {
    let scene = Scene::double().await;
    let kubelet = scene.kubelet([(TOOL, sh("while :; do sleep 0.02; done"))]).await;
    let spec = json!({ "template": { "spec": { "activeDeadlineSeconds": 600 } } });
    scene.create(scene.job("slow", spec, json!({}))).await;
    scene.pod("slow", "a running pod", |pod| pod["status"]["phase"] == "Running").await;
    kubelet.advance(Duration::from_mins(10));
    scene.ended("slow", "Failed").await;
    let [pod] = scene.pods_of("slow").await.try_into().unwrap();
    assert_eq!((&pod["status"]["phase"], &pod["status"]["reason"]), (&json!("Failed"), &json!("DeadlineExceeded")));
}

#[tokio::test]
async fn a_log_can_be_cut() {
    for scene in scenes().await {
        let _kubelet = scene.kubelet([(TOOL, sh("printf 'one\\ntwo\\nthree\\n'"))]).await;
        scene.create(scene.job("log", json!({}), json!({}))).await;
        scene.ended("log", "Complete").await;
        let name = scene.pods_of("log").await[0]["metadata"]["name"].as_str().unwrap().to_owned();
        let log = async |params: LogParams| scene.pods().logs(&name, &params).await;
        assert_eq!(log(LogParams { tail_lines: Some(2), ..LogParams::default() }).await.unwrap(), "two\nthree\n");
        assert_eq!(log(LogParams { limit_bytes: Some(5), ..LogParams::default() }).await.unwrap(), "one\nt");
        let other = LogParams { container: Some("other".to_owned()), ..LogParams::default() };
        let message = refused(log(other).await, 400, "BadRequest");
        assert_eq!(message, format!("container other is not valid for pod {name}"));
    }
}
