//! Many seeds of the gate, and the smallest scenario that breaks an invariant.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::cli::Args;
use crate::gate::generate::scenario;
use crate::gate::report::Summary;
use crate::gate::scenario::{Faults, Scenario};
use crate::gate::{Mutation, simulate, simulate_traced};
use crate::world::Violation;

/// The first violation of many seeds, and what came of the others.
#[derive(Debug, Default)]
pub struct Search {
    /// The lowest seed that was found to break an invariant, and how.
    pub found: Option<(u64, Violation)>,
    /// Of all seeds that were simulated.
    pub summary: Summary,
}

/// Simulates seeds, spread over threads, until one breaks an invariant.
#[must_use]
pub fn search(from: u64, seeds: u64, threads: usize, mutation: Option<Mutation>) -> Search {
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let work = || {
        let mut search = Search::default();
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds {
                break;
            }
            let report = simulate(&Scenario { mutation, ..scenario(seed) });
            search.summary.take(&report);
            if let Some(violation) = report.violation {
                search.found = Some((seed, violation));
                stop.store(true, Ordering::Relaxed);
            }
        }
        search
    };
    let mut all = Search::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let part = worker.join().expect("a panic in a simulation is a defect of its own");
            all.summary.add(&part.summary);
            all.found = match (all.found.take(), part.found) {
                (Some(one), Some(other)) => Some(if one.0 < other.0 { one } else { other }),
                (one, other) => one.or(other),
            };
        }
    });
    all
}

/// Does for the gate what was asked for.
#[must_use]
pub fn run(args: &Args, threads: usize) -> ExitCode {
    if args.mutation.as_deref() == Some("all") {
        return all_mutations(args, threads);
    }
    let mutation = match args.mutation.as_deref().map(|name| Mutation::named(name).ok_or(name)) {
        Some(Err(name)) => {
            eprintln!("the gate has no mutation {name}: see --gate --list-mutations");
            return ExitCode::FAILURE;
        }
        Some(Ok(mutation)) => Some(mutation),
        None => None,
    };
    if let Some(seed) = args.seed {
        return one(&Scenario { mutation, ..scenario(seed) }, true);
    }
    let started = Instant::now();
    let search = search(args.from, args.seeds, threads, mutation);
    print!("{}", search.summary);
    let seconds = started.elapsed().as_secs_f64();
    println!("{seconds:.1} s, {:.0} seeds a second", search.summary.seeds as f64 / seconds);
    let Some((seed, violation)) = search.found else { return ExitCode::SUCCESS };
    println!("seed {seed} breaks {}: {}", violation.invariant, violation.text);
    one(&shrink(&Scenario { mutation, ..scenario(seed) }, violation.invariant), args.trace)
}

fn all_mutations(args: &Args, threads: usize) -> ExitCode {
    let mut unseen = 0;
    for mutation in Mutation::ALL {
        let name = mutation.name();
        if let Some((seed, violation)) = search(args.from, args.seeds, threads, Some(*mutation)).found {
            println!("{name:<20} seen by seed {seed}: {}: {}", violation.invariant, violation.text);
        } else {
            unseen += 1;
            println!("{name:<20} NOT SEEN by {} seeds", args.seeds);
        }
    }
    if unseen == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(scenario: &Scenario, trace: bool) -> ExitCode {
    println!("{scenario:#?}");
    let report = simulate_traced(scenario);
    for line in report.log.iter().filter(|_| trace) {
        println!("{line}");
    }
    println!("trace {:016x}", report.hash);
    match report.violation {
        Some(violation) => {
            println!("which breaks {}: {}", violation.invariant, violation.text);
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

/// The same scenario with as little in it as still breaks the invariant.
fn shrink(scenario: &Scenario, invariant: &str) -> Scenario {
    let breaks = |scenario: &Scenario| simulate(scenario).violation.is_some_and(|found| found.invariant == invariant);
    let mut small = scenario.clone();
    let mut again = true;
    while std::mem::take(&mut again) {
        for smaller in smaller(&small) {
            if smaller != small && breaks(&smaller) {
                (small, again) = (smaller, true);
                break;
            }
        }
    }
    small
}

/// The scenario with one thing less in it.
fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    for ask in 0..scenario.asks.len() {
        let mut less = scenario.clone();
        less.asks.remove(ask);
        all.push(less);
    }
    for (task, spec) in scenario.tasks.iter().enumerate() {
        if let Some(last) = spec.checks.len().checked_sub(1).filter(|last| *last > 0) {
            let mut less = scenario.clone();
            less.tasks[task].checks.remove(last);
            all.push(less);
        }
        for (check, spec) in spec.checks.iter().enumerate() {
            if spec.turns.len() > 1 {
                let mut less = scenario.clone();
                less.tasks[task].checks[check].turns.remove(0);
                all.push(less);
            }
        }
    }
    let faults: [fn(&mut Faults); 15] = [
        |it| it.table_read = 0,
        |it| it.table_write = 0,
        |it| it.conflict = 0,
        |it| it.api = 0,
        |it| it.throttle = 0,
        |it| it.storm = None,
        |it| it.outage = None,
        |it| it.death = 0,
        |it| it.slow = 0,
        |it| it.lose = 0,
        |it| it.late = 0,
        |it| it.double = 0,
        |it| it.sweep = 0,
        |it| it.skew = 0,
        |it| it.rotation = None,
    ];
    for drop in faults {
        let mut less = scenario.clone();
        drop(&mut less.faults);
        all.push(less);
    }
    all
}
