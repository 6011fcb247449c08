//! Every stage of a run, and tasks that have nothing to say: all of them answer.

use serde_json::{Value, json};
use sluice_tests::hcp::{RunOptions, RunStatus, Stage};

use super::scene::{Scene, assert_failed, assert_passed, status, task};

const ALL: [&str; 4] = ["pre_plan", "post_plan", "pre_apply", "post_apply"];

#[tokio::test]
async fn a_run_is_asked_about_at_all_four_stages_and_each_is_answered() {
    let scene = Scene::of("a\n b: a").await;
    scene.policy("runs", "package main\nimport rego.v1\ndeny contains \"no run\" if not input.run.id\n").await;
    let checks = json!([
        { "name": "above", "kind": "upstream" },
        { "name": "runs", "kind": "rego", "policy": "runs" },
        { "name": "preview", "kind": "preview", "stages": ["post_plan", "pre_apply"] },
        { "name": "readers", "kind": "consumers", "stages": ["post_plan"] },
    ]);
    scene.gate("a", &task(&ALL, &checks)).await;
    let run = scene.world.change("a");
    for number in 0..4 {
        assert_passed(&scene.answer("a", number).await);
    }
    let results = scene.hcp().task_results("a");
    assert_eq!(results.iter().map(|result| result.stage).collect::<Vec<_>>(), Stage::ALL);
    let counts: Vec<_> = results.iter().map(|result| result.message.matches(": ").count()).collect();
    assert!(counts[1] > counts[0] && counts[0] == counts[3], "{results:#?}");
    assert_eq!(status(scene.hcp(), &run).await, RunStatus::Applied);
    scene.world.rest().await;
    scene.end().await;
}

/// What a task that has nothing to check says at once.
async fn outright(change: impl FnOnce(&mut Value), expect: Result<&str, &str>) {
    let scene = Scene::of("a").await;
    let mut definition = task(&["post_plan"], &json!([{ "name": "preview", "kind": "preview" }]));
    scene.gate("a", &definition).await;
    change(&mut definition);
    scene.store(&definition).await;
    let result = scene.change("a").await;
    match expect {
        Ok(message) => {
            assert_passed(&result);
            assert_eq!(result.message, message);
        }
        Err(message) => {
            assert_failed(&result);
            assert!(result.message.starts_with(message), "{}", result.message);
        }
    }
    assert_eq!((result.callbacks.len(), &result.outcomes), (1, &json!([])));
    scene.end().await;
}

#[tokio::test]
async fn a_task_that_is_for_others_or_not_enabled_or_without_checks_passes_at_once() {
    outright(|task| task["enabled"] = json!(false), Ok("guard is not enabled")).await;
    outright(|task| task["workspaces"] = json!(["prod-*"]), Ok("guard is not for acme/a")).await;
    outright(|task| task["organizations"] = json!(["other"]), Ok("guard is not for acme/a")).await;
    outright(|task| task["stages"] = json!(["pre_apply"]), Ok("guard has no checks at post_plan")).await;
}

#[tokio::test]
async fn a_task_whose_definition_is_not_valid_fails_at_once_and_names_the_field() {
    outright(
        |task| task["checks"][0]["kind"] = json!("previews"),
        Err("the definition of a run task is not valid: checks[0].kind is none of"),
    )
    .await;
    outright(
        |task| task["timeout_seconds"] = json!("long"),
        Err("the definition of a run task is not valid: timeout_seconds cannot be read"),
    )
    .await;
    outright(
        |task| task["colour"] = json!("red"),
        Err("the definition of a run task is not valid: colour cannot be read: unknown field"),
    )
    .await;
}

#[tokio::test]
async fn a_speculative_run_is_answered_too_and_teaches_nothing() {
    let scene = Scene::of("a\n b: a").await;
    scene.gate("b", &task(&["pre_plan", "post_plan"], &json!([{ "name": "above", "kind": "upstream" }]))).await;
    scene.hcp().touch("b");
    scene.run("b", RunOptions::plan_only("just looking")).await;
    assert_passed(&scene.answer("b", 0).await);
    assert_passed(&scene.answer("b", 1).await);
    scene.end().await;
}
