//! What operators see: a wave can be followed from the notification to its last run, and what was counted is right.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod emf;
mod programs;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use sluice_domain::Trace;
use sluice_tests::hcp::{Enforcement, Output, RunOptions, RunStatus, RunTaskSpec, Stage, WorkspaceSpec};

use crate::world::{DIAMOND, TOKEN, add, remote, workspace};
use programs::{DIGEST_KEY, GATE_KEY, Installation, Line, REQUEST_ID, TASK_KEY, XRAY};

/// The value of an output, as it would be a secret.
const VALUE: &str = "hunter2-5a1f";

/// The values of a metric, in order.
fn values(lines: &[Line], metric: &str) -> Vec<f64> {
    let mut values = Vec::new();
    for line in lines.iter().filter(|line| line.json.get("_aws").is_some()) {
        values.extend(emf::ours(&line.text, "sluice").remove(metric).into_iter().flatten());
    }
    values
}

/// How often something was counted.
fn sum(lines: &[Line], metric: &str) -> usize {
    // A count is whole, and says so.
    values(lines, metric).iter().map(|value| value.to_string().parse::<usize>().unwrap()).sum()
}

fn text<'a>(line: &'a Line, member: &str) -> Option<&'a str> {
    line.json.get(member)?.as_str()
}

/// Every line is a log line of ours or a metric, belongs to an invocation, and gives nothing away.
#[track_caller]
fn check_lines(installation: &Installation, lines: &[Line]) {
    let token = installation.hcp.token();
    for line in lines {
        match line.json.get("_aws") {
            Some(_) => drop(emf::ours(&line.text, "sluice")),
            None => assert!(text(line, "level").is_some() && text(line, "message").is_some(), "{}", line.text),
        }
        assert_eq!(text(line, "requestId"), Some(REQUEST_ID), "{}", line.text);
        assert_eq!(text(line, "xrayTraceId"), Some(XRAY), "{}", line.text);
        for secret in [token.as_str(), TOKEN, DIGEST_KEY, GATE_KEY, TASK_KEY, VALUE, "terraform_version"] {
            assert!(!line.text.contains(secret), "{} printed {secret}: {}", line.function, line.text);
        }
        for dotted in ["run.id", "workspace.id", "task_result.id", "attempts"] {
            assert!(line.json.get(dotted).is_none(), "{}", line.text);
        }
    }
}

/// The trace of the wave that a run begins.
fn trace_of(installation: &Installation, run: &str) -> String {
    Trace::of_run(&installation.hcp.host().parse().unwrap(), &run.parse().unwrap()).to_string()
}

/// The functions that say something of a run in a wave, by the run.
fn told(lines: &[Line], trace: &str) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut told: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.json.get("_aws").is_none() && text(line, "trace") == Some(trace)) {
        if let Some(run) = text(line, "run") {
            told.entry(run.to_owned()).or_default().insert(line.function);
        }
    }
    told
}

#[tokio::test]
async fn a_small_wave_is_counted_as_it_was() {
    let mut installation = Installation::of(|hcp| {
        add(hcp, "network\n app: network");
        let fixed = WorkspaceSpec::new("vault").auto_apply(true).output("id", Output::fixed("same"));
        hcp.apply_now(&hcp.add_workspace(fixed.reads(remote(hcp, "network"))));
        hcp.apply_now(&hcp.add_workspace(workspace(hcp, "sync", &["vault"])));
    })
    .await;
    let lines = installation.printed().await;
    assert!(!lines.is_empty());
    check_lines(&installation, &lines);

    installation.hcp.change("network", "id", VALUE);
    let root = installation.hcp.start_run("network", RunOptions::new("a change"));
    installation.rest().await;
    let lines = installation.printed().await;
    check_lines(&installation, &lines);
    let last = ["network", "app", "vault"].map(|name| installation.hcp.runs(name).pop().unwrap());
    assert!(last.iter().all(|run| run.status == RunStatus::Applied), "{last:?}");
    assert_eq!(installation.hcp.runs("sync").len(), 1, "it was cut off");

    assert_eq!(sum(&lines, "Waves"), 1);
    assert_eq!(sum(&lines, "RunsCreated"), 2);
    assert_eq!(sum(&lines, "RunsSaved"), 1, "that of sync, as vault did not change");
    let sent = installation.hcp.deliveries().len();
    assert!(sum(&lines, "Notifications") >= 3 && sum(&lines, "Notifications") <= sent);
    assert_eq!(sum(&lines, "NotificationsRefused"), 0);
    let ages = values(&lines, "WorkAgeSeconds");
    assert!(ages.len() >= 8 && ages.iter().all(|age| (0.0..60.0).contains(age)), "{ages:?}");
    let budget = values(&lines, "ApiBudgetLeft");
    assert!(!budget.is_empty() && budget.iter().all(|left| (0.0..=100.0).contains(left)), "{budget:?}");

    // The longest is that of the run which was created last.
    let after = values(&lines, "ApplyToLastRunSeconds");
    let created = last[1..].iter().map(|run| run.created_at).max().unwrap();
    let applied = last[0].finished_at.unwrap();
    let most = after.iter().copied().fold(0.0, f64::max);
    assert_eq!(after.len(), 2);
    let (shortest, upper) = ((created - applied).as_seconds_f64(), (created - last[0].created_at).as_seconds_f64());
    assert!(shortest - 0.002 <= most && most <= upper, "{shortest} <= {most} <= {upper}");

    let trace = trace_of(&installation, &root);
    for line in lines.iter().filter(|line| line.json.get("RunsCreated").is_some()) {
        assert_eq!(text(line, "trace"), Some(trace.as_str()), "{}", line.text);
        assert!(text(line, "run").is_some() && text(line, "workspace").is_some(), "{}", line.text);
    }
}

#[tokio::test]
async fn a_wave_has_one_trace_from_the_notification_to_its_last_run() {
    let mut installation = Installation::of(|hcp| add(hcp, DIAMOND)).await;
    installation.printed().await;
    installation.hcp.change("network", "id", VALUE);
    let root = installation.hcp.start_run("network", RunOptions::new("a change"));
    installation.rest().await;
    let lines = installation.printed().await;
    check_lines(&installation, &lines);
    let trace = trace_of(&installation, &root);
    let told = told(&lines, &trace);
    assert_eq!(told[&root], ["notification-receiver", "state-indexer"].into());
    for name in ["eks", "rds", "app"] {
        let run = installation.hcp.runs(name).pop().unwrap();
        assert!(run.message.contains(&format!(" [trace {trace}] [sluice-")), "{}", run.message);
        assert_eq!(told[&run.id], ["notification-receiver", "run-creator", "state-indexer"].into(), "{name}");
    }
    assert_eq!(told.len(), 4, "nothing else is of this wave: {told:?}");
    let decided = |name: &str| {
        let of = |line: &&Line| text(line, "verdict") == Some("run") && text(line, "workspace") == Some(name);
        lines.iter().filter(of).filter_map(|line| text(line, "trace")).collect::<Vec<_>>()
    };
    assert_eq!(decided("app"), [trace.as_str()]);

    // The next wave is another, and what is pushed without a run has a trace too.
    installation.hcp.push_state("network", "id", "pushed");
    installation.hcp.start_run("eks", RunOptions::new("by hand"));
    installation.rest().await;
    let run = installation.hcp.runs("app").pop().unwrap();
    let other = Trace::in_message(&run.message).map(|trace| trace.to_string());
    assert!(other.is_some_and(|other| other != trace), "{}", run.message);
}

#[tokio::test]
async fn what_is_refused_is_counted_and_belongs_to_nobody() {
    let mut installation = Installation::of(|hcp| add(hcp, "network")).await;
    installation.printed().await;
    assert_eq!(installation.send(r#"{"run_id":"run-1"}"#).await, 401);
    let lines = installation.printed().await;
    check_lines(&installation, &lines);
    assert_eq!((sum(&lines, "NotificationsRefused"), sum(&lines, "Notifications")), (1, 0));
}

#[tokio::test]
async fn sweeper_tells_how_old_work_is_and_how_much_is_dead() {
    use sluice_domain::ports::{FactStore, Worklist, Write};
    use sluice_domain::{Timestamp, WorkKey};

    let mut installation = Installation::of(|hcp| add(hcp, "network")).await;
    installation.printed().await;
    installation.sweep().await;
    let lines = installation.printed().await;
    check_lines(&installation, &lines);
    assert_eq!((values(&lines, "OldestDueWorkSeconds"), values(&lines, "DeadLetters")), (vec![0.0], vec![0.0]));

    let name = |name: &str| format!("{}/acme/{name}", installation.hcp.host()).parse().unwrap();
    let now = sluice_lambda::now();
    let hour = Timestamp(now.0 - 3_600_000);
    let table = &installation.store.table;
    for (workspace, at) in [("a", hour), ("b", now), ("c", hour)] {
        table.commit(&[Write::Look { workspace: name(workspace), at }]).await.unwrap();
    }
    let dead = table.claim(&WorkKey::Look(name("c")), now, 1_000).await.unwrap().unwrap();
    table.bury(&dead, now, "it cannot be").await.unwrap();
    installation.sweep().await;
    let lines = installation.printed().await;
    let oldest = values(&lines, "OldestDueWorkSeconds");
    assert!(oldest.len() == 1 && (3_600.0 * 7.0 / 8.0..=3_600.0).contains(&oldest[0]), "{oldest:?}");
    assert_eq!(values(&lines, "DeadLetters"), [1.0]);
}

#[tokio::test]
async fn the_gate_counts_what_it_is_asked_and_what_it_is_told() {
    let mut installation = Installation::of(|hcp| add(hcp, "network")).await;
    installation.printed().await;
    let guard = json!({ "name": "guard", "hmac_keys": ["env:GUARD_KEY"], "stages": ["post_plan"],
        "checks": [{ "name": "upstream", "kind": "upstream" }] });
    installation.store.table.put_task(&"guard".parse().unwrap(), &guard.to_string()).await.unwrap();
    let spec = RunTaskSpec::new("guard", &format!("{}/run-tasks/guard", installation.url)).hmac_key(TASK_KEY);
    let task = installation.hcp.create_run_task(spec).await.unwrap();
    installation.hcp.attach_run_task("network", &task, Enforcement::Mandatory, &[Stage::PostPlan]);
    installation.printed().await;
    installation.hcp.change("network", "id", VALUE);
    let run = installation.hcp.start_run("network", RunOptions::new("a change"));
    let asked = |hcp: &sluice_tests::hcp::Hcp| hcp.task_results("network").pop().filter(|it| it.acknowledged() == 1);
    let result = installation.hcp.until(asked).await;
    installation.rest().await;
    let lines = installation.printed().await;
    check_lines(&installation, &lines);
    assert_eq!(installation.hcp.run(&run).unwrap().status, RunStatus::Applied);
    assert_eq!(sum(&lines, "RunTasks"), 1);
    assert!(sum(&lines, "CallbacksAccepted") >= 1);
    assert_eq!(sum(&lines, "CallbacksRefused"), 0);
    // One question of the logs shows a task result from the request to the last word.
    let of = |line: &&Line| text(line, "task_result").is_some_and(|it| it.starts_with(&result.id));
    let functions: BTreeSet<_> = lines.iter().filter(of).map(|line| line.function).collect();
    assert_eq!(functions, ["run-task-receiver", "run-task-relay", "task-runner"].into());
    let of_run = |line: &Line| line.json.get("RunTasks").is_some() && text(line, "run") == Some(run.as_str());
    assert!(lines.iter().any(of_run));
}

#[test]
fn every_metric_and_every_field_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observability.md");
    let text = std::fs::read_to_string(path).unwrap();
    for (metric, unit) in sluice_lambda::metrics::ALL {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{metric}` | {unit} |")));
        assert!(row.is_some(), "{metric} ({unit}) has no row");
    }
    for field in ["organization", "workspace", "run", "trace", "work", "attempt", "task_result", "requestId"] {
        assert!(text.contains(&format!("| `{field}` |")), "{field} is not explained");
    }
}
