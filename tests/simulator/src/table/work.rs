//! Work items: recorded, claimed, put off, finished, buried, rung for.

use sluice_domain::ports::Recorded;
use sluice_domain::{Claimed, Queue, RunReport, Task, Timestamp, WorkKey};

use super::{Table, Work};

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// Which work.
    pub key: WorkKey,
    /// Why.
    pub fault: String,
}

impl Table {
    /// Records news of a run, unless as much is known.
    pub fn record(&mut self, report: &RunReport, now: Timestamp) -> Recorded {
        let key = WorkKey::Run(report.workspace.clone(), report.run.clone());
        let rank = report.standing.rank();
        if self.works.get(&key).is_some_and(|work| work.rank >= rank) {
            self.usage.writes += 1;
            return Recorded::Known;
        }
        self.change(&key, |work| {
            work.report = Some(report.clone());
            work.rank = rank;
            arm(work, Queue::Index, now.0);
        });
        Recorded::New
    }

    /// Takes work on until `now + lease_ms`.
    pub fn claim(&mut self, key: &WorkKey, now: Timestamp, lease_ms: u64) -> Option<Claimed> {
        let leaseless = self.leaseless;
        let due =
            |work: &&Work| work.queue == Some(key.queue()) && work.due_at.is_some_and(|at| at <= now.0 || leaseless);
        let Some(old) = self.works.get(key).filter(due).cloned() else {
            self.usage.writes += 1;
            return None;
        };
        let attempts = old.attempts.unwrap_or(0) + 1;
        self.change(key, |work| {
            work.due_at = Some(now.plus_ms(lease_ms).0);
            work.tried = true;
            work.attempts = Some(attempts);
            work.bell = false;
        });
        let task = match key {
            WorkKey::Run(..) => Task::Run(old.report?),
            WorkKey::Look(_) => Task::Look,
            WorkKey::Waiter { .. } => Task::Waiter,
            WorkKey::Verify(_) => Task::Verify,
            WorkKey::Read(_) => Task::Read(old.reading?),
            WorkKey::Survey(..) => Task::Survey(old.survey?),
            WorkKey::Create(_) => Task::Create(old.order?),
            WorkKey::Check(..) | WorkKey::Job(..) => Task::Check,
            WorkKey::Relay(_) => Task::Relay,
        };
        let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
        Some(Claimed { key: key.clone(), seq: old.seq.unwrap_or(0), attempts, tried: old.tried, replayed: false, task })
    }

    /// Changes work that is still as its claim left it.
    fn held(&mut self, claimed: &Claimed, change: impl FnOnce(&mut Work)) {
        let seqless = self.seqless;
        let as_claimed = |work: &Work| {
            seqless || work.seq == Some(claimed.seq) && work.attempts == Some(u64::from(claimed.attempts))
        };
        if self.works.get(&claimed.key).is_some_and(as_claimed) {
            self.change(&claimed.key, change);
        } else {
            self.usage.writes += 1;
        }
    }

    /// The work is done.
    pub fn complete(&mut self, claimed: &Claimed) {
        self.held(claimed, |work| {
            work.due_at = None;
            work.bell = false;
            work.fault = None;
            work.tried = false;
        });
    }

    /// The work is to be looked at again.
    pub fn postpone(&mut self, claimed: &Claimed, until: Timestamp, why: Option<&str>) {
        self.held(claimed, |work| {
            work.due_at = Some(until.0);
            work.attempts = Some(0);
            work.tried = claimed.tried;
            work.bell = false;
            work.fault = why.map(str::to_owned);
        });
    }

    /// The work failed and is to be tried again.
    pub fn defer(&mut self, claimed: &Claimed, until: Timestamp, fault: &str, tried: bool) {
        self.held(claimed, |work| {
            work.due_at = Some(until.0);
            work.fault = Some(fault.to_owned());
            work.tried = tried;
        });
    }

    /// The work becomes a dead letter.
    pub fn bury(&mut self, claimed: &Claimed, now: Timestamp, fault: &str) {
        self.held(claimed, |work| {
            work.queue = Some(Queue::Dead);
            work.due_at = Some(now.0);
            work.fault = Some(fault.to_owned());
            work.bell = false;
        });
    }

    /// Rings for work.
    pub fn ring(&mut self, key: &WorkKey) {
        let there = |work: &Work| work.due_at.is_some() && work.queue == Some(key.queue());
        if self.works.get(key).is_some_and(there) {
            self.change(key, |work| work.bell = true);
        } else {
            self.usage.writes += 1;
        }
    }

    /// All dead letters.
    #[must_use]
    pub fn dead(&self) -> Vec<Dead> {
        let dead = self.works.iter().filter(|(_, work)| work.queue == Some(Queue::Dead) && work.due_at.is_some());
        dead.map(|(key, work)| Dead { key: key.clone(), fault: work.fault.clone().unwrap_or_default() }).collect()
    }
}

/// Makes an item due work and rings its bell.
pub(super) fn arm(work: &mut Work, queue: Queue, at: u64) {
    work.queue = Some(queue);
    work.bell = true;
    work.due_at = Some(at);
    work.attempts = Some(0);
    work.seq = Some(work.seq.unwrap_or(0) + 1);
}
