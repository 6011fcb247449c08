use sluice_domain::{Digest, Edge, Facts, Order, Policy, decide};

use super::*;

const NOW: Timestamp = Timestamp(1_795_168_990_000);

fn workspace(name: &str) -> Workspace {
    format!("app.terraform.io/acme/{name}").parse().unwrap()
}

fn digest(number: u8) -> Digest {
    Digest([number; 16])
}

/// A root with the outputs `id` and `zone`, of which `id` is another now.
fn root() -> Facts {
    let state = StateFacts::new("sv-2".parse().unwrap(), 2, Some("run-2".parse().unwrap()), NOW);
    Facts {
        state: Some(StateFacts { taken_in_at: NOW, learned_at: NOW, ..state }),
        outputs: [("id".to_owned(), digest(2)), ("zone".to_owned(), digest(1))].into(),
        ended: vec!["run-2".parse().unwrap()],
        ..Facts::default()
    }
}

/// A reader that has seen what was there before, and uses one output.
fn reader(uses: &str) -> Facts {
    let edge = Edge {
        observed: [("id".to_owned(), digest(1)), ("zone".to_owned(), digest(1))].into(),
        uses: Some([uses.to_owned()].into()),
        ..Edge::default()
    };
    let state = StateFacts::new("sv-1".parse().unwrap(), 1, None, Timestamp(1));
    Facts { state: Some(state), producers: [(workspace("root"), edge)].into(), ..Facts::default() }
}

/// What is counted when `root` is looked at, where this was decided or ordered before.
fn counted(root: Facts, readers: &[(&str, Facts)], before: &[(&str, Known)], now: Timestamp) -> Option<(u32, u32)> {
    let name = workspace("root");
    let mut facts: BTreeMap<Workspace, Facts> =
        readers.iter().map(|(name, facts)| (workspace(name), facts.clone())).collect();
    facts.insert(name.clone(), root);
    let targets = facts.keys().cloned().collect();
    let graph = Graph::new(facts);
    let decisions = decide(&graph, &Policy::default(), now);
    let known = before.iter().map(|(name, known)| (workspace(name), known.clone())).collect();
    let looked = Looked { root: &name, targets: &targets, graph: &graph, decisions: &decisions, known: &known, now };
    looked.counts().map(|Counts { waves, saved }| (waves, saved))
}

/// How a reader of `id` is known once it was decided about.
fn decided() -> (Known, Known) {
    let facts: BTreeMap<_, _> = [(workspace("root"), root()), (workspace("a"), reader("id"))].into();
    let graph = Graph::new(facts);
    let number = graph.number(&workspace("a")).unwrap();
    let decision = decide(&graph, &Policy::default(), NOW).swap_remove(number);
    let order = Order::of(&workspace("a"), &decision, &graph, NOW);
    assert!(order.is_some());
    (Known { decision: Some(decision), ..Known::default() }, Known { order, ..Known::default() })
}

#[test]
fn one_of_two_readers_is_saved_its_run() {
    let readers = [("a", reader("id")), ("b", reader("zone"))];
    assert_eq!(counted(root(), &readers, &[], NOW), Some((1, 1)));
}

#[test]
fn a_change_that_nobody_uses_saves_all_and_is_no_wave() {
    let readers = [("a", reader("zone")), ("b", reader("zone"))];
    assert_eq!(counted(root(), &readers, &[], NOW), Some((0, 2)));
}

#[test]
fn what_is_part_of_a_wave_begins_none() {
    let mut root = root();
    let wave = root.state.as_ref().unwrap().wave_below(&workspace("above"));
    root.state.as_mut().unwrap().wave = Some(wave);
    assert_eq!(counted(root, &[("a", reader("id")), ("b", reader("zone"))], &[], NOW), Some((0, 1)));
}

#[test]
fn another_look_counts_nothing() {
    let readers = [("a", reader("id")), ("b", reader("zone"))];
    let (decided, ordered) = decided();
    assert_eq!(counted(root(), &readers, &[("a", decided)], NOW), None, "it was decided before");
    assert_eq!(counted(root(), &readers, &[("a", ordered)], NOW), None, "it was ordered before");
    assert_eq!(counted(root(), &readers, &[], NOW.plus_ms(FIRST_LOOK_MS)), None, "it is too late to be the first");
    let mut without_changes = root();
    without_changes.ended.push("run-3".parse().unwrap());
    assert_eq!(counted(without_changes, &readers, &[], NOW), None, "a later run has not written a state");
}

#[test]
fn what_was_there_before_and_what_is_destroyed_saves_nobody() {
    for (baseline, destroyed) in [(true, false), (false, true)] {
        let mut root = root();
        let state = root.state.as_mut().unwrap();
        (state.baseline, state.destroyed) = (baseline, destroyed);
        assert_eq!(counted(root, &[("b", reader("zone"))], &[], NOW), None);
    }
}
