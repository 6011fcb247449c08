//! Makes a scenario that breaks an invariant smaller, as long as it breaks the same one.

use sluice_domain::{Autonomy, Budgets};

use crate::executor::simulate;
use crate::scenario::{Approval, Profile, Scenario};

/// Most simulations that are spent on it.
const TRIES_MAX: usize = 2_000;

/// The smallest scenario found that breaks the same invariant as `scenario`.
#[must_use]
pub fn shrink(scenario: &Scenario, invariant: &str) -> Scenario {
    let mut best = scenario.clone();
    let mut tries = 0;
    loop {
        let smaller = candidates(&best).into_iter().find(|candidate| {
            tries += 1;
            tries <= TRIES_MAX && breaks(candidate, invariant)
        });
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// Whether the invariant is broken by any of a few choices of what the scenario leaves open.
fn breaks(scenario: &Scenario, invariant: &str) -> bool {
    simulate(scenario).violation.is_some_and(|violation| violation.invariant == invariant)
}

fn candidates(scenario: &Scenario) -> Vec<Scenario> {
    let mut found = Vec::new();
    let mut with = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        if candidate != *scenario {
            found.push(candidate);
        }
    };
    with(&|it| it.faults = Profile { lose_persons_ends: it.faults.lose_persons_ends, ..Profile::calm() });
    for action in 0..scenario.actions.len() {
        with(&|it| {
            it.actions.remove(action);
        });
    }
    for workspace in (0..scenario.workspaces.len()).rev() {
        with(&|it| without(it, workspace));
    }
    for workspace in 0..scenario.workspaces.len() {
        for read in 0..scenario.workspaces[workspace].reads.len() {
            with(&|it| {
                it.workspaces[workspace].reads.remove(read);
            });
        }
        with(&|it| it.workspaces[workspace].approval = Approval::Auto);
        with(&|it| it.workspaces[workspace].kind = crate::scenario::Kind::Follows);
        with(&|it| it.workspaces[workspace].outputs = 1);
        with(&|it| it.workspaces[workspace].habits.splits = false);
        with(&|it| it.workspaces[workspace].habits.partly = false);
        with(&|it| it.workspaces[workspace].habits.sometimes = false);
        with(&|it| it.workspaces[workspace].habits.gated = false);
    }
    let faults: [fn(&mut Profile); 13] = [
        |it| it.lose = 0,
        |it| it.late = 0,
        |it| it.double = 0,
        |it| it.table_write = 0,
        |it| it.table_read = 0,
        |it| it.conflict = 0,
        |it| it.api = 0,
        |it| it.throttle = 0,
        |it| it.death = 0,
        |it| it.slow = 0,
        |it| it.storm = None,
        |it| it.skew_ms = 0,
        |it| it.state_lag_ms = 0,
    ];
    for fault in faults {
        with(&|it| fault(&mut it.faults));
    }
    with(&|it| it.workers = 1);
    with(&|it| it.workers = it.workers.min(2));
    with(&|it| it.rules.autonomy = Autonomy::Run);
    with(&|it| it.rules.settle_ms = 0);
    with(&|it| it.rules.budgets = Budgets::default());
    with(&|it| it.rules.per_second = 30);
    with(&|it| it.rules.survey = it.faults.lose_persons_ends);
    found
}

/// Takes a workspace away, with whatever is done to it.
fn without(scenario: &mut Scenario, gone: usize) {
    if scenario.workspaces.len() == 1 {
        return;
    }
    scenario.workspaces.remove(gone);
    for spec in &mut scenario.workspaces {
        spec.reads.retain(|read| *read != gone);
        spec.reads.iter_mut().filter(|read| **read > gone).for_each(|read| *read -= 1);
    }
    scenario.actions.retain(|action| action.workspace != gone);
    scenario.actions.iter_mut().filter(|action| action.workspace > gone).for_each(|action| action.workspace -= 1);
}
