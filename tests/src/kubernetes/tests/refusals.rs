//! What the server does not take.

use super::*;

/// The message with which a job is refused.
async fn refusal(scene: &Scene, job: Value) -> String {
    refused(scene.jobs().create(&PostParams::default(), &of(job)).await, 422, "Invalid")
}

#[tokio::test]
async fn jobs_are_validated() {
    for scene in scenes().await {
        let template = |spec: Value| json!({ "template": { "spec": spec } });
        for (spec, container, expected) in [
            (template(json!({ "restartPolicy": "Always" })), json!({}), "spec.template.spec.restartPolicy: "),
            (template(json!({ "containers": [] })), json!({}), "spec.template.spec.containers: Required value"),
            (json!({}), json!({ "image": "" }), "spec.template.spec.containers[0].image: Required value"),
            (json!({}), json!({ "name": "Main" }), "spec.template.spec.containers[0].name: Invalid value: \"Main\""),
            (json!({ "backoffLimit": -1 }), json!({}), "spec.backoffLimit: Invalid value: -1"),
            (
                json!({}),
                json!({ "volumeMounts": [{ "name": "data", "mountPath": "/data" }] }),
                "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\"",
            ),
            (
                template(json!({ "tolerations": [{ "key": "a", "operator": "Exists", "value": "b" }] })),
                json!({}),
                "spec.template.spec.tolerations[0].operator: Invalid value: ",
            ),
            (
                json!({}),
                json!({ "resources": { "limits": { "cpu": "1" }, "requests": { "cpu": "1500m" } } }),
                "must be less than or equal to cpu limit of 1",
            ),
            (
                json!({ "template": { "metadata": { "labels": { "a": "b c" } } } }),
                json!({}),
                "spec.template.labels: Invalid value: \"b c\"",
            ),
        ] {
            let message = refusal(&scene, scene.job("refused", spec, container)).await;
            assert!(message.starts_with("Job.batch \"refused\" is invalid: "), "{message}");
            assert!(message.contains(expected), "{expected} is not in: {message}");
        }
        assert!(scene.jobs().get_opt("refused").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn names_follow_the_rules_of_dns() {
    for scene in scenes().await {
        for name in ["Upper", "under_score", "-dash", "dot.", &"x".repeat(64)] {
            let message = refusal(&scene, scene.job(name, json!({}), json!({}))).await;
            assert!(message.contains("Invalid value"), "{name}: {message}");
        }
        scene.create(scene.job(&"x".repeat(63), json!({ "suspend": true }), json!({}))).await;
    }
}

#[tokio::test]
async fn the_template_of_a_job_cannot_be_changed() {
    for scene in scenes().await {
        scene.create(scene.job("fixed", json!({}), json!({}))).await;
        let patch =
            json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": "other:1" }] } } } });
        let answer = scene.jobs().patch("fixed", &PatchParams::default(), &Patch::Strategic(patch)).await;
        let message = refused(answer, 422, "Invalid");
        assert!(message.contains("spec.template: ") && message.contains("field is immutable"), "{message}");
        let patch = merge(json!({ "spec": { "ttlSecondsAfterFinished": 700 } }));
        scene.jobs().patch("fixed", &PatchParams::default(), &patch).await.unwrap();
    }
}

/// Posts a job as it is, as the bindings cannot.
async fn post(scene: &Scene, query: &str, job: &Value) -> kube::Result<Value> {
    let path = format!("/apis/batch/v1/namespaces/{}/jobs?{query}", scene.namespace);
    let request = http::Request::post(path).header("content-type", "application/json");
    scene.client.request(request.body(job.to_string().into_bytes()).unwrap()).await
}

#[tokio::test]
async fn unknown_fields_are_dropped_or_refused_as_wanted() {
    for scene in scenes().await {
        let mut job = scene.job("fields", json!({ "suspend": true }), json!({ "colour": "red" }));
        job["spec"]["backoffLimits"] = 3.into();
        let strict = refused(post(&scene, "fieldValidation=Strict", &job).await, 400, "BadRequest");
        assert!(strict.contains("strict decoding error: "), "{strict}");
        assert!(strict.contains("unknown field \"spec.backoffLimits\""), "{strict}");
        assert!(strict.contains("unknown field \"spec.template.spec.containers[0].colour\""), "{strict}");
        let made = post(&scene, "", &job).await.unwrap();
        assert_eq!(made["spec"]["backoffLimits"], Value::Null);
        assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["colour"], Value::Null);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_a_bad_request() {
    for scene in scenes().await {
        let mut job = scene.job("unread", json!({}), json!({ "resources": { "limits": { "cpu": "much" } } }));
        let message = refused(post(&scene, "", &job).await, 400, "BadRequest");
        assert!(message.contains("quantities must match the regular expression"), "{message}");
        job = scene.job("unread", json!({ "backoffLimit": "three" }), json!({}));
        let message = refused(post(&scene, "", &job).await, 400, "BadRequest");
        assert!(message.starts_with("Job in version \"v1\" cannot be handled as a Job: "), "{message}");
    }
}

#[tokio::test]
async fn a_dry_run_is_checked_and_leaves_nothing() {
    for scene in scenes().await {
        let dry = PostParams { dry_run: true, field_manager: None };
        scene.jobs().create(&dry, &of(scene.job("dry", json!({}), json!({})))).await.unwrap();
        let bad = of(scene.job("dry", json!({}), json!({ "image": "" })));
        refused(scene.jobs().create(&dry, &bad).await, 422, "Invalid");
        assert!(scene.jobs().get_opt("dry").await.unwrap().is_none());
    }
}
