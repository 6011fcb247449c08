//! Checkers that other people wrote for HCP Terraform, unchanged, behind an `http` check: they take Sluice for that.
//!
//! Each is a program that some variables name; where they do not, the tests say what they skip.
//!
//! | variable | names |
//! |---|---|
//! | `SLUICE_GO_TFE_CHECKER` | what `tests/checkers/go-tfe` builds |
//! | `SLUICE_CHECKER` | any other that lets an ordinary plan pass and refuses what is not signed with its key |
//! | `SLUICE_CHECKER_ARGUMENTS` | the arguments of that, separated by spaces; `{port}` and `{key}` stand for its port and its key |
//! | `SLUICE_CHECKER_PATH` | the path of its URL; by default `/` |
//!
//! Whatever a program makes of it, it has `PORT`, `HMAC_KEY` and `DENY` in its environment.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sluice_tests::hcp::{
    Enforcement, Hcp, RunOptions, RunStatus, RunTaskSpec, Stage as TaskStage, TaskResultStatus, TaskResultView, Timings,
};

use crate::serve::program::vars;
use crate::serve::stage::Stage;

const TASK_KEY: &str = "task-hmac-2c41";
const CHECKER_KEY: &str = "checker-hmac-9e07";
const DENIED: &str = "forbidden";

/// How long a program may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.into_string().unwrap())
}

/// How a checker is started.
#[derive(Debug)]
struct Program {
    file: String,
    arguments: String,
    /// Of its URL.
    path: String,
}

impl Program {
    fn go_tfe() -> Option<Self> {
        let file = variable("SLUICE_GO_TFE_CHECKER")?;
        Some(Self { file, arguments: String::new(), path: "/".to_owned() })
    }

    fn other() -> Option<Self> {
        Some(Self {
            file: variable("SLUICE_CHECKER")?,
            arguments: variable("SLUICE_CHECKER_ARGUMENTS").unwrap_or_default(),
            path: variable("SLUICE_CHECKER_PATH").unwrap_or_else(|| "/".to_owned()),
        })
    }

    /// Those that are there.
    fn all() -> Vec<Self> {
        let all: Vec<_> = Self::go_tfe().into_iter().chain(Self::other()).collect();
        if all.is_empty() {
            println!("skipped: neither SLUICE_GO_TFE_CHECKER nor SLUICE_CHECKER names a checker");
        }
        all
    }
}

/// A checker that listens, and ends with the test.
struct Checker {
    child: Child,
    url: String,
}

impl Checker {
    async fn start(program: &Program, key: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let port = address.port().to_string();
        let argument = |argument: &str| argument.replace("{port}", &port).replace("{key}", key);
        let child = Command::new(&program.file)
            .args(program.arguments.split_whitespace().map(argument))
            .env_clear()
            .envs([("PORT", port.as_str()), ("HMAC_KEY", key), ("DENY", DENIED)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let checker = Self { child, url: format!("http://{address}{}", program.path) };
        let listening = async {
            while TcpStream::connect(address).is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.unwrap_or_else(|_| panic!("{program:?} does not listen"));
        checker
    }

    /// Ends its standard input, which one of our own waits for before it gives its verdict.
    fn release(&mut self) {
        drop(self.child.stdin.take());
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `sluice serve` whose run task `gate` hands everything on to `checker`, and `network`, which has to ask it.
async fn gated(checker: &Checker, stages: &[TaskStage]) -> Stage {
    let more =
        vars([("SLUICE_CHECKER_HOSTS", "127.0.0.1"), ("TASK_HMAC_KEY", TASK_KEY), ("CHECKER_HMAC_KEY", CHECKER_KEY)]);
    let stage = Stage::with("network", Timings::default(), more).await;
    let check = json!({ "name": "theirs", "kind": "http", "url": checker.url, "hmac_key": "env:CHECKER_HMAC_KEY" });
    let stages_asked: Vec<_> = stages.iter().map(|stage| stage.as_str()).collect();
    let task = json!({
        "name": "gate", "hmac_keys": ["env:TASK_HMAC_KEY"], "stages": stages_asked, "timeout_seconds": 60,
        "checks": [check],
    });
    let file = stage.data().join("tasks.json");
    std::fs::write(&file, json!({ "tasks": [task] }).to_string()).unwrap();
    let stored = stage.sluice(&["tasks", file.to_str().unwrap()]).await;
    assert_eq!(stored.code, Some(0), "{}", stored.stderr);
    let spec = RunTaskSpec::new("gate", &format!("{}/run-tasks/gate", stage.url)).hmac_key(TASK_KEY);
    let task = stage.hcp.create_run_task(spec).await.unwrap();
    stage.hcp.attach_run_task("network", &task, Enforcement::Mandatory, stages);
    stage
}

/// A run that gives the output `id` this value, and its results once they are there.
async fn run(stage: &Stage, value: &str, results: usize) -> (String, Vec<TaskResultView>) {
    let run = stage.change("network", value);
    let results = stage.hcp.task_results_done("network", results).await;
    stage.hcp.settled().await;
    (run, results)
}

/// Exactly one last word, and none of HCP Terraform's tokens in the log.
fn assert_sound(stage: &Stage, results: &[TaskResultView]) {
    for result in results {
        assert_eq!((result.accepted_finals(), result.acknowledged()), (1, 1), "{result:?}");
    }
    let log = stage.server.as_ref().unwrap().log();
    for secret in stage.hcp.access_tokens().iter().map(String::as_str).chain([TASK_KEY, CHECKER_KEY]) {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// Has `sluice` tell checkers that it is on another host than HCP Terraform, as it is in life: who is redirected to
/// another host drops the token, as the archivist wants it, and Go's client knows hosts apart by their names alone.
async fn move_to_another_host(stage: &mut Stage) {
    let port = stage.url.rsplit(':').next().unwrap();
    stage.vars.insert("SLUICE_PUBLIC_URL".to_owned(), format!("http://localhost:{port}"));
    stage.terminate().await;
    stage.restart().await;
}

#[tokio::test]
async fn a_checker_answers_where_sluice_serve_listens() {
    for program in Program::all() {
        let mut checker = Checker::start(&program, CHECKER_KEY).await;
        checker.release();
        let stage = gated(&checker, &[TaskStage::PrePlan]).await;
        let (run, results) = run(&stage, "2", 1).await;
        assert_eq!(results[0].status, TaskResultStatus::Passed, "{program:?}: {results:?}");
        assert_eq!(stage.hcp.run(&run).unwrap().status, RunStatus::Applied);
        assert_sound(&stage, &results);
    }
}

#[tokio::test]
async fn a_checker_written_for_hcp_terraform_works_unchanged() {
    for program in Program::all() {
        let mut checker = Checker::start(&program, CHECKER_KEY).await;
        checker.release();
        let mut stage = gated(&checker, &[TaskStage::PrePlan, TaskStage::PostPlan]).await;
        move_to_another_host(&mut stage).await;
        let (run, results) = run(&stage, "2", 2).await;
        for (result, asked) in results.iter().zip([TaskStage::PrePlan, TaskStage::PostPlan]) {
            assert_eq!((result.stage, result.status), (asked, TaskResultStatus::Passed), "{program:?}: {result:?}");
            // Its own words follow.
            assert!(result.message.starts_with("theirs: ") && result.message.len() > 10, "{}", result.message);
        }
        assert_eq!(stage.hcp.run(&run).unwrap().status, RunStatus::Applied);
        assert_sound(&stage, &results);
        println!("{program:?} said {:?}", results.iter().map(|result| &result.message).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_checker_with_another_key_refuses_and_that_is_told() {
    for program in Program::all() {
        let mut checker = Checker::start(&program, "a key that was replaced").await;
        checker.release();
        let stage = gated(&checker, &[TaskStage::PostPlan]).await;
        let (run, results) = run(&stage, "2", 1).await;
        assert_eq!(results[0].status, TaskResultStatus::Failed, "{program:?}");
        let why = "answered with status 401 instead of 200: its HMAC key may be another";
        assert!(results[0].message.contains(why), "{}", results[0].message);
        assert_eq!(results[0].outcomes[0]["tags"]["Status"], json!([{"label": "Error", "level": "error"}]));
        assert_eq!(stage.hcp.run(&run).unwrap().status, RunStatus::Errored);
        assert_sound(&stage, &results);
    }
}

/// The statuses that HCP Terraform has accepted for the one result of `network`, in order.
fn accepted(hcp: &Hcp) -> Vec<String> {
    let result = hcp.task_results("network").pop();
    let callbacks = result.map(|result| result.callbacks).unwrap_or_default();
    callbacks.into_iter().filter(|it| it.accepted).filter_map(|it| it.status).collect()
}

#[tokio::test]
async fn what_a_checker_of_go_tfe_says_on_the_way_and_finds_reaches_hcp_terraform() {
    let Some(program) = Program::go_tfe() else {
        println!("skipped: SLUICE_GO_TFE_CHECKER does not name what tests/checkers/go-tfe builds");
        return;
    };
    let mut checker = Checker::start(&program, CHECKER_KEY).await;
    let mut stage = gated(&checker, &[TaskStage::PostPlan]).await;
    move_to_another_host(&mut stage).await;
    stage.hcp.change("network", "id", DENIED);
    let run = stage.hcp.start_run("network", RunOptions::new("a change"));

    let running = |hcp: &Hcp| {
        let result = hcp.task_results("network").pop()?;
        result.message.contains("theirs: reading the plan").then_some(result)
    };
    let result = stage.hcp.until(running).await;
    assert_eq!(result.status, TaskResultStatus::Running);
    assert_eq!(result.message, "0 of 1 checks are done. theirs: reading the plan");

    checker.release();
    let results = stage.hcp.task_results_done("network", 1).await;
    stage.hcp.settled().await;
    let result = &results[0];
    assert_eq!((result.status, result.message.as_str()), (TaskResultStatus::Failed, "theirs: 1 outputs are denied"));
    assert_eq!(result.url, Some(format!("https://checker.example/runs/{run}")));
    let found = |outcome: &&Value| outcome["outcome-id"] == "theirs.DENIED-id";
    let outcome = result.outcomes.as_array().unwrap().iter().find(found);
    let expected = json!({
        "outcome-id": "theirs.DENIED-id",
        "description": "output id is forbidden",
        "body": "# Fix\n\nGive it another value.",
        "url": "https://checker.example/DENIED-id",
        "tags": {
            "Severity": [{ "label": "High", "level": "error" }],
            "Owner": [{ "label": "network", "level": "none" }],
        },
    });
    assert_eq!(outcome, Some(&expected), "{}", result.outcomes);
    let accepted = accepted(&stage.hcp);
    assert_eq!(accepted.last().map(String::as_str), Some("failed"));
    assert!(accepted[..accepted.len() - 1].iter().all(|status| status == "running"), "{accepted:?}");
    assert_eq!(stage.hcp.run(&run).unwrap().status, RunStatus::Errored);
    assert_sound(&stage, &results);
}
