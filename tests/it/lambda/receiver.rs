//! notification-receiver, by its program.

use serde_json::{Value, json};
use sluice_domain::Queue;
use sluice_domain::ports::Bell;
use sluice_local::store::Embedded;

use super::emulator::Emulated;
use super::runtime::{RuntimeApi, Told};
use super::{LATER, Vars, aws, events, vars};

const FUNCTION: &str = "notification-receiver";

fn settings(store: &Embedded) -> Vars {
    let mut all = aws(&store.endpoint);
    all.extend(vars(&[("WORKSPACE_DEPENDENCIES_TABLE", "sluice"), ("NOTIFICATION_TOKEN", "next-token, demo-token")]));
    all
}

/// An event whose body is no longer what was signed.
fn tampered() -> Value {
    let mut event = events(FUNCTION)["apigw-http-v2"].clone();
    event["body"] = event["body"].as_str().unwrap().replace("network", "another").into();
    event
}

async fn due(store: &Embedded) -> usize {
    store.table.due(Queue::Index, LATER, 10).await.unwrap().len()
}

#[tokio::test]
async fn the_receiver_answers_every_front_door() {
    let store = Embedded::open(None).await.unwrap();
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&store));

    let answer = lambda.answer(tampered().to_string()).await;
    assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(401), &json!("")));
    assert_eq!(due(&store).await, 0);

    for (name, event) in events(FUNCTION) {
        let answer = lambda.answer(event.to_string()).await;
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(202), &json!("")), "{name}");
    }
    assert_eq!(due(&store).await, 1);
}

#[tokio::test]
async fn the_receiver_outlives_events_of_another_kind() {
    let store = Embedded::open(None).await.unwrap();
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&store));
    let bad_base64 = json!({"httpMethod": "POST", "path": "/", "body": "%", "isBase64Encoded": true});
    for event in [json!({}), json!({"Records": []}), bad_base64] {
        let answer = lambda.answer(event.to_string()).await;
        assert_eq!(answer["statusCode"], json!(400), "{event}");
    }
    for event in [json!("text"), json!({"headers": 7})] {
        assert!(matches!(lambda.invoke(event.to_string()).await, Told::Error(_)), "{event}");
    }
    let answer = lambda.answer(events(FUNCTION)["function-url"].to_string()).await;
    assert_eq!(answer["statusCode"], json!(202));
}

#[tokio::test]
async fn the_receiver_runs_in_the_runtime_interface_emulator() {
    let store = Embedded::open(None).await.unwrap();
    let Some(mut emulated) = Emulated::start(FUNCTION, settings(&store)) else { return };
    assert_eq!(emulated.call(tampered().to_string()).await["statusCode"], json!(401));
    for (name, event) in events(FUNCTION) {
        assert_eq!(emulated.call(event.to_string()).await["statusCode"], json!(202), "{name}");
    }
    assert_eq!(due(&store).await, 1);
}
