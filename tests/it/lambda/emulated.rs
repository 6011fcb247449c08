//! Every sample event, given to the function that it is for, in AWS's own emulator of the runtime.

use serde_json::{Value, json};
use sluice_local::store::Embedded;

use super::emulator::Emulated;
use super::{Vars, aws, events, vars};
use crate::deployed::functions;

/// What `events/README.md` says that they are signed with, and all else that any function has to be told.
fn settings(store: &Embedded) -> Vars {
    let kubeconfig = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/kubeconfig.json");
    let more = vars(&[
        ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"),
        ("API_TOKEN", "demo-api-token"),
        ("NOTIFICATION_TOKEN", "demo-token"),
        ("SLUICE_DIGEST_KEY", "demo-digest-key"),
        ("SLUICE_GATE_KEY", "demo-gate-key"),
        ("SLUICE_OPERATOR_TOKEN", "demo-operator-token"),
        ("GUARD_HMAC_KEY", "demo-hmac-key"),
        ("SLUICE_KUBECONFIG", kubeconfig),
    ]);
    aws(&store.endpoint).into_iter().chain(more).collect()
}

/// A table with the task that samples ask.
async fn store() -> Embedded {
    let store = Embedded::open(None).await.unwrap();
    let guard = json!({
        "name": "guard", "hmac_keys": ["env:GUARD_HMAC_KEY"], "stages": ["post_plan"],
        "checks": [{ "name": "upstream", "kind": "upstream" }, { "name": "cost", "kind": "http", "url": "https://cost.example" }],
    });
    store.table.put_task(&"guard".parse().unwrap(), &guard.to_string()).await.unwrap();
    store
}

#[track_caller]
fn check(function: &str, name: &str, answer: &Value) {
    let status = answer["statusCode"].as_u64();
    match function {
        // A check's own token is taken only while that check runs, and none does here.
        _ if ["-callback", "-plan", "-read"].iter().any(|end| name.ends_with(end)) => {
            assert!(status.is_some_and(|status| status < 500), "{function}, {name}: {answer}");
        }
        "notification-receiver" => assert_eq!(status, Some(202), "{name}: {answer}"),
        "run-task-receiver" => assert_eq!(status, Some(200), "{name}: {answer}"),
        // Nobody has asked anything of that run.
        "context-api" => assert_eq!(status, Some(404), "{name}: {answer}"),
        "sweeper" => assert_eq!(*answer, Value::Null, "{name}"),
        // The works that they ring for are not there.
        _ => assert_eq!(*answer, json!({ "batchItemFailures": [] }), "{function}, {name}"),
    }
}

#[tokio::test]
async fn every_sample_event_is_taken_by_its_function_in_the_runtime_interface_emulator() {
    for function in functions() {
        let store = store().await;
        let function: &'static str = function.leak();
        let Some(mut emulated) = Emulated::start(function, settings(&store)) else { return };
        let events = events(function);
        assert!(!events.is_empty(), "there is no event for {function}");
        for (name, event) in events {
            check(function, &name, &emulated.call(event.to_string()).await);
        }
        store.close().await;
    }
}
