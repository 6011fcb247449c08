//! The simulator is what it says it is.

mod api;
mod faults;
mod life;
mod list;
mod onboarding;
mod plans;
mod states;
mod task_faults;
mod tasks;
mod tasks_api;
mod world;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpListener;

use super::notify::client;
use super::*;

const TOKEN: &str = "demo-token";

async fn start() -> Hcp {
    Hcp::start(Options { limits: Limits::NONE, ..Options::default() }).await
}

/// `network` puts out `vpc` and `app` copies it; both apply by themselves and have a state.
async fn pair() -> Hcp {
    let hcp = start().await;
    let read = Read::remote("net", "acme", "network").hostname(&hcp.host());
    hcp.add_workspace(WorkspaceSpec::new("network").auto_apply(true).output("vpc", Output::fixed("vpc-1")));
    hcp.add_workspace(WorkspaceSpec::new("app").auto_apply(true).reads(read).output("vpc", Output::copy("net", "vpc")));
    hcp.apply_now("network");
    hcp.apply_now("app");
    hcp
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

async fn try_call(hcp: &Hcp, token: &str, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Answer> {
    let mut request = client().request(method, format!("{}{path}", hcp.address()));
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/vnd.api+json").body(body.to_string());
    }
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
    Ok(Answer { status, headers, body })
}

async fn get(hcp: &Hcp, path: &str) -> Answer {
    try_call(hcp, &hcp.token(), Method::GET, &format!("/api/v2{path}"), None).await.unwrap()
}

async fn post(hcp: &Hcp, path: &str, body: Option<Value>) -> Answer {
    try_call(hcp, &hcp.token(), Method::POST, &format!("/api/v2{path}"), body).await.unwrap()
}

fn run_body(workspace: &str, attributes: &Value) -> Value {
    let workspace = serde_json::json!({ "data": { "type": "workspaces", "id": workspace } });
    serde_json::json!({
        "data": { "type": "runs", "attributes": attributes, "relationships": { "workspace": workspace } },
    })
}

/// Takes notifications, and answers what it is told to.
#[derive(Clone)]
struct Receiver {
    url: String,
    status: Arc<Mutex<u16>>,
    taken: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/notifications", listener.local_addr().unwrap());
        let receiver = Self { url, status: Arc::new(Mutex::new(202)), taken: Arc::default() };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn payloads(&self) -> Vec<Value> {
        self.taken.lock().unwrap().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }

    /// Message, trigger and status of each notification.
    fn triples(&self) -> Vec<String> {
        let one = |payload: &Value| {
            let text = |name: &str| payload["notifications"][0][name].as_str().unwrap_or("null").to_owned();
            [text("message"), text("trigger"), text("run_status")].join(" / ")
        };
        self.payloads().iter().map(one).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    receiver.taken.lock().unwrap().push((headers, body));
    StatusCode::from_u16(*receiver.status.lock().unwrap()).unwrap()
}

/// Every status a run had, in order.
fn statuses(hcp: &Hcp, run: &str) -> Vec<&'static str> {
    hcp.history().iter().filter(|event| event.run == run).map(|event| event.status.as_str()).collect()
}
