//! A run that is over while a job runs for it: what nobody waits for any more does not go on.

use serde_json::json;
use sluice_domain::gate::SaidEnd;
use sluice_tests::hcp::{Stage, TaskResultStatus};

use super::scene::{IMAGE, JobScene, STAYS, image};
use crate::gate::scene::{after_plan, assert_failed, until};

/// Longer than HCP Terraform is left without a word.
const HEARTBEAT_MS: u64 = 160_000;

#[tokio::test]
async fn a_run_that_is_canceled_takes_its_job_with_it() {
    let scene = JobScene::restless().await;
    let kubelet = scene.runs(STAYS).await;
    let mut definition = after_plan(&json!([image("check")]));
    definition["timeout_seconds"] = json!(3_000);
    scene.scene.store(&definition).await;
    let result = scene.again().await;
    scene.running(&result, "check").await;
    let run = scene.scene.hcp().task_result(&result).unwrap().run;
    assert!(scene.scene.hcp().cancel(&run));
    let canceled = scene.answer(&result).await;
    assert_eq!((canceled.stage, canceled.status), (Stage::PostPlan, TaskResultStatus::Canceled));
    // It is heard of with the next word on how it goes.
    scene.tell(&result, HEARTBEAT_MS).await;
    scene.cleared().await;
    let state = scene.scene.gated(&result).await.unwrap().state;
    assert!(matches!(state.end, Some(SaidEnd::Refused { .. })), "{state:?}");
    let after = scene.scene.hcp().task_result(&result).unwrap();
    assert_eq!((after.status, after.accepted_finals()), (TaskResultStatus::Canceled, 0), "{after:#?}");
    assert_eq!(kubelet.starts(IMAGE), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_task_that_has_used_up_its_time_takes_its_jobs_with_it() {
    let scene = JobScene::new().await;
    let kubelet = scene.runs(STAYS).await;
    let mut definition = after_plan(&json!([image("check"), image("other")]));
    definition["timeout_seconds"] = json!(2);
    scene.scene.store(&definition).await;
    let result = scene.again().await;
    let answer = scene.answer(&result).await;
    scene.cleared().await;
    assert_failed(&answer);
    assert_eq!(kubelet.starts(IMAGE), 2);
    for check in ["check", "other"] {
        let said = ["came to no end in time", "took longer than it may"];
        assert!(said.iter().any(|said| answer.message.contains(&format!("{check}: {said}"))), "{}", answer.message);
    }
    scene.end().await;
}

#[tokio::test]
async fn a_job_that_nobody_waits_for_is_not_begun() {
    let scene = JobScene::restless().await;
    let kubelet = scene.runs("exit 0").await;
    let mut after = image("after");
    after["needs"] = json!(["check"]);
    let mut first = image("check");
    first["job"]["image"] = json!("registry.example/absent:1");
    let mut definition = after_plan(&json!([first, after]));
    definition["timeout_seconds"] = json!(2);
    scene.scene.store(&definition).await;
    let result = scene.again().await;
    scene.answer(&result).await;
    scene.cleared().await;
    let over = async || {
        let due =
            sluice_sweeper::due(&scene.scene.world.table, sluice_lambda::now().plus_ms(10_000_000)).await.unwrap();
        due.iter().all(|key| !key.to_string().contains("check")).then_some(())
    };
    until("something is due for ever", over).await;
    assert!(scene.jobs_ever(&result, "after").is_empty());
    assert_eq!(kubelet.starts(IMAGE), 0);
    scene.end().await;
}
