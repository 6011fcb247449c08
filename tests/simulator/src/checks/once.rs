//! One change, a graph without cycles, runs that all succeed: everybody affected runs once, after whoever is above.

use std::collections::{BTreeMap, BTreeSet};

use crate::hcp::expected;
use crate::world::World;

impl World {
    /// Works out who is affected by the change that is about to be made.
    pub fn expect_wave(&mut self, changed: usize) {
        let own = self.hcp.sites[changed].own + 1;
        self.wave = Some((changed, expected(&self.hcp, changed, own)));
    }

    /// I2, at rest.
    pub fn check_once(&mut self) {
        let Some((changed, affected)) = self.wave.take() else { return };
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for made in &self.made {
            *counts.entry(made.workspace).or_default() += 1;
        }
        for number in 0..self.hcp.sites.len() {
            let runs = counts.get(&number).copied().unwrap_or(0);
            let due = usize::from(number != changed && affected.contains_key(&number));
            if runs != due {
                return self.violated("I2", format!("w{number:02} ran {runs} times rather than {due}"));
            }
        }
        for made in self.made.clone() {
            let above = self.above(made.workspace);
            for ancestor in above.iter().filter(|ancestor| affected.contains_key(ancestor)) {
                let ended = self.last_end(*ancestor);
                let began = self.hcp.runs[made.run].began;
                if ended.is_none() || began < ended {
                    let text = format!("{} began before w{ancestor:02} above it had ended", self.called(made.run));
                    return self.violated("I2", text);
                }
            }
        }
    }

    fn last_end(&self, number: usize) -> Option<u64> {
        self.hcp.sites[number].runs.iter().filter_map(|run| self.hcp.runs[*run].ended).max()
    }

    fn above(&self, number: usize) -> BTreeSet<usize> {
        let mut above = BTreeSet::new();
        let reads = |number: usize| self.hcp.sites[number].spec.reads_in(self.hcp.sites[number].program);
        let mut left: Vec<usize> = reads(number).collect();
        while let Some(next) = left.pop() {
            if above.insert(next) {
                left.extend(reads(next));
            }
        }
        above
    }
}
