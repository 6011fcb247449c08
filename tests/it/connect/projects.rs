//! Projects that tell of their workspaces, and which workspaces are meant.

use sluice_tests::hcp::{ApiFault, ApiMishap, Route, RunOptions, WorkspaceSpec};

use super::scene::{Scene, words};
use crate::serve::program::NOTIFICATION_TOKEN;

async fn scene() -> Scene {
    let scene = Scene::new(300, &[]).await;
    for (name, project, tag) in
        [("app", "shop", "prod"), ("db", "shop", "test"), ("dns", "core", "prod"), ("laptop", "core", "test")]
    {
        let mode = if name == "laptop" { "local" } else { "agent" };
        scene
            .hcp
            .add_workspace(WorkspaceSpec::new(name).project(project).tag(tag).execution_mode(mode).auto_apply(true));
    }
    scene.hcp.add_project("empty");
    scene
}

#[tokio::test]
async fn whole_projects_tell_of_the_workspaces_that_they_have_and_will_have() {
    let scene = scene().await;
    scene.hcp.notify("app", &scene.door.notifications(), NOTIFICATION_TOKEN);
    let told = scene.connects(&["--yes"], 0).await;
    assert!(told.contains("  + project shop: create a notification configuration\n"), "{told}");
    assert!(told.contains("4 workspaces need nothing of their own: their projects tell of them\n"), "{told}");
    for project in ["shop", "core", "empty"] {
        scene.assert_tells(project);
    }
    assert_eq!(scene.notifications("db"), []);
    assert_eq!(scene.hcp.count(Route::ListNotificationConfigurations), 0, "none is even looked at");
    scene.hcp.start_run("db", RunOptions::new("a change"));
    scene.hcp.settled().await;
    assert!(scene.hcp.deliveries().iter().any(|it| it.workspace == "db" && it.http_status() == Some(200)));

    let writes = scene.writes().len();
    assert!(scene.connects(&["--yes"], 0).await.ends_with("nothing to do\n"));
    assert_eq!(scene.writes().len(), writes);
    // What a workspace has besides would be told twice.
    scene.connects(&["--yes", "--prune"], 0).await;
    assert_eq!(scene.notifications("app"), []);
    assert!(scene.connects(&["--yes", "--workspace", "app"], 0).await.ends_with("nothing to do\n"));
    assert_eq!(scene.notifications("app"), []);

    scene.connects(&["--yes", "--disconnect"], 0).await;
    assert_eq!(scene.hcp.notifications(), []);
    assert!(scene.connects(&["--yes", "--disconnect"], 0).await.ends_with("nothing to do\n"));
}

#[tokio::test]
async fn workspaces_are_chosen_by_name_tag_and_project() {
    let scene = scene().await;
    let told = async |more: &[&str]| -> Vec<String> {
        let arguments: Vec<&str> = more.iter().copied().chain(["--dry-run"]).collect();
        let told = scene.connects(&arguments, 0).await;
        let lines = told.lines().filter_map(|line| line.strip_prefix("  + "));
        lines.map(|line| line.split(':').next().unwrap().to_owned()).collect()
    };
    assert_eq!(told(&[]).await, ["project shop", "project core", "project empty"]);
    assert_eq!(told(&["--per-workspace"]).await, ["workspace app", "workspace db", "workspace dns"]);
    assert_eq!(told(&["--project", "core"]).await, ["project core"]);
    assert_eq!(told(&["--project", "core", "--per-workspace"]).await, ["workspace dns"]);
    assert_eq!(told(&["--tag", "prod"]).await, ["workspace app", "workspace dns"]);
    assert_eq!(told(&["--tag", "prod", "--project", "shop"]).await, ["workspace app"]);
    assert_eq!(told(&["--tag", "prod", "--tag", "test"]).await, Vec::<String>::new());
    assert_eq!(told(&["--workspace", "d*"]).await, ["workspace db", "workspace dns"]);
    assert_eq!(told(&["--workspace", "app", "--workspace", "dns"]).await, ["workspace app", "workspace dns"]);
    assert!(scene.writes().is_empty());

    // A project that tells covers whom it has, whatever is chosen; one that is broken does not.
    let project = scene.hcp.notify_project("shop", &scene.door.notifications(), NOTIFICATION_TOKEN);
    assert_eq!(told(&["--tag", "prod"]).await, ["workspace dns"]);
    assert_eq!(told(&["--tag", "prod", "--rotate"]).await, ["workspace dns"]);
    scene.hcp.edit_notification(&project, |it| it.triggers = words(&["run:completed"]));
    assert_eq!(told(&["--workspace", "d*"]).await, ["workspace dns"]);
    scene.hcp.edit_notification(&project, |it| it.enabled = false);
    assert_eq!(told(&["--tag", "prod"]).await, ["workspace app", "workspace dns"]);
    scene.connects(&["--yes", "--per-workspace"], 0).await;
    scene.assert_tells("shop");
    assert_eq!((scene.notifications("app").len(), scene.notifications("core").len()), (0, 0));
    scene.assert_tells("dns");

    let ended = scene.connect(&["--project", "nowhere", "--dry-run"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("there is no project nowhere"), "{}", ended.stderr);
}

#[tokio::test]
async fn what_workspaces_have_of_their_own_is_kept_if_their_project_cannot_be_made_to_tell() {
    let scene = scene().await;
    for workspace in ["app", "db", "dns"] {
        scene.hcp.notify(workspace, &scene.door.notifications(), NOTIFICATION_TOKEN);
    }
    scene.hcp.notify_project("core", &scene.door.notifications(), NOTIFICATION_TOKEN);
    scene.hcp.faults(|faults| {
        faults.api.push(ApiFault::next(Route::CreateProjectNotificationConfiguration, 2, ApiMishap::Status(403)));
    });
    let told = scene.connects(&["--yes", "--prune"], 1).await;
    assert!(told.contains("workspace app  kept, as its project does not tell\n"), "{told}");
    assert!(told.contains("workspace db   kept, as its project does not tell\n"), "{told}");
    assert_eq!((scene.notifications("app").len(), scene.notifications("db").len()), (1, 1));
    // That of another project is another matter.
    assert_eq!(scene.notifications("dns"), []);
    scene.connects(&["--yes", "--prune"], 0).await;
    scene.assert_tells("shop");
    assert_eq!((scene.notifications("app"), scene.notifications("db")), (vec![], vec![]));
}

#[tokio::test]
async fn a_project_that_cannot_be_looked_at_stops_no_other() {
    let scene = scene().await;
    scene.hcp.notify("app", &scene.door.notifications(), NOTIFICATION_TOKEN);
    let unseen = || {
        let fault = ApiFault::next(Route::ListProjectNotificationConfigurations, 1, ApiMishap::Status(422));
        scene.hcp.faults(|faults| faults.api.push(fault));
    };
    unseen();
    let told = scene.connects(&["--yes", "--prune"], 1).await;
    assert!(told.contains(" 1 impossible\n"), "{told}");
    // It is one of three; its workspaces keep what they have, and get nothing that may be a double.
    assert_eq!(scene.hcp.count(Route::CreateProjectNotificationConfiguration), 2);
    assert_eq!(scene.hcp.count(Route::CreateNotificationConfiguration), 0);
    assert_eq!(scene.notifications("app").len() + scene.notifications("shop").len(), 1);

    scene.connects(&["--yes"], 0).await;
    unseen();
    let told = scene.connects(&["--yes", "--workspace", "dns"], 1).await;
    assert!(told.contains("  . workspace dns: whether its project tells of it cannot be seen"), "{told}");
    assert_eq!(scene.notifications("dns"), []);
    unseen();
    scene.connects(&["--yes", "--per-workspace", "--workspace", "dns"], 1).await;
    scene.assert_tells("dns");
}

#[tokio::test]
async fn an_instance_without_projects_is_connected_workspace_by_workspace() {
    let scene = scene().await;
    scene.hcp.server(|server| server.projects = false);
    let told = scene.connects(&["--yes"], 0).await;
    assert!(told.contains("workspace laptop: its execution mode is local"), "{told}");
    for workspace in ["app", "db", "dns"] {
        scene.assert_tells(workspace);
    }
    assert!(scene.connects(&["--yes"], 0).await.ends_with("nothing to do\n"));
}
