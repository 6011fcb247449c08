//! One job, however often it is asked for, and whatever happens in between.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DeleteParams, PostParams};
use secrecy::SecretString;
use serde_json::json;
use sluice_domain::gate::Program;
use sluice_domain::ports::{Cluster as _, JobExit, Standing};
use sluice_domain::{Classify as _, Fault as Who};
use sluice_kubernetes::{ClusterError, Limits};
use sluice_tests::kubernetes::{Fault, Image, Kubelet, Mishap};

use super::{IMAGE, NAMESPACE, PATIENCE, Scene, connect};

const PRINTS: &str = "echo \"$JSON_PAYLOAD $LEVEL $LAGOON_PROJECT $NAMESPACE\"; cat \
                      $SLUICE_TEST_ROOT/var/run/secrets/sluice/plan.json; echo; test -n \"$PODNAME\"";

#[tokio::test]
async fn a_job_gets_what_it_is_to_get_and_leaves_nothing() {
    let scene = Scene::new().await;
    let kubelet = scene.kubelet(PRINTS).await;
    scene.start().await.unwrap();
    let end = scene.end().await;
    assert_eq!(end.how, JobExit::Code(0));
    let expected = "hush-payload $(id) `id` \"high\" $(NAMESPACE)-network jobs\n{\"hush\": 1}\n";
    assert_eq!((end.output.text.as_str(), end.output.cut), (expected, false));
    assert!(!scene.cluster.everything().contains("hush"), "a secret is in an object that is none");
    // Whoever starts it again at its end starts nothing.
    scene.start().await.unwrap();
    assert_eq!(scene.end().await.how, JobExit::Code(0));
    scene.kubernetes.remove(&scene.place()).await.unwrap();
    assert_eq!(scene.cluster.left(), Vec::<String>::new());
    assert_eq!(scene.watch(Duration::ZERO).await, Standing::Gone);
    scene.kubernetes.remove(&scene.place()).await.unwrap();
    assert_eq!(kubelet.starts(IMAGE), 1);
    // Nobody has looked into a Secret.
    assert_eq!(["get", "list", "watch"].map(|verb| scene.cluster.count(verb, "secrets")), [0, 0, 0]);
}

#[tokio::test]
async fn a_start_that_dies_anywhere_is_taken_up_again() {
    for what in [Mishap::CutBeforeEffect, Mishap::CutAfterEffect, Mishap::InternalError] {
        for skip in 0.. {
            let scene = Scene::new().await;
            let kubelet = scene.kubelet("exit 3").await;
            scene.cluster.fault(Fault::next("*", "*", what).skip(skip));
            let first = scene.start().await;
            if let Err(error) = &first {
                assert!(matches!(error.fault(), Who::Transient { .. }), "{error}");
                scene.start().await.unwrap();
            }
            let struck = scene.cluster.faults_left().is_empty();
            assert_eq!(first.is_err(), struck, "{what:?} after {skip}");
            if !struck {
                // The Job, its Secret, and that it may go.
                assert_eq!(skip, 3);
                break;
            }
            assert_eq!(scene.end().await.how, JobExit::Code(3), "{what:?} after {skip}");
            scene.kubernetes.remove(&scene.place()).await.unwrap();
            assert_eq!((kubelet.starts(IMAGE), scene.cluster.left()), (1, Vec::new()), "{what:?} after {skip}");
        }
    }
}

#[tokio::test]
async fn a_later_start_brings_its_own_secrets_as_long_as_nobody_has_read_them() {
    let scene = Scene::new().await;
    scene.cluster.fault(Fault::next("patch", "jobs", Mishap::CutBeforeEffect));
    scene.start().await.unwrap_err();
    let mut later = scene.order();
    later.secrets.insert("JSON_PAYLOAD".to_owned(), SecretString::from("newer"));
    scene.kubernetes.start(&later).await.unwrap();
    let key = scene.place().to_string();
    assert_eq!(scene.cluster.secrets()[&key]["env.JSON_PAYLOAD"], b"newer");
    // The pod may have it by now.
    scene.start().await.unwrap();
    assert_eq!(scene.cluster.secrets()[&key]["env.JSON_PAYLOAD"], b"newer");
    let _kubelet = scene.kubelet("echo $JSON_PAYLOAD").await;
    assert_eq!(scene.end().await.output.text, "newer\n");
}

#[tokio::test]
async fn both_of_two_who_start_it_at_once_start_one() {
    let scene = Scene::new().await;
    let kubelet = scene.kubelet("exit 0").await;
    let (one, other) = tokio::join!(scene.start(), scene.start());
    for error in [one, other].into_iter().filter_map(Result::err) {
        assert!(matches!(error.fault(), Who::Transient { .. }), "{error}");
    }
    scene.start().await.unwrap();
    assert_eq!(scene.end().await.how, JobExit::Code(0));
    assert_eq!(kubelet.starts(IMAGE), 1);
}

#[tokio::test]
async fn a_job_of_somebody_else_is_left_alone() {
    let mut scene = Scene::new().await;
    scene.start().await.unwrap();
    let place = scene.place();
    scene.check = "other";
    let mut order = scene.order();
    order.place = place.clone();
    let error = scene.kubernetes.start(&order).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the job {place} is not of this check: somebody else made it"));
    assert_eq!(error.fault(), Who::Permanent);
}

#[tokio::test]
async fn a_job_that_is_being_deleted_is_not_started_again_before_it_is_gone() {
    let scene = Scene::new().await;
    let _kubelet = scene.kubelet("trap 'sleep 1; exit 0' TERM; echo up; while true; do sleep 0.05; done").await;
    scene.start().await.unwrap();
    scene.at("runs since").await;
    scene.jobs().delete(&scene.place().name, &DeleteParams::foreground()).await.unwrap();
    let error = scene.start().await.unwrap_err();
    assert!(matches!(error, ClusterError::BeingDeleted(_)), "{error}");
    assert_eq!(error.fault(), Who::TRANSIENT);
}

#[tokio::test]
async fn what_a_cluster_refuses_is_told_with_who_must_act() {
    let scene = Scene::new().await;
    for (resource, what, who, text) in [
        ("jobs", Mishap::Forbidden, Who::Permanent, "a role has to allow create on jobs.batch there"),
        ("jobs", Mishap::QuotaExceeded, Who::TRANSIENT, "before there is room in its quota"),
        ("jobs", Mishap::Unauthorized, Who::TRANSIENT, "the cluster does not know who asks"),
        ("jobs", Mishap::TooManyRequests(7), Who::Throttled { after_ms: 7_000 }, "has too much to do"),
        ("jobs", Mishap::Unavailable, Who::TRANSIENT, "it says 503"),
        ("jobs", Mishap::CutBeforeEffect, Who::TRANSIENT, "cannot reach the cluster to create jobs.batch"),
        ("secrets", Mishap::QuotaExceeded, Who::TRANSIENT, "before there is room in its quota"),
        ("secrets", Mishap::Forbidden, Who::Permanent, "a role has to allow create on secrets there"),
    ] {
        scene.cluster.fault(Fault::next("create", resource, what));
        let error = scene.start().await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.fault(), who, "{error}");
    }
    let mut order = scene.order();
    order.place.namespace = "nowhere".to_owned();
    let error = scene.kubernetes.start(&order).await.unwrap_err();
    assert!(error.to_string().contains("namespaces \"nowhere\" not found"), "{error}");
    assert_eq!(error.fault(), Who::Permanent);
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_not_waited_for_for_ever() {
    let scene = Scene::new().await;
    let limits = Limits { request: Duration::from_millis(50), ..Limits::default() };
    let hasty = connect(&scene.cluster.kubeconfig(), &scene.skew_ms, limits).await;
    scene.cluster.fault(Fault::next("list", "pods", Mishap::Hang));
    let error = hasty.watch(&scene.place(), PATIENCE, Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(error, ClusterError::TimedOut(_)), "{error}");
    assert_eq!(error.fault(), Who::TRANSIENT);
}

/// A service with two containers.
async fn deploy(scene: &Scene) {
    let container = |name: &str| {
        json!({"name": name, "image": "registry.example/cli:1", "command": ["serve"],
            "env": [{"name": "CRONJOBS", "value": "x"}, {"name": "DB", "value": "mariadb"}],
            "ports": [{"containerPort": 80}]})
    };
    let deployment = json!({"metadata": {"name": "cli"}, "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "cli"}},
        "template": {"metadata": {"labels": {"app": "cli"}}, "spec": {"containers": [container("nginx"), container("cli")]}}
    }});
    let deployments = Api::<Deployment>::namespaced(scene.client.clone(), NAMESPACE);
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_command_runs_once_in_a_copy_of_a_service_that_is_scaled_to_zero() {
    let mut scene = Scene::new().await;
    deploy(&scene).await;
    let command = "echo \"$LEVEL $DB [$CRONJOBS] $NAMESPACE\" $((1+1)); X='a $$ b'; echo \"$X\"; exit 5".to_owned();
    scene.job.program = Program::Service { service: "cli".to_owned(), container: None, command };
    let kubelet = Kubelet::start(&scene.cluster, [("registry.example/cli:1", Image::default())]).await;
    scene.start().await.unwrap();
    let end = scene.end().await;
    assert_eq!(end.output.text, "$(id) `id` \"high\" mariadb [] jobs 2\na $$ b\n");
    assert_eq!(end.how, JobExit::Code(5));
    assert_eq!(kubelet.starts("registry.example/cli:1"), 1);
    // A service that goes away takes nothing from a job that is there.
    let deployments = Api::<Deployment>::namespaced(scene.client.clone(), NAMESPACE);
    deployments.delete("cli", &DeleteParams::default()).await.unwrap();
    scene.start().await.unwrap();
    scene.kubernetes.remove(&scene.place()).await.unwrap();
    let error = scene.start().await.unwrap_err();
    assert!(error.to_string().starts_with("there is no Deployment cli in the namespace jobs"), "{error}");
    assert_eq!(error.fault(), Who::Permanent);
}
