//! What the functions of the gate have around them: a task that HCP Terraform asks through API Gateway.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sluice_domain::TaskResultId;
use sluice_tests::hcp::{Enforcement, RunOptions, RunTaskSpec, Stage, TaskResultView};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::runtime::{Running, RuntimeApi};
use super::{Surroundings, Vars, vars};

/// What requests to the task are signed with, and the variable that holds it.
pub(super) const KEY: &str = "hmac-of-the-task";
const KEY_VARIABLE: &str = "GUARD_HMAC_KEY";

/// As a user would write it for conftest.
const POLICY: &str = r#"package main

import rego.v1

deny contains {"msg": msg, "id": "NET-1"} if {
	some name, change in input.output_changes
	change.after == "2"
	msg := sprintf("%s must not be %s", [name, change.after])
}
"#;

/// What the functions of the gate are told besides.
pub(super) fn keys() -> Vars {
    vars(&[("SLUICE_GATE_KEY", "a gate key of the tests"), (KEY_VARIABLE, KEY)])
}

/// A task `guard` with these checks after the plan.
pub(super) fn task(checks: &Value) -> Value {
    let task = json!({
        "name": "guard", "hmac_keys": [format!("env:{KEY_VARIABLE}")], "stages": ["post_plan"],
        "checks": checks,
    });
    sluice_aws::read_task(&task.to_string()).unwrap();
    task
}

/// A run of `network` whose plan is held up until `guard` has answered.
pub(super) struct Asked {
    pub around: Surroundings,
    pub result: TaskResultId,
    _receiver: Running,
}

impl Asked {
    /// HCP Terraform has asked `guard`, which was recorded by run-task-receiver's program.
    pub(super) async fn of(guard: Value) -> Self {
        let around = Surroundings::new().await;
        let policy = json!({ "modules": { "ids.rego": POLICY } });
        around.store.table.put_policy(&"ids".parse().unwrap(), &policy.to_string()).await.unwrap();
        around.store.table.put_task(&"guard".parse().unwrap(), &guard.to_string()).await.unwrap();
        let lambda = RuntimeApi::start().await;
        let receiver = lambda.run("run-task-receiver", Self::vars_of(&around));
        let spec = RunTaskSpec::new("guard", &format!("{}/prod/run-tasks/guard", gateway(lambda).await)).hmac_key(KEY);
        let task = around.hcp.create_run_task(spec).await.unwrap();
        around.hcp.attach_run_task("network", &task, Enforcement::Mandatory, &[Stage::PostPlan]);
        around.hcp.change("network", "id", "2");
        around.hcp.start_run("network", RunOptions::new("a change"));
        let taken = |result: TaskResultView| (result.acknowledged() == 1).then_some(result);
        let result = around.hcp.until(|hcp| hcp.task_results("network").pop().and_then(taken)).await;
        Self {
            around,
            result: result.id.parse::<TaskResultId>().unwrap().of(&"guard".parse().unwrap()),
            _receiver: receiver,
        }
    }

    /// The variables of the functions of the gate.
    pub(super) fn vars(&self) -> Vars {
        Self::vars_of(&self.around)
    }

    fn vars_of(around: &Surroundings) -> Vars {
        around.vars().into_iter().chain(keys()).collect()
    }

    /// The partition key of the task result's items.
    pub(super) fn pk(&self) -> String {
        format!("GATE#{}", self.result)
    }

    /// How HCP Terraform sees it.
    pub(super) fn view(&self) -> TaskResultView {
        let id = self.result.as_str().split('@').next().unwrap();
        self.around.hcp.task_result(id).unwrap()
    }
}

/// A batch of the table's stream: one record for each key, of which the sequence number ends in its place.
pub(super) fn batch(keys: &[(&str, &str)]) -> String {
    let record = |(at, (pk, sk)): (usize, &(&str, &str))| {
        let keys = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
        json!({
            "eventID": format!("{at:032}"), "eventName": "MODIFY", "eventVersion": "1.1",
            "eventSource": "aws:dynamodb", "awsRegion": "eu-central-1",
            "dynamodb": {
                "Keys": keys, "NewImage": keys, "SequenceNumber": sequence_number(at), "StreamViewType": "NEW_IMAGE",
            },
        })
    };
    json!({ "Records": keys.iter().enumerate().map(record).collect::<Vec<_>>() }).to_string()
}

pub(super) fn sequence_number(at: usize) -> String {
    format!("1{at:020}")
}

/// An HTTP API of API Gateway's, with a stage that has a name, before a function. Returns its URL.
async fn gateway(lambda: RuntimeApi) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/{*path}", post(pass)).with_state(Arc::new(Mutex::new(lambda)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn pass(State(lambda): State<Arc<Mutex<RuntimeApi>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())));
    let event = json!({
        "version": "2.0", "routeKey": "ANY /{proxy+}", "rawPath": uri.path(), "rawQueryString": "",
        "headers": headers.collect::<serde_json::Map<_, _>>(),
        "requestContext": { "stage": "prod", "http": { "method": "POST", "path": uri.path() } },
        "body": STANDARD.encode(&body), "isBase64Encoded": true,
    });
    let answer = lambda.lock().await.answer(event.to_string()).await;
    assert_eq!(answer["body"], json!(""));
    StatusCode::from_u16(answer["statusCode"].as_u64().unwrap().try_into().unwrap()).unwrap()
}
