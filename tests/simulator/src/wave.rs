//! What one wave costs, whatever else there is in the organization.

use std::fmt;
use std::time::Instant;

use crate::executor::simulate;
use crate::scenario::{Deed, Rules, SECOND, Scenario, Spec, calm, spec};
use crate::world::Violation;

/// How many workers serve a wave.
const WORKERS: usize = 64;

/// How many runs are allowed where more are to be seen than by default.
const RUNS_MAX: u32 = 50_000;

/// How many steps a wave goes down.
const LAYERS: usize = 12;

/// What came of one wave.
#[derive(Debug, Clone)]
pub struct Wave {
    /// Workspaces in all.
    pub workspaces: usize,
    /// Runs that ended, the first one included.
    pub runs: u64,
    /// Items read from the table and written to it, and writes for turns.
    pub items: (u64, u64, u64),
    /// Requests to HCP Terraform.
    pub requests: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// Real seconds.
    pub seconds: f64,
    /// What did not hold.
    pub violation: Option<Violation>,
}

/// An organization of `workspaces`, of which the first `affected` follow from the very first, in layers; each reads two
/// of the layer above it. The others read each other.
#[must_use]
pub fn organization(workspaces: usize, affected: usize) -> Scenario {
    let affected = affected.clamp(1, workspaces);
    let wide = (affected - 1).div_ceil(LAYERS).max(1);
    let mut specs: Vec<Spec> = vec![spec(&[])];
    for number in 1..affected {
        let (layer, column) = ((number - 1) / wide, (number - 1) % wide);
        let above = |column: usize| 1 + (layer - 1) * wide + column % wide;
        let mut reads = if layer == 0 { vec![0] } else { vec![above(column), above(column + 1)] };
        reads.sort_unstable();
        reads.dedup();
        specs.push(spec(&reads));
    }
    for number in affected..workspaces {
        let first = number == affected || number.is_multiple_of(10);
        specs.push(spec(&if first { Vec::new() } else { vec![number - 1] }));
    }
    let mut rules = Rules::default();
    if affected > rules.budgets.wave_runs as usize {
        (rules.budgets.wave_runs, rules.budgets.runs_per_hour) = (RUNS_MAX, RUNS_MAX);
    }
    Scenario { workers: WORKERS, rules, ..calm(specs, &[(SECOND, 0, Deed::Change)]) }
}

/// Lets a change of the first workspace run through the organization.
#[must_use]
pub fn wave(workspaces: usize, affected: usize) -> Wave {
    let scenario = organization(workspaces, affected);
    let started = Instant::now();
    let report = simulate(&scenario);
    Wave {
        workspaces,
        runs: report.ended,
        items: (report.items.0, report.items.1, report.turn_writes),
        requests: report.requests.0,
        virtual_ms: report.virtual_ms,
        seconds: started.elapsed().as_secs_f64(),
        violation: report.violation,
    }
}

impl fmt::Display for Wave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |count: u64| count as f64 / self.runs.max(1) as f64;
        let (read, written, turns) = self.items;
        write!(
            f,
            "{:>6} workspaces, {:>6} runs in {:>5.0} s of virtual time: {:>7.2} items read, {:>6.2} written and {:.2} for \
             turns, {:.2} requests per completed run ({:.1} s)",
            self.workspaces,
            self.runs,
            self.virtual_ms as f64 / 1000.0,
            each(read),
            each(written),
            each(turns),
            each(self.requests),
            self.seconds
        )?;
        self.violation.as_ref().map_or(Ok(()), |it| write!(f, "\n  breaks {}: {}", it.invariant, it.text))
    }
}
