//! run-creator, by its program.

use serde_json::{Value, json};
use sluice_domain::ports::{Bell, FactStore, Write};
use sluice_domain::{Facts, InputsKey, Marker, Order, Queue, Timestamp};

use super::broken::{self, apart_from};
use super::emulator::Emulated;
use super::gate::batch;
use super::runtime::RuntimeApi;
use super::{LATER, Surroundings};

const FUNCTION: &str = "run-creator";
const MARKER: &str = "sluice-0011223344556677";

pub(super) fn order() -> Order {
    Order {
        inputs: InputsKey("00112233445566778899aabbccddeeff".parse().unwrap()),
        marker: Marker(MARKER.to_owned()),
        causes: Vec::new(),
        kind: sluice_domain::RunKind::Apply,
        wave: None,
        newest: Timestamp(0),
        decided_at: Timestamp(0),
    }
}

/// A workspace of which the id is known, and a decision that it is to run.
async fn ordered() -> Surroundings {
    let around = Surroundings::new().await;
    let workspace = around.workspace("app");
    let facts = Facts { id: Some(around.hcp.workspace_id("app").parse().unwrap()), ..Facts::default() };
    let facts = Write::Facts { workspace: workspace.clone(), facts: Box::new(facts), version: 0 };
    around.store.table.commit(&[facts, Write::Order { workspace, order: order() }]).await.unwrap();
    around
}

async fn check(around: &Surroundings, answer: &Value) {
    assert_eq!(answer, &json!({"batchItemFailures": []}));
    let runs = around.hcp.runs("app");
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert!(runs[0].message.contains(MARKER), "{}", runs[0].message);
    let active = around.facts("app").await.active;
    assert_eq!(active.keys().map(|run| run.as_str().to_owned()).collect::<Vec<_>>(), [runs[0].id.clone()]);
    assert_eq!(around.store.table.due(Queue::Create, LATER, 10).await.unwrap(), []);
}

#[tokio::test]
async fn an_order_becomes_one_run_however_often_it_rings() {
    let around = ordered().await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, around.vars());
    for _ in 0..2 {
        let answer = lambda.answer(around.event(FUNCTION, "create", None)).await;
        check(&around, &answer).await;
    }
}

#[tokio::test]
async fn the_creator_runs_in_the_runtime_interface_emulator() {
    let around = ordered().await;
    let settings = broken::broken(around.vars()).await;
    let Some(mut emulated) = Emulated::start(FUNCTION, settings) else { return };
    let ours = format!("WS#{}", around.workspace("app"));
    let answer = emulated.call(batch(&[(&ours, "CREATE"), broken::CREATE])).await;
    check(&around, &apart_from(1, answer)).await;
    let answer = emulated.call(around.event(FUNCTION, "create", None)).await;
    check(&around, &answer).await;
}
