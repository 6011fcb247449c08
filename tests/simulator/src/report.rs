//! What came of one simulation, and of many.

use std::collections::BTreeMap;
use std::fmt;

use crate::faults::Injected;
use crate::world::{START, Violation, World};

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
    /// Runs that Sluice created, by workspace.
    pub ours: BTreeMap<usize, usize>,
    /// How the runs of each workspace ended, the oldest first, without those from before.
    pub runs: BTreeMap<usize, Vec<String>>,
    /// The last decision about each workspace, as a sentence.
    pub decisions: BTreeMap<usize, String>,
    /// Runs that ended.
    pub ended: u64,
    /// Changes made by people that Sluice followed with at least one run.
    pub waves: u64,
    /// What was injected.
    pub injected: Injected,
    /// Items read from the table, items written.
    pub items: (u64, u64),
    /// Requests to HCP Terraform, most in a second, most look-ups of run lists in a minute.
    pub requests: (u64, usize, usize),
    /// Writes of the table for turns.
    pub turn_writes: u64,
    /// What happened, if it was to be told.
    pub log: Vec<String>,
}

impl Report {
    /// What came of the world.
    #[must_use]
    pub fn of(world: &mut World, steps: u64) -> Self {
        let mut report = Self {
            violation: world.violation.clone(),
            hash: world.hash,
            steps,
            suspensions: world.suspensions,
            virtual_ms: world.now - START,
            waves: u64::from(!world.made.is_empty()),
            injected: std::mem::take(&mut world.injected),
            items: (world.table.usage.reads, world.table.usage.writes),
            requests: (world.meter.requests, world.meter.per_second_max, world.meter.finds_per_minute_max),
            turn_writes: world.meter.turn_writes,
            log: world.log.take().unwrap_or_default(),
            ..Self::default()
        };
        for (number, site) in world.hcp.sites.iter().enumerate() {
            let ours = site.runs.iter().filter(|run| world.hcp.runs[**run].ours()).count();
            report.ours.insert(number, ours);
            let runs = site.runs.iter().map(|run| &world.hcp.runs[*run]).filter(|run| run.message != "before");
            report.ended += runs.clone().filter(|run| run.standing.ended()).count() as u64;
            report.runs.insert(number, runs.map(|run| run.standing.to_string()).collect());
            if let Some(decision) = world.table.decision_of(&site.name) {
                report.decisions.insert(number, decision.to_string());
            }
        }
        report
    }
}

/// What came of many simulations.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many.
    pub seeds: u64,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Runs that ended.
    pub runs: u64,
    /// Runs that Sluice created.
    pub ours: u64,
    /// Simulations in which Sluice created a run.
    pub waves: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// What was injected.
    pub injected: Injected,
    /// Most items read and written in one simulation, for each run that ended in it.
    pub items_per_run_max: (f64, f64),
    /// Items read and written in all.
    pub items: (u64, u64),
    /// Requests to HCP Terraform.
    pub requests: u64,
    /// Most requests in one second, and most look-ups of run lists in one minute.
    pub peaks: (usize, usize),
}

impl Summary {
    /// Takes one in.
    pub fn take(&mut self, report: &Report) {
        self.seeds += 1;
        self.steps += report.steps;
        self.runs += report.ended;
        self.ours += report.ours.values().sum::<usize>() as u64;
        self.waves += report.waves;
        self.virtual_ms += report.virtual_ms;
        self.injected.add(&report.injected);
        self.items = (self.items.0 + report.items.0, self.items.1 + report.items.1);
        if report.ended > 0 {
            let each = |items: u64| items as f64 / report.ended as f64;
            let (reads, writes) = self.items_per_run_max;
            self.items_per_run_max = (reads.max(each(report.items.0)), writes.max(each(report.items.1)));
        }
        let (requests, second, minute) = report.requests;
        self.requests += requests;
        self.peaks = (self.peaks.0.max(second), self.peaks.1.max(minute));
    }

    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.runs += other.runs;
        self.ours += other.ours;
        self.waves += other.waves;
        self.virtual_ms += other.virtual_ms;
        self.injected.add(&other.injected);
        self.items = (self.items.0 + other.items.0, self.items.1 + other.items.1);
        let (most, others) = (self.items_per_run_max, other.items_per_run_max);
        self.items_per_run_max = (most.0.max(others.0), most.1.max(others.1));
        self.requests += other.requests;
        self.peaks = (self.peaks.0.max(other.peaks.0), self.peaks.1.max(other.peaks.1));
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |count: u64| count as f64 / self.runs.max(1) as f64;
        writeln!(f, "seeds {}, steps {}, virtual days {}", self.seeds, self.steps, self.virtual_ms / 86_400_000)?;
        writeln!(f, "runs {} ({} created by Sluice, in {} waves)", self.runs, self.ours, self.waves)?;
        writeln!(
            f,
            "per completed run: {:.1} requests, {:.1} items read, {:.1} written; at most {:.0} read, {:.0} written",
            each(self.requests),
            each(self.items.0),
            each(self.items.1),
            self.items_per_run_max.0,
            self.items_per_run_max.1
        )?;
        writeln!(f, "at most {} requests in a second, {} run lists in a minute", self.peaks.0, self.peaks.1)?;
        writeln!(f, "faults {}, of {} kinds by operation:", self.injected.total(), self.injected.0.len())?;
        write!(f, "{}", self.injected)
    }
}
