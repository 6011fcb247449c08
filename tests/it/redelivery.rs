//! Every step of a wave, killed there: the process dies before or after each of its effects, another one takes over
//! when the leases have run out, and in the end the runs are those of the calm wave.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use sluice_aws::{Table, TablePace};
use sluice_domain::pace::Paced;
use sluice_domain::ports::{
    Around, CreatedRun, FactStore, Inbox, Known, ListPage, Pause, Recorded, Runs, StateVersion, States, StoreError,
    Tallies, Tally, TerraformError, Worklist, WorkspaceFound, Write,
};
use sluice_domain::{
    Claimed, Findings, Marker, Organization, Policy, RunKind, RunReport, SurveyScope, Timestamp, WorkKey, Workspace,
    WorkspaceId,
};
use sluice_hcp_client::Client;
use sluice_lambda::now;
use sluice_local::store::Embedded;
use sluice_notification_receiver::Receiver;
use sluice_run_creator::Creator;
use sluice_state_indexer::Indexer;
use sluice_tests::hcp::{Hcp, Options, RunOptions, Timings};
use tokio::net::TcpListener;

use crate::world::{Settings, TOKEN, add, build};

/// When the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    Before(usize),
    After(usize),
}

/// One process's life, counted in effects.
pub struct Life {
    pub effects: AtomicUsize,
    death: Option<Death>,
    dead: AtomicBool,
}

impl Life {
    pub fn new(death: Option<Death>) -> Arc<Self> {
        Arc::new(Self { effects: AtomicUsize::new(0), death, dead: AtomicBool::new(false) })
    }

    pub fn dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Does something that leaves a trace, unless the process dies first.
    pub async fn effect<R, E>(&self, effect: impl Future<Output = Result<R, E>>, error: fn() -> E) -> Result<R, E> {
        let number = self.effects.fetch_add(1, Ordering::SeqCst);
        let here = |death: fn(usize) -> Death| self.death == Some(death(number));
        if self.dead() || here(Death::Before) {
            self.dead.store(true, Ordering::SeqCst);
            return Err(error());
        }
        let result = effect.await;
        if here(Death::After) {
            self.dead.store(true, Ordering::SeqCst);
            return Err(error());
        }
        result
    }

    pub async fn look<R, E>(&self, look: impl Future<Output = Result<R, E>>, error: fn() -> E) -> Result<R, E> {
        if self.dead() { Err(error()) } else { look.await }
    }
}

pub fn no_store() -> StoreError {
    StoreError::Unavailable { action: "anything", source: "the process is dead".into() }
}

pub fn no_terraform() -> TerraformError {
    TerraformError::Unreachable { action: "anything", source: "the process is dead".into() }
}

/// Something that dies with the process.
pub struct Mortal<T> {
    pub inner: T,
    pub life: Arc<Life>,
}

impl Inbox for Mortal<Table> {
    async fn record(&self, report: &RunReport, now: Timestamp) -> Result<Recorded, StoreError> {
        self.life.effect(self.inner.record(report, now), no_store).await
    }
}

impl Worklist for Mortal<Table> {
    async fn claim(&self, key: &WorkKey, now: Timestamp, lease_ms: u64) -> Result<Option<Claimed>, StoreError> {
        self.life.effect(self.inner.claim(key, now, lease_ms), no_store).await
    }

    async fn complete(&self, claimed: &Claimed) -> Result<(), StoreError> {
        self.life.effect(self.inner.complete(claimed), no_store).await
    }

    async fn postpone(&self, claimed: &Claimed, until: Timestamp, why: Option<&str>) -> Result<(), StoreError> {
        self.life.effect(self.inner.postpone(claimed, until, why), no_store).await
    }

    async fn defer(&self, claimed: &Claimed, until: Timestamp, fault: &str, tried: bool) -> Result<(), StoreError> {
        self.life.effect(self.inner.defer(claimed, until, fault, tried), no_store).await
    }

    async fn bury(&self, claimed: &Claimed, now: Timestamp, fault: &str) -> Result<(), StoreError> {
        self.life.effect(self.inner.bury(claimed, now, fault), no_store).await
    }
}

impl FactStore for Mortal<Table> {
    async fn around(&self, workspace: &Workspace) -> Result<Around, StoreError> {
        self.life.look(self.inner.around(workspace), no_store).await
    }

    async fn known(&self, workspaces: &BTreeSet<Workspace>) -> Result<BTreeMap<Workspace, Known>, StoreError> {
        self.life.look(self.inner.known(workspaces), no_store).await
    }

    async fn facts(&self, workspaces: &BTreeSet<Workspace>) -> Result<BTreeMap<Workspace, Known>, StoreError> {
        self.life.look(self.inner.facts(workspaces), no_store).await
    }

    async fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.life.effect(self.inner.commit(writes), no_store).await
    }
}

impl Tallies for Mortal<Table> {
    async fn join(&self, tally: &Tally, run: &str, most: u32, now: Timestamp) -> Result<bool, StoreError> {
        self.life.effect(self.inner.join(tally, run, most, now), no_store).await
    }

    async fn leave(&self, tally: &Tally, run: &str) -> Result<(), StoreError> {
        self.life.effect(self.inner.leave(tally, run), no_store).await
    }

    async fn counted(&self, tally: &Tally) -> Result<BTreeSet<String>, StoreError> {
        self.life.look(self.inner.counted(tally), no_store).await
    }

    async fn paused(&self) -> Result<Option<Pause>, StoreError> {
        self.life.look(self.inner.paused(), no_store).await
    }

    async fn set_paused(&self, pause: Option<&Pause>) -> Result<(), StoreError> {
        self.life.effect(self.inner.set_paused(pause), no_store).await
    }
}

impl<T: States + Send> States for Mortal<T> {
    async fn current_state(&self, workspace: &WorkspaceId) -> Result<Option<StateVersion>, TerraformError> {
        self.life.look(self.inner.current_state(workspace), no_terraform).await
    }

    async fn read_state(&self, workspace: &Workspace, version: &StateVersion) -> Result<Findings, TerraformError> {
        self.life.look(self.inner.read_state(workspace, version), no_terraform).await
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<WorkspaceFound>, TerraformError> {
        self.life.look(self.inner.workspace(id), no_terraform).await
    }

    async fn workspaces(
        &self,
        organization: &Organization,
        scope: SurveyScope,
        page: u32,
    ) -> Result<Option<ListPage>, TerraformError> {
        self.life.look(self.inner.workspaces(organization, scope, page), no_terraform).await
    }

    async fn is_whole(&self, report: &RunReport) -> Result<bool, TerraformError> {
        self.life.look(self.inner.is_whole(report), no_terraform).await
    }

    async fn run(&self, report: &RunReport) -> Result<Option<RunReport>, TerraformError> {
        self.life.look(self.inner.run(report), no_terraform).await
    }
}

impl<T: Runs + Send> Runs for Mortal<T> {
    async fn create_run(&self, id: &WorkspaceId, message: &str, kind: RunKind) -> Result<CreatedRun, TerraformError> {
        self.life.effect(self.inner.create_run(id, message, kind), no_terraform).await
    }

    async fn find_run(
        &self,
        id: &WorkspaceId,
        marker: &Marker,
        kind: RunKind,
    ) -> Result<Option<CreatedRun>, TerraformError> {
        self.life.look(self.inner.find_run(id, marker, kind), no_terraform).await
    }

    async fn workspace_named(&self, workspace: &Workspace) -> Result<Option<WorkspaceFound>, TerraformError> {
        self.life.look(self.inner.workspace_named(workspace), no_terraform).await
    }
}

type Terraform = Mortal<Paced<Client, TablePace>>;

/// One process that works by hand, one piece at a time.
struct Process {
    indexer: Indexer<Mortal<Table>, Terraform>,
    creator: Creator<Mortal<Table>, Terraform>,
    life: Arc<Life>,
}

impl Process {
    fn start(hcp: &Hcp, table: &Table, death: Option<Death>) -> Self {
        let life = Life::new(death);
        let parts = build(hcp, table, Settings::default());
        let store = || Mortal { inner: table.clone(), life: life.clone() };
        let indexer = Indexer {
            store: store(),
            terraform: Mortal { inner: parts.indexer.terraform, life: life.clone() },
            bulk: Mortal { inner: parts.indexer.bulk, life: life.clone() },
            policy: Policy::default(),
            watch_ms: parts.indexer.watch_ms,
            survey_ms: parts.indexer.survey_ms,
        };
        let creator = Creator {
            store: store(),
            terraform: Mortal { inner: parts.creator.terraform, life: life.clone() },
            policy: Policy::default(),
            watch_ms: parts.creator.watch_ms,
        };
        Self { indexer, creator, life }
    }

    async fn handle(&self, key: &WorkKey, now: Timestamp) {
        let result = match key {
            WorkKey::Create(_) => sluice_run_creator::handle(&self.creator, key, now).await,
            _ => sluice_state_indexer::handle(&self.indexer, key, now).await,
        };
        assert!(result.is_ok() || self.life.dead(), "{key}: {result:?}");
    }
}

async fn receive(State(receiver): State<Arc<Receiver<Table>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let request = http::Request::from_parts(parts, body);
    sluice_notification_receiver::handle(&receiver, request, now()).await.map(axum::body::Body::from)
}

struct Rig {
    hcp: Hcp,
    table: Table,
    /// How far the process's clock is ahead, in milliseconds.
    ahead_ms: AtomicU64,
    _store: Embedded,
}

impl Rig {
    async fn new(workspaces: &str) -> Self {
        let timings = Timings::uniform(Duration::from_millis(2));
        let hcp = Hcp::start(Options { timings, ..Options::default() }).await;
        add(&hcp, workspaces);
        let store = Embedded::open(None).await.unwrap();
        let table = store.table.clone();
        let receiver = Arc::new(build(&hcp, &table, Settings::default()).receiver);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/notifications", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/notifications", axum::routing::post(receive)).with_state(receiver);
        tokio::spawn(async move { axum::serve(listener, router).await });
        hcp.notify_all(&url, TOKEN);
        let rig = Self { hcp, table, ahead_ms: AtomicU64::new(0), _store: store };
        for workspace in rig.hcp.workspaces() {
            rig.hcp.start_run(&workspace, RunOptions::new("first run"));
        }
        rig.work(&Process::start(&rig.hcp, &rig.table, None)).await;
        rig
    }

    fn now(&self) -> Timestamp {
        now().plus_ms(self.ahead_ms.load(Ordering::SeqCst))
    }

    /// Works until nothing moves, or the process is dead.
    async fn work(&self, process: &Process) {
        loop {
            self.hcp.settled().await;
            let due = sluice_sweeper::due(&self.table, self.now()).await.unwrap();
            for key in &due {
                process.handle(key, self.now()).await;
            }
            if process.life.dead() {
                return;
            }
            if due.is_empty() {
                let soon = self.now().plus_ms(150_000);
                if sluice_sweeper::due(&self.table, soon).await.unwrap().is_empty() {
                    return;
                }
                self.ahead_ms.fetch_add(1_000, Ordering::SeqCst);
            }
        }
    }

    /// A change runs through the organization; the process dies once, and another takes over.
    async fn wave(&self, death: Option<Death>) -> (usize, BTreeMap<String, usize>) {
        let before: BTreeMap<String, usize> = self.counts();
        self.hcp.change("a", "id", "2");
        self.hcp.start_run("a", RunOptions::new("a change"));
        let first = Process::start(&self.hcp, &self.table, death);
        self.work(&first).await;
        if first.life.dead() {
            // What the dead one had taken on is due when its leases end.
            self.ahead_ms.fetch_add(sluice_state_indexer::LEASE_MS, Ordering::SeqCst);
            self.work(&Process::start(&self.hcp, &self.table, None)).await;
        }
        let runs = self.counts().into_iter().map(|(name, count)| (name.clone(), count - before[&name])).collect();
        (first.life.effects.load(Ordering::SeqCst), runs)
    }

    fn counts(&self) -> BTreeMap<String, usize> {
        self.hcp.workspaces().into_iter().map(|name| (name.clone(), self.hcp.runs(&name).len())).collect()
    }
}

/// `c` reads both others, so it has to wait for `b`.
const WORKSPACES: &str = "a\n b: a\n c: a b";

async fn killed(death: Death) {
    let rig = Rig::new(WORKSPACES).await;
    let (_, runs) = rig.wave(Some(death)).await;
    assert!(runs.values().all(|count| *count == 1), "killed {death:?}: {runs:?} {:#?}", rig.hcp.history());
    assert!(rig.hcp.outdated().is_empty(), "killed {death:?}");
    assert_eq!(rig.table.dead_letters(10).await.unwrap(), [], "killed {death:?}");
}

#[tokio::test]
async fn a_process_that_dies_between_any_two_effects_loses_and_doubles_nothing() {
    let (steps, runs) = Rig::new(WORKSPACES).await.wave(None).await;
    assert!(runs.values().all(|count| *count == 1), "{runs:?}");
    assert!(steps > 20, "the wave has only {steps} effects");
    for kill_at in 0..steps {
        killed(Death::Before(kill_at)).await;
        killed(Death::After(kill_at)).await;
    }
}
