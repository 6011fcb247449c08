//! What a gate teaches: it is shown plans, and keeps what they say until their runs end.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::ports::{FactStore, Known, StoreError, Write};
use sluice_domain::{RunId, Standing, TaughtRead, Workspace};

use crate::hcp::Way;
use crate::ports::Port;
use crate::world::{Event, World};

/// The plans that Sluice was shown.
#[derive(Debug, Default)]
pub struct Plans {
    /// The run of which it keeps the plan, by workspace.
    pub kept: BTreeMap<Workspace, RunId>,
    /// Runs of which it had the plan when it took in their end.
    pub told: BTreeSet<usize>,
}

/// How often a commit is tried again because facts changed underneath.
const CONFLICTS_MAX: usize = 8;

/// Keeps what the plan of `run` says.
pub(crate) async fn teach(
    port: &Port,
    workspace: &Workspace,
    run: &RunId,
    reads: BTreeMap<Workspace, TaughtRead>,
) -> Result<(), StoreError> {
    for _ in 0..CONFLICTS_MAX {
        let Known { mut facts, version, .. } = port.known_one(workspace).await?;
        if version == 0 || !facts.teach(run, reads.clone()) {
            return Ok(());
        }
        let facts = Box::new(facts);
        match port.commit(&[Write::Facts { workspace: workspace.clone(), facts, version }]).await {
            Err(StoreError::Conflict) => {}
            result => return result,
        }
    }
    Err(StoreError::Conflict)
}

impl World {
    /// Has the plan of a run shown.
    pub(crate) fn show_plan(&mut self, run: usize) {
        for after in self.weather("plan", false) {
            self.at(self.now + after, Event::Plan(run));
        }
    }

    /// What the plan of a run says, and of which workspace.
    pub(crate) fn plan_of(&self, run: usize) -> (Workspace, BTreeMap<Workspace, TaughtRead>) {
        let number = self.hcp.runs[run].workspace;
        (self.hcp.sites[number].name.clone(), self.hcp.lesson(run))
    }

    /// Whether Sluice had the plan of the run, which left nothing out, when it took in its end; and knew that it is the
    /// newest, as notifications tell whole seconds.
    fn was_told(&self, run: usize) -> bool {
        let made = &self.hcp.runs[run];
        let second = |run: usize| self.hcp.runs[run].since / 1_000;
        let mut others = self.hcp.sites[made.workspace].runs.iter().filter(|other| **other != run);
        let alone = others.all(|other| second(*other) != second(run));
        // Before Sluice was there, plans were shown too.
        let planted = self.scenario.known && made.ended == Some(0) && self.hcp.sites[made.workspace].spec.habits.gated;
        made.way == Way::Whole && (planted || alone && self.plans.told.contains(&run))
    }

    /// The run by whose plan Sluice has to know what the workspace reads and uses. None where anything may be used: its
    /// plan was not seen, or something happened since that may have changed the configuration.
    pub(crate) fn known_by(&self, workspace: usize) -> Option<usize> {
        let site = &self.hcp.sites[workspace];
        // Under another name nothing of it is known.
        let through = site.through.filter(|run| self.was_told(*run) && !self.moves_about(workspace))?;
        let counts = |run: &usize| {
            let run = &self.hcp.runs[*run];
            run.standing.ended() && run.standing != Standing::Discarded && run.way != Way::PlanOnly
        };
        let newest = site.runs.iter().copied().filter(counts).max_by_key(|run| (self.hcp.runs[*run].ended, *run));
        let ended = self.hcp.runs[through].since / 1_000 * 1_000;
        let own = site.state().is_none_or(|state| state.run == Some(through) || state.created_at < ended);
        (newest == Some(through) && own).then_some(through)
    }

    /// Whether the workspace uses the output, by the configuration of that run.
    pub(crate) fn uses(&self, run: usize, read: usize, output: usize) -> bool {
        let made = &self.hcp.runs[run];
        self.hcp.sites[made.workspace].spec.uses(made.program, read, output)
    }

    /// What the newest plan shows is known, at rest.
    pub(crate) fn check_plans(&mut self) {
        for number in 0..self.hcp.sites.len() {
            let site = &self.hcp.sites[number];
            let (true, Some(run)) = (site.alive, self.known_by(number)) else {
                continue;
            };
            let empty = site.state().is_none_or(|state| state.empty);
            let Some(facts) = self.table.facts_of(&site.name).filter(|_| !empty && self.taken_in.contains_key(&run))
            else {
                continue;
            };
            let lesson = self.hcp.lesson(run);
            let wrong = lesson.iter().find(|(name, read)| {
                let moves = self.hcp.by_name(name).is_none_or(|read| self.moves_about(read));
                let known = facts.producers.get(*name).is_some_and(|edge| edge.live() && edge.uses == read.uses);
                !moves && !known
            });
            if let Some((name, read)) = wrong {
                let text =
                    format!("w{number:02} uses {:?} of {}, by run-{run}, which is not known", read.uses, name.name);
                return self.violated("I1", text);
            }
        }
    }
}
