//! The store: names, versions, patches, deletions.

use kube::api::{Preconditions, PropagationPolicy};

use super::*;

#[tokio::test]
async fn a_token_is_demanded() {
    for scene in scenes().await {
        let kubeconfig = scene.cluster.kubeconfig();
        let mut config: kube::config::Kubeconfig = kube::config::Kubeconfig::from_yaml(&kubeconfig).unwrap();
        for user in &mut config.auth_infos {
            user.auth_info = Some(of(json!({ "token": "wrong" })));
        }
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(config, &options).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let answer = Api::<Job>::namespaced(client, &scene.namespace).list(&ListParams::default()).await;
        assert_eq!(refused(answer, 401, "Unauthorized"), "Unauthorized");
    }
}

#[tokio::test]
async fn a_job_gets_its_defaults_and_its_selector() {
    for scene in scenes().await {
        let job = scene.job("defaults", json!({ "backoffLimit": null }), json!({}));
        let job = serde_json::to_value(scene.create(job).await).unwrap();
        let (spec, uid) = (&job["spec"], &job["metadata"]["uid"]);
        for (field, value) in [
            ("parallelism", json!(1)),
            ("completions", json!(1)),
            ("backoffLimit", json!(6)),
            ("suspend", json!(false)),
            ("completionMode", json!("NonIndexed")),
        ] {
            assert_eq!(spec[field], value, "{field}");
        }
        assert_eq!(spec["selector"]["matchLabels"], json!({ "batch.kubernetes.io/controller-uid": uid }));
        let labels = json!({
            "batch.kubernetes.io/controller-uid": uid,
            "controller-uid": uid,
            "batch.kubernetes.io/job-name": "defaults",
            "job-name": "defaults",
        });
        assert_eq!(spec["template"]["metadata"]["labels"], labels);
        assert_eq!(job["metadata"]["labels"], labels);
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["terminationGracePeriodSeconds"], 30);
        assert_eq!(pod["containers"][0]["imagePullPolicy"], "IfNotPresent");
        assert_eq!(job["metadata"]["generation"], 1);
    }
}

#[tokio::test]
async fn a_second_create_is_refused_and_changes_nothing() {
    for scene in scenes().await {
        let first = scene.create(scene.job("twice", json!({}), json!({}))).await;
        let again = scene.jobs().create(&PostParams::default(), &of(scene.job("twice", json!({}), json!({})))).await;
        assert_eq!(refused(again, 409, "AlreadyExists"), "jobs.batch \"twice\" already exists");
        assert_eq!(scene.jobs().get("twice").await.unwrap().metadata.uid, first.metadata.uid);
    }
}

#[tokio::test]
async fn names_are_generated_and_none_is_not_found() {
    for scene in scenes().await {
        let secret = || of(json!({ "metadata": { "generateName": "payload-" } }));
        let first = scene.secrets().create(&PostParams::default(), &secret()).await.unwrap().metadata.name.unwrap();
        let second = scene.secrets().create(&PostParams::default(), &secret()).await.unwrap().metadata.name.unwrap();
        assert!(first.starts_with("payload-") && first.len() == "payload-".len() + 5, "{first}");
        assert_ne!(first, second);
        let missing = refused(scene.jobs().get("missing").await, 404, "NotFound");
        assert_eq!(missing, "jobs.batch \"missing\" not found");
        let nowhere = Api::<Job>::namespaced(scene.client.clone(), "nowhere");
        let answer = nowhere.create(&PostParams::default(), &of(scene.job("lost", json!({}), json!({})))).await;
        assert_eq!(refused(answer, 404, "NotFound"), "namespaces \"nowhere\" not found");
    }
}

#[tokio::test]
async fn a_stale_version_is_a_conflict() {
    for scene in scenes().await {
        let made = scene.create(scene.job("stale", json!({ "suspend": true }), json!({}))).await;
        let version = made.metadata.resource_version.unwrap();
        let annotate = |text: &str| merge(json!({ "metadata": { "annotations": { "a": text } } }));
        scene.jobs().patch("stale", &PatchParams::default(), &annotate("1")).await.unwrap();
        let patch = merge(json!({ "metadata": { "resourceVersion": version, "annotations": { "a": "2" } } }));
        let message = refused(scene.jobs().patch("stale", &PatchParams::default(), &patch).await, 409, "Conflict");
        assert!(message.starts_with("Operation cannot be fulfilled on jobs.batch \"stale\": "), "{message}");
        let patched = scene.jobs().patch("stale", &PatchParams::default(), &annotate("3")).await.unwrap();
        assert_eq!(patched.metadata.annotations.unwrap()["a"], "3");
    }
}

#[tokio::test]
async fn a_secret_keeps_text_as_bytes_and_has_a_limit() {
    for scene in scenes().await {
        let secret = json!({ "metadata": { "name": "s" }, "stringData": { "key": "value" } });
        let made = scene.secrets().create(&PostParams::default(), &of(secret)).await.unwrap();
        assert_eq!(made.data.unwrap()["key"].0, b"value");
        assert_eq!((made.string_data, made.type_.as_deref()), (None, Some("Opaque")));
        let large = |size: usize| of(json!({ "metadata": { "name": "l" }, "stringData": { "key": "x".repeat(size) } }));
        let answer = scene.secrets().create(&PostParams::default(), &large((1 << 20) + 1)).await;
        let message = refused(answer, 422, "Invalid");
        assert!(message.contains("data: Too long: "), "{message}");
        scene.secrets().create(&PostParams::default(), &large(1 << 20)).await.unwrap();
    }
}

#[tokio::test]
async fn patches_merge_and_strategic_patches_merge_lists() {
    for scene in scenes().await {
        let secret = json!({
            "metadata": {
                "name": "p",
                "annotations": { "a": "1", "b": "2" },
                "ownerReferences": [{ "apiVersion": "v1", "kind": "Namespace", "name": "x", "uid": "1" }],
            },
        });
        let mut secret = secret;
        // An owner that is there, or the garbage collector takes the Secret away.
        let owner = scene.create(scene.job("owner", json!({ "suspend": true }), json!({}))).await;
        let reference = |field: &str| json!({ "apiVersion": "batch/v1", "kind": "Job", "name": "owner", "uid": owner.metadata.uid, field: true });
        secret["metadata"]["ownerReferences"] = json!([reference("controller")]);
        scene.secrets().create(&PostParams::default(), &of(secret)).await.unwrap();
        let patch = merge(json!({ "metadata": { "annotations": { "a": null, "c": "3" } } }));
        let patched = scene.secrets().patch("p", &PatchParams::default(), &patch).await.unwrap();
        assert_eq!(json!(patched.metadata.annotations), json!({ "b": "2", "c": "3" }));
        let patch = json!({ "metadata": { "ownerReferences": [reference("blockOwnerDeletion")] } });
        let patched = scene.secrets().patch("p", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
        let owners = patched.metadata.owner_references.unwrap();
        assert_eq!(owners.len(), 1);
        assert_eq!((owners[0].controller, owners[0].block_owner_deletion), (Some(true), Some(true)));
    }
}

#[tokio::test]
async fn selectors_narrow_a_list() {
    for scene in scenes().await {
        for (name, tier) in [("one", "a"), ("two", "b"), ("three", "c")] {
            let secret = json!({ "metadata": { "name": name, "labels": { "tier": tier } } });
            scene.secrets().create(&PostParams::default(), &of(secret)).await.unwrap();
        }
        let names = async |params: ListParams| {
            let listed = scene.secrets().list(&params).await.unwrap();
            let names = listed.items.into_iter().map(|secret| secret.metadata.name.unwrap());
            names.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(ListParams::default().labels("tier=a")).await, "one");
        assert_eq!(names(ListParams::default().labels("tier in (a, b)")).await, "one two");
        assert_eq!(names(ListParams::default().labels("tier notin (a),tier!=b,tier")).await, "three");
        assert_eq!(names(ListParams::default().labels("!tier,none")).await, "");
        assert_eq!(names(ListParams::default().fields("metadata.name=two")).await, "two");
        let answer = scene.secrets().list(&ListParams::default().fields("spec.colour=red")).await;
        refused(answer, 400, "BadRequest");
    }
}

#[tokio::test]
async fn a_deletion_can_demand_whom_it_deletes() {
    for scene in scenes().await {
        let secret = || of(json!({ "metadata": { "name": "s" } }));
        let made = scene.secrets().create(&PostParams::default(), &secret()).await.unwrap();
        let demand = |uid: &str| DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), ..Preconditions::default() }),
            ..DeleteParams::default()
        };
        let message = refused(scene.secrets().delete("s", &demand("another")).await, 409, "Conflict");
        assert!(
            message.contains("the UID in the precondition (another) does not match the UID in record"),
            "{message}"
        );
        scene.secrets().delete("s", &demand(&made.metadata.uid.unwrap())).await.unwrap();
        refused(scene.secrets().delete("s", &DeleteParams::default()).await, 404, "NotFound");
    }
}

/// What becomes of a job and its Secret.
async fn deleted(scene: &Scene, name: &str, policy: Option<PropagationPolicy>) -> (bool, bool) {
    let job = scene.create(scene.job(name, json!({}), json!({}))).await;
    let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job.metadata.uid });
    let secret = json!({ "metadata": { "name": name, "ownerReferences": [owner] } });
    scene.secrets().create(&PostParams::default(), &of(secret)).await.unwrap();
    scene.pod(name, "its pod", |_| true).await;
    let params = DeleteParams { propagation_policy: policy, ..DeleteParams::default() };
    scene.jobs().delete(name, &params).await.unwrap();
    until("the job to go", async || scene.jobs().get_opt(name).await.unwrap().is_none().then_some(())).await;
    let orphans = matches!(params.propagation_policy, None | Some(PropagationPolicy::Orphan));
    if !orphans {
        let gone =
            async || scene.pods_of(name).await.is_empty() && scene.secrets().get_opt(name).await.unwrap().is_none();
        until("what it owned to go", async || gone().await.then_some(())).await;
    }
    (!scene.pods_of(name).await.is_empty(), scene.secrets().get_opt(name).await.unwrap().is_some())
}

#[tokio::test]
async fn what_a_job_owns_goes_with_it_unless_it_is_orphaned() {
    for scene in scenes().await {
        let background = Some(PropagationPolicy::Background);
        assert_eq!(deleted(&scene, "background", background).await, (false, false));
        assert_eq!(deleted(&scene, "foreground", Some(PropagationPolicy::Foreground)).await, (false, false));
        assert_eq!(deleted(&scene, "orphan", Some(PropagationPolicy::Orphan)).await, (true, true));
        // Nobody expects it, but so it is since the first version of the API.
        assert_eq!(deleted(&scene, "unsaid", None).await, (true, true));
    }
}

#[tokio::test]
async fn what_names_an_owner_that_is_not_there_is_taken_away() {
    for scene in scenes().await {
        let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "name": "gone", "uid": "11111111-1111-4111-8111-111111111111" });
        let secret = json!({ "metadata": { "name": "late", "ownerReferences": [owner] } });
        scene.secrets().create(&PostParams::default(), &of(secret)).await.unwrap();
        until("the Secret to go", async || scene.secrets().get_opt("late").await.unwrap().is_none().then_some(()))
            .await;
    }
}
