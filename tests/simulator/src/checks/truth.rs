//! Whether a recorded reason is true in the model.

use sluice_domain::{Autonomy, Budgets, RunId, Verdict, Workspace};

use crate::hcp::{Values, Way, number_of};
use crate::world::World;

/// Most workspaces that wait one for another.
const DEEP: usize = 64;

impl World {
    /// Whether `verdict` about the workspace, which is stale, is true; or why not.
    pub(super) fn is_true(&self, number: usize, verdict: &Verdict, deep: usize) -> Result<(), String> {
        match verdict {
            Verdict::Settled => Err("it is stale".to_owned()),
            // The run is there, and waits for a person or behind a lock.
            Verdict::Run if self.hcp.live_runs(number).next().is_some() => Ok(()),
            Verdict::Run | Verdict::Plan if self.is_held(number) => Ok(()),
            Verdict::Plan => Err("no plan came of it".to_owned()),
            Verdict::Settling { .. } => Err("nothing has changed for long".to_owned()),
            Verdict::Run => Err("no run came of it".to_owned()),
            Verdict::Adopt { run } | Verdict::AwaitOwnRun { run } => self.is_under_way(run),
            Verdict::Wait { on } => self.holds(on, deep),
            Verdict::Blocked { by } => self.did_not_get_through(by),
            Verdict::Refused { run: None, why } => self.was_limited(why),
            Verdict::Refused { run: Some(run), .. } => self.was_refused(number, run),
            // Of a cycle and a destroyed producer, the rule names the cycle.
            Verdict::Cycle { with } if self.is_cycle(number, with) && self.reads_what_was_destroyed(number) => Ok(()),
            Verdict::Cycle { .. } => Err("what changed is in no cycle with it".to_owned()),
            Verdict::ProducerDestroyed { producer } => {
                let site = self.hcp.by_name(producer).map(|number| &self.hcp.sites[number]);
                let empty = site.and_then(|site| site.state()).is_none_or(|state| state.empty);
                if empty { Ok(()) } else { Err(format!("{} has a state", producer.name)) }
            }
            Verdict::Observed if self.was_allowed(number, Autonomy::Observe) => Ok(()),
            Verdict::Observed => Err("more than observing is allowed".to_owned()),
            Verdict::Planned { run } if self.was_allowed(number, Autonomy::Plan) => self.has_planned(number, run),
            Verdict::Planned { .. } => Err("more or less than planning is allowed".to_owned()),
            Verdict::TooDeep { depth } if *depth > self.scenario.rules.budgets.depth => Ok(()),
            Verdict::TooDeep { .. } => Err("a change may travel as deep".to_owned()),
            Verdict::Held { .. } => Err("it is no decision".to_owned()),
        }
    }

    fn is_cycle(&self, number: usize, with: &Workspace) -> bool {
        self.hcp.by_name(with).is_some_and(|with| self.hcp.reads_back(number, with))
    }

    fn reads_what_was_destroyed(&self, number: usize) -> bool {
        let reads = &self.hcp.sites[number].spec.reads;
        reads.iter().any(|read| self.hcp.sites[*read].state().is_some_and(|state| state.empty))
    }

    fn is_under_way(&self, run: &RunId) -> Result<(), String> {
        let number = number_of(run).filter(|number| *number < self.hcp.runs.len());
        let under_way = |number: usize| self.hcp.is_there(number) && !self.hcp.runs[number].standing.ended();
        match number {
            Some(number) if under_way(number) => Ok(()),
            Some(number) => Err(self.called(number)),
            None => Err(format!("there is no {run}")),
        }
    }

    /// Whether somebody has reason to wait for the workspace.
    fn holds(&self, on: &Workspace, deep: usize) -> Result<(), String> {
        let Some(number) = self.hcp.by_name(on) else { return Err(format!("there is no {}", on.name)) };
        if self.hcp.live_runs(number).next().is_some() {
            return Ok(());
        }
        let verdict = self.table.decision_of(on).map(|decision| &decision.verdict);
        match verdict {
            Some(
                verdict @ (Verdict::Wait { .. } | Verdict::Run | Verdict::Adopt { .. } | Verdict::AwaitOwnRun { .. }),
            ) if deep < DEEP => self.is_true(number, verdict, deep + 1),
            _ => Err(format!("{} does not move", on.name)),
        }
    }

    fn did_not_get_through(&self, by: &Workspace) -> Result<(), String> {
        let Some(number) = self.hcp.by_name(by) else { return Err(format!("there is no {}", by.name)) };
        match self.hcp.sites[number].last {
            Some(last) if self.went_through(last) && !self.is_over_limit(by) => Err(self.called(last)),
            _ => Ok(()),
        }
    }

    fn went_through(&self, run: usize) -> bool {
        self.hcp.runs[run].standing.got_through() && self.hcp.runs[run].way != Way::Partly
    }

    /// Whether the last word about the workspace is that no run could be created.
    fn is_over_limit(&self, workspace: &Workspace) -> bool {
        let decision = self.table.decision_of(workspace);
        decision.is_some_and(|it| matches!(&it.verdict, Verdict::Refused { run: None, .. }))
    }

    /// Whether so much, and no more, was allowed at some time: a tag that was taken away counts when the whole
    /// organization is read next.
    fn was_allowed(&self, number: usize, autonomy: Autonomy) -> bool {
        let default = self.scenario.rules.autonomy;
        self.hcp.sites[number].tags_had.iter().any(|tag| tag.unwrap_or(default) == autonomy)
    }

    fn has_planned(&self, number: usize, run: &RunId) -> Result<(), String> {
        let run = number_of(run).filter(|run| self.hcp.sites[number].runs.contains(run));
        match run.map(|run| &self.hcp.runs[run]) {
            Some(run) if run.way == Way::PlanOnly && run.standing.got_through() => Ok(()),
            _ => Err("there is no such plan".to_owned()),
        }
    }

    /// Whether a limit may have kept a run from being created. What else did is another check's business.
    fn was_limited(&self, why: &str) -> Result<(), String> {
        let limited = self.scenario.rules.budgets.wave_runs < Budgets::default().wave_runs;
        if limited || !why.contains("which is the limit") { Ok(()) } else { Err("there is no such limit".to_owned()) }
    }

    fn was_refused(&self, number: usize, run: &RunId) -> Result<(), String> {
        let site = &self.hcp.sites[number];
        let Some(run) = number_of(run).filter(|run| site.runs.contains(run)) else {
            return Err(format!("there is no {run}"));
        };
        let made = &self.hcp.runs[run];
        if !made.standing.ended() || made.standing.got_through() {
            return Err(self.called(run));
        }
        if let Some(last) = site.last.filter(|last| self.went_through(*last)) {
            return Err(format!("{} after it", self.called(last)));
        }
        let same = |read: &usize| {
            let producer = &self.hcp.sites[*read];
            // What is not used may have changed, where that is known.
            let through = site.through.filter(|_| site.spec.habits.gated);
            let used = |output: usize| through.is_none_or(|through| self.uses(through, *read, output));
            let equal = |one: Option<&Values>, other: Option<&Values>| {
                let pairs = one.into_iter().flatten().zip(other.into_iter().flatten()).enumerate();
                one.is_some() == other.is_some() && pairs.into_iter().all(|(output, (a, b))| a == b || !used(output))
            };
            let now: Option<&Values> = producer.state().filter(|_| producer.alive).map(|state| &state.outputs);
            let saw = made.saw.get(read).map(|seen| &seen.values);
            now.is_none_or(Vec::is_empty)
                || equal(now, saw)
                || equal(now, made.offered.get(read))
                || !self.knows_of(number, *read)
                || self.hcp.reads_back(number, *read)
        };
        let changed = site.spec.reads.iter().find(|read| !same(read));
        changed.map_or(Ok(()), |read| Err(format!("w{read:02} has changed since")))
    }
}
