//! The stages of a run at which tasks are asked: entered, waited in, and left.

use std::time::Duration;

use super::{
    AccessToken, Callback, Enforcement, Link, RunTask, Stage, TaskResult, TaskResultStatus, TaskStage, unguessable,
};
use crate::hcp::api::configuration_version;
use crate::hcp::model::World;
use crate::hcp::view::RunStatus;

/// What a run is in while a stage's tasks are asked, and after.
fn statuses(stage: Stage) -> (RunStatus, RunStatus) {
    match stage {
        Stage::PrePlan => (RunStatus::PrePlanRunning, RunStatus::PrePlanCompleted),
        Stage::PostPlan => (RunStatus::PostPlanRunning, RunStatus::PostPlanCompleted),
        Stage::PreApply => (RunStatus::PreApplyRunning, RunStatus::PreApplyCompleted),
        Stage::PostApply => (RunStatus::PostApplyRunning, RunStatus::PostApplyCompleted),
    }
}

impl World {
    /// Whether a run has to ask tasks at a stage.
    pub fn asks_tasks(&self, run: &str, stage: Stage) -> bool {
        let workspace = &self.workspaces[&self.runs[run].workspace];
        !self.tasks.asked(&workspace.id, &workspace.organization, stage).is_empty()
    }

    /// Asks the tasks of a stage; false if there are none, and nothing has happened.
    pub fn enter_stage(&mut self, run: &str, stage: Stage) -> bool {
        let workspace = &self.workspaces[&self.runs[run].workspace];
        let asked = self.tasks.asked(&workspace.id, &workspace.organization, stage);
        if asked.is_empty() {
            return false;
        }
        self.set_status(run, statuses(stage).0);
        let id = self.next_id("ts");
        let results = asked
            .into_iter()
            .map(|(task, link, enforcement)| self.add_result(&id, run, stage, task, link, enforcement));
        let results: Vec<_> = results.collect();
        for result in &results {
            self.ask(result, Duration::ZERO);
        }
        let created_at = self.tasks.date();
        let run = run.to_owned();
        self.tasks.stages.insert(id.clone(), TaskStage { id, run, stage, results, created_at });
        true
    }

    fn add_result(
        &mut self,
        task_stage: &str,
        run: &str,
        stage: Stage,
        task: RunTask,
        link: Option<Link>,
        enforcement: Enforcement,
    ) -> String {
        let id = self.next_id("taskrs");
        let number = self.tasks.results.len();
        let callback = format!("00000000-0000-4000-8000-{:0>12}", &id[id.len() - 12..]);
        let run = &self.runs[run];
        let access_token = format!("{}.atlasv1.{}", &id[id.len() - 14..], unguessable("access token", number));
        let token = AccessToken {
            result: id.clone(),
            callback: callback.clone(),
            run: run.id.clone(),
            configuration: configuration_version(&run.workspace, run.revision),
            stage,
            issued: self.tasks.now(),
        };
        let result = TaskResult {
            id: id.clone(),
            callback: callback.clone(),
            // With characters that a client loses if it takes the URL apart and does not put it together again.
            code: format!("{}+/=", &unguessable("url code", number)[..16]),
            access_token: access_token.clone(),
            run: run.id.clone(),
            workspace: run.workspace.clone(),
            task_stage: task_stage.to_owned(),
            stage,
            task,
            link: link.map(|link| link.id),
            enforcement,
            status: TaskResultStatus::Pending,
            message: String::new(),
            url: None,
            outcomes: Vec::new(),
            created_at: self.tasks.date(),
            updated_at: self.tasks.date(),
            created: self.tasks.now(),
            progress: self.tasks.now(),
            attempts: 0,
            requests: Vec::new(),
            heard: Vec::new(),
        };
        self.tasks.tokens.insert(access_token, token);
        self.tasks.callbacks.insert(callback, id.clone());
        self.tasks.results.insert(id.clone(), result);
        self.tasks.unwatched.push(id.clone());
        id
    }

    /// Takes over what a callback says of a result that is open. `request`: its place in the request log.
    pub fn take_callback(&mut self, result: &str, callback: Callback, request: usize) {
        let (now, at) = (self.tasks.now(), self.tasks.date());
        let capable = self.options.tasks.capabilities;
        let Some(result) = self.tasks.results.get_mut(result) else { return };
        for heard in result.heard.iter_mut().filter(|heard| heard.request == request) {
            heard.accepted = true;
        }
        result.progress = now;
        result.url = callback.url.or(result.url.take());
        if let Some(message) = callback.message {
            result.message = message;
        }
        for outcome in callback.outcomes.into_iter().filter(|_| capable) {
            match result.outcomes.iter_mut().find(|it| it["outcome-id"] == outcome["outcome-id"]) {
                Some(earlier) => *earlier = outcome,
                None => result.outcomes.push(outcome),
            }
        }
        result.status = callback.status;
        result.updated_at = at;
        let stage = result.task_stage.clone();
        self.leave_stage(&stage);
    }

    /// A result comes to an end that its task did not choose.
    pub fn end_result(&mut self, id: &str, status: TaskResultStatus, message: &str) {
        let at = self.tasks.date();
        let Some(result) = self.tasks.results.get_mut(id).filter(|result| !result.status.is_final()) else { return };
        result.status = status;
        message.clone_into(&mut result.message);
        result.updated_at = at;
        let stage = result.task_stage.clone();
        self.leave_stage(&stage);
    }

    /// A run is over: nobody waits for its tasks any more.
    pub fn cancel_results(&mut self, run: &str) {
        let open = self.tasks.results.values().filter(|result| result.run == run && !result.status.is_final());
        let open: Vec<_> = open.map(|result| result.id.clone()).collect();
        for result in open {
            self.end_result(&result, TaskResultStatus::Canceled, "The run is over.");
        }
    }

    /// Lets a run go on once all the tasks of its stage have answered, or ends it.
    fn leave_stage(&mut self, stage: &str) {
        let Some(TaskStage { run, stage, results, .. }) = self.tasks.stages.get(stage).cloned() else { return };
        let (running, completed) = statuses(stage);
        if self.runs.get(&run).is_none_or(|run| run.status != running) {
            return;
        }
        let results: Vec<_> = results.iter().filter_map(|id| self.tasks.results.get(id)).collect();
        if results.iter().any(|result| !result.status.is_final()) {
            return;
        }
        let stops =
            |it: &&&TaskResult| it.status != TaskResultStatus::Passed && it.enforcement == Enforcement::Mandatory;
        if let Some(result) = results.iter().find(stops) {
            let error = format!("the mandatory run task {} is {} at {stage}", result.task.spec.name, result.status);
            return self.fail(&run, &error);
        }
        self.set_status(&run, completed);
        self.after_stage(&run, stage);
    }

    /// Takes everything away that belongs to a workspace that is gone.
    pub fn forget_tasks_of(&mut self, workspace: &str) {
        let tasks = &mut self.tasks;
        tasks.links.retain(|_, link| link.workspace != workspace);
        tasks.results.retain(|_, result| result.workspace != workspace);
        tasks.callbacks.retain(|_, result| tasks.results.contains_key(result));
        tasks.stages.retain(|_, stage| self.runs.contains_key(&stage.run));
    }
}
