//! Seeds that hold, and breakages that are seen.

use sluice_simulator::cli::search;
use sluice_simulator::executor::{simulate, simulate_traced};
use sluice_simulator::generate::scenario;
use sluice_simulator::mutation::Mutation;
use sluice_simulator::wave::wave;

/// Within how many seeds each breakage on purpose is seen.
const SEEDS: u64 = 3_000;

#[test]
fn three_hundred_seeds_hold() {
    let search = search(0, 300, 1, None);
    assert_eq!(search.found, None);
    assert!(search.summary.ours > 300, "{}", search.summary);
    assert!(search.summary.injected.0.len() > 60, "{}", search.summary);
}

#[test]
fn whatever_is_broken_on_purpose_is_seen() {
    let unseen: Vec<&str> = Mutation::ALL
        .iter()
        .filter(|mutation| search(0, SEEDS, 1, Some(**mutation)).found.is_none())
        .map(|mutation| mutation.name())
        .collect();
    assert_eq!(unseen, Vec::<&str>::new());
}

#[test]
fn a_wave_costs_what_it_reaches_whatever_else_there_is() {
    let cost = |workspaces| {
        let wave = wave(workspaces, 60);
        assert_eq!(wave.violation, None);
        (wave.runs, wave.items, wave.requests)
    };
    let (runs, items, requests) = cost(100);
    assert_eq!(cost(1_000), (runs, items, requests));
    assert_eq!(runs, 60);
    assert!(requests <= 5 * runs, "{requests} requests for {runs} runs");
}

#[test]
fn a_seed_is_the_same_whenever_it_is_simulated_and_whoever_listens() {
    for seed in 0..40 {
        let scenario = scenario(seed);
        let (one, other, traced) = (simulate(&scenario), simulate(&scenario), simulate_traced(&scenario));
        assert_eq!((one.hash, one.steps), (other.hash, other.steps), "seed {seed}");
        assert_eq!((one.hash, one.steps), (traced.hash, traced.steps), "seed {seed}, traced");
    }
    assert_ne!(simulate(&scenario(1)).hash, simulate(&scenario(2)).hash);
}
