//! Every sample event, given to the program that it is for, with the keys that it was signed with.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluice_domain::Queue;
use sluice_domain::ports::Bell;
use sluice_local::store::Embedded;

use super::emulator::free_address;
use super::gate::task;
use super::runtime::RuntimeApi;
use super::{LATER, Vars, aws, events, vars};

/// A batch by its name, and which of its records are the function's own, and not one of those before once more.
type Batch = (&'static str, &'static [usize]);

/// The batches of each function.
const BATCHES: [(&str, &[Batch]); 5] = [
    ("state-indexer", &[("two-runs", &[0, 1]), ("unfiltered", &[])]),
    ("run-creator", &[("create", &[0]), ("several", &[0, 1])]),
    ("task-runner", &[("check", &[0]), ("several", &[0, 1])]),
    ("run-task-relay", &[("relay", &[0]), ("several", &[0, 1])]),
    ("job-runner", &[("job", &[0]), ("several", &[0, 1])]),
];

/// What every function is told, with the keys of `events/README.md`.
fn settings(endpoint: &str) -> Vars {
    let kubeconfig = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/kubeconfig.json");
    let told = vars(&[
        ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"),
        ("API_TOKEN", "a-token"),
        ("SLUICE_DIGEST_KEY", "a key of the tests"),
        ("SLUICE_GATE_KEY", "demo-gate-key"),
        ("SLUICE_OPERATOR_TOKEN", "demo-operator-token"),
        ("GUARD_HMAC_KEY", "demo-hmac-key"),
        ("SLUICE_KUBECONFIG", kubeconfig),
    ]);
    aws(endpoint).into_iter().chain(told).collect()
}

/// The events that are what each kind of front door makes of one request: the name of any other goes on after a kind.
fn of_every_door(function: &str) -> Vec<(String, Value)> {
    let doors: BTreeSet<String> = events("notification-receiver").into_keys().collect();
    assert!(doors.contains("alb"));
    let all = events(function);
    assert!(doors.iter().all(|door| all.contains_key(door)), "{function} lacks one of {doors:?}");
    all.into_iter().filter(|(name, _)| doors.contains(name)).collect()
}

#[track_caller]
fn assert_status(answer: &Value, status: u16, name: &str) {
    assert_eq!(answer["statusCode"], json!(status), "{name}: {answer}");
}

#[tokio::test]
async fn a_run_task_is_asked_its_checks_share_a_context_and_another_checker_answers() {
    let store = Embedded::open(None).await.unwrap();
    let (mut receiver, mut context) = (RuntimeApi::start().await, RuntimeApi::start().await);
    let _running = [
        receiver.run("run-task-receiver", settings(&store.endpoint)),
        context.run("context-api", settings(&store.endpoint)),
    ];
    let of_receiver = events("run-task-receiver");
    for name in ["apigw-http-v2-callback", "apigw-http-v2-plan"] {
        // The token is looked at first, and nobody has asked yet.
        assert_status(&receiver.answer(of_receiver[name].to_string()).await, 404, name);
        let another = of_receiver[name].to_string().replace("Bearer ", "Bearer A");
        assert_status(&receiver.answer(another).await, 401, name);
    }

    let guard = task(&json!([
        { "name": "upstream", "kind": "upstream" },
        { "name": "cost", "kind": "http", "url": "https://cost.example.com/task" },
    ]));
    store.table.put_task(&"guard".parse().unwrap(), &guard.to_string()).await.unwrap();
    for (name, event) in of_every_door("run-task-receiver") {
        assert_status(&receiver.answer(event.to_string()).await, 200, &name);
    }
    assert_eq!(store.table.due(Queue::Check, LATER, 50).await.unwrap().len(), 2);

    let mut written = serde_json::Map::new();
    for (name, event) in of_every_door("context-api") {
        assert_status(&context.answer(event.to_string()).await, 200, &name);
        written.insert(name, json!("1795168980.000100"));
    }
    let read = events("context-api")["apigw-http-v2-read"].to_string();
    let answer = context.answer(read.clone()).await;
    assert_status(&answer, 200, "apigw-http-v2-read");
    let document: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(document, json!({ "slack": written }));

    for status in [200, 409] {
        let answer = receiver.answer(of_receiver["apigw-http-v2-callback"].to_string()).await;
        assert_status(&answer, status, "apigw-http-v2-callback");
    }
    // The check is over, and with it the use of its token.
    assert_status(&context.answer(read).await, 401, "apigw-http-v2-read");
}

#[tokio::test]
async fn a_batch_names_the_records_that_come_again_while_the_table_is_away() {
    for (function, batches) in BATCHES {
        let mut lambda = RuntimeApi::start().await;
        let _running = lambda.run(function, settings(&format!("http://{}", free_address())));
        let mut events = events(function);
        for (name, own) in batches {
            let event = events.remove(*name).unwrap();
            let number = |at: &usize| event["Records"][at]["dynamodb"]["SequenceNumber"].as_str().unwrap();
            let expect: BTreeSet<&str> = own.iter().map(number).collect();
            let answer = lambda.answer(event.to_string()).await;
            let failures = answer["batchItemFailures"].as_array().unwrap();
            let failed: BTreeSet<&str> =
                failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect();
            assert_eq!(failed, expect, "{function}, {name}");
        }
        assert!(events.is_empty(), "of {function} nobody knows {:?}", events.keys());
    }
}

#[tokio::test]
async fn a_batch_of_what_is_not_due_is_done() {
    let store = Embedded::open(None).await.unwrap();
    for (function, _) in BATCHES {
        let mut lambda = RuntimeApi::start().await;
        let _running = lambda.run(function, settings(&store.endpoint));
        for (name, event) in events(function) {
            let answer = lambda.answer(event.to_string()).await;
            assert_eq!(answer, json!({ "batchItemFailures": [] }), "{function}, {name}");
        }
    }
}
