//! Run tasks of an organization, and the workspaces that ask them.

use serde_json::json;
use sluice_tests::hcp::{AttachmentView, Enforcement, RunTaskSpec, Stage, TokenKind, WorkspaceSpec};

use super::scene::{Scene, TASK_KEY, guard};
use crate::serve::program::{API_TOKEN, NOTIFICATION_TOKEN};

async fn scene() -> Scene {
    let mut watch = guard();
    watch["name"] = json!("watch");
    watch["stages"] = json!(["pre_plan", "post_plan"]);
    watch["workspaces"] = json!(["app*"]);
    watch["checks"] = json!([{ "name": "above", "kind": "upstream", "enforcement": "advisory" }]);
    let mut off = guard();
    (off["name"], off["enabled"]) = (json!("off"), json!(false));
    let scene = Scene::new(300, &[guard(), watch, off]).await;
    for name in ["app", "db", "laptop"] {
        let mode = if name == "laptop" { "local" } else { "remote" };
        scene.hcp.add_workspace(WorkspaceSpec::new(name).execution_mode(mode));
    }
    scene
}

fn attached(workspace: &str, enforcement: Enforcement, stages: &[Stage]) -> AttachmentView {
    AttachmentView { workspace: workspace.to_owned(), enforcement, stages: stages.iter().copied().collect() }
}

#[tokio::test]
async fn definitions_become_run_tasks_that_the_workspaces_ask() {
    let scene = scene().await;
    let told = scene.connects(&["--yes", "--only", "run-tasks"], 0).await;
    assert!(told.contains("  + run task guard: attach it to app, mandatory at post_plan\n"), "{told}");
    assert!(told.contains("  . run task off: it is not enabled\n"), "{told}");
    let task = scene.run_task("guard");
    assert_eq!((task.url, task.hmac_key.as_deref()), (format!("{}/run-tasks/guard", scene.door.url), Some(TASK_KEY)));
    let both = ["app", "db"].map(|name| attached(name, Enforcement::Mandatory, &[Stage::PostPlan]));
    assert_eq!(task.attachments, both);
    let watched = attached("app", Enforcement::Advisory, &[Stage::PrePlan, Stage::PostPlan]);
    assert_eq!(scene.run_task("watch").attachments, [watched]);
    assert_eq!((scene.hcp.run_tasks().len(), scene.hcp.notifications()), (2, vec![]));

    let writes = scene.writes().len();
    assert!(scene.connects(&["--yes", "--only", "run-tasks"], 0).await.ends_with("nothing to do\n"));
    assert_eq!(scene.writes().len(), writes);

    scene.connects(&["--yes", "--only", "run-tasks", "--enforcement-level", "advisory"], 0).await;
    assert!(scene.run_task("guard").attachments.iter().all(|it| it.enforcement == Enforcement::Advisory));
    assert!(scene.connects(&["--yes", "--only", "run-tasks"], 0).await.ends_with("nothing to do\n"), "a choice stands");

    scene.connects(&["--yes", "--disconnect", "--workspace", "app"], 0).await;
    assert_eq!(scene.run_task("guard").attachments.len(), 1);
    scene.connects(&["--yes", "--disconnect"], 0).await;
    assert!(scene.hcp.run_tasks().is_empty());
}

#[tokio::test]
async fn a_former_endpoint_a_lost_key_and_a_stage_too_many_are_mended() {
    let scene = scene().await;
    // Both are at the same door here, which knows them by the path alone.
    let former = scene.door.url.replace("127.0.0.1", "localhost");
    let spec = RunTaskSpec::new("gate", &format!("{former}/run-tasks/guard")).hmac_key(TASK_KEY);
    let id = scene.hcp.create_run_task(spec).await.unwrap();
    scene.hcp.attach_run_task("app", &id, Enforcement::Advisory, &[Stage::PrePlan, Stage::PostPlan]);
    let arguments = ["--yes", "--only", "run-tasks", "--replaces", &former];
    scene.connects(&arguments, 0).await;
    let task = scene.run_task("gate");
    assert_eq!((task.id, task.url), (id.clone(), format!("{}/run-tasks/guard", scene.door.url)));
    let [one, other] = [("app", Enforcement::Advisory), ("db", Enforcement::Mandatory)];
    assert_eq!(task.attachments, [one, other].map(|(name, level)| attached(name, level, &[Stage::PostPlan])));

    scene.connects(&["--yes", "--only", "run-tasks", "--global"], 0).await;
    let global = scene.run_task("gate").global.unwrap();
    assert_eq!(global, (Enforcement::Mandatory, [Stage::PostPlan].into()));
    assert!(scene.connects(&["--yes", "--only", "run-tasks", "--global"], 0).await.ends_with("nothing to do\n"));
    let writes = scene.writes().len();
    scene.connects(&["--yes", "--only", "run-tasks", "--rotate"], 0).await;
    assert_eq!(scene.writes().len(), writes + 2, "each key is written once more");
}

#[tokio::test]
async fn what_a_run_task_lacks_is_told_and_stops_nobody_else() {
    let mut scene = scene().await;
    scene
        .hcp
        .create_run_task(RunTaskSpec::new("watch", &format!("{}/run-tasks/guard", scene.door.url)))
        .await
        .unwrap_err();
    *scene.door.answers.lock().unwrap() = Some(200);
    scene.hcp.create_run_task(RunTaskSpec::new("watch", "http://127.0.0.1:1/x")).await.unwrap_err();
    let elsewhere = format!("{}/elsewhere", scene.door.url);
    scene.hcp.create_run_task(RunTaskSpec::new("watch", &elsewhere)).await.unwrap();
    *scene.door.answers.lock().unwrap() = None;
    let told = scene.connects(&["--yes", "--only", "run-tasks"], 1).await;
    let taken =
        format!("  ! run task watch: the organization has a run task of this name, which asks {}: ", scene.door.url);
    assert!(told.contains(&taken), "{told}");
    assert_eq!(scene.run_task("guard").attachments.len(), 2);
    scene.connects(&["--yes", "--disconnect", "--only", "run-tasks"], 0).await;

    scene.vars.remove("GUARD_KEY");
    let told = scene.connects(&["--yes", "--only", "run-tasks"], 1).await;
    assert!(told.contains("run task guard  its key cannot be had here: env:GUARD_KEY holds no text\n"), "{told}");
    scene.vars.insert("GUARD_KEY".to_owned(), "another".to_owned());
    let told = scene.connects(&["--yes", "--only", "run-tasks"], 1).await;
    assert!(told.contains("has to be reached from there and to answer 200"), "{told}");
}

#[tokio::test]
async fn an_organization_token_does_for_run_tasks_alone() {
    let mut scene = scene().await;
    scene.hcp.add_token("owners", TokenKind::Organization, "acme");
    scene.vars.insert("API_TOKEN".to_owned(), "owners".to_owned());
    scene.vars.remove("NOTIFICATION_TOKEN");
    scene.connects(&["--yes", "--only", "run-tasks"], 0).await;
    assert_eq!(scene.run_task("guard").attachments.len(), 2);
    scene.vars.insert("NOTIFICATION_TOKEN".to_owned(), NOTIFICATION_TOKEN.to_owned());
    let ended = scene.connect(&["--yes"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("API_TOKEN is an organization token"), "{}", ended.stderr);
    scene.vars.insert("API_TOKEN".to_owned(), API_TOKEN.to_owned());
    scene.connects(&["--yes"], 0).await;
}
