//! Budgets and turns on the table: what everything that runs at the same time shares, and surveys, which use them up.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use sluice_aws::{Table, TablePace};
use sluice_domain::pace::{Lane, Pace, Rhythm};
use sluice_domain::ports::{
    Around, Bell, FactStore, Pause, StoreError, Tallies, Tally, TerraformError, Worklist, Write,
};
use sluice_domain::{
    Autonomy, Facts, Host, InputsKey, Marker, Order, Organization, Queue, Reading, RunKind, Survey, SurveyScope, Task,
    Timestamp, WorkKey, Workspace,
};
use sluice_local::store::Embedded;

const NOW: Timestamp = Timestamp(1_000_000_000_000);
const NOW_US: u64 = NOW.0 * 1_000;
const LEASE_MS: u64 = 60_000;

fn workspace(name: &str) -> Workspace {
    format!("app.terraform.io/acme/{name}").parse().unwrap()
}

fn acme() -> (Host, Organization) {
    let Workspace { host, organization, .. } = workspace("network");
    (host, organization)
}

fn wave(origin: &str) -> Tally {
    Tally::Wave(origin.parse().unwrap())
}

fn set(runs: &[&str]) -> BTreeSet<String> {
    runs.iter().map(|run| (*run).to_owned()).collect()
}

async fn table() -> (Table, Embedded) {
    let store = Embedded::open(None).await.unwrap();
    (store.table.clone(), store)
}

/// As many turns in `lane`, all asked for at `NOW`, one after the other: when each is, in microseconds from then; or
/// how long to wait before asking again.
async fn taken(pace: &TablePace, lane: Lane, count: usize) -> Vec<Result<u64, u64>> {
    let mut turns = Vec::new();
    for _ in 0..count {
        turns.push(pace.take(lane, NOW_US).await.unwrap().map(|at_us| at_us - NOW_US));
    }
    turns
}

#[tokio::test]
async fn no_more_runs_join_than_may_however_many_try_at_once() {
    let (table, _store) = table().await;
    for tally in [wave("sv-1"), Tally::Hour(7), Tally::UnderWay] {
        let runs: Vec<String> = (0..20).map(|n| format!("run {n}")).collect();
        let joined = join_all(runs.iter().map(|run| table.join(&tally, run, 5, NOW))).await;
        let joined: Vec<bool> = joined.into_iter().map(Result::unwrap).collect();
        assert_eq!(joined.iter().filter(|joined| **joined).count(), 5, "{tally:?}");
        let inside = runs.into_iter().zip(joined).filter(|(_, joined)| *joined).map(|(run, _)| run).collect();
        assert_eq!(table.counted(&tally).await.unwrap(), inside, "{tally:?}");
    }
}

#[tokio::test]
async fn a_run_that_tries_again_counts_once_and_stays_in_a_full_tally() {
    let (table, _store) = table().await;
    let tally = wave("sv-1");
    for run in ["a", "b", "a", "b"] {
        assert!(table.join(&tally, run, 2, NOW).await.unwrap(), "{run}");
    }
    assert!(!table.join(&tally, "c", 2, NOW).await.unwrap());
    for most in [0, 1] {
        assert!(table.join(&tally, "a", most, NOW).await.unwrap(), "the budget is {most} now, and it is in");
    }
    assert!(table.join(&tally, "c", 3, NOW).await.unwrap());
    assert_eq!(table.counted(&tally).await.unwrap(), set(&["a", "b", "c"]));
}

#[tokio::test]
async fn a_budget_of_nothing_lets_nobody_in() {
    let (table, _store) = table().await;
    assert!(!table.join(&Tally::Hour(1), "a", 0, NOW).await.unwrap());
    assert_eq!(table.counted(&Tally::Hour(1)).await.unwrap(), BTreeSet::new());
}

#[tokio::test]
async fn a_run_that_leaves_makes_room() {
    let (table, _store) = table().await;
    assert!(table.join(&Tally::UnderWay, "a", 1, NOW).await.unwrap());
    assert!(!table.join(&Tally::UnderWay, "b", 1, NOW).await.unwrap());
    table.leave(&Tally::UnderWay, "b").await.unwrap();
    assert!(!table.join(&Tally::UnderWay, "b", 1, NOW).await.unwrap(), "whoever leaves was not in it");
    table.leave(&Tally::UnderWay, "a").await.unwrap();
    table.leave(&Tally::UnderWay, "a").await.unwrap();
    assert_eq!(table.counted(&Tally::UnderWay).await.unwrap(), BTreeSet::new());
    assert!(table.join(&Tally::UnderWay, "b", 1, NOW).await.unwrap());
    assert_eq!(table.counted(&Tally::UnderWay).await.unwrap(), set(&["b"]));
}

#[tokio::test]
async fn each_tally_counts_by_itself() {
    let (table, _store) = table().await;
    let tallies = [wave("sv-1"), wave("sv-2"), Tally::Hour(1), Tally::Hour(2), Tally::UnderWay];
    for (n, tally) in tallies.iter().enumerate() {
        assert!(table.join(tally, &format!("run {n}"), 1, NOW).await.unwrap(), "{tally:?}");
    }
    for (n, tally) in tallies.iter().enumerate() {
        assert_eq!(table.counted(tally).await.unwrap(), set(&[&format!("run {n}")]), "{tally:?}");
        assert!(!table.join(tally, "another", 1, NOW).await.unwrap(), "{tally:?}");
    }
}

#[tokio::test]
async fn a_person_stops_runs_and_lets_them_go_on() {
    let (table, _store) = table().await;
    assert_eq!(table.paused().await.unwrap(), None);
    table.set_paused(None).await.unwrap();
    for why in ["the \"network\" is being moved", "it takes longer"] {
        let pause = Pause { since: NOW, why: why.to_owned() };
        table.set_paused(Some(&pause)).await.unwrap();
        assert_eq!(table.paused().await.unwrap(), Some(pause));
    }
    table.set_paused(None).await.unwrap();
    assert_eq!(table.paused().await.unwrap(), None);
}

#[tokio::test]
async fn turns_asked_for_at_once_follow_the_rhythm() {
    const PER_SECOND: u32 = 100;
    const ASKED: u64 = 40;
    let (table, _store) = table().await;
    let pace = TablePace::new(table, PER_SECOND);
    let rhythm = Rhythm::of(Lane::Work, PER_SECOND);
    let begun = sluice_lambda::now();
    let waits = (0..ASKED).map(|_| async {
        pace.turn(Lane::Work).await.unwrap();
        sluice_lambda::now().since_ms(begun)
    });
    let mut came = join_all(waits).await;
    came.sort_unstable();
    for (n, came_ms) in (0..).zip(&came) {
        let behind: u64 = n;
        let earliest_us = (behind * rhythm.spacing_us).saturating_sub(rhythm.tolerance_us());
        // Clocks are read in whole milliseconds here.
        assert!(came_ms + 2 >= earliest_us / 1_000, "turn {n} came after {came_ms} ms, not {earliest_us} us: {came:?}");
    }
    let busiest = came.iter().map(|from| came.iter().filter(|at| (*from..from + 100).contains(at)).count()).max();
    assert!(busiest.unwrap() < usize::try_from(ASKED).unwrap(), "all came at once: {came:?}");
}

#[tokio::test]
async fn many_who_ask_at_the_same_time_get_different_turns() {
    let (table, _store) = table().await;
    let pace = TablePace::new(table, 30);
    let rhythm = Rhythm::of(Lane::Work, 30);
    // Those who were come between again and again are sent away for a second, as they would be in any other case.
    let asked = join_all((0..25).map(|_| pace.take(Lane::Work, NOW_US))).await;
    let mut turns: Vec<u64> = asked.into_iter().filter_map(|turn| turn.unwrap().ok()).collect();
    turns.sort_unstable();
    let mut next_us = 0;
    let mut expect = Vec::new();
    for _ in &turns {
        let (after_us, at_us) = rhythm.take(next_us, NOW_US).unwrap();
        next_us = after_us;
        expect.push(at_us);
    }
    assert_eq!(turns, expect);
    assert!(turns.len() >= 20, "{turns:?}");
}

#[tokio::test]
async fn bulk_gets_no_turn_while_work_is_waiting() {
    let (table, _store) = table().await;
    let pace = TablePace::new(table, 30);
    assert_eq!(taken(&pace, Lane::Bulk, 1).await, [Ok(0)], "nobody waits");
    let work = taken(&pace, Lane::Work, 30).await;
    assert!(work.iter().all(Result::is_ok), "{work:?}");
    assert!(taken(&pace, Lane::Bulk, 1).await[0].is_err());
    assert_eq!(taken(&pace, Lane::RunLists, 5).await, [Ok(0); 5]);
    // A second and a half later the queue is gone, and what can wait has its turn.
    assert!(pace.take(Lane::Bulk, NOW_US + 1_500_000).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_turn_too_far_ahead_is_refused_with_how_long_to_wait() {
    let (table, _store) = table().await;
    let pace = TablePace::new(table, 30);
    let rhythm = Rhythm::of(Lane::RunLists, 30);
    let most = usize::try_from(rhythm.horizon_us / rhythm.spacing_us + rhythm.burst).unwrap();
    let turns = taken(&pace, Lane::RunLists, most + 1).await;
    let (refused, given) = turns.split_last().unwrap();
    assert!(given.iter().all(Result::is_ok), "{given:?}");
    let after_us = refused.unwrap_err();
    assert!((1..=rhythm.spacing_us).contains(&after_us), "{after_us}");
    assert_eq!(pace.take(Lane::RunLists, NOW_US + after_us - 1).await.unwrap(), Err(1));
    assert!(pace.take(Lane::RunLists, NOW_US + after_us).await.unwrap().is_ok());
}

#[tokio::test]
async fn nobody_gets_a_turn_before_a_pause_is_over() {
    const LANES: [Lane; 3] = [Lane::Work, Lane::Bulk, Lane::RunLists];
    let (table, _store) = table().await;
    let pace = TablePace::new(table, 100);
    let begun_us = sluice_lambda::now().0 * 1_000;
    pace.slow_down(60_000).await;
    // A shorter one does not end it.
    pace.slow_down(1).await;
    for lane in LANES {
        let Err(refused) = pace.turn(lane).await else { panic!("{lane:?} had a turn during a pause") };
        assert!(matches!(refused, TerraformError::RateLimited { after_ms: 30_000..=60_000, .. }), "{refused:?}");
    }
    for lane in LANES {
        // Near its end, turns are dealt out for the time after it, and next to none for what can wait.
        let turn = pace.take(lane, begun_us + 50_000_000).await.unwrap();
        match lane {
            Lane::Bulk => assert!(turn.is_err(), "{turn:?}"),
            _ => assert!(turn.unwrap() >= begun_us + 60_000_000, "{lane:?}"),
        }
    }
}

#[tokio::test]
async fn nobody_asks_without_a_turn_when_the_table_fails() {
    let (table, store) = table().await;
    let pace = TablePace::new(table, 30);
    store.close().await;
    let Err(refused) = pace.turn(Lane::Work).await else { panic!("a turn came from nowhere") };
    assert!(matches!(refused, TerraformError::RateLimited { after_ms: 1_000, .. }), "{refused:?}");
    tokio::time::timeout(Duration::from_secs(30), pace.slow_down(10)).await.unwrap();
}

fn lanes() -> impl Strategy<Value = Lane> {
    prop_oneof![4 => Just(Lane::Work), 2 => Just(Lane::Bulk), 1 => Just(Lane::RunLists)]
}

/// Takes in these lanes, each so many microseconds after the one before, give what the rhythm says they do.
async fn follow_the_rhythm(per_second: u32, asked: &[(Lane, u64)]) {
    let (table, _store) = table().await;
    let pace = TablePace::new(table, per_second);
    let mut now_us = NOW_US;
    let (mut work, mut lists) = (0, 0);
    for (lane, passed_us) in asked {
        now_us += passed_us;
        let next_us = match lane {
            Lane::Work | Lane::Bulk => &mut work,
            Lane::RunLists => &mut lists,
        };
        let expect = Rhythm::of(*lane, per_second).take(*next_us, now_us).map(|(after_us, at_us)| {
            *next_us = after_us;
            at_us
        });
        assert_eq!(pace.take(*lane, now_us).await.unwrap(), expect, "{lane:?} at {now_us} of {asked:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_table_takes_turns_as_the_rhythm_does(
        per_second in prop_oneof![Just(6_u32), Just(30), Just(100)],
        asked in prop::collection::vec((lanes(), prop_oneof![Just(0_u64), 0..100_000_u64, 0..2_000_000_u64]), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow_the_rhythm(per_second, &asked));
    }
}

#[tokio::test]
async fn a_reading_is_work_that_leaves_its_workspace_alone() {
    let (table, _store) = table().await;
    let network = workspace("network");
    let reading = Reading { id: "ws-1".parse().unwrap(), baseline: true, tagged: Some(Autonomy::Plan) };
    let ask = |reading: &Reading| [Write::Read { workspace: network.clone(), reading: reading.clone(), at: NOW }];
    table.commit(&ask(&reading)).await.unwrap();
    let work = WorkKey::Read(network.clone());
    assert_eq!(table.due(Queue::Bulk, NOW, 10).await.unwrap(), std::slice::from_ref(&work));
    assert_eq!(table.around(&network).await.unwrap(), Around::default());

    let claimed = table.claim(&work, NOW, LEASE_MS).await.unwrap().unwrap();
    assert_eq!(claimed.task, Task::Read(reading.clone()));
    let again = Reading { baseline: false, ..reading };
    table.commit(&ask(&again)).await.unwrap();
    table.complete(&claimed).await.unwrap();
    let claimed = table.claim(&work, NOW, LEASE_MS).await.unwrap().unwrap();
    assert_eq!((claimed.attempts, claimed.task), (1, Task::Read(again.clone())), "it was asked for meanwhile");

    let facts = Write::Facts { workspace: network.clone(), facts: Box::new(Facts::default()), version: 0 };
    table.commit(&[facts]).await.unwrap();
    table.commit(&ask(&again)).await.unwrap();
    table.commit(&[Write::Forget { workspace: network, version: 1 }]).await.unwrap();
    assert_eq!(table.due(Queue::Bulk, NOW, 10).await.unwrap(), [], "a workspace that is gone is not read");
}

#[tokio::test]
async fn a_survey_goes_on_from_where_it_is() {
    let (table, _store) = table().await;
    let (host, organization) = acme();
    assert_eq!(table.survey(&host, &organization).await.unwrap(), None);
    let survey =
        Survey { scope: SurveyScope::All, page: 3, listed: 200, total: 321, unknown: 4, completed_at: Some(NOW) };
    let on = |survey: &Survey| {
        let (host, organization) = acme();
        [Write::Survey { host, organization, survey: survey.clone(), at: NOW, seq: None }]
    };
    table.commit(&on(&survey)).await.unwrap();
    let work = WorkKey::Survey(host.clone(), organization.clone());
    assert_eq!(table.due(Queue::Bulk, NOW, 10).await.unwrap(), std::slice::from_ref(&work));
    let claimed = table.claim(&work, NOW, LEASE_MS).await.unwrap().unwrap();
    assert_eq!(claimed.task, Task::Survey(survey.clone()));

    let next = Survey { page: 4, listed: 300, ..survey };
    table.commit(&on(&next)).await.unwrap();
    table.complete(&claimed).await.unwrap();
    assert_eq!(table.survey(&host, &organization).await.unwrap(), Some((next.clone(), false)));
    let claimed = table.claim(&work, NOW, LEASE_MS).await.unwrap().unwrap();
    assert_eq!(claimed.task, Task::Survey(next.clone()), "the next page is due though the last is done");
    table.complete(&claimed).await.unwrap();
    assert_eq!(table.due(Queue::Bulk, NOW.plus_ms(LEASE_MS), 10).await.unwrap(), []);
    assert_eq!(table.survey(&host, &organization).await.unwrap(), Some((next, false)), "how far it came is kept");
}

#[tokio::test]
async fn the_first_survey_begins_once() {
    let (table, _store) = table().await;
    let (host, organization) = acme();
    let work = WorkKey::Survey(host.clone(), organization.clone());
    let first = |at| [Write::FirstSurvey { host: host.clone(), organization: organization.clone(), at }];
    table.commit(&first(NOW)).await.unwrap();
    let begun = Survey { page: 1, ..Survey::default() };
    assert_eq!(table.survey(&host, &organization).await.unwrap(), Some((begun.clone(), false)));
    let claimed = table.claim(&work, NOW, LEASE_MS).await.unwrap().unwrap();
    assert_eq!((claimed.attempts, &claimed.task), (1, &Task::Survey(begun)));

    table.commit(&first(NOW)).await.unwrap();
    assert_eq!(table.due(Queue::Bulk, NOW, 10).await.unwrap(), [], "it is taken still");
    table.complete(&claimed).await.unwrap();
    table.commit(&first(NOW.plus_ms(1))).await.unwrap();
    assert_eq!(table.due(Queue::Bulk, NOW.plus_ms(LEASE_MS), 10).await.unwrap(), [], "it was there once");
    let beside = [first(NOW).to_vec(), vec![Write::Look { workspace: workspace("network"), at: NOW }]].concat();
    assert!(matches!(table.commit(&beside).await, Err(StoreError::Conflict)));
    assert_eq!(table.due(Queue::Bulk, NOW.plus_ms(LEASE_MS), 10).await.unwrap(), []);
}

#[tokio::test]
async fn organizations_are_those_of_the_workspaces_that_are_known() {
    let (table, _store) = table().await;
    for name in ["app.terraform.io/acme/a", "app.terraform.io/acme/b", "app.terraform.io/zeta/a", "tfe.test/other/a"] {
        let facts = Write::Facts { workspace: name.parse().unwrap(), facts: Box::new(Facts::default()), version: 0 };
        table.commit(&[facts]).await.unwrap();
    }
    let organizations = table.organizations(&acme().0).await.unwrap();
    assert_eq!(organizations.iter().map(Organization::as_str).collect::<Vec<_>>(), ["acme", "zeta"]);
}

#[tokio::test]
async fn an_order_that_is_put_off_says_why_and_what_was_tried_before() {
    let (table, _store) = table().await;
    let app = workspace("app");
    let order = Order {
        inputs: InputsKey("00112233445566778899aabbccddeeff".parse().unwrap()),
        marker: Marker("sluice-1".into()),
        causes: Vec::new(),
        kind: RunKind::Apply,
        wave: None,
        newest: NOW,
        decided_at: NOW,
    };
    let ask = [Write::Order { workspace: app.clone(), order }];
    let held = async || table.known_one(&app).await.unwrap().held;
    let work = WorkKey::Create(app.clone());
    table.commit(&ask).await.unwrap();
    assert_eq!(held().await, None);
    let claimed = table.claim(&work, NOW, LEASE_MS).await.unwrap().unwrap();
    table.postpone(&claimed, NOW, Some("500 runs are under way")).await.unwrap();
    assert_eq!(held().await.as_deref(), Some("500 runs are under way"));

    let claimed = table.claim(&work, NOW, LEASE_MS).await.unwrap().unwrap();
    assert_eq!((claimed.attempts, claimed.tried), (1, false), "being put off has no effect");
    table.defer(&claimed, NOW, "it rained", true).await.unwrap();
    let claimed = table.claim(&work, NOW, LEASE_MS).await.unwrap().unwrap();
    table.postpone(&claimed, NOW, None).await.unwrap();
    assert_eq!(held().await, None);
    let claimed = table.claim(&work, NOW, LEASE_MS).await.unwrap().unwrap();
    assert_eq!((claimed.attempts, claimed.tried), (1, true), "what an earlier attempt may have done stays on record");

    table.bury(&claimed, NOW, "no configuration version").await.unwrap();
    assert_eq!(held().await, None, "a dead order is not held");
    table.commit(&ask).await.unwrap();
    assert_eq!(held().await, None, "nor a new one by the fault of the old");
}
