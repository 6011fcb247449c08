//! Runs: their order, their queue, their ends, and what is told of them.

use super::*;

const NO_CHANGES: [&str; 3] = ["pending", "planning", "planned_and_finished"];
const APPLIED: [&str; 5] = ["pending", "planning", "planned", "applying", "applied"];

#[tokio::test]
async fn a_run_applies_by_itself_and_tells_each_step() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    hcp.notify_all(&receiver.url, TOKEN);
    hcp.change("network", "vpc", "vpc-2");
    let run = hcp.start_run("network", RunOptions::new("bump vpc"));
    hcp.settled().await;

    assert_eq!(statuses(&hcp, &run), APPLIED);
    let told = [
        "Run Created / run:created / pending",
        "Run Planning / run:planning / planning",
        "Run Applying / run:applying / applying",
        "Run Applied / run:completed / applied",
    ];
    assert_eq!(receiver.triples(), told);
    assert!(hcp.deliveries().iter().all(|delivery| delivery.http_status() == Some(202)));
    let view = hcp.run(&run).unwrap();
    assert!(view.has_changes && view.finished_at > view.planning_at);
}

#[tokio::test]
async fn a_notification_is_signed_and_complete() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    hcp.notify("network", &receiver.url, TOKEN);
    hcp.touch("network");
    let run = hcp.start_run("network", RunOptions::new("touch é\nand more"));
    hcp.settled().await;

    let (headers, body) = receiver.taken.lock().unwrap()[0].clone();
    assert_eq!(headers["x-tfe-notification-signature"], sign(TOKEN, &body));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["user-agent"], "TFE/1.0 (+https://app.terraform.io; TFE)");
    let payload = &receiver.payloads()[0];
    assert!(
        body.starts_with(br#"{"payload_version":1,"notification_configuration_id":"nc-0000000000000001","run_url":"#)
    );
    assert_eq!(payload["run_id"], run.as_str());
    assert_eq!(payload["run_message"], "touch é\nand more");
    assert_eq!(payload["workspace_id"], hcp.workspace_id("network").as_str());
    assert_eq!(payload["workspace_name"], "network");
    assert_eq!(payload["organization_name"], "acme");
    assert_eq!(payload["run_url"], format!("{}/app/acme/network/runs/{run}", hcp.address()));
    assert_eq!(payload["run_created_at"].as_str().unwrap()[19..], *".000Z");
    assert_eq!(payload["notifications"][0]["run_updated_by"], Value::Null);
}

#[test]
fn the_signer_agrees_with_known_vectors() {
    let verification = concat!(
        r#"{"payload_version":1,"notification_configuration_id":"nc-EXAMPLE0000000001","run_url":null,"run_id":null,"#,
        r#""run_message":null,"run_created_at":null,"run_created_by":null,"workspace_id":null,"workspace_name":null,"#,
        r#""organization_name":null,"notifications":[{"message":"Verification of demo","trigger":"verification","#,
        r#""run_status":null,"run_updated_at":null,"run_updated_by":null}]}"#,
    );
    assert_eq!(verification.len(), 375);
    let signature = concat!(
        "19e47a9a77cfabfda6960b734b929e333b12f25cc87022eafad06aaf154f575e",
        "0567a49ae9f58a1c37cd829d9fd47f46431575895c78f9cd41b6a3693436400a",
    );
    assert_eq!(sign(TOKEN, verification.as_bytes()), signature);
    let signature = concat!(
        "b20437bfcde5659f2addeccb4ec4fef14d5dd81b74132c907d7e35d6866bf7fd",
        "0f3bfe4a54a90e0617fdf37a6957dbccd81cc5d5a67156eb9c11fcb8d37a5e4b",
    );
    assert_eq!(sign(TOKEN, r#"{"message":"héllo"}"#.as_bytes()), signature);
}

#[tokio::test]
async fn without_a_token_the_signature_is_there_and_empty() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    let configuration = hcp.notify("network", &receiver.url, "");
    assert_eq!(hcp.verify(&configuration).await, Some(202));
    let (headers, _) = receiver.taken.lock().unwrap()[0].clone();
    assert_eq!(headers["x-tfe-notification-signature"], "");
    assert_eq!(receiver.triples(), ["Verification of sluice / verification / null"]);
}

#[tokio::test]
async fn a_workspace_runs_one_at_a_time_in_order() {
    let hcp = pair().await;
    hcp.touch("network");
    let runs = ["first", "second", "third"].map(|message| hcp.start_run("network", RunOptions::new(message)));
    hcp.settled().await;

    let begun = hcp.history().into_iter().filter(|event| event.status == RunStatus::Planning);
    assert_eq!(begun.map(|event| event.run).collect::<Vec<_>>(), runs);
    assert_eq!(statuses(&hcp, &runs[0]), APPLIED);
    assert_eq!(statuses(&hcp, &runs[1]), NO_CHANGES);
    let (first, second) = (hcp.run(&runs[0]).unwrap(), hcp.run(&runs[1]).unwrap());
    assert!(second.planning_at > first.finished_at);
}

#[tokio::test]
async fn a_run_without_auto_apply_waits_for_a_person() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    hcp.auto_apply("network", false);
    hcp.notify_of("network", &receiver.url, TOKEN, &["run:needs_attention", "run:completed", "run:applying"]);
    hcp.touch("network");
    let run = hcp.start_run("network", RunOptions::default());
    let behind = hcp.start_run("network", RunOptions::default());
    hcp.settled().await;
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::Planned);
    assert_eq!(hcp.run(&behind).unwrap().status, RunStatus::Pending);
    let shown = get(&hcp, &format!("/runs/{run}")).await;
    assert_eq!(shown.body["data"]["attributes"]["actions"]["is-confirmable"], true);

    assert!(hcp.confirm(&run));
    assert!(!hcp.confirm(&run));
    hcp.settled().await;
    assert_eq!(statuses(&hcp, &run), ["pending", "planning", "planned", "confirmed", "applying", "applied"]);
    assert_eq!(statuses(&hcp, &behind), NO_CHANGES);
    assert_eq!(receiver.triples()[0], "Run Planned - Needs Confirmation / run:needs_attention / planned");
    assert_eq!(receiver.payloads()[1]["notifications"][0]["run_updated_by"], "jo");
}

#[tokio::test]
async fn a_discarded_run_is_told_to_nobody_and_makes_room() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    hcp.auto_apply("network", false);
    hcp.touch("network");
    let run = hcp.start_run("network", RunOptions::default());
    hcp.settled().await;
    hcp.notify("network", &receiver.url, TOKEN);
    assert!(hcp.discard(&run));
    assert!(!hcp.cancel(&run));
    let next = hcp.start_run("network", RunOptions { auto_apply: Some(true), ..RunOptions::default() });
    hcp.settled().await;
    assert_eq!(statuses(&hcp, &run).last(), Some(&"discarded"));
    assert_eq!(statuses(&hcp, &next), APPLIED);
    assert!(receiver.payloads().iter().all(|payload| payload["run_id"] == next.as_str()));
}

#[tokio::test]
async fn a_canceled_run_writes_no_state() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    hcp.notify_of("network", &receiver.url, TOKEN, &["run:errored"]);
    hcp.timings(Timings { apply: std::time::Duration::from_mins(1), ..Timings::default() });
    hcp.touch("network");
    let run = hcp.start_run("network", RunOptions::default());
    let mut events = hcp.subscribe();
    while events.recv().await.unwrap().status != RunStatus::Applying {}
    assert_eq!(post(&hcp, &format!("/runs/{run}/actions/force-cancel"), None).await.status, 409);
    assert_eq!(post(&hcp, &format!("/runs/{run}/actions/cancel"), None).await.status, 202);
    while events.recv().await.unwrap().status != RunStatus::Canceled {}
    assert_eq!(hcp.serial("network"), 1);
    while receiver.triples() != ["Run Canceled / run:errored / canceled"] {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn failures_fail() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    hcp.notify_of("network", &receiver.url, TOKEN, &["run:errored"]);
    hcp.touch("network");
    hcp.fail_next_plan("network");
    hcp.fail_next_apply("network");
    let runs = [(); 3].map(|()| hcp.start_run("network", RunOptions::default()));
    hcp.settled().await;
    assert_eq!(statuses(&hcp, &runs[0]), ["pending", "planning", "errored"]);
    assert_eq!(statuses(&hcp, &runs[1]), ["pending", "planning", "planned", "applying", "errored"]);
    assert_eq!(statuses(&hcp, &runs[2]), APPLIED);
    assert_eq!(hcp.serial("network"), 2);
    assert_eq!(receiver.triples(), ["Run Errored / run:errored / errored"; 2]);

    hcp.failures("network", |failures| *failures = Failures { applies: true, keep_state: true, ..*failures });
    hcp.touch("network");
    hcp.start_run("network", RunOptions::default());
    hcp.settled().await;
    assert_eq!(hcp.serial("network"), 3);
}

#[tokio::test]
async fn a_locked_workspace_keeps_its_runs_pending() {
    let hcp = pair().await;
    hcp.lock("network");
    hcp.touch("network");
    let run = hcp.start_run("network", RunOptions::default());
    let speculative = hcp.start_run("network", RunOptions::plan_only("what if"));
    hcp.settled().await;
    assert_eq!(statuses(&hcp, &run), ["pending"]);
    assert_eq!(statuses(&hcp, &speculative), NO_CHANGES);
    hcp.unlock("network");
    hcp.settled().await;
    assert_eq!(statuses(&hcp, &run), APPLIED);
}

#[tokio::test]
async fn a_speculative_run_neither_notifies_nor_writes_state() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    hcp.notify("network", &receiver.url, TOKEN);
    hcp.change("network", "vpc", "vpc-2");
    let run = hcp.start_run("network", RunOptions::plan_only("what if"));
    hcp.settled().await;
    assert_eq!(statuses(&hcp, &run), NO_CHANGES);
    assert!(hcp.run(&run).unwrap().has_changes);
    assert_eq!((hcp.serial("network"), receiver.payloads().len()), (1, 0));
}

#[tokio::test]
async fn a_speculative_run_goes_past_the_current_run_and_does_not_become_it() {
    let hcp = pair().await;
    hcp.auto_apply("network", false);
    hcp.touch("network");
    let current = hcp.start_run("network", RunOptions::default());
    hcp.settled().await;
    let speculative = hcp.start_run("network", RunOptions { auto_apply: Some(true), ..RunOptions::plan_only("if") });
    hcp.settled().await;
    assert_eq!(statuses(&hcp, &speculative), NO_CHANGES);
    assert_eq!(hcp.run(&current).unwrap().status, RunStatus::Planned, "it still has its turn");
    let shown = async || get(&hcp, &format!("/workspaces/{}", hcp.workspace_id("network"))).await.body["data"].take();
    assert_eq!(shown().await["relationships"]["current-run"]["data"]["id"], current.as_str());

    assert!(hcp.confirm(&current));
    hcp.settled().await;
    hcp.timings(Timings { plan: std::time::Duration::from_mins(1), ..Timings::default() });
    let mut events = hcp.subscribe();
    let planning = hcp.start_run("network", RunOptions::plan_only("another"));
    while events.recv().await.unwrap().status != RunStatus::Planning {}
    let shown = shown().await;
    assert_eq!(shown["attributes"]["locked"], false, "one that plans locks nothing");
    assert_eq!(shown["relationships"]["current-run"]["data"]["id"], current.as_str());
    assert_eq!(shown["relationships"]["latest-run"]["data"]["id"], planning.as_str());
}

#[tokio::test]
async fn a_run_without_changes_writes_no_state_version() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    hcp.notify_of("app", &receiver.url, TOKEN, &["run:completed"]);
    let run = hcp.start_run("app", RunOptions::default());
    hcp.settled().await;
    assert_eq!(statuses(&hcp, &run), NO_CHANGES);
    assert_eq!(hcp.serial("app"), 1);
    assert_eq!(receiver.triples(), ["Run Planned and Finished / run:completed / planned_and_finished"]);

    let empty = hcp.start_run("app", RunOptions { allow_empty_apply: true, ..RunOptions::default() });
    hcp.settled().await;
    assert_eq!(statuses(&hcp, &empty), APPLIED);
    assert_eq!(hcp.serial("app"), 2);
}

#[tokio::test]
async fn a_run_on_an_unapplied_producer_errors() {
    let hcp = start().await;
    hcp.add_workspace(WorkspaceSpec::new("network"));
    hcp.add_workspace(WorkspaceSpec::new("app").reads(Read::tfe_outputs("net", "acme", "network")));
    let run = hcp.start_run("app", RunOptions::default());
    hcp.settled().await;
    let error = hcp.run(&run).unwrap().error.unwrap();
    assert_eq!(error, "data.tfe_outputs.net: no stored state was found for acme/network");
}

#[tokio::test]
async fn runs_end_with_the_simulator() {
    let hcp = pair().await;
    hcp.start_run("network", RunOptions::default());
    let (clone, mut events) = (hcp.clone(), hcp.subscribe());
    drop(hcp);
    clone.settled().await;
    let address = clone.address();
    drop(clone);
    while events.try_recv().is_ok() {}
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(client().get(address).send().await.is_err());
}

#[tokio::test]
async fn an_edit_may_ask_the_simulator_and_other_closures_are_refused_it() {
    let hcp = pair().await;
    hcp.edit("app", |program| program.reads.push(Read::cloud("net", &hcp.organization(), &hcp.host())));
    let asked = hcp.clone();
    let refused = std::thread::spawn(move || asked.failures("app", |_| drop(asked.host()))).join();
    assert!(refused.is_err());
    assert_eq!(hcp.runs("app").len(), 0, "and life goes on");
}
