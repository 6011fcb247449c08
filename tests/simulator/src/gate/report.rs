//! What came of one simulation of the gate, and of many.

use std::collections::BTreeMap;
use std::fmt;

use crate::faults::Injected;
use crate::gate::hcp::End;
use crate::gate::world::World;
use crate::world::{START, Violation};

/// What came of one simulation.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
    /// A digest of everything that happened.
    pub hash: u64,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Suspensions of workers.
    pub suspensions: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// How each task result ended for HCP Terraform.
    pub ends: Vec<Option<End>>,
    /// Words that it took.
    pub words: u64,
    /// Turns at checks.
    pub turns: u64,
    /// What was injected.
    pub injected: Injected,
    /// What happened, if it was to be told.
    pub log: Vec<String>,
}

impl Report {
    /// What came of the world.
    #[must_use]
    pub(crate) fn of(world: &mut World, steps: u64) -> Self {
        let taken = |words: &[super::hcp::Word]| words.iter().filter(|word| word.answer == 200).count() as u64;
        Self {
            violation: world.violation.clone(),
            hash: world.hash,
            steps,
            suspensions: world.suspensions,
            virtual_ms: world.now - START,
            ends: world.results.iter().map(|result| result.end.map(|(end, _)| end)).collect(),
            words: world.results.iter().map(|result| taken(&result.words)).sum(),
            turns: world.courses.values().map(|course| course.spells.len() as u64).sum(),
            injected: std::mem::take(&mut world.injected),
            log: world.log.take().unwrap_or_default(),
        }
    }
}

/// What came of many simulations.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many.
    pub seeds: u64,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// How often task results ended how.
    pub ends: BTreeMap<String, u64>,
    /// Words that HCP Terraform took.
    pub words: u64,
    /// Turns at checks.
    pub turns: u64,
    /// What was injected.
    pub injected: Injected,
}

impl Summary {
    /// Takes one in.
    pub fn take(&mut self, report: &Report) {
        self.seeds += 1;
        self.steps += report.steps;
        self.virtual_ms += report.virtual_ms;
        for end in &report.ends {
            *self.ends.entry(end.map_or("open".to_owned(), |end| format!("{end:?}"))).or_default() += 1;
        }
        self.words += report.words;
        self.turns += report.turns;
        self.injected.add(&report.injected);
    }

    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.virtual_ms += other.virtual_ms;
        other.ends.iter().for_each(|(end, count)| *self.ends.entry(end.clone()).or_default() += count);
        self.words += other.words;
        self.turns += other.turns;
        self.injected.add(&other.injected);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seeds {}, steps {}, virtual hours {}", self.seeds, self.steps, self.virtual_ms / 3_600_000)?;
        let ends: Vec<String> = self.ends.iter().map(|(end, count)| format!("{end} {count}")).collect();
        writeln!(f, "task results {}: {}", self.ends.values().sum::<u64>(), ends.join(", "))?;
        writeln!(f, "words {}, turns at checks {}", self.words, self.turns)?;
        writeln!(f, "faults {}, of {} kinds by operation:", self.injected.total(), self.injected.0.len())?;
        write!(f, "{}", self.injected)
    }
}
