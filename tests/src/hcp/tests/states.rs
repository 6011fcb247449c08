//! State versions: what consumers copy, how files look, and how they are downloaded.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_consumer_copies_what_its_producer_put_out() {
    let hcp = pair().await;
    hcp.change("network", "vpc", "vpc-2");
    hcp.start_run("network", RunOptions::default());
    hcp.settled().await;
    assert_eq!(hcp.copies("app")["net"]["vpc"], "vpc-1");
    assert_eq!(hcp.outdated().keys().collect::<Vec<_>>(), ["acme/app"]);

    hcp.start_run("app", RunOptions::default());
    hcp.settled().await;
    assert_eq!(hcp.copies("app")["net"]["vpc"], "vpc-2");
    assert_eq!(hcp.outputs("app")["vpc"], "vpc-2");
    assert!(hcp.outdated().is_empty());
}

#[tokio::test]
async fn a_program_that_ignores_its_reads_keeps_the_old_copy() {
    let hcp = pair().await;
    hcp.edit("app", |program| {
        program.depends_on_reads = false;
        program.outputs.clear();
    });
    hcp.start_run("app", RunOptions::default());
    hcp.change("network", "vpc", "vpc-2");
    hcp.settled().await;
    hcp.start_run("network", RunOptions::default());
    hcp.settled().await;
    let run = hcp.start_run("app", RunOptions::default());
    hcp.settled().await;
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::PlannedAndFinished);
    assert_eq!(hcp.copies("app")["net"]["vpc"], "vpc-1");
}

#[tokio::test]
async fn a_destroy_leaves_nothing_and_fails_consumers() {
    let hcp = pair().await;
    hcp.start_run("network", RunOptions::destroy("tear down"));
    hcp.settled().await;
    let body: Value = serde_json::from_slice(&hcp.state_body("network").unwrap()).unwrap();
    assert_eq!((&body["outputs"], &body["resources"], &body["serial"]), (&json!({}), &json!([]), &json!(2)));
    let run = hcp.start_run("app", RunOptions::default());
    hcp.settled().await;
    assert_eq!(hcp.run(&run).unwrap().status, RunStatus::Errored);
}

#[tokio::test]
async fn a_state_file_looks_as_terraform_writes_it() {
    let hcp = start().await;
    hcp.add_workspace(WorkspaceSpec::new("network").output("note", Output::fixed("<a> & b")));
    hcp.apply_now("network");
    let read = Read::cloud("net", "acme", "network").hostname("localterraform.com");
    hcp.add_workspace(WorkspaceSpec::new("app").reads(read));
    hcp.apply_now("app");
    let expected = r#"{
  "version": 4,
  "terraform_version": "1.11.4",
  "serial": 1,
  "lineage": "00000000-0000-4000-8000-000000000002",
  "outputs": {},
  "resources": [
    {
      "mode": "data",
      "type": "terraform_remote_state",
      "name": "net",
      "provider": "provider[\"terraform.io/builtin/terraform\"]",
      "instances": [
        {
          "schema_version": 0,
          "attributes": {
            "backend": "cloud",
            "config": {
              "value": {
                "hostname": "localterraform.com",
                "organization": "acme",
                "workspaces": {
                  "name": "network"
                }
              },
              "type": [
                "object",
                {
                  "hostname": "string",
                  "organization": "string",
                  "workspaces": [
                    "object",
                    {
                      "name": "string"
                    }
                  ]
                }
              ]
            },
            "defaults": null,
            "outputs": {
              "value": {
                "note": "\u003ca\u003e \u0026 b"
              },
              "type": [
                "object",
                {
                  "note": "string"
                }
              ]
            },
            "workspace": "network"
          },
          "sensitive_attributes": []
        }
      ]
    },
    {
      "mode": "managed","#;
    let body = String::from_utf8(hcp.state_body("app").unwrap()).unwrap();
    assert!(body.starts_with(expected), "{body}");
    assert!(body.ends_with("\n  ],\n  \"check_results\": null\n}\n"), "{body}");
}

#[tokio::test]
async fn data_sources_name_workspaces_in_every_way() {
    let hcp = start().await;
    hcp.add_workspace(WorkspaceSpec::new("net-prod").output("vpc", Output::fixed("vpc-1")));
    hcp.apply_now("net-prod");
    let elsewhere = Read::remote("elsewhere", "acme", "dns").hostname("tfe.example.com");
    let spec = WorkspaceSpec::new("app")
        .reads(Read::prefix("by_prefix", "acme", "net-", "prod"))
        .reads(Read::prefix("by_prefix_again", "acme", "net-", "net-prod"))
        .reads(elsewhere.in_module("module.a[\"x\"]"));
    hcp.add_workspace(spec.output("vpc", Output::copy("by_prefix_again", "vpc")));
    hcp.apply_now("app");

    let app: Value = serde_json::from_slice(&hcp.state_body("app").unwrap()).unwrap();
    let attributes = |place: usize| &app["resources"][place]["instances"][0]["attributes"];
    let prefix = json!({ "organization": "acme", "workspaces": { "prefix": "net-" } });
    assert_eq!((&attributes(0)["config"]["value"], &attributes(0)["workspace"]), (&prefix, &json!("prod")));
    assert_eq!(
        (&attributes(1)["outputs"]["value"], &attributes(1)["workspace"]),
        (&json!({ "vpc": "vpc-1" }), &json!("net-prod"))
    );
    assert_eq!(app["resources"][2]["mode"], "managed");
    assert_eq!(app["resources"][3]["module"], "module.a[\"x\"]");
    assert_eq!(attributes(3)["outputs"]["value"], json!({}));
    assert_eq!(attributes(3)["config"]["value"]["hostname"], "tfe.example.com");
}

#[tokio::test]
async fn outputs_keep_their_types_and_tfe_outputs_are_sensitive() {
    let hcp = start().await;
    let list = Output::fixed(json!(["a", "b"])).typed(json!(["list", "string"]));
    let network = WorkspaceSpec::new("network").output("azs", list).output("none", Output::fixed(Value::Null));
    hcp.add_workspace(network.output("secret", Output::fixed(1).sensitive()));
    hcp.apply_now("network");
    hcp.add_workspace(WorkspaceSpec::new("app").reads(Read::tfe_outputs("net", "acme", "network")));
    hcp.apply_now("app");

    let network: Value = serde_json::from_slice(&hcp.state_body("network").unwrap()).unwrap();
    let azs = json!({ "value": ["a", "b"], "type": ["list", "string"] });
    let secret = json!({ "value": 1, "type": "number", "sensitive": true });
    assert_eq!(network["outputs"], json!({ "azs": azs, "secret": secret }));
    let app: Value = serde_json::from_slice(&hcp.state_body("app").unwrap()).unwrap();
    assert_eq!(app["resources"][0]["provider"], r#"provider["registry.terraform.io/hashicorp/tfe"]"#);
    let instance = &app["resources"][0]["instances"][0];
    assert_eq!(instance["sensitive_attributes"], json!([[{ "type": "get_attr", "value": "values" }]]));
    assert_eq!(instance["attributes"]["id"], "acme-network");
    assert_eq!(instance["attributes"]["nonsensitive_values"]["value"], json!({ "azs": ["a", "b"] }));
    assert_eq!(instance["attributes"]["values"]["value"]["secret"], 1);
}

#[tokio::test]
async fn any_bytes_can_be_a_state() {
    let hcp = pair().await;
    hcp.set_state("network", "not json");
    let current = get(&hcp, &format!("/workspaces/{}/current-state-version", hcp.workspace_id("network"))).await;
    assert_eq!(current.body["data"]["attributes"]["serial"], 2);
    assert_eq!(current.body["data"]["relationships"]["run"]["data"], Value::Null);
    assert_eq!(hcp.state_body("network").unwrap(), b"not json");
    hcp.set_state("network", r#"{"version":4,"serial":9,"outputs":{"vpc":{"value":"vpc-9","type":"string"}}}"#);
    hcp.start_run("app", RunOptions::default());
    hcp.settled().await;
    assert_eq!((hcp.serial("network"), &hcp.outputs("app")["vpc"]), (9, &json!("vpc-9")));
}

#[tokio::test]
async fn a_state_is_pushed_without_a_run() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    hcp.notify_all(&receiver.url, TOKEN);
    hcp.push_state("app", "extra", json!(["b", 1]));
    hcp.push_state("network", "vpc", "vpc-2");
    assert_eq!((hcp.outputs("network"), hcp.serial("network")), ([("vpc".to_owned(), json!("vpc-2"))].into(), 2));
    assert_eq!(hcp.outputs("app"), [("extra".to_owned(), json!(["b", 1])), ("vpc".to_owned(), json!("vpc-1"))].into());
    assert_eq!(hcp.outdated().keys().collect::<Vec<_>>(), ["acme/app"], "what it had read is still in its state");
    let current = get(&hcp, &format!("/workspaces/{}/current-state-version", hcp.workspace_id("app"))).await.body;
    assert_eq!(current["data"]["relationships"]["run"]["data"], Value::Null);
    assert_eq!(current["data"]["attributes"]["resources"][0]["type"], "data.terraform_remote_state");
    assert!(hcp.history().is_empty() && receiver.payloads().is_empty(), "nobody is told");

    let run = hcp.start_run("network", RunOptions::default());
    hcp.settled().await;
    assert!(hcp.run(&run).unwrap().has_changes, "a run puts back what the configuration says");
    assert_eq!(hcp.outputs("network")["vpc"], "vpc-1");

    hcp.add_workspace(WorkspaceSpec::new("local"));
    hcp.push_state("local", "vpc", "vpc-l");
    assert_eq!((hcp.serial("local"), &hcp.outputs("local")["vpc"]), (1, &json!("vpc-l")));
}

/// Downloads the current state of `app`, with or without the token, and says what came of it.
async fn download(hcp: &Hcp, token: &str) -> (String, u16) {
    let current = get(hcp, &format!("/workspaces/{}/current-state-version", hcp.workspace_id("app"))).await;
    let url = current.body["data"]["attributes"]["hosted-state-download-url"].as_str().unwrap().to_owned();
    let absolute = if url.starts_with('/') { format!("{}{url}", hcp.address()) } else { url.clone() };
    let request = client().get(absolute);
    let request = if token.is_empty() { request } else { request.bearer_auth(token) };
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    if status == 200 {
        assert_eq!(response.bytes().await.unwrap(), hcp.state_body("app").unwrap());
    }
    (url.replace(&hcp.address(), "API"), status)
}

#[tokio::test]
async fn downloads_come_in_every_style() {
    let hcp = pair().await;
    let token = hcp.token();
    for style in [Downloads::RelativePath, Downloads::SameHost, Downloads::Redirect] {
        hcp.downloads(style);
        let (url, status) = download(&hcp, &token).await;
        let expected = match style {
            Downloads::RelativePath => "/api/v2/state-versions/sv-0000000000000002/download",
            _ => "API/api/state-versions/sv-0000000000000002/hosted_state",
        };
        assert_eq!((url.as_str(), status), (expected, 200), "{style:?}");
        assert_eq!(download(&hcp, "").await.1, 401, "{style:?}");
    }
    assert!(hcp.leaks().is_empty());
    hcp.downloads(Downloads::Archivist);
    let (url, status) = download(&hcp, "").await;
    assert!(url.contains("/v1/object/") && status == 200);
    assert_eq!(download(&hcp, &token).await.1, 400);
    assert_eq!(hcp.leaks().len(), 1);
}

#[tokio::test]
async fn a_state_version_lags_behind_when_told_to() {
    let hcp = pair().await;
    let lag = std::time::Duration::from_millis(60);
    hcp.timings(Timings { state_lag: lag, processing: lag, ..Timings::default() });
    hcp.touch("network");
    let run = hcp.start_run("network", RunOptions::default());
    let mut events = hcp.subscribe();
    while events.recv().await.unwrap().status != RunStatus::Applied {}
    assert_eq!(hcp.serial("network"), 1);
    hcp.settled().await;
    assert_eq!(hcp.serial("network"), 2);
    let path = format!("/workspaces/{}/current-state-version", hcp.workspace_id("network"));
    let current = get(&hcp, &path).await.body;
    assert_eq!(current["data"]["relationships"]["run"]["data"]["id"], run.as_str());
    assert_eq!(current["data"]["attributes"]["resources-processed"], false);
    assert_eq!(get(&hcp, &format!("{path}-outputs")).await.status, 503);
}
