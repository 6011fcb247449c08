//! Policies and plans that would take everything: stopped and told in plain words, while others go on.

use std::time::{Duration, Instant};

use serde_json::json;
use sluice_tests::hcp::{Options, Plans, TaskResultStatus};

use super::scene::{Scene, after_plan, assert_answered, assert_failed, assert_passed, outcomes, settings};
use crate::world::add;

/// It would take days.
const ENDLESS: &str = "package main\nimport rego.v1\ndeny contains \"x\" if {\n\
    some a in numbers.range(1, 9000)\n some b in numbers.range(1, 9000)\n some c in numbers.range(1, 9000)\n\
    a + b + c == 0\n}\n";

/// It would take a hundred gigabytes.
const HUGE: &str = "package main\nimport rego.v1\n\
    deny contains \"x\" if count([n | some n in numbers.range(1, 1000000000)]) > 5\n";

#[tokio::test]
async fn a_policy_without_end_is_stopped_when_its_time_is_over_and_others_go_on() {
    let scene = Scene::of("a\n b").await;
    scene.policy("endless", ENDLESS).await;
    let endless = json!({ "name": "endless", "kind": "rego", "policy": "endless", "timeout_seconds": 2 });
    let preview = json!({ "name": "preview", "kind": "preview" });
    scene.gate("a", &after_plan(&json!([endless, preview]))).await;
    let started = Instant::now();
    scene.world.change("a");
    let mut other = after_plan(&json!([preview]));
    other["name"] = json!("other");
    scene.gate("b", &other).await;
    assert_passed(&scene.change("b").await);
    let result = scene.answer("a", 0).await;
    assert_failed(&result);
    assert_eq!(outcomes(&result)[0], ("endless".to_owned(), "endless: took longer than it may".to_owned()));
    assert!(result.message.contains("preview: "), "{result:#?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    scene.end().await;
}

#[tokio::test]
async fn a_policy_that_needs_too_much_memory_is_stopped_and_said_to_be_an_error() {
    let scene = Scene::of("a").await;
    scene.policy("huge", HUGE).await;
    let huge = json!({ "name": "huge", "kind": "rego", "policy": "huge", "timeout_seconds": 50, "on_error": "pass" });
    scene.gate("a", &after_plan(&json!([huge, { "name": "preview", "kind": "preview" }]))).await;
    let result = scene.change("a").await;
    assert_passed(&result);
    let (id, told) = &outcomes(&result)[0];
    assert_eq!(id, "huge");
    assert!(
        told.contains("the policy needed more than 1073741824 bytes of memory for this plan and was stopped"),
        "{told}"
    );
    scene.end().await;
}

#[tokio::test]
async fn a_plan_over_the_bound_is_a_clear_failure() {
    let mut settings = settings();
    settings.checks.plan_bytes_max = 1 << 20;
    let scene = Scene::with(settings, |hcp| add(hcp, "a")).await;
    scene.hcp().plans(Plans { bytes: 2 << 20, ..Options::default().plans });
    scene.policy("any", "package main\nimport rego.v1\ndeny contains \"no\" if false\n").await;
    let checks = json!([{ "name": "preview", "kind": "preview" }, { "name": "any", "kind": "rego", "policy": "any" }]);
    scene.gate("a", &after_plan(&checks)).await;
    let result = scene.change("a").await;
    assert_answered(&result, TaskResultStatus::Failed);
    for (id, told) in outcomes(&result) {
        assert!(told.contains("larger than 1048576 bytes"), "{id}: {told}");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_plan_of_thirty_megabytes_goes_through() {
    let scene = Scene::of("a\n b: a").await;
    scene.hcp().plans(Plans { bytes: 30 << 20, ..Options::default().plans });
    let policy = "package main\nimport rego.v1\n\
        deny contains \"it was cut\" if count(input.resource_changes) < 30000\n";
    scene.policy("whole", policy).await;
    let checks =
        json!([{ "name": "preview", "kind": "preview" }, { "name": "whole", "kind": "rego", "policy": "whole" }]);
    scene.gate("a", &after_plan(&checks)).await;
    let result = scene.change("a").await;
    assert_passed(&result);
    assert!(result.message.contains("preview: 1 workspace will run after this"), "{result:#?}");
    scene.hcp().plans(Options::default().plans);
    scene.world.rest().await;
    scene.end().await;
}
