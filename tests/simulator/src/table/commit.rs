//! Commits: all conditions first, then all changes, or none.

use std::collections::HashSet;

use sluice_domain::ports::{StoreError, Write};
use sluice_domain::{Host, Order, Organization, Queue, RunReport, Survey, Timestamp, WorkKey, Workspace};

use super::work::arm;
use super::{FactsItem, Table};

/// Most actions of one transaction.
const ACTIONS_MAX: usize = 100;

/// The item that an action is about: no transaction may name one twice.
#[derive(PartialEq, Eq, Hash)]
enum Item<'a> {
    Facts(&'a Workspace),
    Listing(&'a Workspace),
    Consumer(&'a Workspace, &'a Workspace),
    Waiter(&'a Workspace, &'a Workspace),
    Look(&'a Workspace),
    Verify(&'a Workspace),
    Read(&'a Workspace),
    Survey(&'a Host, &'a Organization),
    Create(&'a Workspace),
    Decision(&'a Workspace),
    Log(&'a Workspace, u64, &'static str),
    Run(&'a Workspace, &'a str),
}

impl Table {
    /// Makes all of `writes`, or none of them.
    pub fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        if let [Write::FirstSurvey { host, organization, .. }] = writes
            && self.has_survey(host, organization)
        {
            // Alone, that there is one already is as good.
            self.usage.writes += 1;
            return Ok(());
        }
        self.admit(writes)?;
        for write in writes {
            self.write(write);
        }
        Ok(())
    }

    /// Whether a transaction of `writes` would be taken.
    pub fn admit(&self, writes: &[Write]) -> Result<(), StoreError> {
        let items: Vec<Item<'_>> = writes.iter().flat_map(items).collect();
        let mut once = HashSet::with_capacity(items.len());
        let twice = items.len() > ACTIONS_MAX || items.into_iter().any(|item| !once.insert(item));
        if twice {
            let source = "a transaction names an item twice, or has too many actions".into();
            return Err(StoreError::Refused { action: "to write facts", source });
        }
        let holds = |write: &Write| match write {
            Write::Facts { workspace, version, .. }
            | Write::Unchanged { workspace, version }
            | Write::Forget { workspace, version } => {
                self.unchecked || self.facts.get(workspace).map_or(0, |item| item.version) == *version
            }
            Write::Order { workspace, .. } => {
                let create = self.works.get(&WorkKey::Create(workspace.clone()));
                create.is_none_or(|work| work.due_at.is_none() || work.queue == Some(Queue::Dead))
            }
            Write::FirstSurvey { host, organization, .. } => !self.has_survey(host, organization),
            Write::Survey { host, organization, seq: Some(seq), .. } => {
                let survey = self.works.get(&WorkKey::Survey(host.clone(), organization.clone()));
                survey.is_some_and(|work| work.seq == Some(*seq))
            }
            _ => true,
        };
        if writes.iter().all(holds) { Ok(()) } else { Err(StoreError::Conflict) }
    }

    fn has_survey(&self, host: &Host, organization: &Organization) -> bool {
        self.works.contains_key(&WorkKey::Survey(host.clone(), organization.clone()))
    }

    fn survey_at(&mut self, host: &Host, organization: &Organization, survey: Survey, at: Timestamp) {
        self.change(&WorkKey::Survey(host.clone(), organization.clone()), |work| {
            arm(work, Queue::Bulk, at.0);
            work.survey = Some(survey);
        });
    }

    fn look_at(&mut self, key: &WorkKey, at: Timestamp) {
        self.change(key, |work| arm(work, Queue::Index, at.0));
    }

    /// Makes one change, whatever its condition says.
    pub fn write(&mut self, write: &Write) {
        match write {
            Write::Facts { workspace, facts, version } => {
                self.usage.writes += 1 + u64::from(*version == 0);
                let before = self.facts.get(workspace).map_or(0, |item| item.version);
                let version = if self.unchecked { before + 1 } else { version + 1 };
                self.facts.insert(workspace.clone(), FactsItem { version, facts: (**facts).clone() });
                self.stirs += 1;
            }
            Write::Unchanged { .. } => {}
            Write::Consumer { producer, consumer } => {
                self.usage.writes += 1;
                self.consumers.entry(producer.clone()).or_default().insert(consumer.clone());
            }
            Write::NoConsumer { producer, consumer } => {
                self.usage.writes += 1;
                if let Some(consumers) = self.consumers.get_mut(producer) {
                    consumers.remove(consumer);
                }
            }
            Write::Look { workspace, at } => self.look_at(&WorkKey::Look(workspace.clone()), *at),
            Write::Verify { workspace, at } => self.look_at(&WorkKey::Verify(workspace.clone()), *at),
            Write::Read { workspace, reading, at } => {
                self.change(&WorkKey::Read(workspace.clone()), |work| {
                    arm(work, Queue::Bulk, at.0);
                    work.reading = Some(reading.clone());
                });
            }
            Write::Survey { host, organization, survey, at, .. } => {
                self.survey_at(host, organization, survey.clone(), *at);
            }
            Write::FirstSurvey { host, organization, at } => {
                self.survey_at(host, organization, Survey { page: 1, ..Survey::default() }, *at);
            }
            Write::Decision { workspace, decision, .. } => {
                self.usage.writes += 2;
                self.decisions.insert(workspace.clone(), decision.clone());
                self.stirs += 1;
            }
            Write::Note { .. } => self.usage.writes += 1,
            Write::Waiter { holder, waiter, until } => {
                let key = WorkKey::Waiter { holder: holder.clone(), waiter: waiter.clone() };
                self.change(&key, |work| {
                    work.queue = Some(Queue::Index);
                    work.due_at = Some(until.0);
                    work.attempts = Some(0);
                    work.seq = Some(work.seq.unwrap_or(0) + 1);
                });
            }
            Write::NoWaiter { holder, waiter } => {
                self.remove(&WorkKey::Waiter { holder: holder.clone(), waiter: waiter.clone() });
            }
            Write::Order { workspace, order } => self.order(workspace, order),
            Write::Watch { report, until } => self.watch(report, *until),
            Write::Forget { workspace, .. } => {
                self.usage.writes += 3;
                self.facts.remove(workspace);
                self.decisions.remove(workspace);
                self.remove(&WorkKey::Create(workspace.clone()));
                self.remove(&WorkKey::Read(workspace.clone()));
                self.stirs += 1;
            }
        }
    }

    fn order(&mut self, workspace: &Workspace, order: &Order) {
        self.stirs += 1;
        self.change(&WorkKey::Create(workspace.clone()), |work| {
            arm(work, Queue::Create, order.decided_at.0);
            work.tried = false;
            work.fault = None;
            work.order = Some(order.clone());
        });
    }

    /// Upserts news of a run that Sluice created, leaving alone what is there.
    fn watch(&mut self, report: &RunReport, until: Timestamp) {
        let key = WorkKey::Run(report.workspace.clone(), report.run.clone());
        self.change(&key, |work| {
            if work.report.is_none() {
                work.report = Some(report.clone());
                work.rank = report.standing.rank();
            }
            work.queue = work.queue.or(Some(Queue::Index));
            work.due_at = work.due_at.or(Some(until.0));
            work.attempts = work.attempts.or(Some(0));
            work.seq = work.seq.or(Some(0));
        });
    }
}

fn items(write: &Write) -> Vec<Item<'_>> {
    match write {
        Write::Facts { workspace, version: 0, .. } => vec![Item::Facts(workspace), Item::Listing(workspace)],
        Write::Facts { workspace, .. } | Write::Unchanged { workspace, .. } => vec![Item::Facts(workspace)],
        Write::Consumer { producer, consumer } | Write::NoConsumer { producer, consumer } => {
            vec![Item::Consumer(producer, consumer)]
        }
        Write::Look { workspace, .. } => vec![Item::Look(workspace)],
        Write::Verify { workspace, .. } => vec![Item::Verify(workspace)],
        Write::Read { workspace, .. } => vec![Item::Read(workspace)],
        Write::Survey { host, organization, .. } | Write::FirstSurvey { host, organization, .. } => {
            vec![Item::Survey(host, organization)]
        }
        Write::Decision { workspace, decision, at } => {
            vec![Item::Decision(workspace), Item::Log(workspace, at.0, decision.verdict.word())]
        }
        Write::Note { workspace, decision, at } => vec![Item::Log(workspace, at.0, decision.verdict.word())],
        Write::Waiter { holder, waiter, .. } | Write::NoWaiter { holder, waiter } => vec![Item::Waiter(holder, waiter)],
        Write::Order { workspace, .. } => vec![Item::Create(workspace)],
        Write::Watch { report, .. } => vec![Item::Run(&report.workspace, report.run.as_str())],
        Write::Forget { workspace, .. } => vec![
            Item::Decision(workspace),
            Item::Create(workspace),
            Item::Read(workspace),
            Item::Listing(workspace),
            Item::Facts(workspace),
        ],
    }
}
