//! sweeper, by its program.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use sluice_domain::ports::{Inbox, Sweeps, Worklist};
use sluice_domain::{RunReport, Standing, Timestamp, WorkKey};
use sluice_lambda::now;
use sluice_local::store::Embedded;

use super::emulator::{Emulated, free_address};
use super::runtime::{RuntimeApi, Told};
use super::{Vars, aws, events, vars};

const FUNCTION: &str = "sweeper";
const LONG_AGO: Timestamp = Timestamp(1_000_000_000_000);
const HOUR_MS: u64 = 3_600_000;

fn settings(endpoint: &str) -> Vars {
    let mut all = aws(endpoint);
    all.extend(vars(&[("WORKSPACE_DEPENDENCIES_TABLE", "sluice")]));
    all
}

/// News of a run that somebody claimed at `at`, for an hour.
async fn claimed(store: &Embedded, run: &str, at: Timestamp) {
    let report = RunReport {
        workspace: "app.terraform.io/acme/network".parse().unwrap(),
        workspace_id: "ws-1".parse().unwrap(),
        run: run.parse().unwrap(),
        created_at: LONG_AGO,
        standing: Standing::Applied,
        at: LONG_AGO,
        marker: None,
    };
    store.table.record(&report, LONG_AGO).await.unwrap();
    let key = WorkKey::Run(report.workspace, report.run);
    assert!(store.table.claim(&key, at, HOUR_MS).await.unwrap().is_some());
}

/// The work's bell.
async fn bell(store: &Embedded, run: &str) -> Option<String> {
    let client = sluice_aws::client(&aws(&store.endpoint)).unwrap();
    let key = |text: &str| AttributeValue::S(text.to_owned());
    let pk = key(&format!("RUN#app.terraform.io/acme/network/{run}"));
    let item = client.get_item().table_name("sluice").key("pk", pk).key("sk", key("RUN")).send().await.unwrap();
    Some(item.item?.get("bell")?.as_s().unwrap().clone())
}

/// Work whose lease has run out, and work that is under way.
async fn left_behind() -> Embedded {
    let store = Embedded::open(None).await.unwrap();
    claimed(&store, "run-dead", LONG_AGO).await;
    claimed(&store, "run-alive", now()).await;
    assert_eq!((bell(&store, "run-dead").await, bell(&store, "run-alive").await), (None, None));
    store
}

async fn check(store: &Embedded) {
    let bells = (bell(store, "run-dead").await, bell(store, "run-alive").await);
    assert_eq!(bells, (Some("index".to_owned()), None));
}

#[tokio::test]
async fn a_sweep_rings_for_what_is_due_whatever_the_event() {
    let store = left_behind().await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&store.endpoint));
    let shapes = [json!({}), json!([]), json!(null), json!("now"), json!({"Records": [{"s3": 1}]})];
    for event in events(FUNCTION).into_values().chain(shapes) {
        let before = now();
        assert_eq!(lambda.answer(event.to_string()).await, json!(null), "{event}");
        check(&store).await;
        let pulse = store.table.pulse().await.unwrap().unwrap();
        assert_eq!((pulse.by, pulse.version.as_str()), (Sweeps::Sweeper, env!("CARGO_PKG_VERSION")));
        assert_eq!((pulse.rung, pulse.dead, &pulse.fault), (1, Some(0), &None));
        assert!(before <= pulse.at && pulse.at <= now());
    }
}

#[tokio::test]
async fn a_sweep_without_its_table_fails_so_that_lambda_counts_it() {
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&format!("http://{}", free_address())));
    let Told::Error(error) = lambda.invoke("{}").await else { panic!("no error") };
    assert_eq!(error["errorType"], json!("Sluice.Failed"));
    assert!(error["errorMessage"].as_str().unwrap().contains("to list due work"), "{error}");
}

#[tokio::test]
async fn the_sweeper_runs_in_the_runtime_interface_emulator() {
    let store = left_behind().await;
    let Some(mut emulated) = Emulated::start(FUNCTION, settings(&store.endpoint)) else { return };
    for event in events(FUNCTION).into_values() {
        assert_eq!(emulated.call(event.to_string()).await, json!(null));
    }
    check(&store).await;
}
