//! What is checked when nothing moves any more.

use sluice_domain::{Budgets, Verdict, WorkKey, Workspace};

use crate::table::Dead;
use crate::world::World;

impl World {
    /// Everything that has to hold at rest.
    pub fn check_at_rest(&mut self) {
        self.check_once();
        for number in 0..self.hcp.sites.len() {
            if self.violation.is_none() {
                self.check_workspace(number);
            }
        }
        if self.violation.is_none() {
            self.check_backfill();
            self.check_plans();
            self.check_dead();
        }
    }

    /// I1: whoever is stale has a reason on record, and it is true.
    fn check_workspace(&mut self, number: usize) {
        let Some(producer) = self.stale_for(number) else { return };
        let name = self.hcp.sites[number].name.clone();
        let Some(decision) = self.table.decision_of(&name).cloned() else {
            let text = format!("w{number:02} is stale because of w{producer:02}, and nothing was decided");
            return self.violated("I1", text);
        };
        if decision.to_string().is_empty() {
            return self.violated("I6", format!("the decision about w{number:02} cannot be read"));
        }
        if let Err(why) = self.is_true(number, &decision.verdict, 0) {
            let heals = matches!(decision.verdict, Verdict::Blocked { .. });
            let text =
                format!("w{number:02} is stale because of w{producer:02}, and \"{decision}\" is not true: {why}");
            self.violated(if heals { "I7" } else { "I1" }, text);
        }
    }

    /// A workspace that the last run of this one that got through read otherwise than it is now.
    fn stale_for(&self, number: usize) -> Option<usize> {
        let site = self.hcp.sites.get(number).filter(|site| site.alive)?;
        let through = site.through?;
        let last = &self.hcp.runs[through];
        let state = site.state()?;
        site.spec.reads_in(last.program).find(|read| {
            let producer = &self.hcp.sites[*read];
            let (Some(now), Some(saw)) = (producer.state(), last.saw.get(read)) else { return false };
            if !self.knows_of(number, *read) || self.hcp.reads_back(number, *read) || self.is_baseline(*read) {
                return false;
            }
            let copy = state.copies.get(&producer.name).filter(|_| !state.partial);
            let fresh = |(output, value): (usize, &u64)| {
                !self.uses(through, *read, output)
                    || saw.values.get(output) == Some(value)
                    || copy.and_then(|copy| copy.get(output)) == Some(value)
            };
            let vanished = now.empty && !saw.values.is_empty() && self.was_known(*read);
            vanished || !now.outputs.iter().enumerate().all(fresh)
        })
    }

    /// Whether Sluice knows that the one workspace reads the other, under the names and ids that both have now.
    pub(super) fn knows_of(&self, number: usize, read: usize) -> bool {
        let known = |number: usize| {
            let site = &self.hcp.sites[number];
            self.table.facts_of(&site.name).filter(|facts| site.alive && facts.id.as_ref() == Some(&site.id))
        };
        let edge = known(number).and_then(|facts| facts.producers.get(&self.hcp.sites[read].name));
        let (name, producer) = (&self.hcp.sites[number].name, &self.hcp.sites[read].name);
        let trusted = self.edges.get(name).and_then(|edges| edges.get(producer)) == Some(&true);
        edge.is_some_and(sluice_domain::Edge::live) && known(read).is_some() && trusted
    }

    /// Whether what the workspace offers is what it offered when everything was first read.
    fn is_baseline(&self, number: usize) -> bool {
        let state = self.table.facts_of(&self.hcp.sites[number].name).and_then(|facts| facts.state.as_ref());
        state.is_some_and(|state| state.baseline)
    }

    /// Whether Sluice had read a state of the workspace before it was destroyed: one that is empty from the start is not
    /// taken for destroyed.
    fn was_known(&self, number: usize) -> bool {
        let site = &self.hcp.sites[number];
        let mut earlier = site.states.iter().rev().skip(1);
        let read = earlier.any(|state| !state.empty && self.read_at.contains_key(&state.version));
        // Under a name that it has only had since, nothing was known of it.
        site.renames == 0 && (self.scenario.known && site.generation == 0 || read)
    }

    /// Nobody has a dead letter that nothing explains.
    fn check_dead(&mut self) {
        let moved = |name: &Workspace| {
            let number = self.hcp.sites.iter().position(|site| *name == site.name);
            number.is_none_or(|number| self.moves_about(number))
        };
        let limited = self.scenario.rules.budgets.wave_runs < Budgets::default().wave_runs;
        let of = |key: &WorkKey| match key {
            WorkKey::Run(workspace, _)
            | WorkKey::Look(workspace)
            | WorkKey::Verify(workspace)
            | WorkKey::Read(workspace)
            | WorkKey::Create(workspace)
            | WorkKey::Waiter { waiter: workspace, .. } => Some(workspace.clone()),
            WorkKey::Survey(..) | WorkKey::Check(..) | WorkKey::Job(..) | WorkKey::Relay(_) => None,
        };
        let explained = |letter: &Dead| {
            limited && letter.fault.contains("which is the limit") || of(&letter.key).is_some_and(|it| moved(&it))
        };
        let letter = self.table.dead().into_iter().find(|letter| !explained(letter));
        if let Some(letter) = letter {
            self.violated("I1", format!("a dead letter that nothing explains: {}: {}", letter.key, letter.fault));
        }
    }
}
