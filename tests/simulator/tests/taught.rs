//! What plans teach, in cases that a reader can follow.

use sluice_simulator::executor::simulate;
use sluice_simulator::program::Habits;
use sluice_simulator::report::Report;
use sluice_simulator::scenario::{Approval, Deed, Kind, MINUTE, SECOND, Scenario, Spec, calm, spec};

/// Simulates, and tells how many runs Sluice created in each workspace.
#[track_caller]
fn ours(scenario: &Scenario) -> (Vec<usize>, Report) {
    let report = simulate(scenario);
    assert_eq!(report.violation, None);
    (report.ours.values().copied().collect(), report)
}

/// Two workspaces: the second shows its plans, and uses of the first what `uses` says of each program and output.
fn taught(uses: &[[bool; 2]]) -> Vec<Spec> {
    let fits = |salt: u8| {
        let habits = Habits { partly: true, gated: true, salt, ..Habits::default() };
        let spec = Spec { habits, ..spec(&[0]) };
        let same = |(program, uses): (usize, &[bool; 2])| [0, 1].map(|o| spec.uses(program as u64, 0, o)) == *uses;
        uses.iter().enumerate().all(same).then_some(spec)
    };
    let reader = (0..=u8::MAX).find_map(fits).expect("some salt fits");
    // Its first output changes every time, its second every other.
    let offers = Habits { splits: true, ..Habits::default() };
    vec![Spec { outputs: 2, habits: offers, ..spec(&[]) }, reader]
}

#[test]
fn a_workspace_does_not_run_for_what_its_plans_show_it_does_not_use() {
    let deeds = [(SECOND, 0, Deed::Change), (30 * MINUTE, 0, Deed::Change)];
    let (runs, _) = ours(&calm(taught(&[[true, false]]), &deeds));
    assert_eq!(runs, [0, 2]);
    let (runs, _) = ours(&calm(taught(&[[false, true]]), &deeds));
    assert_eq!(runs, [0, 1], "every other change is one of what it uses");
    let (runs, _) = ours(&calm(taught(&[[false, false]]), &deeds));
    assert_eq!(runs, [0, 0]);
    let mut unseen = taught(&[[false, false]]);
    unseen[1].habits.gated = false;
    assert_eq!(ours(&calm(unseen, &deeds)).0, [0, 2], "of whose plans nothing is known");
}

#[test]
fn a_workspace_that_was_rewritten_runs_for_what_it_uses_now() {
    let deeds = [(SECOND, 1, Deed::Rewrite), (30 * MINUTE, 0, Deed::Change)];
    assert_eq!(ours(&calm(taught(&[[false, false], [true, true]]), &deeds)).0, [0, 1]);
    assert_eq!(ours(&calm(taught(&[[true, true], [false, false]]), &deeds)).0, [0, 0]);
}

#[test]
fn a_plan_that_a_person_discards_teaches_nothing() {
    let mut workspaces = taught(&[[true, true], [false, false]]);
    workspaces[1].approval = Approval::Discarded(MINUTE);
    let deeds = [(SECOND, 1, Deed::Rewrite), (30 * MINUTE, 0, Deed::Change)];
    let (runs, report) = ours(&calm(workspaces, &deeds));
    assert_eq!((runs, report.runs[&1][0].as_str()), (vec![0, 1], "discarded"));
}

#[test]
fn what_only_a_plan_shows_is_followed() {
    // Its state shows nothing that it reads: a run without changes has written none since.
    let fits = |salt: u8| {
        let habits = Habits { sometimes: true, gated: true, salt, ..Habits::default() };
        let spec = Spec { habits, kind: Kind::DataOnly, ..spec(&[0]) };
        let reads = |program| spec.reads_in(program).count();
        ((reads(0), reads(1)) == (0, 1)).then_some(spec)
    };
    let mut workspaces = vec![spec(&[]), (0..=u8::MAX).find_map(fits).expect("some salt fits")];
    let deeds = [(SECOND, 1, Deed::Rewrite), (30 * MINUTE, 0, Deed::Change)];
    let (runs, report) = ours(&calm(workspaces.clone(), &deeds));
    assert_eq!((runs, report.runs[&1][0].as_str()), (vec![0, 1], "without changes"));
    workspaces[1].habits.gated = false;
    assert_eq!(ours(&calm(workspaces, &deeds)).0, [0, 0]);
}
