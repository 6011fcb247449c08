//! A world to test in: a simulated HCP Terraform, an embedded table, and every function in one host, over real HTTP.

pub mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use secrecy::{SecretSlice, SecretString};
use sluice_aws::{GateKeys, Table};
use sluice_context_api::Operators;
use sluice_domain::ports::{FactStore, Known};
use sluice_domain::{Host, Policy, Timestamp, Workspace};
use sluice_hcp::signature::Keys;
use sluice_job_runner::JobSettings;
use sluice_kubernetes::Kubernetes;
use sluice_lambda::{TfeAddress, now};
use sluice_local::cluster::AnyCluster;
use sluice_local::functions::{GateParts, Parts, functions};
use sluice_local::host::{self, Functions};
use sluice_local::store::Embedded;
use sluice_notification_receiver::Receiver;
use sluice_task_runner::Settings as ChecksSettings;
use sluice_tests::hcp::{Hcp, Options, Output, Read, RunOptions, RunStatus, RunView, WorkspaceSpec};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::bins::bin;

/// What the simulated notifications are signed with.
pub const TOKEN: &str = "demo-token";

/// What access tokens are sealed with, and the tokens of checks made.
pub const GATE_KEY: &str = "a gate key of the tests";

/// The tokens of those who may read and write any context, of which one replaces the other.
pub const OPERATORS: [&str; 2] = ["operator-token-5e2c", "operator-token-d07b"];

/// How long a world may take to come to rest.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a world is told.
#[derive(Clone)]
pub struct Settings {
    pub policy: Policy,
    pub watch_ms: u64,
    pub survey_ms: u64,
    pub api_requests_per_second: u32,
    pub keyring: BTreeMap<String, String>,
    pub checks: ChecksSettings,
    pub jobs: JobSettings,
    /// Where jobs run, if anywhere.
    pub cluster: Option<Arc<Kubernetes>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            watch_ms: sluice_state_indexer::WATCH_MS,
            survey_ms: sluice_state_indexer::SURVEY_MS,
            // The simulator limits nothing unless told to, and most tests are about something else.
            api_requests_per_second: 10_000,
            keyring: BTreeMap::new(),
            checks: ChecksSettings::default(),
            jobs: JobSettings::default(),
            cluster: None,
        }
    }
}

/// The functions for `hcp` and `table`. Each has the table by way of a client of its own, which notes what it asks.
pub fn build(hcp: &Hcp, table: &Table, settings: Settings) -> Functions {
    let of = |function: &'static str| record::watched(table, function);
    let creator = functions(parts(hcp, of("run-creator"), settings.clone())).unwrap().creator;
    let mut built = functions(parts(hcp, of("state-indexer"), settings)).unwrap();
    let host = built.terraform.clone();
    built.receiver = Receiver::new(of("notification-receiver"), Keys::new(&[SecretString::from(TOKEN)]), host);
    built.creator = creator;
    built.gate.receiver.store = of("run-task-receiver");
    built.gate.runner.store = of("task-runner");
    built.gate.runner.executor.store = of("task-runner");
    built.gate.job_runner.store = of("job-runner");
    built.gate.job_runner.executor.store = of("job-runner");
    built.gate.relay.store = of("run-task-relay");
    built.context.store = of("context-api");
    // The host itself looks for what is due, and is no function.
    built.table = table.clone();
    built
}

fn parts(hcp: &Hcp, table: Table, settings: Settings) -> Parts {
    let policy = settings.policy.clone();
    Parts {
        table,
        digest_key: SecretSlice::from(b"a key of the tests".to_vec()),
        terraform: TfeAddress { url: hcp.address(), host: hcp.host().parse().unwrap() },
        api_token: SecretString::from(hcp.token()),
        ca_bundle: None,
        keys: Keys::new(&[SecretString::from(TOKEN)]),
        policy: settings.policy,
        watch_ms: settings.watch_ms,
        survey_ms: settings.survey_ms,
        api_requests_per_second: settings.api_requests_per_second,
        gate: GateParts {
            keys: GateKeys::new(&SecretString::from(GATE_KEY), &[]),
            keyring: settings.keyring,
            checks: ChecksSettings { policy, evaluator: Some(bin("sluice")), ..settings.checks },
            jobs: settings.jobs,
            cluster: settings.cluster.map_or(AnyCluster::None, AnyCluster::Kubernetes),
        },
        operators: Operators::new(&OPERATORS.map(SecretString::from)),
    }
}

/// A workspace that reads the output `id` of each of `reads`, and puts out an `id` that follows from them.
pub fn workspace(hcp: &Hcp, name: &str, reads: &[&str]) -> WorkspaceSpec {
    let output = if reads.is_empty() { Output::fixed("1") } else { Output::from_reads() };
    let spec = WorkspaceSpec::new(name).auto_apply(true).output("id", output);
    reads.iter().fold(spec, |spec, read| spec.reads(remote(hcp, read)))
}

/// A `terraform_remote_state` of the simulator itself.
pub fn remote(hcp: &Hcp, name: &str) -> Read {
    Read::remote(&name.replace('-', "_"), &hcp.organization(), name).hostname(&hcp.host())
}

/// Adds workspaces as text says, `app: eks rds` for one that reads two, each with its first state.
pub fn add(hcp: &Hcp, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, reads) = line.split_once(':').unwrap_or((line, ""));
        let id = hcp.add_workspace(workspace(hcp, name.trim(), &reads.split_whitespace().collect::<Vec<_>>()));
        hcp.apply_now(&id);
    }
}

/// The diamond of all tests: the bottom reads both sides and the top.
pub const DIAMOND: &str = "network
    eks: network
    rds: network
    app: eks rds network";

pub struct World {
    pub hcp: Hcp,
    pub table: Table,
    pub terraform: Host,
    pub url: String,
    store: Embedded,
    stop: Option<oneshot::Sender<()>>,
    served: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    learned: BTreeMap<String, usize>,
    changes: AtomicU32,
}

impl World {
    /// A world with these workspaces, of which Sluice has heard.
    pub async fn of(text: &str) -> Self {
        Self::with(Settings::default(), |hcp| add(hcp, text)).await
    }

    /// A world that `build` made, of which Sluice has heard.
    pub async fn with(settings: Settings, build: impl FnOnce(&Hcp)) -> Self {
        let mut world = Self::unheard(settings, build).await;
        world.learn().await;
        world
    }

    /// A world of which Sluice has not heard yet.
    pub async fn unheard(settings: Settings, make: impl FnOnce(&Hcp)) -> Self {
        let hcp = Hcp::start(Options::default()).await;
        make(&hcp);
        let store = Embedded::open(None).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut settings = settings;
        settings.checks.public_url.get_or_insert_with(|| url.clone());
        settings.jobs.public_url.get_or_insert_with(|| url.clone());
        let functions = build(&hcp, &store.table, settings);
        let terraform = functions.terraform.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(host::serve(functions, listener, async move { drop(stopped.await) }));
        hcp.notify_all(&format!("{url}/notifications"), TOKEN);
        Self {
            hcp,
            table: store.table.clone(),
            terraform,
            url,
            store,
            stop: Some(stop),
            served: Some(served),
            learned: BTreeMap::new(),
            changes: AtomicU32::new(1),
        }
    }

    /// Where the table is, for the SDK.
    pub fn endpoint(&self) -> &str {
        &self.store.endpoint
    }

    /// Has every workspace run once, so that Sluice hears of it. What they do from then on is counted.
    pub async fn learn(&mut self) {
        for workspace in self.hcp.workspaces() {
            if self.hcp.outputs(&workspace).is_empty() {
                continue;
            }
            self.hcp.start_run(&workspace, RunOptions::new("first run"));
        }
        self.rest().await;
        self.learned = self.names().into_iter().map(|name| (name.clone(), self.hcp.runs(&name).len())).collect();
    }

    /// Changes the output `id` of a workspace, and runs it.
    pub fn change(&self, name: &str) -> String {
        let value = self.changes.fetch_add(1, Ordering::Relaxed) + 1;
        self.hcp.change(name, "id", value.to_string());
        self.hcp.start_run(name, RunOptions::new("a change"))
    }

    /// Waits until no run moves and no work is due soon.
    pub async fn rest(&self) {
        let resting = async {
            let mut quiet = 0;
            while quiet < 2 {
                self.hcp.settled().await;
                let due = sluice_sweeper::due(&self.table, Timestamp(now().0 + 150_000)).await.unwrap();
                quiet = if due.is_empty() { quiet + 1 } else { 0 };
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, resting).await.is_err() {
            let due = sluice_sweeper::due(&self.table, Timestamp(now().0 + 150_000)).await;
            panic!("no rest; due: {due:?}; history: {:#?}", self.hcp.history());
        }
    }

    /// The runs of a workspace since Sluice learned of it.
    pub fn runs(&self, name: &str) -> Vec<RunView> {
        self.hcp.runs(name).split_off(self.learned.get(name).copied().unwrap_or_default())
    }

    /// How many runs each workspace that had any has had, as `app 1, eks 1`.
    pub fn counts(&self) -> String {
        let counts =
            self.names().into_iter().map(|name| (self.runs(&name).len(), name)).filter(|(count, _)| *count > 0);
        counts.map(|(count, name)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// The last decision about a workspace, in words.
    pub async fn decision(&self, name: &str) -> String {
        self.known(name).await.decision.map_or_else(|| "none".to_owned(), |decision| decision.to_string())
    }

    /// What is known of a workspace.
    pub async fn known(&self, name: &str) -> Known {
        let workspace = self.workspace(name);
        self.table.known(&BTreeSet::from([workspace.clone()])).await.unwrap().remove(&workspace).unwrap_or_default()
    }

    pub fn workspace(&self, name: &str) -> Workspace {
        Workspace::new(self.terraform.clone(), self.hcp.organization().parse().unwrap(), name).unwrap()
    }

    pub fn names(&self) -> BTreeSet<String> {
        self.hcp.workspaces().into_iter().map(|name| name.rsplit('/').next().unwrap().to_owned()).collect()
    }

    /// Waits until the last decision about a workspace says this.
    pub async fn until_decision(&self, name: &str, says: &str) {
        let waiting = async {
            while !self.decision(name).await.contains(says) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(ended.is_ok(), "{name}: {}", self.decision(name).await);
    }

    /// Waits until the order of a workspace is put off for this reason.
    pub async fn until_held(&self, name: &str, why: &str) {
        let waiting = async {
            while !self.known(name).await.held.is_some_and(|held| held.contains(why)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(ended.is_ok(), "{name}: {:?}", self.known(name).await);
    }

    /// Waits until a workspace has had as many runs as that.
    pub async fn until_runs(&self, name: &str, count: usize) {
        let waiting = async {
            while self.runs(name).len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{}", self.counts()));
    }

    /// Stops the host as SIGTERM would, and checks that it came to its end.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.served.take().unwrap().await.unwrap().unwrap();
        self.store.close().await;
    }
}

/// The run began to plan only after the others were over.
#[track_caller]
pub fn assert_after(run: &RunView, others: &[&RunView]) {
    for other in others {
        assert!(other.finished_at.unwrap() <= run.planning_at.unwrap(), "{run:?} began before {other:?} was over");
    }
}

#[track_caller]
pub fn assert_applied(runs: &[RunView]) -> &RunView {
    assert_eq!(runs.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Applied], "{runs:?}");
    &runs[0]
}
