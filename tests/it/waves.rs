//! Whole waves: a signed notification makes the right dependent workspaces run.

use std::time::Duration;

use sluice_domain::{Autonomy, AutonomyRules, Policy, Verdict};
use sluice_tests::hcp::{
    ApiFault, ApiMishap, Limits, NotificationFault, NotificationMishap, Output, Route, RunOptions, RunStatus,
    WorkspaceSpec,
};

use crate::world::{DIAMOND, Settings, World, add, assert_after, assert_applied, remote, workspace};

#[tokio::test]
async fn a_chain_runs_in_order_each_once() {
    let world = World::of("a\n b: a\n c: b\n d: c").await;
    assert_eq!(world.counts(), "", "nothing ran while Sluice learned");
    world.change("a");
    world.rest().await;
    assert_eq!(world.counts(), "a 1, b 1, c 1, d 1");
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| world.runs(name));
    assert_after(assert_applied(&b), &[assert_applied(&a)]);
    assert_after(assert_applied(&c), &[&b[0]]);
    assert_after(assert_applied(&d), &[&c[0]]);
    assert!(world.hcp.outdated().is_empty());
    assert_eq!(world.decision("d").await, "nothing it reads has changed");
    world.stop().await;
}

#[tokio::test]
async fn the_bottom_of_a_diamond_runs_once_after_both_sides() {
    let world = World::of(DIAMOND).await;
    world.change("network");
    world.rest().await;
    assert_eq!(world.counts(), "app 1, eks 1, network 1, rds 1");
    let (eks, rds, app) = (world.runs("eks"), world.runs("rds"), world.runs("app"));
    assert_after(assert_applied(&app), &[assert_applied(&eks), assert_applied(&rds)]);
    assert!(world.hcp.outdated().is_empty());
}

#[tokio::test]
async fn an_unchanged_output_stops_the_wave() {
    let world = World::with(Settings::default(), |hcp| {
        add(hcp, "network");
        let fixed = WorkspaceSpec::new("vault").auto_apply(true).output("id", Output::fixed("same"));
        hcp.apply_now(&hcp.add_workspace(fixed.reads(remote(hcp, "network"))));
        add(hcp, "sync: vault");
    })
    .await;
    world.change("network");
    world.rest().await;
    assert_eq!(world.counts(), "network 1, vault 1");
    assert_applied(&world.runs("vault"));
    assert_eq!(world.decision("sync").await, "nothing it reads has changed");
}

#[tokio::test]
async fn a_cycle_does_not_loop() {
    let world = World::with(Settings::default(), |hcp| {
        add(hcp, "network\n east: network\n west: east");
        let west = remote(hcp, "west");
        hcp.edit("east", |program| program.reads.push(west));
        hcp.apply_now("east");
        hcp.apply_now("west");
        add(hcp, "leaf: west");
    })
    .await;
    world.rest().await;
    let before = world.counts();
    world.change("network");
    world.rest().await;
    let runs = ["network", "east"].map(|name| world.runs(name).len());
    assert_eq!(runs, [1, 1], "before: {before}, after: {}", world.counts());
    assert!(world.runs("west").len() <= 1);
    let west = world.known("west").await.decision.unwrap();
    assert!(matches!(west.verdict, Verdict::Cycle { .. }), "{west}");
}

#[tokio::test]
async fn a_run_without_changes_acknowledges_its_inputs() {
    let world = World::with(Settings::default(), |hcp| {
        add(hcp, "network");
        // Nothing in it depends on what it reads, so its runs write no state and its copy stays old.
        let viewer = workspace(hcp, "viewer", &["network"]).output("id", Output::fixed("1")).depends_on_reads(false);
        hcp.apply_now(&hcp.add_workspace(viewer));
        add(hcp, "below: viewer");
    })
    .await;
    for round in 1..=2 {
        world.change("network");
        world.rest().await;
        assert_eq!(world.counts(), format!("network {round}, viewer {round}"));
        assert_eq!(world.runs("viewer").pop().unwrap().status, RunStatus::PlannedAndFinished);
        assert_eq!(world.decision("viewer").await, "nothing it reads has changed");
    }
    assert!(!world.hcp.outdated().is_empty(), "its copy is old, and that is all right");
}

#[tokio::test]
async fn the_same_notification_many_times_makes_one_run() {
    let world = World::of(DIAMOND).await;
    world.hcp.faults(|faults| {
        faults.notifications.push(NotificationFault::always(NotificationMishap::Duplicate(9)));
    });
    world.change("network");
    world.rest().await;
    assert_eq!(world.counts(), "app 1, eks 1, network 1, rds 1");
}

#[tokio::test]
async fn late_and_reordered_notifications_change_nothing_in_the_end() {
    let world = World::of(DIAMOND).await;
    world.hcp.faults(|faults| {
        faults.notifications.push(NotificationFault::every(3, NotificationMishap::Delay(Duration::from_millis(120))));
        faults.notifications.push(NotificationFault::every(2, NotificationMishap::Reorder));
    });
    world.change("network");
    world.rest().await;
    assert_eq!(world.counts(), "app 1, eks 1, network 1, rds 1");
    assert!(world.hcp.outdated().is_empty());
}

#[tokio::test]
async fn a_create_that_fails_in_passing_is_tried_again_and_never_doubled() {
    for what in [
        ApiMishap::Status(503),
        ApiMishap::Status(500),
        ApiMishap::RateLimited { reset_seconds: 0.3 },
        ApiMishap::CutBeforeEffect,
        ApiMishap::CutAfterEffect,
        ApiMishap::StatusAfterEffect(504),
    ] {
        let world = World::of("a\n b: a\n c: b").await;
        world.hcp.faults(|faults| faults.api.push(ApiFault::next(Route::CreateRun, 1, what)));
        world.change("a");
        world.rest().await;
        assert_eq!(world.counts(), "a 1, b 1, c 1", "{what:?}");
        assert_eq!(world.table.dead_letters(10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn reading_that_fails_in_passing_is_tried_again() {
    for route in [Route::CurrentStateVersion, Route::DownloadState] {
        for what in [ApiMishap::Status(502), ApiMishap::CutBeforeEffect, ApiMishap::RateLimited { reset_seconds: 0.2 }]
        {
            let world = World::of("a\n b: a").await;
            world.hcp.faults(|faults| faults.api.push(ApiFault::next(route, 1, what)));
            world.change("a");
            world.rest().await;
            assert_eq!(world.counts(), "a 1, b 1", "{route:?} {what:?}");
        }
    }
}

#[tokio::test]
async fn a_workspace_without_configuration_becomes_a_dead_letter_that_can_be_replayed() {
    let world = World::of("a\n b: a\n c: b").await;
    world.hcp.unconfigure("b");
    world.change("a");
    world.rest().await;
    assert_eq!(world.counts(), "a 1");
    let letters = world.table.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].fault.contains("no configuration version"), "{}", letters[0].fault);
    assert!(world.decision("b").await.starts_with("cannot be run: the workspace has no configuration version"));
    world.hcp.touch("b");
    assert!(world.table.replay(&letters[0].key, sluice_lambda::now()).await.unwrap());
    world.rest().await;
    assert_eq!(world.counts(), "a 1, b 1, c 1");
}

#[tokio::test]
async fn a_locked_workspace_runs_when_it_is_unlocked() {
    let world = World::of("a\n b: a\n c: b").await;
    world.hcp.lock("b");
    world.change("a");
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.hcp.settled().await;
    while world.runs("b").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.runs("b")[0].status, RunStatus::Pending);
    world.hcp.unlock("b");
    world.rest().await;
    assert_eq!(world.counts(), "a 1, b 1, c 1");
}

#[tokio::test]
async fn a_failure_holds_what_is_below_and_a_later_apply_by_anyone_heals_it() {
    let world = World::of("network\n eks: network\n dns: network\n app: eks network").await;
    world.hcp.fail_next_apply("eks");
    world.change("network");
    world.rest().await;
    assert_eq!(world.counts(), "dns 1, eks 1, network 1", "siblings go on");
    assert!(world.decision("eks").await.ends_with("errored"), "{}", world.decision("eks").await);
    assert_eq!(world.decision("app").await, "is held by acme/eks, which did not get through");

    world.hcp.start_run("eks", RunOptions::new("a person tries again"));
    world.rest().await;
    assert_eq!(world.counts(), "app 1, dns 1, eks 2, network 1");
    assert!(world.hcp.outdated().is_empty());
}

#[tokio::test]
async fn a_declined_run_is_not_asked_for_again_until_the_inputs_change() {
    // HCP Terraform does not notify of a discard, so Sluice has to ask after a run that is silent.
    let settings = Settings { watch_ms: 200, ..Settings::default() };
    let world = World::with(settings, |hcp| add(hcp, "a\n b: a\n c: b a")).await;
    world.hcp.auto_apply("b", false);
    world.change("a");
    world.until_runs("b", 1).await;
    world.hcp.settled().await;
    let run = world.runs("b").pop().unwrap();
    assert_eq!(run.status, RunStatus::Planned);
    assert!(world.decision("c").await.contains("waits for acme/b"), "{}", world.decision("c").await);
    assert!(world.hcp.discard(&run.id));
    world.rest().await;
    assert_eq!(world.decision("b").await, format!("is not run again for the same inputs: {} discarded", run.id));
    assert_eq!(world.decision("c").await, "is held by acme/b, which did not get through");

    world.hcp.auto_apply("b", true);
    world.change("a");
    world.rest().await;
    assert_eq!(world.counts(), "a 2, b 2, c 1");
}

#[tokio::test]
async fn a_forgotten_confirmation_holds_those_below_only_for_so_long() {
    let policy = Policy { person_wait_ms: 400, ..Policy::default() };
    let world = World::with(Settings { policy, ..Settings::default() }, |hcp| {
        add(hcp, "a\n b: a\n c: a b");
        hcp.auto_apply("b", false);
    })
    .await;
    world.change("a");
    world.until_runs("c", 1).await;
    world.hcp.settled().await;
    let waiting = world.runs("b").pop().unwrap();
    assert_eq!(waiting.status, RunStatus::Planned, "nobody has confirmed it");
    world.hcp.confirm(&waiting.id);
    world.rest().await;
    assert_eq!(world.counts(), "a 1, b 1, c 2", "and again when it applies after all");
    assert!(world.hcp.outdated().is_empty());
}

#[tokio::test]
async fn a_lost_notification_of_a_run_that_sluice_started_is_made_good_by_asking() {
    let settings = Settings { watch_ms: 200, ..Settings::default() };
    let world = World::with(settings, |hcp| add(hcp, "a\n b: a\n c: b")).await;
    world.hcp.faults(|faults| {
        faults
            .notifications
            .push(NotificationFault::matching(|notice| notice.workspace == "b", NotificationMishap::Lose));
    });
    world.change("a");
    world.until_runs("c", 1).await;
    world.rest().await;
    assert_eq!(world.counts(), "a 1, b 1, c 1");
}

#[tokio::test]
async fn a_destroyed_producer_runs_nobody() {
    let world = World::of("a\n b: a").await;
    world.hcp.start_run("a", RunOptions::destroy("tear down"));
    world.rest().await;
    assert_eq!(world.counts(), "a 1");
    assert_eq!(world.decision("b").await, "acme/a was destroyed: a person decides");
}

#[tokio::test]
async fn a_new_dependency_counts_from_the_next_run_and_a_removed_one_leaves_a_tombstone() {
    let world = World::of("a\n b\n c: a").await;
    let other = remote(&world.hcp, "b");
    world.hcp.edit("c", |program| program.reads = vec![other]);
    world.hcp.start_run("c", RunOptions::new("read another"));
    world.rest().await;
    let c = world.known("c").await.facts;
    assert!(c.producers[&world.workspace("b")].live());
    assert!(!c.producers[&world.workspace("a")].live(), "a tombstone, not a silent deletion");
    world.change("a");
    world.rest().await;
    assert_eq!(world.counts(), "a 1, c 1");
    world.change("b");
    world.rest().await;
    assert_eq!(world.counts(), "a 1, b 1, c 2");
}

#[tokio::test]
async fn a_workspace_that_is_gone_is_removed_with_its_edges() {
    let world = World::of("a\n b: a\n c: b").await;
    world.hcp.delete("b");
    world.change("a");
    world.rest().await;
    assert_eq!(world.hcp.runs("a").len(), 2);
    let known = world.table.workspaces(&world.terraform).await.unwrap();
    assert!(!known.contains(&world.workspace("b")), "{known:?}");
    let picture = sluice_local::host::picture(&world.table, &world.terraform).await.unwrap();
    assert!(picture.edges.is_empty(), "{:?}", picture.edges);
}

#[tokio::test]
async fn an_unchanged_state_is_not_downloaded_and_a_workspace_that_reads_nobody_only_for_its_outputs() {
    let world = World::of("a\n b: a").await;
    let before = world.hcp.requests().len();
    world.hcp.start_run("b", RunOptions::new("nothing to do"));
    world.rest().await;
    let requests: Vec<_> = world.hcp.requests().split_off(before);
    assert_eq!(requests.iter().map(|request| request.route).collect::<Vec<_>>(), [Route::CurrentStateVersion]);
}

#[tokio::test]
async fn a_wide_wave_stays_within_the_rate_limit_in_the_end() {
    let world = World::with(Settings::default(), |hcp| {
        hcp.limits(Limits::NONE);
        add(hcp, "root");
        for n in 0..40 {
            add(hcp, &format!("leaf-{n}: root"));
        }
    })
    .await;
    world.hcp.limits(Limits::default());
    world.change("root");
    world.rest().await;
    for n in 0..40 {
        assert_eq!(world.runs(&format!("leaf-{n}")).len(), 1);
    }
}

#[tokio::test]
async fn a_run_that_only_refreshes_does_not_count_as_having_seen_the_inputs() {
    let policy = Policy { autonomy: AutonomyRules::all(Autonomy::Observe), ..Policy::default() };
    let world = World::with(Settings { policy, ..Settings::default() }, |hcp| add(hcp, "network\n eks: network")).await;
    world.change("network");
    world.rest().await;
    world.hcp.start_run("eks", RunOptions { refresh_only: true, ..RunOptions::new("refresh") });
    world.rest().await;
    assert!(world.decision("eks").await.contains("only observing"), "{}", world.decision("eks").await);
    world.hcp.start_run("eks", RunOptions::new("all of it"));
    world.rest().await;
    assert_eq!(world.decision("eks").await, "nothing it reads has changed");
    world.stop().await;
}
