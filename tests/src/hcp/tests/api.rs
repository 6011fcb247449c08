//! The API: who may do what, and what the answers look like.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_run_is_created_over_the_api() {
    let hcp = pair().await;
    let body = run_body(&hcp.workspace_id("network"), &json!({ "message": "by api", "auto-apply": false }));
    hcp.touch("network");
    let created = post(&hcp, "/runs", Some(body)).await;
    assert_eq!((created.status, created.body["data"]["attributes"]["status"].as_str()), (201, Some("pending")));
    hcp.settled().await;
    let id = created.body["data"]["id"].as_str().unwrap();
    assert_eq!(id, "run-0000000000000003");
    let shown = get(&hcp, &format!("/runs/{id}?include=workspace")).await.body;
    let attributes = &shown["data"]["attributes"];
    assert_eq!((&attributes["status"], &attributes["source"]), (&json!("planned"), &json!("tfe-api")));
    assert_eq!(shown["included"][0]["attributes"]["name"], "network");
    assert_eq!(post(&hcp, &format!("/runs/{id}/actions/apply"), None).await.status, 202);
    assert_eq!(post(&hcp, &format!("/runs/{id}/actions/apply"), None).await.status, 409);
    assert_eq!(post(&hcp, "/runs/run-none/actions/apply", None).await.status, 404);
    hcp.settled().await;
    assert_eq!(hcp.run(id).unwrap().status, RunStatus::Applied);
}

#[tokio::test]
async fn creating_a_run_is_refused_as_documented() {
    let hcp = pair().await;
    let bare = hcp.add_workspace(WorkspaceSpec::new("bare").unconfigured());
    let missing = post(&hcp, "/runs", Some(run_body(&bare, &json!({})))).await;
    assert_eq!(missing.status, 422);
    assert_eq!(missing.body["errors"][0]["detail"], "Configuration version is missing");
    let absent = post(&hcp, "/runs", Some(run_body("ws-none", &json!({})))).await;
    assert_eq!((absent.status, absent.body), (404, json!({ "errors": [{ "status": "404", "title": "not found" }] })));
    let network = hcp.workspace_id("network");
    assert_eq!(post(&hcp, "/runs", Some(run_body(&network, &json!({ "is-destroy": "yes" })))).await.status, 422);
    assert_eq!(post(&hcp, "/runs", Some(json!({ "data": {} }))).await.status, 422);

    hcp.add_token("org-token", TokenKind::Organization, "api-org-acme");
    let body = Some(run_body(&network, &json!({})));
    let call = |token, method, path, body| try_call(&hcp, token, method, path, body);
    assert_eq!(call("org-token", Method::POST, "/api/v2/runs", body.clone()).await.unwrap().status, 404);
    let read = call("org-token", Method::GET, "/api/v2/organizations/acme/workspaces/network", None).await.unwrap();
    assert_eq!(read.status, 200);
    assert_eq!(call("wrong", Method::POST, "/api/v2/runs", body.clone()).await.unwrap().status, 401);
    hcp.revoke_token("org-token");
    assert_eq!(call("org-token", Method::GET, "/api/v2/account/details", None).await.unwrap().status, 401);
    assert_eq!(call("", Method::GET, "/api/v2/ping", None).await.unwrap().status, 204);
    assert!(hcp.runs("network").is_empty());

    hcp.unconfigure("network");
    assert_eq!(post(&hcp, "/runs", body.clone()).await.status, 422);
    hcp.touch("network");
    assert_eq!(post(&hcp, "/runs", body).await.status, 201);
    hcp.settled().await;
    assert_eq!(hcp.runs("network")[0].status, RunStatus::Applied, "a new configuration is a change");
}

#[tokio::test]
async fn a_workspace_is_shown_by_name_and_id() {
    let hcp = pair().await;
    let by_name = get(&hcp, "/organizations/acme/workspaces/app").await.body;
    let by_id = get(&hcp, &format!("/workspaces/{}?include=current_run", hcp.workspace_id("app"))).await.body;
    assert_eq!(by_name["data"], by_id["data"]);
    let data = &by_name["data"];
    assert_eq!((&data["attributes"]["locked"], &data["attributes"]["auto-apply"]), (&json!(false), &json!(true)));
    assert_eq!(data["relationships"]["current-state-version"]["data"]["id"], "sv-0000000000000002");
    assert_eq!(by_id["included"][0]["attributes"]["status"], "applied");
    assert_eq!(get(&hcp, "/organizations/acme/workspaces/nothing").await.status, 404);
    assert_eq!(get(&hcp, "/organizations/other/workspaces").await.status, 404);
}

#[tokio::test]
async fn a_state_version_tells_its_resources_and_outputs() {
    let hcp = pair().await;
    let path = format!("/workspaces/{}/current-state-version", hcp.workspace_id("app"));
    let current = get(&hcp, &path).await.body;
    let attributes = &current["data"]["attributes"];
    assert_eq!(attributes["resources"][0]["type"], "data.terraform_remote_state");
    assert_eq!(attributes["modules"]["root"]["data.terraform-remote-state"], 1);
    assert_eq!((&attributes["status"], &attributes["serial"]), (&json!("finalized"), &json!(1)));
    assert_eq!(attributes["size"], hcp.state_body("app").unwrap().len());
    let outputs = get(&hcp, &format!("{path}-outputs")).await.body;
    assert_eq!(outputs["data"][0]["attributes"]["value"], "vpc-1");
    let empty = hcp.add_workspace(WorkspaceSpec::new("empty"));
    assert_eq!(get(&hcp, &format!("/workspaces/{empty}/current-state-version")).await.status, 404);
    let list = "/state-versions?filter%5Bworkspace%5D%5Bname%5D=app&filter%5Borganization%5D%5Bname%5D=acme";
    assert_eq!(get(&hcp, list).await.body["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let hcp = start().await;
    for number in 0..45 {
        hcp.add_workspace(WorkspaceSpec::new(&format!("w-{number:02}")).tag(if number < 3 { "few" } else { "many" }));
    }
    let first = get(&hcp, "/organizations/acme/workspaces").await.body;
    let pagination = &first["meta"]["pagination"];
    let expected = json!({ "current-page": 1, "page-size": 20, "prev-page": null, "next-page": 2, "total-pages": 3,
        "total-count": 45 });
    assert_eq!((pagination, first["data"].as_array().unwrap().len()), (&expected, 20));
    let next = "/organizations/acme/workspaces?page%5Bnumber%5D=2&page%5Bsize%5D=20";
    assert_eq!(first["links"]["next"], format!("{}/api/v2{next}", hcp.address()));
    let last = get(&hcp, "/organizations/acme/workspaces?page%5Bnumber%5D=3&page%5Bsize%5D=20").await.body;
    assert_eq!((&last["meta"]["pagination"]["next-page"], last["data"].as_array().unwrap().len()), (&Value::Null, 5));
    assert_eq!(last["data"][4]["attributes"]["name"], "w-44");
    let few = get(&hcp, "/organizations/acme/workspaces?search%5Btags%5D=few").await.body;
    assert_eq!(few["meta"]["pagination"]["total-count"], 3);
}

#[tokio::test]
async fn runs_are_listed_by_status_and_message() {
    let hcp = pair().await;
    hcp.auto_apply("network", false);
    hcp.touch("network");
    let waiting = hcp.start_run("network", RunOptions::new("one [marker-1]"));
    hcp.start_run("network", RunOptions::new("two [marker-2]"));
    hcp.start_run("network", RunOptions::plan_only("what if"));
    hcp.settled().await;
    let path = format!("/workspaces/{}/runs", hcp.workspace_id("network"));
    let count = async |query: &str| get(&hcp, &format!("{path}{query}")).await.body["data"].as_array().unwrap().len();
    assert_eq!(count("").await, 3);
    assert_eq!(count("?filter[status_group]=non_final").await, 2);
    assert_eq!(count("?filter%5Bstatus_group%5D=final").await, 1);
    assert_eq!(count("?filter[status]=planned,pending").await, 2);
    assert_eq!(count("?filter[operation]=plan_only").await, 1);
    assert_eq!(count("?search[basic]=what").await, 0);
    assert_eq!(count("?search[basic]=what&filter[operation]=plan_only").await, 1);
    let query = "?filter[status_group]=non_final&search[basic]=marker-1";
    assert_eq!(get(&hcp, &format!("{path}{query}")).await.body["data"][0]["id"], waiting.as_str());
    let all = get(&hcp, "/organizations/acme/runs?filter[workspace_names]=network").await.body;
    assert_eq!((all["data"].as_array().unwrap().len(), &all["meta"]["pagination"]["total-count"]), (3, &Value::Null));
    assert_eq!(hcp.count(Route::ListRuns), 8);
    assert_eq!(hcp.requests().last().unwrap().status, Some(200));
}

#[tokio::test]
async fn a_renamed_workspace_keeps_its_id_and_a_deleted_one_is_gone() {
    let hcp = pair().await;
    let id = hcp.workspace_id("network");
    hcp.rename("network", "core-network");
    assert_eq!(get(&hcp, "/organizations/acme/workspaces/network").await.status, 404);
    assert_eq!(get(&hcp, "/organizations/acme/workspaces/core-network").await.body["data"]["id"], id.as_str());
    let run = hcp.start_run("app", RunOptions::default());
    hcp.settled().await;
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::Errored);
    hcp.start_run(&id, RunOptions::default());
    let deleted = try_call(&hcp, &hcp.token(), Method::DELETE, &format!("/api/v2/workspaces/{id}"), None).await;
    assert_eq!(deleted.unwrap().status, 204);
    hcp.settled().await;
    assert_eq!(get(&hcp, &format!("/workspaces/{id}")).await.status, 404);
    assert!(!hcp.has_workspace("core-network"));
}

#[tokio::test]
async fn locks_conflict() {
    let hcp = pair().await;
    let path = format!("/workspaces/{}/actions", hcp.workspace_id("network"));
    let locked = post(&hcp, &format!("{path}/lock"), Some(json!({ "reason": "maintenance" }))).await;
    assert_eq!((locked.status, &locked.body["data"]["attributes"]["locked"]), (200, &json!(true)));
    assert_eq!(post(&hcp, &format!("{path}/lock"), None).await.status, 409);
    assert_eq!(post(&hcp, &format!("{path}/unlock"), None).await.status, 200);
    assert_eq!(post(&hcp, &format!("{path}/unlock"), None).await.status, 409);
}

fn configuration(url: &str, enabled: bool) -> Value {
    json!({ "data": { "type": "notification-configurations", "attributes": {
        "destination-type": "generic", "enabled": enabled, "name": "sluice", "token": TOKEN, "url": url,
        "triggers": ["run:completed", "run:errored"],
    } } })
}

#[tokio::test]
async fn a_notification_configuration_is_kept_if_its_receiver_answers() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    let path = format!("/workspaces/{}/notification-configurations", hcp.workspace_id("network"));
    *receiver.status.lock().unwrap() = 401;
    assert_eq!(post(&hcp, &path, Some(configuration(&receiver.url, true))).await.status, 400);
    assert!(get(&hcp, &path).await.body["data"].as_array().unwrap().is_empty());
    *receiver.status.lock().unwrap() = 200;
    let created = post(&hcp, &path, Some(configuration(&receiver.url, true))).await;
    assert_eq!((created.status, &created.body["data"]["attributes"]["token"]), (201, &Value::Null));
    let own = format!("/notification-configurations/{}", created.body["data"]["id"].as_str().unwrap());
    assert_eq!(post(&hcp, &format!("{own}/actions/verify"), None).await.status, 200);
    let responses = &get(&hcp, &own).await.body["data"]["attributes"]["delivery-responses"];
    assert_eq!((&responses[0]["code"], &responses[0]["successful"]), (&json!("200"), &json!("true")));
    assert_eq!(receiver.triples(), ["Verification of sluice / verification / null"; 3]);

    hcp.touch("network");
    hcp.start_run("network", RunOptions::default());
    hcp.settled().await;
    assert_eq!(receiver.triples()[3..], ["Run Applied / run:completed / applied"]);
    let deleted = try_call(&hcp, &hcp.token(), Method::DELETE, &format!("/api/v2{own}"), None).await.unwrap();
    assert_eq!((deleted.status, get(&hcp, &own).await.status), (204, 404));
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let hcp = pair().await;
    let request = client().post(format!("{}/api/v2/runs", hcp.address())).bearer_auth(hcp.token());
    let response = request.header("content-type", "application/json").body("{}").send().await.unwrap();
    assert_eq!(response.status(), 415);
}
