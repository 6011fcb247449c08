//! A run that HCP Terraform holds up until another checker has answered, and requests for its context.

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG};
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sluice_aws::{GateKeys, Table};
use sluice_domain::ports::{ContextKey, ContextStore, Kept};
use sluice_domain::{RunId, Standing, TaskResultId};
use sluice_local::host;
use sluice_tests::hcp::Hcp;
use tokio::net::TcpListener;

use crate::gate::checker::{Checker, body};
use crate::gate::scene::{Scene, settings, task, until};
use crate::serve::client;
use crate::world::{GATE_KEY, OPERATORS, World, build};

/// An answer, as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The tag of the version, which must be there.
    #[track_caller]
    pub fn tag(&self) -> String {
        self.header(ETAG.as_str()).unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    /// The body, if it is a document.
    #[track_caller]
    pub fn document(self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        self.body
    }

    /// The answer is a refusal that says why, and that in other words than were sent.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert_eq!(self.header("www-authenticate"), (status == 401).then_some("Bearer"), "{self:?}");
        let body = self.json();
        let why = body["error"].as_str().unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(body, json!({ "error": why }));
        assert!(why.len() > 20 && !why.contains("marker"), "{self:?}");
        why.to_owned()
    }
}

/// Somebody with a token, and where they ask.
#[derive(Clone)]
pub struct Asker {
    pub client: Client,
    pub url: String,
    pub token: Option<String>,
}

impl Asker {
    pub async fn get(&self) -> Answer {
        self.send(Method::GET, &[], "").await
    }

    pub async fn post(&self, document: impl Into<reqwest::Body>) -> Answer {
        self.send(Method::POST, &[], document).await
    }

    pub async fn patch(&self, document: impl Into<reqwest::Body>) -> Answer {
        self.send(Method::PATCH, &[], document).await
    }

    pub async fn send(&self, method: Method, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
        let mut request = self.client.request(method, &self.url).header(CONTENT_TYPE, "application/json").body(body);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, body: answer.text().await.unwrap() }
    }

    pub fn with(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    pub fn at(&self, url: String) -> Self {
        Self { url, ..self.clone() }
    }
}

/// A run of `a` whose task waits for a checker, `cost`.
pub struct Held {
    pub scene: Scene,
    pub run: RunId,
    pub result: TaskResultId,
    /// The check, as it asks at the host.
    pub check: Asker,
    checker: Checker,
    payload: Value,
}

impl Held {
    pub async fn new() -> Self {
        Self::at("post_plan").await
    }

    /// The same at another stage.
    pub async fn at(stage: &str) -> Self {
        let mut scene = Scene::of("a\n b").await;
        let checker = scene.checker().await;
        let mut task = task(&[stage], &json!([checker.check()]));
        // Longer than anything takes that is done meanwhile, on however slow a machine.
        task["timeout_seconds"] = json!(900);
        scene.gate("a", &task).await;
        scene.world.change("a");
        let payload = checker.asked(1).await;
        let run: RunId = payload["run_id"].as_str().unwrap().parse().unwrap();
        let result = scene.known_as(&scene.hcp().task_results("a").pop().unwrap().id);
        let token = token(GATE_KEY, &run, &result, "cost");
        let check = Asker { client: client(), url: url(&scene.world.url, run.as_str()), token: Some(token) };
        Self { scene, run, result, check, checker, payload }
    }

    /// A person, at the host.
    pub fn operator(&self) -> Asker {
        self.check.with(Some(OPERATORS[0]))
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.scene.world.table
    }

    /// Whose context it is.
    pub fn of(&self) -> ContextKey {
        ContextKey { workspace: self.scene.world.workspace("a"), run: self.run.clone() }
    }

    pub async fn kept(&self) -> Kept {
        self.table().context(&self.of()).await.unwrap()
    }

    /// The check passes, and HCP Terraform hears it.
    pub async fn pass(&self) {
        assert_eq!(self.checker.call_back(&self.payload, &body("passed", "cheap")).await, 200);
    }

    /// Sluice has heard that the run is over.
    pub async fn until_over(&self) {
        let over = async || {
            let standing = self.table().context_standing(&self.of()).await.unwrap();
            standing.is_some_and(Standing::ended).then_some(())
        };
        until("the end of the run is not heard", over).await;
    }
}

/// Where the context of a run is.
pub fn url(host: &str, run: &str) -> String {
    format!("{host}/context/v1/{run}")
}

/// The token of a check.
pub fn token(key: &str, run: &RunId, result: &TaskResultId, check: &str) -> String {
    let keys = GateKeys::new(&SecretString::from(key), &[]);
    keys.context_token(run, result, &check.parse().unwrap()).expose_secret().to_owned()
}

/// Another process of the same functions over `table`. Returns where it listens.
pub async fn beside(hcp: &Hcp, table: &Table) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let functions = build(hcp, table, settings());
    tokio::spawn(host::serve(functions, listener, std::future::pending()));
    url
}

/// Every item of the table that is part of a context, its keys and when it expires.
pub async fn items(world: &World) -> Vec<(String, String, u64)> {
    let client = sluice_aws::client(&crate::lambda::aws(world.endpoint())).unwrap();
    let mut pages = client.scan().table_name("sluice").into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        for item in page.unwrap().items() {
            let text = |name: &str| item[name].as_s().unwrap().clone();
            if text("pk").starts_with("CONTEXT#") {
                found.push((text("pk"), text("sk"), item["expires_at"].as_n().unwrap().parse().unwrap()));
            }
        }
    }
    found.sort();
    found
}
