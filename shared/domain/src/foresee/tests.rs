//! Each world is text: `c reads a b` gives a workspace an output `id` and edges; it is up to date.

use super::*;
use crate::facts::{Edge, Outputs};
use crate::policy::{Autonomy, Budgets};

fn workspace(name: &str) -> Workspace {
    format!("app.terraform.io/acme/{name}").parse().unwrap()
}

fn world(text: &str) -> BTreeMap<Workspace, Facts> {
    let outputs = |name: &str| Outputs::from([("id".to_owned(), of_texts([name]))]);
    let of = |line: &str| {
        let (name, reads) = line.split_once(" reads ").unwrap_or((line, ""));
        let edges = reads
            .split_whitespace()
            .map(|producer| (workspace(producer), Edge { observed: outputs(producer), ..Edge::default() }));
        let state = StateFacts::new(format!("sv-{name}").parse().unwrap(), 1, None, Timestamp(1));
        let facts =
            Facts { outputs: outputs(name), state: Some(state), producers: edges.collect(), ..Facts::default() };
        (workspace(name), facts)
    };
    text.lines().map(str::trim).map(of).collect()
}

/// `b c | d; held: e (cycle)`
fn told(facts: BTreeMap<Workspace, Facts>, root: &str, policy: &Policy) -> String {
    let reached = facts.keys().cloned().collect();
    let foreseen = imagine(facts, &reached, &workspace(root), &BTreeSet::new(), policy, Timestamp(1_000_000)).unwrap();
    let names = |steps: &[Step], held: bool| {
        let name = |step: &Step| match (held, step.verdict) {
            (false, "run") => step.workspace.name.clone(),
            (_, verdict) => format!("{} ({verdict})", step.workspace.name),
        };
        steps.iter().map(name).collect::<Vec<_>>().join(" ")
    };
    let steps = foreseen.steps.iter().map(|step| names(step, false)).collect::<Vec<_>>().join(" | ");
    format!("{steps}; held: {}", names(&foreseen.held, true))
}

#[test]
fn the_bottom_of_a_diamond_runs_once_after_both_sides() {
    let text = "a\nb reads a\nc reads a\nd reads b c a\nother";
    assert_eq!(told(world(text), "a", &Policy::default()), "b c | d; held: ");
}

#[test]
fn what_is_in_a_cycle_is_shown_and_does_not_run() {
    let text = "a\nb reads a c\nc reads b\nd reads c";
    assert_eq!(told(world(text), "a", &Policy::default()), "b; held: c (cycle)");
}

#[test]
fn what_is_observed_planned_or_too_deep_stops_there() {
    let text = "a\nb reads a\nc reads b\nd reads c";
    let tagged = |name: &str, autonomy| {
        let mut facts = world(text);
        facts.get_mut(&workspace(name)).unwrap().tagged = Some(autonomy);
        facts
    };
    let policy = Policy::default();
    assert_eq!(told(tagged("c", Autonomy::Observe), "a", &policy), "b; held: c (observed)");
    assert_eq!(told(tagged("c", Autonomy::Plan), "a", &policy), "b | c (plan); held: ");
    let shallow = Policy { budgets: Budgets { depth: 2, ..Budgets::default() }, ..policy };
    assert_eq!(told(world(text), "a", &shallow), "b | c; held: d (too_deep)");
}

#[test]
fn what_runs_at_the_moment_is_taken_to_be_over() {
    let mut facts = world("a\nb reads a\nc reads b");
    let run = crate::facts::ActiveRun {
        created_at: Timestamp(5),
        standing: crate::run::Standing::Planning,
        since: Timestamp(5),
        inputs: None,
    };
    facts.get_mut(&workspace("b")).unwrap().active.insert("run-1".parse().unwrap(), run);
    assert_eq!(told(facts, "a", &Policy::default()), "b | c; held: ");
}

#[test]
fn what_cannot_be_foreseen_says_why() {
    let ask = |root: &str, output: &str| {
        let outputs = BTreeSet::from([output.to_owned()]);
        let reached = BTreeSet::from([workspace(root)]);
        let foreseen = imagine(world("a"), &reached, &workspace(root), &outputs, &Policy::default(), Timestamp(1));
        foreseen.map(|foreseen| foreseen.outputs.join(",")).map_err(|error| error.to_string())
    };
    assert_eq!(ask("a", "id"), Ok("id".to_owned()));
    assert_eq!(ask("a", "x"), Err("app.terraform.io/acme/a has no output x: it has id".to_owned()));
    assert!(ask("b", "id").unwrap_err().starts_with("nothing is known of app.terraform.io/acme/b"));
}

/// `id created, b deleted` is what a plan of `root` changes.
fn planned(facts: BTreeMap<Workspace, Facts>, root: &str, changes: &str) -> String {
    let change = |text: &str| {
        let (name, action) = text.trim().split_once(' ').unwrap();
        let action = match action {
            "created" => OutputAction::Created,
            "deleted" => OutputAction::Deleted,
            _ => OutputAction::Updated,
        };
        (name.to_owned(), OutputChange { action, after_unknown: false })
    };
    let changes = changes.split(',').filter(|text| !text.is_empty()).map(change).collect();
    let reached = facts.keys().cloned().collect();
    let foreseen = imagine_plan(facts, &reached, &workspace(root), &changes, &Policy::default(), Timestamp(1_000_000));
    let names = |steps: &[Step]| steps.iter().map(|step| step.workspace.name.clone()).collect::<Vec<_>>().join(" ");
    let steps = foreseen.steps.iter().map(|step| names(step)).collect::<Vec<_>>().join(" | ");
    format!("{} -> {steps}; held: {}", foreseen.outputs.join(" "), names(&foreseen.held))
}

#[test]
fn a_plan_wakes_whoever_may_use_what_it_changes() {
    let mut facts = world("a\nb reads a\nc reads b\nd reads a");
    let edge = facts.get_mut(&workspace("d")).unwrap().producers.get_mut(&workspace("a")).unwrap();
    edge.uses = Some(["id".to_owned()].into());
    assert_eq!(planned(facts.clone(), "a", "id updated"), "id -> b d | c; held: ");
    assert_eq!(planned(facts.clone(), "a", "new created"), "new -> b | c; held: ");
    assert_eq!(planned(facts.clone(), "a", "id deleted"), "id -> ; held: ");
    assert_eq!(planned(facts, "a", ""), " -> ; held: ");
}

#[test]
fn a_plan_of_a_workspace_that_nothing_is_known_of_wakes_whoever_is_known_to_read_it() {
    assert_eq!(planned(world("b reads a"), "a", "id created"), "id -> b; held: ");
    assert_eq!(planned(world("b"), "new", "id created"), "id -> ; held: ");
}

#[test]
fn a_plan_is_taken_to_settle_its_own_workspace() {
    let mut facts = world("z\na reads z\nb reads a");
    facts.get_mut(&workspace("a")).unwrap().producers.get_mut(&workspace("z")).unwrap().observed.clear();
    assert_eq!(planned(facts, "a", "id updated"), "id -> b; held: ");
}
