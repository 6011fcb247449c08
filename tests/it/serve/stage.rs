//! `sluice serve` beside a simulated HCP Terraform, with a data directory that outlives it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sluice_domain::Timestamp;
use sluice_lambda::now;
use sluice_local::store::Embedded;
use sluice_tests::hcp::{Hcp, Options, RunOptions, RunView, Timings};
use tempfile::TempDir;

use super::program::{API_TOKEN, Ended, NOTIFICATION_TOKEN, PATIENCE, Server, Vars, run, vars};
use crate::world::add;

pub struct Stage {
    pub hcp: Hcp,
    pub server: Option<Server>,
    pub vars: Vars,
    /// `http://127.0.0.1:port`, before and after a restart.
    pub url: String,
    address: String,
    directory: TempDir,
    learned: BTreeMap<String, usize>,
}

impl Stage {
    /// A server that has heard of these workspaces, and is told of their runs.
    pub async fn of(text: &str) -> Self {
        Self::with(text, Timings::default(), vars([])).await
    }

    /// The same, with other timings of runs and more environment.
    pub async fn with(text: &str, timings: Timings, more: Vars) -> Self {
        let mut stage = Self::unheard(text, timings, more).await;
        for name in stage.names() {
            stage.hcp.start_run(&name, RunOptions::new("first run"));
        }
        stage.rest().await;
        stage.learned = stage.names().into_iter().map(|name| (name.clone(), stage.hcp.runs(&name).len())).collect();
        stage
    }

    /// A server that has heard of none of them yet.
    pub async fn unheard(text: &str, timings: Timings, more: Vars) -> Self {
        let options = Options { token: API_TOKEN.to_owned(), timings, ..Options::default() };
        let hcp = Hcp::start(options).await;
        add(&hcp, text);
        let mut vars = vars([
            ("API_TOKEN", API_TOKEN),
            ("NOTIFICATION_TOKEN", NOTIFICATION_TOKEN),
            ("TFE_ADDRESS", &hcp.address()),
            ("SLUICE_WATCH_SECONDS", "1"),
        ]);
        vars.extend(more);
        let directory = TempDir::new().unwrap();
        let server = Server::start(directory.path(), "127.0.0.1:0", &vars).await;
        let address = server.address.clone();
        let url = format!("http://{address}");
        hcp.notify_all(&format!("{url}/notifications"), NOTIFICATION_TOKEN);
        Self { hcp, server: Some(server), vars, url, address, directory, learned: BTreeMap::new() }
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.server.take().unwrap().kill();
    }

    /// Starts the server again, where it was before.
    pub async fn restart(&mut self) {
        assert!(self.server.is_none());
        self.server = Some(Server::start(self.directory.path(), &self.address, &self.vars).await);
    }

    /// Tells the server to stop. Returns its exit code and what it has printed.
    pub async fn terminate(&mut self) -> (Option<i32>, String) {
        let server = self.server.take().unwrap();
        server.terminate();
        server.ended().await
    }

    /// Another `sluice` command on the same data, at the same time.
    pub async fn sluice(&self, arguments: &[&str]) -> Ended {
        let data = self.data();
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--data-dir", data.to_str().unwrap()]).collect();
        run(&arguments, &self.vars).await
    }

    /// Waits until a command prints this.
    pub async fn until_printed(&self, arguments: &[&str], text: &str) {
        let waiting = async {
            while !self.sluice(arguments).await.stdout.contains(text) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(ended.is_ok(), "{arguments:?} prints {}", self.sluice(arguments).await.stdout);
    }

    /// Changes the output `id` of a workspace, and runs it.
    pub fn change(&self, name: &str, value: &str) -> String {
        self.hcp.change(name, "id", value);
        self.hcp.start_run(name, RunOptions::new("a change"))
    }

    /// Waits until no run moves and no work is due soon.
    pub async fn rest(&self) {
        let store = Embedded::open(Some(self.directory.path())).await.unwrap();
        let soon = || Timestamp(now().0 + 150_000);
        let resting = async {
            let mut quiet = 0;
            while quiet < 2 {
                self.hcp.settled().await;
                let due = sluice_sweeper::due(&store.table, soon()).await.unwrap();
                quiet = if due.is_empty() { quiet + 1 } else { 0 };
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, resting).await.is_err() {
            let due = sluice_sweeper::due(&store.table, soon()).await;
            let log = self.server.as_ref().map(Server::log).unwrap_or_default();
            panic!("no rest; due: {due:?}; {}\n{log}", self.counts());
        }
        store.close().await;
    }

    /// The runs of a workspace since Sluice learned of it.
    pub fn runs(&self, name: &str) -> Vec<RunView> {
        self.hcp.runs(name).split_off(self.learned.get(name).copied().unwrap_or_default())
    }

    /// How many runs each workspace that had any has had, as `app 1, eks 1`.
    pub fn counts(&self) -> String {
        let counts = self.names().into_iter().map(|name| (self.runs(&name).len(), name));
        let counts = counts.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{name} {count}"));
        counts.collect::<Vec<_>>().join(", ")
    }

    fn names(&self) -> Vec<String> {
        self.hcp.workspaces().into_iter().map(|name| name.rsplit('/').next().unwrap().to_owned()).collect()
    }
}
