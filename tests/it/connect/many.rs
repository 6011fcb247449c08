//! Five hundred workspaces, some of them broken in every way that there is.

use sluice_tests::hcp::{Route, WorkspaceSpec};

use super::scene::{Scene, words};
use crate::serve::program::NOTIFICATION_TOKEN;

/// More than HCP Terraform allows, so that it does not take as long.
const PER_SECOND: u32 = 300;

const OLD: &str = "https://old.example";

fn name(n: usize) -> String {
    format!("ws-{n:03}")
}

/// What is wrong with the workspace of this number.
fn fault(n: usize) -> &'static str {
    match n {
        0..=19 => "none",
        20..=29 => "disabled",
        30..=39 => "deaf",
        40..=49 => "moved",
        50..=59 => "double",
        60..=69 => "token",
        70..=74 => "local",
        75..=79 => "full",
        80..=84 => "guarded",
        85..=89 => "slack",
        90..=99 => "foreign",
        _ => "right",
    }
}

fn add(scene: &Scene, n: usize) {
    let (hcp, name, url) = (&scene.hcp, name(n), scene.door.notifications());
    let fault = fault(n);
    let mode = if fault == "local" { "local" } else { "remote" };
    hcp.add_workspace(WorkspaceSpec::new(&name).execution_mode(mode));
    match fault {
        "none" | "local" => {}
        "disabled" => hcp.edit_notification(&hcp.notify(&name, &url, "t"), |it| it.enabled = false),
        "deaf" => {
            hcp.edit_notification(&hcp.notify(&name, &url, NOTIFICATION_TOKEN), |it| {
                it.triggers = words(&["run:completed", "run:created"]);
            });
        }
        "moved" => drop(hcp.notify(&name, &format!("{OLD}/notifications/"), "t")),
        "double" => {
            hcp.notify(&name, &format!("{url}/"), "t");
            hcp.edit_notification(&hcp.notify(&name, &url, "t"), |it| it.enabled = false);
            hcp.notify(&name, &url, NOTIFICATION_TOKEN);
            hcp.notify(&name, &format!("{OLD}/notifications"), "t");
        }
        "token" => hcp.edit_notification(&hcp.notify(&name, &url, "t"), |it| it.answered = Some(401)),
        "full" => (0..20).for_each(|n| drop(hcp.notify(&name, &format!("https://else.example/{n}"), "t"))),
        "guarded" => hcp.guard(&name),
        "slack" => drop(hcp.notify_elsewhere(&name, "slack", &url)),
        "foreign" => {
            hcp.notify(&name, "https://else.example/notifications", "theirs");
            hcp.notify(&name, &url, NOTIFICATION_TOKEN);
        }
        _ => drop(hcp.notify(&name, &url, NOTIFICATION_TOKEN)),
    }
}

#[track_caller]
fn assert_connected(scene: &Scene) {
    for n in (0..500).filter(|&n| scene.hcp.has_workspace(&name(n))) {
        let others = scene.notifications(&name(n)).iter().filter(|it| it.url.starts_with("https://else")).count();
        match fault(n) {
            "local" => assert_eq!(scene.notifications(&name(n)), []),
            "full" => assert_eq!((scene.notifications(&name(n)).len(), others), (20, 20)),
            "guarded" => {}
            // Someone else's to the same URL, which is no webhook.
            "slack" => assert_eq!(scene.notifications(&name(n)).len(), 2),
            "double" => assert_eq!(scene.notifications(&name(n)).iter().filter(|it| it.enabled).count(), 1),
            fault => {
                scene.assert_tells(&name(n));
                assert_eq!(others, usize::from(fault == "foreign"));
            }
        }
    }
}

#[tokio::test]
async fn five_hundred_workspaces_are_connected_though_it_is_killed_on_the_way() {
    let scene = Scene::new(PER_SECOND, &[]).await;
    scene.hcp.server(|server| server.project_notifications = false);
    (0..500).for_each(|n| add(&scene, n));
    let before = scene.hcp.notifications();

    let told = scene.connects(&["--replaces", OLD, "--dry-run"], 1).await;
    assert_eq!((scene.writes().len(), scene.hcp.notifications()), (0, before), "a dry run writes nothing");
    let counts = "acme: 25 to create, 40 to change, 30 to delete; 410 right, 5 left out, 10 impossible\n";
    assert!(told.contains(counts), "{told}");
    for line in [
        "  + workspace ws-000: create a notification configuration\n",
        "as it is disabled\n",
        "as it does not tell of run:planning, run:applying, run:errored, run:needs_attention\n",
        "as its URL is a former one\n",
        "as another tells the same\n",
        "as its token is refused with 401\n",
        "  . workspace ws-070: its execution mode is local, and its runs tell nobody\n",
        "  ! workspace ws-075: there are 20 notification configurations, which is all that HCP Terraform allows",
        "  ! workspace ws-080: API_TOKEN may not manage its notifications",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }

    let written = |hcp: &sluice_tests::hcp::Hcp| {
        [Route::CreateNotificationConfiguration, Route::UpdateNotificationConfiguration].map(|it| hcp.count(it))
    };
    // Those that are broken: it need not look at the others to be killed.
    let broken = ["--replaces", OLD, "--yes", "--workspace", "ws-0*"];
    scene.kill_once(&broken, |hcp| written(hcp).iter().sum::<usize>() >= 30).await;
    let killed_at = scene.writes().len();
    assert!((30..95).contains(&killed_at), "{killed_at}");

    let told = scene.connects(&["--replaces", OLD, "--yes"], 1).await;
    assert!(told.contains(" 0 failed\n"), "{told}");
    assert_connected(&scene);
    assert!(scene.writes().len() <= 95 + 6, "what was done before is not done again: {}", scene.writes().len());

    (75..85).for_each(|n| scene.hcp.delete(&name(n)));
    let writes = scene.writes().len();
    let told = scene.connects(&broken, 0).await;
    assert!(told.ends_with("85 right, 5 left out\nnothing to do\n"), "{told}");
    assert_eq!(scene.writes().len(), writes, "a second call changes nothing");
    scene.assert_within_budget(PER_SECOND as usize);
}
