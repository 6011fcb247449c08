//! A function that cannot start says why.

use serde_json::json;

use super::runtime::{RuntimeApi, Told};
use super::{aws, vars};

/// The function's program, with an address that is none and nothing else, says all that is wrong and ends.
async fn check(function: &'static str, expect: &str) {
    let mut lambda = RuntimeApi::start().await;
    let running = lambda.run(function, vars(&[("TFE_ADDRESS", "terraform"), ("SLUICE_LOG", "loud")]));
    let Told::InitError(error) = lambda.told().await else { panic!("no error") };
    assert_eq!(error["errorType"], json!("Runtime.InitError"));
    let log = "invalid configuration: SLUICE_LOG is not error, warn, info, debug or trace; ";
    assert_eq!(error["errorMessage"], json!(format!("{log}{expect}")), "{function}");
    assert_eq!(running.ended().await, Some(1));
}

const ADDRESS: &str = "TFE_ADDRESS is not an http or https URL of a host, without path or user";

#[tokio::test]
async fn a_program_that_is_not_configured_says_all_that_is_missing() {
    let table = "WORKSPACE_DEPENDENCIES_TABLE is not set";
    check("notification-receiver", &format!("{table}; NOTIFICATION_TOKEN is not set; {ADDRESS}")).await;
    let indexer = format!("{table}; {ADDRESS}; API_TOKEN is not set; SLUICE_DIGEST_KEY is not set");
    check("state-indexer", &indexer).await;
    check("run-creator", &format!("{table}; {ADDRESS}; API_TOKEN is not set")).await;
    let gate = format!("{table}; {ADDRESS}; SLUICE_GATE_KEY is not set");
    for function in ["run-task-receiver", "task-runner", "run-task-relay"] {
        check(function, &gate).await;
    }
    check("context-api", &format!("{table}; SLUICE_GATE_KEY is not set")).await;
    let cluster = "SLUICE_EKS_CLUSTER is not set, there is no kubeconfig, and this runs in no pod";
    check("job-runner", &format!("{table}; SLUICE_GATE_KEY is not set; {cluster}")).await;
    check("sweeper", table).await;
}

#[tokio::test]
async fn certificates_that_cannot_be_read_are_told_before_the_first_event() {
    let mut settings = aws("http://127.0.0.1:9");
    settings.extend(vars(&[
        ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"),
        ("API_TOKEN", "a-token"),
        ("SLUICE_CA_BUNDLE", "/no/such/file.pem"),
    ]));
    settings.extend(super::gate::keys());
    for function in ["run-creator", "run-task-receiver", "task-runner", "run-task-relay"] {
        let mut lambda = RuntimeApi::start().await;
        let running = lambda.run(function, settings.clone());
        let Told::InitError(error) = lambda.told().await else { panic!("no error") };
        let expect = "cannot read SLUICE_CA_BUNDLE: No such file or directory (os error 2)";
        assert_eq!(error["errorMessage"], json!(expect), "{function}");
        assert_eq!(running.ended().await, Some(1));
    }
}
