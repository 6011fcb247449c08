//! How news changes facts: pure steps from facts to facts.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::decide;
use crate::facts::{ActiveRun, Edge, Facts, Findings, Found, InputsKey, Refusal, StateFacts};
use crate::graph::Graph;
use crate::names::Workspace;
use crate::policy::Policy;
use crate::run::{RunReport, Standing};
use crate::size;
use crate::time::Timestamp;
use crate::work::Order;

/// How long the tombstone of an edge is kept, in milliseconds: thirty days.
pub const TOMBSTONE_MS: u64 = 30 * 24 * 3_600_000;

/// Most ended runs that are remembered.
const ENDED_MAX: usize = 16;

/// What a run that got through has seen of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// All that was there when it was created.
    All,
    /// What the state shows that it wrote itself. What is known of the workspaces it read may be older than that.
    Copies,
    /// Nothing that counts: it was told to leave things out.
    Nothing,
}

impl Facts {
    /// Takes in that a run is under way; `order` is what Sluice ordered last. Old news changes nothing.
    pub fn hear(&mut self, report: &RunReport, order: Option<&Order>) {
        self.id = Some(report.workspace_id.clone());
        if report.standing.ended() || self.ended.contains(&report.run) {
            return;
        }
        let order = ours(report, order);
        let fresh = ActiveRun {
            created_at: created_at(report, order),
            standing: report.standing,
            since: report.at,
            inputs: None,
        };
        let run = self.active.entry(report.run.clone()).or_insert_with(|| fresh.clone());
        run.created_at = run.created_at.max(fresh.created_at);
        run.inputs = order.map(|order| order.inputs).or(run.inputs);
        if run.standing.rank() < fresh.standing.rank() {
            (run.standing, run.since) = (fresh.standing, fresh.since);
        }
    }

    /// Takes in that a run is over. `producers` are the facts of the workspaces this one reads.
    ///
    /// A run that got through has seen every input that was there when it was created, whether or not it wrote
    /// them down, unless `seen` says otherwise; one that did not get through must not be tried again for the same
    /// inputs.
    pub fn end(
        &mut self,
        workspace: &Workspace,
        report: &RunReport,
        order: Option<&Order>,
        producers: &BTreeMap<Workspace, Facts>,
        seen: Seen,
        now: Timestamp,
    ) {
        self.id = Some(report.workspace_id.clone());
        let active = self.active.remove(&report.run);
        let order = ours(report, order);
        let created_at = created_at(report, order).max(active.as_ref().map_or(Timestamp(0), |run| run.created_at));
        let started_for = active.and_then(|run| run.inputs).or(order.map(|order| order.inputs));
        if !self.ended.contains(&report.run) {
            self.ended.push(report.run.clone());
            self.ended.drain(..self.ended.len().saturating_sub(ENDED_MAX));
        }
        // It was read while its run was still under way: it is a change after all.
        let wrote = |state: &&mut StateFacts| state.run.as_ref() == Some(&report.run);
        if report.standing == Standing::Applied
            && let Some(state) = self.state.as_mut().filter(wrote)
        {
            state.baseline = false;
        }
        self.heed(report, seen != Seen::Nothing, now);
        match report.standing {
            Standing::Applied | Standing::NoChanges if seen == Seen::Nothing => {}
            Standing::Applied | Standing::NoChanges => {
                self.acknowledge(workspace, created_at, producers, seen);
                self.refusal.take_if(|refusal| refusal.created_at <= created_at);
            }
            Standing::Errored | Standing::Canceled | Standing::Discarded => {
                let saw = self.inputs_before(workspace, created_at, producers, now);
                let inputs: BTreeSet<InputsKey> = started_for.into_iter().chain(saw).collect();
                let newest = self.refusal.as_ref().is_none_or(|refusal| refusal.created_at <= created_at);
                if newest && !inputs.is_empty() {
                    self.refusal = Some(Refusal {
                        inputs,
                        created_at,
                        run: Some(report.run.clone()),
                        why: report.standing.to_string(),
                        declined: report.standing != Standing::Errored,
                    });
                }
            }
            Standing::Pending | Standing::Planning | Standing::AwaitingPerson | Standing::Applying => {}
        }
        self.fit();
    }

    /// Whether there is anything new in the workspaces it reads, used or not, as far as is known.
    #[must_use]
    pub fn has_unread(&self, producers: &BTreeMap<Workspace, Facts>) -> bool {
        let mut live = self.producers.iter().filter(|(_, edge)| edge.live());
        live.any(|(name, edge)| producers.get(name).is_some_and(|it| edge.has_unread(it)))
    }

    /// Whether there is anything new in what it uses of the workspaces it reads, as far as is known.
    #[must_use]
    pub fn has_unseen(&self, producers: &BTreeMap<Workspace, Facts>) -> bool {
        let mut live = self.producers.iter().filter(|(_, edge)| edge.live());
        live.any(|(name, edge)| producers.get(name).is_some_and(|it| !edge.unseen_in(it).is_empty()))
    }

    fn acknowledge(
        &mut self,
        workspace: &Workspace,
        created_at: Timestamp,
        producers: &BTreeMap<Workspace, Facts>,
        seen: Seen,
    ) {
        for (name, edge) in self.producers.iter_mut().filter(|(_, edge)| edge.live()) {
            let Some(producer) = producers.get(name) else { continue };
            // A workspace that reads itself has seen what it wrote.
            let saw = |state: &StateFacts| name == workspace || state.created_at < created_at;
            if seen == Seen::Copies && !edge.only_planned() && !size::is_one(&producer.outputs) {
                edge.acknowledged.clear();
                edge.passed = producer.state.as_ref().filter(|state| saw(state)).map(|state| state.version.clone());
                continue;
            }
            if producer.state.as_ref().is_some_and(saw) {
                edge.acknowledge(&producer.outputs);
            }
        }
    }

    /// The inputs a run created at `created_at` failed for, if it saw all that are stale now.
    fn inputs_before(
        &self,
        workspace: &Workspace,
        created_at: Timestamp,
        producers: &BTreeMap<Workspace, Facts>,
        now: Timestamp,
    ) -> Option<InputsKey> {
        let mut facts = producers.clone();
        facts.insert(workspace.clone(), Self { active: BTreeMap::new(), refusal: None, ..self.clone() });
        let graph = Graph::new(facts);
        let decision = decide(&graph, &Policy::default(), now).swap_remove(graph.number(workspace)?);
        let saw_all = decision.causes.iter().all(|cause| {
            producers
                .get(&cause.producer)
                .and_then(|facts| facts.state.as_ref())
                .is_some_and(|s| s.created_at < created_at)
        });
        decision.inputs.filter(|_| saw_all)
    }

    /// Takes in a state version and what was found in it. Edges it no longer shows become tombstones, except those that
    /// the newer plan in force shows.
    pub fn learn(&mut self, state: StateFacts, findings: Findings, now: Timestamp) {
        self.supersede_plan(&state, &findings);
        let Findings { lineage, outputs, producers, empty } = findings;
        let destroyed = empty && self.had_something();
        let outputs = size::bounded(outputs);
        let before = self.state.as_ref().filter(|_| self.outputs == outputs);
        // What did not change was not learned just now, and is as old as it was.
        let learned_at = before.map_or(now, |before| before.learned_at);
        let baseline = state.baseline || before.is_some_and(|before| before.baseline);
        self.state = Some(StateFacts { lineage, destroyed, learned_at, taken_in_at: now, baseline, ..state });
        self.outputs = outputs;
        let mut reads = producers.unwrap_or_default();
        for (name, edge) in &mut self.producers {
            match reads.remove(name) {
                Some(read) => {
                    let planned = edge.found.contains(&Found::Plan).then_some(Found::Plan);
                    edge.found = read.found.into_iter().chain(planned).collect();
                    edge.addresses = read.addresses;
                    edge.observed = read.observed;
                    edge.last_seen = now;
                    edge.gone_at = None;
                }
                None => edge.missing(now),
            }
        }
        for (name, read) in reads {
            let edge = Edge {
                found: read.found,
                addresses: read.addresses,
                observed: read.observed,
                last_seen: now,
                ..Edge::default()
            };
            self.producers.insert(name, edge);
        }
        self.producers.retain(|_, edge| edge.gone_at.is_none_or(|gone_at| now.since_ms(gone_at) < TOMBSTONE_MS));
        self.fit();
    }

    /// A state that is empty from the start was not destroyed.
    fn had_something(&self) -> bool {
        !self.outputs.is_empty() || self.state.as_ref().is_some_and(|state| state.destroyed)
    }
}

/// The order that the run was created for, if it is Sluice's own.
fn ours<'a>(report: &RunReport, order: Option<&'a Order>) -> Option<&'a Order> {
    order.filter(|order| order.made(report))
}

/// When the run was created. Whatever the clocks say, and notifications tell whole seconds only, a run that was
/// ordered because of a state version is younger than that.
fn created_at(report: &RunReport, order: Option<&Order>) -> Timestamp {
    report.created_at.max(order.map_or(Timestamp(0), |order| order.newest.plus_ms(1)))
}
