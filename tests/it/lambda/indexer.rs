//! state-indexer, by its program.

use serde_json::{Value, json};
use sluice_domain::ports::{Bell, FactStore, Inbox, Worklist, Write};
use sluice_domain::{Queue, RunReport, Timestamp, WorkKey};

use super::broken::{self, apart_from};
use super::emulator::{Emulated, free_address};
use super::gate::batch;
use super::runtime::RuntimeApi;
use super::{LATER, Surroundings, vars};

const FUNCTION: &str = "state-indexer";
const LONG_AGO: Timestamp = Timestamp(1_000_000_000_000);

/// A workspace that ran, of which news is on record.
async fn news(around: &Surroundings) -> RunReport {
    let report = around.applied("app").await;
    around.store.table.record(&report, LONG_AGO).await.unwrap();
    report
}

/// The state that the run wrote is indexed, what it reads is known, and the news is done with.
async fn check(around: &Surroundings, report: &RunReport, answer: &Value) {
    assert_eq!(answer, &json!({"batchItemFailures": []}));
    let facts = around.facts("app").await;
    assert_eq!(facts.id.as_ref(), Some(&report.workspace_id));
    assert_eq!(facts.state.unwrap().run.as_ref(), Some(&report.run));
    assert_eq!(facts.outputs.keys().collect::<Vec<_>>(), ["id"]);
    let producers: Vec<_> = facts.producers.keys().cloned().collect();
    assert_eq!(producers, [around.workspace("network")]);
    let due = around.store.table.due(Queue::Index, LATER, 10).await.unwrap();
    let news = WorkKey::Run(report.workspace.clone(), report.run.clone());
    assert!(!due.contains(&news), "{due:?}");
}

#[tokio::test]
async fn a_record_of_work_is_done_and_one_of_no_work_is_passed_over() {
    let around = Surroundings::new().await;
    let report = news(&around).await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, around.vars());
    let answer = lambda.answer(around.event(FUNCTION, "two-runs", Some(&report))).await;
    check(&around, &report, &answer).await;
    // What comes again changes nothing.
    let again = lambda.answer(around.event(FUNCTION, "two-runs", Some(&report))).await;
    check(&around, &report, &again).await;
}

#[tokio::test]
async fn what_no_filter_has_seen_is_passed_over() {
    let around = Surroundings::new().await;
    let ask = Write::Order { workspace: around.workspace("app"), order: super::run_creator::order() };
    around.store.table.commit(&[ask]).await.unwrap();
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, around.vars());
    for event in [around.event(FUNCTION, "unfiltered", None), json!({"Records": []}).to_string()] {
        assert_eq!(lambda.answer(event).await, json!({"batchItemFailures": []}));
    }
    // The order is run-creator's, and still there for it.
    let create = WorkKey::Create(around.workspace("app"));
    assert_eq!(around.store.table.claim(&create, LATER, 1).await.unwrap().unwrap().attempts, 1);
}

#[tokio::test]
async fn records_come_again_while_the_table_is_away() {
    let around = Surroundings::new().await;
    let report = news(&around).await;
    let mut settings = around.vars();
    settings.extend(vars(&[("AWS_ENDPOINT_URL_DYNAMODB", &format!("http://{}", free_address()))]));
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings);
    let answer = lambda.answer(around.event(FUNCTION, "two-runs", Some(&report))).await;
    let failures = answer["batchItemFailures"].as_array().unwrap();
    let mut failed: Vec<_> = failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["100000000000000000001", "100000000000000000002"]);
}

#[tokio::test]
async fn the_indexer_runs_in_the_runtime_interface_emulator() {
    let around = Surroundings::new().await;
    let report = news(&around).await;
    let settings = broken::broken(around.vars()).await;
    let Some(mut emulated) = Emulated::start(FUNCTION, settings) else { return };
    let ours = format!("RUN#{}/{}", report.workspace, report.run);
    let answer = emulated.call(batch(&[broken::RUN, (&ours, "RUN")])).await;
    check(&around, &report, &apart_from(0, answer)).await;
    let answer = emulated.call(around.event(FUNCTION, "two-runs", Some(&report))).await;
    check(&around, &report, &answer).await;
}
