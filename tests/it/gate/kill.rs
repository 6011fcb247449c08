//! `sluice serve` with a gate, killed at any moment: whatever it had begun it brings to its end, once; and nothing that
//! it prints or keeps has a secret in it, however much it is told to print.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_tests::hcp::{
    ApiFault, ApiMishap, Enforcement, Hcp, Route, RunOptions, RunTaskSpec, Stage as TaskStage, TaskResultView, Timings,
};

use super::checker::{Asked, Checker, body};
use super::leaks;
use super::scene::{CHECKER_KEY, KEY, PATIENCE, after_plan, until};
use crate::serve::program::vars;
use crate::serve::stage::Stage;

struct Killed {
    stage: Stage,
    checker: Checker,
    /// What was printed by those that were killed.
    log: String,
}

impl Killed {
    async fn new() -> Self {
        let more = vars([
            ("TASK_KEY", KEY),
            ("CHECKER_KEY", CHECKER_KEY),
            ("SLUICE_CHECKER_HOSTS", "127.0.0.0/8"),
            ("SLUICE_LOG", "trace"),
        ]);
        let stage = Stage::with("a\n b: a", Timings::default(), more).await;
        stage.hcp.task_options(|options| {
            options.attempts = 2_000;
            options.spacing = Duration::from_millis(20);
        });
        let checker = Checker::start(CHECKER_KEY).await;
        let mut cost = checker.check();
        cost["needs"] = json!(["preview"]);
        let tasks = json!({ "tasks": [after_plan(&json!([{ "name": "preview", "kind": "preview" }, cost]))] });
        let file = stage.data().join("tasks.json");
        std::fs::write(&file, tasks.to_string()).unwrap();
        let stored = stage.sluice(&["tasks", file.to_str().unwrap()]).await;
        assert_eq!(stored.stdout, "stored 1 run task and 0 policies\n", "{}", stored.stderr);
        let spec = RunTaskSpec::new("guard", &format!("{}/run-tasks/guard", stage.url)).hmac_key(KEY);
        let task = stage.hcp.create_run_task(spec).await.unwrap();
        stage.hcp.attach_run_task("a", &task, Enforcement::Mandatory, &[TaskStage::PostPlan]);
        Self { stage, checker, log: String::new() }
    }

    fn kill(&mut self) {
        self.log += &self.stage.server.as_ref().unwrap().log();
        self.stage.kill();
    }

    /// A run that is asked about, when its result looks like that.
    async fn run(&self, when: impl Fn(&Hcp, &TaskResultView) -> bool) -> String {
        let before = self.stage.hcp.task_results("a").len();
        self.stage.hcp.touch("a");
        self.stage.hcp.start_run("a", RunOptions::new("gated"));
        let looks = |hcp: &Hcp| hcp.task_results("a").get(before).filter(|it| when(hcp, it)).map(|it| it.id.clone());
        tokio::time::timeout(PATIENCE, self.stage.hcp.until(looks)).await.expect("it does not come so far")
    }

    /// What the checker is asked for the sake of this result.
    async fn asked(&self, result: &str) -> Value {
        let run = self.stage.hcp.task_result(result).unwrap().run;
        let of_run = async || self.checker.requests().iter().map(Asked::payload).find(|it| it["run_id"] == run);
        until("the checker is not asked", of_run).await
    }

    /// The checker has nothing to object to.
    async fn pass(&self, result: &str) {
        let payload = self.asked(result).await;
        assert_eq!(self.checker.call_back(&payload, &body("passed", "cheap")).await, 200);
    }

    async fn assert_answered(&self, result: &str) {
        let done = tokio::time::timeout(PATIENCE, self.stage.hcp.task_result_done(result)).await;
        let result = done.unwrap_or_else(|_| panic!("no answer: {:#?}", self.stage.hcp.task_result(result)));
        assert_eq!((result.status.as_str(), result.accepted_finals()), ("passed", 1), "{result:#?}");
        assert_eq!(result.message, "preview: no output changes: nobody runs after this; cost: cheap");
    }
}

#[tokio::test]
async fn a_gate_that_is_killed_at_any_moment_says_one_last_word() {
    let mut killed = Killed::new().await;
    // While nobody is there, HCP Terraform asks in vain.
    killed.kill();
    let result = killed.run(|_, it| it.requests.len() > 1).await;
    killed.stage.restart().await;
    killed.pass(&result).await;
    killed.assert_answered(&result).await;

    // As soon as it has said that it will answer.
    let result = killed.run(|_, it| it.acknowledged() > 0).await;
    killed.kill();
    killed.stage.restart().await;
    killed.pass(&result).await;
    killed.assert_answered(&result).await;

    // In the middle of a check: the plan comes slowly.
    let slow = ApiFault::next(Route::Archivist, 1, ApiMishap::SlowBody(Duration::from_millis(100)));
    killed.stage.hcp.faults(|faults| faults.api.push(slow));
    let before = killed.stage.hcp.count(Route::Archivist);
    let result = killed.run(|hcp, _| hcp.count(Route::Archivist) > before).await;
    killed.kill();
    killed.stage.restart().await;
    killed.pass(&result).await;
    killed.assert_answered(&result).await;

    // While another checker is at it; it is not asked anew unless that was not written down.
    let result = killed.run(|_, it| it.acknowledged() > 0).await;
    let payload = killed.asked(&result).await;
    killed.kill();
    killed.stage.restart().await;
    assert_eq!(killed.checker.call_back(&payload, &body("passed", "cheap")).await, 200);
    killed.assert_answered(&result).await;

    // Between the end of the last check and the callback.
    let result = killed.run(|_, it| it.acknowledged() > 0).await;
    killed.pass(&result).await;
    killed.kill();
    killed.stage.restart().await;
    killed.assert_answered(&result).await;

    // The last word is said, but not that it was heard.
    let cut = ApiFault::next(Route::TaskResultCallback, 1, ApiMishap::CutAfterEffect);
    killed.stage.hcp.faults(|faults| faults.api.push(cut));
    let result = killed.run(|_, it| it.acknowledged() > 0).await;
    killed.pass(&result).await;
    killed.assert_answered(&result).await;
    killed.kill();
    killed.stage.restart().await;
    killed.assert_answered(&result).await;

    killed.stage.rest().await;
    let (code, log) = killed.stage.terminate().await;
    assert_eq!(code, Some(0));
    killed.log += &log;
    assert!(killed.log.contains("DEBUG") && killed.log.contains(&result), "nothing is printed");
    leaks::assert_absent(&killed.stage.hcp, "the log", &killed.log);
    for request in killed.checker.requests() {
        let token = request.payload()["access_token"].as_str().unwrap().to_owned();
        assert!(!killed.log.contains(&token), "a checker's token is in the log");
    }
    let files = leaks::files_of(&killed.stage.data());
    assert!(files.contains(&result), "the table is elsewhere");
    leaks::assert_none(&killed.stage.hcp, &files, &[killed.checker]);
}
