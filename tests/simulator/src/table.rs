//! The table in memory: what `sluice-aws` does with DynamoDB, item by item and condition by condition.

mod commit;
mod gate;
mod tallies;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::ports::{Around, Known, Pause, Tally};
use sluice_domain::{
    Decision, Facts, Order, Queue, Reading, RunReport, Survey, TaskResultId, Timestamp, WorkKey, Workspace,
};

pub use work::Dead;

/// The facts of one workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct FactsItem {
    /// Counts changes, from 1.
    pub version: u64,
    /// The facts.
    pub facts: Facts,
}

/// What an item is while it is work, and once it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Work {
    pub(crate) queue: Option<Queue>,
    pub(crate) due_at: Option<u64>,
    pub(crate) seq: Option<u64>,
    pub(crate) attempts: Option<u64>,
    pub(crate) tried: bool,
    pub(crate) fault: Option<String>,
    pub(crate) bell: bool,
    pub(crate) report: Option<RunReport>,
    pub(crate) rank: u8,
    pub(crate) order: Option<Order>,
    pub(crate) reading: Option<Reading>,
    pub(crate) survey: Option<Survey>,
}

/// How much was read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Items asked for.
    pub reads: u64,
    /// Items written.
    pub writes: u64,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    facts: BTreeMap<Workspace, FactsItem>,
    decisions: BTreeMap<Workspace, Decision>,
    consumers: BTreeMap<Workspace, BTreeSet<Workspace>>,
    waiters: BTreeMap<Workspace, BTreeSet<Workspace>>,
    works: BTreeMap<WorkKey, Work>,
    due: BTreeSet<(Queue, u64, WorkKey)>,
    tallies: BTreeMap<Tally, BTreeSet<String>>,
    pause: Option<Pause>,
    gate: BTreeMap<TaskResultId, gate::GateItem>,
    /// What the stream has rung for and nobody has taken off it.
    pub bells: Vec<WorkKey>,
    /// How much was read and written.
    pub usage: Usage,
    /// Counts changes of facts, decisions and orders: what is not at rest changes it.
    pub stirs: u64,
    /// No condition on versions is checked: for a mutation.
    pub unchecked: bool,
    /// Claims are given out whatever others hold: for a mutation.
    pub leaseless: bool,
    /// Work counts as done whatever was asked for meanwhile: for a mutation.
    pub seqless: bool,
}

impl Table {
    /// A workspace and its neighbours.
    pub fn around(&mut self, workspace: &Workspace) -> Around {
        let around = Around {
            known: self.known_of(workspace, true).unwrap_or_default(),
            consumers: self.consumers.get(workspace).cloned().unwrap_or_default(),
            waiters: self.waiters.get(workspace).cloned().unwrap_or_default(),
        };
        self.usage.reads += 5 + (around.consumers.len() + around.waiters.len()) as u64;
        around
    }

    /// What is known of each of `workspaces`; the facts alone, unless `whole`.
    pub fn known(&mut self, workspaces: &BTreeSet<Workspace>, whole: bool) -> BTreeMap<Workspace, Known> {
        self.usage.reads += workspaces.len() as u64 * if whole { 3 } else { 1 };
        let found = |workspace: &Workspace| Some((workspace.clone(), self.known_of(workspace, whole)?));
        workspaces.iter().filter_map(found).collect()
    }

    fn known_of(&self, workspace: &Workspace, whole: bool) -> Option<Known> {
        let facts = self.facts.get(workspace);
        let decision = self.decisions.get(workspace).filter(|_| whole);
        let create = self.works.get(&WorkKey::Create(workspace.clone())).filter(|_| whole);
        if facts.is_none() && decision.is_none() && create.is_none() {
            return None;
        }
        let ordered =
            create.is_some_and(|work| work.due_at.is_some_and(|at| at > 0) && work.queue != Some(Queue::Dead));
        Some(Known {
            facts: facts.map(|item| item.facts.clone()).unwrap_or_default(),
            version: facts.map_or(0, |item| item.version),
            decision: decision.cloned(),
            order: create.and_then(|work| work.order.clone()),
            ordered,
            held: create.filter(|_| ordered).and_then(|work| work.fault.clone()),
        })
    }

    /// Up to `limit` works of `queue` that were due at `now`, the oldest first.
    pub fn due(&mut self, queue: Queue, now: Timestamp, limit: u16) -> Vec<WorkKey> {
        let due = self.due.range((queue, 0, first_key())..).take_while(|(of, at, _)| *of == queue && *at <= now.0);
        let found: Vec<WorkKey> = due.take(limit.into()).map(|(.., key)| key.clone()).collect();
        self.usage.reads += found.len().max(1) as u64;
        found
    }

    /// When the next work that is alive is due.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.first_due(|_| true)
    }

    /// When the next work that is alive, and no survey, is due: the next survey always is at some time.
    #[must_use]
    pub fn next_news_due(&self) -> Option<u64> {
        self.first_due(|key| !matches!(key, WorkKey::Survey(..)))
    }

    fn first_due(&self, counts: impl Fn(&WorkKey) -> bool) -> Option<u64> {
        let of_queue = |of: Queue| {
            let from = self.due.range((of, 0, first_key())..);
            let mut works = from.take_while(move |(queue, ..)| *queue == of);
            works.find(|(.., key)| counts(key)).map(|(_, at, _)| *at)
        };
        let queues = [Queue::Index, Queue::Create, Queue::Bulk, Queue::Check, Queue::Job, Queue::Relay];
        queues.into_iter().filter_map(of_queue).min()
    }

    /// How far the survey of the one organization is.
    #[must_use]
    pub fn survey_body(&self) -> Option<&Survey> {
        self.works.get(&survey_key())?.survey.as_ref()
    }

    /// How far the survey of the one organization is, and when it goes on.
    #[must_use]
    pub fn survey(&self) -> Option<(&Survey, u64)> {
        let work = self.works.get(&survey_key())?;
        Some((work.survey.as_ref()?, work.due_at?))
    }

    /// Works that are due at some time, except dead letters.
    pub fn pending(&self) -> impl Iterator<Item = (&WorkKey, u64)> {
        self.due.iter().filter(|(queue, ..)| *queue != Queue::Dead).map(|(_, at, key)| (key, *at))
    }

    /// The facts of every workspace.
    #[must_use]
    pub fn all_facts(&self) -> &BTreeMap<Workspace, FactsItem> {
        &self.facts
    }

    /// The facts of one workspace.
    #[must_use]
    pub fn facts_of(&self, workspace: &Workspace) -> Option<&Facts> {
        self.facts.get(workspace).map(|item| &item.facts)
    }

    /// The last decision about a workspace.
    #[must_use]
    pub fn decision_of(&self, workspace: &Workspace) -> Option<&Decision> {
        self.decisions.get(workspace)
    }

    /// Puts facts and both sides of their edges into the table, as if they had always been there.
    pub fn plant(&mut self, workspace: &Workspace, facts: Facts) {
        for producer in facts.producers.keys() {
            self.consumers.entry(producer.clone()).or_default().insert(workspace.clone());
        }
        self.facts.insert(workspace.clone(), FactsItem { version: 1, facts });
    }

    /// Changes a work item, keeps the index and rings.
    fn change(&mut self, key: &WorkKey, change: impl FnOnce(&mut Work)) {
        let work = self.works.entry(key.clone()).or_default();
        let before = (work.queue, work.due_at);
        change(work);
        let after = (work.queue, work.due_at);
        let rings = work.bell;
        if before != after {
            if let (Some(queue), Some(at)) = before {
                self.due.remove(&(queue, at, key.clone()));
            }
            if let (Some(queue), Some(at)) = after {
                self.due.insert((queue, at, key.clone()));
            }
        }
        if rings {
            self.bells.push(key.clone());
        }
        if let WorkKey::Waiter { holder, waiter } = key {
            self.waiters.entry(holder.clone()).or_default().insert(waiter.clone());
        }
        self.usage.writes += 1;
    }

    fn remove(&mut self, key: &WorkKey) {
        self.usage.writes += 1;
        if let Some(work) = self.works.remove(key)
            && let (Some(queue), Some(at)) = (work.queue, work.due_at)
        {
            self.due.remove(&(queue, at, key.clone()));
        }
        if let WorkKey::Waiter { holder, waiter } = key
            && let Some(waiters) = self.waiters.get_mut(holder)
        {
            waiters.remove(waiter);
        }
    }
}

/// The survey of the one organization that there is.
#[must_use]
pub fn survey_key() -> WorkKey {
    WorkKey::Survey("tfe".parse().expect("it is a host"), "acme".parse().expect("it is an organization"))
}

/// No key of the one host is less.
fn first_key() -> WorkKey {
    static FIRST: std::sync::LazyLock<WorkKey> = std::sync::LazyLock::new(|| {
        WorkKey::Run("a/a/a".parse().expect("it is a name"), "run-0".parse().expect("it is an id"))
    });
    FIRST.clone()
}
