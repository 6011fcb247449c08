use std::collections::BTreeSet;

use super::*;
use crate::gate::check::{CheckKind, Stage};
use crate::gate::execution::Progress;
use crate::gate::request::{CallbackUrl, Original};

const START: Timestamp = Timestamp(1_795_168_990_000);

fn at(seconds: u64) -> Timestamp {
    START.plus_ms(seconds * 1000)
}

fn request() -> TaskRequest {
    TaskRequest {
        result: "taskrs-1".parse().unwrap(),
        task: "guard".parse().unwrap(),
        stage: Stage::PostPlan,
        run: "run-1".parse().unwrap(),
        run_created_at: START,
        workspace: "app.terraform.io/acme/network".parse().unwrap(),
        workspace_id: "ws-1".parse().unwrap(),
        speculative: false,
        callback: CallbackUrl(String::new()),
        plan: None,
        configuration: None,
        outcomes: true,
        received_at: START,
        original: Original::default(),
    }
}

/// `+` before a name: advisory; `?`: an error of it passes.
fn check(text: &str) -> Check {
    Check {
        name: text.trim_start_matches(['+', '?']).parse().unwrap(),
        kind: CheckKind::Preview,
        enforcement: if text.starts_with('+') { Enforcement::Advisory } else { Enforcement::Mandatory },
        stages: BTreeSet::from([Stage::PostPlan]),
        needs: BTreeSet::new(),
        timeout_seconds: 600,
        on_error: if text.starts_with('?') { OnError::Pass } else { OnError::Fail },
    }
}

fn gated(checks: &[&str]) -> Gated {
    let checks = checks.iter().map(|text| check(text)).collect();
    let admission = Admission { request: request(), checks, deadline: at(1800), outright: None };
    Gated { admission, executions: BTreeMap::new(), seq: BTreeMap::new(), state: State::default(), version: 0 }
}

fn ended(gated: &mut Gated, name: &str, seconds: u64, verdict: CheckVerdict) {
    let end = Some(Ended::new(at(seconds), verdict, format!("{verdict:?}").to_lowercase()));
    gated.executions.insert(name.parse().unwrap(), Execution { end, ..Execution::default() });
}

fn told(gated: &Gated, seconds: u64) -> String {
    match answer(gated, at(seconds)) {
        Answer::Over => "over".to_owned(),
        Answer::Nothing(until) => format!("nothing until {}", until.since_ms(START) / 1000),
        Answer::Progress(report) | Answer::Last(report) => format!("{}: {}", report.status, report.message),
    }
}

#[test]
fn a_result_passes_when_every_check_is_over_and_none_that_counts_failed() {
    use CheckVerdict::{Errored, Failed, Passed};
    for (checks, expect) in [
        (&[("a", Passed), ("b", Passed)][..], "passed: a: passed; b: passed"),
        (&[("a", Passed), ("b", Failed)], "failed: b: failed; a: passed"),
        (&[("a", Passed), ("+b", Failed)], "passed: b: failed; a: passed"),
        (&[("a", Errored)], "failed: a: errored"),
        (&[("?a", Errored)], "passed: a: errored"),
        (&[("?a", Failed)], "failed: a: failed"),
        (&[("+a", Errored), ("b", Passed)], "passed: a: errored; b: passed"),
    ] {
        let names: Vec<&str> = checks.iter().map(|(name, _)| *name).collect();
        let mut gated = gated(&names);
        for (name, verdict) in checks {
            ended(&mut gated, name.trim_start_matches(['+', '?']), 1, *verdict);
        }
        assert_eq!(told(&gated, 2), expect);
    }
}

#[test]
fn hcp_terraform_hears_something_every_few_minutes_while_anything_runs() {
    let mut gated = gated(&["a", "b"]);
    assert_eq!(told(&gated, 0), "nothing until 150");
    assert_eq!(told(&gated, 149), "nothing until 150");
    assert_eq!(told(&gated, 150), "running: 0 of 2 checks are done. a: is about to run; b: is about to run");
    gated.state.said_at = Some(at(150));
    assert_eq!(told(&gated, 151), "nothing until 300");
    ended(&mut gated, "a", 160, CheckVerdict::Failed);
    assert_eq!(told(&gated, 160), "running: 1 of 2 checks are done. a: failed; b: is about to run");
    gated.state.said_at = Some(at(161));
    assert_eq!(told(&gated, 162), "nothing until 311");
}

#[test]
fn news_waits_until_there_was_time_to_breathe() {
    let mut gated = gated(&["a", "b", "c"]);
    ended(&mut gated, "a", 1, CheckVerdict::Passed);
    assert_eq!(told(&gated, 1), "nothing until 10");
    ended(&mut gated, "b", 2, CheckVerdict::Passed);
    ended(&mut gated, "c", 3, CheckVerdict::Passed);
    assert_eq!(told(&gated, 3), "passed: a: passed; b: passed; c: passed");
}

#[test]
fn when_the_time_is_over_what_has_not_ended_counts_as_an_error() {
    let mut gated = gated(&["a", "?b", "+c"]);
    assert_eq!(told(&gated, 1799).split(':').next(), Some("running"));
    assert_eq!(
        told(&gated, 1800),
        "failed: a: came to no end in time; b: came to no end in time; c: came to no end in time"
    );
    ended(&mut gated, "a", 5, CheckVerdict::Passed);
    assert!(told(&gated, 1800).starts_with("passed: b: came to no end in time"));
}

#[test]
fn the_last_word_stays_what_it_was_and_is_said_until_it_was_heard() {
    let mut gated = gated(&["a"]);
    let message = "a: came to no end in time".to_owned();
    gated.state.verdict = Some(Said { status: ReportStatus::Failed, message, at: at(1800) });
    ended(&mut gated, "a", 1801, CheckVerdict::Passed);
    assert_eq!(told(&gated, 1802), "failed: a: came to no end in time");
    gated.state.end = Some(SaidEnd::Accepted { at: at(1803) });
    assert_eq!(told(&gated, 1804), "over");
}

#[test]
fn outcomes_carry_the_name_of_their_check_and_the_worst_come_first() {
    let mut gated = gated(&["a", "b"]);
    ended(&mut gated, "a", 1, CheckVerdict::Passed);
    ended(&mut gated, "b", 1, CheckVerdict::Failed);
    let found = Outcome { id: "S3-1".into(), description: "public".into(), ..Outcome::default() };
    let execution = gated.executions.get_mut(&"b".parse::<CheckName>().unwrap()).unwrap();
    execution.end.as_mut().unwrap().outcomes = vec![found];
    let Answer::Last(report) = answer(&gated, at(2)) else { panic!("it is over") };
    let shown: Vec<_> = report.outcomes.iter().map(|it| (it.id.as_str(), it.description.as_str())).collect();
    assert_eq!(shown, [("b", "b: failed"), ("b.S3-1", "public"), ("a", "a: passed")]);
}

#[test]
fn what_another_checker_found_on_the_way_stays_found() {
    let outcome = |id: &str, text: &str| Outcome { id: id.into(), description: text.into(), ..Outcome::default() };
    let report = |status, outcomes| Report { status, message: "m".into(), url: None, outcomes };
    let mut execution = Execution { handed_on: true, started_at: Some(START), ..Execution::default() };
    assert!(execution.hear(report(ReportStatus::Running, vec![outcome("1", "old"), outcome("2", "kept")]), at(60)));
    assert_eq!(execution.silent_at(), Some(at(660)));
    assert!(execution.hear(report(ReportStatus::Failed, vec![outcome("1", "new")]), at(61)));
    let end = execution.end.clone().unwrap();
    assert_eq!(end.outcomes, [outcome("2", "kept"), outcome("1", "new")]);
    assert_eq!(execution.progress, None::<Progress>);
    assert!(!execution.hear(report(ReportStatus::Passed, Vec::new()), at(62)));
    assert_eq!(execution.end, Some(end));
}

#[test]
fn another_checkers_silence_counts_from_its_last_word_and_not_from_what_was_known_before() {
    let known = Progress { at: at(10), message: "waits".into(), url: None, outcomes: Vec::new() };
    let asked = Execution { handed_on: true, started_at: Some(at(100)), progress: Some(known), ..Execution::default() };
    assert_eq!(asked.silent_at(), Some(at(700)));
    // It answers before it is written down that it was asked.
    let mut hasty = Execution::default();
    let running = Report { status: ReportStatus::Running, message: "m".into(), url: None, outcomes: Vec::new() };
    assert!(hasty.hear(running.clone(), at(5)));
    assert_eq!((hasty.started_at, hasty.silent_at()), (Some(at(5)), Some(at(605))));
    // A word that was held up does not make it silent for longer.
    assert!(hasty.hear(running, at(3)));
    assert_eq!(hasty.silent_at(), Some(at(605)));
}

#[test]
fn a_report_is_cut_to_what_hcp_terraform_takes() {
    let long = "ä".repeat(20_000);
    let tags: Vec<Tag> =
        (0..400).map(|n| Tag::new(&format!("h{}", n % 12), &format!("{n} {}", &long[..100]), Level::Info)).collect();
    let lines = "```mermaid\n".to_owned() + &"a --> b\n".repeat(5_000);
    let outcome = |n: usize| Outcome {
        id: format!("{n} {long}"),
        description: long.clone(),
        tags: tags.clone(),
        body: Some(lines.clone()),
        url: Some(format!("https://x.example/{long}")),
    };
    let reported = |outcomes: Vec<Outcome>| {
        let url = Some("not a url".into());
        Report { status: ReportStatus::Failed, message: long.clone(), url, outcomes }.cut()
    };
    let report = reported((0..400).map(outcome).collect());
    assert_eq!(report.message.chars().count(), 1000);
    assert_eq!(report.url, None);
    let (last, kept) = report.outcomes.split_last().unwrap();
    assert!(last.description.ends_with("more outcomes are left out: there are too many to be shown"));
    let bytes: usize = kept.iter().map(|outcome| serde_json::to_string(outcome).unwrap().len()).sum();
    assert!((500_000..=1_000_000).contains(&bytes), "{bytes}");
    for outcome in kept {
        assert!(outcome.id.chars().count() <= 64 && outcome.description.chars().count() <= 1000);
        let body = outcome.body.as_ref().unwrap();
        assert!(
            body.chars().count() <= 10_000 && body.ends_with("```\n\n*… cut here: the rest is too long to be shown.*")
        );
        let headings: BTreeSet<&str> = outcome.tags.iter().map(|tag| tag.heading.as_str()).collect();
        assert_eq!(headings.len(), 10);
        assert!(outcome.tags.iter().all(|tag| tag.label.chars().count() <= 32));
        assert!(headings.iter().all(|name| outcome.tags.iter().filter(|tag| tag.heading == **name).count() <= 32));
        assert_eq!(outcome.url, None);
    }
    let short = |n: usize| Outcome { id: format!("{n}"), description: "short".into(), ..Outcome::default() };
    let report = reported((0..400).map(short).collect());
    assert_eq!(report.outcomes.len(), 250);
    assert_eq!(report.outcomes[249].description, "151 more outcomes are left out: there are too many to be shown");
    let empty = Report { status: ReportStatus::Passed, message: " ".into(), url: None, outcomes: Vec::new() }.cut();
    assert_eq!(empty.message, "passed");
}

#[test]
fn an_end_has_no_more_words_than_the_table_holds() {
    let end = Ended::new(at(1), CheckVerdict::Failed, "word ".repeat(100_000));
    assert_eq!(end.message.chars().count(), 1_000);
    assert!(end.message.ends_with('…'));
}
