//! Who may manage what, projects, and what an instance says of itself.

use serde_json::json;

use super::*;

fn configuration(url: &str, triggers: &[&str]) -> Option<Value> {
    let attributes = json!({
        "destination-type": "generic", "enabled": true, "name": "sluice", "url": url, "token": TOKEN,
        "triggers": triggers,
    });
    Some(json!({ "data": { "type": "notification-configurations", "attributes": attributes } }))
}

#[tokio::test]
async fn a_project_tells_of_the_runs_of_its_workspaces() {
    let (hcp, receiver) = (start().await, Receiver::start().await);
    hcp.add_workspace(WorkspaceSpec::new("inside").project("platform").auto_apply(true));
    hcp.add_workspace(WorkspaceSpec::new("outside").auto_apply(true));
    let projects = get(&hcp, "/organizations/acme/projects").await.body;
    let id =
        projects["data"].as_array().unwrap().iter().find(|it| it["attributes"]["name"] == "platform").unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
    let path = format!("/projects/{id}/notification-configurations");
    let created = post(&hcp, &path, configuration(&receiver.url, &["run:completed"])).await;
    assert_eq!((created.status, receiver.triples()[0].as_str()), (201, "Verification of sluice / verification / null"));
    assert_eq!(get(&hcp, &path).await.body["data"][0]["attributes"]["delivery-responses"][0]["code"], "202");
    for name in ["inside", "outside"] {
        hcp.touch(name);
        hcp.start_run(name, RunOptions::new("a change"));
    }
    hcp.settled().await;
    let told = receiver.payloads();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[1]["workspace_name"], "inside");

    hcp.server(|server| server.project_notifications = false);
    assert_eq!(get(&hcp, &path).await.status, 404);
    assert_eq!(post(&hcp, &path, configuration(&receiver.url, &[])).await.status, 404);
    hcp.server(|server| server.projects = false);
    assert_eq!(get(&hcp, "/organizations/acme/projects").await.status, 404);
}

#[tokio::test]
async fn whoever_is_no_admin_does_not_see_notifications() {
    let (hcp, receiver) = (start().await, Receiver::start().await);
    hcp.add_workspace(WorkspaceSpec::new("a"));
    hcp.add_token("weak", TokenKind::Team, "weak");
    hcp.set_rights("weak", Rights { admin: false, ..Rights::ALL });
    hcp.add_token("owners", TokenKind::Organization, "acme");
    let path = format!("/api/v2/workspaces/{}/notification-configurations", hcp.workspace_id("a"));
    for token in ["weak", "owners"] {
        assert_eq!(try_call(&hcp, token, Method::GET, &path, None).await.unwrap().status, 404, "{token}");
        let body = configuration(&receiver.url, &[]);
        assert_eq!(try_call(&hcp, token, Method::POST, &path, body).await.unwrap().status, 404, "{token}");
        let workspace =
            try_call(&hcp, token, Method::GET, "/api/v2/organizations/acme/workspaces/a", None).await.unwrap();
        assert_eq!(workspace.body["data"]["attributes"]["permissions"]["can-update"], false, "{token}");
        let tasks = try_call(&hcp, token, Method::GET, "/api/v2/organizations/acme/tasks", None).await.unwrap();
        assert_eq!(tasks.status, 200, "{token}");
    }
    hcp.set_rights("weak", Rights::NONE);
    let tasks = try_call(&hcp, "weak", Method::GET, "/api/v2/organizations/acme/tasks", None).await.unwrap();
    assert_eq!(tasks.status, 404);
    hcp.guard("a");
    assert_eq!(get(&hcp, path.trim_start_matches("/api/v2")).await.status, 404);
}

#[tokio::test]
async fn an_account_tells_whose_the_token_is_and_an_answer_which_instance_it_is() {
    let hcp = start().await;
    hcp.add_token("team", TokenKind::Team, "core");
    hcp.add_token("owners", TokenKind::Organization, "acme");
    for (token, kind) in [("user-token-of-jo", "users"), ("team", "teams"), ("owners", "organizations")] {
        let account = try_call(&hcp, token, Method::GET, "/api/v2/account/details", None).await.unwrap();
        let resource = &account.body["data"]["relationships"]["authenticated-resource"]["data"]["type"];
        assert_eq!(resource, kind, "{token}");
        assert_eq!(account.headers["tfp-appname"], "HCP Terraform");
    }
    hcp.server(|server| {
        server.app_name = Some("Terraform Enterprise".into());
        server.release = Some("v202409-1".into());
    });
    let ping = try_call(&hcp, "", Method::GET, "/api/v2/ping", None).await.unwrap();
    assert_eq!((ping.status, &ping.headers["x-tfe-version"]), (204, &"v202409-1".parse().unwrap()));
    assert!(ping.headers["date"].to_str().unwrap().ends_with(" GMT"));
}

#[tokio::test]
async fn triggers_that_the_instance_does_not_know_are_refused() {
    let (hcp, receiver) = (start().await, Receiver::start().await);
    hcp.add_workspace(WorkspaceSpec::new("a"));
    hcp.server(|server| drop(server.unknown_triggers.insert("run:errored".into())));
    let path = format!("/workspaces/{}/notification-configurations", hcp.workspace_id("a"));
    assert_eq!(post(&hcp, &path, configuration(&receiver.url, &["run:errored"])).await.status, 422);
    assert_eq!(post(&hcp, &path, configuration(&receiver.url, &["run:run_errored"])).await.status, 201);
    assert_eq!(hcp.notifications()[0].triggers, ["run:run_errored".to_owned()].into());
}
