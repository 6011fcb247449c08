//! Hard cases that a reader can follow, with nothing going wrong by chance.

use sluice_domain::{Autonomy, Budgets};
use sluice_simulator::executor::simulate;
use sluice_simulator::report::Report;
use sluice_simulator::scenario::{
    Approval, Deed, Kind, MINUTE, Profile, Rules, SECOND, Scenario, Spec, calm, chain, graph, spec,
};

/// Simulates, and tells how many runs Sluice created in each workspace.
#[track_caller]
fn ours(scenario: &Scenario) -> (Vec<usize>, Report) {
    let report = simulate(scenario);
    assert_eq!(report.violation, None);
    (report.ours.values().copied().collect(), report)
}

fn diamond() -> Vec<Spec> {
    graph(&[&[], &[0], &[0], &[1, 2]])
}

#[test]
fn the_bottom_of_a_diamond_runs_once() {
    let (runs, _) = ours(&calm(diamond(), &[(SECOND, 0, Deed::Change)]));
    assert_eq!(runs, [0, 1, 1, 1]);
}

#[test]
fn a_failing_side_holds_the_bottom_and_not_the_other_side() {
    let (runs, report) = ours(&calm(diamond(), &[(0, 1, Deed::Break(1)), (SECOND, 0, Deed::Change)]));
    assert_eq!(runs, [0, 1, 1, 0]);
    assert_eq!(report.decisions[&3], "is held by acme/w01, which did not get through");
}

#[test]
fn a_retry_by_hand_heals_the_chain() {
    let deeds = [(0, 1, Deed::Break(1)), (SECOND, 0, Deed::Change), (30 * MINUTE, 1, Deed::Fix)];
    let (runs, report) = ours(&calm(chain(4), &deeds));
    assert_eq!(runs, [0, 1, 1, 1]);
    assert_eq!(report.runs[&1], ["errored", "applied"]);
}

#[test]
fn two_roots_at_once_are_one_run_for_whoever_reads_both() {
    let deeds = [(SECOND, 0, Deed::Change), (SECOND + 100, 1, Deed::Change)];
    let mut workspaces = graph(&[&[], &[], &[0, 1], &[2]]);
    workspaces[1].apply_ms = 2 * MINUTE;
    let (runs, _) = ours(&calm(workspaces, &deeds));
    assert_eq!(runs, [0, 0, 1, 1]);
}

#[test]
fn a_producer_that_applies_while_its_consumer_plans_is_followed_by_one_more_run() {
    let mut workspaces = chain(2);
    workspaces[1].plan_ms = 2 * MINUTE;
    let deeds = [(SECOND, 0, Deed::Change), (10 * SECOND, 1, Deed::Run)];
    let (runs, report) = ours(&calm(workspaces, &deeds));
    assert_eq!(runs, [0, 1]);
    assert_eq!(report.runs[&1].len(), 2);
}

#[test]
fn a_change_that_only_data_sources_see_does_not_trigger_again() {
    let mut workspaces = chain(3);
    workspaces[1].kind = Kind::DataOnly;
    let deeds = [(SECOND, 0, Deed::Change), (60 * MINUTE, 0, Deed::Run), (120 * MINUTE, 1, Deed::Run)];
    let (runs, report) = ours(&calm(workspaces, &deeds));
    assert_eq!(runs, [0, 1, 0]);
    assert_eq!(report.runs[&1][0], "without changes");
}

#[test]
fn an_output_that_stays_as_it_was_wakes_nobody() {
    let mut workspaces = chain(3);
    workspaces[1].kind = Kind::CutOff;
    let (runs, _) = ours(&calm(workspaces, &[(SECOND, 0, Deed::Change)]));
    assert_eq!(runs, [0, 1, 0]);
}

#[test]
fn a_destroyed_producer_marks_its_consumers_and_runs_none() {
    let (runs, report) = ours(&calm(chain(3), &[(SECOND, 0, Deed::Destroy)]));
    assert_eq!(runs, [0, 0, 0]);
    assert_eq!(report.decisions[&1], "acme/w00 was destroyed: a person decides");
}

#[test]
fn a_renamed_producer_is_followed_again_once_its_consumer_has_run() {
    let deeds = [
        (SECOND, 0, Deed::Rename),
        (MINUTE, 0, Deed::Run),
        (10 * MINUTE, 1, Deed::Change),
        (30 * MINUTE, 0, Deed::Change),
    ];
    let (runs, _) = ours(&calm(chain(2), &deeds));
    assert_eq!(runs, [0, 1]);
}

#[test]
fn a_cycle_never_triggers_and_its_tail_runs() {
    let (runs, report) = ours(&calm(graph(&[&[1], &[0], &[1]]), &[(SECOND, 1, Deed::Change)]));
    assert_eq!(runs, [0, 0, 1]);
    assert_eq!(report.decisions[&0], "is in a cycle with acme/w01, and cycles never trigger");
}

#[test]
fn a_plan_that_nobody_confirms_holds_those_below_for_an_hour_only() {
    let mut workspaces = graph(&[&[], &[0], &[0, 1], &[0]]);
    workspaces[1].approval = Approval::Forgotten;
    let (runs, report) = ours(&calm(workspaces, &[(SECOND, 0, Deed::Change)]));
    assert_eq!(runs, [0, 1, 1, 1]);
    assert_eq!(report.runs[&1], ["waiting for a person"]);
    assert!(report.virtual_ms > 60 * MINUTE);
}

#[test]
fn after_twenty_minutes_of_nothing_but_429_everybody_runs_once() {
    let faults = Profile { storm: Some((0, 20 * MINUTE)), ..Profile::calm() };
    for seed in [2, 3] {
        let scenario = Scenario { faults, seed, ..calm(diamond(), &[(SECOND, 0, Deed::Change)]) };
        assert_eq!(ours(&scenario).0, [0, 1, 1, 1]);
    }
}

#[test]
fn the_end_of_a_run_that_sluice_created_is_found_though_nobody_told() {
    let faults = Profile { lose: 7_000, ..Profile::calm() };
    for seed in 0..20 {
        let scenario = Scenario { faults, seed, ..calm(chain(3), &[(SECOND, 0, Deed::Change)]) };
        assert_eq!(ours(&scenario).0, [0, 1, 1], "seed {seed}");
    }
}

#[test]
fn a_run_queued_behind_another_is_not_taken_for_having_written_the_others_state() {
    let faults = Profile { state_lag_ms: 2 * MINUTE, ..Profile::calm() };
    for seed in 0..20 {
        let deeds = [(SECOND, 0, Deed::Change), (2 * SECOND, 0, Deed::Change)];
        let scenario = Scenario { faults, seed, ..calm(chain(2), &deeds) };
        let (_, report) = ours(&scenario);
        assert_eq!(report.decisions[&1], "nothing it reads has changed", "seed {seed}");
    }
}

#[test]
fn a_workspace_that_is_made_anew_lets_go_of_the_runs_of_the_old_one() {
    let mut workspaces = chain(2);
    workspaces[0] = Spec { plan_ms: 30 * MINUTE, ..spec(&[]) };
    let deeds = [(SECOND, 0, Deed::Change), (10 * MINUTE, 0, Deed::Remake)];
    let (runs, report) = ours(&calm(workspaces, &deeds));
    assert_eq!(runs, [0, 1]);
    assert_eq!(report.decisions[&1], "nothing it reads has changed");
}

#[test]
fn a_second_change_while_a_plan_is_held_up_is_planned_when_it_may_be() {
    let deeds = [
        (0, 0, Deed::Pause),
        (SECOND, 0, Deed::Change),
        (20 * MINUTE, 0, Deed::Change),
        (60 * MINUTE, 0, Deed::Resume),
    ];
    let rules = Rules { autonomy: Autonomy::Plan, ..Rules::default() };
    let (runs, report) = ours(&Scenario { rules, ..calm(chain(2), &deeds) });
    assert_eq!(runs, [0, 1]);
    assert_eq!(report.decisions[&1], "was planned by run-6, because of acme/w00 (o0): a person applies");
}

#[test]
fn a_persons_run_that_nobody_told_of_is_found_by_the_survey() {
    let faults = Profile { lose_persons_ends: true, ..Profile::calm() };
    let rules = Rules { survey: true, ..Rules::default() };
    for seed in 0..20 {
        let scenario = Scenario { faults, rules, seed, ..calm(chain(3), &[(SECOND, 0, Deed::Change)]) };
        assert_eq!(ours(&scenario).0, [0, 1, 1], "seed {seed}");
    }
}

#[test]
fn surveys_begin_with_the_first_word_of_any_run() {
    let faults = Profile { lose_persons_ends: true, ..Profile::calm() };
    let rules = Rules { survey: true, ..Rules::default() };
    let deeds = [(SECOND, 0, Deed::Run), (MINUTE, 1, Deed::Run), (10 * MINUTE, 0, Deed::Run)];
    let deeds = [&deeds[..], &[(20 * MINUTE, 1, Deed::Run), (60 * MINUTE, 0, Deed::Change)]].concat();
    for seed in 0..20 {
        ours(&Scenario { faults, rules, seed, known: false, ..calm(chain(2), &deeds) });
    }
}

#[test]
fn a_run_that_leaves_things_out_has_seen_nothing_whoever_is_heard_of_first() {
    let faults = Profile { late: 5_000, double: 5_000, ..Profile::calm() };
    let deeds = [(SECOND, 0, Deed::Change), (10 * SECOND, 1, Deed::Run), (11 * SECOND, 1, Deed::Partly)];
    let deeds = [&deeds[..], &[(40 * MINUTE, 0, Deed::Change), (41 * MINUTE, 1, Deed::Partly)]].concat();
    for seed in 0..100 {
        ours(&Scenario { faults, seed, ..calm(chain(2), &deeds) });
    }
}

#[test]
fn whoever_dies_over_a_limit_does_not_get_round_it() {
    let budgets = Budgets { wave_runs: 1, ..Budgets::default() };
    let rules = Rules { budgets, ..Rules::default() };
    for seed in 0..60 {
        let faults = Profile { death: 400, ..Profile::calm() };
        let scenario =
            Scenario { rules, faults, seed, ..calm(graph(&[&[], &[0], &[0], &[0]]), &[(SECOND, 0, Deed::Change)]) };
        let (runs, _) = ours(&scenario);
        assert_eq!(runs.iter().sum::<usize>(), 1, "seed {seed}");
    }
}

#[test]
fn whoever_has_seen_more_than_sluice_is_not_run_for_what_was_there_before() {
    let rules = Rules { survey: true, ..Rules::default() };
    let deeds = [(SECOND, 0, Deed::Change), (31 * MINUTE, 0, Deed::Push), (31 * MINUTE + 5 * SECOND, 1, Deed::Change)];
    for seed in 0..20 {
        ours(&Scenario { rules, seed, ..calm(chain(2), &deeds) });
    }
}

#[test]
fn whoever_is_first_read_after_others_have_changed_is_run() {
    let rules = Rules { survey: true, ..Rules::default() };
    let deeds = [(0, 1, Deed::Rename), (SECOND, 0, Deed::Change), (60 * MINUTE, 0, Deed::Survey)];
    let (runs, _) = ours(&Scenario { rules, ..calm(chain(2), &deeds) });
    assert_eq!(runs, [0, 1]);
}

#[test]
fn late_news_does_not_bring_back_a_name_that_is_lost() {
    let deeds = [(SECOND, 0, Deed::Change), (21 * SECOND, 0, Deed::Rename), (25 * MINUTE, 1, Deed::Run)];
    for seed in 0..300 {
        let faults = Profile { late: 3_000, lose: 3_000, ..Profile::calm() };
        ours(&Scenario { faults, seed, ..calm(chain(2), &deeds) });
    }
}

#[test]
fn what_a_person_stops_waits_until_that_person_lets_it_go_on() {
    let deeds = [(0, 0, Deed::Pause), (SECOND, 0, Deed::Change)];
    let (runs, report) = ours(&calm(chain(3), &deeds));
    assert_eq!(runs, [0, 0, 0]);
    assert_eq!(report.decisions[&1], "runs, because of acme/w00 (o0)");
    let (runs, _) = ours(&calm(chain(3), &[&deeds[..], &[(60 * MINUTE, 0, Deed::Resume)]].concat()));
    assert_eq!(runs, [0, 1, 1]);
}

#[test]
fn a_burst_of_changes_is_one_run_where_outputs_have_to_settle() {
    let deeds = [0, 30, 60, 90].map(|after| (after * SECOND, 0, Deed::Change));
    assert_eq!(ours(&calm(chain(2), &deeds)).0, [0, 4]);
    let rules = Rules { settle_ms: 60 * SECOND, ..Rules::default() };
    assert_eq!(ours(&Scenario { rules, ..calm(chain(2), &deeds) }).0, [0, 1]);
}

#[test]
fn where_only_a_plan_is_allowed_a_person_applies() {
    let rules = Rules { autonomy: Autonomy::Plan, ..Rules::default() };
    let deeds = [(SECOND, 0, Deed::Change), (30 * MINUTE, 0, Deed::Run)];
    let (runs, report) = ours(&Scenario { rules, ..calm(chain(3), &deeds) });
    assert_eq!(runs, [0, 1, 0]);
    assert!(report.decisions[&1].ends_with("a person applies"), "{}", report.decisions[&1]);
    let deeds = [&deeds[..], &[(60 * MINUTE, 1, Deed::Run)]].concat();
    let (runs, report) = ours(&Scenario { rules, ..calm(chain(3), &deeds) });
    assert_eq!(runs, [0, 1, 1]);
    assert_eq!(report.decisions[&1], "nothing it reads has changed");
}

#[test]
fn a_tag_is_obeyed_by_the_very_next_run() {
    let tag = |autonomy| Deed::Tag(Some(autonomy));
    let deeds = [(0, 1, tag(Autonomy::Observe)), (0, 2, tag(Autonomy::Plan)), (SECOND, 0, Deed::Change)];
    let (runs, report) = ours(&calm(graph(&[&[], &[0], &[0], &[0]]), &deeds));
    assert_eq!(runs, [0, 0, 1, 1]);
    assert!(report.decisions[&1].ends_with("only observing is allowed"), "{}", report.decisions[&1]);
}

#[test]
fn a_backfill_runs_nobody_and_knows_everybody() {
    let rules = Rules { backfill: true, survey: true, ..Rules::default() };
    for seed in 0..20 {
        let (runs, _) = ours(&Scenario { rules, known: false, seed, ..calm(diamond(), &[]) });
        assert_eq!(runs, [0, 0, 0, 0]);
        let change = [(30 * MINUTE, 0, Deed::Change)];
        assert_eq!(ours(&Scenario { rules, known: false, seed, ..calm(diamond(), &change) }).0, [0, 1, 1, 1]);
    }
}

#[test]
fn no_more_runs_are_under_way_than_may_be() {
    let budgets = Budgets { concurrent_runs: 1, ..Budgets::default() };
    let rules = Rules { budgets, ..Rules::default() };
    let (runs, report) = ours(&Scenario { rules, ..calm(diamond(), &[(SECOND, 0, Deed::Change)]) });
    assert_eq!(runs, [0, 1, 1, 1]);
    assert!(report.virtual_ms > 2 * MINUTE);
}

/// As d8acd88 has it.
#[test]
fn the_first_state_of_a_workspace_is_waited_for() {
    let faults = Profile { state_lag_ms: 2 * MINUTE, ..Profile::calm() };
    for seed in 0..20 {
        ours(&Scenario { faults, seed, ..calm(chain(2), &[(SECOND, 0, Deed::Remake)]) });
    }
}

/// As 5b2dcbb and a198d76 have it, where the end of the old run is heard late.
#[test]
fn the_late_end_of_a_run_from_before_holds_nobody() {
    let mut workspaces = chain(2);
    workspaces[0] = Spec { plan_ms: 10 * SECOND, ..spec(&[]) };
    let faults = Profile { late: 5_000, ..Profile::calm() };
    for seed in 0..60 {
        let deeds = [(SECOND, 0, Deed::Change), (25 * SECOND, 0, Deed::Remake)];
        ours(&Scenario { faults, seed, ..calm(workspaces.clone(), &deeds) });
    }
}

/// As 650eace has it, though nobody has to die in just that place.
#[test]
fn what_becomes_due_while_an_order_is_carried_out_is_not_lost() {
    let faults = Profile { death: 500, lose: 3_000, ..Profile::calm() };
    let mut workspaces = chain(2);
    (workspaces[1].plan_ms, workspaces[1].apply_ms) = (3 * SECOND, 3 * SECOND);
    for seed in 0..100 {
        let deeds = [0, 20, 40, 60, 80].map(|after| (after * SECOND, 0, Deed::Change));
        ours(&Scenario { faults, seed, ..calm(workspaces.clone(), &deeds) });
    }
}

/// As 9d8c243 has it, though what is lost need not be just that news.
#[test]
fn a_workspace_renamed_while_it_runs_is_not_followed_under_both_names() {
    let mut workspaces = chain(2);
    workspaces[0].plan_ms = 15 * MINUTE;
    let faults = Profile { lose: 3_000, ..Profile::calm() };
    for seed in 0..40 {
        let deeds = [(SECOND, 0, Deed::Change), (5 * MINUTE, 0, Deed::Rename), (60 * MINUTE, 1, Deed::Run)];
        ours(&Scenario { faults, seed, ..calm(workspaces.clone(), &deeds) });
    }
}

/// As db15199 has it.
#[test]
fn a_cycle_that_dissolves_leaves_nobody_waiting() {
    let mut workspaces = graph(&[&[1], &[2], &[3], &[0], &[3], &[4]]);
    let times = [(36, 52), (51, 35), (48, 118), (14, 112), (17, 27), (29, 99)];
    for (workspace, (plan, apply)) in workspaces.iter_mut().zip(times) {
        (workspace.plan_ms, workspace.apply_ms) = (plan * SECOND, apply * SECOND);
    }
    let faults = Profile { lose: 1_500, late: 2_000, ..Profile::calm() };
    for seed in 0..400 {
        let deeds = [(28 * SECOND, 4, Deed::Change), (59 * SECOND, 1, Deed::Change), (193 * SECOND, 2, Deed::Destroy)];
        ours(&Scenario { seed, faults, ..calm(workspaces.clone(), &deeds) });
    }
}

/// What seed 42457 of earlier scenarios showed: a consumer that is made anew has seen what its own run read, which may be
/// more than is known of its producer.
#[test]
fn a_consumer_made_anew_has_seen_only_what_its_own_run_read() {
    let faults = Profile { late: 4_000, lose: 2_000, ..Profile::calm() };
    for seed in 0..200 {
        let deeds = [
            (SECOND, 0, Deed::Change),
            (MINUTE, 1, Deed::Remake),
            (2 * MINUTE, 0, Deed::Remake),
            (4 * MINUTE, 0, Deed::Change),
            (40 * MINUTE, 1, Deed::Run),
        ];
        ours(&Scenario { faults, seed, ..calm(chain(3), &deeds) });
    }
}
