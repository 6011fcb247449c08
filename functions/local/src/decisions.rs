//! `sluice decisions`: what was decided about a workspace, when and why.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;
use sluice_aws::Decided;
use sluice_domain::ports::{FactStore, Known, StoreError};
use sluice_domain::{Cause, Workspace};

use crate::cli;
use crate::plan::{PlanError, workspace};
use crate::serve::{ServeError, open, terraform};

/// Lists the decisions. Returns what to print.
pub async fn run(options: &cli::Decisions, vars: &BTreeMap<String, String>) -> Result<String, PlanError> {
    let workspace = workspace(&terraform(vars)?.host, &options.workspace)?;
    let (table, store) = open(&options.store, vars).await?;
    let read = read(&table, &workspace, options.limit).await;
    if let Some(store) = store {
        store.close().await;
    }
    let (known, decided) = read.map_err(ServeError::Table)?;
    Ok(if options.json { as_json(&workspace, &known, &decided) } else { as_text(&workspace, &known, &decided) })
}

async fn read(
    table: &sluice_aws::Table,
    workspace: &Workspace,
    limit: u16,
) -> Result<(Known, Vec<Decided>), StoreError> {
    Ok((table.known_one(workspace).await?, table.decisions(workspace, limit).await?))
}

fn as_text(workspace: &Workspace, known: &Known, decided: &[Decided]) -> String {
    if let (Some(decision), true) = (&known.decision, decided.is_empty()) {
        return format!("{}: {decision}; that was more than thirty days ago\n", workspace.short());
    }
    if decided.is_empty() {
        let heard = if known.version == 0 { "nothing is known of it" } else { "nothing was decided about it" };
        return format!("{}: {heard}\n", workspace.short());
    }
    let mut text = String::new();
    if let Some(held) = known.held.as_ref().filter(|_| known.ordered) {
        let _ = writeln!(text, "its run is not created yet: {held}");
    }
    for Decided { at, decision } in decided {
        let _ = writeln!(text, "{at}  {:18}  {decision}", decision.verdict.word());
        for Cause { producer, outputs } in &decision.causes {
            let _ = writeln!(text, "{:44}{}: {}", "", producer.short(), outputs.join(", "));
        }
    }
    text
}

fn as_json(workspace: &Workspace, known: &Known, decided: &[Decided]) -> String {
    let decisions: Vec<_> = decided
        .iter()
        .map(|Decided { at, decision }| {
            json!({
                "at": at.to_string(),
                "verdict": decision.verdict.word(),
                "reason": decision.to_string(),
                "detail": decision.verdict,
                "causes": decision.causes,
                "inputs": decision.inputs,
            })
        })
        .collect();
    let held = known.held.as_ref().filter(|_| known.ordered);
    let all = json!({ "workspace": workspace, "held": held, "decisions": decisions });
    serde_json::to_string_pretty(&all).expect("decisions are plain data") + "\n"
}
