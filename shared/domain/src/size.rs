//! Facts of one workspace are one item of the table, which holds 400 KB. What would not fit is kept more coarsely:
//! staleness is then seen for all outputs of a workspace at once, and nothing else changes.

use std::collections::BTreeSet;

use crate::digest::{Digest, of_texts};
use crate::facts::{Edge, Facts, Outputs};

/// Name under which the outputs of a workspace are kept as one. No output can be called so.
pub(crate) const ALL_OUTPUTS: &str = "*";

/// Most bytes of a workspace's own outputs that are kept apart.
const OUTPUTS_BYTES_MAX: usize = 140_000;

/// Most bytes of what its edges observed and acknowledged.
const EDGES_BYTES_MAX: usize = 160_000;

/// Most bytes of what a plan taught: once before its run has ended, and once in force.
pub(crate) const TAUGHT_BYTES_MAX: usize = 20_000;

/// Most addresses kept of one edge; more tell nobody more.
const ADDRESSES_MAX: usize = 20;

/// Lets go of the addresses that are too many.
pub(crate) fn cut(addresses: &mut BTreeSet<String>) {
    while addresses.len() > ADDRESSES_MAX {
        addresses.pop_last();
    }
}

/// Outputs, as one where there are too many.
pub(crate) fn bounded(outputs: Outputs) -> Outputs {
    if bytes(&outputs) <= OUTPUTS_BYTES_MAX { outputs } else { as_one(&outputs) }
}

/// Whether outputs are kept as one.
pub(crate) fn is_one(outputs: &Outputs) -> bool {
    outputs.contains_key(ALL_OUTPUTS)
}

fn as_one(outputs: &Outputs) -> Outputs {
    Outputs::from([(ALL_OUTPUTS.to_owned(), of_all(outputs))])
}

fn of_all(outputs: &Outputs) -> Digest {
    let texts: Vec<String> = outputs.iter().flat_map(|(name, digest)| [name.clone(), digest.to_string()]).collect();
    of_texts(texts.iter().map(String::as_str))
}

/// Bytes that outputs take up as JSON: the name, 32 digits, and what stands around them.
fn bytes(outputs: &Outputs) -> usize {
    outputs.keys().map(|name| name.len() + 38).sum()
}

impl Edge {
    /// Takes in that the consumer has seen `outputs`. What it observed need not be kept twice.
    pub(crate) fn acknowledge(&mut self, outputs: &Outputs) {
        let beyond = outputs.iter().filter(|(name, digest)| self.observed.get(*name) != Some(*digest));
        self.acknowledged = beyond.map(|(name, digest)| (name.clone(), *digest)).collect();
        if bytes(&self.acknowledged) > EDGES_BYTES_MAX / 10 {
            self.acknowledged = as_one(outputs);
        }
    }

    /// Whether all of `outputs`, as they are, were acknowledged as one.
    pub(crate) fn acknowledges_all(&self, outputs: &Outputs) -> bool {
        self.acknowledged.get(ALL_OUTPUTS).is_some_and(|all| *all == of_all(outputs))
    }

    fn bytes(&self) -> usize {
        bytes(&self.observed) + bytes(&self.acknowledged)
    }
}

impl Facts {
    /// Lets go of the copies of the largest edges until the rest fits. Such a consumer looks stale once, and settles
    /// when it has run.
    pub(crate) fn fit(&mut self) {
        for edge in self.producers.values_mut() {
            cut(&mut edge.addresses);
        }
        let mut total: usize = self.producers.values().map(Edge::bytes).sum();
        while total > EDGES_BYTES_MAX {
            let Some(largest) = self.producers.values_mut().max_by_key(|edge| edge.bytes()) else { return };
            let before = largest.bytes();
            largest.observed.clear();
            largest.acknowledged.retain(|name, _| name == ALL_OUTPUTS);
            total -= before - largest.bytes();
            if before == largest.bytes() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Workspace;

    fn outputs(count: usize, value: u8) -> Outputs {
        (0..count).map(|n| (format!("private_subnet_ids_of_zone_{n:05}"), Digest([value; 16]))).collect()
    }

    fn workspace(number: usize) -> Workspace {
        format!("app.terraform.io/acme/net-{number}").parse().unwrap()
    }

    #[test]
    fn whatever_a_workspace_reads_its_facts_fit_one_item_and_settle_when_acknowledged() {
        let mut facts = Facts { outputs: bounded(outputs(5_000, 1)), ..Facts::default() };
        for number in 0..12 {
            let edge = Edge {
                observed: outputs(800, 1),
                addresses: (0..100).map(|n| format!("data.terraform_remote_state.net[{n}]")).collect(),
                ..Edge::default()
            };
            facts.producers.insert(workspace(number), edge);
        }
        facts.fit();
        assert!(serde_json::to_string(&facts).unwrap().len() < 390_000);
        let offered = outputs(800, 1);
        let kept = facts.producers.values().filter(|edge| edge.unseen(&offered).is_empty()).count();
        assert!(kept > 0, "those that fit are kept");
        assert!(kept < 12);
        for edge in facts.producers.values_mut() {
            edge.acknowledge(&offered);
        }
        facts.fit();
        assert!(serde_json::to_string(&facts).unwrap().len() < 390_000);
        assert!(facts.producers.values().all(|edge| edge.unseen(&offered).is_empty()));
        assert!(facts.producers.values().any(|edge| !edge.unseen(&outputs(800, 2)).is_empty()));
    }

    #[test]
    fn outputs_that_are_kept_as_one_still_tell_that_something_changed() {
        let (before, after) = (bounded(outputs(5_000, 1)), bounded(outputs(5_000, 2)));
        assert_eq!((before.len(), after.len()), (1, 1));
        assert_ne!(before, after);
    }
}
