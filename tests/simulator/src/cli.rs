//! The command line.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;

use crate::executor::{simulate, simulate_traced};
use crate::generate::scenario;
use crate::mutation::Mutation;
use crate::report::Summary;
use crate::scenario::Scenario;
use crate::shrink::shrink;
use crate::wave::wave;
use crate::world::Violation;

/// Runs Sluice's handlers in virtual time against models of the table and of HCP Terraform, and checks what has to hold.
#[derive(Debug, Parser)]
#[command(name = "simulator")]
pub struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    pub seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// One seed alone, with everything that happens.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Tell everything that happens in the scenario that is shown in the end.
    #[arg(long)]
    pub trace: bool,
    /// How many threads; by default one for each core.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Break something on purpose; `all` breaks one thing after another and tells which seed saw it.
    #[arg(long)]
    pub mutation: Option<String>,
    /// Simulate the gate, rather than the channel.
    #[arg(long)]
    pub gate: bool,
    /// Tell what a wave costs in an organization of so many workspaces, beside smaller ones.
    #[arg(long)]
    pub wave: Option<usize>,
    /// How many workspaces the wave reaches.
    #[arg(long, default_value_t = 60)]
    pub affected: usize,
    /// List what can be broken on purpose.
    #[arg(long)]
    pub list_mutations: bool,
}

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

impl Args {
    /// Does what was asked for.
    #[must_use]
    pub fn run(self) -> ExitCode {
        if self.list_mutations && self.gate {
            for mutation in crate::gate::Mutation::ALL {
                println!("{:<20} {}", mutation.name(), mutation.breaks());
            }
            return ExitCode::SUCCESS;
        }
        if self.list_mutations {
            for mutation in Mutation::ALL {
                println!("{:<22} {}", mutation.name(), mutation.breaks());
            }
            return ExitCode::SUCCESS;
        }
        if let Some(workspaces) = self.wave {
            return waves(workspaces, self.affected);
        }
        let threads = self.threads.or(thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
        if self.gate {
            return crate::gate::search::run(&self, threads);
        }
        if self.mutation.as_deref() == Some("all") {
            return self.all_mutations(threads);
        }
        let mutation = match self.mutation.as_deref().map(|name| Mutation::named(name).ok_or(name)) {
            Some(Err(name)) => {
                eprintln!("there is no mutation {name}: see --list-mutations");
                return ExitCode::FAILURE;
            }
            Some(Ok(mutation)) => Some(mutation),
            None => None,
        };
        if let Some(seed) = self.seed {
            return one(&Scenario { mutation, ..scenario(seed) });
        }
        let started = Instant::now();
        let search = search(self.from, self.seeds, threads, mutation);
        print!("{}", search.summary);
        let seconds = started.elapsed().as_secs_f64();
        println!("{seconds:.1} s, {:.0} seeds a second", search.summary.seeds as f64 / seconds);
        match search.found {
            None => ExitCode::SUCCESS,
            Some((seed, violation)) => {
                show(&Scenario { mutation, ..scenario(seed) }, &violation, self.trace);
                ExitCode::FAILURE
            }
        }
    }

    fn all_mutations(&self, threads: usize) -> ExitCode {
        let mut unseen = 0;
        for mutation in Mutation::ALL {
            let name = mutation.name();
            if let Some((seed, violation)) = search(self.from, self.seeds, threads, Some(*mutation)).found {
                println!("{name:<22} seen by seed {seed}: {}: {}", violation.invariant, violation.text);
            } else {
                unseen += 1;
                println!("{name:<22} NOT SEEN by {} seeds", self.seeds);
            }
        }
        if unseen == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The same wave in ever larger organizations.
fn waves(workspaces: usize, affected: usize) -> ExitCode {
    let sizes = [workspaces / 100, workspaces / 10, workspaces];
    let waves = sizes.into_iter().filter(|size| *size >= affected).map(|size| wave(size, affected));
    let mut holds = true;
    for wave in waves {
        println!("{wave}");
        holds &= wave.violation.is_none();
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(scenario: &Scenario) -> ExitCode {
    println!("{scenario:#?}");
    let report = simulate_traced(scenario);
    for line in &report.log {
        println!("{line}");
    }
    println!("trace {:016x}", report.hash);
    match report.violation {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    }
}

fn show(scenario: &Scenario, violation: &Violation, trace: bool) {
    println!("seed {} breaks {}: {}", scenario.seed, violation.invariant, violation.text);
    let small = shrink(scenario, violation.invariant);
    let report = simulate_traced(&small);
    println!("{small:#?}");
    if let Some(violation) = report.violation {
        println!("which breaks {}: {}", violation.invariant, violation.text);
    }
    if trace {
        for line in &report.log {
            println!("{line}");
        }
    }
}
