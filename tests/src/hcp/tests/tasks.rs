//! Run tasks: registered, asked, called back, and what they mean for a run.

use std::time::Duration;

use serde_json::json;

use super::*;

pub(super) const KEY: &str = "hmac-key";

/// A receiver that answers 200, and a task of it that `network` has attached.
pub(super) async fn gated(enforcement: Enforcement, stages: &[Stage]) -> (Hcp, Receiver) {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    *receiver.status.lock().unwrap() = 200;
    let task = hcp.create_run_task(RunTaskSpec::new("policy", &receiver.url).hmac_key(KEY)).await.unwrap();
    hcp.attach_run_task("network", &task, enforcement, stages);
    receiver.taken.lock().unwrap().clear();
    (hcp, receiver)
}

/// A run of `network` that has come as far as it does by itself.
pub(super) async fn run(hcp: &Hcp) -> String {
    hcp.touch("network");
    let run = hcp.start_run("network", RunOptions::new("change"));
    hcp.settled().await;
    run
}

pub(super) fn result_body(status: &str) -> Value {
    json!({ "data": { "type": "task-results", "attributes": { "status": status, "message": "so it is" } } })
}

/// Calls back with any body, token and content type.
pub(super) async fn call_back_with(url: &str, token: &str, kind: &str, body: &Value) -> reqwest::Result<u16> {
    let request = client().patch(url).bearer_auth(token).header("content-type", kind).body(body.to_string());
    request.send().await.map(|response| response.status().as_u16())
}

pub(super) async fn call_back(payload: &Value, body: &Value) -> u16 {
    let (url, token) = (payload["task_result_callback_url"].as_str(), payload["access_token"].as_str());
    call_back_with(url.unwrap(), token.unwrap(), "application/vnd.api+json", body).await.unwrap()
}

pub(super) fn last(receiver: &Receiver) -> Value {
    receiver.payloads().pop().unwrap()
}

pub(super) fn result(hcp: &Hcp) -> TaskResultView {
    hcp.task_results("network").pop().unwrap()
}

#[tokio::test]
async fn a_request_is_signed_and_complete() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PostPlan]).await;
    let run = run(&hcp).await;
    let (headers, body) = receiver.taken.lock().unwrap()[0].clone();
    assert_eq!(headers["x-tfc-task-signature"], sign(KEY, &body));
    assert_eq!(headers["user-agent"], "TFC/1.0 (+https://app.terraform.io; TFC)");
    assert_eq!(headers["content-type"], "application/json");
    let mut payload = last(&receiver);
    assert!(payload["access_token"].as_str().unwrap().contains(".atlasv1."));
    assert!(hcp.access_tokens().contains(&payload["access_token"].as_str().unwrap().to_owned()));
    assert_eq!(payload["run_created_at"].as_str().unwrap().len(), "2026-11-20T10:00:00.000Z".len());
    assert!(payload["task_result_callback_url"].as_str().unwrap().contains("/callback?url_code="));
    for generated in ["access_token", "run_created_at", "task_result_callback_url"] {
        payload.as_object_mut().unwrap().remove(generated);
    }
    let (address, workspace) = (hcp.address(), hcp.workspace_id("network"));
    let plan = run.replace("run", "plan");
    let expected = json!({
        "payload_version": 1, "stage": "post_plan", "capabilities": { "outcomes": true },
        "configuration_version_download_url":
            format!("{address}/api/v2/configuration-versions/cv-0000000000010002/download"),
        "configuration_version_id": "cv-0000000000010002", "is_speculative": false, "organization_name": "acme",
        "plan_json_api_url": format!("{address}/api/v2/plans/{plan}/json-output"),
        "project_id": "prj-0000000000000001", "project_name": "Default Project",
        "run_app_url": format!("{address}/app/acme/network/runs/{run}"), "run_created_by": "jo", "run_id": run,
        "run_message": "change", "task_result_enforcement_level": "mandatory",
        "task_result_id": "taskrs-0000000000000001", "vcs_branch": null, "vcs_commit_url": null,
        "vcs_commit_hash": null, "vcs_pull_request_url": null, "vcs_repo_url": null,
        "workspace_app_url": format!("{address}/app/acme/network"), "workspace_id": workspace,
        "workspace_name": "network", "workspace_working_directory": null,
    });
    assert_eq!(payload, expected);
}

#[tokio::test]
async fn every_stage_is_waited_for_in_the_order_of_the_run() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &Stage::ALL).await;
    let run = run(&hcp).await;
    for stage in Stage::ALL {
        let payload = last(&receiver);
        assert_eq!(payload["stage"], stage.as_str());
        assert_eq!(payload.get("plan_json_api_url").is_some(), stage != Stage::PrePlan);
        assert!(hcp.run(&run).unwrap().status.awaits_tasks());
        assert_eq!(call_back(&payload, &result_body("passed")).await, 200);
        hcp.settled().await;
    }
    let expected = [
        "pending",
        "pre_plan_running",
        "pre_plan_completed",
        "planning",
        "planned",
        "post_plan_running",
        "post_plan_completed",
        "pre_apply_running",
        "pre_apply_completed",
        "applying",
        "post_apply_running",
        "post_apply_completed",
        "applied",
    ];
    assert_eq!(statuses(&hcp, &run), expected);
    assert_eq!(hcp.task_results("network").len(), 4);
}

#[tokio::test]
async fn speculative_runs_and_those_without_changes_are_asked_before_and_after_the_plan() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &Stage::ALL).await;
    for options in [RunOptions::plan_only("what if"), RunOptions::new("nothing new")] {
        receiver.taken.lock().unwrap().clear();
        let speculative = options.plan_only;
        let run = hcp.start_run("network", options);
        for _ in 0..2 {
            hcp.settled().await;
            assert_eq!(last(&receiver)["is_speculative"], speculative);
            call_back(&last(&receiver), &result_body("passed")).await;
        }
        hcp.settled().await;
        assert_eq!(hcp.run(&run).unwrap().status, RunStatus::PlannedAndFinished);
        assert_eq!(receiver.payloads().len(), 2);
    }
}

#[tokio::test]
async fn a_failure_stops_the_run_where_the_task_is_mandatory() {
    for (enforcement, end) in
        [(Enforcement::Mandatory, RunStatus::Errored), (Enforcement::Advisory, RunStatus::Applied)]
    {
        let (hcp, receiver) = gated(enforcement, &[Stage::PostPlan]).await;
        let run = run(&hcp).await;
        assert_eq!(call_back(&last(&receiver), &result_body("failed")).await, 200);
        hcp.settled().await;
        let view = hcp.run(&run).unwrap();
        assert_eq!(view.status, end);
        let error = "the mandatory run task policy is failed at post_plan".to_owned();
        assert_eq!(view.error, (end == RunStatus::Errored).then_some(error));
        assert_eq!((result(&hcp).status, result(&hcp).accepted_finals()), (TaskResultStatus::Failed, 1));
    }
}

#[tokio::test]
async fn a_stage_waits_for_all_of_its_tasks() {
    let (hcp, receiver) = gated(Enforcement::Advisory, &[Stage::PreApply]).await;
    let everywhere = RunTaskSpec::new("everywhere", &receiver.url).global(Enforcement::Mandatory, &[Stage::PreApply]);
    hcp.create_run_task(everywhere).await.unwrap();
    hcp.create_run_task(RunTaskSpec::new("off", &receiver.url).global(Enforcement::Mandatory, &Stage::ALL).disabled())
        .await
        .unwrap();
    receiver.taken.lock().unwrap().clear();
    let run = run(&hcp).await;
    let payloads = receiver.payloads();
    assert_eq!(payloads.len(), 2);
    let level = |level: &str| payloads.iter().find(|it| it["task_result_enforcement_level"] == level).unwrap();
    assert_eq!(call_back(level("advisory"), &result_body("failed")).await, 200);
    hcp.settled().await;
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::PreApplyRunning);
    assert_eq!(call_back(level("mandatory"), &result_body("passed")).await, 200);
    hcp.settled().await;
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::Applied);
}

#[tokio::test]
async fn a_plan_that_passed_waits_for_a_person_and_can_be_confirmed() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PostPlan]).await;
    hcp.auto_apply("network", false);
    let run = run(&hcp).await;
    assert!(!hcp.confirm(&run), "the task has not answered");
    call_back(&last(&receiver), &result_body("passed")).await;
    hcp.settled().await;
    let shown = get(&hcp, &format!("/runs/{run}")).await.body;
    assert_eq!(shown["data"]["attributes"]["status"], "post_plan_completed");
    assert_eq!(shown["data"]["attributes"]["actions"]["is-confirmable"], true);
    assert!(hcp.confirm(&run));
    hcp.settled().await;
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::Applied);
}

#[tokio::test]
async fn progress_may_come_often_and_the_end_once() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PostPlan]).await;
    run(&hcp).await;
    let payload = last(&receiver);
    let outcome = |id: &str, text: &str| json!({ "type": "task-result-outcomes", "attributes": { "outcome-id": id, "description": text } });
    let with = |status: &str, outcomes: Vec<Value>| {
        let mut body = result_body(status);
        body["data"]["relationships"] = json!({ "outcomes": { "data": outcomes } });
        body
    };
    assert_eq!(call_back(&payload, &with("running", vec![outcome("a", "one"), outcome("b", "two")])).await, 200);
    assert_eq!(result(&hcp).status, TaskResultStatus::Running);
    assert_eq!(call_back(&payload, &with("passed", vec![outcome("a", "three")])).await, 200);
    let expected = json!([{ "outcome-id": "a", "description": "three" }, { "outcome-id": "b", "description": "two" }]);
    assert_eq!(result(&hcp).outcomes, expected);
    assert_eq!(call_back(&payload, &result_body("failed")).await, 409);
    assert_eq!(call_back(&payload, &result_body("running")).await, 409);
    let view = hcp.task_result_done("taskrs-0000000000000001").await;
    assert_eq!((view.status, view.message.as_str()), (TaskResultStatus::Passed, "so it is"));
    let heard: Vec<_> =
        view.callbacks.iter().map(|it| (it.status.as_deref().unwrap(), it.answer.unwrap(), it.accepted)).collect();
    let expected = [("running", 200, true), ("passed", 200, true), ("failed", 409, false), ("running", 409, false)];
    assert_eq!((heard.as_slice(), view.accepted_finals()), (expected.as_slice(), 1));
}

#[tokio::test]
async fn a_callback_needs_its_url_its_token_and_its_content_type() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PrePlan, Stage::PostPlan]).await;
    run(&hcp).await;
    let payload = last(&receiver);
    let (url, token) =
        (payload["task_result_callback_url"].as_str().unwrap(), payload["access_token"].as_str().unwrap());
    let (bare, code) = url.split_once("?url_code=").unwrap();
    let json_api = "application/vnd.api+json";
    let body = result_body("passed");
    let user = hcp.token();
    let decoded = format!("{bare}?url_code={}", code.replace("%2B", "+"));
    let elsewhere = url.replace("-000000000001/", "-000000000009/");
    for (url, token, kind, expected) in [
        (bare, token, json_api, 404),
        (decoded.as_str(), token, json_api, 404),
        (elsewhere.as_str(), user.as_str(), json_api, 404),
        (url, "nobody", json_api, 401),
        (url, user.as_str(), json_api, 401),
        (url, token, "application/json", 415),
    ] {
        assert_eq!(call_back_with(url, token, kind, &body).await.unwrap(), expected, "{url} {token} {kind}");
    }
    assert_eq!(result(&hcp).status, TaskResultStatus::Pending);
    assert!(hcp.leaks().is_empty());
    assert_eq!(call_back_with(url, token, json_api, &body).await.unwrap(), 200);
    hcp.settled().await;
    let next = last(&receiver);
    let other = next["task_result_callback_url"].as_str().unwrap();
    assert_eq!(call_back_with(other, token, json_api, &body).await.unwrap(), 401, "it is another result's token");
    assert_eq!(hcp.leaks().len(), 1);
}

#[tokio::test]
async fn an_access_token_used_elsewhere_is_a_leak() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PrePlan]).await;
    let run = run(&hcp).await;
    let payload = last(&receiver);
    let token = payload["access_token"].as_str().unwrap();
    let plan = format!("/api/v2/plans/{}/json-output", run.replace("run", "plan"));
    for path in ["/api/v2/account/details", "/nothing", &format!("/api/v2/runs/{run}"), &plan] {
        assert_eq!(try_call(&hcp, token, Method::GET, path, None).await.unwrap().status, 401, "{path}");
    }
    let told = json!({ "data": { "type": "task-results", "attributes": { "status": "running", "message": token } } });
    assert_eq!(call_back(&payload, &told).await, 200);
    get(&hcp, &format!("/account/details?as={token}")).await;
    let leaks = hcp.leaks();
    assert_eq!(leaks.len(), 6, "{leaks:?}");
    assert!(leaks.iter().all(|leak| leak.result.as_deref() == Some("taskrs-0000000000000001")));

    let configuration = payload["configuration_version_download_url"].as_str().unwrap().replace(&hcp.address(), "");
    let answer = client_without_redirects().get(format!("{}{configuration}", hcp.address())).bearer_auth(token);
    let answer = answer.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), hcp.leaks().len()), (302, 6));
    let object = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(client().get(&object).send().await.unwrap().text().await.unwrap(), "the files of cv-0000000000010002\n");
    assert_eq!(client().get(&object).bearer_auth(token).send().await.unwrap().status(), 400);
    assert_eq!(hcp.leaks().len(), 7);
}

fn client_without_redirects() -> reqwest::Client {
    crate::hcp::tasks::client()
}

#[tokio::test]
async fn an_access_token_ends_with_its_lifetime() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PostPlan]).await;
    hcp.task_options(|options| options.token_lifetime = Some(Duration::from_mins(5)));
    run(&hcp).await;
    assert_eq!(call_back(&last(&receiver), &result_body("running")).await, 200);
    hcp.advance(Duration::from_mins(5));
    assert_eq!(call_back(&last(&receiver), &result_body("passed")).await, 401);
}

#[tokio::test]
async fn a_result_without_progress_or_end_is_errored() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PostPlan]).await;
    let silent = run(&hcp).await;
    hcp.advance(Duration::from_secs(9 * 60 + 30));
    assert_eq!(result(&hcp).status, TaskResultStatus::Pending);
    hcp.advance(Duration::from_secs(30));
    assert_eq!(
        (result(&hcp).status, hcp.run(&silent).unwrap().status),
        (TaskResultStatus::Errored, RunStatus::Errored)
    );
    assert_eq!(call_back(&last(&receiver), &result_body("passed")).await, 409);

    let talkative = run(&hcp).await;
    for _ in 0..6 {
        hcp.advance(Duration::from_secs(9 * 60 + 30));
        assert_eq!(call_back(&last(&receiver), &result_body("running")).await, 200);
    }
    hcp.advance(Duration::from_secs(3 * 60 - 10));
    assert_eq!(result(&hcp).status, TaskResultStatus::Running);
    hcp.advance(Duration::from_secs(10));
    assert_eq!(
        (result(&hcp).status, hcp.run(&talkative).unwrap().status),
        (TaskResultStatus::Errored, RunStatus::Errored)
    );
    assert!(result(&hcp).callbacks.iter().all(|callback| callback.after < Duration::from_hours(1)));
}

#[tokio::test]
async fn real_time_counts_as_well() {
    let (hcp, receiver) = gated(Enforcement::Advisory, &[Stage::PostPlan]).await;
    hcp.task_options(|options| options.silence = Duration::from_millis(80));
    let run = run(&hcp).await;
    let results = hcp.task_results_done("network", 1).await;
    assert_eq!(results[0].status, TaskResultStatus::Errored);
    assert_eq!(receiver.payloads().len(), 1);
    hcp.settled().await;
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::Applied, "it was advisory");
}

#[tokio::test]
async fn canceling_a_run_cancels_its_results() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PrePlan]).await;
    let run = run(&hcp).await;
    assert_eq!(post(&hcp, &format!("/runs/{run}/actions/cancel"), None).await.status, 202);
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::Canceled);
    assert_eq!(result(&hcp).status, TaskResultStatus::Canceled);
    assert_eq!(call_back(&last(&receiver), &result_body("passed")).await, 409);
}
