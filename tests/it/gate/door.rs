//! The door: who may ask, what is refused, and that whoever asks twice is answered twice and served once.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sluice_local::host;
use sluice_tests::hcp::{RunTaskSpec, Stage, TaskRequestFault, TaskRequestMishap, TaskResultStatus, sign};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::checker::{Asked, Checker, Finds};
use super::leaks;
use super::scene::{KEY, Scene, after_plan, assert_answered, assert_passed, settings};
use crate::lambda::aws;
use crate::serve::client;
use crate::world::build;

const SIGNATURE: &str = "X-TFC-Task-Signature";

fn preview() -> Value {
    after_plan(&json!([{ "name": "preview", "kind": "preview" }]))
}

/// A scene with a task, and a genuine request that was not sent to it yet.
async fn held() -> (Scene, Asked) {
    let scene = Scene::of("a").await;
    scene.store(&preview()).await;
    // It takes Sluice's place, and keeps what HCP Terraform asks.
    let keeper = Checker::start(KEY).await;
    let spec = RunTaskSpec::new("guard", &keeper.url).hmac_key(KEY);
    let task = scene.hcp().create_run_task(spec).await.unwrap();
    scene.hcp().attach_run_task("a", &task, sluice_tests::hcp::Enforcement::Mandatory, &[Stage::PostPlan]);
    scene.world.change("a");
    keeper.asked(2).await;
    let asked = keeper.requests().pop().unwrap();
    (scene, asked)
}

/// Posts a request. Without a signature there is no header.
async fn post(client: &Client, url: &str, body: Vec<u8>, signature: Option<&str>) -> StatusCode {
    let request = client.post(url).body(body);
    let request = signature.into_iter().fold(request, |request, signature| request.header(SIGNATURE, signature));
    let answer = request.send().await.unwrap();
    let status = answer.status();
    assert_eq!(answer.bytes().await.unwrap(), "", "{status}");
    status
}

async fn post_signed(client: &Client, url: &str, body: Vec<u8>) -> StatusCode {
    let signature = sign(KEY, &body);
    post(client, url, body, Some(&signature)).await
}

fn changed(body: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value = serde_json::from_slice(body).unwrap();
    change(&mut value);
    serde_json::to_vec(&value).unwrap()
}

#[tokio::test]
async fn a_verification_is_answered_and_leaves_no_trace() {
    let scene = Scene::of("a").await;
    scene.store(&preview()).await;
    let verified = |name: &str, key: &str| RunTaskSpec::new(name, &scene.url(name)).hmac_key(key);
    scene.hcp().create_run_task(verified("guard", KEY)).await.unwrap();
    let unknown = scene.hcp().create_run_task(verified("nobody", KEY)).await.unwrap_err();
    assert!(unknown.ends_with("answered 404"), "{unknown}");
    for key in ["another", ""] {
        let refused = scene.hcp().create_run_task(verified("guard", key)).await.unwrap_err();
        assert!(refused.ends_with("answered 401"), "{refused}");
    }
    assert_eq!(leaks::recorded(scene.world.endpoint()).await, Vec::<String>::new());
    scene.end().await;
}

#[tokio::test]
async fn what_is_not_a_signed_request_is_refused_and_leaves_no_trace() {
    let (scene, genuine) = held().await;
    let (client, url, body) = (client(), scene.url("guard"), genuine.body.to_vec());
    let cut = sign(KEY, &body)[1..].to_owned();
    let unsigned =
        [None, Some(""), Some("ü"), Some(&cut), Some(&sign("", &body)), Some(&sign("of another task", &body))]
            .map(|signature| signature.map(str::to_owned));
    for signature in unsigned {
        let status = post(&client, &url, body.clone(), signature.as_deref()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{signature:?}");
    }
    let other_body = sign(KEY, &body[1..]);
    assert_eq!(post(&client, &url, body.clone(), Some(&other_body)).await, StatusCode::UNAUTHORIZED);

    for garbage in ["", "{", "[]", "null", "{}", "\u{feff}{}"] {
        let status = post_signed(&client, &url, garbage.as_bytes().to_vec()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{garbage}");
    }
    for field in ["access_token", "task_result_id", "task_result_callback_url", "run_id", "workspace_id", "stage"] {
        for (what, value) in [("absent", None), ("null", Some(Value::Null)), ("a number", Some(json!(7)))] {
            let body = changed(&body, |body| match value {
                None => drop(body.as_object_mut().unwrap().remove(field)),
                Some(value) => body[field] = value,
            });
            assert_eq!(post_signed(&client, &url, body).await, StatusCode::BAD_REQUEST, "{field} is {what}");
        }
    }
    let large = changed(&body, |body| body["run_message"] = json!("x".repeat(200_000)));
    assert_eq!(post_signed(&client, &url, large).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(post_signed(&client, &url, vec![b' '; 7 << 20]).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(post_signed(&client, &scene.url("nobody"), body.clone()).await, StatusCode::NOT_FOUND);
    for path in ["guard/more", "", "gu%2Fard"] {
        assert_eq!(post_signed(&client, &scene.url(path), body.clone()).await, StatusCode::NOT_FOUND, "{path}");
    }
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let answer = client.request(method, &url).body(body.clone()).send().await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
        );
    }
    assert_eq!(leaks::recorded(scene.world.endpoint()).await, Vec::<String>::new());

    assert_eq!(post_signed(&client, &url, body).await, StatusCode::OK, "the genuine one");
    assert_passed(&scene.answer("a", 0).await);
    scene.end().await;
}

#[tokio::test]
async fn a_signed_request_that_would_have_the_token_sent_elsewhere_is_refused() {
    let (scene, genuine) = held().await;
    let (client, url) = (client(), scene.url("guard"));
    let other = Checker::start(KEY).await;
    let path = "/api/v2/task-results/00000000-0000-4000-8000-000000000001/callback";
    let host = scene.hcp().host();
    let foreign = [
        format!("{}{path}", other.url.trim_end_matches("/check")),
        format!("http://{host}@evil.example{path}"),
        format!("http://{host}.evil.example{path}"),
        format!("https://{host}{path}"),
        format!("//evil.example{path}"),
        format!("http://evil.example\\@{host}{path}"),
        "ftp://evil.example/x".to_owned(),
        path.to_owned(),
    ];
    for address in &foreign {
        for field in ["task_result_callback_url", "plan_json_api_url", "configuration_version_download_url"] {
            let body = changed(&genuine.body, |body| body[field] = json!(address));
            assert_eq!(post_signed(&client, &url, body).await, StatusCode::BAD_REQUEST, "{field}: {address}");
        }
    }
    assert_eq!(leaks::recorded(scene.world.endpoint()).await, Vec::<String>::new());
    assert_eq!(other.requests().len(), 0);
    scene.end().await;
}

#[tokio::test]
async fn without_its_table_the_door_takes_nothing_and_hcp_terraform_asks_again() {
    let (scene, genuine) = held().await;
    let absent = sluice_aws::Table::connect(&aws(scene.world.endpoint()), "no-such-table").unwrap();
    let functions = build(scene.hcp(), &absent, settings());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/run-tasks/guard", listener.local_addr().unwrap());
    tokio::spawn(host::serve(functions, listener, std::future::pending()));
    assert_eq!(post_signed(&client(), &url, genuine.body.to_vec()).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(leaks::recorded(scene.world.endpoint()).await, Vec::<String>::new());
    scene.end().await;
}

#[tokio::test]
async fn a_request_that_comes_forty_times_is_answered_forty_times_and_carried_out_once() {
    let (mut scene, genuine) = held().await;
    let checker = scene.checker().await;
    checker.finds(Finds::Nothing);
    scene.store(&after_plan(&json!([checker.check()]))).await;
    let (client, url, body) = (client(), scene.url("guard"), genuine.body.to_vec());
    let mut posts = JoinSet::new();
    for _ in 0..20 {
        let (client, url, body) = (client.clone(), url.clone(), body.clone());
        posts.spawn(async move { post_signed(&client, &url, body).await });
    }
    assert_eq!(posts.join_all().await, [StatusCode::OK; 20]);
    for _ in 0..10 {
        assert_eq!(post_signed(&client, &url, body.clone()).await, StatusCode::OK);
    }
    let result = scene.answer("a", 0).await;
    assert_passed(&result);
    scene.ended(&result.id).await;
    // Its access token is gone, with all that there was to do.
    let items = ["CHECK#cost", "RELAY", "TASK"].map(|item| format!("GATE#{} {item}", scene.known_as(&result.id)));
    assert_eq!(leaks::recorded(scene.world.endpoint()).await, items);
    for _ in 0..10 {
        assert_eq!(post_signed(&client, &url, body.clone()).await, StatusCode::OK, "long after it is over");
    }
    assert_eq!(checker.requests().len(), 1, "carried out more than once");
    scene.end().await;
}

#[tokio::test]
async fn requests_that_are_lost_or_late_or_doubled_are_answered_once() {
    let scene = Scene::of("a").await;
    scene.hcp().task_options(|options| options.spacing = Duration::from_millis(5));
    scene.gate("a", &preview()).await;
    let mishaps = [
        TaskRequestMishap::Lose,
        TaskRequestMishap::Duplicate(3),
        TaskRequestMishap::Concurrent(20),
        TaskRequestMishap::Delay(Duration::from_millis(50)),
    ];
    for mishap in mishaps {
        scene.hcp().faults(|faults| faults.task_requests.push(TaskRequestFault::next(1, mishap)));
        let result = scene.change("a").await;
        assert_answered(&result, TaskResultStatus::Passed);
        scene.hcp().settled().await;
        let result = scene.hcp().task_result(&result.id).unwrap();
        let unanswered = result.requests.iter().filter(|request| request.answer != Some(200)).count();
        assert_eq!(unanswered, usize::from(mishap == TaskRequestMishap::Lose), "{mishap:?} {result:#?}");
        assert_eq!(result.accepted_finals(), 1, "{mishap:?}");
    }
    scene.end().await;
}

#[tokio::test]
async fn while_one_key_replaces_another_both_are_good() {
    let (scene, genuine) = held().await;
    let mut task = preview();
    task["hmac_keys"] = json!(["env:OTHER_KEY", "env:TASK_KEY"]);
    scene.store(&task).await;
    let (client, url, body) = (client(), scene.url("guard"), genuine.body.to_vec());
    for key in [KEY, "of another task"] {
        assert_eq!(post(&client, &url, body.clone(), Some(&sign(key, &body))).await, StatusCode::OK, "{key}");
    }
    task["hmac_keys"] = json!(["env:OTHER_KEY"]);
    scene.store(&task).await;
    assert_eq!(post_signed(&client, &url, body.clone()).await, StatusCode::UNAUTHORIZED, "the old one");
    task["hmac_keys"] = json!(["env:ABSENT"]);
    scene.store(&task).await;
    let status = post_signed(&client, &url, body).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "a key that is to be had again some day");
    assert_passed(&scene.answer("a", 0).await);
    scene.end().await;
}
