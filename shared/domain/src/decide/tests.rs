//! The rule, case by case. A world is written as text:
//! `a(out=1) -> b(seen a.out=0) run` and so on; see [`world`].

use std::collections::BTreeMap;

use expect_test::{Expect, expect};

use super::*;
use crate::facts::{ActiveRun, Edge, Outputs, Refusal, StateFacts};
use crate::policy::AutonomyRules;
use crate::{Digest, Graph, Standing};

const NOW: Timestamp = Timestamp(10_000_000);

fn workspace(name: &str) -> Workspace {
    format!("app.terraform.io/acme/{name}").parse().unwrap()
}

fn digest(value: &str) -> Digest {
    of_texts([value])
}

fn outputs(text: &str) -> Outputs {
    text.split(',').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.into(), digest(value))).collect()
}

/// Lines of three kinds:
/// `a: x=1,y=2` gives a workspace outputs, in a state written at 1000; `a: x=1 at 2000` at 2000, `a: destroyed` empty;
/// `c reads p: x=1` is an edge whose consumer observed x=1; `c acknowledged p: x=2` adds to it;
/// `c runs run-1 since 500 [planning|person|…]` is an active run; `c failed` and `c declined` refuse its present inputs.
fn world(text: &str) -> BTreeMap<Workspace, Facts> {
    let mut world: BTreeMap<Workspace, Facts> = BTreeMap::new();
    let mut refused = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (head, tail) = line.split_once(':').unwrap_or((line, ""));
        let words: Vec<&str> = head.split_whitespace().collect();
        let facts = world.entry(workspace(words[0])).or_default();
        match words[1..] {
            [] => {
                let (values, at) = tail.split_once(" at ").unwrap_or((tail, "1000"));
                facts.outputs = outputs(&values.replace(' ', ""));
                let version = format!("sv-{}-{at}", words[0]).parse().unwrap();
                let created_at = Timestamp(at.trim().parse().unwrap());
                let destroyed = tail.trim() == "destroyed";
                facts.state = Some(StateFacts { destroyed, ..StateFacts::new(version, 1, None, created_at) });
            }
            ["reads", producer] => {
                let edge = Edge { observed: outputs(&tail.replace(' ', "")), ..Edge::default() };
                facts.producers.insert(workspace(producer), edge);
            }
            ["acknowledged", producer] => {
                facts.producers.get_mut(&workspace(producer)).unwrap().acknowledged = outputs(&tail.replace(' ', ""));
            }
            ["runs", run, "since", at, standing] => {
                let standing = match standing {
                    "pending" => Standing::Pending,
                    "person" => Standing::AwaitingPerson,
                    _ => Standing::Planning,
                };
                let at = Timestamp(at.parse().unwrap());
                let active = ActiveRun { created_at: at, standing, since: at, inputs: None };
                facts.active.insert(run.parse().unwrap(), active);
            }
            ["failed" | "declined"] => refused.push((workspace(words[0]), words[1] == "declined")),
            _ => panic!("not understood: {line}"),
        }
    }
    for (name, declined) in refused {
        let graph = Graph::new(world.clone());
        let decision = decide(&graph, &Policy::default(), NOW).swap_remove(graph.number(&name).unwrap());
        let why = if declined { "discarded" } else { "errored" }.to_owned();
        let run = Some("run-failed".parse().unwrap());
        world.get_mut(&name).unwrap().refusal =
            Some(Refusal { inputs: decision.inputs.into_iter().collect(), created_at: NOW, run, why, declined });
    }
    world
}

#[track_caller]
fn check_with(policy: &Policy, text: &str, expected: &Expect) {
    let graph = Graph::new(world(text));
    let mut lines: Vec<String> = decide(&graph, policy, NOW)
        .iter()
        .enumerate()
        .map(|(number, decision)| format!("{}: {decision}\n", graph.workspace(number).name))
        .collect();
    lines.sort();
    expected.assert_eq(&lines.concat());
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    check_with(&Policy::default(), text, expected);
}

#[test]
fn a_consumer_runs_when_an_output_it_observed_has_changed() {
    check(
        "net: vpc=2,zone=1
         app reads net: vpc=1,zone=1",
        &expect![[r"
            app: runs, because of acme/net (vpc)
            net: nothing it reads has changed
        "]],
    );
}

#[test]
fn an_output_that_did_not_change_wakes_nobody() {
    check(
        "net: vpc=1
         app reads net: vpc=1",
        &expect![[r"
            app: nothing it reads has changed
            net: nothing it reads has changed
        "]],
    );
}

#[test]
fn an_acknowledged_output_wakes_nobody_though_the_copy_is_old() {
    check(
        "net: vpc=2
         app reads net: vpc=1
         app acknowledged net: vpc=2",
        &expect![[r"
            app: nothing it reads has changed
            net: nothing it reads has changed
        "]],
    );
}

#[test]
fn a_new_output_wakes_those_who_read_all() {
    check(
        "net: vpc=1,zone=1
         app reads net: vpc=1",
        &expect![[r"
            app: runs, because of acme/net (zone)
            net: nothing it reads has changed
        "]],
    );
}

#[test]
fn in_a_chain_only_the_next_one_runs() {
    check(
        "a: x=2
         b: x=1
         b reads a: x=1
         c reads b: x=1
         c reads a: x=1",
        &expect![[r"
            a: nothing it reads has changed
            b: runs, because of acme/a (x)
            c: waits for acme/b, which is not settled
        "]],
    );
}

#[test]
fn the_bottom_of_a_diamond_waits_for_both_sides() {
    let top = "net: vpc=2
         eks: id=1
         rds: id=1
         app reads eks: id=1
         app reads rds: id=1
         app reads net: vpc=1
         ";
    check(
        &format!(
            "{top} eks reads net: vpc=1
                 rds reads net: vpc=1"
        ),
        &expect![[r"
            app: waits for acme/eks, which is not settled
            eks: runs, because of acme/net (vpc)
            net: nothing it reads has changed
            rds: runs, because of acme/net (vpc)
        "]],
    );
    check(
        &format!(
            "{top} eks reads net: vpc=2
                 rds reads net: vpc=1
                 rds runs run-1 since 2000 planning"
        ),
        &expect![[r"
            app: waits for acme/rds, which is not settled
            eks: nothing it reads has changed
            net: nothing it reads has changed
            rds: run-1 is there already and will see acme/net (vpc)
        "]],
    );
    check(
        &format!(
            "{top} eks reads net: vpc=2
                 rds reads net: vpc=2"
        ),
        &expect![[r"
            app: runs, because of acme/net (vpc)
            eks: nothing it reads has changed
            net: nothing it reads has changed
            rds: nothing it reads has changed
        "]],
    );
}

#[test]
fn a_run_far_above_is_waited_for_through_settled_workspaces() {
    check(
        "root runs run-1 since 2000 planning
         root: x=1
         mid: x=1
         mid reads root: x=1
         side: x=2
         leaf reads mid: x=1
         leaf reads side: x=1",
        &expect![[r"
            leaf: waits for acme/root, which is not settled
            mid: nothing it reads has changed
            root: nothing it reads has changed
            side: nothing it reads has changed
        "]],
    );
}

#[test]
fn a_young_run_is_adopted_and_an_old_one_waited_for() {
    check(
        "net: vpc=2 at 3000
         young reads net: vpc=1
         young runs run-1 since 4000 pending
         old reads net: vpc=1
         old runs run-2 since 2000 planning",
        &expect![[r"
            net: nothing it reads has changed
            old: waits for its own run-2, which is older than acme/net (vpc)
            young: run-1 is there already and will see acme/net (vpc)
        "]],
    );
}

#[test]
fn what_failed_is_not_tried_again_for_the_same_inputs_and_holds_what_is_below() {
    let text = "net: vpc=2
         eks: id=1
         eks reads net: vpc=1
         eks failed
         dns reads net: vpc=1
         app reads eks: id=1
         app reads net: vpc=1
         web reads app:
         web reads net: vpc=1";
    check(
        text,
        &expect![[r"
            app: is held by acme/eks, which did not get through
            dns: runs, because of acme/net (vpc)
            eks: is not run again for the same inputs: run-failed errored
            net: nothing it reads has changed
            web: is held by acme/eks, which did not get through
        "]],
    );
    let going_on = Policy { after_failure: AfterFailure::Continue, ..Policy::default() };
    check_with(
        &going_on,
        text,
        &expect![[r"
            app: runs, because of acme/net (vpc)
            dns: runs, because of acme/net (vpc)
            eks: is not run again for the same inputs: run-failed errored
            net: nothing it reads has changed
            web: waits for acme/app, which is not settled
        "]],
    );
}

#[test]
fn other_inputs_are_another_try() {
    let mut world = world(
        "net: vpc=2
         eks reads net: vpc=1
         eks failed",
    );
    world.get_mut(&workspace("net")).unwrap().outputs = outputs("vpc=3");
    let graph = Graph::new(world);
    assert_eq!(decide(&graph, &Policy::default(), NOW)[0].verdict, Verdict::Run);
}

#[test]
fn edges_within_a_cycle_never_trigger_but_those_into_it_do() {
    check(
        "a: x=2
         b: x=2
         a reads b: x=1
         b reads a: x=1",
        &expect![[r"
            a: is in a cycle with acme/b, and cycles never trigger
            b: is in a cycle with acme/a, and cycles never trigger
        "]],
    );
    check(
        "net: vpc=2
         a: x=2
         b: x=2
         a reads b: x=1
         b reads a: x=1
         a reads net: vpc=1
         b reads net: vpc=1
         leaf reads a: x=1",
        &expect![[r"
            a: runs, because of acme/net (vpc)
            b: runs, because of acme/net (vpc)
            leaf: waits for acme/a, which is not settled
            net: nothing it reads has changed
        "]],
    );
}

#[test]
fn a_workspace_that_reads_itself_does_not_trigger_itself() {
    check(
        "a: x=2\n a reads a: x=1",
        &expect![[r"
        a: is in a cycle with acme/a, and cycles never trigger
    "]],
    );
}

#[test]
fn a_forgotten_confirmation_holds_those_below_for_an_hour_only() {
    let text = |since: u64| {
        format!(
            "net: vpc=1
             net runs run-1 since {since} person
             side: x=2
             app reads net: vpc=1
             app reads side: x=1"
        )
    };
    check(
        &text(NOW.0 - 3_599_000),
        &expect![[r"
            app: waits for acme/net, which is not settled
            net: nothing it reads has changed
            side: nothing it reads has changed
        "]],
    );
    check(
        &text(NOW.0 - 3_600_000),
        &expect![[r"
            app: runs, because of acme/side (x)
            net: nothing it reads has changed
            side: nothing it reads has changed
        "]],
    );
}

#[test]
fn a_destroyed_producer_runs_nobody() {
    check(
        "net: destroyed
         app reads net: vpc=1",
        &expect![[r"
            app: acme/net was destroyed: a person decides
            net: nothing it reads has changed
        "]],
    );
}

#[test]
fn an_edge_that_is_gone_does_not_trigger() {
    let mut world = world(
        "net: vpc=2
         app reads net: vpc=1",
    );
    world.get_mut(&workspace("app")).unwrap().producers.get_mut(&workspace("net")).unwrap().gone_at = Some(NOW);
    let graph = Graph::new(world);
    assert_eq!(decide(&graph, &Policy::default(), NOW)[0].verdict, Verdict::Settled);
}

#[test]
fn an_observer_only_looks() {
    let observe = Policy { autonomy: AutonomyRules::all(Autonomy::Observe), ..Policy::default() };
    check_with(
        &observe,
        "net: vpc=2
         app reads net: vpc=1
         web reads app:
         web reads net: vpc=1",
        &expect![[r"
            app: would run, because of acme/net (vpc), but only observing is allowed
            net: nothing it reads has changed
            web: would run, because of acme/net (vpc), but only observing is allowed
        "]],
    );
}

#[test]
fn a_chain_of_a_hundred_thousand_does_not_exhaust_the_stack() {
    let size = 100_000;
    let name = |n: usize| workspace(&format!("w{n:06}"));
    let mut facts = BTreeMap::new();
    for n in 0..size {
        let mut one = Facts { outputs: outputs(if n == 0 { "x=2" } else { "x=1" }), ..Facts::default() };
        if n > 0 {
            one.producers.insert(name(n - 1), Edge { observed: outputs("x=1"), ..Edge::default() });
        }
        facts.insert(name(n), one);
    }
    let graph = Graph::new(facts);
    let decisions = decide(&graph, &Policy::default(), NOW);
    assert_eq!(decisions[1].verdict, Verdict::Run);
    assert!(decisions[2..].iter().all(|decision| decision.verdict == Verdict::Settled));
}

#[test]
fn a_run_queued_behind_a_forgotten_plan_moves_no_more_than_that() {
    check(
        "net: vpc=1
         net runs run-1 since 1 person
         net runs run-2 since 9000000 pending
         side: x=2
         app reads net: vpc=1
         app reads side: x=1",
        &expect![[r"
            app: runs, because of acme/side (x)
            net: nothing it reads has changed
            side: nothing it reads has changed
        "]],
    );
}

#[test]
fn a_destroyed_producer_runs_nobody_even_if_another_changed() {
    check(
        "net: destroyed
         side: x=2
         app reads net: vpc=1
         app reads side: x=1",
        &expect![[r"
            app: acme/net was destroyed: a person decides
            net: nothing it reads has changed
            side: nothing it reads has changed
        "]],
    );
}
