//! After a backfill Sluice knows the organization as it is, and nothing was run because of that.

use std::collections::BTreeSet;

use sluice_domain::Edge;

use crate::scenario::Deed;
use crate::world::World;

impl World {
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
            let live = |(name, edge): (_, &Edge)| edge.live().then_some(name);
            let known: BTreeSet<_> = facts.producers.iter().filter_map(live).collect();
            let reads: BTreeSet<_> = state.copies.keys().collect();
            if known != reads {
                return self.violated("I1", format!("what w{number:02} reads is not known as it is"));
            }
        }
    }
}
