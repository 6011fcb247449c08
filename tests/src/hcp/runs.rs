//! The life of a run, and the queue of a workspace.

use std::time::Duration;

use super::core::Job;
use super::model::{Failures, Run, RunOptions, World};
use super::tasks::Stage;
use super::view::{Event, RunStatus};

/// What a run does when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    BeginPlan,
    EndPlan,
    EndApply,
    Cancel,
}

/// The run is in no status for what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conflict;

/// Whether Terraform is at work.
fn works(status: RunStatus) -> bool {
    matches!(status, RunStatus::Planning | RunStatus::Applying)
}

impl World {
    /// A new run, which waits for its turn. `None`: there is no such workspace, or it is not configured.
    pub fn create_run(&mut self, workspace: &str, asked: RunOptions) -> Option<String> {
        let id = self.add_run(workspace, asked, false)?;
        self.set_status(&id, RunStatus::Pending);
        self.notify_run(&id, "run:created", "Run Created", None);
        if self.runs[&id].asked.plan_only {
            // A speculative run neither waits for others nor keeps them waiting.
            self.step_later(&id, Step::BeginPlan, self.options.timings.queue);
        } else {
            self.advance(workspace);
        }
        Some(id)
    }

    pub fn add_run(&mut self, workspace: &str, asked: RunOptions, day_one: bool) -> Option<String> {
        let id = self.next_id("run");
        let created_at = if day_one { self.clock.day_one() } else { self.clock.tick() };
        let workspace = self.workspaces.get_mut(workspace).filter(|workspace| workspace.configured)?;
        workspace.runs.push(id.clone());
        let run = Run {
            id: id.clone(),
            workspace: workspace.id.clone(),
            status: RunStatus::Pending,
            asked: RunOptions { auto_apply: Some(asked.auto_apply.unwrap_or(workspace.auto_apply)), ..asked },
            program: workspace.program.clone(),
            revision: workspace.revision,
            created_at,
            statuses: Vec::new(),
            plan: None,
            error: None,
            has_changes: false,
            cancel_asked: false,
            day_one,
        };
        self.runs.insert(id.clone(), run);
        Some(id)
    }

    /// Gives the turn to the oldest pending run, if nobody has it.
    pub fn advance(&mut self, workspace: &str) {
        let Some(workspace) = self.workspaces.get_mut(workspace) else { return };
        if workspace.locked || workspace.active.is_some() {
            return;
        }
        let mut queue = workspace.runs.iter().filter_map(|id| self.runs.get(id));
        let next = queue.find(|run| run.status == RunStatus::Pending && !run.asked.plan_only);
        if let Some(id) = next.map(|run| run.id.clone()) {
            workspace.active = Some(id.clone());
            self.step_later(&id, Step::BeginPlan, self.options.timings.queue);
        }
    }

    /// Takes a step, unless the run has gone another way meanwhile.
    pub fn step(&mut self, id: &str, step: Step) {
        let Some(run) = self.runs.get(id) else { return };
        match (step, run.status) {
            (Step::BeginPlan, RunStatus::Pending) => self.begin_plan(id),
            (Step::EndPlan, RunStatus::Planning) => self.end_plan(id),
            (Step::EndApply, RunStatus::Applying) => self.end_apply(id),
            (Step::Cancel, status) if !status.is_final() => self.finish(id, RunStatus::Canceled),
            _ => {}
        }
    }

    fn begin_plan(&mut self, id: &str) {
        let workspace = self.runs[id].workspace.clone();
        let workspace = self.workspaces.get_mut(&workspace).expect("a run goes with its workspace");
        if workspace.locked && !self.runs[id].asked.plan_only {
            workspace.active = None;
            return;
        }
        if !self.enter_stage(id, Stage::PrePlan) {
            self.plan_now(id);
        }
    }

    /// The tasks of a stage have let the run pass.
    pub fn after_stage(&mut self, id: &str, stage: Stage) {
        match stage {
            Stage::PrePlan => self.plan_now(id),
            Stage::PostPlan => self.after_plan(id),
            Stage::PreApply => self.apply_planned(id, None),
            Stage::PostApply => self.finish(id, RunStatus::Applied),
        }
    }

    fn plan_now(&mut self, id: &str) {
        self.set_status(id, RunStatus::Planning);
        self.notify_run(id, "run:planning", "Run Planning", None);
        let plan = self.plan(&self.runs[id]);
        self.run_mut(id).plan = Some(plan);
        self.step_later(id, Step::EndPlan, self.options.timings.plan);
    }

    fn end_plan(&mut self, id: &str) {
        let fails = self.failures(id, |failures| (failures.plans, &mut failures.next_plans));
        let planned = match &self.runs[id].plan {
            Some(Ok(plan)) if !fails => Ok(plan.has_changes),
            Some(Err(error)) => Err(error.clone()),
            _ => Err("the plan was made to fail".to_owned()),
        };
        let has_changes = match planned {
            Ok(has_changes) => has_changes,
            Err(error) => return self.fail(id, &error),
        };
        let run = self.run_mut(id);
        run.has_changes = has_changes;
        let asks = self.asks_tasks(id, Stage::PostPlan);
        if asks || !self.ends_with_plan(id) {
            self.set_status(id, RunStatus::Planned);
        }
        if !self.enter_stage(id, Stage::PostPlan) {
            self.after_plan(id);
        }
    }

    fn ends_with_plan(&self, id: &str) -> bool {
        let run = &self.runs[id];
        run.asked.plan_only || (!run.has_changes && !run.asked.allow_empty_apply)
    }

    fn after_plan(&mut self, id: &str) {
        if self.ends_with_plan(id) {
            self.finish(id, RunStatus::PlannedAndFinished);
        } else if self.runs[id].asked.auto_apply == Some(true) {
            self.begin_apply(id, None);
        } else {
            self.notify_run(id, "run:needs_attention", "Run Planned - Needs Confirmation", None);
        }
    }

    fn begin_apply(&mut self, id: &str, by: Option<&str>) {
        if !self.enter_stage(id, Stage::PreApply) {
            self.apply_planned(id, by);
        }
    }

    fn apply_planned(&mut self, id: &str, by: Option<&str>) {
        self.set_status(id, RunStatus::Applying);
        self.notify_run(id, "run:applying", "Run Applying", by);
        self.step_later(id, Step::EndApply, self.options.timings.apply);
    }

    fn end_apply(&mut self, id: &str) {
        let fails = self.failures(id, |failures| (failures.applies, &mut failures.next_applies));
        let keeps = self.workspaces[&self.runs[id].workspace].failures.keep_state;
        if !fails || keeps {
            self.write_state(id, self.options.timings.state_lag);
        }
        if fails {
            return self.fail(id, "the apply was made to fail");
        }
        if !self.enter_stage(id, Stage::PostApply) {
            self.finish(id, RunStatus::Applied);
        }
    }

    pub fn fail(&mut self, id: &str, error: &str) {
        self.run_mut(id).error = Some(error.to_owned());
        self.finish(id, RunStatus::Errored);
    }

    /// A person confirms a plan.
    pub fn confirm(&mut self, id: &str, by: &str) -> Result<(), Conflict> {
        self.expect_status(id, RunStatus::is_confirmable)?;
        self.set_status(id, RunStatus::Confirmed);
        self.begin_apply(id, Some(by));
        Ok(())
    }

    /// A person does not want this run.
    pub fn discard(&mut self, id: &str) -> Result<(), Conflict> {
        self.expect_status(id, |status| status == RunStatus::Pending || status.is_confirmable())?;
        self.finish(id, RunStatus::Discarded);
        Ok(())
    }

    /// A person stops this run; one that works already takes a moment to stop. Its open task results are canceled.
    pub fn cancel(&mut self, id: &str) -> Result<(), Conflict> {
        let idle = |status: RunStatus| status == RunStatus::Pending || status.awaits_tasks();
        self.expect_status(id, |status| idle(status) || works(status))?;
        let run = self.run_mut(id);
        if idle(run.status) {
            self.finish(id, RunStatus::Canceled);
        } else if !std::mem::replace(&mut run.cancel_asked, true) {
            self.step_later(id, Step::Cancel, self.options.timings.cancel);
        }
        Ok(())
    }

    /// A person will not wait for the canceled run to stop.
    pub fn force_cancel(&mut self, id: &str) -> Result<(), Conflict> {
        self.expect_status(id, works)?;
        if !self.runs[id].cancel_asked {
            return Err(Conflict);
        }
        self.finish(id, RunStatus::ForceCanceled);
        Ok(())
    }

    fn expect_status(&self, id: &str, expected: impl Fn(RunStatus) -> bool) -> Result<(), Conflict> {
        let fits = self.runs.get(id).is_some_and(|run| expected(run.status));
        fits.then_some(()).ok_or(Conflict)
    }

    fn finish(&mut self, id: &str, status: RunStatus) {
        self.set_status(id, status);
        self.cancel_results(id);
        match status {
            RunStatus::Applied => self.notify_run(id, "run:completed", "Run Applied", None),
            RunStatus::PlannedAndFinished => self.notify_run(id, "run:completed", "Run Planned and Finished", None),
            RunStatus::Errored => self.notify_run(id, "run:errored", "Run Errored", None),
            RunStatus::Canceled | RunStatus::ForceCanceled => {
                let by = self.options.user.clone();
                self.notify_run(id, "run:errored", "Run Canceled", Some(&by));
            }
            // There is no evidence of a notification for a discarded run.
            _ => {}
        }
        let workspace = self.runs[id].workspace.clone();
        if let Some(workspace) = self.workspaces.get_mut(&workspace) {
            workspace.active.take_if(|active| active == id);
        }
        self.advance(&workspace);
    }

    pub fn set_status(&mut self, id: &str, status: RunStatus) {
        let run = &self.runs[id];
        let at = if run.statuses.is_empty() { run.created_at } else { self.clock.tick() };
        let run = self.run_mut(id);
        run.status = status;
        run.statuses.push((status, at));
        let (run, workspace) = (&self.runs[id], &self.workspaces[&self.runs[id].workspace]);
        let event = Event {
            number: self.history.len(),
            at,
            organization: workspace.organization.clone(),
            workspace: workspace.name.clone(),
            run: run.id.clone(),
            message: run.asked.message.clone(),
            status,
        };
        // Nobody need be listening.
        let _ = self.events.send(event.clone());
        self.history.push(event);
    }

    pub fn run_mut(&mut self, id: &str) -> &mut Run {
        self.runs.get_mut(id).expect("a run that takes a step is there")
    }

    fn step_later(&mut self, id: &str, step: Step, after: Duration) {
        self.push(Job::Step { after, run: id.to_owned(), step });
    }

    fn failures(&mut self, id: &str, pick: impl FnOnce(&mut Failures) -> (bool, &mut u32)) -> bool {
        let workspace = self.runs[id].workspace.clone();
        let Some(workspace) = self.workspaces.get_mut(&workspace) else { return false };
        let (always, left) = pick(&mut workspace.failures);
        let counted = *left > 0;
        *left = left.saturating_sub(1);
        always || counted
    }
}
