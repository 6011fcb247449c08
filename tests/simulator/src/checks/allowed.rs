//! Whether a run that was just created was allowed: by tags, by a person's stop, by budgets.

use std::collections::BTreeSet;

use sluice_domain::{Autonomy, Budgets, Policy, RunKind, WorkspaceId};

use crate::hcp::Way;
use crate::ports::Seat;
use crate::scenario::{Deed, MINUTE};
use crate::world::{Made, World};

/// An hour of the clock.
const HOUR: u64 = 60 * MINUTE;

impl World {
    /// What the worker was told before it created the run has to have allowed it.
    pub(super) fn check_allowed(&mut self, run: usize, id: &WorkspaceId, kind: RunKind, seat: &Seat) {
        if self.table.paused().is_some_and(|pause| seat.unpaused_at.is_none_or(|at| at >= pause.since.0)) {
            self.violated("PAUSE", format!("run-{run} is created though a person has stopped that"));
        }
        let allowed = seat.allowed.as_ref().filter(|(of, _)| of == id).map(|(_, autonomy)| *autonomy);
        let least = if kind == RunKind::Apply { Autonomy::Run } else { Autonomy::Plan };
        match allowed {
            Some(allowed) if allowed >= least => {}
            Some(allowed) => self.violated("AUTONOMY", format!("run-{run} is created where {allowed} is the most")),
            None => self.violated("AUTONOMY", format!("run-{run} is created without a look at what is allowed")),
        }
    }

    /// The run that was just created has to be within every budget.
    pub(super) fn check_budgets(&mut self, run: usize, seat: &Seat) {
        let Budgets { depth, wave_runs, runs_per_hour, concurrent_runs } = self.scenario.rules.budgets;
        let Some(Made { workspace, order, .. }) = self.made.last().cloned() else { return };
        let hour = seat.started / HOUR;
        self.made_in_hour.entry(hour).or_default().insert(run);
        let in_hour = self.made_in_hour[&hour].len();
        if in_hour > runs_per_hour as usize {
            self.violated("BUDGET", format!("{in_hour} runs in an hour, where {runs_per_hour} are allowed"));
        }
        if let Some(wave) = &order.wave {
            let of_wave = |made: &&Made| made.order.wave.as_ref().is_some_and(|it| it.origin == wave.origin);
            let runs = self.made.iter().filter(of_wave).count();
            if runs > wave_runs as usize {
                self.violated("BUDGET", format!("{runs} runs in one wave, where {wave_runs} are allowed"));
            }
            if wave.depth > depth {
                let text = format!("a run {} steps below its root, where {depth} are allowed", wave.depth);
                self.violated("BUDGET", text);
            }
        }
        let counts = |made: &&Made| {
            self.hcp.runs[made.run].way != Way::PlanOnly
                && !self.taken_in.contains_key(&made.run)
                && !self.moves_about(made.workspace)
                && !self.is_forgotten(made, seat.started)
        };
        let under_way = self.made.iter().filter(counts).count();
        if concurrent_runs != Budgets::UNLIMITED && under_way > concurrent_runs as usize {
            let text = format!("{under_way} runs are under way, where {concurrent_runs} are allowed");
            self.violated("BUDGET", text);
        }
        if order.kind == RunKind::PlanOnly && !self.moves_about(workspace) {
            // What was there to be read has changed since, or somebody has run the workspace.
            let turns = self.hcp.sites[workspace].spec.reads.iter().map(|read| self.hcp.sites[*read].turns).sum();
            let through = self.hcp.sites[workspace].through;
            if !self.planned.insert((workspace, order.inputs.to_string(), turns, through)) {
                self.violated("I4", format!("run-{run} in w{workspace:02} plans once more for the same inputs"));
            }
        }
    }

    /// Whether the run is so old that it may have waited for a person, or for its turn, long enough to give up its place;
    /// by its own clock, which may be off.
    fn is_forgotten(&self, made: &Made, now: u64) -> bool {
        let old = self.hcp.runs[made.run].created_at + Policy::default().person_wait_ms;
        now + 3 * MINUTE >= old
    }

    /// Whether the workspace is ever known by another name, or made anew: its runs are lost sight of.
    pub(crate) fn moves_about(&self, workspace: usize) -> bool {
        let moves = [Deed::Delete, Deed::Remake, Deed::Rename];
        self.scenario.actions.iter().any(|action| action.workspace == workspace && moves.contains(&action.deed))
    }

    /// Whether a run waits to be created until there is room, or a person lets it: and that is how it is.
    pub(super) fn is_held(&self, workspace: usize) -> bool {
        let is_paused = self.table.paused().is_some();
        let most = self.scenario.rules.budgets.concurrent_runs;
        let live: BTreeSet<usize> = self
            .made
            .iter()
            .filter(|made| self.hcp.live_runs(made.workspace).any(|run| run == made.run))
            .map(|made| made.run)
            .collect();
        let key = sluice_domain::WorkKey::Create(self.hcp.sites[workspace].name.clone());
        let ordered = self.table.pending().any(|(pending, _)| *pending == key);
        ordered && (is_paused || most != Budgets::UNLIMITED && live.len() >= most as usize)
    }
}
