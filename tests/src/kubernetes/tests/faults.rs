//! What a test can have go wrong, and what it can look at afterwards.

use super::*;

#[tokio::test]
async fn a_fault_strikes_the_requests_it_names_and_no_more() {
    let scene = Scene::double().await;
    for (what, code, reason) in [
        (Mishap::TooManyRequests(1), 429, "TooManyRequests"),
        (Mishap::InternalError, 500, "InternalError"),
        (Mishap::Unavailable, 503, "ServiceUnavailable"),
        (Mishap::Forbidden, 403, "Forbidden"),
        (Mishap::QuotaExceeded, 403, "Forbidden"),
        (Mishap::Unauthorized, 401, "Unauthorized"),
    ] {
        scene.cluster.fault(Fault::next("create", "jobs", what).skip(1));
        scene.create(scene.job(&format!("{code}-first"), json!({}), json!({}))).await;
        let job = scene.job(&format!("{code}-second"), json!({}), json!({}));
        let message = refused(scene.jobs().create(&PostParams::default(), &of(job.clone())).await, code, reason);
        assert_eq!(message.contains("exceeded quota"), what == Mishap::QuotaExceeded, "{message}");
        scene.jobs().get_opt(&format!("{code}-second")).await.unwrap().ok_or(()).unwrap_err();
        scene.create(job).await;
        assert_eq!(scene.cluster.faults_left(), []);
        scene.jobs().delete(&format!("{code}-first"), &DeleteParams::background()).await.unwrap();
        scene.jobs().delete(&format!("{code}-second"), &DeleteParams::background()).await.unwrap();
    }
    assert_eq!(scene.cluster.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_connection_is_cut_before_or_after_the_effect() {
    let scene = Scene::double().await;
    for (what, done) in [(Mishap::CutBeforeEffect, false), (Mishap::CutAfterEffect, true)] {
        scene.cluster.fault(Fault::next("create", "secrets", what));
        let secret = of(json!({ "metadata": { "name": "s" } }));
        let answer = scene.secrets().create(&PostParams::default(), &secret).await;
        assert!(!matches!(answer, Ok(_) | Err(kube::Error::Api(_))), "{answer:?}");
        assert_eq!(scene.secrets().get_opt("s").await.unwrap().is_some(), done);
    }
}

#[tokio::test]
async fn a_request_that_hangs_has_no_effect() {
    let scene = Scene::double().await;
    scene.cluster.fault(Fault::next("create", "secrets", Mishap::Hang));
    let (secrets, secret) = (scene.secrets(), of(json!({ "metadata": { "name": "s" } })));
    let params = PostParams::default();
    tokio::select! {
        answer = secrets.create(&params, &secret) => panic!("{answer:?}"),
        () = until("the fault to strike", async || scene.cluster.faults_left().is_empty().then_some(())) => {}
    }
    assert!(scene.secrets().get_opt("s").await.unwrap().is_none());
}

#[tokio::test]
async fn requests_are_logged_and_kubelets_are_left_out() {
    let scene = Scene::double().await;
    let _kubelet = scene.kubelet([]).await;
    scene.secrets().get_opt("s").await.unwrap();
    scene.secrets().list(&ListParams::default().labels("a=b")).await.unwrap();
    let requests = scene.cluster.requests();
    let last = requests.last().unwrap();
    assert_eq!((last.method.as_str(), last.verb.as_str(), last.resource.as_str()), ("GET", "list", "secrets"));
    assert_eq!(last.path, format!("/api/v1/namespaces/{}/secrets", scene.namespace));
    assert!(last.query.contains("labelSelector=a%3Db"), "{}", last.query);
    assert_eq!((last.has_body, last.status), (false, Some(200)));
    assert_eq!(scene.cluster.count("get", "secrets"), 1);
    assert_eq!(scene.cluster.count("create", "nodes"), 0);
}

#[tokio::test]
async fn everything_ever_stored_can_be_searched() {
    let scene = Scene::double().await;
    let secret = json!({ "metadata": { "name": "s" }, "stringData": { "key": "hunter2" } });
    scene.secrets().create(&PostParams::default(), &of(secret)).await.unwrap();
    let patch = merge(json!({ "metadata": { "annotations": { "was": "here" } } }));
    scene.secrets().patch("s", &PatchParams::default(), &patch).await.unwrap();
    let patch = merge(json!({ "metadata": { "annotations": null } }));
    scene.secrets().patch("s", &PatchParams::default(), &patch).await.unwrap();
    scene.secrets().delete("s", &DeleteParams::default()).await.unwrap();
    let everything = scene.cluster.everything();
    assert!(
        everything.contains("\"was\":\"here\"")
            && !everything.contains("hunter2")
            && !everything.contains("aHVudGVyMg")
    );
    assert_eq!(scene.cluster.secrets()[&format!("{}/s", scene.namespace)]["key"], b"hunter2");
}
