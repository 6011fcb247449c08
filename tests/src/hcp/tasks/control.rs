//! Run tasks by hand: what a person or a test does with them, and sees of them.

use std::time::Duration;

use super::{Enforcement, Link, RunTask, RunTaskSpec, Stage, TaskOptions, TaskResult, TaskResultView};
use crate::hcp::handle::Hcp;
use crate::hcp::model::World;

impl Hcp {
    /// Creates a run task, and returns its id, unless its URL does not answer the test request with 200: then that
    /// says what it answered, if anything.
    ///
    /// # Errors
    ///
    /// If the answer was not 200.
    pub async fn create_run_task(&self, spec: RunTaskSpec) -> Result<String, String> {
        let (task, post) = self.core.with(|world| {
            let task = world.new_task(spec);
            let post = world.verification_of(&task);
            (task, post)
        });
        match self.core.ask(&post).await {
            Some(200) => {
                let id = task.id.clone();
                self.core.with(|world| world.tasks.tasks.insert(id.clone(), task));
                Ok(id)
            }
            Some(status) => Err(format!("{} answered {status}", task.spec.url)),
            None => Err(format!("{} did not answer", task.spec.url)),
        }
    }

    /// Deletes a run task. Results that it owes are waited for all the same.
    pub fn delete_run_task(&self, task: &str) {
        self.core.with(|world| world.delete_task(task));
    }

    /// Has the runs of a workspace ask a task, by its id, at these stages; returns the id of the two together.
    ///
    /// # Panics
    ///
    /// If there is no such task.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn attach_run_task(&self, workspace: &str, task: &str, enforcement: Enforcement, stages: &[Stage]) -> String {
        let workspace = self.workspace_id(workspace);
        self.core.with(|world| {
            assert!(world.tasks.tasks.contains_key(task), "there is no run task {task}");
            world.link_task(&workspace, task, enforcement, stages)
        })
    }

    /// Sets how tasks are asked, from now on. `set` must not ask the simulator.
    pub fn task_options(&self, set: impl FnOnce(&mut TaskOptions)) {
        self.core.with(|world| set(&mut world.options.tasks));
    }

    /// Moves the clock of the rules of time forward, and applies them at once: to task results, to their access tokens
    /// and to the archivist's redirects. Real time counts as well. Whatever else takes time is not hurried.
    pub fn advance(&self, by: Duration) {
        self.core.with(|world| world.pass_time(by));
    }

    /// The task results of a workspace, in the order of creation.
    #[must_use]
    #[track_caller]
    pub fn task_results(&self, workspace: &str) -> Vec<TaskResultView> {
        self.of(workspace, |world, workspace| world.results(|result| result.workspace == workspace.id))
    }

    /// The task results of all workspaces, in the order of creation.
    #[must_use]
    pub fn all_task_results(&self) -> Vec<TaskResultView> {
        self.core.look(|world| world.results(|_| true))
    }

    /// A task result, if it is there (still).
    #[must_use]
    pub fn task_result(&self, id: &str) -> Option<TaskResultView> {
        self.core.look(|world| world.tasks.results.get(id).map(|result| world.view_result(result)))
    }

    /// Waits until a task result is final.
    ///
    /// # Panics
    ///
    /// If there is no such result.
    pub async fn task_result_done(&self, id: &str) -> TaskResultView {
        let done = |hcp: &Self| {
            let result = hcp.task_result(id).unwrap_or_else(|| panic!("there is no task result {id}"));
            result.status.is_final().then_some(result)
        };
        self.until(done).await
    }

    /// Waits until a workspace has this many task results, and all of them are final.
    pub async fn task_results_done(&self, workspace: &str, count: usize) -> Vec<TaskResultView> {
        let done = |hcp: &Self| {
            let results = hcp.task_results(workspace);
            (results.len() >= count && results.iter().all(|result| result.status.is_final())).then_some(results)
        };
        self.until(done).await
    }

    /// Waits until `look` finds something; it is asked again whenever anything has changed.
    ///
    /// # Panics
    ///
    /// If the simulator has stopped.
    pub async fn until<R>(&self, look: impl Fn(&Self) -> Option<R>) -> R {
        let mut changes = self.core.changes();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            changes.changed().await.expect("the simulator goes on while there is a handle to it");
        }
    }

    /// Every access token that was ever handed to a task, whether it is still good for anything or not.
    #[must_use]
    pub fn access_tokens(&self) -> Vec<String> {
        self.core.look(|world| world.tasks.tokens.keys().cloned().collect())
    }
}

impl World {
    /// A task that is not kept yet.
    pub(in crate::hcp) fn new_task(&mut self, spec: RunTaskSpec) -> RunTask {
        let organization = spec.organization.clone().unwrap_or_else(|| self.options.organization.clone());
        RunTask { id: self.next_id("task"), organization, spec }
    }

    pub(in crate::hcp) fn link_task(
        &mut self,
        workspace: &str,
        task: &str,
        enforcement: Enforcement,
        stages: &[Stage],
    ) -> String {
        let id = self.next_id("wstask");
        let (workspace, task) = (workspace.to_owned(), task.to_owned());
        let link = Link { id: id.clone(), workspace, task, enforcement, stages: stages.iter().copied().collect() };
        self.tasks.links.insert(id.clone(), link);
        id
    }

    /// Whether it was there.
    pub(in crate::hcp) fn delete_task(&mut self, id: &str) -> bool {
        self.tasks.links.retain(|_, link| link.task != id);
        self.tasks.tasks.remove(id).is_some()
    }

    fn results(&self, wanted: impl Fn(&TaskResult) -> bool) -> Vec<TaskResultView> {
        let results = self.tasks.results.values().filter(|result| wanted(result));
        results.map(|result| self.view_result(result)).collect()
    }
}
