//! The module as a user applies it, in an emulated account, with a simulated HCP Terraform outside.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sluice_aws::Table;
use sluice_domain::Timestamp;
use sluice_lambda::now;
use sluice_tests::hcp::{Hcp, Options, RunOptions, RunStatus, RunView};
use url::Url;

use super::aws::{KEY_ID, Owner, REGION, SECRET_KEY};
use super::ministack::Ministack;
use super::packages::{functions, package};
use super::terraform::{Terraform, is_there};
use crate::serve::client;
use crate::world::add;

/// How long anything may take. What a dead function held is taken up after a lease of a minute, by the next sweep.
const PATIENCE: Duration = Duration::from_secs(200);

const BUCKET: &str = "packages";

/// What the installation is called, and its table.
pub const NAME: &str = "sluice-east";

/// The secrets, by the names under which Parameter Store keeps them. None may ever be in a log or a state.
pub const SECRETS: [(&str, &str); 6] = [
    ("api-token", "atlas-e7b1c4-api-secret"),
    ("notification-token", "hmac-5f02d9-notification-secret"),
    ("digest-key", "key-81bb02-digest-secret"),
    ("gate-key", "key-2c90aa-gate-secret"),
    ("operator-token", "token-94fe21-operator-secret"),
    ("guard", "hmac-b03d77-guard-secret"),
];

pub fn secret(name: &str) -> &'static str {
    SECRETS.iter().find(|(it, _)| *it == name).unwrap().1
}

/// As a user would write it for conftest.
const POLICY: &str = r#"package main

import rego.v1

deny contains {"msg": msg, "id": "NET-1"} if {
	some name, change in input.output_changes
	change.after == "open"
	msg := sprintf("%s must not be open", [name])
}
"#;

/// What the module is given.
fn inputs(hcp: &Hcp) -> Value {
    let kept = |name: &str| format!("ssm:/{NAME}/{name}");
    json!({
        "name": NAME,
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" },
        "deletion_protection": false,
        "packages": { "bucket": BUCKET, "prefix": "v1/" },
        "tfe_address": hcp.address(),
        "api_token": kept("api-token"),
        "notification_token": kept("notification-token"),
        "digest_key": kept("digest-key"),
        "gate_key": kept("gate-key"),
        "operator_token": kept("operator-token"),
        // What is looked for now and then would never let the table come to rest.
        "settings": { "SLUICE_SURVEY_SECONDS": "86400" },
        "tasks": { "guard": {
            "hmac_keys": [kept("guard")], "stages": ["post_plan"],
            "checks": [{ "name": "preview", "kind": "preview" }, { "name": "ids", "kind": "rego", "policy": "ids" }],
        } },
        "policies": { "ids": { "modules": { "ids.rego": POLICY } } },
    })
}

pub struct Deployed {
    pub hcp: Hcp,
    pub ministack: Ministack,
    pub terraform: Terraform,
    table: Table,
    url: String,
    learned: BTreeMap<String, usize>,
    begun: Timestamp,
}

impl Deployed {
    /// None, and a line about it, where something is missing that this needs.
    pub async fn apply(workspaces: &str) -> Option<Self> {
        let Some(program) = std::env::var_os("SLUICE_MINISTACK") else {
            println!("skipped: SLUICE_MINISTACK does not name the program of MiniStack");
            return None;
        };
        if !is_there() {
            return None;
        }
        let begun = now();
        let hcp = Hcp::start(Options { token: secret("api-token").to_owned(), ..Options::default() }).await;
        add(&hcp, workspaces);
        let (ministack, terraform) = match applied(&program, &hcp).await {
            Ok(both) => both,
            // An item that was written, of which the answer was lost on a busy machine: the provider sends it again,
            // and takes its own for another's.
            Err(why) if why.contains("ConditionalCheckFailedException") => applied(&program, &hcp).await.unwrap(),
            Err(why) => panic!("{why}"),
        };
        let output = terraform.must(&["output", "-json", "sluice"]).await;
        let output: Value = serde_json::from_str(&output).unwrap();
        let table = Table::connect(&owners_vars(&ministack.owner), output["table_name"].as_str().unwrap()).unwrap();
        let url = reached(&ministack.owner.endpoint, output["url"].as_str().unwrap());
        assert_eq!(output["notifications_url"], json!(format!("{}/notifications", output["url"].as_str().unwrap())));
        hcp.notify_all(&format!("{url}/notifications"), secret("notification-token"));
        let deployed = Self { hcp, ministack, terraform, table, url, learned: BTreeMap::new(), begun };
        deployed.say("applied");
        Some(deployed)
    }

    /// Says how far the test is, to whoever watches it.
    pub fn say(&self, what: &str) {
        println!("{:>4} s  {what}", (now().0 - self.begun.0) / 1_000);
    }

    /// Has every workspace run once, so that Sluice hears of it. What they do from then on is counted.
    pub async fn learn(&mut self) {
        for name in self.names() {
            self.hcp.start_run(&name, RunOptions::new("first run"));
        }
        self.rest().await;
        self.learned = self.names().into_iter().map(|name| (name.clone(), self.hcp.runs(&name).len())).collect();
    }

    /// An address of the HTTP API.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// How the HTTP API answers, to whoever has this token.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: &'static str) -> (StatusCode, String) {
        let request = client().request(method, self.at(path)).bearer_auth(token).body(body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Changes the output `id` of a workspace, and runs it.
    pub fn change(&self, name: &str, value: &str) -> String {
        self.hcp.change(name, "id", value);
        self.hcp.start_run(name, RunOptions::new("a change"))
    }

    /// The runs of a workspace since Sluice learned of it.
    pub fn runs(&self, name: &str) -> Vec<RunView> {
        self.hcp.runs(name).split_off(self.learned[name])
    }

    /// How many runs each workspace that had any has had, as `app 1, eks 1`.
    pub fn counts(&self) -> String {
        let counts = self.names().into_iter().map(|name| (self.runs(&name).len(), name));
        let counts = counts.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{name} {count}"));
        counts.collect::<Vec<_>>().join(", ")
    }

    /// Waits until the last of so many runs of a workspace has applied.
    pub async fn until_applied(&self, name: &str, count: usize) {
        let applied = async || {
            let runs = self.runs(name);
            runs.len() == count && runs.iter().all(|run| run.status == RunStatus::Applied)
        };
        self.until(&format!("{name} has not applied"), applied).await;
    }

    /// Waits until no run moves and no work is due soon.
    pub async fn rest(&self) {
        let resting = async || {
            self.hcp.settled().await;
            let due = sluice_sweeper::due(&self.table, Timestamp(now().0 + 150_000)).await.unwrap();
            due.is_empty()
        };
        self.until("no rest", resting).await;
        // What is under way in HCP Terraform may come back as a notification.
        self.until("no rest", resting).await;
    }

    pub async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let waiting = async {
            while !holds().await {
                self.ministack.nobody_is_denied();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            let due = sluice_sweeper::due(&self.table, Timestamp(now().0 + 150_000)).await;
            panic!("{what}: {}; due: {due:?}\n{}", self.counts(), self.ministack.log());
        }
    }

    /// Every line that functions have logged.
    pub async fn logs(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for function in functions() {
            if function != "job-runner" {
                lines.extend(self.ministack.owner.logs(&format!("/aws/lambda/{NAME}-{function}")).await);
            }
        }
        lines
    }

    fn names(&self) -> Vec<String> {
        self.hcp.workspaces().into_iter().map(|name| name.rsplit('/').next().unwrap().to_owned()).collect()
    }
}

/// A new account with the module applied in it, or what was said instead.
async fn applied(program: &OsString, hcp: &Hcp) -> Result<(Ministack, Terraform), String> {
    let ministack = Ministack::start(program).await;
    prepare(&ministack.owner).await;
    let terraform = Terraform::new(&ministack.owner.endpoint, &inputs(hcp));
    terraform.must(&["init", "-no-color"]).await;
    let output = terraform.run(&["apply", "-auto-approve", "-no-color"]).await;
    if output.status.success() {
        return Ok((ministack, terraform));
    }
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{stdout}\n{stderr}\n{}", ministack.log()))
}

/// What has to be there before the module: the secrets, and the packages in a bucket.
async fn prepare(owner: &Owner) {
    for (name, value) in SECRETS {
        owner.put_parameter(&format!("/{NAME}/{name}"), value).await;
    }
    owner.create_bucket(BUCKET).await;
    let packed = functions().into_iter().map(|function| {
        let key = format!("v1/{function}.zip");
        (key, tokio::task::spawn_blocking(move || package(&function)))
    });
    for (key, package) in packed.collect::<Vec<_>>() {
        owner.put_object(BUCKET, &key, package.await.unwrap()).await;
    }
}

fn owners_vars(owner: &Owner) -> BTreeMap<String, String> {
    let mut vars = crate::lambda::aws(&owner.endpoint);
    for (name, value) in [("AWS_REGION", REGION), ("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]
    {
        vars.insert(name.to_owned(), value.to_owned());
    }
    vars
}

/// Where an HTTP API is that calls itself `http://id.execute-api.localhost:port`, a name that not every machine knows.
fn reached(endpoint: &str, url: &str) -> String {
    let url = Url::parse(url).unwrap();
    let id = url.host_str().unwrap().split('.').next().unwrap();
    format!("{endpoint}/_aws/execute-api/{id}")
}
