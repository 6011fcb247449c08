//! What goes wrong is told, and what cannot go on ends with a code of its own.

use sluice_tests::hcp::{ApiFault, ApiMishap, Rights, Route, TokenKind, WorkspaceSpec};

use super::scene::{Scene, words};
use crate::serve::program::vars;

async fn scene(workspaces: usize) -> Scene {
    let scene = Scene::new(300, &[]).await;
    scene.hcp.server(|server| server.project_notifications = false);
    (0..workspaces).for_each(|n| drop(scene.hcp.add_workspace(WorkspaceSpec::new(&format!("ws-{n:02}")))));
    scene
}

#[tokio::test]
async fn an_endpoint_that_is_not_reached_is_told_and_soon_tried_no_more() {
    let scene = scene(30).await;
    *scene.door.answers.lock().unwrap() = Some(503);
    let told = scene.connects(&["--yes"], 1).await;
    assert!(told.contains("0 written, 30 failed\n"), "{told}");
    let verified = format!("{} could not be verified: HCP Terraform has to reach it", scene.door.notifications());
    assert!(told.contains(&verified), "{told}");
    assert!(told.contains("was not tried"), "{told}");
    assert!(scene.writes().len() <= 5 + 6, "{}", scene.writes().len());
    // Once it answers, all goes well.
    *scene.door.answers.lock().unwrap() = None;
    assert!(scene.connects(&["--yes"], 0).await.contains("30 written, 0 failed\n"));
}

#[tokio::test]
async fn another_token_at_the_door_is_told() {
    let scene = scene(1).await;
    *scene.door.token.lock().unwrap() = "another".to_owned();
    let told = scene.connects(&["--yes"], 1).await;
    assert!(told.contains("the first of NOTIFICATION_TOKEN has to be known there"), "{told}");
    assert_eq!(scene.hcp.notifications(), []);
}

#[tokio::test]
async fn a_new_token_is_written_everywhere() {
    let mut scene = scene(3).await;
    scene.connects(&["--yes"], 0).await;
    *scene.door.token.lock().unwrap() = "the new one".to_owned();
    scene.vars.insert("NOTIFICATION_TOKEN".to_owned(), "the new one".to_owned());
    assert!(scene.connects(&["--yes"], 0).await.ends_with("nothing to do\n"), "nobody can see that");
    assert!(scene.connects(&["--yes", "--rotate"], 0).await.contains("3 written, 0 failed\n"));
    assert!(scene.hcp.notifications().iter().all(|it| it.token.as_deref() == Some("the new one")));
}

#[tokio::test]
async fn an_answer_that_got_lost_makes_no_double() {
    let scene = scene(4).await;
    scene.hcp.faults(|faults| {
        faults.api.push(ApiFault::next(Route::CreateNotificationConfiguration, 1, ApiMishap::CutAfterEffect));
        faults.api.push(ApiFault::next(Route::CreateNotificationConfiguration, 1, ApiMishap::StatusAfterEffect(502)));
        faults.api.push(ApiFault::next(Route::CreateNotificationConfiguration, 1, ApiMishap::Status(500)));
        faults.api.push(ApiFault::next(Route::ListNotificationConfigurations, 2, ApiMishap::Status(503)));
    });
    scene.connects(&["--yes"], 0).await;
    (0..4).for_each(|n| scene.assert_tells(&format!("ws-{n:02}")));
}

#[tokio::test]
async fn a_rate_limit_is_obeyed() {
    let scene = scene(2).await;
    let limited = ApiMishap::RateLimited { reset_seconds: 0.5 };
    for route in [Route::ShowAccount, Route::ListNotificationConfigurations, Route::CreateNotificationConfiguration] {
        scene.hcp.faults(|faults| faults.api.push(ApiFault::next(route, 1, limited)));
    }
    scene.connects(&["--yes"], 0).await;
    let requests = scene.hcp.requests();
    let account: Vec<_> = requests.iter().filter(|it| it.route == Route::ShowAccount).collect();
    assert_eq!(account.iter().map(|it| it.status).collect::<Vec<_>>(), [Some(429), Some(200)]);
    assert!(account[1].at - account[0].at >= std::time::Duration::from_millis(490));
    assert_eq!(scene.hcp.notifications().len(), 2);
}

#[tokio::test]
async fn an_instance_that_knows_only_the_new_triggers_is_told_those() {
    let scene = scene(9).await;
    scene.hcp.server(|server| server.unknown_triggers = words(&["run:errored", "run:needs_attention"]));
    scene.connects(&["--yes"], 0).await;
    assert_eq!(scene.hcp.notifications().len(), 9);
    for one in scene.hcp.notifications() {
        assert!(one.triggers.contains("run:run_errored") && one.triggers.contains("run:completed"), "{one:?}");
    }
    assert!(scene.connects(&["--yes"], 0).await.ends_with("nothing to do\n"));
}

#[tokio::test]
async fn whoever_may_not_is_told_what_it_takes() {
    let mut scene = scene(2).await;
    scene.hcp.add_token("weak", TokenKind::Team, "weak");
    scene.hcp.set_rights("weak", Rights::NONE);
    scene.vars.insert("API_TOKEN".to_owned(), "weak".to_owned());
    let told = scene.connects(&["--yes"], 1).await;
    assert_eq!(told.matches("it needs admin access to it, as a team's or a person's token").count(), 2, "{told}");
    scene.vars.insert("API_TOKEN".to_owned(), "nobody's".to_owned());
    let ended = scene.connect(&["--yes"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("refused API_TOKEN"), "{}", ended.stderr);
}

#[tokio::test]
async fn nobody_is_written_to_without_having_agreed() {
    let mut scene = scene(2).await;
    let ended = scene.connect(&[]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stdout.contains("+ workspace ws-00: create"), "{}", ended.stdout);
    assert!(ended.stderr.contains("say --yes to go on without, or --dry-run"), "{}", ended.stderr);
    assert!(scene.writes().is_empty());

    scene.vars.remove("SLUICE_PUBLIC_URL");
    for (more, says) in [
        (&["--yes"][..], "say with --url or SLUICE_PUBLIC_URL where HCP Terraform reaches Sluice"),
        (&["--yes", "--url", "sluice.example"], "sluice.example is no http:// or https:// URL"),
        (&["--yes", "--url", "https://jo:secret@sluice.example/x"], "https://sluice.example is no http"),
        (&["--yes", "--dry-run"], "cannot be used with"),
        (&["--disconnect", "--rotate"], "cannot be used with"),
        (&["--only", "everything"], "invalid value"),
    ] {
        let ended = scene.connect(more).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{more:?}");
        assert!(ended.stderr.contains(says), "{more:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
    scene.vars = vars([("SLUICE_PUBLIC_URL", scene.door.url.as_str())]);
    let ended = scene.connect(&["--yes"]).await;
    assert!(
        ended.stderr.contains("API_TOKEN is not set") && ended.stderr.contains("NOTIFICATION_TOKEN"),
        "{}",
        ended.stderr
    );
    assert!(scene.writes().is_empty());
}
