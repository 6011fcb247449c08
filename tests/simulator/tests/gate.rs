//! The gate: seeds that hold, breakages that are seen, kill points, and hard cases by name.

use sluice_simulator::gate::generate::scenario;
use sluice_simulator::gate::hcp::End;
use sluice_simulator::gate::scenario::{Act, CheckSpec, Fate, Say, Scenario, Standing, Turn, calm, check};
use sluice_simulator::gate::{Mutation, Report, search, simulate, simulate_killed, simulate_traced};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60_000;

/// Within how many seeds each breakage on purpose is seen.
const SEEDS: u64 = 400;

#[test]
fn three_hundred_seeds_hold() {
    let search = search(0, 300, 1, None);
    assert_eq!(search.found, None);
    assert!(search.summary.injected.0.len() > 60, "{}", search.summary);
    assert!(search.summary.words > 2_000, "{}", search.summary);
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
fn a_seed_is_the_same_whenever_it_is_simulated_and_whoever_listens() {
    for seed in 0..30 {
        let scenario = scenario(seed);
        let (one, other, traced) = (simulate(&scenario), simulate(&scenario), simulate_traced(&scenario));
        assert_eq!((one.hash, one.steps), (other.hash, other.steps), "seed {seed}");
        assert_eq!((one.hash, one.steps), (traced.hash, traced.steps), "seed {seed}, traced");
    }
    assert_ne!(simulate(&scenario(1)).hash, simulate(&scenario(2)).hash);
}

fn say(after: u64, last: Option<bool>) -> Say {
    Say { after, last, copies: 1, forged: false }
}

/// A checker that says twice that it goes on, and then that it passes.
fn checker() -> CheckSpec {
    check(Act::HandOn(vec![say(5 * SECOND, None), say(70 * SECOND, None), say(90 * SECOND, Some(true))]))
}

fn chain() -> Vec<CheckSpec> {
    let needing = |needs: &[usize], act| CheckSpec { needs: needs.to_vec(), ..check(act) };
    let again = vec![Turn { takes: 200, act: Act::Again(20 * SECOND) }, Turn { takes: 200, act: Act::Pass }];
    let waiting = CheckSpec { turns: again, ..needing(&[0], Act::Pass) };
    vec![check(Act::Pass), waiting, needing(&[0, 1], Act::Pass)]
}

/// The scenario comes to the same wherever a worker dies in it.
#[track_caller]
fn survives(scenario: &Scenario) {
    let quiet = simulate(scenario);
    assert_eq!(quiet.violation, None);
    assert_eq!(quiet.ends, [Some(End::Said(true))]);
    assert!(quiet.suspensions > 30, "there are only {} suspensions", quiet.suspensions);
    for suspension in 1..=quiet.suspensions {
        // It is not calm then: a lease has to run out, and a sweep to come.
        let workers = 4;
        let killed = simulate_killed(&Scenario { workers, ..scenario.clone() }, suspension);
        assert_eq!(killed.violation, None, "killed at {suspension}");
        assert_eq!(killed.ends, quiet.ends, "killed at {suspension}");
    }
}

#[test]
fn one_check_survives_a_death_anywhere() {
    survives(&calm(vec![check(Act::Pass)]));
}

#[test]
fn another_checker_survives_a_death_anywhere() {
    survives(&calm(vec![checker()]));
}

#[test]
fn a_chain_of_needs_survives_a_death_anywhere() {
    survives(&calm(chain()));
}

#[test]
fn an_answer_outright_survives_a_death_anywhere() {
    let mut scenario = calm(vec![check(Act::Fail)]);
    scenario.tasks[0].standing = Standing::Disabled;
    let quiet = simulate(&scenario);
    assert_eq!((quiet.violation, quiet.ends.as_slice(), quiet.turns), (None, [Some(End::Said(true))].as_slice(), 0));
    for suspension in 1..=quiet.suspensions {
        let killed = simulate_killed(&Scenario { workers: 4, ..scenario.clone() }, suspension);
        assert_eq!((killed.violation, killed.ends), (None, quiet.ends.clone()), "killed at {suspension}");
    }
}

#[track_caller]
fn comes_to(scenario: &Scenario, end: End) -> Report {
    let report = simulate(scenario);
    assert_eq!(report.violation, None);
    assert_eq!(report.ends, [Some(end)]);
    report
}

#[test]
fn every_request_of_many_for_one_result_is_one_execution() {
    let mut scenario = calm(vec![check(Act::Pass), check(Act::Pass)]);
    scenario.asks[0].copies = 6;
    let report = comes_to(&scenario, End::Said(true));
    assert_eq!(report.turns, 2);
}

#[test]
fn an_advisory_check_and_one_that_counts_errors_as_passed_do_not_fail_the_result() {
    let advisory = CheckSpec { advisory: true, ..check(Act::Fail) };
    let lenient = CheckSpec { lenient: true, ..check(Act::Permanent) };
    comes_to(&calm(vec![advisory.clone(), lenient.clone()]), End::Said(true));
    comes_to(&calm(vec![advisory, CheckSpec { lenient: false, ..lenient }]), End::Said(false));
}

#[test]
fn a_check_that_panics_every_time_is_given_up() {
    let report = comes_to(&calm(vec![check(Act::Panic)]), End::Said(false));
    assert_eq!(report.turns, 3);
}

#[test]
fn a_check_that_never_ends_is_cut_off_with_its_task() {
    let mut scenario = calm(vec![check(Act::Again(30 * SECOND))]);
    scenario.tasks[0].timeout = 3_000;
    scenario.tasks[0].checks[0].timeout = 3_000;
    let report = comes_to(&scenario, End::Said(false));
    assert!(report.virtual_ms > 50 * MINUTE, "{}", report.virtual_ms);
}

#[test]
fn a_checker_that_falls_silent_is_given_up_after_ten_minutes() {
    let report = comes_to(&calm(vec![check(Act::HandOn(vec![say(MINUTE, None)]))]), End::Said(false));
    assert!((11 * MINUTE..13 * MINUTE).contains(&report.virtual_ms), "{}", report.virtual_ms);
}

#[test]
fn the_first_of_two_answers_counts_and_a_forged_one_does_not() {
    let forged = Say { forged: true, ..say(2 * SECOND, Some(false)) };
    let says = vec![forged, say(20 * SECOND, Some(true)), say(40 * SECOND, Some(false))];
    comes_to(&calm(vec![check(Act::HandOn(says))]), End::Said(true));
}

#[test]
fn a_checker_that_answers_before_it_has_taken_the_request_is_heard() {
    let mut hasty = check(Act::HandOn(vec![say(0, None), say(30 * SECOND, Some(true))]));
    hasty.turns[0].takes = 900;
    comes_to(&calm(vec![hasty]), End::Said(true));
}

#[test]
fn what_somebody_else_ends_is_let_go() {
    for fate in [Fate::Canceled, Fate::Deleted] {
        let mut scenario = calm(vec![checker()]);
        scenario.asks[0].fate = Some((30 * SECOND, fate));
        comes_to(&scenario, End::Fated(fate));
    }
}
