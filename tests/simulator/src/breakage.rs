//! What mutations make of a commit.

use sluice_domain::ports::Write;
use sluice_domain::{
    Cause, Decision, Facts, InputsKey, Marker, Order, RunKind, Standing, Taught, Timestamp, Verdict, WorkKey, Workspace,
};

use crate::hcp::{digest, number_of};
use crate::mutation::Mutation;
use crate::world::World;

impl World {
    /// The writes as the mutation, if any, has them.
    #[must_use]
    pub fn broken(&mut self, writes: &[Write]) -> Vec<Write> {
        let mut writes = writes.to_vec();
        let Some(mutation) = self.scenario.mutation else { return writes };
        match mutation {
            Mutation::NoSurvey => writes.retain(|write| !matches!(write, Write::FirstSurvey { .. })),
            Mutation::NoAcknowledgement => each_facts(&mut writes, |facts| {
                facts.producers.values_mut().for_each(|edge| edge.acknowledged.clear());
            }),
            Mutation::RefusalsStripped => each_facts(&mut writes, |facts| facts.refusal = None),
            Mutation::ActiveUnrecorded => each_facts(&mut writes, |facts| facts.active.clear()),
            Mutation::DestroysForgotten => each_facts(&mut writes, |facts| {
                facts.state.iter_mut().for_each(|state| state.destroyed = false);
            }),
            Mutation::WaitersDropped => writes.retain(|write| !matches!(write, Write::Waiter { .. })),
            Mutation::WatchesDropped => writes.retain(|write| !matches!(write, Write::Watch { .. })),
            Mutation::ConsumersDropped => writes.retain(|write| !matches!(write, Write::Consumer { .. })),
            Mutation::LooksDropped if writes.iter().any(|write| matches!(write, Write::Facts { .. })) => {
                writes.retain(|write| !matches!(write, Write::Look { .. }));
            }
            Mutation::PlansForgotten => each_facts(&mut writes, |facts| {
                facts.producers.retain(|_, edge| !edge.only_planned());
            }),
            Mutation::UsesKept | Mutation::DiscardedPlans => self.misuse_plans(mutation, &mut writes),
            Mutation::NoHealingLook => self.drop_healing_look(&mut writes),
            Mutation::WaitIgnored => {
                self.run_instead(&mut writes, |decision| matches!(decision.verdict, Verdict::Wait { .. }));
            }
            Mutation::CyclesRun => {
                self.run_instead(&mut writes, |decision| matches!(decision.verdict, Verdict::Cycle { .. }));
            }
            Mutation::MarkersShared => {
                for write in &mut writes {
                    if let Write::Order { workspace, order } = write {
                        order.marker = marker_for(workspace, 0);
                    }
                }
            }
            _ => {}
        }
        writes
    }

    /// Plans stay in force, or come into force, that must not.
    fn misuse_plans(&self, mutation: Mutation, writes: &mut [Write]) {
        for write in writes {
            let Write::Facts { workspace, facts, .. } = write else { continue };
            let Some(before) = self.table.facts_of(workspace) else { continue };
            let discarded = |taught: &&Taught| {
                let run = number_of(&taught.run).map(|run| self.hcp.runs[run].standing);
                run == Some(Standing::Discarded) && facts.ended.contains(&taught.run)
            };
            let taught = before.taught.as_ref().filter(discarded);
            for (name, edge) in &mut facts.producers {
                let old = before.producers.get(name).and_then(|edge| edge.uses.clone());
                let read = taught.and_then(|taught| taught.reads.get(name)).and_then(|read| read.uses.clone());
                let uses = if mutation == Mutation::UsesKept { old.filter(|_| edge.uses.is_none()) } else { read };
                edge.uses = uses.or(edge.uses.take());
            }
        }
    }

    /// If facts are written that lift a refusal, nobody is looked at.
    fn drop_healing_look(&self, writes: &mut Vec<Write>) {
        let heals = |write: &Write| match write {
            Write::Facts { workspace, facts, .. } => {
                let refused = self.table.facts_of(workspace).is_some_and(|before| before.refusal.is_some());
                refused && facts.refusal.is_none()
            }
            _ => false,
        };
        if writes.iter().any(heals) {
            writes.retain(|write| !matches!(write, Write::Look { .. }));
        }
    }

    /// Decisions of a kind become runs.
    fn run_instead(&self, writes: &mut Vec<Write>, which: impl Fn(&Decision) -> bool) {
        let mut ordered = Vec::new();
        for write in writes.iter_mut() {
            let Write::Decision { workspace, decision, at } = write else { continue };
            if !which(decision) {
                continue;
            }
            let with = match &decision.verdict {
                Verdict::Cycle { with } => vec![Cause { producer: with.clone(), outputs: vec!["o0".to_owned()] }],
                _ => decision.causes.clone(),
            };
            decision.verdict = Verdict::Run;
            decision.causes.clone_from(&with);
            ordered.push(self.order(workspace, with, *at));
        }
        for (workspace, order) in ordered {
            let key = WorkKey::Create(workspace.clone());
            let busy = self.table.pending().any(|(pending, _)| *pending == key);
            writes.retain(|write| !matches!(write, Write::Waiter { waiter, .. } if *waiter == workspace));
            if !busy {
                writes.push(Write::Order { workspace, order });
            }
        }
    }

    fn order(&self, workspace: &Workspace, causes: Vec<Cause>, at: Timestamp) -> (Workspace, Order) {
        let state = |cause: &Cause| self.table.facts_of(&cause.producer)?.state.clone();
        let states: Vec<_> = causes.iter().filter_map(state).collect();
        let newest = states.iter().map(|state| state.created_at).max().unwrap_or_default();
        let marker = marker_for(workspace, newest.0);
        let order = Order {
            inputs: InputsKey(digest(newest.0)),
            marker,
            causes,
            kind: RunKind::Apply,
            wave: None,
            newest,
            decided_at: at,
        };
        (workspace.clone(), order)
    }
}

fn each_facts(writes: &mut [Write], change: impl Fn(&mut Facts)) {
    for write in writes {
        if let Write::Facts { facts, .. } = write {
            change(facts);
        }
    }
}

fn marker_for(workspace: &Workspace, number: u64) -> Marker {
    let name = workspace.name.bytes().fold(number, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    Marker(format!("sluice-{name:016x}"))
}
