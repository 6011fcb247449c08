use super::*;
use crate::digest::of_texts;
use crate::facts::{ActiveRun, Edge, Outputs, StateFacts};
use crate::gate::request::{CallbackUrl, Original};
use crate::run::Standing;

const RUN_CREATED: Timestamp = Timestamp(1_000);

fn workspace(name: &str) -> Workspace {
    format!("app.terraform.io/acme/{name}").parse().unwrap()
}

fn outputs(value: &str) -> Outputs {
    Outputs::from([("id".to_owned(), of_texts([value]))])
}

/// `c reads a b`, all up to date.
fn world(text: &str) -> BTreeMap<Workspace, Facts> {
    let of = |line: &str| {
        let (name, reads) = line.split_once(" reads ").unwrap_or((line, ""));
        let edge = |producer| Edge { observed: outputs(producer), ..Edge::default() };
        let producers = reads.split_whitespace().map(|producer| (workspace(producer), edge(producer))).collect();
        let state = StateFacts::new(format!("sv-{name}").parse().unwrap(), 1, None, Timestamp(1));
        (workspace(name), Facts { outputs: outputs(name), state: Some(state), producers, ..Facts::default() })
    };
    text.lines().map(of).collect()
}

fn changed(facts: &mut BTreeMap<Workspace, Facts>, name: &str, at: u64) {
    let own = facts.get_mut(&workspace(name)).unwrap();
    own.outputs = outputs("another value");
    own.state = Some(StateFacts::new("sv-later".parse().unwrap(), 2, None, Timestamp(at)));
}

fn running(facts: &mut BTreeMap<Workspace, Facts>, name: &str) {
    let run = ActiveRun { created_at: Timestamp(5), standing: Standing::Applying, since: Timestamp(5), inputs: None };
    facts.get_mut(&workspace(name)).unwrap().active.insert("run-9".parse().unwrap(), run);
}

fn told(facts: BTreeMap<Workspace, Facts>, unsettled: Unsettled) -> String {
    told_at(Stage::PreApply, facts, unsettled)
}

fn told_at(stage: Stage, facts: BTreeMap<Workspace, Facts>, unsettled: Unsettled) -> String {
    let request = TaskRequest {
        result: "taskrs-1".parse().unwrap(),
        task: "guard".parse().unwrap(),
        stage,
        run: "run-9".parse().unwrap(),
        run_created_at: RUN_CREATED,
        workspace: workspace("app"),
        workspace_id: "ws-1".parse().unwrap(),
        speculative: false,
        callback: CallbackUrl(String::new()),
        plan: None,
        configuration: None,
        outcomes: true,
        received_at: Timestamp(2_000),
        original: Original::default(),
    };
    let upstream = seen(facts, &request, &Policy::default(), Timestamp(2_000));
    match upstream.judge(unsettled, Timestamp(2_000)) {
        Some(end) => format!("{}: {}", end.verdict, end.message),
        None => format!("waits: {}", upstream.sentence()),
    }
}

#[test]
fn where_nothing_moves_and_nothing_is_newer_it_passes() {
    let calm = "passed: everything above is settled";
    assert_eq!(told(world("net\napp reads net"), Unsettled::Fail), calm);
    let unknown = "passed: nothing is known yet of what this workspace reads";
    assert_eq!(told(BTreeMap::new(), Unsettled::Fail), unknown);
    // What runs below or beside is no concern of its own.
    let mut facts = world("net\napp reads net\nother reads net");
    running(&mut facts, "app");
    assert_eq!(told(facts.clone(), Unsettled::Wait), calm);
}

#[test]
fn a_run_above_however_far_is_told() {
    let mut facts = world("root\nnet reads root\napp reads net");
    running(&mut facts, "root");
    let words = "acme/root above is not settled yet";
    assert_eq!(told(facts.clone(), Unsettled::Fail), format!("failed: {words}"));
    assert_eq!(told(facts.clone(), Unsettled::Warn), format!("passed: {words}"));
    assert_eq!(told(facts, Unsettled::Wait), format!("waits: {words}"));
}

#[test]
fn what_is_stale_above_and_about_to_run_is_not_settled() {
    let mut facts = world("root\nnet reads root\napp reads net");
    changed(&mut facts, "root", 500);
    assert_eq!(told(facts, Unsettled::Fail), "failed: acme/net above is not settled yet");
}

#[test]
fn a_plan_older_than_what_it_reads_is_stale_and_waiting_does_not_mend_it() {
    let mut facts = world("net\napp reads net");
    changed(&mut facts, "net", 1_500);
    let words = "the plan is older than what it reads of acme/net: start a new run";
    assert_eq!(told(facts.clone(), Unsettled::Fail), format!("failed: {words}"));
    assert_eq!(told(facts, Unsettled::Wait), format!("failed: {words}"));
    // What changed before the run was created, its plan has seen.
    let mut facts = world("net\napp reads net");
    changed(&mut facts, "net", 500);
    assert_eq!(told(facts, Unsettled::Fail), "passed: everything above is settled");
}

#[test]
fn before_the_plan_and_right_after_it_nothing_is_newer_than_the_plan() {
    let mut facts = world("net\napp reads net");
    changed(&mut facts, "net", 1_500);
    for stage in [Stage::PrePlan, Stage::PostPlan] {
        assert_eq!(told_at(stage, facts.clone(), Unsettled::Wait), "passed: everything above is settled");
    }
    // Where it is known when the plan was there, that counts, rather than when the run was created.
    let planned = ActiveRun {
        created_at: RUN_CREATED,
        standing: Standing::AwaitingPerson,
        since: Timestamp(1_600),
        inputs: None,
    };
    facts.get_mut(&workspace("app")).unwrap().active.insert("run-9".parse().unwrap(), planned);
    assert_eq!(told(facts, Unsettled::Fail), "passed: everything above is settled");
}

#[test]
fn what_it_is_in_a_cycle_with_is_not_above_it() {
    let mut facts = world("net reads app\napp reads net");
    running(&mut facts, "net");
    assert_eq!(told(facts, Unsettled::Fail), "passed: everything above is settled");
}
