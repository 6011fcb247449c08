//! What a run plans, and the state version that its apply writes.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::core::Job;
use super::evaluate::{OutputState, Outputs, ReadState, evaluate, fingerprint, sorted, type_of};
use super::model::{Plan, Run, RunOptions, StateVersion, World};
use super::program::{Read, ReadKind};
use super::render_state::{Contents, TERRAFORM_VERSION, render};
use super::summary;
use super::view::RunStatus;

/// How another host is named that is this one all the same.
const ALIAS: &str = "localterraform.com";

impl World {
    /// Reads what the program reads, and compares what it wants with what there is.
    pub fn plan(&self, run: &Run) -> Result<Plan, String> {
        let current = self.workspaces.get(&run.workspace).and_then(|workspace| self.current_state(workspace));
        let before = current.map(|state| state.id.clone());
        if run.asked.is_destroy {
            let has_changes = current.is_some_and(|state| !state.destroyed);
            return Ok(Plan { reads: Vec::new(), outputs: Outputs::new(), mark: String::new(), before, has_changes });
        }
        let reads = run.program.reads.iter().map(|read| self.read(read)).collect::<Result<Vec<_>, _>>()?;
        let outputs = evaluate(&run.program, &reads)?;
        let inputs = if run.program.depends_on_reads { fingerprint(&reads) } else { "none".to_owned() };
        let mut mark = format!("{} with {inputs}", run.revision);
        if let Some(applied) = current.and_then(|state| state.mark.clone()).filter(|_| run.asked.refresh_only) {
            mark = applied;
        }
        let has_changes = current.is_none_or(|state| state.mark.as_ref() != Some(&mark) || state.outputs != outputs);
        Ok(Plan { reads, outputs, mark, before, has_changes })
    }

    fn read(&self, read: &Read) -> Result<ReadState, String> {
        let own_host = self.address.trim_start_matches("http://");
        let foreign = matches!(&read.kind, ReadKind::RemoteState { hostname: Some(host), .. }
            if host != own_host && host != ALIAS);
        if foreign {
            return Ok(ReadState { read: read.clone(), outputs: Outputs::new() });
        }
        let name = format!("{}/{}", read.organization, read.workspace);
        let state = self.find(&name).and_then(|workspace| self.current_state(workspace));
        let state = state.ok_or_else(|| format!("{}: no stored state was found for {name}", read.address()))?;
        if state.destroyed {
            return Err(format!("Unsupported attribute: {} has no outputs any more", read.address()));
        }
        Ok(ReadState { read: read.clone(), outputs: state.outputs.clone() })
    }

    pub fn write_state(&mut self, id: &str, lag: Duration) {
        let run = &self.runs[id];
        let Some(Ok(plan)) = run.plan.clone() else { return };
        let (destroyed, day_one) = (run.asked.is_destroy, run.day_one);
        let depends = run.program.depends_on_reads;
        let workspace = &self.workspaces[&run.workspace];
        let contents = Contents {
            serial: self.next_serial(&workspace.id),
            lineage: &workspace.lineage,
            outputs: &plan.outputs,
            reads: &plan.reads,
            managed: (!destroyed).then_some((plan.mark.as_str(), depends)),
        };
        let body = render(&contents);
        let mut version = self.state_version(&workspace.id.clone(), body, lag, day_one);
        version.run = Some(id.to_owned());
        version.reads = plan.reads;
        version.mark = (!destroyed).then_some(plan.mark);
        version.destroyed = destroyed;
        self.add_state_version(version);
    }

    /// A state as the current one but for one output, which no run wrote.
    pub fn push_state(&mut self, id: &str, output: &str, value: &Value) {
        let workspace = &self.workspaces[id];
        let current = self.current_state(workspace);
        let mut outputs = current.map(|state| state.outputs.clone()).unwrap_or_default();
        let reads = current.map(|state| state.reads.clone()).unwrap_or_default();
        let mark = current.and_then(|state| state.mark.clone());
        let sensitive = outputs.get(output).is_some_and(|output| output.sensitive);
        outputs.insert(output.to_owned(), OutputState { kind: type_of(value), value: sorted(value), sensitive });
        let contents = Contents {
            serial: self.next_serial(id),
            lineage: &workspace.lineage,
            outputs: &outputs,
            reads: &reads,
            managed: mark.as_deref().map(|mark| (mark, workspace.program.depends_on_reads)),
        };
        let body = render(&contents);
        let version = self.state_version(id, body, Duration::ZERO, false);
        self.add_state_version(StateVersion { reads, mark, ..version });
    }

    /// One more than the last, whether that is visible yet or not.
    pub fn next_serial(&self, workspace: &str) -> u64 {
        let last = self.workspaces.get(workspace).and_then(|workspace| workspace.state_versions.last());
        last.and_then(|id| self.state_versions.get(id)).map_or(1, |version| version.serial + 1)
    }

    /// A state version with this body, which is all that is known of it.
    pub fn state_version(&mut self, workspace: &str, body: Vec<u8>, lag: Duration, day_one: bool) -> StateVersion {
        let readable = summary::read(&body);
        let now = Instant::now();
        if !lag.is_zero() {
            self.push(Job::Wait(lag));
        }
        StateVersion {
            id: self.next_id("sv"),
            workspace: workspace.to_owned(),
            run: None,
            serial: readable.serial,
            created_at: if day_one { self.clock.day_one() } else { self.clock.tick() },
            current_from: now + lag,
            processed_from: now + lag + self.options.timings.processing,
            resources: readable.resources(),
            terraform_version: readable.terraform_version.unwrap_or_else(|| TERRAFORM_VERSION.to_owned()),
            outputs: readable.outputs,
            body,
            reads: Vec::new(),
            mark: None,
            destroyed: false,
        }
    }

    pub fn add_state_version(&mut self, version: StateVersion) {
        if let Some(workspace) = self.workspaces.get_mut(&version.workspace) {
            workspace.state_versions.push(version.id.clone());
            self.state_versions.insert(version.id.clone(), version);
        }
    }

    /// A run that began and ended before anybody looked.
    pub fn apply_now(&mut self, workspace: &str, message: &str) -> Result<(), String> {
        let day_one = self.history.is_empty();
        let asked = RunOptions::new(message);
        let id = self.add_run(workspace, asked, day_one).ok_or("the workspace is not configured")?;
        let plan = self.plan(&self.runs[&id])?;
        let run = self.run_mut(&id);
        run.day_one = true;
        run.has_changes = true;
        run.plan = Some(Ok(plan));
        self.write_state(&id, Duration::ZERO);
        for status in [RunStatus::Pending, RunStatus::Planning, RunStatus::Planned, RunStatus::Applying] {
            let at = self.runs[&id].created_at;
            self.run_mut(&id).statuses.push((status, at));
        }
        let at = if day_one { self.clock.day_one() } else { self.clock.tick() };
        let run = self.run_mut(&id);
        run.status = RunStatus::Applied;
        run.statuses.push((RunStatus::Applied, at));
        Ok(())
    }
}
