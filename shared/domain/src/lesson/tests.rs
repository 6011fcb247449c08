//! One consumer, its producers, and the runs that end: what is stale after each.

use super::*;
use crate::digest::of_texts;
use crate::facts::{Outputs, Read};
use crate::fold::Seen;

fn workspace(name: &str) -> Workspace {
    format!("app.terraform.io/acme/{name}").parse().unwrap()
}

fn outputs(text: &str) -> Outputs {
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), of_texts([value]))).collect()
}

fn state(number: u64, run: Option<&str>) -> StateFacts {
    let version = format!("sv-{number}").parse().unwrap();
    StateFacts::new(version, number, run.map(|run| run.parse().unwrap()), Timestamp(number * 1_000))
}

/// `net: a b; dns: *` is what a plan shows: who is read, and what is used of it.
fn reads(text: &str) -> BTreeMap<Workspace, TaughtRead> {
    let read = |part: &str| {
        let (name, uses) = part.split_once(':').unwrap();
        let uses = (uses.trim() != "*").then(|| uses.split_whitespace().map(str::to_owned).collect());
        (workspace(name.trim()), TaughtRead { addresses: [format!("data.{}", name.trim())].into(), uses })
    };
    text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(read).collect()
}

struct World {
    app: Facts,
    producers: BTreeMap<Workspace, Facts>,
}

impl World {
    /// `app` has read `net`, which offers `a=1 b=1`, by a state.
    fn new() -> Self {
        let mut world = Self { app: Facts::default(), producers: BTreeMap::new() };
        world.offer("net", 1, "a=1 b=1");
        world.learn(2, Some("run-0"), "net: a=1 b=1");
        world
    }

    fn offer(&mut self, name: &str, at: u64, text: &str) {
        let facts = Facts { state: Some(state(at, None)), outputs: outputs(text), ..Facts::default() };
        self.producers.insert(workspace(name), facts);
    }

    /// A state of `app` written at `at` seconds shows `net: a=1; dns: b=2`.
    fn learn(&mut self, at: u64, run: Option<&str>, text: &str) {
        let read = |part: &str| {
            let (name, copies) = part.split_once(':').unwrap();
            let found = [Found::RemoteState].into();
            (workspace(name.trim()), Read { found, observed: outputs(copies), ..Read::default() })
        };
        let producers = text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(read).collect();
        let findings = Findings { producers: Some(producers), outputs: outputs("own=1"), ..Findings::default() };
        self.app.learn(state(at, run), findings, Timestamp(at * 1_000));
    }

    fn teach(&mut self, run: &str, text: &str) -> bool {
        self.app.teach(&run.parse().unwrap(), reads(text))
    }

    /// A run that was created at `at` seconds ends, a second later.
    fn end(&mut self, run: &str, at: u64, standing: Standing) {
        self.end_as(run, at, standing, Seen::All);
    }

    fn end_as(&mut self, run: &str, at: u64, standing: Standing, seen: Seen) {
        let app = workspace("app");
        let report = RunReport {
            workspace: app.clone(),
            workspace_id: "ws-1".parse().unwrap(),
            run: run.parse().unwrap(),
            created_at: Timestamp(at * 1_000),
            standing,
            at: Timestamp((at + 1) * 1_000),
            marker: None,
        };
        self.app.end(&app, &report, None, &self.producers, seen, report.at);
    }

    /// A run that was taught ends without changes.
    fn ends_with(&mut self, run: &str, at: u64, text: &str) {
        assert!(self.teach(run, text));
        self.end(run, at, Standing::NoChanges);
    }

    /// `net a b, dns c`: what is unseen, of whom is live.
    fn stale(&self) -> String {
        let live = self.app.producers.iter().filter(|(_, edge)| edge.live());
        let of = |(name, edge): (&Workspace, &Edge)| {
            let unseen = self.producers.get(name).map(|it| edge.unseen_in(it).join(" ")).unwrap_or_default();
            format!("{} {unseen}", name.name).trim().to_owned()
        };
        live.map(of).collect::<Vec<_>>().join(", ")
    }
}

#[test]
fn a_plan_is_in_force_once_its_run_got_through() {
    for standing in [Standing::Applied, Standing::NoChanges] {
        let mut world = World::new();
        assert!(world.teach("run-1", "net: a"));
        world.offer("net", 5, "a=1 b=2");
        assert_eq!(world.stale(), "net b", "nothing is in force yet");
        world.end("run-1", 6, standing);
        world.offer("net", 8, "a=1 b=3");
        assert_eq!(world.stale(), "net");
        world.offer("net", 9, "a=2 b=3");
        assert_eq!(world.stale(), "net a");
    }
}

#[test]
fn a_plan_of_a_run_that_did_not_get_through_teaches_nothing() {
    let mut world = World::new();
    world.ends_with("run-1", 3, "net: a");
    assert!(world.teach("run-2", "net: b"));
    world.end("run-2", 4, Standing::Discarded);
    world.offer("net", 6, "a=2 b=2");
    assert_eq!(world.stale(), "net a", "what was in force stays");
    for (run, at, standing) in [("run-3", 7, Standing::Errored), ("run-4", 8, Standing::Canceled)] {
        assert!(world.teach(run, "net: b"));
        world.end(run, at, standing);
        assert_eq!(world.stale(), "net a b", "it may have applied in part");
    }
}

#[test]
fn a_run_whose_plan_was_not_seen_may_use_anything() {
    let mut world = World::new();
    world.ends_with("run-1", 3, "net: a");
    world.end("run-2", 4, Standing::NoChanges);
    world.offer("net", 6, "a=1 b=2");
    assert_eq!(world.stale(), "net b");

    let mut world = World::new();
    world.ends_with("run-1", 3, "net: a");
    world.learn(6, Some("run-2"), "net: a=1 b=1");
    world.offer("net", 7, "a=1 b=2");
    assert_eq!(world.stale(), "net b", "of whose end nothing was heard");
}

#[test]
fn a_run_that_left_things_out_may_use_anything_and_has_seen_nothing() {
    let mut world = World::new();
    world.ends_with("run-1", 3, "net: a");
    world.offer("net", 4, "a=1 b=2");
    assert!(world.teach("run-2", "net: a; dns: a"));
    assert!(world.app.learns_from(&"run-2".parse().unwrap()));
    world.end_as("run-2", 5, Standing::Applied, Seen::Nothing);
    assert_eq!(world.stale(), "net b");
}

#[test]
fn old_and_doubled_news_changes_nothing() {
    let mut world = World::new();
    world.ends_with("run-2", 5, "net: a");
    assert!(!world.teach("run-2", "net: b"), "its end is known");
    assert!(world.teach("run-1", "net: b"));
    assert!(!world.teach("run-1", "net: b"), "twice");
    for run in ["run-1", "run-2"] {
        world.end(run, if run == "run-1" { 3 } else { 5 }, Standing::NoChanges);
        world.offer("net", 7, "a=2 b=2");
        assert_eq!(world.stale(), "net a");
    }
    assert_eq!(world.app.taught, None);
}

#[test]
fn a_plan_whose_end_is_heard_when_a_newer_state_is_known_is_not_in_force() {
    let mut world = World::new();
    assert!(world.teach("run-1", "net: a; dns: zone"));
    world.learn(6, Some("run-2"), "net: a=1 b=1");
    world.offer("net", 7, "a=1 b=2");
    world.end("run-1", 3, Standing::NoChanges);
    assert_eq!(world.stale(), "net b");
}

#[test]
fn of_two_runs_of_one_second_nobody_knows_which_is_newer() {
    let mut world = World::new();
    world.ends_with("run-1", 3, "net: a");
    world.ends_with("run-2", 3, "net: b");
    world.offer("net", 7, "a=2 b=2");
    assert_eq!(world.stale(), "net a b");
}

#[test]
fn what_only_a_plan_shows_is_read_until_a_newer_plan_or_state_does_not_show_it() {
    let mut world = World::new();
    world.offer("dns", 2, "zone=1 ttl=1");
    world.ends_with("run-1", 3, "net: a; dns: zone");
    assert_eq!(world.stale(), "dns, net", "acknowledged by that very end");
    world.offer("dns", 5, "zone=2 ttl=2");
    assert_eq!(world.stale(), "dns zone, net");
    world.learn(2, Some("run-0"), "net: a=1 b=1");
    assert_eq!(world.stale(), "dns zone, net", "the state is older than the plan");
    let mut other = World { app: world.app.clone(), producers: world.producers.clone() };

    world.ends_with("run-2", 6, "net: a");
    assert_eq!(world.stale(), "net");
    world.ends_with("run-3", 8, "dns: zone; net: a");
    assert_eq!(world.stale(), "dns, net");

    other.learn(7, Some("run-2"), "net: a=1 b=1");
    assert_eq!(other.stale(), "net");
}

#[test]
fn the_state_of_the_run_that_taught_leaves_its_plan_in_force() {
    let mut world = World::new();
    world.offer("dns", 2, "zone=1");
    assert!(world.teach("run-1", "net: a; dns: zone"));
    world.end("run-1", 3, Standing::Applied);
    world.learn(4, Some("run-1"), "net: a=1 b=1");
    world.offer("net", 5, "a=1 b=2");
    assert_eq!(world.stale(), "dns, net");
}

#[test]
fn what_a_state_still_shows_is_not_used_if_the_plan_in_force_does_not() {
    let mut world = World::new();
    world.ends_with("run-1", 3, "");
    world.offer("net", 5, "a=1 b=2");
    assert_eq!(world.stale(), "net", "a run without changes leaves it in the state");
    assert!(world.teach("run-2", ""));
    assert!(!world.app.learns_from(&"run-2".parse().unwrap()), "it is as it is known");
    world.end("run-2", 6, Standing::NoChanges);
    world.offer("net", 8, "a=1 b=3");
    world.end("run-3", 7, Standing::NoChanges);
    assert_eq!(world.stale(), "net b", "nobody has seen the plan");
}

#[test]
fn what_is_destroyed_reads_nothing() {
    let mut world = World::new();
    world.offer("dns", 2, "zone=1");
    assert!(world.teach("run-1", "net: a; dns: zone"));
    world.end("run-1", 3, Standing::Applied);
    let findings = Findings { producers: Some(BTreeMap::new()), empty: true, ..Findings::default() };
    world.app.learn(state(4, Some("run-1")), findings, Timestamp(5_000));
    assert_eq!(world.stale(), "");
}

#[test]
fn the_plan_of_a_destroy_is_not_in_force_even_if_nothing_was_known_before() {
    let mut world = World { app: Facts::default(), producers: BTreeMap::new() };
    assert!(world.teach("run-1", "net: a"));
    let findings = Findings { producers: Some(BTreeMap::new()), empty: true, ..Findings::default() };
    world.app.learn(state(4, Some("run-1")), findings, Timestamp(5_000));
    world.end("run-1", 3, Standing::Applied);
    assert_eq!(world.stale(), "");
}

#[test]
fn a_partial_state_keeps_what_only_a_plan_has_shown() {
    let mut world = World::new();
    world.offer("dns", 2, "zone=1");
    world.ends_with("run-1", 3, "net: a; dns: zone");
    let read = Read { found: [Found::RemoteState].into(), observed: outputs("a=1 b=1"), ..Read::default() };
    let findings = Findings { producers: Some([(workspace("net"), read)].into()), ..Findings::default() };
    assert!(findings.has_new_copies(&world.app), "it has to be asked whether it is partial");
    let findings = findings.with_copies_of(&world.app);
    world.app.learn(state(7, Some("run-2")), findings, Timestamp(7_000));
    assert_eq!(world.stale(), "dns, net");
}

#[test]
fn what_comes_to_be_used_again_was_read_by_the_run_that_uses_it() {
    let mut world = World::new();
    world.ends_with("run-1", 3, "net: a");
    world.offer("net", 4, "a=1 b=2");
    assert_eq!(world.stale(), "net");
    world.ends_with("run-2", 6, "net: a b");
    assert_eq!(world.stale(), "net");
    world.offer("net", 8, "a=1 b=3");
    assert_eq!(world.stale(), "net b");
    world.ends_with("run-3", 7, "net: a b");
    assert_eq!(world.stale(), "net b", "it was created before");
}

#[test]
fn more_than_facts_can_hold_is_not_kept() {
    let mut world = World::new();
    assert!(world.teach("run-1", "net: a"));
    let uses: BTreeSet<String> = (0..2_000).map(|number| format!("an_output_{number}")).collect();
    let large = TaughtRead { uses: Some(uses), ..TaughtRead::default() };
    let run = "run-1".parse().unwrap();
    assert!(world.app.teach(&run, [(workspace("net"), large)].into()), "what it was taught before is let go of");
    assert_eq!(world.app.taught, None);
    world.end("run-1", 3, Standing::NoChanges);
    world.offer("net", 5, "a=1 b=2");
    assert_eq!(world.stale(), "net b");
}

#[test]
fn facts_from_before_there_were_plans_are_read() {
    let edge: Edge = serde_json::from_str(r#"{"found":["tfe_outputs"],"addresses":[],"last_seen":5}"#).unwrap();
    assert_eq!((edge.uses.clone(), edge.uses("any")), (None, true));
    assert_eq!(serde_json::from_str::<Facts>("{}").unwrap(), Facts::default());
}

#[test]
fn outputs_that_are_kept_as_one_are_used_if_any_is() {
    let edge = |uses: &[&str]| Edge { uses: Some(uses.iter().map(|it| (*it).to_owned()).collect()), ..Edge::default() };
    assert!(edge(&["a"]).uses(size::ALL_OUTPUTS));
    assert!(!edge(&[]).uses(size::ALL_OUTPUTS));
}
