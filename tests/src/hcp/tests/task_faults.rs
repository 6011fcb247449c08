//! Requests to run tasks that are not answered well, and callbacks that go wrong.

use std::time::Duration;

use serde_json::json;

use super::tasks::{call_back, call_back_with, gated, last, result, result_body, run};
use super::*;

#[tokio::test]
async fn a_request_is_sent_until_it_is_answered_with_200() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PostPlan]).await;
    hcp.task_options(|options| {
        options.attempts = 3;
        options.spacing = Duration::from_millis(1);
    });
    *receiver.status.lock().unwrap() = 202;
    let unreachable = run(&hcp).await;
    let view = result(&hcp);
    assert_eq!(view.status, TaskResultStatus::Unreachable);
    assert_eq!(view.requests.iter().map(|it| it.answer).collect::<Vec<_>>(), [Some(202); 3]);
    assert_eq!((view.acknowledged(), hcp.run(&unreachable).unwrap().status), (0, RunStatus::Errored));
    let ids: Vec<_> = receiver.payloads().iter().map(|payload| payload["task_result_id"].clone()).collect();
    assert_eq!(ids, vec![json!(view.id); 3]);

    hcp.faults(|faults| faults.task_requests.push(TaskRequestFault::next(2, TaskRequestMishap::Lose)));
    *receiver.status.lock().unwrap() = 200;
    run(&hcp).await;
    let view = result(&hcp);
    assert_eq!(view.requests.iter().map(|it| it.answer).collect::<Vec<_>>(), [None, None, Some(200)]);
    assert_eq!(view.status, TaskResultStatus::Pending);
}

#[tokio::test]
async fn requests_are_doubled_and_delayed() {
    for (what, times) in [
        (TaskRequestMishap::Duplicate(2), 3),
        (TaskRequestMishap::Concurrent(4), 5),
        (TaskRequestMishap::Delay(Duration::from_millis(20)), 1),
    ] {
        let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PrePlan, Stage::PostPlan]).await;
        let fault = TaskRequestFault::always(what).task("policy").stage(Stage::PostPlan);
        hcp.faults(|faults| faults.task_requests.push(fault));
        run(&hcp).await;
        assert_eq!(receiver.payloads().len(), 1, "the fault is of another stage");
        call_back(&last(&receiver), &result_body("passed")).await;
        hcp.settled().await;
        assert_eq!((receiver.payloads().len(), result(&hcp).acknowledged()), (times + 1, times), "{what:?}");
    }
}

#[tokio::test]
async fn faults_strike_callbacks() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PostPlan]).await;
    let run = run(&hcp).await;
    let payload = last(&receiver);
    let strike = |what| {
        hcp.faults(|faults| faults.api.push(ApiFault::next(Route::TaskResultCallback, 1, what)));
    };
    strike(ApiMishap::Status(503));
    assert_eq!(call_back(&payload, &result_body("passed")).await, 503);
    strike(ApiMishap::RateLimited { reset_seconds: 0.1 });
    assert_eq!(call_back(&payload, &result_body("passed")).await, 429);
    strike(ApiMishap::CutBeforeEffect);
    let (url, token) = (payload["task_result_callback_url"].as_str(), payload["access_token"].as_str());
    let (url, token, json_api) = (url.unwrap(), token.unwrap(), "application/vnd.api+json");
    assert!(call_back_with(url, token, json_api, &result_body("passed")).await.is_err());
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::PostPlanRunning);
    strike(ApiMishap::StatusAfterEffect(504));
    assert_eq!(call_back(&payload, &result_body("running")).await, 504);
    strike(ApiMishap::CutAfterEffect);
    assert!(call_back_with(url, token, json_api, &result_body("passed")).await.is_err());
    assert_eq!(call_back(&payload, &result_body("passed")).await, 409);
    let heard: Vec<_> = result(&hcp).callbacks.iter().map(|it| (it.answer, it.accepted)).collect();
    let (lost, cut) = ((None, false), (None, true));
    assert_eq!(heard, [(Some(503), false), (Some(429), false), lost, (Some(504), true), cut, (Some(409), false)]);
    assert_eq!(result(&hcp).accepted_finals(), 1);
}

#[tokio::test]
async fn an_old_terraform_enterprise_knows_no_outcomes() {
    let (hcp, receiver) = gated(Enforcement::Advisory, &[Stage::PostPlan]).await;
    hcp.task_options(|options| options.capabilities = false);
    run(&hcp).await;
    assert_eq!(last(&receiver).get("capabilities"), None);
    let mut body = result_body("passed");
    let outcome = json!({ "type": "task-result-outcomes", "attributes": { "outcome-id": "a", "description": "b" } });
    body["data"]["relationships"] = json!({ "outcomes": { "data": [outcome] } });
    assert_eq!(call_back(&last(&receiver), &body).await, 200);
    assert_eq!(result(&hcp).outcomes, json!([]));
}

#[tokio::test]
async fn without_a_key_the_signature_is_there_and_empty() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    *receiver.status.lock().unwrap() = 200;
    hcp.create_run_task(RunTaskSpec::new("open", &receiver.url)).await.unwrap();
    let (headers, _) = receiver.taken.lock().unwrap()[0].clone();
    assert_eq!(headers["x-tfc-task-signature"], "");
}
