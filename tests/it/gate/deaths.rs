//! Every step of a gated run, killed there: the process dies before or after each of its effects, another one takes
//! over when the leases have run out, and in the end there was one last word.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use secrecy::SecretString;
use serde_json::json;
use sluice_aws::Table;
use sluice_aws::secrets::KeyCache;
use sluice_domain::gate::{Admission, CallbackUrl, Gated, Report, Sealed, State as Told};
use sluice_domain::ports::{
    Advance, Definitions, GateStore, Guard, Heard, Recorded, StoreError, StoredTask, TaskResults, TerraformError,
};
use sluice_domain::{PolicyName, TaskName, TaskResultId, Timestamp, WorkKey};
use sluice_hcp_client::TaskClient;
use sluice_lambda::now;
use sluice_local::store::Embedded;
use sluice_run_task_receiver::Receiver;
use sluice_run_task_relay::Relay;
use sluice_task_runner::{Asked, CheckError, Checks, Executor, Runner, Step};
use sluice_tests::hcp::{Enforcement, Hcp, Options, RunOptions, RunTaskSpec, Stage, TaskResultView, Timings};
use tokio::net::TcpListener;

use super::checker::{Checker, Finds};
use super::leaks;
use super::scene::{CHECKER_KEY, KEY, PATIENCE, after_plan, settings};
use crate::redelivery::{Death, Life, Mortal, no_store, no_terraform};
use crate::world::{Settings, add, build};

impl GateStore for Mortal<Table> {
    async fn admit(&self, admission: &Admission, token: &Sealed) -> Result<Recorded, StoreError> {
        self.life.effect(self.inner.admit(admission, token), no_store).await
    }

    async fn gated(&self, result: &TaskResultId) -> Result<Option<Gated>, StoreError> {
        self.life.look(self.inner.gated(result), no_store).await
    }

    async fn token(&self, result: &TaskResultId) -> Result<Option<Sealed>, StoreError> {
        self.life.look(self.inner.token(result), no_store).await
    }

    async fn advance(&self, guard: Guard<'_>, step: &Advance<'_>) -> Result<(), StoreError> {
        self.life.effect(self.inner.advance(guard, step), no_store).await
    }

    async fn told(&self, result: &TaskResultId, state: &Told, version: u64) -> Result<(), StoreError> {
        self.life.effect(self.inner.told(result, state, version), no_store).await
    }
}

impl Definitions for Mortal<Table> {
    async fn task(&self, name: &TaskName) -> Result<Option<StoredTask>, StoreError> {
        self.life.look(self.inner.task(name), no_store).await
    }

    async fn policy(&self, name: &PolicyName) -> Result<Option<String>, StoreError> {
        self.life.look(self.inner.policy(name), no_store).await
    }
}

impl TaskResults for Mortal<TaskClient> {
    async fn report(
        &self,
        callback: &CallbackUrl,
        token: &SecretString,
        report: &Report,
    ) -> Result<Heard, TerraformError> {
        self.life.effect(self.inner.report(callback, token, report), no_terraform).await
    }
}

impl Executor for Mortal<Checks<Table>> {
    type Error = CheckError;

    async fn execute(&self, asked: Asked<'_>) -> Result<Step, CheckError> {
        self.life.effect(self.inner.execute(asked), || CheckError::Store(no_store())).await
    }
}

/// One process.
struct Process {
    receiver: Receiver<Mortal<Table>, KeyCache>,
    runner: Runner<Mortal<Table>, Mortal<Checks<Table>>>,
    relay: Relay<Mortal<Table>, Mortal<TaskClient>>,
    life: Arc<Life>,
}

/// The process that is alive, and how far its clock is ahead.
struct Inner {
    process: Mutex<Arc<Process>>,
    ahead_ms: AtomicU64,
}

struct Rig {
    hcp: Hcp,
    table: Table,
    checker: Checker,
    settings: Settings,
    inner: Arc<Inner>,
    endpoint: String,
    _store: Embedded,
}

fn start(hcp: &Hcp, table: &Table, settings: Settings, death: Option<Death>) -> Arc<Process> {
    let life = Life::new(death);
    let gate = build(hcp, table, settings).gate;
    let store = || Mortal { inner: table.clone(), life: life.clone() };
    let keys = gate.receiver.gate.clone();
    Arc::new(Process {
        receiver: Receiver {
            store: store(),
            keyring: gate.receiver.keyring,
            gate: gate.receiver.gate,
            host: gate.receiver.host,
            origin: gate.receiver.origin,
            client: gate.receiver.client,
        },
        runner: Runner {
            store: store(),
            executor: Mortal { inner: gate.runner.executor, life: life.clone() },
            keys: Some(keys.clone()),
        },
        relay: Relay { store: store(), terraform: Mortal { inner: gate.relay.terraform, life: life.clone() }, keys },
        life,
    })
}

async fn receive(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let process = inner.process.lock().unwrap().clone();
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let request = http::Request::from_parts(parts, body);
    let answer = sluice_run_task_receiver::handle(&process.receiver, request, inner.now()).await;
    // Whoever is dead answers nothing; that is as good as an error.
    let answer = if process.life.dead() {
        http::Response::builder().status(StatusCode::BAD_GATEWAY).body(Bytes::new()).unwrap()
    } else {
        answer
    };
    answer.map(axum::body::Body::from)
}

impl Inner {
    fn now(&self) -> Timestamp {
        now().plus_ms(self.ahead_ms.load(Ordering::SeqCst))
    }
}

impl Rig {
    async fn new() -> Self {
        let timings = Timings::uniform(Duration::from_millis(2));
        let hcp = Hcp::start(Options { timings, ..Options::default() }).await;
        hcp.task_options(|options| {
            options.attempts = 1_000;
            options.spacing = Duration::from_millis(5);
        });
        add(&hcp, "a");
        let store = Embedded::open(None).await.unwrap();
        let (table, endpoint) = (store.table.clone(), store.endpoint.clone());
        let checker = Checker::start(CHECKER_KEY).await;
        checker.finds(Finds::Fault);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut settings = settings();
        settings.checks.public_url = Some(url.clone());
        let process = Mutex::new(start(&hcp, &table, settings.clone(), None));
        let inner = Arc::new(Inner { process, ahead_ms: AtomicU64::new(0) });
        let router = axum::Router::new().fallback(receive).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut cost = checker.check();
        cost["needs"] = json!(["preview"]);
        let definition = after_plan(&json!([{ "name": "preview", "kind": "preview" }, cost]));
        let mut definition = definition;
        definition["timeout_seconds"] = json!(3_000);
        table.put_task(&"guard".parse().unwrap(), &definition.to_string()).await.unwrap();
        let spec = RunTaskSpec::new("guard", &format!("{url}/run-tasks/guard")).hmac_key(KEY);
        let task = hcp.create_run_task(spec).await.unwrap();
        hcp.attach_run_task("a", &task, Enforcement::Advisory, &[Stage::PostPlan]);
        Self { hcp, table, checker, settings, inner, endpoint, _store: store }
    }

    /// Another process takes the place of the one there is.
    fn revive(&self, death: Option<Death>) -> Arc<Process> {
        let process = start(&self.hcp, &self.table, self.settings.clone(), death);
        *self.inner.process.lock().unwrap() = process.clone();
        process
    }

    /// One piece of work after the other, until the answer is given and nothing is left to do, or the process is dead.
    async fn work(&self, process: &Process, before: usize) {
        loop {
            let due = sluice_sweeper::due(&self.table, self.inner.now()).await.unwrap();
            for key in due.iter().filter(|key| matches!(key, WorkKey::Check(..) | WorkKey::Relay(_))) {
                let now = self.inner.now();
                let handled = match key {
                    WorkKey::Check(..) => sluice_task_runner::handle(&process.runner, key, now).await,
                    _ => sluice_run_task_relay::handle(&process.relay, key, now).await,
                };
                assert!(handled.is_ok() || process.life.dead(), "{key}: {handled:?}");
            }
            let results = self.hcp.task_results("a");
            let over = results.get(before).is_some_and(|result| result.status.is_final());
            if process.life.dead() || (over && due.is_empty() && self.ended(&results[before]).await) {
                return;
            }
            if due.is_empty() {
                // Somebody else's turn: HCP Terraform's, or the checker's; or a wait has to pass.
                tokio::time::sleep(Duration::from_millis(2)).await;
                self.inner.ahead_ms.fetch_add(50, Ordering::SeqCst);
            }
        }
    }

    async fn ended(&self, result: &TaskResultView) -> bool {
        let gated =
            self.table.gated(&result.id.parse::<TaskResultId>().unwrap().of(&"guard".parse().unwrap())).await.unwrap();
        gated.is_some_and(|gated| gated.state.end.is_some())
    }

    /// A run is gated; the process dies once, and another takes over. How many effects the first had.
    async fn gate(&self, death: Option<Death>) -> usize {
        let before = self.hcp.task_results("a").len();
        let asked = self.checker.requests().len();
        let first = self.revive(death);
        self.hcp.start_run("a", RunOptions { allow_empty_apply: true, ..RunOptions::new("gated") });
        let gated = async {
            self.work(&first, before).await;
            if first.life.dead() {
                // What the dead one had taken on is due when its leases end.
                self.inner.ahead_ms.fetch_add(sluice_task_runner::LEASE_MS, Ordering::SeqCst);
                let second = self.revive(None);
                self.work(&second, before).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, gated).await;
        let results = self.hcp.task_results("a");
        assert!(ended.is_ok(), "killed {death:?}: no end of {:#?}", results.last());
        self.hcp.settled().await;
        let result = self.hcp.task_results("a").split_off(before).pop().unwrap();
        assert_eq!(result.accepted_finals(), 1, "killed {death:?}: {result:#?}");
        assert_eq!(result.status.as_str(), "failed", "killed {death:?}: {result:#?}");
        assert!(result.message.starts_with("cost: over the budget; preview: "), "killed {death:?}: {result:#?}");
        let times = self.checker.requests().len() - asked;
        assert!((1..=2).contains(&times), "killed {death:?}: the checker was asked {times} times");
        first.life.effects.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_process_that_dies_between_any_two_effects_says_one_last_word_all_the_same() {
    let rig = Rig::new().await;
    let steps = rig.gate(None).await;
    assert!(steps > 12, "a gated run has only {steps} effects");
    for kill_at in 0..steps {
        rig.gate(Some(Death::Before(kill_at))).await;
        rig.gate(Some(Death::After(kill_at))).await;
    }
    assert_eq!(rig.table.dead_letters(10).await.unwrap(), []);
    // Access tokens go with the answers.
    let items: BTreeMap<_, _> = leaks::recorded(&rig.endpoint)
        .await
        .into_iter()
        .filter_map(|key| {
            key.split_once(' ').filter(|(_, sk)| *sk == "TOKEN").map(|(pk, sk)| (pk.to_owned(), sk.to_owned()))
        })
        .collect();
    assert_eq!(items, BTreeMap::new());
    leaks::assert_none(&rig.hcp, &leaks::dump(&rig.endpoint).await, &[rig.checker]);
}
