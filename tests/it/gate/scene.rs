//! A world with a gate in it: run tasks as a user defines them, asked by the simulated HCP Terraform.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_domain::gate::{Gated, SaidEnd};
use sluice_domain::ports::GateStore;
use sluice_domain::{CheckName, TaskResultId, WorkKey};
use sluice_lambda::now;
use sluice_tests::hcp::{
    Enforcement, Hcp, RunOptions, RunStatus, RunTaskSpec, Stage, TaskResultStatus, TaskResultView,
};

use super::checker::Checker;
use super::leaks;
use crate::world::{Settings, World, add, build};

/// What run task requests are signed with, and what requests to other checkers are.
pub const KEY: &str = "task-key-93d1";
pub const CHECKER_KEY: &str = "checker-key-77ab";

/// How long an answer may take that does not wait for a time on purpose.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A world that has the tests' keys, and may reach checkers on loopback.
pub fn settings() -> Settings {
    let mut settings = Settings { keyring: keyring(), ..Settings::default() };
    settings.checks.allowed = "127.0.0.0/8".parse().unwrap();
    settings
}

pub fn keyring() -> BTreeMap<String, String> {
    let keys = [("TASK_KEY", KEY), ("CHECKER_KEY", CHECKER_KEY), ("OTHER_KEY", "of another task")];
    keys.map(|(name, key)| (name.to_owned(), key.to_owned())).into()
}

/// The definition of a task that is asked at `stages`, for all that is set besides.
pub fn task(stages: &[&str], checks: &Value) -> Value {
    json!({ "name": "guard", "hmac_keys": ["env:TASK_KEY"], "stages": stages, "timeout_seconds": 60, "checks": checks })
}

/// One that is asked after the plan.
pub fn after_plan(checks: &Value) -> Value {
    task(&["post_plan"], checks)
}

pub struct Scene {
    pub world: World,
    checkers: Vec<Checker>,
}

impl Scene {
    /// A gate in a world with these workspaces.
    pub async fn of(workspaces: &str) -> Self {
        Self::with(settings(), |hcp| add(hcp, workspaces)).await
    }

    pub async fn with(settings: Settings, build: impl FnOnce(&Hcp)) -> Self {
        Self { world: World::with(settings, build).await, checkers: Vec::new() }
    }

    pub fn hcp(&self) -> &Hcp {
        &self.world.hcp
    }

    /// Another checker, whose requests are looked through in the end.
    pub async fn checker(&mut self) -> Checker {
        let checker = Checker::start(CHECKER_KEY).await;
        self.checkers.push(checker.clone());
        checker
    }

    /// Stores a task as it is defined, without asking whether it is valid.
    pub async fn store(&self, definition: &Value) {
        let name = definition["name"].as_str().unwrap().parse().unwrap();
        self.world.table.put_task(&name, &definition.to_string()).await.unwrap();
    }

    /// Stores a policy of one module.
    pub async fn policy(&self, name: &str, module: &str) {
        let policy = json!({ "modules": { "policy.rego": module } }).to_string();
        self.world.table.put_policy(&name.parse().unwrap(), &policy).await.unwrap();
    }

    /// Where a task is asked.
    pub fn url(&self, task: &str) -> String {
        format!("{}/run-tasks/{task}", self.world.url)
    }

    /// Stores a task, registers it, and has the runs of `workspace` ask it, as a mandatory one.
    pub async fn gate(&self, workspace: &str, definition: &Value) {
        self.store(definition).await;
        let name = definition["name"].as_str().unwrap();
        let spec = RunTaskSpec::new(name, &self.url(name)).hmac_key(KEY);
        let task = self.hcp().create_run_task(spec).await.unwrap();
        let stages = definition["stages"].as_array().unwrap().iter();
        let stages: Vec<Stage> = stages.map(|it| stage(it.as_str().unwrap())).collect();
        self.hcp().attach_run_task(workspace, &task, Enforcement::Mandatory, &stages);
    }

    /// Changes the output `id` of a workspace and runs it: what its one task says of that.
    pub async fn change(&self, workspace: &str) -> TaskResultView {
        let before = self.hcp().task_results(workspace).len();
        self.world.change(workspace);
        self.answer(workspace, before).await
    }

    /// The same of any run.
    pub async fn run(&self, workspace: &str, options: RunOptions) -> TaskResultView {
        let before = self.hcp().task_results(workspace).len();
        self.hcp().start_run(workspace, options);
        self.answer(workspace, before).await
    }

    /// The task result of a workspace that comes after so many others, when it is over.
    pub async fn answer(&self, workspace: &str, before: usize) -> TaskResultView {
        let done = |hcp: &Hcp| hcp.task_results(workspace).get(before).filter(|it| it.status.is_final()).cloned();
        let done = tokio::time::timeout(PATIENCE, self.hcp().until(done)).await;
        done.unwrap_or_else(|_| panic!("no answer: {:#?}", self.hcp().task_results(workspace)))
    }

    /// Waits until Sluice knows how its last word ended.
    pub async fn ended(&self, result: &str) -> SaidEnd {
        let ended = async || self.gated(result).await?.state.end;
        until("its end is not written down", ended).await
    }

    pub async fn gated(&self, result: &str) -> Option<Gated> {
        self.world.table.gated(&self.known_as(result)).await.unwrap()
    }

    /// The id under which Sluice knows one of HCP Terraform's task results.
    pub fn known_as(&self, result: &str) -> TaskResultId {
        let task = self.hcp().task_result(result).map_or_else(|| "guard".to_owned(), |result| result.task);
        result.parse::<TaskResultId>().unwrap().of(&task.parse().unwrap())
    }

    /// Does what is due of a check and of its task result, as if it were so much later.
    pub async fn work(&self, result: &str, check: &str, ahead_ms: u64) {
        let gate = build(self.hcp(), &self.world.table, settings()).gate;
        let (result, check): (TaskResultId, CheckName) = (self.known_as(result), check.parse().unwrap());
        let later = now().plus_ms(ahead_ms);
        sluice_task_runner::handle(&gate.runner, &WorkKey::Check(result.clone(), check), later).await.unwrap();
        sluice_run_task_relay::handle(&gate.relay, &WorkKey::Relay(result), later).await.unwrap();
    }

    /// Ends the scene: nothing secret was left anywhere, and nobody was answered twice.
    pub async fn end(self) {
        for result in self.hcp().all_task_results() {
            assert!(result.accepted_finals() <= 1, "{result:#?}");
            if result.status.is_final() && self.gated(&result.id).await.is_some() {
                self.ended(&result.id).await;
            }
        }
        leaks::assert_none(self.hcp(), &leaks::dump(self.world.endpoint()).await, &self.checkers);
        self.world.stop().await;
    }
}

/// Waits until `look` finds something.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"))
}

pub fn stage(name: &str) -> Stage {
    Stage::ALL.into_iter().find(|stage| stage.as_str() == name).unwrap()
}

/// The result came to this by one final callback, and every callback was to HCP Terraform's liking.
#[track_caller]
pub fn assert_answered(result: &TaskResultView, status: TaskResultStatus) {
    assert_eq!(result.status, status, "{result:#?}");
    assert_eq!(result.accepted_finals(), 1, "{result:#?}");
    assert!(result.callbacks.iter().all(|callback| callback.answer == Some(200)), "{result:#?}");
}

#[track_caller]
pub fn assert_passed(result: &TaskResultView) {
    assert_answered(result, TaskResultStatus::Passed);
}

#[track_caller]
pub fn assert_failed(result: &TaskResultView) {
    assert_answered(result, TaskResultStatus::Failed);
}

/// Each outcome's id and description, but for those that say of a check as a whole what the message says as well.
pub fn outcomes(result: &TaskResultView) -> Vec<(String, String)> {
    let text = |outcome: &Value, name: &str| outcome[name].as_str().unwrap().to_owned();
    let outcomes = result.outcomes.as_array().unwrap().iter();
    let all: Vec<_> = outcomes.map(|outcome| (text(outcome, "outcome-id"), text(outcome, "description"))).collect();
    let in_detail = |id: &String| all.iter().any(|(other, _)| other.starts_with(&format!("{id}.")));
    all.iter().filter(|(id, _)| !in_detail(id)).cloned().collect()
}

/// The ids alone, in order.
pub fn ids(result: &TaskResultView) -> Vec<String> {
    outcomes(result).into_iter().map(|(id, _)| id).collect()
}

/// The outcome of that id.
#[track_caller]
pub fn outcome<'a>(result: &'a TaskResultView, id: &str) -> &'a Value {
    let found = result.outcomes.as_array().unwrap().iter().find(|outcome| outcome["outcome-id"] == id);
    found.unwrap_or_else(|| panic!("{:?}", ids(result)))
}

/// Where a run has come to when nothing moves.
pub async fn status(hcp: &Hcp, run: &str) -> RunStatus {
    hcp.settled().await;
    hcp.run(run).unwrap().status
}
