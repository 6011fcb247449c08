//! What is checked at the very effect that would break it.

use sluice_domain::ports::{CreatedRun, Pause, StoreError, TerraformError, Write};
use sluice_domain::{
    Budgets, Cause, Order, RunKind, Standing, Survey, SurveyScope, Timestamp, Verdict, WorkKey, WorkspaceId,
};

use crate::hcp::{number_of, run_id};
use crate::ports::Seat;
use crate::scenario::Deed;
use crate::table::survey_key;
use crate::world::{Made, World};

impl World {
    /// Makes a commit, and looks at what it did.
    pub fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.table.commit(writes)?;
        self.committed(writes);
        Ok(())
    }

    /// Makes a part of a commit, on the conditions of all of it: for a mutation.
    pub fn commit_part(&mut self, all: &[Write], part: &[Write]) -> Result<(), StoreError> {
        self.table.admit(all)?;
        self.commit_rest(part)
    }

    /// Makes the rest of a commit, on no condition: for a mutation.
    pub fn commit_rest(&mut self, rest: &[Write]) -> Result<(), StoreError> {
        for write in rest {
            self.table.write(write);
        }
        self.committed(rest);
        Ok(())
    }

    fn committed(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Facts { workspace, facts, .. } => {
                    for run in facts.ended.iter().filter_map(number_of) {
                        if !self.taken_in.contains_key(&run) && self.plans.kept.get(workspace) == Some(&run_id(run)) {
                            self.plans.told.insert(run);
                        }
                        self.taken_in.entry(run).or_insert(self.now);
                    }
                    match &facts.taught {
                        Some(taught) => drop(self.plans.kept.insert(workspace.clone(), taught.run.clone())),
                        None => drop(self.plans.kept.remove(workspace)),
                    }
                    if let Some(state) = &facts.state {
                        self.read_at.entry(state.version.clone()).or_insert(self.now);
                    }
                    self.take_in_edges(workspace, facts);
                }
                Write::Decision { workspace, decision, .. } => {
                    self.note(|| format!("  {}: {decision}", workspace.name));
                }
                Write::Order { workspace, order } => {
                    self.orders.insert(order.marker.to_string(), (self.now, workspace.clone(), order.clone()));
                    let decision = self.table.decision_of(workspace);
                    let meant = if order.kind == RunKind::PlanOnly { Verdict::Plan } else { Verdict::Run };
                    let told = decision.is_some_and(|it| it.verdict == meant && !it.causes.is_empty());
                    let torn = self.scenario.mutation.is_some();
                    if !told && !torn {
                        self.violated("I6", format!("a run of {} is ordered without a reason", workspace.name));
                    }
                }
                Write::Forget { workspace, .. } => {
                    self.edges.remove(workspace);
                }
                Write::Survey { survey, .. } => {
                    self.rounds += u64::from(survey.page == 1 && survey.scope == SurveyScope::LatelyRun);
                }
                _ => {}
            }
        }
    }

    /// A person, or the world, does something.
    pub fn deed(&mut self, number: usize) {
        let action = self.scenario.actions[number];
        self.note(|| format!("{:?} w{:02}", action.deed, action.workspace));
        self.trace("deed", number as u64);
        if action.deed == Deed::Change && self.scenario.is_plain() {
            self.expect_wave(action.workspace);
        }
        match action.deed {
            Deed::Pause => {
                let pause = Pause { since: Timestamp(self.now), why: "a freeze".to_owned() };
                self.table.set_paused(Some(&pause));
            }
            Deed::Resume => self.table.set_paused(None),
            Deed::Survey => self.survey_all(),
            deed => self.hcp.act(action.workspace, deed),
        }
    }

    /// A person has the whole organization read.
    fn survey_all(&mut self) {
        let WorkKey::Survey(host, organization) = survey_key() else { return };
        let survey = Survey { scope: SurveyScope::All, page: 1, ..Survey::default() };
        if self.surveys() {
            self.table.write(&Write::Survey { host, organization, survey, at: Timestamp(self.now), seq: None });
            self.table.stirs += 1;
        }
    }

    /// Creates a run for Sluice.
    pub fn create_run(
        &mut self,
        id: &WorkspaceId,
        message: &str,
        kind: RunKind,
        seat: &Seat,
    ) -> Result<CreatedRun, TerraformError> {
        let (run, created) = self.hcp.create_run(id, message, kind)?;
        self.trace("created", run as u64);
        let workspace = self.hcp.runs[run].workspace;
        self.note(|| format!("  run-{run} created in w{workspace:02}: {message}"));
        self.check_allowed(run, id, kind, seat);
        if let Some(order) = self.check_created(run, workspace) {
            self.made.push(Made { run, workspace, order });
            self.check_budgets(run, seat);
        }
        let most = 3 * self.hcp.sites.len() * (self.scenario.actions.len() + 2) + 20;
        if self.made.len() > most {
            self.violated("I5", format!("more than {most} runs"));
        }
        Ok(created)
    }

    /// The order that a run was created for.
    fn check_created(&mut self, run: usize, workspace: usize) -> Option<Order> {
        let Some(marker) = self.hcp.runs[run].marker.as_ref().map(ToString::to_string) else {
            self.violated("I6", format!("run-{run} has no marker"));
            return None;
        };
        let Some((decided, name, order)) = self.orders.get(&marker).cloned() else {
            self.violated("I6", format!("run-{run} in w{workspace:02} was never ordered"));
            return None;
        };
        if let Some(other) = self.markers.insert(marker.clone(), run) {
            self.violated("I4", format!("run-{other} and run-{run} in w{workspace:02} both carry {marker}"));
            return None;
        }
        // That an idle workspace was renamed shows when it runs next: until then it is known under its old name, to those
        // who read it too.
        let lost = |cause: &Cause| self.hcp.by_name(&cause.producer).is_none();
        let renamed = self.hcp.sites[workspace].name != name || order.causes.iter().any(lost);
        if !renamed && !self.finds_something_new(workspace, decided) {
            let text = format!("run-{run} in w{workspace:02} finds nothing that the run before it had not seen");
            self.violated("I3", text);
        }
        Some(order)
    }

    /// Whether some input differs from what the last run that got through is known to have seen.
    fn finds_something_new(&self, workspace: usize, decided: u64) -> bool {
        let site = &self.hcp.sites[workspace];
        let Some(through) = site.through else { return true };
        let last = &self.hcp.runs[through];
        // A person's run that Sluice had not heard the end of when it decided.
        let heard = self.taken_in.get(&through).is_some_and(|at| *at < decided);
        if !last.ours() && last.ended.is_some_and(|at| at > 0) && !heard {
            return true;
        }
        let planted = last.ended == Some(0);
        let known_by = self.known_by(workspace).filter(|run| *run == through && (planted || heard));
        let counts = |read: usize, output: usize| known_by.is_none_or(|run| self.uses(run, read, output));
        let copied = last.standing == Standing::Applied && self.state_is_read(workspace);
        site.spec.reads.iter().copied().any(|read| {
            // A state may still show what its configuration does not read any more.
            if known_by.is_some() && !last.saw.contains_key(&read) {
                return false;
            }
            let producer = &self.hcp.sites[read];
            let (Some(state), Some(seen)) = (producer.state().filter(|_| producer.alive), last.saw.get(&read)) else {
                return true;
            };
            // Notifications tell whole seconds, so a run of the same second may have been too early. And what a run
            // without changes has read is known by the facts of the time when its end was taken in.
            let taken_in = self.taken_in.get(&through).copied().unwrap_or(0);
            let later = self.read_at.get(&state.version).is_none_or(|at| *at > taken_in);
            // Under a name that only a plan has told, nothing was known of it.
            let later = later || known_by.is_some() && self.moves_about(read);
            let unknowable = !copied && (state.created_at + 1_000 > last.created_at || later);
            // It has as many outputs as ever, unless it is destroyed.
            let outputs = state.outputs.len().max(seen.values.len());
            let mut used = (0..outputs).filter(|output| counts(read, *output)).peekable();
            let any = used.peek().is_some();
            let differs = used.any(|output| seen.values.get(output) != state.outputs.get(output));
            read != workspace && (differs || unknowable && any)
        })
    }

    /// Whether Sluice has read the workspace's current state.
    #[must_use]
    pub fn state_is_read(&self, workspace: usize) -> bool {
        let site = &self.hcp.sites[workspace];
        let known = self.table.facts_of(&site.name).and_then(|facts| facts.state.as_ref());
        known.map(|state| &state.version) == site.state().map(|state| &state.version)
    }

    /// Whether nothing is left but questions that are asked again and again: runs that are watched, waits.
    #[must_use]
    pub fn only_asks_again(&self) -> bool {
        let held = self.table.paused().is_some() || self.scenario.rules.budgets.concurrent_runs != Budgets::UNLIMITED;
        let asks = |key: &WorkKey| match key {
            WorkKey::Run(..) | WorkKey::Waiter { .. } | WorkKey::Survey(..) => true,
            // What is put off is looked at again and again, and so is whatever it is in the way of.
            WorkKey::Create(_) | WorkKey::Look(_) => held,
            _ => false,
        };
        self.table.pending().all(|(key, _)| asks(key))
    }

    /// The words for a run.
    #[must_use]
    pub fn called(&self, run: usize) -> String {
        let made = &self.hcp.runs[run];
        format!("{} of w{:02}, {}", run_id(run), made.workspace, made.standing)
    }
}
