//! Runs that count against budgets, and the switch that stops them.

use std::collections::BTreeSet;

use sluice_domain::ports::{Pause, Tally};

use super::Table;

impl Table {
    /// Adds `run` to `tally`, unless that has `most` others.
    pub fn join(&mut self, tally: &Tally, run: &str, most: u32) -> bool {
        self.usage.writes += 1;
        let runs = self.tallies.get(tally);
        let is_in = runs.is_some_and(|runs| runs.contains(run));
        let fits = runs.map_or(0, BTreeSet::len) < most as usize;
        if fits && !is_in {
            self.tallies.entry(tally.clone()).or_default().insert(run.to_owned());
        }
        is_in || fits
    }

    /// Takes `run` out of `tally`.
    pub fn leave(&mut self, tally: &Tally, run: &str) {
        self.usage.writes += 1;
        if let Some(runs) = self.tallies.get_mut(tally) {
            runs.remove(run);
        }
    }

    /// The runs in `tally`.
    pub fn counted(&mut self, tally: &Tally) -> BTreeSet<String> {
        self.usage.reads += 1;
        self.tallies.get(tally).cloned().unwrap_or_default()
    }

    /// Whether a person has stopped everything, as a request asks for it.
    pub fn ask_paused(&mut self) -> Option<Pause> {
        self.usage.reads += 1;
        self.pause.clone()
    }

    /// Whether a person has stopped everything.
    #[must_use]
    pub fn paused(&self) -> Option<&Pause> {
        self.pause.as_ref()
    }

    /// Stops the creation of runs, or lets it go on.
    pub fn set_paused(&mut self, pause: Option<&Pause>) {
        self.usage.writes += 1;
        self.pause = pause.cloned();
        self.stirs += 1;
    }
}
