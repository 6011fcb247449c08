//! What plans teach: kept while their run is under way, and in force once it is known that the run got through.
//!
//! Whatever is not sure is taken for used: a workspace that runs once too often costs less than a change that is lost.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Edge, Facts, Findings, Found, StateFacts};
use crate::names::{RunId, Workspace};
use crate::planned::{Heeded, Taught, TaughtRead};
use crate::run::{RunReport, Standing};
use crate::size;
use crate::time::Timestamp;

impl Facts {
    /// Keeps what the plan of `run` says of what is read, all of it, until that run ends. Whether anything changed.
    ///
    /// To be asked for before the run can end, and never for a run that only plans or that destroys: its task result
    /// says so. News of a run that is over changes nothing, and what is more than facts can hold is not kept.
    pub fn teach(&mut self, run: &RunId, reads: BTreeMap<Workspace, TaughtRead>) -> bool {
        if self.ended.contains(run) {
            return false;
        }
        let taught = Taught::new(run, reads);
        // What was kept of another run stays, unless something takes its place.
        if taught.is_none() && self.taught.as_ref().is_none_or(|kept| kept.run != *run) {
            return false;
        }
        let changed = self.taught != taught;
        self.taught = taught;
        changed
    }

    /// Whether the end of `run` would change what is known to be read and used.
    #[must_use]
    pub fn learns_from(&self, run: &RunId) -> bool {
        let Some(taught) = self.taught.as_ref().filter(|taught| taught.run == *run) else { return false };
        let same = |(name, read): (&Workspace, &TaughtRead)| {
            self.producers.get(name).is_some_and(|edge| edge.live() && edge.uses == read.uses)
        };
        let settled = |edge: &Edge| {
            let unused = edge.uses.as_ref().is_some_and(BTreeSet::is_empty);
            !edge.live() || unused && !edge.found.contains(&Found::Plan)
        };
        let gone = |(name, edge): (&Workspace, &Edge)| !taught.reads.contains_key(name) && !settled(edge);
        !taught.reads.iter().all(same) || self.producers.iter().any(gone)
    }

    /// Takes in what the end of a run says of the configuration. `whole`: it left nothing out.
    ///
    /// Runs of a workspace apply one after the other, so that the one which ended last is the newest, whenever it was
    /// created.
    pub(crate) fn heed(&mut self, report: &RunReport, whole: bool, now: Timestamp) {
        let taught = self.taught.take_if(|taught| taught.run == report.run);
        // Its configuration was not applied, in no part.
        if report.standing == Standing::Discarded {
            return;
        }
        let before = self.heeded.as_ref();
        if before.is_some_and(|before| before.run == report.run || second(before.ended_at) > second(report.at)) {
            return;
        }
        // Notifications tell whole seconds: which of two runs ended first may not be known.
        let newer = before.is_none_or(|before| second(before.ended_at) < second(report.at));
        // A state that is newer tells of another configuration; what is destroyed reads nothing, whatever that says.
        let outlived = self.state.as_ref().is_some_and(|state| {
            if state.run.as_ref() == Some(&report.run) { state.destroyed } else { state.created_at >= report.at }
        });
        let taught = taught.filter(|_| newer && whole && report.standing.got_through() && !outlived);
        let (run, ended_at) = (report.run.clone(), report.at);
        self.heeded = Some(Heeded { run, ended_at, taught: taught.is_some() });
        match taught {
            Some(taught) => self.put_in_force(taught, now),
            None => self.forget_uses(),
        }
    }

    fn put_in_force(&mut self, taught: Taught, now: Timestamp) {
        for (name, edge) in &mut self.producers {
            if !taught.reads.contains_key(name) {
                // A run without changes leaves it in the state.
                edge.uses = Some(BTreeSet::new());
                edge.unplan(now);
            }
        }
        for (name, read) in taught.reads {
            let edge = self.producers.entry(name).or_default();
            if edge.gone_at.take().is_some() || edge.only_planned() {
                edge.addresses.clear();
            }
            edge.found.insert(Found::Plan);
            edge.addresses.extend(read.addresses);
            edge.uses = read.uses;
            edge.last_seen = now;
        }
    }

    pub(crate) fn forget_uses(&mut self) {
        self.producers.values_mut().for_each(|edge| edge.uses = None);
    }

    /// Takes in who wrote a state that is about to be learned: it may be newer knowledge than the plan in force.
    pub(crate) fn supersede_plan(&mut self, state: &StateFacts, findings: &Findings) {
        if findings.empty {
            // Its plan shows what it read before it destroyed everything.
            self.taught.take_if(|taught| state.run.as_ref() == Some(&taught.run));
        }
        let Some(heeded) = &self.heeded else { return };
        let same_run = state.run.as_ref() == Some(&heeded.run);
        if !same_run && state.created_at < heeded.ended_at {
            return;
        }
        let superseded = !same_run || !heeded.taught || findings.empty;
        if !same_run {
            self.forget_uses();
        }
        if superseded {
            for edge in self.producers.values_mut() {
                edge.found.remove(&Found::Plan);
            }
        }
    }
}

impl Edge {
    /// The plan in force does not show it.
    fn unplan(&mut self, now: Timestamp) {
        if self.found.remove(&Found::Plan) && self.found.is_empty() {
            self.gone_at = self.gone_at.or(Some(now));
        }
    }

    /// The state that is learned does not show it: a tombstone, unless the plan in force does.
    pub(crate) fn missing(&mut self, now: Timestamp) {
        if !self.found.contains(&Found::Plan) {
            self.gone_at = self.gone_at.or(Some(now));
            return;
        }
        self.found = [Found::Plan].into();
        // It was seen once; there are no copies any more that would tell.
        for (name, digest) in std::mem::take(&mut self.observed) {
            self.acknowledged.entry(name).or_insert(digest);
        }
        size::cut(&mut self.addresses);
    }
}

fn second(at: Timestamp) -> u64 {
    at.0 / 1_000
}

#[cfg(test)]
mod tests;
