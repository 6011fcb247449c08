//! run-task-relay, by its program.

use serde_json::{Value, json};
use sluice_domain::Queue;
use sluice_domain::ports::Bell;
use sluice_tests::hcp::{RunStatus, TaskResultStatus};

use super::broken::{self, apart_from};
use super::emulator::{Emulated, free_address};
use super::gate::{Asked, batch, sequence_number, task};
use super::runtime::RuntimeApi;
use super::{LATER, vars};

const FUNCTION: &str = "run-task-relay";

/// A task that has nothing to say about `network`, so that there is an answer at once.
async fn answered() -> Asked {
    let mut guard = task(&json!([{ "name": "upstream", "kind": "upstream" }]));
    guard["workspaces"] = json!(["app"]);
    Asked::of(guard).await
}

/// The task result's record, among those of other queues.
fn doorbell(asked: &Asked) -> String {
    let pk = asked.pk();
    batch(&[(&pk, "CHECK#upstream"), (&pk, "RELAY"), (&pk, "TASK"), (&format!("{pk}0"), "RELAY"), ("else", "RELAY")])
}

/// HCP Terraform was told once, and its run goes on.
async fn check(asked: &Asked, answer: &Value) {
    assert_eq!(answer, &json!({ "batchItemFailures": [] }));
    let (hcp, view) = (&asked.around.hcp, asked.view());
    assert_eq!((view.status, view.accepted_finals(), view.callbacks.len()), (TaskResultStatus::Passed, 1, 1));
    assert!(view.message.ends_with("guard is not for acme/network"), "{}", view.message);
    hcp.settled().await;
    assert_eq!(hcp.run(&view.run).unwrap().status, RunStatus::Applied);
    assert_eq!(asked.around.store.table.due(Queue::Relay, LATER, 50).await.unwrap(), []);
}

#[tokio::test]
async fn an_answer_is_told_once_however_often_it_rings() {
    let asked = answered().await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, asked.vars());
    for _ in 0..2 {
        let answer = lambda.answer(doorbell(&asked)).await;
        check(&asked, &answer).await;
    }
}

#[tokio::test]
async fn what_the_checks_found_stops_the_run() {
    let asked = Asked::of(task(&json!([{ "name": "ids", "kind": "rego", "policy": "ids" }]))).await;
    let (mut runner, mut relay) = (RuntimeApi::start().await, RuntimeApi::start().await);
    let _running = [runner.run("task-runner", asked.vars()), relay.run(FUNCTION, asked.vars())];
    for event in [&mut runner, &mut relay] {
        let answer = event.answer(batch(&[(&asked.pk(), "CHECK#ids"), (&asked.pk(), "RELAY")])).await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    let view = asked.view();
    assert_eq!((view.status, view.accepted_finals()), (TaskResultStatus::Failed, 1));
    assert_eq!(view.message, "ids: 1 denial (id must not be 2)");
    assert_eq!(view.outcomes[1]["outcome-id"], "ids.NET-1");
    asked.around.hcp.settled().await;
    assert_eq!(asked.around.hcp.run(&view.run).unwrap().status, RunStatus::Errored);
    assert_eq!(asked.around.hcp.leaks(), []);
}

#[tokio::test]
async fn an_answer_rings_again_while_the_table_is_away() {
    let asked = answered().await;
    let mut settings = asked.vars();
    settings.extend(vars(&[("AWS_ENDPOINT_URL_DYNAMODB", &format!("http://{}", free_address()))]));
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings);
    let pk = asked.pk();
    let answer = lambda.answer(batch(&[(&pk, "CHECK#upstream"), (&pk, "RELAY")])).await;
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": sequence_number(1) }] }));
}

#[tokio::test]
async fn the_relay_runs_in_the_runtime_interface_emulator() {
    let asked = answered().await;
    let settings = broken::broken(asked.vars()).await;
    let Some(mut emulated) = Emulated::start(FUNCTION, settings) else { return };
    let answer = emulated.call(batch(&[broken::RELAY, (&asked.pk(), "RELAY")])).await;
    check(&asked, &apart_from(0, answer)).await;
    let answer = emulated.call(doorbell(&asked)).await;
    check(&asked, &answer).await;
}
