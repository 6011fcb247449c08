//! Laws of the rule, on random organizations: a change runs through, decided one settled workspace after the other.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::facts::{Edge, Findings, Read, StateFacts};
use crate::{Digest, Found, Graph, Outputs, RunId, RunReport, Seen};

const SIZE: usize = 9;

fn workspace(number: usize) -> Workspace {
    format!("app.terraform.io/acme/w{number}").parse().unwrap()
}

/// An organization as HCP Terraform has it, and what Sluice knows of it.
struct World {
    reads: Vec<BTreeSet<usize>>,
    /// Its output is always the same.
    fixed: Vec<bool>,
    values: Vec<u64>,
    facts: BTreeMap<Workspace, Facts>,
    clock: u64,
    runs: Vec<Vec<u64>>,
    started: BTreeMap<usize, RunReport>,
}

impl World {
    fn new(reads: Vec<BTreeSet<usize>>, fixed: Vec<bool>) -> Self {
        let size = reads.len();
        let mut world = Self {
            reads,
            fixed,
            values: vec![1; size],
            facts: BTreeMap::new(),
            clock: 1_000,
            runs: vec![Vec::new(); size],
            started: BTreeMap::new(),
        };
        for number in 0..size {
            world.apply(number);
        }
        for number in 0..size {
            world.apply(number);
        }
        world.runs = vec![Vec::new(); size];
        world
    }

    fn tick(&mut self) -> Timestamp {
        self.clock += 1;
        Timestamp(self.clock)
    }

    fn outputs(&self, number: usize) -> Outputs {
        Outputs::from([("id".to_owned(), of_texts([self.values[number].to_string().as_str()]))])
    }

    fn start(&mut self, number: usize) {
        let at = self.tick();
        let run: RunId = format!("run-{}", self.clock).parse().unwrap();
        let report = RunReport {
            workspace: workspace(number),
            workspace_id: format!("ws-{number}").parse().unwrap(),
            run,
            created_at: at,
            standing: Standing::Planning,
            at,
            marker: None,
        };
        self.facts.entry(workspace(number)).or_default().hear(&report, None);
        self.started.insert(number, report);
        self.runs[number].push(self.clock);
    }

    /// The run of a workspace ends: it has read what its producers hold now.
    fn finish(&mut self, number: usize) {
        let at = self.tick();
        let report = self.started.remove(&number).unwrap();
        if !self.fixed[number] && !self.reads[number].is_empty() {
            let read: Vec<String> = self.reads[number].iter().map(|other| self.values[*other].to_string()).collect();
            let Digest(digest) = of_texts(read.iter().map(String::as_str));
            self.values[number] = u64::from_be_bytes(digest[..8].try_into().unwrap());
        }
        let producers = self.reads[number].iter().map(|other| {
            let read = Read {
                found: BTreeSet::from([Found::RemoteState]),
                addresses: BTreeSet::new(),
                observed: self.outputs(*other),
            };
            (workspace(*other), read)
        });
        let findings = Findings {
            lineage: String::new(),
            outputs: self.outputs(number),
            producers: Some(producers.collect()),
            empty: false,
        };
        let version = format!("sv-{}", self.clock).parse().unwrap();
        let state = StateFacts::new(version, self.clock, Some(report.run.clone()), at);
        let known = self.facts.clone();
        let facts = self.facts.entry(workspace(number)).or_default();
        facts.learn(state, findings, at);
        let ended = RunReport { standing: Standing::Applied, at, ..report };
        facts.end(&workspace(number), &ended, None, &known, Seen::All, at);
    }

    fn apply(&mut self, number: usize) {
        self.start(number);
        self.finish(number);
    }

    fn decide(&self) -> Vec<(usize, Decision)> {
        let graph = Graph::new(self.facts.clone());
        let decisions = decide(&graph, &Policy::default(), Timestamp(self.clock));
        (0..self.reads.len()).map(|n| (n, decisions[graph.number(&workspace(n)).unwrap()].clone())).collect()
    }

    /// Who has to run after `root` changed: those that read something whose value changes, and so on.
    fn affected(&self, root: usize) -> BTreeSet<usize> {
        let mut changed = BTreeSet::from([root]);
        let mut affected = BTreeSet::new();
        for number in 0..self.reads.len() {
            if !self.reads[number].is_disjoint(&changed) {
                affected.insert(number);
                if !self.fixed[number] {
                    changed.insert(number);
                }
            }
        }
        affected
    }
}

/// Acyclic: each reads only those before it.
fn organization() -> impl Strategy<Value = (Vec<BTreeSet<usize>>, Vec<bool>)> {
    let reads = (0..SIZE).map(|n| prop::collection::btree_set(0..n.max(1), 0..=3.min(n)));
    (reads.collect::<Vec<_>>(), prop::collection::vec(prop::bool::weighted(0.2), SIZE)).prop_map(
        |(mut reads, fixed)| {
            reads[0].clear();
            (reads, fixed)
        },
    )
}

proptest! {
    /// I2, I3 and I5: every affected workspace runs once, after all its affected ancestors; nobody else runs.
    #[test]
    fn a_change_runs_each_affected_workspace_once_and_in_order(
        (reads, fixed) in organization(),
        root in 0..3_usize,
        order in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let mut world = World::new(reads, fixed);
        prop_assert!(world.decide().iter().all(|(_, decision)| decision.verdict == Verdict::Settled));
        let affected = world.affected(root);
        world.values[root] += 1;
        world.fixed[root] = true;
        world.start(root);
        world.finish(root);
        world.runs[root].clear();
        let mut finished: BTreeMap<usize, u64> = BTreeMap::new();
        for pick in order {
            for (number, decision) in world.decide() {
                if decision.verdict == Verdict::Run {
                    for parent in &world.reads[number].clone() {
                        let parent_done = !affected.contains(parent) || *parent == root || finished.contains_key(parent);
                        prop_assert!(parent_done, "{number} starts before {parent} is done");
                    }
                    world.start(number);
                }
            }
            let running: Vec<usize> = world.started.keys().copied().collect();
            if running.is_empty() {
                break;
            }
            let number = *pick.get(&running);
            world.finish(number);
            finished.insert(number, world.clock);
        }
        for number in 0..world.reads.len() {
            let expected = usize::from(affected.contains(&number) && number != root);
            prop_assert_eq!(world.runs[number].len(), expected, "workspace {}", number);
        }
        prop_assert!(world.decide().iter().all(|(_, decision)| decision.verdict == Verdict::Settled));
    }

    /// I5: whoever reads whom, waiting ends: as long as anybody is stale, somebody may run.
    #[test]
    fn stale_workspaces_never_wait_for_each_other(
        edges in prop::collection::btree_set((0..SIZE, 0..SIZE), 0..24),
        changed in prop::collection::vec(any::<bool>(), SIZE),
    ) {
        let mut facts: BTreeMap<Workspace, Facts> = BTreeMap::new();
        for (number, changed) in changed.iter().enumerate() {
            let value = if *changed { "2" } else { "1" };
            let outputs = Outputs::from([("id".to_owned(), of_texts([value]))]);
            facts.insert(workspace(number), Facts { outputs, ..Facts::default() });
        }
        let seen = Outputs::from([("id".to_owned(), of_texts(["1"]))]);
        for (consumer, producer) in edges {
            let edge = Edge { observed: seen.clone(), ..Edge::default() };
            facts.get_mut(&workspace(consumer)).unwrap().producers.insert(workspace(producer), edge);
        }
        let decisions = decide(&Graph::new(facts), &Policy::default(), Timestamp(1));
        let waits = decisions.iter().any(|decision| matches!(decision.verdict, Verdict::Wait { .. }));
        let runs = decisions.iter().any(|decision| decision.verdict == Verdict::Run);
        prop_assert!(!waits || runs);
        for decision in &decisions {
            let held = matches!(decision.verdict, Verdict::Blocked { .. } | Verdict::Refused { .. });
            prop_assert!(!held);
        }
    }
}
