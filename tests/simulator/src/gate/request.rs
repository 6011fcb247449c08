//! What is sent to the receiver, and how the run tasks are defined.

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sluice_domain::TaskResultId;
use sluice_domain::gate::{InvalidTask, KeyPlace, Outcome, Report, ReportStatus, TaskDefinition, TaskWire};
use sluice_domain::ports::StoredTask;
use sluice_hcp::signature::{RUN_TASK_HEADER, sign};
use sluice_hcp::wire::callback;

use crate::gate::scenario::{Act, Ask, CheckSpec, Standing, TaskSpec};

/// Where HCP Terraform is.
pub const ADDRESS: &str = "https://tfe.example";

/// The key with which requests are signed.
pub fn hmac_key() -> SecretString {
    SecretString::from("the key of the run tasks")
}

/// The signed request for a task result.
pub fn asked(number: usize, ask: &Ask, token: &SecretString) -> Request<Bytes> {
    let body = json!({
        "payload_version": 1, "stage": "post_plan", "access_token": token.expose_secret(),
        "capabilities": { "outcomes": !ask.old }, "configuration_version_id": "cv-1", "is_speculative": false,
        "organization_name": "acme", "plan_json_api_url": format!("{ADDRESS}/api/v2/plans/plan-{number}/json-output"),
        "run_created_at": "2023-11-14T22:13:20.000Z", "run_id": format!("run-{number}"), "run_message": "a change",
        "task_result_callback_url": format!("{ADDRESS}/api/v2/task-results/{number}/callback?url_code={number}"),
        "task_result_enforcement_level": "mandatory", "task_result_id": format!("taskrs-{number}"),
        "workspace_id": "ws-1", "workspace_name": "network",
    })
    .to_string();
    let signature = sign(&hmac_key(), body.as_bytes());
    let request = Request::post(format!("/run-tasks/task{}", ask.task)).header(RUN_TASK_HEADER, signature);
    request.body(Bytes::from(body)).expect("method, path and header are valid")
}

/// What another checker sends.
pub fn answered(result: &TaskResultId, check: usize, last: Option<bool>, token: &SecretString) -> Request<Bytes> {
    let (status, message) = match last {
        None => (ReportStatus::Running, "is at it"),
        Some(true) => (ReportStatus::Passed, "nothing to object to"),
        Some(false) => (ReportStatus::Failed, "objects"),
    };
    let outcome = Outcome { id: "one".to_owned(), description: "a finding".to_owned(), ..Outcome::default() };
    let report = Report { status, message: message.to_owned(), url: None, outcomes: vec![outcome] };
    let request = Request::patch(format!("/task-results/{result}~c{check}/callback"));
    let request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
    request.body(Bytes::from(callback(&report, true))).expect("method, path and header are valid")
}

/// A run task as it is stored.
pub fn stored(number: usize, task: &TaskSpec) -> StoredTask {
    let key = KeyPlace::Env("KEY".to_owned());
    let checks: Vec<Value> = task.checks.iter().enumerate().map(|(number, check)| defined(number, check)).collect();
    let wire = json!({
        "name": format!("task{number}"), "enabled": task.standing != Standing::Disabled, "hmac_keys": ["env:KEY"],
        "stages": ["pre_plan", "post_plan"], "checks": checks,
        "timeout_seconds": if task.standing == Standing::Invalid { 0 } else { task.timeout },
    });
    let wire: TaskWire = serde_json::from_value(wire).expect("it is a definition");
    let definition: Result<TaskDefinition, InvalidTask> = wire.try_into();
    StoredTask { keys: vec![key], definition }
}

fn defined(number: usize, check: &CheckSpec) -> Value {
    let needs: Vec<String> = check.needs.iter().map(|need| format!("c{need}")).collect();
    let stages = if check.elsewhere { vec!["pre_plan"] } else { vec!["post_plan"] };
    // Whoever is handed on answers for itself.
    let handed_on = check.turns.iter().any(|turn| matches!(turn.act, Act::HandOn(_)));
    let (kind, of_kind, value) =
        if handed_on { ("http", "url", "https://checker.example") } else { ("rego", "policy", "any") };
    json!({
        "name": format!("c{number}"), "kind": kind, of_kind: value, "needs": needs, "stages": stages,
        "enforcement": if check.advisory { "advisory" } else { "mandatory" },
        "on_error": if check.lenient { "pass" } else { "fail" }, "timeout_seconds": check.timeout,
    })
}
