//! Run tasks over the API, and what a callback may say.

use serde_json::json;

use super::tasks::{call_back, gated, last, result_body, run};
use super::*;

fn task_body(attributes: &Value) -> Value {
    json!({ "data": { "type": "tasks", "attributes": attributes } })
}

#[tokio::test]
async fn a_task_is_kept_only_if_its_test_is_answered_with_200() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    let attributes = |name: &str| json!({ "name": name, "url": receiver.url, "category": "task", "hmac-key": "k" });
    let tasks = "/organizations/acme/tasks";
    for status in [202, 204, 401, 500] {
        *receiver.status.lock().unwrap() = status;
        assert_eq!(post(&hcp, tasks, Some(task_body(&attributes("policy")))).await.status, 422, "{status}");
    }
    assert!(hcp.create_run_task(RunTaskSpec::new("away", "http://127.0.0.1:1/")).await.is_err());
    *receiver.status.lock().unwrap() = 200;
    let created = post(&hcp, tasks, Some(task_body(&attributes("policy")))).await;
    let data = &created.body["data"];
    assert_eq!((created.status, &data["attributes"]["hmac-key"]), (201, &Value::Null));
    let (headers, body) = receiver.taken.lock().unwrap().last().unwrap().clone();
    assert_eq!(headers["x-tfc-task-signature"], sign("k", &body));
    let payload = last(&receiver);
    assert_eq!(payload["access_token"], "test-token");
    assert_eq!(payload["task_result_enforcement_level"], "test");
    assert!(hcp.access_tokens().is_empty());

    assert_eq!(post(&hcp, tasks, Some(task_body(&attributes("policy")))).await.status, 422, "the name is taken");
    assert_eq!(post(&hcp, tasks, Some(task_body(&json!({ "name": "n", "url": receiver.url })))).await.status, 422);
    assert_eq!(get(&hcp, tasks).await.body["data"].as_array().unwrap().len(), 1);
    let path = format!("/api/v2/tasks/{}", data["id"].as_str().unwrap());
    let call = |method, body| try_call(&hcp, "user-token-of-jo", method, &path, body);
    *receiver.status.lock().unwrap() = 500;
    assert_eq!(call(Method::PATCH, Some(task_body(&json!({ "name": "new" })))).await.unwrap().status, 422);
    *receiver.status.lock().unwrap() = 200;
    assert_eq!(call(Method::GET, None).await.unwrap().body["data"]["attributes"]["name"], "policy");
    let global = json!({ "enabled": true, "stages": ["pre_plan"], "enforcement-level": "advisory" });
    let changed = call(Method::PATCH, Some(task_body(&json!({ "global-configuration": global })))).await.unwrap();
    assert_eq!(changed.body["data"]["attributes"]["global-configuration"], global);
    assert_eq!(call(Method::DELETE, None).await.unwrap().status, 204);
    assert_eq!(call(Method::GET, None).await.unwrap().status, 404);
}

#[tokio::test]
async fn a_workspace_attaches_tasks_and_lets_them_go() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    *receiver.status.lock().unwrap() = 200;
    let task = hcp.create_run_task(RunTaskSpec::new("policy", &receiver.url)).await.unwrap();
    let path = format!("/workspaces/{}/tasks", hcp.workspace_id("network"));
    let body = |task: &str, attributes: &Value| {
        let task = json!({ "data": { "type": "tasks", "id": task } });
        Some(json!({
            "data": { "type": "workspace-tasks", "attributes": attributes, "relationships": { "task": task } },
        }))
    };
    let attributes = json!({ "enforcement-level": "mandatory", "stages": ["post_plan", "pre_apply"] });
    assert_eq!(post(&hcp, &path, body("task-none", &attributes)).await.status, 422);
    let wrong = json!({ "enforcement-level": "mandatory", "stages": ["mid_plan"] });
    assert_eq!(post(&hcp, &path, body(&task, &wrong)).await.status, 422);
    let attached = post(&hcp, &path, body(&task, &attributes)).await;
    assert_eq!(attached.status, 201);
    assert_eq!(attached.body["data"]["attributes"]["stages"], attributes["stages"]);
    assert_eq!(post(&hcp, &path, body(&task, &attributes)).await.status, 422, "once is enough");
    assert_eq!(get(&hcp, &path).await.body["data"].as_array().unwrap().len(), 1);
    let link = format!("/api/v2{path}/{}", attached.body["data"]["id"].as_str().unwrap());
    assert_eq!(try_call(&hcp, &hcp.token(), Method::DELETE, &link, None).await.unwrap().status, 204);
    let run = run(&hcp).await;
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::Applied, "nobody is asked");
}

#[tokio::test]
async fn a_runs_stages_tell_their_results() {
    let (hcp, receiver) = gated(Enforcement::Advisory, &[Stage::PrePlan, Stage::PostPlan]).await;
    let run = run(&hcp).await;
    call_back(&last(&receiver), &result_body("failed")).await;
    hcp.settled().await;
    let stages = get(&hcp, &format!("/runs/{run}/task-stages?include=task_results")).await.body;
    let of =
        |place: usize| [&stages["data"][place]["attributes"]["stage"], &stages["data"][place]["attributes"]["status"]];
    assert_eq!((of(0), of(1)), ([&json!("pre_plan"), &json!("failed")], [&json!("post_plan"), &json!("running")]));
    let included = &stages["included"][0];
    let related = &stages["data"][0]["relationships"]["task-results"]["data"][0]["id"];
    assert_eq!((&included["id"], &included["attributes"]["message"]), (related, &json!("so it is")));
    let shown = get(&hcp, &format!("/task-results/{}", related.as_str().unwrap())).await.body;
    assert_eq!(&shown["data"], included);
    assert_eq!(get(&hcp, "/task-results/taskrs-none").await.status, 404);
}

/// A callback that the change makes wrong, or does not.
fn callback(change: impl FnOnce(&mut Value)) -> Value {
    let attributes = json!({ "status": "running", "message": "m", "url": "https://ci.example/1" });
    let tags = json!({ "Severity": [{ "label": "High", "level": "error" }] });
    let outcome = json!({ "outcome-id": "o-1", "description": "d", "tags": tags, "body": "# b" });
    let outcome = json!({ "type": "task-result-outcomes", "attributes": outcome });
    let relationships = json!({ "outcomes": { "data": [outcome] } });
    let data = json!({ "type": "task-results", "attributes": attributes, "relationships": relationships });
    let mut body = json!({ "data": data });
    change(&mut body["data"]);
    body
}

type Change = Box<dyn FnOnce(&mut Value)>;

/// Puts a value at a place of a callback's `data`.
fn put(pointer: &'static str, value: Value) -> Change {
    Box::new(move |data| *data.pointer_mut(pointer).unwrap() = value)
}

#[tokio::test]
async fn a_callback_is_read_as_strictly_as_it_is_documented() {
    let (hcp, receiver) = gated(Enforcement::Advisory, &[Stage::PostPlan]).await;
    run(&hcp).await;
    let payload = last(&receiver);
    let outcomes = "/relationships/outcomes/data";
    let outcome = "/relationships/outcomes/data/0/attributes";
    let labels = "/relationships/outcomes/data/0/attributes/tags/Severity";
    let text = |length: usize| Value::from("ä".repeat(length));
    let many = |count: usize| {
        let one = callback(|_| {}).pointer(&format!("/data{outcomes}/0")).unwrap().clone();
        Value::from(vec![one; count])
    };
    let headings = |count: usize| (0..count).map(|number| (format!("h{number}"), json!([]))).collect::<Value>();
    let url = |length: usize| Value::from(format!("https://ci.example/{}", "x".repeat(length - 19)));
    let field = |name: &'static str, value: Value| -> Change {
        Box::new(move |data: &mut Value| data.pointer_mut(outcome).unwrap()[name] = value)
    };
    let accepted: Vec<Change> = vec![
        Box::new(|_| {}),
        put("/attributes", json!({ "status": "running" })),
        put("/attributes/message", text(1000)),
        put("/attributes/url", url(500)),
        put(outcomes, many(250)),
        field("outcome-id", text(64)),
        field("description", text(1000)),
        field("body", text(10_000)),
        field("tags", headings(10)),
        put(labels, vec![json!({ "label": "x" }); 32].into()),
        put(labels, json!([{ "label": "x".repeat(32), "level": "none" }])),
    ];
    for (number, change) in accepted.into_iter().enumerate() {
        assert_eq!(call_back(&payload, &callback(change)).await, 200, "accepted {number}");
    }
    let refused: Vec<Change> = vec![
        put("/type", json!("task-result")),
        put("/attributes/status", json!("errored")),
        put("/attributes/status", json!("pending")),
        put("/attributes", json!({ "message": "m" })),
        put("/attributes/message", json!("")),
        put("/attributes/message", text(1001)),
        put("/attributes/message", Value::Null),
        put("/attributes/url", url(501)),
        put("/attributes/url", json!("not a url")),
        put(outcomes, many(251)),
        put(outcomes, json!([])),
        put(outcomes, Value::Null),
        put("/relationships/outcomes/data/0/type", json!("outcomes")),
        field("outcome-id", text(65)),
        field("outcome-id", json!("")),
        field("description", text(1001)),
        field("description", Value::Null),
        put(outcome, json!({ "outcome-id": "o-1" })),
        put(outcome, json!({ "description": "d" })),
        field("body", text(10_001)),
        field("body", json!("")),
        field("url", json!("nowhere")),
        field("tags", headings(11)),
        put(labels, vec![json!({ "label": "x" }); 33].into()),
        put(labels, json!([{ "label": "x".repeat(33) }])),
        put(labels, json!([{ "label": "x", "level": "fatal" }])),
        put(labels, json!([{ "level": "info" }])),
        put(labels, json!("High")),
    ];
    for (number, change) in refused.into_iter().enumerate() {
        assert_eq!(call_back(&payload, &callback(change)).await, 422, "refused {number}");
    }
    let view = hcp.task_results("network").pop().unwrap();
    assert_eq!(view.callbacks.iter().filter(|callback| callback.accepted).count(), 11);
}
