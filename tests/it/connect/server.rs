//! Beside a running `sluice serve`, whose own door is verified.

use sluice_tests::hcp::RunOptions;

use crate::serve::program::NOTIFICATION_TOKEN;
use crate::serve::stage::Stage;

#[tokio::test]
async fn a_server_is_told_of_runs_as_soon_as_it_is_connected() {
    let stage = Stage::of("network\n eks: network").await;
    for one in stage.hcp.notifications() {
        stage.hcp.edit_notification(&one.id, |it| {
            it.enabled = false;
            it.token = Some("forgotten".to_owned());
        });
    }
    let ended = stage.sluice(&["connect", "acme", "--url", &stage.url, "--per-workspace", "--yes"]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.ends_with("2 written, 0 failed\n"), "{}", ended.stdout);
    assert!(stage.hcp.notifications().iter().all(|it| it.enabled && it.token.as_deref() == Some(NOTIFICATION_TOKEN)));
    stage.hcp.change("network", "id", "2");
    stage.hcp.start_run("network", RunOptions::new("a change"));
    stage.rest().await;
    assert_eq!(stage.counts(), "eks 1, network 1");
}
