//! The same against a real control plane, where `SLUICE_CLUSTER` names a program that brings one up. Its node is still
//! the one that runs processes.

use std::path::Path;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use sluice_job_runner::JobSettings;
use sluice_tests::kubernetes::{Cluster, Ending};
use tokio::sync::OnceCell;

use super::contract::{lagoon, terrakube};
use super::scene::{IMAGE, JobScene, STAYS, check, image, of, sh};
use crate::bins::scripts_can_run;
use crate::gate::scene::{assert_failed, outcome};
use crate::world::add;

/// A scene in a namespace of the real control plane's; None, and a line about it, without one.
async fn scene(namespace: &str) -> Option<JobScene> {
    static REAL: OnceCell<Option<Cluster>> = OnceCell::const_new();
    let started = REAL.get_or_init(|| async {
        let Some(binary) = std::env::var_os("SLUICE_CLUSTER") else {
            println!("skipped: SLUICE_CLUSTER names no control plane");
            return None;
        };
        Some(Cluster::real(Path::new(&binary)).await)
    });
    let cluster = started.await.clone()?;
    let scene = JobScene::of(cluster, namespace, JobSettings::default(), |hcp| add(hcp, "a")).await;
    // What an image needs that annotates its own pod.
    let role = json!({
        "metadata": { "name": "sluice-task-data" },
        "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "patch"] }],
    });
    scene.api::<Role>().create(&PostParams::default(), &of(role)).await.unwrap();
    let binding = json!({
        "metadata": { "name": "sluice-task-data" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sluice-task-data" },
        "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": namespace }],
    });
    scene.api::<RoleBinding>().create(&PostParams::default(), &of(binding)).await.unwrap();
    Some(scene)
}

#[tokio::test]
async fn a_real_control_plane_runs_the_images_that_users_bring() {
    if !scripts_can_run() {
        return;
    }
    let Some(scene) = scene("contract").await else { return };
    lagoon(&scene).await;
    terrakube(&scene).await;
    scene.end().await;
}

#[tokio::test]
async fn a_real_control_plane_ends_jobs_as_the_double_does() {
    let Some(scene) = scene("endings").await else { return };
    let images = [
        (IMAGE, sh(STAYS)),
        ("code:1", sh("exit 3")),
        ("oom:1", sh("exit 0").ending(Ending::OomKilled)),
        ("evicted:1", sh("exit 0").ending(Ending::Evicted("The node was low on resource: memory.".to_owned()))),
    ];
    let kubelet = scene.kubelet(images).await;
    let mut checks = vec![image("pod"), image("job"), image("label")];
    checks.extend(["code", "oom", "evicted"].map(|name| check(name, json!({ "image": format!("{name}:1") }))));
    let result = scene.begin(&checks.into()).await;
    let mut pods = Vec::new();
    for name in ["pod", "job", "label"] {
        scene.at(&result, name, "").await;
        pods.push(scene.running(&result, name).await);
    }
    scene.api::<Pod>().delete(&pods[0], &DeleteParams::default()).await.unwrap();
    let job = scene.place(&result, "job").name;
    scene.api::<Job>().delete(&job, &DeleteParams::background()).await.unwrap();
    let marks = json!({ "metadata": { "labels": { "lagoon.sh/cancelTask": "true" } } });
    scene.patch_job(&result, "label", marks).await;
    let answer = scene.answer(&result).await;
    assert_failed(&answer);
    for (name, expect) in [
        ("code", vec!["exit code 3"]),
        ("oom", vec!["OOMKilled: it needed more memory than it may have (512Mi)"]),
        ("evicted", vec!["Evicted: its node had not enough left"]),
        ("pod", vec!["PodDeleted: "]),
        ("job", vec!["its job endings/", "PodDeleted: ", "JobDeleted: "]),
        ("label", vec!["Cancelled: it was canceled"]),
    ] {
        let description = outcome(&answer, name)["description"].as_str().unwrap();
        let begins = |expect: &&str| description.starts_with(&format!("{name}: {expect}"));
        assert!(expect.iter().any(begins), "{description}");
    }
    scene.cleared().await;
    assert_eq!(kubelet.starts(IMAGE), 3);
    scene.end().await;
}

#[tokio::test]
async fn a_real_quota_that_has_no_room_for_the_pod_is_told() {
    let Some(scene) = scene("quota").await else { return };
    let _kubelet = scene.runs("exit 0").await;
    let hard = json!({ "hard": { "pods": "0" } });
    let quota = json!({ "metadata": { "name": "none" }, "spec": hard });
    scene.api::<ResourceQuota>().create(&PostParams::default(), &of(quota)).await.unwrap();
    // What its controller would write.
    let counted = Patch::Merge(json!({ "status": { "hard": hard["hard"], "used": { "pods": "0" } } }));
    scene.api::<ResourceQuota>().patch_status("none", &PatchParams::default(), &counted).await.unwrap();
    let result = scene.ask(&json!([check("check", json!({ "image": IMAGE, "start_seconds": 5 }))])).await;
    assert_failed(&result);
    let expect = "check: FailedCreate: its pod cannot be made: ";
    assert!(
        result.message.starts_with(expect) && result.message.contains("exceeded quota: none"),
        "{}",
        result.message
    );
    scene.end().await;
}
