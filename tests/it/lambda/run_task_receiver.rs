//! run-task-receiver, by its program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sluice_domain::ports::{Bell, GateStore};
use sluice_domain::{Queue, TaskResultId, WorkKey};
use sluice_local::store::Embedded;
use sluice_tests::hcp::sign;

use super::emulator::{Emulated, free_address};
use super::gate::{KEY, keys, task};
use super::runtime::{RuntimeApi, Told};
use super::{LATER, Vars, aws, events, vars};

const FUNCTION: &str = "run-task-receiver";

fn settings(endpoint: &str) -> Vars {
    let table = vars(&[("WORKSPACE_DEPENDENCIES_TABLE", "sluice")]);
    aws(endpoint).into_iter().chain(table).chain(keys()).collect()
}

/// A table with the task `guard`.
async fn store() -> Embedded {
    let store = Embedded::open(None).await.unwrap();
    let guard = task(&json!([{ "name": "upstream", "kind": "upstream" }]));
    store.table.put_task(&"guard".parse().unwrap(), &guard.to_string()).await.unwrap();
    store
}

/// A request of HCP Terraform's, as it is in `events/run-task`.
fn request(name: &str) -> String {
    events("run-task")[name].to_string()
}

/// What each kind of front door makes of a request to `/run-tasks/guard` that is signed with `key`, by name: the
/// receiver of notifications has events of each, and only the path, the signature and the body differ.
fn doors(body: &str, key: &str) -> Vec<(String, Value)> {
    let text = |event: &Value| event.to_string();
    let asked = |event: Value| {
        let moved = text(&event).replace("/notifications", "/run-tasks/guard");
        let moved = moved.replace("X-Tfe-Notification", "X-Tfc-Task").replace("x-tfe-notification", "x-tfc-task");
        let mut event: Value = serde_json::from_str(&moved).unwrap();
        let signature = sign(key, body.as_bytes());
        for name in ["X-Tfc-Task-Signature", "x-tfc-task-signature"] {
            if event["headers"].get(name).is_some() {
                event["headers"][name] = json!(signature);
            }
            if event["multiValueHeaders"].get(name).is_some() {
                event["multiValueHeaders"][name] = json!([signature]);
            }
        }
        let encoded = event["isBase64Encoded"] == true;
        event["body"] = if encoded { STANDARD.encode(body).into() } else { body.into() };
        event
    };
    let mut doors: Vec<_> =
        events("notification-receiver").into_iter().map(|(name, event)| (name, asked(event))).collect();
    let mut staged = doors.iter().find(|(name, _)| name == "apigw-http-v2").unwrap().1.clone();
    staged["rawPath"] = json!("/prod/run-tasks/guard");
    staged["requestContext"]["stage"] = json!("prod");
    doors.push(("apigw-http-v2, with a stage".to_owned(), staged));
    doors
}

async fn due(store: &Embedded) -> Vec<WorkKey> {
    store.table.due(Queue::Check, LATER, 50).await.unwrap()
}

#[track_caller]
fn assert_answer(answer: &Value, status: u16, what: &str) {
    assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(status), &json!("")), "{what}");
}

#[tokio::test]
async fn a_request_is_recorded_through_every_front_door() {
    let store = store().await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&store.endpoint));
    let doors_count = doors("", KEY).len();
    assert_eq!(doors_count, 6);
    for at in 0..doors_count {
        let id = format!("taskrs-EXAMPLE000001{at}");
        let body = request("post-plan").replace("taskrs-EXAMPLE0000001", &id);
        let (name, event) = doors(&body, KEY).swap_remove(at);
        // HCP Terraform asks again when it has not seen the answer.
        for _ in 0..2 {
            assert_answer(&lambda.answer(event.to_string()).await, 200, &name);
        }
        let gated = store
            .table
            .gated(&id.parse::<TaskResultId>().unwrap().of(&"guard".parse().unwrap()))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(gated.admission.request.workspace.to_string(), "app.terraform.io/acme/network", "{name}");
        assert_eq!(due(&store).await.len(), at + 1, "{name}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_signed_with_the_key_of_the_task_is_refused_through_every_front_door() {
    let store = store().await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&store.endpoint));
    for (name, event) in doors(&request("post-plan"), "another key") {
        assert_answer(&lambda.answer(event.to_string()).await, 401, &name);
    }
    for (name, mut event) in doors(&request("post-plan"), KEY) {
        event["isBase64Encoded"] = json!(false);
        event["body"] = json!(request("post-plan").replace("network", "another"));
        assert_answer(&lambda.answer(event.to_string()).await, 401, &format!("{name}, tampered with"));
    }
    assert_eq!(due(&store).await, []);
}

#[tokio::test]
async fn every_sample_is_answered_and_the_one_that_registers_a_task_leaves_no_trace() {
    let store = store().await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&store.endpoint));
    for (name, body) in events("run-task") {
        let before = due(&store).await;
        // Each is of the same task result otherwise.
        let id = format!("taskrs-{}", name.replace('-', ""));
        let body = body.to_string().replace("taskrs-EXAMPLE0000001", &id);
        let (_, event) = doors(&body, KEY).swap_remove(0);
        assert_answer(&lambda.answer(event.to_string()).await, 200, &name);
        let recorded =
            store.table.gated(&id.parse::<TaskResultId>().unwrap().of(&"guard".parse().unwrap())).await.unwrap();
        // The task has nothing to do but after the plan.
        let checks = match name.as_str() {
            "verification" => None,
            "pre-plan" | "pre-apply" | "post-apply" => Some(0),
            _ => Some(1),
        };
        assert_eq!(recorded.map(|gated| gated.admission.checks.len()), checks, "{name}");
        assert_eq!(due(&store).await.len(), before.len() + checks.unwrap_or_default(), "{name}");
    }
}

#[tokio::test]
async fn paths_and_methods_of_nothing_are_told_apart() {
    let store = store().await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&store.endpoint));
    let (_, event) = doors(&request("post-plan"), KEY).swap_remove(0);
    for (what, from, to, status) in [
        ("no such task", "/run-tasks/guard", "/run-tasks/nobody", 404),
        ("no task", "/run-tasks/guard", "/run-tasks", 404),
        ("another path", "/run-tasks/guard", "/notifications", 404),
        ("another method", "\"POST\"", "\"GET\"", 405),
    ] {
        let event = event.to_string().replace(from, to);
        assert_answer(&lambda.answer(event).await, status, what);
    }
    // An event of another kind altogether.
    for event in [json!({}), json!({ "Records": [] })] {
        assert_eq!(lambda.answer(event.to_string()).await["statusCode"], json!(400), "{event}");
    }
    assert!(matches!(lambda.invoke("7").await, Told::Error(_)));
    assert_eq!(due(&store).await, []);
}

#[tokio::test]
async fn hcp_terraform_is_told_to_ask_again_while_the_table_is_away() {
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&format!("http://{}", free_address())));
    let (_, event) = doors(&request("post-plan"), KEY).swap_remove(0);
    let answer = lambda.answer(event.to_string()).await;
    assert_answer(&answer, 503, "no table");
}

#[tokio::test]
async fn the_receiver_of_run_tasks_runs_in_the_runtime_interface_emulator() {
    let store = store().await;
    let Some(mut emulated) = Emulated::start(FUNCTION, settings(&store.endpoint)) else { return };
    for (name, event) in doors(&request("post-plan"), KEY) {
        assert_answer(&emulated.call(event.to_string()).await, 200, &name);
    }
    assert_eq!(due(&store).await.len(), 1);
    let (name, event) = doors(&request("post-plan"), "another key").swap_remove(0);
    assert_answer(&emulated.call(event.to_string()).await, 401, &name);
}
