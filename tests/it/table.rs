//! The table behind the domain's ports, on an embedded DynamoDB-compatible store, through the real SDK.

use std::collections::{BTreeMap, BTreeSet};

use sluice_aws::Table;
use sluice_domain::ports::{Bell, FactStore, Inbox, Recorded, StoreError, Worklist, Write};
use sluice_domain::{
    Decision, Edge, Facts, InputsKey, Marker, Order, Queue, RunKind, RunReport, Standing, Timestamp, Verdict, WorkKey,
    Workspace,
};
use sluice_local::store::Embedded;

const NOW: Timestamp = Timestamp(1_000_000_000_000);
const LEASE_MS: u64 = 60_000;

fn workspace(name: &str) -> Workspace {
    format!("app.terraform.io/acme/{name}").parse().unwrap()
}

fn report(run: &str, standing: Standing) -> RunReport {
    RunReport {
        workspace: workspace("network"),
        workspace_id: "ws-1".parse().unwrap(),
        run: run.parse().unwrap(),
        created_at: NOW,
        standing,
        at: NOW,
        marker: None,
    }
}

fn key(report: &RunReport) -> WorkKey {
    WorkKey::Run(report.workspace.clone(), report.run.clone())
}

fn facts(workspace: &Workspace, version: u64, facts: &Facts) -> Write {
    Write::Facts { workspace: workspace.clone(), facts: Box::new(facts.clone()), version }
}

fn order() -> Order {
    Order {
        inputs: InputsKey("00112233445566778899aabbccddeeff".parse().unwrap()),
        marker: Marker("sluice-1".into()),
        causes: Vec::new(),
        kind: RunKind::Apply,
        wave: None,
        newest: NOW,
        decided_at: NOW,
    }
}

async fn table() -> (Table, Embedded) {
    let store = Embedded::open(None).await.unwrap();
    (store.table.clone(), store)
}

#[tokio::test]
async fn news_is_recorded_once_and_old_news_not_at_all() {
    let (table, _store) = table().await;
    let applied = report("run-1", Standing::Applied);
    assert_eq!(table.record(&report("run-1", Standing::Planning), NOW).await.unwrap(), Recorded::New);
    assert_eq!(table.record(&applied, NOW).await.unwrap(), Recorded::New);
    for late in [Standing::Pending, Standing::Planning, Standing::Applying, Standing::Applied] {
        assert_eq!(table.record(&report("run-1", late), NOW).await.unwrap(), Recorded::Known, "{late}");
    }
    let claimed = table.claim(&key(&applied), NOW, LEASE_MS).await.unwrap().unwrap();
    assert_eq!(claimed.task, sluice_domain::Task::Run(applied));
}

#[tokio::test]
async fn work_is_claimed_by_one_until_its_lease_ends() {
    let (table, _store) = table().await;
    let work = key(&report("run-1", Standing::Applied));
    assert_eq!(table.claim(&work, NOW, LEASE_MS).await.unwrap(), None, "nobody asked for it");
    table.record(&report("run-1", Standing::Applied), NOW).await.unwrap();
    let first = table.claim(&work, NOW, LEASE_MS).await.unwrap().unwrap();
    assert_eq!((first.attempts, first.tried), (1, false));
    assert_eq!(table.claim(&work, NOW.plus_ms(LEASE_MS - 1), LEASE_MS).await.unwrap(), None, "it is taken");
    assert_eq!(table.due(Queue::Index, NOW.plus_ms(LEASE_MS - 1), 10).await.unwrap(), []);

    // The first worker died: the second is told that something may have happened.
    let later = NOW.plus_ms(LEASE_MS);
    assert_eq!(table.due(Queue::Index, later, 10).await.unwrap(), std::slice::from_ref(&work));
    let second = table.claim(&work, later, LEASE_MS).await.unwrap().unwrap();
    assert_eq!((second.attempts, second.tried), (2, true));

    // It was not dead, only slow: what it says no longer counts.
    table.complete(&first).await.unwrap();
    assert_eq!(table.due(Queue::Index, later.plus_ms(LEASE_MS), 10).await.unwrap(), std::slice::from_ref(&work));
    table.complete(&second).await.unwrap();
    assert_eq!(table.due(Queue::Index, later.plus_ms(LEASE_MS), 10).await.unwrap(), []);
}

#[tokio::test]
async fn work_that_is_asked_for_again_while_it_is_done_is_due_again() {
    let (table, _store) = table().await;
    let network = workspace("network");
    let look = WorkKey::Look(network.clone());
    let ask = [Write::Look { workspace: network, at: NOW }];
    table.commit(&ask).await.unwrap();
    let claimed = table.claim(&look, NOW, LEASE_MS).await.unwrap().unwrap();
    table.commit(&ask).await.unwrap();
    table.complete(&claimed).await.unwrap();
    assert_eq!(table.due(Queue::Index, NOW, 10).await.unwrap(), [look]);
}

#[tokio::test]
async fn failed_work_comes_back_later_and_dead_work_when_it_is_replayed() {
    let (table, _store) = table().await;
    let app = workspace("app");
    let create = WorkKey::Create(app.clone());
    table.commit(&[Write::Order { workspace: app.clone(), order: order() }]).await.unwrap();
    let claimed = table.claim(&create, NOW, LEASE_MS).await.unwrap().unwrap();
    table.defer(&claimed, NOW.plus_ms(5_000), "it rained", false).await.unwrap();
    assert_eq!(table.claim(&create, NOW.plus_ms(4_999), LEASE_MS).await.unwrap(), None);

    let again = table.claim(&create, NOW.plus_ms(5_000), LEASE_MS).await.unwrap().unwrap();
    assert_eq!((again.attempts, again.tried), (2, false), "the failure was known to have had no effect");
    table.bury(&again, NOW, "no configuration version").await.unwrap();
    assert_eq!(table.due(Queue::Create, NOW.plus_ms(LEASE_MS * 10), 10).await.unwrap(), []);
    let letters = table.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0].key, letters[0].fault.as_str()), (&create, "no configuration version"));

    assert!(table.replay(&create, NOW).await.unwrap());
    assert!(!table.replay(&create, NOW).await.unwrap(), "it is not dead any more");
    assert_eq!(table.claim(&create, NOW, LEASE_MS).await.unwrap().unwrap().attempts, 1);
    assert_eq!(table.dead_letters(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_commit_on_facts_that_changed_changes_nothing() {
    let (table, _store) = table().await;
    let (network, app) = (workspace("network"), workspace("app"));
    let one = Facts { id: Some("ws-1".parse().unwrap()), ..Facts::default() };
    table.commit(&[facts(&network, 0, &one)]).await.unwrap();
    for stale in [
        vec![facts(&network, 0, &one)],
        vec![facts(&app, 0, &one), Write::Unchanged { workspace: network.clone(), version: 2 }],
        vec![facts(&app, 1, &one)],
        vec![Write::Look { workspace: app.clone(), at: NOW }, Write::Unchanged { workspace: app.clone(), version: 1 }],
    ] {
        assert!(matches!(table.commit(&stale).await, Err(StoreError::Conflict)), "{stale:?}");
    }
    assert_eq!(table.known(&BTreeSet::from([app.clone()])).await.unwrap(), BTreeMap::new());
    assert_eq!(table.due(Queue::Index, NOW, 10).await.unwrap(), []);
    table.commit(&[facts(&network, 1, &one), Write::Unchanged { workspace: app, version: 0 }]).await.unwrap();
    assert_eq!(table.around(&network).await.unwrap().known.version, 2);
}

#[tokio::test]
async fn a_workspace_has_one_order_at_a_time() {
    let (table, _store) = table().await;
    let app = workspace("app");
    let ask = [Write::Order { workspace: app.clone(), order: order() }];
    table.commit(&ask).await.unwrap();
    assert!(matches!(table.commit(&ask).await, Err(StoreError::Conflict)));
    assert!(table.around(&app).await.unwrap().known.ordered);
    let claimed = table.claim(&WorkKey::Create(app.clone()), NOW, LEASE_MS).await.unwrap().unwrap();
    assert!(matches!(table.commit(&ask).await, Err(StoreError::Conflict)));
    table.complete(&claimed).await.unwrap();
    assert!(!table.around(&app).await.unwrap().known.ordered);
    table.commit(&ask).await.unwrap();
}

#[tokio::test]
async fn neighbours_waits_and_decisions_are_read_with_the_workspace() {
    let (table, _store) = table().await;
    let (network, app, web) = (workspace("network"), workspace("app"), workspace("web"));
    let edge = Facts { producers: BTreeMap::from([(network.clone(), Edge::default())]), ..Facts::default() };
    let decision = Decision { verdict: Verdict::Wait { on: network.clone() }, causes: Vec::new(), inputs: None };
    table
        .commit(&[
            facts(&app, 0, &edge),
            Write::Consumer { producer: network.clone(), consumer: app.clone() },
            Write::Decision { workspace: app.clone(), decision: decision.clone(), at: NOW },
            Write::Waiter { holder: network.clone(), waiter: web.clone(), until: NOW },
        ])
        .await
        .unwrap();
    let around = table.around(&network).await.unwrap();
    assert_eq!((around.consumers, around.waiters), (BTreeSet::from([app.clone()]), BTreeSet::from([web.clone()])));
    let around = table.around(&app).await.unwrap();
    assert_eq!((around.known.facts, around.known.decision), (edge, Some(decision)));
    assert_eq!(table.workspaces(&network.host).await.unwrap(), BTreeSet::from([app.clone()]));

    table
        .commit(&[
            Write::NoConsumer { producer: network.clone(), consumer: app.clone() },
            Write::NoWaiter { holder: network.clone(), waiter: web },
            Write::Forget { workspace: app.clone(), version: 1 },
        ])
        .await
        .unwrap();
    assert_eq!(table.around(&network).await.unwrap(), sluice_domain::ports::Around::default());
    assert_eq!(table.around(&app).await.unwrap(), sluice_domain::ports::Around::default());
    assert_eq!(table.workspaces(&network.host).await.unwrap(), BTreeSet::new());
}

#[tokio::test]
async fn many_workspaces_are_read_at_once() {
    let (table, _store) = table().await;
    let all: BTreeSet<Workspace> = (0..120).map(|n| workspace(&format!("w{n}"))).collect();
    for part in all.iter().collect::<Vec<_>>().chunks(40) {
        let writes: Vec<Write> = part.iter().map(|workspace| facts(workspace, 0, &Facts::default())).collect();
        table.commit(&writes).await.unwrap();
    }
    assert_eq!(table.known(&all).await.unwrap().len(), 120);
    assert_eq!(table.workspaces(&workspace("w0").host).await.unwrap(), all);
}

#[tokio::test]
async fn a_watch_leaves_alone_what_a_notification_told() {
    let (table, _store) = table().await;
    let applied = report("run-1", Standing::Applied);
    table.record(&applied, NOW).await.unwrap();
    let watch = Write::Watch { report: report("run-1", Standing::Pending), until: NOW.plus_ms(600_000) };
    table.commit(&[watch]).await.unwrap();
    let claimed = table.claim(&key(&applied), NOW, LEASE_MS).await.unwrap().unwrap();
    assert_eq!(claimed.task, sluice_domain::Task::Run(applied));
}

#[tokio::test]
async fn ringing_changes_an_item_each_time_and_only_while_it_is_work() {
    let (table, store) = table().await;
    let applied = report("run-1", Standing::Applied);
    table.ring(&key(&applied)).await.unwrap();
    assert_eq!(table.due(Queue::Index, NOW, 10).await.unwrap(), [], "ringing makes no work");
    table.record(&applied, NOW).await.unwrap();
    table.ring(&key(&applied)).await.unwrap();
    table.ring(&key(&applied)).await.unwrap();
    let claimed = table.claim(&key(&applied), NOW, LEASE_MS).await.unwrap().unwrap();
    table.complete(&claimed).await.unwrap();
    assert_eq!(table.due(Queue::Index, NOW.plus_ms(LEASE_MS), 10).await.unwrap(), []);
    store.close().await;
    let error = table.record(&applied, NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}
