//! What holds under races, crashes and bad luck: each test is a fault that was found once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use sluice_aws::Table;
use sluice_domain::ports::{
    Around, CreatedRun, DownloadUrl, FactStore, Inbox, Known, ListPage, Pause, Recorded, Runs, StateVersion, States,
    StoreError, Tallies, Tally, TerraformError, Worklist, WorkspaceFound, Write,
};
use sluice_domain::{
    Cause, Claimed, Decision, Digest, Edge, Facts, Findings, Graph, InputsKey, Marker, Order, Organization, Outputs,
    Policy, Queue, Read, RunKind, RunReport, Seen, Standing, StateFacts, SurveyScope, Timestamp, Verdict, WorkKey,
    Workspace, WorkspaceId, decide,
};
use sluice_local::store::Embedded;
use sluice_run_creator::Creator;
use sluice_state_indexer::Indexer;
use sluice_tests::hcp::{ApiFault, ApiMishap, Route, RunOptions};
use tokio::sync::Notify;

use crate::world::{Settings, World, add};

const T: u64 = 1_800_000_000_000;
const NOW: Timestamp = Timestamp(T);

fn ws(name: &str) -> Workspace {
    format!("app.terraform.io/acme/{name}").parse().unwrap()
}

fn outs(n: u8) -> Outputs {
    Outputs::from([("id".to_owned(), Digest([n; 16]))])
}

fn state(version: &str, serial: u64, at: u64) -> StateFacts {
    let facts = StateFacts::new(version.parse().unwrap(), serial, None, Timestamp(at));
    StateFacts { lineage: "l".into(), ..facts }
}

fn producer(n: u8, at: u64) -> Facts {
    Facts {
        id: Some("ws-p".parse().unwrap()),
        state: Some(state(&format!("sv-{n}-{at}"), n.into(), at)),
        outputs: outs(n),
        ..Facts::default()
    }
}

fn reader(of: &[(&str, u8)]) -> Facts {
    let producers = of.iter().map(|(name, n)| (ws(name), Edge { observed: outs(*n), ..Edge::default() })).collect();
    Facts { id: Some("ws-c".parse().unwrap()), producers, ..Facts::default() }
}

fn report(name: &str, run: &str, standing: Standing, created_at: u64) -> RunReport {
    RunReport {
        workspace: ws(name),
        workspace_id: "ws-1".parse().unwrap(),
        run: run.parse().unwrap(),
        created_at: Timestamp(created_at),
        standing,
        at: Timestamp(created_at),
        marker: None,
    }
}

fn key_of(report: &RunReport) -> WorkKey {
    WorkKey::Run(report.workspace.clone(), report.run.clone())
}

fn facts(name: &str, facts: Facts) -> Write {
    Write::Facts { workspace: ws(name), facts: Box::new(facts), version: 0 }
}

async fn known(table: &Table, name: &str) -> Known {
    table.known(&BTreeSet::from([ws(name)])).await.unwrap().remove(&ws(name)).unwrap_or_default()
}

fn judged(world: &[(&str, Facts)], policy: &Policy, now: u64) -> BTreeMap<String, Decision> {
    let graph = Graph::new(world.iter().map(|(name, facts)| (ws(name), facts.clone())).collect());
    let decisions = decide(&graph, policy, Timestamp(now));
    decisions.into_iter().enumerate().map(|(n, d)| (graph.workspace(n).name.clone(), d)).collect()
}

#[derive(Default)]
struct FakeStates {
    current: Mutex<Option<StateVersion>>,
    findings: Mutex<BTreeMap<String, Findings>>,
    /// The version whose download hangs until the gate opens.
    slow: Mutex<Option<String>>,
    hangs: AtomicBool,
    /// The token may not see runs for the moment.
    blind: AtomicBool,
    gate: Notify,
    reading: Notify,
}

impl FakeStates {
    fn now_is(&self, facts: StateFacts, findings: Findings) {
        self.findings.lock().unwrap().insert(facts.version.to_string(), findings);
        *self.current.lock().unwrap() =
            Some(StateVersion { facts, download: DownloadUrl(String::new()), may_read_others: true });
    }
}

impl States for FakeStates {
    async fn current_state(&self, _: &WorkspaceId) -> Result<Option<StateVersion>, TerraformError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(self.current.lock().unwrap().clone())
    }

    async fn read_state(&self, _: &Workspace, version: &StateVersion) -> Result<Findings, TerraformError> {
        let name = version.facts.version.to_string();
        let slow = self.slow.lock().unwrap().as_ref() == Some(&name);
        if slow {
            self.reading.notify_one();
            self.gate.notified().await;
        }
        Ok(self.findings.lock().unwrap()[&name].clone())
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<WorkspaceFound>, TerraformError> {
        let blind = self.blind.load(Ordering::SeqCst);
        Ok((!blind).then(|| WorkspaceFound { id: id.clone(), name: "p".into(), tagged: None }))
    }

    async fn workspaces(&self, _: &Organization, _: SurveyScope, _: u32) -> Result<Option<ListPage>, TerraformError> {
        Ok(None)
    }

    async fn is_whole(&self, _: &RunReport) -> Result<bool, TerraformError> {
        Ok(true)
    }

    async fn run(&self, report: &RunReport) -> Result<Option<RunReport>, TerraformError> {
        Ok((!self.blind.load(Ordering::SeqCst)).then(|| report.clone()))
    }
}

fn findings(n: u8) -> Findings {
    Findings { lineage: "l".into(), outputs: outs(n), producers: Some(BTreeMap::new()), empty: false }
}

fn indexer<S>(store: S, terraform: FakeStates) -> Indexer<S, FakeStates> {
    let (bulk, policy) = (FakeStates::default(), Policy::default());
    Indexer { store, terraform, bulk, policy, watch_ms: 600_000, survey_ms: 300_000 }
}

#[tokio::test]
async fn a_run_queued_behind_a_forgotten_plan_does_not_freeze_those_below() {
    let policy = Policy { person_wait_ms: 400, ..Policy::default() };
    let world = World::with(Settings { policy, ..Settings::default() }, |hcp| {
        add(hcp, "a\n b: a\n c: a b");
        hcp.auto_apply("b", false);
    })
    .await;
    world.change("a");
    world.until_runs("b", 1).await;
    // Somebody pushes to b meanwhile: HCP queues that run behind the plan that nobody confirms.
    world.hcp.start_run("b", RunOptions::new("a push"));
    world.until_runs("c", 1).await;
}

#[tokio::test]
async fn a_slow_download_does_not_overwrite_a_newer_state() {
    let store = Embedded::open(None).await.unwrap();
    let table = store.table.clone();
    let indexer = indexer(table.clone(), FakeStates::default());
    let (one, two) = (report("p", "run-1", Standing::Applied, T), report("p", "run-2", Standing::Applied, T + 1_000));
    indexer.terraform.now_is(state("sv-1", 1, T + 500), findings(1));
    *indexer.terraform.slow.lock().unwrap() = Some("sv-1".into());
    table.record(&one, NOW).await.unwrap();
    let first = async { sluice_state_indexer::handle(&indexer, &key_of(&one), NOW).await.unwrap() };
    let second = async {
        indexer.terraform.reading.notified().await;
        indexer.terraform.now_is(state("sv-2", 2, T + 1_500), findings(2));
        table.record(&two, NOW).await.unwrap();
        sluice_state_indexer::handle(&indexer, &key_of(&two), NOW).await.unwrap();
        assert_eq!(known(&table, "p").await.facts.state.unwrap().version.as_str(), "sv-2");
        indexer.terraform.gate.notify_one();
    };
    tokio::join!(first, second);
    let facts = known(&table, "p").await.facts;
    assert_eq!(facts.state.unwrap().version.as_str(), "sv-2", "the older state came back");
}

#[tokio::test]
async fn late_news_of_a_deleted_workspace_does_not_remove_its_namesake() {
    let mut world = World::of("a\n b: a\n c: b").await;
    let old = world.hcp.workspace_id("b");
    world.hcp.delete("b");
    add(&world.hcp, "b: a");
    world.hcp.notify("b", &format!("{}/notifications", world.url), crate::world::TOKEN);
    world.hcp.start_run("b", RunOptions::new("first run of the new one"));
    world.rest().await;
    world.learn().await;
    assert!(world.known("b").await.facts.id.is_some());
    let late = RunReport {
        workspace: world.workspace("b"),
        workspace_id: old.parse().unwrap(),
        run: "run-ofold".parse().unwrap(),
        created_at: sluice_lambda::now(),
        standing: Standing::NoChanges,
        at: sluice_lambda::now(),
        marker: None,
    };
    world.table.record(&late, sluice_lambda::now()).await.unwrap();
    world.rest().await;
    world.change("a");
    world.rest().await;
    assert_eq!(world.counts(), "a 1, b 1, c 1", "facts of b: {:?}", world.known("b").await.facts.id);
}

#[tokio::test]
async fn consumers_of_a_workspace_that_is_made_anew_are_not_forgotten() {
    let world = World::of("a\n b: a\n c: b").await;
    world.hcp.delete("b");
    world.change("a");
    world.rest().await;
    // The same happens when API_TOKEN may not see b for a while: HCP answers 404 for both.
    add(&world.hcp, "b: a");
    world.hcp.notify("b", &format!("{}/notifications", world.url), crate::world::TOKEN);
    world.hcp.start_run("b", RunOptions::new("first run of the new one"));
    world.rest().await;
    assert!(
        world.hcp.outdated().is_empty(),
        "nobody ran {:?}; {}: {}",
        world.hcp.outdated(),
        world.counts(),
        world.decision("c").await
    );
}

#[tokio::test]
async fn a_workspace_renamed_while_it_runs_does_not_hold_its_readers_for_ever() {
    let policy = Policy { person_wait_ms: 300, ..Policy::default() };
    let settings = Settings { watch_ms: 200, policy, ..Settings::default() };
    let world = World::with(settings, |hcp| add(hcp, "a\n d\n c: a d")).await;
    world.hcp.lock("a");
    world.hcp.start_run("a", RunOptions::new("a push"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.hcp.rename("a", "a-two");
    world.hcp.unlock("a-two");
    world.hcp.settled().await;
    world.change("d");
    world.until_runs("c", 1).await;
}

#[test]
fn late_news_of_an_older_success_does_not_lift_a_refusal() {
    let producers = BTreeMap::from([(ws("p"), producer(2, T + 100))]);
    let mut c = reader(&[("p", 1)]);
    // run-2 was created after p's state, saw it and failed. Its news comes first.
    c.end(&ws("c"), &report("c", "run-2", Standing::Errored, T + 200), None, &producers, Seen::All, NOW);
    let world = [("p", producer(2, T + 100)), ("c", c.clone())];
    assert_eq!(judged(&world, &Policy::default(), T)["c"].verdict.word(), "refused");
    // Then comes the older run-1, which was over before p's state was there.
    c.end(&ws("c"), &report("c", "run-1", Standing::Applied, T), None, &producers, Seen::All, NOW);
    let world = [("p", producer(2, T + 100)), ("c", c)];
    let decision = &judged(&world, &Policy::default(), T)["c"];
    assert_eq!(decision.verdict.word(), "refused", "c {decision}");
}

#[test]
fn a_run_that_saw_more_than_it_was_ordered_for_and_failed_is_not_repeated() {
    let world = |c: Facts| [("p", producer(2, T + 100)), ("q", producer(4, T + 300)), ("c", c)];
    let c = reader(&[("p", 1), ("q", 4)]);
    // Ordered for p's change; while the order waits (429, 5xx) q changes too, and only then the run is created.
    let before = [("p", producer(2, T + 100)), ("q", producer(4, T + 50)), ("c", c.clone())];
    let graph = Graph::new(before.iter().map(|(name, facts)| (ws(name), facts.clone())).collect());
    let decisions = decide(&graph, &Policy::default(), NOW);
    let order = Order::of(&ws("c"), &decisions[graph.number(&ws("c")).unwrap()], &graph, NOW).unwrap();
    let mut c = reader(&[("p", 1), ("q", 3)]);
    let mut pending = report("c", "run-1", Standing::Pending, T + 400);
    pending.marker = Some(order.marker.clone());
    c.hear(&pending, Some(&order));
    assert_eq!(judged(&world(c.clone()), &Policy::default(), T)["c"].verdict.word(), "adopt");
    let producers = BTreeMap::from([(ws("p"), producer(2, T + 100)), (ws("q"), producer(4, T + 300))]);
    let mut failed = report("c", "run-1", Standing::Errored, T + 400);
    failed.marker = Some(order.marker.clone());
    c.end(&ws("c"), &failed, Some(&order), &producers, Seen::All, NOW);
    let decision = &judged(&world(c), &Policy::default(), T)["c"];
    assert_eq!(decision.verdict.word(), "refused", "run-1 saw all of it and failed, and yet c {decision}");
}

#[derive(Default)]
struct FakeRuns {
    created: AtomicU32,
    /// Created, but the answer is not understood.
    garbles: AtomicBool,
}

impl Runs for FakeRuns {
    async fn create_run(&self, _: &WorkspaceId, _: &str, _: RunKind) -> Result<CreatedRun, TerraformError> {
        let n = self.created.fetch_add(1, Ordering::SeqCst) + 1;
        if self.garbles.swap(false, Ordering::SeqCst) {
            return Err(TerraformError::BadAnswer { action: "creating a run", detail: "not JSON".into() });
        }
        Ok(CreatedRun { run: format!("run-{n}").parse().unwrap(), created_at: NOW })
    }

    async fn find_run(&self, _: &WorkspaceId, _: &Marker, _: RunKind) -> Result<Option<CreatedRun>, TerraformError> {
        let some = self.created.load(Ordering::SeqCst) > 0;
        Ok(some.then(|| CreatedRun { run: "run-1".parse().unwrap(), created_at: NOW }))
    }

    async fn workspace_named(&self, workspace: &Workspace) -> Result<Option<WorkspaceFound>, TerraformError> {
        let id = "ws-1".parse().unwrap();
        Ok(Some(WorkspaceFound { id, name: workspace.name.clone(), tagged: None }))
    }
}

fn order() -> Order {
    let producer = ws("p");
    Order {
        inputs: InputsKey(Digest([7; 16])),
        marker: Marker("sluice-0011223344556677".into()),
        causes: vec![Cause { producer, outputs: vec!["id".into()] }],
        kind: RunKind::Apply,
        wave: None,
        newest: NOW,
        decided_at: NOW,
    }
}

#[tokio::test]
async fn a_dead_order_that_may_have_had_its_effect_is_looked_for_when_it_is_replayed() {
    let store = Embedded::open(None).await.unwrap();
    let table = store.table.clone();
    table.commit(&[facts("c", reader(&[])), Write::Order { workspace: ws("c"), order: order() }]).await.unwrap();
    let creator =
        Creator { store: table.clone(), terraform: FakeRuns::default(), policy: Policy::default(), watch_ms: 600_000 };
    creator.terraform.garbles.store(true, Ordering::SeqCst);
    let key = WorkKey::Create(ws("c"));
    sluice_run_creator::handle(&creator, &key, NOW).await.unwrap();
    assert!(table.replay(&key, NOW).await.unwrap(), "it is a dead letter");
    sluice_run_creator::handle(&creator, &key, NOW).await.unwrap();
    assert_eq!(creator.terraform.created.load(Ordering::SeqCst), 1, "created twice for the same inputs");
}

#[tokio::test]
async fn an_order_that_waits_is_not_carried_out_once_a_person_has_failed_with_the_same_inputs() {
    let store = Embedded::open(None).await.unwrap();
    let table = store.table.clone();
    let run = Some("run-9".parse().unwrap());
    let decision =
        Decision { verdict: Verdict::Refused { run, why: "errored".into() }, causes: Vec::new(), inputs: None };
    let refused = Write::Decision { workspace: ws("c"), decision, at: NOW };
    let ordered = Write::Order { workspace: ws("c"), order: order() };
    table.commit(&[facts("c", reader(&[])), ordered, refused]).await.unwrap();
    let terraform = FakeRuns::default();
    let creator = Creator { store: table.clone(), terraform, policy: Policy::default(), watch_ms: 600_000 };
    sluice_run_creator::handle(&creator, &WorkKey::Create(ws("c")), NOW).await.unwrap();
    assert_eq!(creator.terraform.created.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_order_that_waits_is_not_carried_out_once_a_person_ran_the_workspace() {
    let world = World::of("a\n b: a").await;
    world.hcp.faults(|faults| faults.api.push(ApiFault::next(Route::CreateRun, 2, ApiMishap::Status(503))));
    world.change("a");
    while !world.known("b").await.ordered {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.hcp.start_run("b", RunOptions::new("a person is quicker"));
    world.rest().await;
    assert_eq!(world.counts(), "a 1, b 1", "b {}", world.decision("b").await);
}

/// A dead letter is replayed long after a person has put things right.
#[tokio::test]
async fn a_replayed_order_that_is_out_of_date_makes_no_run() {
    let world = World::of("a\n b: a").await;
    world.hcp.unconfigure("b");
    world.change("a");
    world.rest().await;
    world.hcp.touch("b");
    world.hcp.start_run("b", RunOptions::new("a person puts it right"));
    world.rest().await;
    assert_eq!(world.decision("b").await, "nothing it reads has changed");
    for letter in world.table.dead_letters(10).await.unwrap() {
        world.table.replay(&letter.key, sluice_lambda::now()).await.unwrap();
    }
    world.rest().await;
    assert_eq!(world.counts(), "a 1, b 1");
}

/// Works a run's news until it is not due within the hour.
async fn work_off(indexer: &Indexer<Table, FakeStates>, key: &WorkKey) -> Timestamp {
    let mut now = NOW;
    for _ in 0..4_000 {
        sluice_state_indexer::handle(indexer, key, now).await.unwrap();
        now = now.plus_ms(10_000);
        if !indexer.store.due_soon(now).await.contains(key) {
            break;
        }
    }
    now
}

trait DueSoon {
    async fn due_soon(&self, now: Timestamp) -> Vec<WorkKey>;
}

impl DueSoon for Table {
    async fn due_soon(&self, now: Timestamp) -> Vec<WorkKey> {
        use sluice_domain::ports::Bell;
        self.due(Queue::Index, now.plus_ms(3_600_000), 100).await.unwrap()
    }
}

#[tokio::test]
async fn a_state_that_becomes_current_a_minute_late_is_read_all_the_same() {
    let store = Embedded::open(None).await.unwrap();
    let indexer = indexer(store.table.clone(), FakeStates::default());
    indexer.terraform.now_is(state("sv-0", 0, T - 1_000_000), findings(0));
    store.table.commit(&[facts("p", producer(0, T - 1_000_000))]).await.unwrap();
    let one = report("p", "run-1", Standing::Applied, T);
    store.table.record(&one, NOW).await.unwrap();
    for second in 0..1_200 {
        if second == 60 {
            indexer.terraform.now_is(state("sv-1", 1, T + 500), findings(1));
        }
        sluice_state_indexer::handle(&indexer, &key_of(&one), NOW.plus_ms(second * 1_000)).await.unwrap();
    }
    let outputs = known(&store.table, "p").await.facts.outputs;
    assert_eq!(outputs, outs(1), "dead letters: {:?}", store.table.dead_letters(10).await.unwrap());
}

#[tokio::test]
async fn facts_that_do_not_fit_leave_no_run_active_for_ever() {
    let store = Embedded::open(None).await.unwrap();
    let indexer = indexer(store.table.clone(), FakeStates::default());
    let running = report("p", "run-1", Standing::Planning, T);
    store.table.record(&running, NOW).await.unwrap();
    sluice_state_indexer::handle(&indexer, &key_of(&running), NOW).await.unwrap();
    // 12 producers with 800 outputs each: every one far below OUTPUTS_MAX.
    let read = |p: u8| Read {
        observed: (0..800).map(|n| (format!("private_subnet_ids_{n:04}"), Digest([p; 16]))).collect(),
        ..Read::default()
    };
    let producers = (0..12).map(|p| (ws(&format!("net-{p}")), read(p))).collect();
    indexer.terraform.now_is(state("sv-1", 1, T + 500), Findings { producers: Some(producers), ..findings(1) });
    let ended = report("p", "run-1", Standing::Applied, T);
    store.table.record(&ended, NOW).await.unwrap();
    let now = work_off(&indexer, &key_of(&ended)).await;
    let active = known(&store.table, "p").await.facts.active;
    assert!(
        active.is_empty(),
        "{} s later: {active:?}, {:?}",
        now.since_ms(NOW) / 1000,
        store.table.dead_letters(9).await.unwrap()
    );
}

#[tokio::test]
async fn work_that_dies_every_time_becomes_a_dead_letter_one_day() {
    let store = Embedded::open(None).await.unwrap();
    let indexer = indexer(store.table.clone(), FakeStates::default());
    let one = report("p", "run-1", Standing::Applied, T);
    store.table.record(&one, NOW).await.unwrap();
    // The function is killed at its time limit, as with a state file that takes too long.
    indexer.terraform.hangs.store(true, Ordering::SeqCst);
    let (key, mut now) = (key_of(&one), NOW);
    for _ in 0..200 {
        let handled = sluice_state_indexer::handle(&indexer, &key, now);
        let _ = tokio::time::timeout(Duration::from_millis(20), handled).await;
        now = now.plus_ms(sluice_state_indexer::LEASE_MS);
    }
    let dead = store.table.dead_letters(10).await.unwrap();
    assert_eq!(dead.len(), 1, "tried 200 times, and nobody is told");
}

struct Dying {
    table: Table,
    dies: AtomicBool,
}

impl FactStore for Dying {
    async fn around(&self, workspace: &Workspace) -> Result<Around, StoreError> {
        self.table.around(workspace).await
    }
    async fn known(&self, workspaces: &BTreeSet<Workspace>) -> Result<BTreeMap<Workspace, Known>, StoreError> {
        self.table.known(workspaces).await
    }
    async fn facts(&self, workspaces: &BTreeSet<Workspace>) -> Result<BTreeMap<Workspace, Known>, StoreError> {
        self.table.facts(workspaces).await
    }
    async fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        let decides = writes.iter().any(|write| matches!(write, Write::Decision { .. }));
        self.table.commit(writes).await?;
        // What was to follow the first decision does not.
        if decides && self.dies.swap(false, Ordering::SeqCst) {
            return Err(StoreError::Unavailable { action: "anything", source: "throttled".into() });
        }
        Ok(())
    }
}

impl Worklist for Dying {
    async fn claim(&self, key: &WorkKey, now: Timestamp, lease_ms: u64) -> Result<Option<Claimed>, StoreError> {
        self.table.claim(key, now, lease_ms).await
    }
    async fn complete(&self, claimed: &Claimed) -> Result<(), StoreError> {
        self.table.complete(claimed).await
    }
    async fn postpone(&self, claimed: &Claimed, until: Timestamp, why: Option<&str>) -> Result<(), StoreError> {
        self.table.postpone(claimed, until, why).await
    }
    async fn defer(&self, claimed: &Claimed, until: Timestamp, fault: &str, tried: bool) -> Result<(), StoreError> {
        self.table.defer(claimed, until, fault, tried).await
    }
    async fn bury(&self, claimed: &Claimed, now: Timestamp, fault: &str) -> Result<(), StoreError> {
        self.table.bury(claimed, now, fault).await
    }
}

impl Tallies for Dying {
    async fn join(&self, tally: &Tally, run: &str, most: u32, now: Timestamp) -> Result<bool, StoreError> {
        self.table.join(tally, run, most, now).await
    }
    async fn leave(&self, tally: &Tally, run: &str) -> Result<(), StoreError> {
        self.table.leave(tally, run).await
    }
    async fn counted(&self, tally: &Tally) -> Result<BTreeSet<String>, StoreError> {
        self.table.counted(tally).await
    }
    async fn paused(&self) -> Result<Option<Pause>, StoreError> {
        self.table.paused().await
    }
    async fn set_paused(&self, pause: Option<&Pause>) -> Result<(), StoreError> {
        self.table.set_paused(pause).await
    }
}

impl Inbox for Dying {
    async fn record(&self, report: &RunReport, now: Timestamp) -> Result<Recorded, StoreError> {
        self.table.record(report, now).await
    }
}

#[tokio::test]
async fn those_who_wait_are_woken_even_if_one_read_of_the_table_failed() {
    let store = Embedded::open(None).await.unwrap();
    let table = store.table.clone();
    let wait = |on: &str| Decision { verdict: Verdict::Wait { on: ws(on) }, causes: Vec::new(), inputs: None };
    // p was about to make `a` run, so c waits for a; then p went back to what a has seen.
    table
        .commit(&[
            facts("p", producer(1, T)),
            facts("a", reader(&[("p", 1)])),
            facts("q", producer(2, T)),
            facts("c", reader(&[("a", 1), ("q", 1)])),
            Write::Consumer { producer: ws("p"), consumer: ws("a") },
            Write::Consumer { producer: ws("a"), consumer: ws("c") },
            Write::Consumer { producer: ws("q"), consumer: ws("c") },
            Write::Decision { workspace: ws("a"), decision: wait("p"), at: NOW },
            Write::Decision { workspace: ws("c"), decision: wait("a"), at: NOW },
            Write::Waiter { holder: ws("a"), waiter: ws("c"), until: NOW.plus_ms(3_600_000) },
            Write::Look { workspace: ws("p"), at: NOW },
        ])
        .await
        .unwrap();
    let indexer = indexer(Dying { table: table.clone(), dies: AtomicBool::new(true) }, FakeStates::default());
    for n in 0..4 {
        let now = NOW.plus_ms(n * 150_000);
        for key in sluice_sweeper::due(&table, now).await.unwrap() {
            sluice_state_indexer::handle(&indexer, &key, now).await.unwrap();
        }
    }
    let decision = known(&table, "c").await.decision.unwrap();
    assert_eq!(decision.verdict, Verdict::Run, "seven minutes later c {decision}");
}

/// HCP answers 404 to a token that may not see a run just now.
#[tokio::test]
async fn a_run_that_was_not_to_be_seen_for_a_moment_is_taken_in_when_it_applies() {
    let store = Embedded::open(None).await.unwrap();
    let table = store.table.clone();
    let indexer = indexer(table.clone(), FakeStates::default());
    let waits = report("p", "run-1", Standing::AwaitingPerson, T);
    table.record(&waits, NOW).await.unwrap();
    sluice_state_indexer::handle(&indexer, &key_of(&waits), NOW).await.unwrap();
    indexer.terraform.blind.store(true, Ordering::SeqCst);
    let later = NOW.plus_ms(600_000);
    sluice_state_indexer::handle(&indexer, &key_of(&waits), later).await.unwrap();
    sluice_state_indexer::handle(&indexer, &key_of(&waits), later).await.unwrap();
    indexer.terraform.blind.store(false, Ordering::SeqCst);
    // A person confirms it, and it applies.
    indexer.terraform.now_is(state("sv-1", 1, T + 900_000), findings(1));
    let applied = report("p", "run-1", Standing::Applied, T);
    assert_eq!(
        table.record(&applied, later.plus_ms(400_000)).await.unwrap(),
        Recorded::New,
        "it was taken for canceled, so its end is old news"
    );
}

#[tokio::test]
async fn a_state_that_was_rolled_back_by_force_is_read() {
    let store = Embedded::open(None).await.unwrap();
    let indexer = indexer(store.table.clone(), FakeStates::default());
    let mut before = producer(2, T - 1_000_000);
    before.state = Some(state("sv-10", 10, T - 1_000_000));
    store.table.commit(&[facts("p", before)]).await.unwrap();
    // `terraform state push -force` of an old serial, and a run on top of it: serial 6 is current, and newer.
    indexer.terraform.now_is(state("sv-6", 6, T + 500), findings(6));
    let one = report("p", "run-1", Standing::Applied, T);
    store.table.record(&one, NOW).await.unwrap();
    work_off(&indexer, &key_of(&one)).await;
    assert_eq!(known(&store.table, "p").await.facts.outputs, outs(6));
}

#[tokio::test]
async fn news_of_a_run_that_is_watched_does_not_expire() {
    let store = Embedded::open(None).await.unwrap();
    let table = store.table.clone();
    let indexer = indexer(table.clone(), FakeStates::default());
    let waits = report("p", "run-1", Standing::AwaitingPerson, T);
    table.record(&waits, NOW).await.unwrap();
    let mut now = NOW;
    for _ in 0..40 {
        sluice_state_indexer::handle(&indexer, &key_of(&waits), now).await.unwrap();
        now = now.plus_ms(24 * 3_600_000);
    }
    let vars = [
        ("AWS_ENDPOINT_URL_DYNAMODB", store.endpoint.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "l"),
        ("AWS_SECRET_ACCESS_KEY", "l"),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let client = sluice_aws::client(&vars).unwrap();
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let item = client
        .get_item()
        .table_name("sluice")
        .key("pk", text("RUN#app.terraform.io/acme/p/run-1"))
        .key("sk", text("RUN"));
    let item = item.send().await.unwrap().item.unwrap();
    assert!(item.contains_key("due_at"));
    let expires = item.get("expires_at").map(|at| at.as_n().unwrap().parse::<u64>().unwrap());
    assert!(expires.is_none_or(|at| at > now.seconds()), "it is watched on day 40, but DynamoDB removed it on day 30");
}

#[test]
fn a_workspace_that_reads_itself_settles() {
    let mut c = reader(&[("c", 1)]);
    let read = Read { observed: outs(1), ..Read::default() };
    let found = Findings { producers: Some(BTreeMap::from([(ws("c"), read)])), ..findings(2) };
    c.learn(state("sv-2", 2, T + 500), found, NOW);
    let producers = BTreeMap::from([(ws("c"), c.clone())]);
    c.end(&ws("c"), &report("c", "run-1", Standing::Applied, T), None, &producers, Seen::All, NOW);
    let decision = &judged(&[("c", c)], &Policy::default(), T)["c"];
    assert_eq!(decision.verdict, Verdict::Settled, "{decision}");
}
