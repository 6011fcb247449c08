//! The client against the simulated HCP Terraform: that the two halves of its API fit.

use sluice_domain::ports::{Runs, States, TerraformError, WorkspaceFound};
use sluice_domain::{
    Autonomy, Classify, Fault, Marker, RunKind, RunReport, Standing, Timestamp, Workspace, WorkspaceId,
};
use sluice_hcp::digest::Digester;
use sluice_hcp_client::{Client, Settings};
use sluice_tests::hcp::{
    ApiFault, ApiMishap, Downloads, Hcp, Limits, Options, Output, Read, Route, RunStatus, TokenKind, WorkspaceSpec,
};

pub(super) fn client(hcp: &Hcp, token: &str) -> Client {
    let digester = Digester::new(&vec![7; 32].into());
    let address = hcp.address().parse().expect("the simulator has an address");
    let host = Some("app.terraform.io".parse().expect("a host"));
    let settings = Settings { host, ..Settings::new(address, token.to_owned().into(), digester) };
    Client::new(settings).expect("the settings are good")
}

/// `net` puts out `vpc`, `app` reads it.
async fn world() -> (Hcp, Client) {
    let hcp = Hcp::start(Options { limits: Limits::NONE, ..Options::default() }).await;
    hcp.add_workspace(WorkspaceSpec::new("net").output("vpc", Output::fixed("vpc-1")));
    let app = WorkspaceSpec::new("app").reads(Read::remote("net", "acme", "net"));
    hcp.add_workspace(app.output("url", Output::from_reads()));
    let client = client(&hcp, &hcp.token());
    (hcp, client)
}

fn named(name: &str) -> Workspace {
    format!("app.terraform.io/acme/{name}").parse().expect("a workspace")
}

fn id(hcp: &Hcp, name: &str) -> WorkspaceId {
    hcp.workspace_id(name).parse().expect("the simulator gives out ids")
}

#[tokio::test]
async fn a_state_is_read_wherever_it_is_kept_and_the_token_is_kept_from_there() {
    let (hcp, client) = world().await;
    assert_eq!(client.current_state(&id(&hcp, "app")).await.unwrap(), None);
    hcp.apply_now("net");
    hcp.apply_now("app");
    for downloads in [Downloads::RelativePath, Downloads::SameHost, Downloads::Redirect, Downloads::Archivist] {
        hcp.downloads(downloads);
        let net = client.current_state(&id(&hcp, "net")).await.unwrap().unwrap();
        assert!(!net.may_read_others, "the list of resources shows none that reads");
        let offered = client.read_state(&named("net"), &net).await.unwrap();

        let app = client.current_state(&id(&hcp, "app")).await.unwrap().unwrap();
        assert!(app.may_read_others);
        let found = client.read_state(&named("app"), &app).await.unwrap();
        let producers = found.producers.unwrap();
        assert_eq!(producers.keys().collect::<Vec<_>>(), [&named("net")]);
        assert_eq!(producers[&named("net")].observed, offered.outputs, "{downloads:?}: a copy has the same digest");
    }
    assert_eq!(hcp.leaks(), []);
}

#[tokio::test]
async fn a_run_that_was_created_without_an_answer_is_found_by_its_marker() {
    let (hcp, client) = world().await;
    let (net, marker) = (id(&hcp, "net"), Marker("sluice-00112233".to_owned()));
    let message = format!("Outputs changed in acme/dns [{marker}]");
    assert_eq!(client.find_run(&net, &marker, RunKind::Apply).await.unwrap(), None);
    for lost in [ApiMishap::CutAfterEffect, ApiMishap::StatusAfterEffect(502), ApiMishap::TruncatedBody] {
        hcp.faults(|faults| faults.api.push(ApiFault::next(Route::CreateRun, 1, lost)));
        let error = client.create_run(&net, &message, RunKind::Apply).await.unwrap_err();
        assert!(error.may_have_had_effect() && error.fault() == Fault::TRANSIENT, "{lost:?}: {error}");
        let found = client.find_run(&net, &marker, RunKind::Apply).await.unwrap().unwrap();
        assert_eq!(found.run.as_str(), hcp.runs("net")[0].id, "the first of those with the marker");
    }
    assert_eq!(hcp.count(Route::CreateRun), 3, "none was tried twice");
}

#[tokio::test]
async fn a_run_is_followed_to_its_end_and_still_found_then() {
    let (hcp, client) = world().await;
    let net = id(&hcp, "net");
    let created = client.create_run(&net, "a change [sluice-1]", RunKind::Apply).await.unwrap();
    let heard = RunReport {
        workspace: named("net"),
        workspace_id: net.clone(),
        run: created.run.clone(),
        created_at: Timestamp(0),
        standing: Standing::Pending,
        at: Timestamp(0),
        marker: None,
    };
    hcp.settled().await;
    let planned = client.run(&heard).await.unwrap().unwrap();
    assert_eq!((planned.standing, planned.created_at), (Standing::AwaitingPerson, created.created_at));

    assert!(hcp.confirm(created.run.as_str()));
    hcp.settled().await;
    let applied = client.run(&heard).await.unwrap().unwrap();
    assert_eq!(applied.standing, Standing::Applied);
    assert_eq!(
        client.find_run(&net, &Marker("sluice-1".to_owned()), RunKind::Apply).await.unwrap(),
        Some(created.clone())
    );
    let state = client.current_state(&net).await.unwrap().unwrap();
    assert_eq!(state.facts.run, Some(created.run));
}

#[tokio::test]
async fn a_run_that_only_plans_is_created_once_and_found_among_its_like() {
    let (hcp, client) = world().await;
    hcp.auto_apply("net", true);
    let (net, marker) = (id(&hcp, "net"), Marker("sluice-0011223344556677".to_owned()));
    let message = format!("Outputs changed in acme/dns [{marker}]");
    hcp.faults(|faults| faults.api.push(ApiFault::next(Route::CreateRun, 1, ApiMishap::CutAfterEffect)));
    assert!(client.create_run(&net, &message, RunKind::PlanOnly).await.unwrap_err().may_have_had_effect());
    let found = client.find_run(&net, &marker, RunKind::PlanOnly).await.unwrap().unwrap();
    assert_eq!(client.find_run(&net, &marker, RunKind::Apply).await.unwrap(), None, "it is none of those that apply");
    hcp.settled().await;
    let run = hcp.run(found.run.as_str()).unwrap();
    assert!(run.plan_only && run.status == RunStatus::PlannedAndFinished && run.has_changes, "{run:?}");
    assert_eq!(client.current_state(&net).await.unwrap(), None, "and it changed nothing");
    assert_eq!(client.find_run(&net, &marker, RunKind::PlanOnly).await.unwrap(), Some(found));

    let applies = client.create_run(&net, &message, RunKind::Apply).await.unwrap();
    assert_eq!(client.find_run(&net, &marker, RunKind::Apply).await.unwrap(), Some(applies));
}

#[tokio::test]
async fn workspaces_are_known_by_name_and_by_id() {
    let (hcp, client) = world().await;
    let net = id(&hcp, "net");
    let found = WorkspaceFound { id: net.clone(), name: "net".to_owned(), tagged: None };
    assert_eq!(client.workspace_named(&named("net")).await.unwrap(), Some(found.clone()));
    hcp.set_tags("net", &["prod", "sluice:plan"]);
    let tagged = WorkspaceFound { tagged: Some(Autonomy::Plan), ..found };
    assert_eq!(client.workspace_named(&named("net")).await.unwrap(), Some(tagged.clone()));
    assert_eq!(client.workspace(&net).await.unwrap(), Some(tagged));
    hcp.rename("net", "network");
    assert_eq!(client.workspace(&net).await.unwrap().unwrap().name, "network");
    assert_eq!(client.workspace_named(&named("net")).await.unwrap(), None);
    hcp.delete("network");
    assert_eq!(client.workspace(&net).await.unwrap(), None);
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let (hcp, client) = world().await;
    hcp.add_workspace(WorkspaceSpec::new("bare").unconfigured());
    let bare = client.create_run(&id(&hcp, "bare"), "m", RunKind::Apply).await;
    assert!(matches!(bare, Err(TerraformError::NoConfiguration)), "{bare:?}");

    hcp.add_token("of-acme", TokenKind::Organization, "acme");
    let organization = self::client(&hcp, "of-acme").create_run(&id(&hcp, "net"), "m", RunKind::Apply).await;
    assert!(matches!(organization, Err(TerraformError::NotFound { .. })), "{organization:?}");

    hcp.limits(Limits { per_second: Some(1), ..Limits::NONE });
    let (one, other) = (client.workspace(&id(&hcp, "net")).await, client.workspace(&id(&hcp, "app")).await);
    let limited = [one, other].into_iter().find_map(Result::err).expect("the second is one too many");
    assert!(matches!(limited.fault(), Fault::Throttled { after_ms: 1..=1000 }), "{limited:?}");

    hcp.revoke_token(&hcp.token());
    hcp.limits(Limits::NONE);
    let revoked = client.workspace(&id(&hcp, "net")).await;
    assert!(matches!(revoked, Err(TerraformError::Unauthorized { .. })), "{revoked:?}");
}
