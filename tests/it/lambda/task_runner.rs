//! task-runner, by its program.

use std::path::Path;

use serde_json::{Value, json};
use sluice_domain::gate::CheckVerdict;
use sluice_domain::ports::{Bell, GateStore};
use sluice_domain::{Queue, WorkKey};

use super::broken::{self, apart_from};
use super::emulator::{Emulated, free_address};
use super::gate::{Asked, batch, sequence_number, task};
use super::runtime::{Running, RuntimeApi, platform};
use super::{LATER, vars};
use crate::bins::bootstrap;

const FUNCTION: &str = "task-runner";

/// A task whose checks need the graph, the plan, and a policy that denies it.
async fn asked() -> Asked {
    Asked::of(task(&json!([
        { "name": "upstream", "kind": "upstream" },
        { "name": "preview", "kind": "preview" },
        { "name": "ids", "kind": "rego", "policy": "ids" },
    ])))
    .await
}

/// The checks' records, one of them twice, among those of other queues.
fn doorbell(asked: &Asked) -> String {
    let app = format!("WS#{}", asked.around.workspace("app"));
    let pk = asked.pk();
    let ours = [(pk.as_str(), "CHECK#upstream"), (&pk, "CHECK#preview"), (&pk, "CHECK#ids"), (&pk, "CHECK#ids")];
    let others = [(pk.as_str(), "RELAY"), (&pk, "TASK"), (&app, "CREATE"), ("something", "else")];
    batch(&[&ours[..], &others[..]].concat())
}

/// Every check is carried out, and what they found is there for run-task-relay to tell: it was not told yet.
async fn check(asked: &Asked, answer: &Value) {
    assert_eq!(answer, &json!({ "batchItemFailures": [] }));
    let table = &asked.around.store.table;
    let gated = table.gated(&asked.result).await.unwrap().unwrap();
    let ended: Vec<_> = gated
        .executions
        .iter()
        .map(|(name, execution)| {
            let end = execution.end.as_ref().unwrap();
            (name.to_string(), end.verdict, end.message.clone())
        })
        .collect();
    let verdicts: Vec<_> = ended.iter().map(|(name, verdict, _)| (name.as_str(), *verdict)).collect();
    let expected =
        [("ids", CheckVerdict::Failed), ("preview", CheckVerdict::Passed), ("upstream", CheckVerdict::Passed)];
    assert_eq!(verdicts, expected, "{ended:?}");
    assert_eq!(ended[0].2, "1 denial (id must not be 2)");
    assert_eq!(table.due(Queue::Check, LATER, 50).await.unwrap(), []);
    assert_eq!(table.due(Queue::Relay, LATER, 50).await.unwrap(), [WorkKey::Relay(asked.result.clone())]);
    assert_eq!(asked.view().callbacks, []);
}

/// The policy is evaluated by a child, which is this same program: on Lambda that is called `bootstrap`.
#[tokio::test]
async fn checks_are_carried_out_however_often_they_ring() {
    let asked = asked().await;
    let directory = tempfile::tempdir().unwrap();
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run_program(&bootstrap(FUNCTION, directory.path()), FUNCTION, asked.vars());
    for _ in 0..2 {
        let answer = lambda.answer(doorbell(&asked)).await;
        check(&asked, &answer).await;
    }
}

#[tokio::test]
async fn a_child_that_evaluates_a_policy_never_polls_for_events() {
    let directory = tempfile::tempdir().unwrap();
    let mut lambda = RuntimeApi::start().await;
    let mut settings = platform(FUNCTION);
    settings.extend(vars(&[("AWS_LAMBDA_RUNTIME_API", lambda.address())]));
    let program = bootstrap(FUNCTION, directory.path());
    let child = |arguments: &[&str]| Running::start(Path::new(&program), arguments, &settings);
    // It was not told what to evaluate.
    assert_eq!(child(&["evaluate-policy"]).ended().await, Some(1));
    assert_eq!(lambda.told_so_far(), []);
    // Whoever is not asked for that is the function, which is not configured here.
    assert_eq!(child(&["evaluate-policy", "twice"]).ended().await, Some(1));
    assert_eq!(lambda.told_so_far().len(), 1);
}

#[tokio::test]
async fn checks_come_again_while_the_table_is_away_and_what_is_not_theirs_does_not() {
    let asked = asked().await;
    let mut settings = asked.vars();
    settings.extend(vars(&[("AWS_ENDPOINT_URL_DYNAMODB", &format!("http://{}", free_address()))]));
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings);
    let answer = lambda.answer(doorbell(&asked)).await;
    let failures = answer["batchItemFailures"].as_array().unwrap();
    let mut failed: Vec<_> = failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect();
    failed.sort_unstable();
    // The fourth record rings for the same as the third.
    assert_eq!(failed, [sequence_number(0), sequence_number(1), sequence_number(2)]);
}

#[tokio::test]
async fn the_runner_runs_in_the_runtime_interface_emulator() {
    let asked = asked().await;
    let settings = broken::broken(asked.vars()).await;
    let Some(mut emulated) = Emulated::start(FUNCTION, settings) else { return };
    let pk = asked.pk();
    let checks = [(pk.as_str(), "CHECK#upstream"), broken::CHECK, (&pk, "CHECK#preview"), (&pk, "CHECK#ids")];
    let answer = emulated.call(batch(&checks)).await;
    check(&asked, &apart_from(1, answer)).await;
    let answer = emulated.call(doorbell(&asked)).await;
    check(&asked, &answer).await;
}
