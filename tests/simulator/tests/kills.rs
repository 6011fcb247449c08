//! Whatever worker dies at whatever suspension of a calm wave, the runs are those of the calm wave.

use sluice_simulator::executor::{simulate, simulate_killed};
use sluice_simulator::scenario::{Deed, MINUTE, SECOND, Scenario, calm, chain, graph};

#[track_caller]
fn survives(name: &str, scenario: &Scenario) {
    let quiet = simulate(scenario);
    assert_eq!(quiet.violation, None, "{name}");
    assert!(quiet.suspensions > 40, "{name} has only {} suspensions", quiet.suspensions);
    for suspension in 1..=quiet.suspensions {
        let killed = simulate_killed(scenario, suspension);
        assert_eq!(killed.violation, None, "{name}, killed at {suspension}");
        assert_eq!(killed.ours, quiet.ours, "{name}, killed at {suspension}");
    }
}

#[test]
fn a_diamond() {
    survives("a diamond", &calm(graph(&[&[], &[0], &[0], &[1, 2]]), &[(SECOND, 0, Deed::Change)]));
}

#[test]
fn a_chain_of_four() {
    survives("a chain of four", &calm(chain(4), &[(SECOND, 0, Deed::Change)]));
}

#[test]
fn two_roots_at_once() {
    let deeds = [(SECOND, 0, Deed::Change), (SECOND, 1, Deed::Change)];
    survives("two roots", &calm(graph(&[&[], &[], &[0, 1], &[2]]), &deeds));
}

#[test]
fn a_cycle_with_a_tail() {
    let deeds = [(SECOND, 0, Deed::Change)];
    survives("a cycle with a tail", &calm(graph(&[&[], &[0, 2], &[1], &[2]]), &deeds));
}

#[test]
fn a_diamond_with_one_failing_side() {
    let deeds = [(0, 1, Deed::Break(1)), (SECOND, 0, Deed::Change), (60 * MINUTE, 1, Deed::Fix)];
    survives("a failing side", &calm(graph(&[&[], &[0], &[0], &[1, 2]]), &deeds));
}
