//! Whether the demo's wave came out right.

use sluice_tests::hcp::scenario::Acme;
use sluice_tests::hcp::{Hcp, RunStatus, RunView};

/// What one workspace did in the wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The workspace's name.
    pub workspace: String,
    /// How many runs it had.
    pub runs: usize,
    /// What is wrong with that, if anything.
    pub wrong: Option<String>,
}

/// Judges the wave: `before` tells how many runs each workspace had when it began.
pub fn judge(hcp: &Hcp, roles: &Acme, before: impl Fn(&str) -> usize) -> Vec<Row> {
    let wave = |name: &str| -> Vec<RunView> { hcp.runs(name).split_off(before(name)) };
    let mut rows = vec![row(roles.root, &wave(roles.root), 1, &[])];
    for pair in roles.chain.windows(2).skip(1) {
        rows.push(row(pair[1], &wave(pair[1]), 1, &wave(pair[0])));
    }
    let [top, left, right, bottom] = roles.diamond;
    rows.push(row(roles.chain[1], &wave(roles.chain[1]), 1, &wave(roles.root)));
    rows.push(row(left, &wave(left), 1, &wave(top)));
    rows.push(row(right, &wave(right), 1, &wave(top)));
    let sides: Vec<RunView> = [left, right].into_iter().flat_map(&wave).collect();
    rows.push(row(bottom, &wave(bottom), 1, &sides));
    for name in roles.leaves.into_iter().chain([roles.cut_off, roles.cycle[0]]) {
        rows.push(row(name, &wave(name), 1, &wave(roles.root)));
    }
    for name in roles.unaffected() {
        rows.push(row(name, &wave(name), 0, &[]));
    }
    rows
}

/// `parents`: the runs that had to be over before this workspace's run began.
fn row(workspace: &str, runs: &[RunView], expected: usize, parents: &[RunView]) -> Row {
    let finished = parents.iter().filter_map(|run| run.finished_at).max();
    let early = runs.iter().filter_map(|run| run.planning_at).any(|began| finished.is_some_and(|end| began < end));
    let failed = runs.iter().find(|run| !matches!(run.status, RunStatus::Applied | RunStatus::PlannedAndFinished));
    let wrong = if runs.len() != expected {
        Some(format!("expected {expected} runs, saw {}", runs.len()))
    } else if let Some(run) = failed {
        Some(format!("{} is {}", run.id, run.status))
    } else if early {
        Some("it ran before its parents were done".to_owned())
    } else {
        None
    };
    Row { workspace: workspace.to_owned(), runs: runs.len(), wrong }
}
