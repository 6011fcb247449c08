//! `sluice plan` and `GET /plan/{organization}/{workspace}`: what would run if outputs changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sluice_domain::foresee::{ForeseeError, Foreseen, foresee};
use sluice_domain::{Host, InvalidName, Policy, Workspace};
use sluice_lambda::{Env, InvalidConfig, now};

use crate::cli;
use crate::serve::{ServeError, open, terraform};

/// Nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] ServeError),
    /// The environment is not complete.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// It is not the name of a workspace.
    #[error("{0} is not organization/workspace")]
    Name(String, #[source] Option<InvalidName>),
    /// The workspace, or the output, is not known, or the table does not answer.
    #[error(transparent)]
    Foresee(#[from] ForeseeError),
}

/// The workspace of `organization/name` on `host`.
pub fn workspace(host: &Host, name: &str) -> Result<Workspace, PlanError> {
    let invalid = |error| PlanError::Name(name.to_owned(), error);
    if name.split('/').count() != 2 {
        return Err(invalid(None));
    }
    format!("{host}/{name}").parse().map_err(|error| invalid(Some(error)))
}

/// Tells what would run. Returns what to print.
pub async fn run(options: &cli::Plan, vars: &BTreeMap<String, String>) -> Result<String, PlanError> {
    let policy = policy(vars)?;
    let root = workspace(&terraform(vars)?.host, &options.workspace)?;
    let (table, store) = open(&options.store, vars).await?;
    let outputs: BTreeSet<String> = options.output.iter().cloned().collect();
    let foreseen = foresee(&table, &root, &outputs, &policy, now()).await;
    if let Some(store) = store {
        store.close().await;
    }
    let foreseen = foreseen?;
    Ok(if options.json { json(&foreseen) } else { text(&foreseen) })
}

fn policy(vars: &BTreeMap<String, String>) -> Result<Policy, InvalidConfig> {
    let mut env = Env::new(vars);
    let policy = sluice_lambda::policy(&mut env);
    env.finish(|| policy)
}

/// `foreseen` as JSON.
#[must_use]
pub fn json(foreseen: &Foreseen) -> String {
    serde_json::to_string_pretty(foreseen).expect("what is foreseen is plain data") + "\n"
}

/// `foreseen` for people.
fn text(foreseen: &Foreseen) -> String {
    let mut text = String::new();
    let changed = format!("{} of {}", foreseen.outputs.join(", "), foreseen.workspace.short());
    if foreseen.steps.is_empty() {
        let _ = writeln!(text, "If {changed} changed, nothing would run.");
    } else {
        let _ = writeln!(text, "If {changed} changed, at most {} would run:", count(foreseen.runs()));
    }
    for (number, step) in (1..).zip(&foreseen.steps) {
        let _ = writeln!(text, "\n{number}.");
        for step in step {
            let _ = writeln!(text, "  {}  {}", step.workspace.short(), step.reason);
        }
    }
    if !foreseen.held.is_empty() {
        let _ = writeln!(text, "\nReached, but not run:");
        for step in &foreseen.held {
            let _ = writeln!(text, "  {}  {}", step.workspace.short(), step.reason);
        }
    }
    if let Some(limit) = foreseen.over_limit {
        let _ = writeln!(text, "\nThat is over SLUICE_WAVE_RUNS_MAX, {limit}: a person decides about the rest.");
    }
    text
}

fn count(runs: usize) -> String {
    if runs == 1 { "1 workspace".to_owned() } else { format!("{runs} workspaces") }
}
