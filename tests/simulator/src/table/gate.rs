//! Task results: the request, the sealed token, how far each check has come, and what HCP Terraform was told.

use std::collections::BTreeMap;

use sluice_domain::gate::{Admission, Check, Execution, Gated, HEARTBEAT_MS, Sealed, State};
use sluice_domain::ports::{Advance, Guard, Recorded, StoreError};
use sluice_domain::{CheckName, Queue, TaskResultId, Timestamp, WorkKey};

use super::work::arm;
use super::{Table, Work};

/// How long an access token outlives the time its task has, in milliseconds.
const TOKEN_MS: u64 = 3_600_000;

/// A task result.
#[derive(Debug, Clone)]
pub(crate) struct GateItem {
    admission: Admission,
    token: Option<Sealed>,
    expires_at: u64,
    executions: BTreeMap<CheckName, Execution>,
    state: State,
    version: u64,
}

impl Table {
    /// Records a task result, unless it is recorded already.
    pub fn admit_task(&mut self, admission: &Admission, token: &Sealed) -> Recorded {
        let result = &admission.request.result;
        if self.gate.contains_key(result) {
            return Recorded::Known;
        }
        let now = admission.request.received_at;
        let item = GateItem {
            admission: admission.clone(),
            token: Some(token.clone()),
            expires_at: admission.deadline.0 + TOKEN_MS,
            executions: BTreeMap::new(),
            state: State::default(),
            version: 0,
        };
        self.gate.insert(result.clone(), item);
        let first_word =
            if admission.checks.is_empty() { now } else { now.plus_ms(HEARTBEAT_MS).min(admission.deadline) };
        self.fresh(&WorkKey::Relay(result.clone()), first_word, now);
        for check in &admission.checks {
            self.fresh(&admission.work(check), now, now);
        }
        Recorded::New
    }

    fn fresh(&mut self, key: &WorkKey, due: Timestamp, now: Timestamp) {
        self.change(key, |work| {
            let (queue, due_at) = (Some(key.queue()), Some(due.0));
            *work = Work { queue, due_at, seq: Some(1), attempts: Some(0), bell: due <= now, ..Work::default() };
        });
    }

    /// A task result among its checks.
    #[must_use]
    pub fn gated(&self, result: &TaskResultId) -> Option<Gated> {
        let item = self.gate.get(result)?;
        let seq = |work: &Work| work.seq.unwrap_or(0);
        let of = |check: &Check| self.works.get(&item.admission.work(check)).map(seq);
        let checks = item.admission.checks.iter();
        Some(Gated {
            admission: item.admission.clone(),
            executions: item.executions.clone(),
            seq: checks.filter_map(|check| Some((check.name.clone(), of(check)?))).collect(),
            state: item.state.clone(),
            version: item.version,
        })
    }

    /// The access token of a task result.
    #[must_use]
    pub fn token(&self, result: &TaskResultId) -> Option<Sealed> {
        self.gate.get(result)?.token.clone()
    }

    /// Writes down how far a check has come, if the guard holds.
    pub fn advance(&mut self, guard: Guard<'_>, step: &Advance<'_>) -> Result<(), StoreError> {
        let holds = self.works.get(step.key).is_some_and(|work| match guard {
            Guard::Claimed(claimed) => {
                work.seq == Some(claimed.seq) && work.attempts == Some(u64::from(claimed.attempts))
            }
            Guard::Read { seq } => work.seq == Some(seq),
        });
        // What is found out after the last word was decided comes too late.
        let in_time = |item: &&mut GateItem| holds && !(step.tells && item.state.verdict.is_some());
        let Some(item) = self.gate.get_mut(step.result()).filter(in_time) else { return Err(StoreError::Conflict) };
        item.executions.insert(step.check().clone(), step.execution.clone());
        self.change(step.key, |work| {
            work.due_at = step.due.map(|due| due.0);
            let rings = step.due.is_some_and(|due| due <= step.now);
            (work.attempts, work.tried, work.bell, work.fault) = (Some(0), false, rings, None);
            work.seq = work.seq.map(|seq| seq + 1);
        });
        let relay = step.tells.then(|| WorkKey::Relay(step.result().clone()));
        for key in step.wakes.iter().cloned().chain(relay) {
            self.change(&key, |work| arm(work, key.queue(), step.now.0));
        }
        Ok(())
    }

    /// Writes down what HCP Terraform was told; with the end of it goes the access token.
    pub fn told(&mut self, result: &TaskResultId, state: &State, version: u64) -> Result<(), StoreError> {
        let Some(item) = self.gate.get_mut(result).filter(|item| item.version == version) else {
            return Err(StoreError::Conflict);
        };
        item.state = state.clone();
        item.version += 1;
        if state.end.is_some() {
            item.token = None;
        }
        Ok(())
    }

    /// Takes away what has outlived its time.
    pub fn expire(&mut self, now: u64) {
        self.gate.values_mut().filter(|item| item.expires_at < now).for_each(|item| item.token = None);
    }

    /// Task results whose token is still there.
    pub fn with_token(&self) -> impl Iterator<Item = &TaskResultId> {
        self.gate.iter().filter(|(_, item)| item.token.is_some()).map(|(result, _)| result)
    }

    /// How work that is still to be done stands: how often it was asked for, and which attempt it is at.
    #[must_use]
    pub fn standing(&self, key: &WorkKey) -> Option<(u64, u64)> {
        let alive = |work: &&Work| work.queue != Some(Queue::Dead) && work.due_at.is_some();
        let work = self.works.get(key).filter(alive)?;
        Some((work.seq.unwrap_or(0), work.attempts.unwrap_or(0)))
    }

    /// For a mutation: the token stays, or what is known of a task result goes.
    pub fn spoil(&mut self, result: &TaskResultId, token: Option<&Sealed>) {
        match token {
            Some(token) => drop(self.gate.get_mut(result).map(|item| item.token = Some(token.clone()))),
            None => drop(self.gate.remove(result)),
        }
    }
}
