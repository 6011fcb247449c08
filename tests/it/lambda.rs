//! The functions as Lambda runs them: the compiled programs, polling a Runtime API.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod broken;
mod context_api;
mod emulated;
mod emulator;
mod gate;
mod indexer;
mod init;
mod job_runner;
mod receiver;
mod run_creator;
mod run_task_receiver;
mod run_task_relay;
mod runtime;
mod samples;
mod secrets;
mod stacks;
mod sweeper;
mod task_runner;

use std::collections::BTreeMap;
use std::path::Path;

pub use emulator::free_address;
use serde_json::Value;
use sluice_domain::{Facts, RunReport, Standing, Timestamp, Workspace};
use sluice_local::store::Embedded;
use sluice_tests::hcp::{Hcp, Options, RunOptions};

/// Later than anything here can be due.
const LATER: Timestamp = Timestamp(u64::MAX / 2);

type Vars = BTreeMap<String, String>;

fn vars(vars: &[(&str, &str)]) -> Vars {
    vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The SDK's variables for a store on loopback.
pub fn aws(endpoint: &str) -> Vars {
    vars(&[
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ])
}

/// The sample events of a function, by name.
fn events(function: &str) -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(function);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let event = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), event)
        })
        .collect()
}

/// A table, and a simulated HCP Terraform with two workspaces of which one reads the other.
struct Surroundings {
    store: Embedded,
    hcp: Hcp,
}

impl Surroundings {
    async fn new() -> Self {
        let hcp = Hcp::start(Options::default()).await;
        crate::world::add(&hcp, "network\n app: network");
        Self { store: Embedded::open(None).await.unwrap(), hcp }
    }

    /// The variables of the functions that work.
    fn vars(&self) -> Vars {
        let mut all = aws(&self.store.endpoint);
        all.extend(vars(&[
            ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"),
            ("TFE_ADDRESS", &self.hcp.address()),
            ("API_TOKEN", &self.hcp.token()),
            ("SLUICE_DIGEST_KEY", "a key of the tests"),
        ]));
        all
    }

    fn workspace(&self, name: &str) -> Workspace {
        Workspace::new(self.hcp.host().parse().unwrap(), self.hcp.organization().parse().unwrap(), name).unwrap()
    }

    /// A sample event with the names that things have here.
    fn event(&self, function: &str, name: &str, run: Option<&RunReport>) -> String {
        let event = events(function)[name].to_string();
        let event = event.replace("app.terraform.io/acme", &format!("{}/{}", self.hcp.host(), self.hcp.organization()));
        let event = event.replace("app.terraform.io", &self.hcp.host());
        run.map_or(event.clone(), |run| event.replace("run-EXAMPLE000000002", run.run.as_str()))
    }

    /// Runs a workspace that reads `network`, of which the output is another now, to its end.
    async fn applied(&self, name: &str) -> RunReport {
        self.hcp.change("network", "id", "2");
        self.hcp.apply_now("network");
        let run = self.hcp.start_run(name, RunOptions::new("a change"));
        self.hcp.settled().await;
        let run = self.hcp.run(&run).unwrap();
        let ms = |at: time::OffsetDateTime| Timestamp(u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap());
        RunReport {
            workspace: self.workspace(name),
            workspace_id: self.hcp.workspace_id(name).parse().unwrap(),
            run: run.id.parse().unwrap(),
            created_at: ms(run.created_at),
            standing: Standing::Applied,
            at: ms(run.finished_at.unwrap()),
            marker: None,
        }
    }

    async fn facts(&self, name: &str) -> Facts {
        use sluice_domain::ports::FactStore;
        let known = self.store.table.known(&[self.workspace(name)].into()).await.unwrap();
        known.into_values().next().unwrap_or_default().facts
    }
}
