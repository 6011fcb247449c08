//! The list of an organization's workspaces: what is asked for, and what the simulated HCP Terraform answers to that.

use sluice_domain::ports::{ListPage, States, TerraformError};
use sluice_domain::{Autonomy, Marker, Organization, Standing, SurveyScope};
use sluice_hcp_client::Client;
use sluice_tests::hcp::{Hcp, Limits, Options, RunOptions, WorkspaceSpec};

use super::simulated::client;
use super::{Deed, Far, TOKEN, answer, check_discreet, ok};

const SCOPES: [SurveyScope; 3] = [SurveyScope::LatelyRun, SurveyScope::LatelyChanged, SurveyScope::All];

fn acme() -> Organization {
    "acme".parse().expect("a name")
}

async fn simulated() -> (Hcp, Client) {
    let hcp = Hcp::start(Options { limits: Limits::NONE, ..Options::default() }).await;
    let client = client(&hcp, &hcp.token());
    (hcp, client)
}

async fn page(client: &Client, scope: SurveyScope, page: u32) -> ListPage {
    client.workspaces(&acme(), scope, page).await.expect("it answers").expect("there is such an organization")
}

fn names(page: &ListPage) -> Vec<&str> {
    page.workspaces.iter().map(|listed| listed.found.name.as_str()).collect()
}

#[tokio::test]
async fn each_scope_asks_for_its_own_order_and_a_hundred_at_a_time() {
    let far = Far::new(|_| ok(r#"{"data":[]}"#)).await;
    for (scope, page) in SCOPES.into_iter().zip([1, 2, 30]) {
        assert_eq!(far.client().workspaces(&acme(), scope, page).await.unwrap().unwrap().workspaces, []);
    }
    let line = |page: u32, sort: &str| {
        let paging = format!("page%5Bnumber%5D={page}&page%5Bsize%5D=100");
        format!("+GET /api/v2/organizations/acme/workspaces?{paging}&include=current_run&sort={sort}")
    };
    let expect = [line(1, "-current-run.created-at"), line(2, "-latest-change-at"), line(30, "name")];
    assert_eq!(far.lines(), expect);
}

#[tokio::test]
async fn an_organization_that_is_not_to_be_seen_has_no_list() {
    let (hcp, client) = simulated().await;
    let other = "other".parse().unwrap();
    for scope in SCOPES {
        assert_eq!(client.workspaces(&other, scope, 1).await.unwrap(), None);
        assert_eq!(
            client.workspaces(&acme(), scope, 1).await.unwrap(),
            Some(ListPage::default()),
            "an empty one has one"
        );
    }
    hcp.revoke_token(TOKEN);
    let revoked = client.workspaces(&acme(), SurveyScope::All, 1).await;
    assert!(matches!(revoked, Err(TerraformError::Unauthorized { .. })), "{revoked:?}");
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page() {
    let (hcp, client) = simulated().await;
    for number in 0..203 {
        hcp.add_workspace(WorkspaceSpec::new(&format!("w-{number:03}")));
        hcp.apply_now(&format!("w-{number:03}"));
    }
    for (scope, first) in SCOPES.into_iter().zip(["w-202", "w-202", "w-000"]) {
        let mut all = Vec::new();
        let mut next = Some(1);
        while let Some(number) = next {
            let page = page(&client, scope, number).await;
            assert_eq!((page.workspaces.len(), page.total), (if number < 3 { 100 } else { 3 }, 203), "{number}");
            assert!(page.workspaces.iter().all(|listed| listed.state.is_some() && listed.run.is_some()));
            next = page.next;
            assert!(next.is_none_or(|next| next == number + 1));
            all.extend(page.workspaces.into_iter().map(|listed| listed.found.name));
        }
        assert_eq!(all[0], first, "{scope:?}");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 203, "{scope:?}");
        assert_eq!(page(&client, scope, 4).await, ListPage { total: 203, ..ListPage::default() }, "beyond the end");
    }
}

#[tokio::test]
async fn what_happened_last_comes_first() {
    let (hcp, client) = simulated().await;
    for name in ["a", "b", "c"] {
        hcp.add_workspace(WorkspaceSpec::new(name).auto_apply(true));
        hcp.apply_now(name);
    }
    // One runs and changes nothing, one changes and does not run.
    hcp.start_run("a", RunOptions::default());
    hcp.settled().await;
    hcp.push_state("b", "vpc", "vpc-2");
    assert_eq!(names(&page(&client, SurveyScope::LatelyRun, 1).await), ["a", "c", "b"]);
    assert_eq!(names(&page(&client, SurveyScope::LatelyChanged, 1).await), ["b", "c", "a"]);
    assert_eq!(names(&page(&client, SurveyScope::All, 1).await), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_workspace_is_listed_as_it_is_shown_and_so_is_its_run() {
    let (hcp, client) = simulated().await;
    for name in ["bare", "net"] {
        hcp.add_workspace(WorkspaceSpec::new(name));
    }
    hcp.set_tags("net", &["prod", "sluice:run", "sluice:observe"]);
    hcp.apply_now("net");
    hcp.touch("net");
    let marker = Marker("sluice-0011223344556677".to_owned());
    let run = hcp.start_run("net", RunOptions::new(&format!("Outputs changed in acme/dns [{marker}]")));
    hcp.start_run("net", RunOptions::plan_only("does not become the current run"));
    hcp.start_run("bare", RunOptions::plan_only("nor here"));
    hcp.settled().await;

    let [bare, net] = page(&client, SurveyScope::All, 1).await.workspaces.try_into().unwrap();
    assert_eq!((&bare.found.tagged, &bare.state, &bare.run), (&None, &None, &None));
    assert_eq!(net.found.tagged, Some(Autonomy::Observe), "the more cautious of two tags counts");
    assert_eq!(client.workspace(&net.found.id).await.unwrap(), Some(net.found.clone()));
    let state = client.current_state(&net.found.id).await.unwrap().unwrap();
    assert_eq!(net.state, Some(state.facts.version));
    let listed = net.run.unwrap();
    assert_eq!((listed.run.as_str(), listed.standing), (run.as_str(), Standing::AwaitingPerson));
    assert_eq!(listed.marker, Some(marker));
    // Times of statuses are told to the second.
    assert!(listed.at.0 + 1000 > listed.created_at.0, "{listed:?}");

    assert!(hcp.confirm(&run));
    hcp.settled().await;
    let [_, net] = page(&client, SurveyScope::All, 1).await.workspaces.try_into().unwrap();
    assert_eq!(net.run.unwrap().standing, Standing::Applied);
}

#[tokio::test]
async fn a_page_may_be_large_and_has_a_limit() {
    let workspace = r#"{"id":"ws-1","attributes":{"name":"app"}}"#;
    let large = format!(r#"{{"data":[{workspace}],"padding":"{}"}}"#, "x".repeat(7 << 20));
    let far = Far::new(move |_| ok(&large)).await;
    assert_eq!(names(&page(&far.client(), SurveyScope::All, 1).await), ["app"]);

    let far = Far::new(|_| Deed::Flood("HTTP/1.1 200 OK\r\n\r\n{".to_owned(), 64 << 20)).await;
    let error = far.client().workspaces(&acme(), SurveyScope::All, 1).await.unwrap_err();
    assert!(error.to_string().ends_with("it is larger than 8388608 bytes"), "{error}");
    let far = Far::new(|_| Deed::Say(answer("200 OK", "", r#"{"data":"hunter2"}"#))).await;
    check_discreet(&far.client().workspaces(&acme(), SurveyScope::All, 1).await.unwrap_err());
}
