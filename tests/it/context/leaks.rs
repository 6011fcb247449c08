//! `sluice serve` that prints all it can: nothing of a context, and no token.

use serde_json::json;
use sluice_domain::TaskResultId;
use sluice_tests::hcp::{Enforcement, RunOptions, RunTaskSpec, Stage as TaskStage, Timings};

use super::scene::{Asker, token, url};
use crate::gate::checker::Checker;
use crate::gate::leaks::assert_absent;
use crate::gate::scene::{CHECKER_KEY, KEY, after_plan};
use crate::serve::client;
use crate::serve::program::vars;
use crate::serve::stage::Stage;

const OPERATOR: &str = "operator-3b9f-secret";
const GATE_KEY: &str = "gate-key-81d2-secret";
const TEXT: &str = "what-a-check-left-for-another";

#[tokio::test]
async fn neither_a_document_nor_a_token_is_ever_printed() {
    let more = vars([
        ("TASK_KEY", KEY),
        ("CHECKER_KEY", CHECKER_KEY),
        ("SLUICE_CHECKER_HOSTS", "127.0.0.0/8"),
        ("SLUICE_GATE_KEY", GATE_KEY),
        ("SLUICE_OPERATOR_TOKEN", OPERATOR),
        ("SLUICE_LOG", "trace"),
    ]);
    let mut stage = Stage::with("a", Timings::default(), more).await;
    let checker = Checker::start(CHECKER_KEY).await;
    let file = stage.data().join("tasks.json");
    std::fs::write(&file, json!({ "tasks": [after_plan(&json!([checker.check()]))] }).to_string()).unwrap();
    stage.sluice(&["tasks", file.to_str().unwrap()]).await;
    let spec = RunTaskSpec::new("guard", &format!("{}/run-tasks/guard", stage.url)).hmac_key(KEY);
    let task = stage.hcp.create_run_task(spec).await.unwrap();
    stage.hcp.attach_run_task("a", &task, Enforcement::Mandatory, &[TaskStage::PostPlan]);
    stage.hcp.touch("a");
    let run = stage.hcp.start_run("a", RunOptions::new("gated"));
    checker.asked(1).await;
    let result: TaskResultId = stage.hcp.task_results("a").pop().unwrap().id.parse().unwrap();
    let token = token(GATE_KEY, &run.parse().unwrap(), &result.of(&"guard".parse().unwrap()), "cost");
    let check = Asker { client: client(), url: url(&stage.url, &run), token: Some(token.clone()) };

    let document = json!({ TEXT: TEXT }).to_string();
    assert_eq!(check.post(document.clone()).await.document(), document);
    check.patch(json!({ "more": TEXT.repeat(20_000) }).to_string()).await.document();
    check.with(Some(OPERATOR)).get().await.document();
    check.post(format!("{TEXT} is no JSON")).await.refused(400);
    check.post(format!("\"{TEXT}\"")).await.refused(400);
    check.post(format!("{{\"{TEXT}\":{TEXT}}}")).await.refused(400);
    check.with(Some(TEXT)).get().await.refused(401);
    check.with(Some(&token[1..])).get().await.refused(401);
    check.at(url(&stage.url, "run-other")).get().await.refused(403);
    check.at(url(&stage.url, TEXT)).get().await.refused(404);

    let (code, log) = stage.terminate().await;
    assert_eq!(code, Some(0));
    for told in ["an operator", "check cost of", "POST", "PATCH", "403", &run] {
        assert!(log.contains(told), "{told} is not in the log:\n{log}");
    }
    let mac = token.rsplit('~').next().unwrap();
    for secret in [TEXT, OPERATOR, GATE_KEY, mac] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{line:?}");
    }
    assert_absent(&stage.hcp, "the log", &log);
}
