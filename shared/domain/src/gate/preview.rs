//! What a plan will set off downstream, for its author to read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::foresee::{Foreseen, Step};
use crate::gate::execution::{CheckVerdict, Ended};
use crate::gate::outcome::{Level, Outcome, Tag};
use crate::names::Workspace;
use crate::time::Timestamp;
use crate::verdict::Cause;

/// From how many runs on a wave is one to look at, and one to think about.
const MANY: usize = 5;
const VERY_MANY: usize = 25;

/// Most workspaces that the picture shows: beyond it nobody reads it.
const DRAWN_MAX: usize = 60;

/// Most rows of the table, which has to fit into one outcome's body.
const ROWS_MAX: usize = 60;

/// How a `preview` check ends: it always passes, and tells what it foresees. A `speculative` run is never applied.
#[must_use]
pub fn preview(foreseen: &Foreseen, speculative: bool, now: Timestamp) -> Ended {
    let mut whole = summary(foreseen);
    if speculative && foreseen.runs() > 0 {
        whole.description.push_str(", if this were applied: the run only plans");
    }
    let message = whole.description.clone();
    let steps = foreseen.steps.iter().enumerate();
    let runs = steps.flat_map(|(n, step)| step.iter().map(move |step| run(n + 1, step)));
    let held = foreseen.held.iter().map(held);
    let outcomes = std::iter::once(whole).chain(runs).chain(held).collect();
    Ended::new(now, CheckVerdict::Passed, message).with(outcomes)
}

fn summary(foreseen: &Foreseen) -> Outcome {
    let runs = foreseen.runs();
    let (severity, level) = match runs {
        _ if foreseen.over_limit.is_some() => ("Over the limit", Level::Error),
        0 => ("None", Level::None),
        runs if runs < MANY => ("Low", Level::Info),
        runs if runs < VERY_MANY => ("Medium", Level::Info),
        _ => ("High", Level::Warning),
    };
    let body = (runs + foreseen.held.len() > 0).then(|| body(foreseen));
    let tags = vec![Tag::new("Severity", severity, level), Tag::new("Runs", &runs.to_string(), Level::None)];
    Outcome { id: "wave".to_owned(), description: sentence(foreseen), tags, body, url: None }
}

fn sentence(foreseen: &Foreseen) -> String {
    let runs = foreseen.runs();
    let at_once = foreseen.steps.first().map_or(0, Vec::len);
    if foreseen.outputs.is_empty() {
        return "no output changes: nobody runs after this".to_owned();
    }
    let outputs = listed(&foreseen.outputs);
    let mut text = match at_once {
        0 if foreseen.held.is_empty() => {
            format!("nobody runs after this: {outputs} will change, and nobody reads that")
        }
        0 => format!("nobody runs after this by itself, though {outputs} will change"),
        1 => format!("1 workspace will run after this, because of {outputs}"),
        _ => format!("{at_once} workspaces will run after this, because of {outputs}"),
    };
    // A workspace whose own outputs stay as they are wakes nobody.
    if runs > at_once {
        let _ = write!(text, ", and up to {} more below them, step by step", runs - at_once);
    }
    match foreseen.held.len() {
        0 => {}
        1 => text.push_str("; 1 is held"),
        held => drop(write!(text, "; {held} are held")),
    }
    if let Some(limit) = foreseen.over_limit {
        let _ = write!(text, "; one change may set off {limit} runs, so the rest will wait for a person");
    }
    text
}

fn run(number: usize, step: &Step) -> Outcome {
    let status = if step.verdict == "plan" { "Will be planned" } else { "Will run" };
    Outcome {
        id: format!("{number}.{}", step.workspace.name),
        description: format!("{} in step {number}, because of {}", step.workspace.short(), reasons(&step.causes)),
        tags: vec![Tag::new("Status", status, Level::Info), Tag::new("Step", &number.to_string(), Level::None)],
        body: None,
        url: None,
    }
}

fn held(step: &Step) -> Outcome {
    Outcome {
        id: format!("held.{}", step.workspace.name),
        description: format!("{} {}", step.workspace.short(), step.reason),
        tags: vec![Tag::new("Status", "Held", Level::Warning)],
        body: None,
        url: None,
    }
}

/// A table and a picture, in Markdown.
fn body(foreseen: &Foreseen) -> String {
    let mut text = String::from("| step | workspace | because of |\n|---|---|---|\n");
    let steps = foreseen.steps.iter().enumerate().flat_map(|(n, step)| step.iter().map(move |step| (n + 1, step)));
    for (number, step) in steps.clone().take(ROWS_MAX) {
        let _ = writeln!(text, "| {number} | {} | {} |", step.workspace.short(), reasons(&step.causes));
    }
    for step in foreseen.held.iter().take(ROWS_MAX.saturating_sub(foreseen.runs())) {
        let _ = writeln!(text, "| held | {} | {} |", step.workspace.short(), escaped(&step.reason));
    }
    let more = (foreseen.runs() + foreseen.held.len()).saturating_sub(ROWS_MAX);
    if more > 0 {
        let _ = writeln!(text, "\n… and {more} more.");
    }
    if foreseen.runs() > 0 && foreseen.runs() < DRAWN_MAX {
        let _ = write!(text, "\n```mermaid\n{}```\n", picture(foreseen));
    }
    text
}

/// A Mermaid flowchart of the wave.
#[must_use]
pub fn picture(foreseen: &Foreseen) -> String {
    let mut number: BTreeMap<&Workspace, usize> = BTreeMap::from([(&foreseen.workspace, 0)]);
    let mut text = format!("flowchart LR\n  w0([\"{}\"])\n", foreseen.workspace.short());
    for step in foreseen.steps.iter().flatten() {
        let next = number.len();
        let n = *number.entry(&step.workspace).or_insert(next);
        let _ = writeln!(text, "  w{n}[\"{}\"]", step.workspace.short());
    }
    for step in foreseen.steps.iter().flatten() {
        for cause in &step.causes {
            let Some(from) = number.get(&cause.producer) else { continue };
            let _ = writeln!(text, "  w{from} -- \"{}\" --> w{}", listed(&cause.outputs), number[&step.workspace]);
        }
    }
    text
}

fn reasons(causes: &[Cause]) -> String {
    let reasons = causes.iter().map(|cause| format!("{} ({})", cause.producer.short(), listed(&cause.outputs)));
    reasons.collect::<Vec<_>>().join(", ")
}

/// Names of outputs, the first few of them.
fn listed(names: &[String]) -> String {
    let first = names.iter().take(4).map(|name| escaped(name)).collect::<Vec<_>>().join(", ");
    if names.len() > 4 { format!("{first} and {} more", names.len() - 4) } else { first }
}

/// Output names are Terraform's identifiers; whatever else comes here must not become Markdown or Mermaid.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|it| if matches!(it, '|' | '"' | '`' | '<' | '>' | '[' | ']' | '\n' | '\r') { ' ' } else { it })
        .collect()
}

#[cfg(test)]
mod tests;
