//! After a backfill Sluice knows the organization as it is, and nothing was run because of that.

use std::collections::BTreeSet;

use sluice_domain::{Edge, Facts, Workspace};

use crate::scenario::Deed;
use crate::world::World;

impl World {
    /// Takes note of edges that Sluice first saw in a state whose run did not act on what it read: that those were not
    /// seen before cannot be known.
    pub fn take_in_edges(&mut self, workspace: &Workspace, facts: &Facts) {
        let version = facts.state.as_ref().map(|state| &state.version);
        let partial = self.hcp.by_name(workspace).is_some_and(|number| {
            let mut states = self.hcp.sites[number].states.iter().rev();
            states.find(|state| Some(&state.version) == version).is_some_and(|state| state.partial)
        });
        let edges = self.edges.entry(workspace.clone()).or_default();
        for producer in facts.producers.keys() {
            let trusted = edges.entry(producer.clone()).or_insert(!partial);
            *trusted |= !partial;
        }
    }

    /// What a backfill promises, at rest.
    pub(super) fn check_backfill(&mut self) {
        if !self.scenario.rules.backfill {
            return;
        }
        let quiet = |deed: &Deed| matches!(deed, Deed::Tag(_) | Deed::Pause | Deed::Resume | Deed::Survey);
        if self.scenario.actions.iter().all(|action| quiet(&action.deed)) && !self.made.is_empty() {
            return self.violated("I3", "a backfill has set off runs".to_owned());
        }
        for number in 0..self.hcp.sites.len() {
            if self.moves_about(number) || self.hcp.sites[number].spec.reads.iter().any(|it| self.moves_about(*it)) {
                continue;
            }
            let site = &self.hcp.sites[number];
            let Some(state) = site.state() else { continue };
            let Some(facts) = self.table.facts_of(&site.name) else {
                return self.violated("I1", format!("w{number:02} is not known, though everything was read"));
            };
            let live = |(name, edge): (_, &Edge)| (edge.live() && !edge.only_planned()).then_some(name);
            let known: BTreeSet<_> = facts.producers.iter().filter_map(live).collect();
            let reads: BTreeSet<_> = state.copies.keys().collect();
            if known != reads {
                return self.violated("I1", format!("what w{number:02} reads is not known as it is"));
            }
        }
    }
}
