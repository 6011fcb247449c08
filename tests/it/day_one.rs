//! Day one and what follows it: the graph is read whole, what no notification told is found, and a person asks what would
//! run, what was decided, and stops everything.

use std::time::Duration;

use serde_json::Value;
use sluice_domain::ports::{FactStore, Pause, Tallies, Write};
use sluice_domain::{AutonomyRules, Budgets, Policy, Survey, SurveyScope};
use sluice_lambda::now;
use sluice_tests::hcp::{Exceeded, NotificationFault, NotificationMishap, RunOptions, Timings};

use crate::serve::client;
use crate::serve::program::{run_and_kill, run_until_told, vars};
use crate::serve::stage::Stage;
use crate::world::{DIAMOND, Settings, World, add, assert_applied, workspace};

async fn survey(world: &World, scope: SurveyScope) {
    let organization = world.hcp.organization().parse().unwrap();
    let survey = Survey { scope, page: 1, ..Survey::default() };
    let host = world.terraform.clone();
    world.table.commit(&[Write::Survey { host, organization, survey, at: now(), seq: None }]).await.unwrap();
    world.rest().await;
}

#[tokio::test]
async fn a_backfill_learns_the_whole_graph_and_runs_nobody() {
    let world = World::unheard(Settings::default(), |hcp| {
        add(hcp, DIAMOND);
        // Changed since its readers last ran: they are stale from before, and that is how it is.
        hcp.change("network", "id", "other");
        hcp.apply_now("network");
    })
    .await;
    survey(&world, SurveyScope::All).await;
    assert_eq!(world.known("app").await.facts.producers.len(), 3);
    assert!(world.known("network").await.facts.state.unwrap().baseline);
    assert_eq!(world.counts(), "", "{:#?}", world.hcp.history());
    // From then on a change is a change.
    world.change("network");
    world.rest().await;
    assert_eq!(world.counts(), "app 1, eks 1, network 1, rds 1");
    world.stop().await;
}

#[tokio::test]
async fn a_completed_run_that_no_notification_told_of_is_found_and_sets_off_its_wave() {
    let world = World::of(DIAMOND).await;
    world.hcp.faults(|faults| faults.notifications.push(NotificationFault::always(NotificationMishap::Lose)));
    world.change("network");
    world.hcp.settled().await;
    world.hcp.faults(|faults| faults.notifications.clear());
    assert_eq!(world.counts(), "network 1");
    survey(&world, SurveyScope::LatelyRun).await;
    assert_eq!(world.counts(), "app 1, eks 1, network 1, rds 1");
    // Nothing is left to be found.
    survey(&world, SurveyScope::LatelyRun).await;
    assert_eq!(world.counts(), "app 1, eks 1, network 1, rds 1");
    world.stop().await;
}

#[tokio::test]
async fn a_state_that_came_without_a_run_is_found_too() {
    let world = World::of("network\n eks: network").await;
    world.hcp.push_state("network", "id", "pushed");
    survey(&world, SurveyScope::LatelyRun).await;
    assert_eq!(world.counts(), "eks 1");
    world.stop().await;
}

#[tokio::test]
async fn a_tag_is_obeyed_by_the_next_run_and_a_pattern_is_above_it() {
    let autonomy: AutonomyRules = "*/rds=run".parse().unwrap();
    let policy = Policy { autonomy, ..Policy::default() };
    let world = World::with(Settings { policy, ..Settings::default() }, |hcp| {
        add(hcp, "network\n eks: network\n rds: network\n web: network");
    })
    .await;
    for name in ["eks", "rds"] {
        world.hcp.set_tags(name, &["team:core", "sluice:observe"]);
    }
    world.hcp.set_tags("web", &["sluice:plan"]);
    world.change("network");
    // Once what is allowed turns out to have changed, the order is looked at again a minute later.
    world.until_decision("eks", "only observing is allowed").await;
    world.until_decision("web", "planned only").await;
    world.until_runs("rds", 1).await;
    assert_applied(&world.runs("rds"));
    assert_eq!(world.runs("eks"), []);
    world.stop().await;
}

#[tokio::test]
async fn where_only_a_plan_is_allowed_it_is_planned_once_for_the_same_inputs() {
    let policy = Policy { autonomy: AutonomyRules::all(sluice_domain::Autonomy::Plan), ..Policy::default() };
    let world = World::with(Settings { policy, ..Settings::default() }, |hcp| {
        add(hcp, "network\n eks: network\n app: eks");
    })
    .await;
    world.change("network");
    world.rest().await;
    world.hcp.start_run("network", RunOptions::new("nothing to change"));
    world.rest().await;
    let plans = world.runs("eks");
    assert_eq!(plans.iter().map(|run| run.plan_only).collect::<Vec<_>>(), [true], "{plans:?}");
    assert!(world.decision("eks").await.ends_with("a person applies"), "{}", world.decision("eks").await);
    // A person applies, and that settles it.
    world.hcp.start_run("eks", RunOptions::new("by hand"));
    world.rest().await;
    assert_eq!(world.decision("eks").await, "nothing it reads has changed");
    assert_eq!(world.counts(), "app 1, eks 2, network 2");
    world.stop().await;
}

#[tokio::test]
async fn a_burst_of_changes_is_one_run() {
    let policy = Policy { settle_ms: 1_500, ..Policy::default() };
    let world = World::with(Settings { policy, ..Settings::default() }, |hcp| add(hcp, "network\n eks: network")).await;
    for _ in 0..3 {
        world.change("network");
        world.hcp.settled().await;
    }
    world.until_runs("eks", 1).await;
    world.rest().await;
    assert_eq!(world.counts(), "eks 1, network 3");
    world.stop().await;
}

#[tokio::test]
async fn a_change_travels_no_deeper_and_sets_off_no_more_runs_than_it_may() {
    let with = |budgets| Settings { policy: Policy { budgets, ..Policy::default() }, ..Settings::default() };
    let deep = World::with(with(Budgets { depth: 2, ..Budgets::default() }), |hcp| add(hcp, "a\n b: a\n c: b\n d: c"));
    let deep = deep.await;
    deep.change("a");
    deep.rest().await;
    assert_eq!(deep.counts(), "a 1, b 1, c 1");
    assert_eq!(deep.decision("d").await, "is 3 steps below the change, which is over the limit: a person decides");
    // A person who runs it begins anew.
    deep.stop().await;

    let wide = World::with(with(Budgets { wave_runs: 2, ..Budgets::default() }), |hcp| {
        add(hcp, "a\n b: a\n c: a\n d: a");
    });
    let wide = wide.await;
    wide.change("a");
    wide.rest().await;
    let ran = ["b", "c", "d"].iter().map(|name| wide.runs(name).len()).sum::<usize>();
    assert_eq!(ran, 2);
    let letters = wide.table.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].fault.contains("which is the limit"), "{}", letters[0].fault);
    // A person has it run all the same.
    assert!(wide.table.replay(&letters[0].key, now()).await.unwrap());
    wide.rest().await;
    assert_eq!(wide.counts(), "a 1, b 1, c 1, d 1");
    wide.stop().await;
}

#[tokio::test]
async fn no_more_runs_are_under_way_at_once_than_may_be() {
    let budgets = Budgets { concurrent_runs: 1, ..Budgets::default() };
    let settings = Settings { policy: Policy { budgets, ..Policy::default() }, ..Settings::default() };
    let world = World::with(settings, |hcp| {
        add(hcp, "a\n b: a\n c: a");
        hcp.auto_apply("b", false);
        hcp.auto_apply("c", false);
    })
    .await;
    world.change("a");
    let one_runs = async {
        while world.runs("b").len() + world.runs("c").len() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), one_runs).await.unwrap();
    world.hcp.settled().await;
    let waits = if world.runs("b").is_empty() { "b" } else { "c" };
    world.until_held(waits, "1 runs are under way").await;
    assert_eq!(world.runs(waits), []);
    world.stop().await;
}

#[tokio::test]
async fn the_commands_tell_what_would_run_and_what_was_decided() {
    let stage = Stage::of(DIAMOND).await;
    let plan = stage.sluice(&["plan", "acme/network", "--output", "id"]).await;
    assert_eq!((plan.code, plan.stderr.as_str()), (Some(0), ""));
    let expected = "If id of acme/network changed, at most 3 workspaces would run:\n\n\
         1.\n  acme/eks  runs, because of acme/network (id)\n  acme/rds  runs, because of acme/network (id)\n\n\
         2.\n  acme/app  runs, because of acme/eks (id) and acme/network (id) and acme/rds (id)\n";
    assert_eq!(plan.stdout, expected);
    let printed: Value = serde_json::from_str(&stage.sluice(&["plan", "acme/network", "--json"]).await.stdout).unwrap();
    let answer = client().get(format!("{}/plan/acme/network", stage.url)).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer, printed);
    assert_eq!(printed["steps"][1][0]["workspace"].as_str().unwrap().rsplit('/').next(), Some("app"));
    for (path, status) in
        [("acme/nobody", 404), ("acme/network?output=nothing", 404), ("acme/app", 404), ("a%20b/c", 404)]
    {
        let answer = client().get(format!("{}/plan/{path}", stage.url)).send().await.unwrap();
        let told = answer.status().as_u16();
        assert!(told == status || path == "acme/app" && told == 200, "{path}: {told}");
    }
    let wrong = stage.sluice(&["plan", "acme/network", "--output", "nothing"]).await;
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("has no output nothing: it has id"), "{}", wrong.stderr);

    stage.change("network", "2");
    stage.rest().await;
    let decisions = stage.sluice(&["decisions", "acme/app"]).await.stdout;
    assert!(decisions.lines().next().unwrap().ends_with("nothing it reads has changed"), "{decisions}");
    assert!(decisions.contains("waits for acme/"), "{decisions}");
    assert!(decisions.contains("acme/network: id\n"), "{decisions}");
    let json = stage.sluice(&["decisions", "acme/app", "--json", "--limit", "1"]).await.stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["decisions"].as_array().unwrap().len(), 1);
    assert_eq!(json["decisions"][0]["verdict"], "settled");
    let nobody = stage.sluice(&["decisions", "acme/nobody"]).await;
    assert_eq!(nobody.stdout, "acme/nobody: nothing is known of it\n");
}

#[tokio::test]
async fn a_person_stops_everything_at_once_and_nothing_is_forgotten() {
    let stage = Stage::of("network\n eks: network").await;
    let paused = stage.sluice(&["pause", "--why", "a freeze"]).await;
    assert_eq!(paused.stdout, "no run is created from now on; what is due waits for sluice resume\n");
    stage.change("network", "2");
    stage.until_printed(&["decisions", "acme/eks"], "a freeze").await;
    assert_eq!(stage.counts(), "network 1");
    assert!(stage.sluice(&["pause"]).await.stdout.contains("already: a freeze"));
    assert!(stage.sluice(&["resume"]).await.stdout.starts_with("runs are created again"));
    assert_eq!(stage.sluice(&["resume"]).await.stdout, "runs are created as it is\n");
}

#[tokio::test]
async fn a_backfill_without_a_server_reads_everything_and_can_be_repeated() {
    let mut stage = Stage::unheard(DIAMOND, Timings::default(), vars([])).await;
    stage.terminate().await;
    let nobody = stage.sluice(&["backfill"]).await;
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.stderr.contains("name one, as in sluice backfill acme"), "{}", nobody.stderr);
    for _ in 0..2 {
        let ended = stage.sluice(&["backfill", "acme"]).await;
        assert_eq!(ended.stdout, "acme: 4 workspaces listed, 4 with a state, 5 dependencies\n", "{}", ended.stderr);
        assert_eq!(ended.code, Some(0));
    }
    let unknown = stage.sluice(&["backfill", "nowhere"]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stdout.contains("HCP Terraform knows nothing of what the list of workspaces asks for"));
    // The server that follows knows the graph, though it has heard of nobody.
    stage.restart().await;
    let graph = stage.sluice(&["graph", "--format", "json"]).await.stdout;
    let graph: Value = serde_json::from_str(&graph).unwrap();
    assert_eq!(graph["workspaces"].as_array().map(Vec::len), Some(4));
    // Beside a server, the server does the reading.
    let ended = stage.sluice(&["backfill"]).await;
    assert_eq!(ended.stdout, "acme: 4 workspaces listed, 4 with a state, 5 dependencies\n", "{}", ended.stderr);
}

#[tokio::test]
async fn an_organization_of_many_pages_is_read_within_the_limit_of_requests() {
    let settings = Settings { api_requests_per_second: 30, ..Settings::default() };
    let world = World::unheard(settings, |hcp| {
        for n in 0..130 {
            let id = hcp.add_workspace(workspace(hcp, &format!("w{n:03}"), &[]));
            if n % 10 == 0 {
                hcp.apply_now(&id);
            }
        }
    })
    .await;
    survey(&world, SurveyScope::All).await;
    assert_eq!(world.table.workspaces(&world.terraform).await.unwrap().len(), 13);
    assert_eq!(world.hcp.exceeded(), Exceeded::default());
    world.stop().await;
}

#[tokio::test]
async fn a_backfill_that_is_killed_again_and_again_goes_on_where_it_was() {
    let mut stage = Stage::unheard("network\n eks: network", Timings::default(), vars([])).await;
    stage.terminate().await;
    for n in 0..230 {
        let name = format!("w{n:03}");
        let id = stage.hcp.add_workspace(workspace(&stage.hcp, &name, if n % 20 == 0 { &["network"] } else { &[] }));
        if n % 20 == 0 {
            stage.hcp.apply_now(&id);
        }
    }
    let data = stage.data();
    let arguments = ["backfill", "acme", "--data-dir", data.to_str().unwrap()];
    for ms in [300, 700, 1_000] {
        run_and_kill(&arguments, &stage.vars, Duration::from_millis(ms)).await;
    }
    let ended = stage.sluice(&["backfill", "acme"]).await;
    assert_eq!(ended.stdout, "acme: 232 workspaces listed, 14 with a state, 13 dependencies\n", "{}", ended.stderr);
    assert_eq!(stage.counts(), "");
}

#[tokio::test]
async fn a_backfill_that_cannot_reach_hcp_terraform_says_so_and_goes_on_trying() {
    let mut stage = Stage::unheard("network", Timings::default(), vars([])).await;
    stage.terminate().await;
    let nobody = vars([("TFE_ADDRESS", "http://127.0.0.1:9"), ("API_TOKEN", "none")]);
    let data = stage.data();
    let arguments = ["backfill", "acme", "--data-dir", data.to_str().unwrap()];
    let told = run_until_told(&arguments, &nobody, "will be tried again").await;
    assert!(told.contains("list of the workspaces of acme"), "{told}");
}

#[tokio::test]
async fn a_wide_wave_stays_within_the_limit_of_requests() {
    let settings = Settings { api_requests_per_second: 30, ..Settings::default() };
    let world = World::with(settings, |hcp| {
        add(hcp, "a");
        for n in 0..20 {
            add(hcp, &format!("b{n}: a"));
        }
    })
    .await;
    world.change("a");
    world.rest().await;
    assert_eq!((0..20).map(|n| world.runs(&format!("b{n}")).len()).sum::<usize>(), 20);
    assert_eq!(world.hcp.exceeded(), Exceeded::default());
    world.stop().await;
}

#[tokio::test]
async fn the_first_word_of_any_run_has_lost_notifications_looked_for_from_then_on() {
    let world = World::of("network\n eks: network").await;
    let organization = world.hcp.organization().parse().unwrap();
    assert!(world.table.survey(&world.terraform, &organization).await.unwrap().is_some());
    world.stop().await;
}

#[tokio::test]
async fn a_tag_that_allows_more_than_the_default_counts_once_its_workspace_has_run() {
    let policy = Policy { autonomy: AutonomyRules::all(sluice_domain::Autonomy::Observe), ..Policy::default() };
    let world = World::with(Settings { policy, ..Settings::default() }, |hcp| {
        add(hcp, "network\n eks: network\n rds: network");
        hcp.set_tags("eks", &["sluice:run"]);
    })
    .await;
    world.change("network");
    world.rest().await;
    assert_eq!(world.counts(), "eks 1, network 1");
    // And once it is taken away, and the workspace has run, it counts no longer.
    world.hcp.set_tags("eks", &[]);
    world.hcp.start_run("eks", RunOptions::new("by hand"));
    world.rest().await;
    world.change("network");
    world.rest().await;
    assert_eq!(world.counts(), "eks 2, network 2");
    world.stop().await;
}

#[tokio::test]
async fn a_second_change_while_an_order_is_held_reaches_every_reader() {
    let autonomy: AutonomyRules = "*/eks=plan".parse().unwrap();
    let policy = Policy { autonomy, ..Policy::default() };
    let world = World::with(Settings { policy, ..Settings::default() }, |hcp| {
        add(hcp, "network\n eks: network\n zeta: network");
    })
    .await;
    world.table.set_paused(Some(&Pause { since: now(), why: "a freeze".to_owned() })).await.unwrap();
    world.change("network");
    world.until_held("eks", "a freeze").await;
    let before = world.known("zeta").await.decision.unwrap().inputs;
    world.change("network");
    let decided_anew = async {
        while world.known("zeta").await.decision.unwrap().inputs == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), decided_anew).await.unwrap();
    assert_eq!(world.table.dead_letters(10).await.unwrap(), []);
    world.stop().await;
}

#[tokio::test]
async fn a_reader_that_a_backfill_finds_runs_for_what_was_heard_to_change_before() {
    let world = World::unheard(Settings::default(), |hcp| add(hcp, "network\n eks: network")).await;
    world.change("network");
    world.rest().await;
    survey(&world, SurveyScope::All).await;
    assert_eq!(world.counts(), "eks 1, network 1");
    world.stop().await;
}
