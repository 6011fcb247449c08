//! Rego policies, as users write them for conftest, and what a task makes of its checks.

use serde_json::{Value, json};
use sluice_tests::hcp::{RunOptions, RunStatus};

use super::scene::{Scene, after_plan, assert_failed, assert_passed, ids, outcome, outcomes, settings, status, task};
use crate::world::workspace;

/// What a team has in its `policy` directory for `conftest test plan.json`.
const CONFTEST: &str = r#"package main

import rego.v1

has_field(object, field) if object[field]

deny contains msg if {
	some change in input.resource_changes
	change.type == "aws_s3_bucket"
	change.change.after.acl == "public-read"
	msg := sprintf("%s must not be public", [change.address])
}

deny contains {"msg": msg, "severity": "High", "id": "TAG-1", "url": "https://wiki.example/tags"} if {
	some change in input.resource_changes
	change.type == "aws_s3_bucket"
	not has_field(change.change.after, "tags")
	msg := sprintf("%s has no tags", [change.address])
}

warn contains msg if {
	count(input.resource_changes) > 1
	msg := "this is a lot at once"
}
"#;

fn bucket(acl: &str) -> Value {
    json!({ "address": "aws_s3_bucket.logs", "mode": "managed", "type": "aws_s3_bucket", "name": "logs",
        "provider_name": "registry.terraform.io/hashicorp/aws",
        "change": { "actions": ["create"], "before": null, "after": { "acl": acl }, "after_unknown": {} } })
}

fn rego(policy: &str) -> Value {
    json!([{ "name": "buckets", "kind": "rego", "policy": policy }])
}

#[tokio::test]
async fn a_policy_that_was_written_for_conftest_denies_a_plan_until_it_is_put_right() {
    let buckets = |hcp: &sluice_tests::hcp::Hcp| {
        let id = hcp.add_workspace(workspace(hcp, "logs", &[]).resource_change(bucket("public-read")));
        hcp.apply_now(&id);
    };
    let scene = Scene::with(settings(), buckets).await;
    scene.policy("buckets", CONFTEST).await;
    scene.gate("logs", &after_plan(&rego("buckets"))).await;
    let result = scene.change("logs").await;
    assert_failed(&result);
    assert_eq!(result.message, "buckets: 2 denials, 1 warning (aws_s3_bucket.logs must not be public)");
    let expected = [
        ("buckets.TAG-1", "aws_s3_bucket.logs has no tags"),
        ("buckets.main.deny", "aws_s3_bucket.logs must not be public"),
        ("buckets.main.warn", "this is a lot at once"),
    ];
    let mut found = outcomes(&result);
    found.sort();
    assert_eq!(found, expected.map(|(id, text)| (id.to_owned(), text.to_owned())));
    let tagged = outcome(&result, "buckets.TAG-1");
    assert_eq!(tagged["tags"]["Severity"], json!([{ "label": "High", "level": "error" }]));
    assert_eq!(tagged["url"], "https://wiki.example/tags");
    assert_eq!(status(scene.hcp(), &result.run).await, RunStatus::Errored);

    scene.hcp().edit("logs", |program| {
        program.resource_changes[0]["change"]["after"] = json!({ "acl": "private", "tags": { "team": "core" } });
    });
    let result = scene.run("logs", RunOptions::new("put right")).await;
    assert_passed(&result);
    assert_eq!(result.message, "buckets: 1 warning (this is a lot at once)");
    assert_eq!(ids(&result), ["buckets.main.warn"]);
    assert_eq!(status(scene.hcp(), &result.run).await, RunStatus::Applied);
    scene.end().await;
}

#[tokio::test]
async fn before_the_plan_policies_see_the_run_alone() {
    let scene = Scene::of("a").await;
    let policy = "package main\nimport rego.v1\n\
        deny contains \"on fridays, this waits\" if contains(input.run.request.run_message, \"friday\")\n\
        deny contains \"there is a plan\" if input.plan\n\
        deny contains \"it is another stage\" if input.run.stage != \"pre_plan\"\n\
        deny contains \"a token!\" if input.run.request.access_token\n";
    scene.policy("calendar", policy).await;
    let checks = json!([{ "name": "calendar", "kind": "rego", "policy": "calendar" }]);
    scene.gate("a", &task(&["pre_plan"], &checks)).await;
    let result = scene.run("a", RunOptions::new("one for friday")).await;
    assert_failed(&result);
    assert_eq!(outcomes(&result), [("calendar.main.deny".to_owned(), "on fridays, this waits".to_owned())]);
    assert_passed(&scene.run("a", RunOptions::new("one for monday")).await);
    scene.end().await;
}

#[tokio::test]
async fn a_policy_that_is_not_there_or_not_readable_or_wrong_is_an_error_and_says_so() {
    let scene = Scene::of("a").await;
    let wrong = json!({ "modules": { "policy.rego": "package main\nimport rego.v1\ndeny contains x if y == 1\n" } });
    for (name, stored) in [("unreadable", "no policy".to_owned()), ("wrong", wrong.to_string())] {
        scene.world.table.put_policy(&name.parse().unwrap(), &stored).await.unwrap();
    }
    let check = |name: &str| json!({ "name": name, "kind": "rego", "policy": name });
    scene.gate("a", &after_plan(&json!([check("absent"), check("unreadable"), check("wrong")]))).await;
    let result = scene.change("a").await;
    assert_failed(&result);
    let found = outcomes(&result);
    assert_eq!(found[0].1, "absent: could not be carried out: there is no policy absent: store it, or name another");
    assert!(found[1].1.contains("policy unreadable is not readable: store it again"), "{found:?}");
    assert!(found[2].1.contains("the policy is wrong: "), "{found:?}");
    assert!((0..3).all(|n| result.outcomes[n]["tags"]["Status"][0]["label"] == "Error"), "{result:#?}");
    scene.end().await;
}

const DENY: &str = "package main\nimport rego.v1\ndeny contains \"no\" if true\n";

#[tokio::test]
async fn what_is_advisory_or_comes_to_no_verdict_by_leave_does_not_fail_the_task() {
    let scene = Scene::of("a").await;
    scene.policy("no", DENY).await;
    let advisory = json!({ "name": "advice", "kind": "rego", "policy": "no", "enforcement": "advisory" });
    let excused = json!({ "name": "excused", "kind": "rego", "policy": "absent", "on_error": "pass" });
    let preview = json!({ "name": "preview", "kind": "preview" });
    scene.gate("a", &after_plan(&json!([preview, advisory, excused]))).await;
    let result = scene.change("a").await;
    assert_passed(&result);
    // The bad news comes first.
    assert_eq!(ids(&result), ["advice.main.deny", "excused", "preview.wave"]);
    assert_eq!(outcome(&result, "excused")["tags"]["Status"][0], json!({ "label": "Error", "level": "warning" }));
    assert!(result.message.starts_with("advice: 1 denial (no); excused: could not be carried out"), "{result:#?}");
    scene.end().await;
}

#[tokio::test]
async fn a_check_begins_when_those_that_it_needs_are_over_however_they_ended() {
    let mut scene = Scene::of("a").await;
    let checker = scene.checker().await;
    scene.policy("no", DENY).await;
    let first =
        json!({ "name": "first", "kind": "rego", "policy": "no", "enforcement": "advisory", "needs": ["cost"] });
    scene.gate("a", &after_plan(&json!([checker.check(), first]))).await;
    scene.world.change("a");
    let payload = checker.asked(1).await;
    let result = scene.hcp().task_results("a").pop().unwrap().id;
    let begun = scene.gated(&result).await.unwrap().execution(&"first".parse().unwrap()).started_at;
    assert_eq!(begun, None, "it has not waited");
    assert_eq!(checker.call_back(&payload, &super::checker::body("passed", "cheap")).await, 200);
    let result = scene.answer("a", 0).await;
    assert_passed(&result);
    assert_eq!(result.message, "first: 1 denial (no); cost: cheap");
    scene.end().await;
}
