//! The checks that know the graph: what a plan will set off, who reads what it deletes, and whether what it reads is
//! settled.

use serde_json::json;
use sluice_domain::Policy;
use sluice_domain::gate::Progress;
use sluice_tests::hcp::{Options, Output, Plans, RunOptions, RunStatus};

use super::scene::{
    Scene, after_plan, assert_failed, assert_passed, ids, outcome, outcomes, settings, status, task, until,
};
use crate::world::{DIAMOND, Settings, add, remote, workspace};

fn preview() -> serde_json::Value {
    after_plan(&json!([{ "name": "preview", "kind": "preview" }]))
}

#[tokio::test]
async fn the_author_of_a_plan_is_told_what_it_will_set_off_and_that_is_what_runs() {
    let scene = Scene::of(DIAMOND).await;
    scene.gate("network", &preview()).await;
    let result = scene.change("network").await;
    assert_passed(&result);
    assert_eq!(
        result.message,
        "preview: 2 workspaces will run after this, because of id, and up to 1 more below them, step by step"
    );
    assert_eq!(ids(&result), ["preview.wave", "preview.1.eks", "preview.1.rds", "preview.2.app"]);
    let wave = outcome(&result, "preview.wave");
    assert_eq!(wave["tags"]["Runs"][0]["label"], "3");
    let body = wave["body"].as_str().unwrap();
    assert!(body.contains("| 2 | acme/app | acme/eks (id), acme/network (id), acme/rds (id) |"), "{body}");
    assert!(body.contains("```mermaid\nflowchart LR\n"), "{body}");
    scene.world.rest().await;
    assert_eq!(scene.world.counts(), "app 1, eks 1, network 1, rds 1");
    scene.end().await;
}

#[tokio::test]
async fn an_output_that_is_known_after_apply_counts_as_changed() {
    let scene = Scene::of("a\n b: a\n c: b").await;
    scene.hcp().plans(Plans { known_after_apply: true, ..Options::default().plans });
    scene.gate("b", &preview()).await;
    scene.world.change("a");
    let result = scene.answer("b", 0).await;
    assert_eq!(result.message, "preview: 1 workspace will run after this, because of id");
    assert_eq!(ids(&result), ["preview.wave", "preview.1.c"]);
    scene.world.rest().await;
    scene.end().await;
}

#[tokio::test]
async fn nobody_who_reads_it_means_that_nobody_runs() {
    let scene = Scene::of("alone\n a\n b: a").await;
    for workspace in ["alone", "b"] {
        scene.gate(workspace, &preview()).await;
    }
    let result = scene.change("alone").await;
    assert_passed(&result);
    assert_eq!(result.message, "preview: nobody runs after this: id will change, and nobody reads that");
    scene.hcp().touch("alone");
    let result = scene.run("alone", RunOptions::new("no output changes")).await;
    assert_eq!(result.message, "preview: no output changes: nobody runs after this");
    assert_eq!(ids(&result), ["preview.wave"]);
    scene.world.rest().await;
    scene.end().await;
}

#[tokio::test]
async fn what_is_held_is_named_with_the_reason() {
    let policy = Policy { autonomy: "*/b=observe".parse().unwrap(), ..Policy::default() };
    let scene = Scene::with(Settings { policy, ..settings() }, |hcp| add(hcp, "a\n b: a\n c: b")).await;
    scene.gate("a", &preview()).await;
    let result = scene.change("a").await;
    assert_passed(&result);
    assert_eq!(result.message, "preview: nobody runs after this by itself, though id will change; 1 is held");
    let held = outcome(&result, "preview.held.b");
    assert_eq!(held["tags"]["Status"][0]["label"], "Held");
    scene.world.rest().await;
    assert_eq!(scene.world.counts(), "a 1");
    scene.end().await;
}

#[tokio::test]
async fn whoever_still_reads_what_is_destroyed_fails_the_plan() {
    let scene = Scene::of(DIAMOND).await;
    for workspace in ["network", "app"] {
        scene.gate(workspace, &after_plan(&json!([{ "name": "readers", "kind": "consumers" }]))).await;
    }
    let result = scene.run("network", RunOptions::destroy("tear down")).await;
    assert_failed(&result);
    assert_eq!(result.message, "readers: 3 workspaces still read outputs that this plan deletes");
    let read = |name: &str| (format!("readers.{name}"), format!("acme/{name} reads id, which this plan deletes"));
    assert_eq!(outcomes(&result), ["app", "eks", "rds"].map(read));
    assert_eq!(status(scene.hcp(), &result.run).await, RunStatus::Errored);

    let result = scene.run("app", RunOptions::destroy("tear down")).await;
    assert_passed(&result);
    assert_eq!(result.message, "readers: nobody is known to read the outputs that are deleted");
    assert_eq!(status(scene.hcp(), &result.run).await, RunStatus::Applied);
    scene.end().await;
}

#[tokio::test]
async fn an_output_that_goes_and_is_still_read_fails_the_plan() {
    let scene = Scene::with(settings(), |hcp| {
        let a = workspace(hcp, "a", &[]).output("unread", Output::fixed("x"));
        let b = workspace(hcp, "b", &[]).reads(remote(hcp, "a")).depends_on_reads(false);
        for workspace in [a, b.output("own", Output::copy("a", "id"))] {
            let id = hcp.add_workspace(workspace);
            hcp.apply_now(&id);
        }
    })
    .await;
    // What b uses is known by its plan, once that is of a run that did not end in the same second as another.
    scene.gate("b", &preview()).await;
    let taught = async || scene.world.known("b").await.facts.producers.into_values().any(|edge| edge.uses.is_some());
    let mut runs = 0;
    while !taught().await {
        scene.world.change("a");
        assert_passed(&scene.answer("b", runs).await);
        scene.world.rest().await;
        runs += 1;
        assert!(runs < 100, "no plan of b's teaches anything");
    }
    let readers = json!({ "name": "readers", "hmac_keys": ["env:TASK_KEY"], "stages": ["post_plan"],
        "checks": [{ "name": "readers", "kind": "consumers" }] });
    scene.gate("a", &readers).await;
    scene.hcp().edit("a", |program| drop(program.outputs.remove("unread")));
    let result = scene.run("a", RunOptions::new("remove what nobody uses")).await;
    assert_passed(&result);
    scene.world.rest().await;
    scene.hcp().edit("a", |program| drop(program.outputs.remove("id")));
    let result = scene.run("a", RunOptions::new("remove what b uses")).await;
    assert_failed(&result);
    assert_eq!(ids(&result), ["readers.b"]);
    scene.end().await;
}

/// A world in which `a` has a run that waits for a person, and `b` reads `a`.
async fn unsettled(unsettled: &str, stages: &[&str]) -> Scene {
    let scene = Scene::of("a\n b: a").await;
    let mut definition = task(stages, &json!([{ "name": "above", "kind": "upstream", "unsettled": unsettled }]));
    definition["timeout_seconds"] = json!(600);
    scene.gate("b", &definition).await;
    scene.hcp().auto_apply("a", false);
    scene.hcp().touch("a");
    scene.hcp().start_run("a", RunOptions::new("waits for a person"));
    scene.hcp().settled().await;
    let active = async || (!scene.world.known("a").await.facts.active.is_empty()).then_some(());
    until("Sluice does not hear of the run", active).await;
    scene
}

#[tokio::test]
async fn a_run_above_that_is_not_settled_fails_or_warns() {
    for (how, passes) in [("fail", false), ("warn", true)] {
        let scene = unsettled(how, &["post_plan"]).await;
        scene.hcp().touch("b");
        let result = scene.run("b", RunOptions::new("meanwhile")).await;
        if passes {
            assert_passed(&result);
        } else {
            assert_failed(&result);
        }
        assert_eq!(result.message, "above: acme/a above is not settled yet");
        let level = if passes { "warning" } else { "error" };
        assert_eq!(outcome(&result, "above.unsettled.a")["tags"]["Status"][0]["level"], level);
        scene.end().await;
    }
}

#[tokio::test]
async fn a_run_above_that_is_not_settled_is_waited_for() {
    let scene = unsettled("wait", &["post_plan"]).await;
    scene.hcp().touch("b");
    let run = scene.hcp().start_run("b", RunOptions::new("meanwhile"));
    let said = |progress: Option<Progress>| progress.is_some_and(|it| it.message == "acme/a above is not settled yet");
    let waits = async || {
        let result = scene.hcp().task_results("b").pop()?.id;
        let progress = scene.gated(&result).await?.execution(&"above".parse().unwrap()).progress;
        said(progress).then_some(result)
    };
    let result = until("it does not wait", waits).await;
    scene.work(&result, "above", 31_000).await;
    assert_eq!(scene.hcp().task_result(&result).unwrap().callbacks.last().unwrap().status.as_deref(), Some("running"));
    // Somebody confirms the run above: it applies, and puts out what it did before.
    assert!(scene.hcp().confirm(&scene.world.runs("a")[0].id));
    let settled = async || scene.world.known("a").await.facts.active.is_empty().then_some(());
    until("Sluice does not hear that it is over", settled).await;
    scene.work(&result, "above", 62_000).await;
    let result = scene.answer("b", 0).await;
    assert_passed(&result);
    assert_eq!(result.message, "above: everything above is settled");
    assert_eq!(status(scene.hcp(), &run).await, RunStatus::Applied);
    scene.end().await;
}

#[tokio::test]
async fn a_plan_that_is_older_than_what_it_reads_is_not_applied() {
    let scene = Scene::of("a\n b: a").await;
    scene.gate("b", &task(&["pre_apply"], &json!([{ "name": "above", "kind": "upstream" }]))).await;
    scene.hcp().auto_apply("b", false);
    scene.hcp().touch("b");
    let run = scene.hcp().start_run("b", RunOptions::new("made on what was true"));
    assert_eq!(status(scene.hcp(), &run).await, RunStatus::Planned);
    scene.world.change("a");
    scene.world.rest().await;
    assert!(scene.hcp().confirm(&run));
    let result = scene.answer("b", 0).await;
    assert_failed(&result);
    assert_eq!(result.message, "above: the plan is older than what it reads of acme/a: start a new run");
    assert_eq!(ids(&result), ["above.newer.a"]);
    assert_eq!(status(scene.hcp(), &run).await, RunStatus::Errored);
    scene.end().await;
}
