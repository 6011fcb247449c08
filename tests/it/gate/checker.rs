//! Another checker, written for HCP Terraform from its documentation alone: it knows nothing of Sluice. It answers 200
//! to requests that are signed with its key, reads the plan with the token it was given, and calls back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use reqwest::Client;
use serde_json::{Value, json};
use sluice_tests::hcp::sign;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::scene::PATIENCE;
use crate::serve::client;

/// How often an automatic checker tries to call back, and from one attempt to the next.
const ATTEMPTS: u32 = 600;
const SPACING: Duration = Duration::from_millis(25);

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What it was answered.
    pub answer: StatusCode,
}

impl Asked {
    pub fn payload(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What an automatic checker finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finds {
    Nothing,
    Fault,
    /// It says that it runs before it answers the request, and nothing after that.
    Early,
}

struct Inner {
    key: String,
    asked: watch::Sender<Vec<Asked>>,
    /// What the next requests are answered before it is 200 again.
    answers: Mutex<VecDeque<u16>>,
    finds: Mutex<Option<Finds>>,
    client: Client,
}

/// A running checker. Clones are handles to the same one.
#[derive(Clone)]
pub struct Checker {
    /// Where it is asked.
    pub url: String,
    inner: Arc<Inner>,
}

impl Checker {
    pub async fn start(key: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/check", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            key: key.to_owned(),
            asked: watch::Sender::new(Vec::new()),
            answers: Mutex::default(),
            finds: Mutex::default(),
            client: client(),
        });
        let router = Router::new().route("/check", post(take)).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    /// As a check of a task's definition.
    pub fn check(&self) -> Value {
        json!({ "name": "cost", "kind": "http", "url": self.url, "hmac_key": "env:CHECKER_KEY" })
    }

    /// From now on it reads the plan and calls back by itself.
    pub fn finds(&self, finds: Finds) {
        *self.inner.finds.lock().unwrap() = Some(finds);
    }

    /// The next requests are answered so, whatever they are.
    pub fn answer(&self, statuses: &[u16]) {
        self.inner.answers.lock().unwrap().extend(statuses);
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Asked> {
        self.inner.asked.borrow().clone()
    }

    /// Waits for so many requests, and returns the payload of the last of them.
    pub async fn asked(&self, count: usize) -> Value {
        let mut asked = self.inner.asked.subscribe();
        let waiting = asked.wait_for(|asked| asked.len() >= count);
        let asked = tokio::time::timeout(PATIENCE, waiting).await.expect("the checker is asked").unwrap();
        asked[count - 1].payload()
    }

    /// Calls back about `payload`, and returns what that was answered.
    pub async fn call_back(&self, payload: &Value, body: &Value) -> u16 {
        call_back(&self.inner.client, payload, body).await.unwrap()
    }

    /// The plan, as it reads it.
    pub async fn plan(&self, payload: &Value) -> reqwest::Result<(u16, String)> {
        get(&self.inner.client, payload, "plan_json_api_url").await
    }

    /// What it gets where it looks for `what` though that was not offered.
    pub async fn plan_at(&self, payload: &Value, what: &str) -> u16 {
        let callback = payload["task_result_callback_url"].as_str().unwrap();
        let url = callback.replace("/callback", &format!("/{what}"));
        let payload = json!({ "access_token": payload["access_token"], "url": url });
        get(&self.inner.client, &payload, "url").await.unwrap().0
    }

    /// The configuration, likewise.
    pub async fn configuration(&self, payload: &Value) -> reqwest::Result<(u16, String)> {
        get(&self.inner.client, payload, "configuration_version_download_url").await
    }
}

async fn take(State(checker): State<Arc<Inner>>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let signature = parts.headers.get("X-TFC-Task-Signature").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let told = checker.answers.lock().unwrap().pop_front().map(|status| StatusCode::from_u16(status).unwrap());
    let genuine = signature == sign(&checker.key, &body);
    let answer = told.unwrap_or(if genuine { StatusCode::OK } else { StatusCode::UNAUTHORIZED });
    checker.asked.send_modify(|asked| asked.push(Asked { headers: parts.headers, body: body.clone(), answer }));
    let finds = *checker.finds.lock().unwrap();
    if finds == Some(Finds::Early) {
        let payload = serde_json::from_slice(&body).unwrap();
        assert_eq!(call_back(&checker.client, &payload, &self::body("running", "begun")).await.unwrap(), 200);
    } else if let (Some(finds), StatusCode::OK) = (finds, answer) {
        let payload = serde_json::from_slice(&body).unwrap();
        tokio::spawn(async move { check(&checker.client, &payload, finds).await });
    }
    answer
}

/// Does all that a checker has to do, however often it has to try.
async fn check(client: &Client, payload: &Value, finds: Finds) {
    let outcome = json!({
        "outcome-id": "COST-1", "description": "costs 12 a month more",
        "tags": { "Status": [{ "label": "Looked at", "level": "info" }] },
        "body": "# Costs\n\n12 a month", "url": "https://cost.example/1",
    });
    let running = with_outcomes(body("running", "reading the plan"), &[outcome]);
    let last = match finds {
        Finds::Nothing => body("passed", "within the budget"),
        Finds::Fault | Finds::Early => body("failed", "over the budget"),
    };
    if payload.get("plan_json_api_url").is_some() {
        let mut plan = Value::Null;
        for _ in 0..ATTEMPTS {
            match get(client, payload, "plan_json_api_url").await {
                Ok((200, text)) => {
                    plan = serde_json::from_str(&text).unwrap();
                    break;
                }
                // It is over already: somebody else was quicker.
                Ok((409, _)) => return,
                _ => tokio::time::sleep(SPACING).await,
            }
        }
        assert_eq!(plan["format_version"], "1.2", "the plan is not to be had");
    }
    for body in [running, last] {
        for _ in 0..ATTEMPTS {
            match call_back(client, payload, &body).await {
                Ok(200 | 409) => break,
                _ => tokio::time::sleep(SPACING).await,
            }
        }
    }
}

/// A callback as the documentation has it.
pub fn body(status: &str, message: &str) -> Value {
    json!({ "data": { "type": "task-results", "attributes": { "status": status, "message": message } } })
}

/// The same with outcomes.
pub fn with_outcomes(mut body: Value, outcomes: &[Value]) -> Value {
    let outcomes = outcomes.iter().map(|it| json!({ "type": "task-result-outcomes", "attributes": it }));
    body["data"]["relationships"] = json!({ "outcomes": { "data": outcomes.collect::<Vec<_>>() } });
    body
}

/// Calls back with the token of `payload`.
pub async fn call_back(client: &Client, payload: &Value, body: &Value) -> reqwest::Result<u16> {
    let token = payload["access_token"].as_str().unwrap();
    call_back_with(client, payload["task_result_callback_url"].as_str().unwrap(), Some(token), body.to_string()).await
}

/// Calls back with any token, or none, and anything for a body.
pub async fn call_back_with(client: &Client, url: &str, token: Option<&str>, body: String) -> reqwest::Result<u16> {
    let request = client.patch(url).header("content-type", "application/vnd.api+json").body(body);
    let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
    request.send().await.map(|answer| answer.status().as_u16())
}

/// As any HTTP client does: redirects are followed, without the token where they lead elsewhere.
async fn get(client: &Client, payload: &Value, what: &str) -> reqwest::Result<(u16, String)> {
    let token = payload["access_token"].as_str().unwrap();
    let answer = client.get(payload[what].as_str().unwrap()).bearer_auth(token).send().await?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await?))
}
