//! Requests that are signed with the key of a task and lie: about a run of another workspace.

use http::Method;
use serde_json::{Value, json};
use sluice_domain::ports::{ContextKey, ContextStore, Inbox};
use sluice_domain::{RunReport, Standing, TaskResultId, Timestamp};
use sluice_lambda::now;
use sluice_tests::hcp::{Enforcement, RunTaskSpec, Stage, sign};

use super::scene::{Asker, Held, token, url};
use crate::gate::checker::{Checker, body};
use crate::gate::scene::{KEY, after_plan, assert_failed};
use crate::world::GATE_KEY;

/// Somebody who has the key of `guard`, and a genuine request about a run of `b` to make others from.
struct Forger {
    genuine: Value,
}

impl Forger {
    async fn new(held: &Held) -> Self {
        // It takes Sluice's place, and keeps what HCP Terraform asks.
        let keeper = Checker::start(KEY).await;
        let spec = RunTaskSpec::new("kept", &keeper.url).hmac_key(KEY);
        let task = held.scene.hcp().create_run_task(spec).await.unwrap();
        held.scene.hcp().attach_run_task("b", &task, Enforcement::Mandatory, &[Stage::PostPlan]);
        held.scene.world.change("b");
        keeper.asked(2).await;
        Self { genuine: keeper.requests().pop().unwrap().payload() }
    }

    /// Asks `task` about `run`, as if it were one of `workspace`. Returns whose context that is.
    async fn ask(&self, held: &Held, task: &str, result: &str, run: &str, workspace: &str) -> ContextKey {
        let mut request = self.genuine.clone();
        request["run_id"] = json!(run);
        request["workspace_name"] = json!(workspace);
        request["task_result_id"] = json!(result);
        let body = request.to_string();
        let signature = sign(KEY, body.as_bytes());
        let request = held.check.client.post(held.scene.url(task)).header("X-TFC-Task-Signature", signature);
        assert_eq!(request.body(body).send().await.unwrap().status(), 200);
        ContextKey { workspace: held.scene.world.workspace(workspace), run: run.parse().unwrap() }
    }
}

/// News of a run, as a notification brings it.
async fn news(held: &Held, of: &ContextKey, standing: Standing) {
    let report = RunReport {
        workspace: of.workspace.clone(),
        workspace_id: held.scene.hcp().workspace_id(&of.workspace.name).parse().unwrap(),
        run: of.run.clone(),
        created_at: Timestamp(now().0 - 1_000),
        standing,
        at: now(),
        marker: None,
    };
    held.table().record(&report, now()).await.unwrap();
}

#[tokio::test]
async fn who_speaks_for_one_workspace_does_not_reach_the_context_of_another() {
    let held = Held::new().await;
    let secret = held.check.post(r#"{"of":"a"}"#).await.document();
    let forger = Forger::new(&held).await;
    // Its id comes before that of the genuine one, in any order.
    let of = forger.ask(&held, "guard", "taskrs-0", held.run.as_str(), "b").await;
    let result: TaskResultId = "taskrs-0@guard".parse().unwrap();
    let fake = held.check.with(Some(&token(GATE_KEY, &held.run, &result, "cost")));
    assert_eq!(fake.get().await.document(), "{}");
    assert_eq!(fake.patch(r#"{"of":"b"}"#).await.document(), r#"{"of":"b"}"#);
    assert_eq!(fake.post(r#"{"of":"b, again"}"#).await.tag(), "\"2\"");
    assert_eq!(held.table().context(&of).await.unwrap().document.as_str(), r#"{"of":"b, again"}"#);
    assert_eq!(held.check.get().await.document(), secret);
    // Both are listed, and there are news of one.
    assert_eq!(held.operator().get().await.document(), secret);

    // That nothing was heard of the run in the other workspace does not bring it back to life.
    assert!(held.scene.hcp().cancel(held.run.as_str()));
    held.until_over().await;
    for asker in [&held.operator(), &held.check] {
        asker.send(Method::POST, &[], r#"{"marker":1}"#).await.refused(409);
    }
    assert_eq!(held.operator().get().await.document(), secret);
    held.pass().await;
    held.scene.end().await;
}

const POLICY: &str = "package main\nimport rego.v1\ndeny contains input.context.allowed if input.context.allowed";

#[tokio::test]
async fn policies_see_the_context_of_their_own_workspace() {
    let mut held = Held::new().await;
    held.scene.policy("left", POLICY).await;
    let other = held.scene.checker().await;
    let rule = json!({ "name": "left", "kind": "rego", "policy": "left", "needs": ["cost"] });
    let mut second = after_plan(&json!([other.check(), rule]));
    second["name"] = json!("second");
    held.scene.gate("b", &second).await;
    let forger = Forger::new(&held).await;
    let payload = other.asked(1).await;
    let run = payload["run_id"].as_str().unwrap();
    let of_b = held.operator().at(url(&held.scene.world.url, run));
    of_b.post(r#"{"allowed":"what b left"}"#).await.document();

    forger.ask(&held, "guard", "taskrs-0", run, "a").await;
    let result: TaskResultId = "taskrs-0@guard".parse().unwrap();
    let token = token(GATE_KEY, &run.parse().unwrap(), &result, "cost");
    let fake: Asker = of_b.with(Some(&token));
    assert_eq!(fake.post(r#"{"allowed":"what a says"}"#).await.tag(), "\"1\"");
    assert_eq!(other.call_back(&payload, &body("passed", "cheap")).await, 200);
    let result = held.scene.answer("b", 0).await;
    assert_failed(&result);
    assert!(result.message.contains("what b left"), "{}", result.message);
    held.scene.end().await;
}

#[tokio::test]
async fn a_run_that_several_workspaces_are_said_to_have_is_that_of_which_there_are_news() {
    let mut held = Held::new().await;
    let forger = Forger::new(&held).await;
    // Its check waits for ever.
    let mut other = after_plan(&json!([held.scene.checker().await.check()]));
    other["name"] = json!("other");
    held.scene.store(&other).await;
    let operator = held.operator().at(url(&held.scene.world.url, "run-moved"));
    operator.get().await.refused(404);
    let mut keys = Vec::new();
    // More than are read at a time, all of one workspace, before the other.
    for number in 0..60 {
        keys.push(forger.ask(&held, "other", &format!("taskrs-{number}"), "run-moved", "a").await);
    }
    assert_eq!(operator.post(r#"{"of":"a"}"#).await.tag(), "\"1\"");
    let (of_a, of_b) = (keys.swap_remove(0), forger.ask(&held, "other", "taskrs-x", "run-moved", "b").await);
    assert_eq!(
        held.table().context_workspaces(&of_a.run).await.unwrap(),
        [of_a.workspace.clone(), of_b.workspace.clone()]
    );
    let refused = async || {
        for method in [Method::GET, Method::POST, Method::PATCH] {
            let why = operator.send(method, &[], r#"{"marker":1}"#).await.refused(409);
            assert!(why.contains(&format!("{}, {}", of_a.workspace, of_b.workspace)), "{why}");
        }
    };
    refused().await;
    news(&held, &of_b, Standing::Planning).await;
    assert_eq!(operator.post(r#"{"of":"b"}"#).await.tag(), "\"1\"");
    assert_eq!(held.table().context(&of_b).await.unwrap().document.as_str(), r#"{"of":"b"}"#);
    assert_eq!(held.table().context(&of_a).await.unwrap().document.as_str(), r#"{"of":"a"}"#);
    news(&held, &of_a, Standing::Planning).await;
    refused().await;
    held.scene.end().await;
}
