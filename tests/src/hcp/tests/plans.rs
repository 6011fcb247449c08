//! Plans as JSON: where they are had from, and what is in them.

use std::time::Duration;

use serde_json::json;

use super::tasks::{call_back, gated, last, result_body};
use super::*;
use crate::hcp::tasks::client as without_redirects;

/// The plan of a run as somebody with this token gets it: by the way of the archivist.
async fn plan_of(hcp: &Hcp, token: &str, run: &str) -> (u16, String) {
    let url = format!("{}/api/v2/plans/{}/json-output", hcp.address(), run.replace("run", "plan"));
    let answer = without_redirects().get(url).bearer_auth(token).send().await.unwrap();
    let location = answer.headers().get("location").map(|it| it.to_str().unwrap().to_owned());
    (answer.status().as_u16(), location.unwrap_or_default())
}

async fn fetch(hcp: &Hcp, run: &str) -> Value {
    let (status, object) = plan_of(hcp, &hcp.token(), run).await;
    assert_eq!(status, 307);
    serde_json::from_slice(&client().get(object).send().await.unwrap().bytes().await.unwrap()).unwrap()
}

async fn planned(hcp: &Hcp, workspace: &str, options: RunOptions) -> Value {
    let run = hcp.start_run(workspace, RunOptions { plan_only: true, ..options });
    hcp.settled().await;
    assert_eq!(hcp.run(&run).unwrap().error, None);
    fetch(hcp, &run).await
}

#[tokio::test]
async fn a_task_gets_the_plan_of_its_own_run_once_there_is_one() {
    let (hcp, receiver) = gated(Enforcement::Mandatory, &[Stage::PrePlan, Stage::PostPlan]).await;
    let run = super::tasks::run(&hcp).await;
    assert_eq!(plan_of(&hcp, &hcp.token(), &run).await.0, 204, "it is not planned yet");
    call_back(&last(&receiver), &result_body("passed")).await;
    hcp.settled().await;
    let token = last(&receiver)["access_token"].as_str().unwrap().to_owned();
    let (status, object) = plan_of(&hcp, &token, &run).await;
    assert_eq!(status, 307);
    assert!(hcp.leaks().is_empty());
    assert_eq!(plan_of(&hcp, &token, "run-0000000000000001").await.0, 401, "it is another run's");
    assert_eq!(hcp.leaks().len(), 1);
    hcp.add_token("org-token", TokenKind::Organization, "api-org-acme");
    assert_eq!(plan_of(&hcp, "org-token", &run).await.0, 404);
    assert_eq!(plan_of(&hcp, &hcp.token(), "run-none").await.0, 404);

    let answer = client().get(&object).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    hcp.advance(Duration::from_mins(1));
    assert_eq!(client().get(&object).send().await.unwrap().status(), 404, "a minute is over");
}

#[tokio::test]
async fn outputs_are_created_changed_kept_and_deleted() {
    let hcp = start().await;
    let secret = Output::fixed("s3cret").sensitive();
    hcp.add_workspace(WorkspaceSpec::new("network").output("vpc", Output::fixed("<vpc>")).output("secret", secret));
    let first = planned(&hcp, "network", RunOptions::default()).await;
    let created = json!({ "actions": ["create"], "before": null, "after": "<vpc>", "after_unknown": false,
        "before_sensitive": false, "after_sensitive": false });
    assert_eq!(first["output_changes"]["vpc"], created);
    assert_eq!(
        first["planned_values"]["outputs"]["secret"],
        json!({ "sensitive": true, "type": "string", "value": "s3cret" })
    );
    assert_eq!(first["resource_changes"][0]["change"]["actions"], json!(["create"]));
    assert_eq!(first["resource_changes"][0]["change"]["after_unknown"], json!({ "id": true, "output": true }));
    assert_eq!((&first["format_version"], &first["applyable"]), (&json!("1.2"), &json!(true)));

    hcp.apply_now("network");
    let same = planned(&hcp, "network", RunOptions::default()).await;
    assert_eq!(same["output_changes"]["vpc"]["actions"], json!(["no-op"]));
    assert_eq!(same["resource_changes"][0]["change"]["actions"], json!(["no-op"]));
    assert_eq!(same["resource_changes"][0]["change"]["before"], same["resource_changes"][0]["change"]["after"]);
    assert_eq!(same["applyable"], false);

    hcp.edit("network", |program| {
        program.outputs.remove("secret");
        program.outputs.insert("vpc".to_owned(), Output::fixed("vpc-2"));
        program.resource_changes.push(json!({ "address": "aws_s3_bucket.logs" }));
    });
    let changed = planned(&hcp, "network", RunOptions::default()).await;
    let updated = json!({ "actions": ["update"], "before": "<vpc>", "after": "vpc-2", "after_unknown": false,
        "before_sensitive": false, "after_sensitive": false });
    let deleted = json!({ "actions": ["delete"], "before": "s3cret", "after": null, "after_unknown": false,
        "before_sensitive": true, "after_sensitive": true });
    assert_eq!(changed["output_changes"], json!({ "vpc": updated, "secret": deleted }));
    assert_eq!(changed["resource_changes"][0]["change"]["actions"], json!(["update"]));
    assert_eq!(changed["resource_changes"][1], json!({ "address": "aws_s3_bucket.logs" }));
    assert_eq!(changed["resource_changes"].as_array().unwrap().len(), 2);
    assert_eq!(changed["prior_state"]["values"]["outputs"]["vpc"]["value"], "vpc-2", "as Terraform has it");

    let gone = planned(&hcp, "network", RunOptions::destroy("tear down")).await;
    assert_eq!(gone["output_changes"]["vpc"]["actions"], json!(["delete"]));
    assert_eq!(
        (&gone["resource_changes"][0]["change"]["actions"], &gone["planned_values"]),
        (&json!(["delete"]), &json!({ "root_module": {} }))
    );
}

#[tokio::test]
async fn what_was_read_is_in_the_prior_state_and_named_in_the_configuration() {
    let hcp = pair().await;
    hcp.edit("app", |program| {
        program.depends_on_reads = false;
        program.reads.push(Read::tfe_outputs("same", "acme", "network"));
        program.reads.push(Read::prefix("inner", "acme", "net", "work").in_module("module.a[\"x\"].module.b"));
        program.outputs.insert("inner".to_owned(), Output::copy("inner", "vpc"));
        program.outputs.insert("all".to_owned(), Output::from_reads());
    });
    hcp.change("network", "vpc", json!({ "id": "vpc-2", "zones": ["a"] }));
    hcp.apply_now("network");
    let plan = planned(&hcp, "app", RunOptions::default()).await;
    let root = &plan["prior_state"]["values"]["root_module"];
    let expected = json!({
        "address": "data.terraform_remote_state.net", "mode": "data", "type": "terraform_remote_state", "name": "net",
        "provider_name": "terraform.io/builtin/terraform", "schema_version": 0,
        "values": {
            "backend": "remote", "defaults": null, "workspace": null,
            "config": { "hostname": hcp.host(), "organization": "acme", "workspaces": { "name": "network" } },
            "outputs": { "vpc": { "id": "vpc-2", "zones": ["a"] } },
        },
        "sensitive_values": { "config": { "workspaces": {} }, "outputs": { "vpc": { "zones": [false] } } },
    });
    assert_eq!(root["resources"][0], expected);
    assert_eq!(root["resources"][1]["sensitive_values"]["values"], true);
    let child = &root["child_modules"][0];
    assert_eq!(child["address"], "module.a[\"x\"].module.b");
    assert_eq!(child["resources"][0]["address"], "module.a[\"x\"].module.b.data.terraform_remote_state.inner");

    let root = &plan["configuration"]["root_module"];
    let references = |name: &str| root["outputs"][name]["expression"]["references"].clone();
    let net = "data.terraform_remote_state.net";
    assert_eq!(references("vpc"), json!([format!("{net}.outputs.vpc"), format!("{net}.outputs"), net]));
    assert_eq!(references("inner"), json!(["module.a[\"x\"].inner_vpc", "module.a[\"x\"]"]));
    let all = [
        "data.terraform_remote_state.net.outputs",
        net,
        "data.tfe_outputs.same.values",
        "data.tfe_outputs.same",
        "module.a[\"x\"].inner",
        "module.a[\"x\"]",
    ];
    assert_eq!(references("all"), json!(all));
    assert_eq!(
        root["resources"][1]["expressions"]["config"]["constant_value"]["workspaces"],
        json!({ "name": "network" })
    );
    assert_eq!(root["resources"][2]["expressions"]["workspace"], json!({ "constant_value": "network" }));
    let a = &root["module_calls"]["a"]["module"];
    assert_eq!(a["outputs"]["inner_vpc"]["expression"]["references"], json!(["module.b.inner_vpc", "module.b"]));
    let b = &a["module_calls"]["b"]["module"];
    let inner = "data.terraform_remote_state.inner";
    let expected = json!([format!("{inner}.outputs.vpc"), format!("{inner}.outputs"), inner]);
    assert_eq!(b["outputs"]["inner_vpc"]["expression"]["references"], expected);
    assert_eq!(b["resources"][0]["provider_config_key"], "module.a.module.b:terraform");
}

#[tokio::test]
async fn what_goes_through_the_managed_resource_is_known_after_apply() {
    let hcp = pair().await;
    hcp.edit("app", |program| {
        program.outputs.insert("all".to_owned(), Output::from_reads());
    });
    hcp.apply_now("app");
    hcp.plans(Plans { known_after_apply: true, ..Plans::default() });
    let same = planned(&hcp, "app", RunOptions::default()).await;
    assert_eq!(same["output_changes"]["all"]["actions"], json!(["no-op"]));
    hcp.change("network", "vpc", "vpc-2");
    hcp.apply_now("network");
    let plan = planned(&hcp, "app", RunOptions::default()).await;
    let change = &plan["output_changes"]["all"];
    assert_eq!(
        (&change["actions"], &change["after_unknown"], change.get("after")),
        (&json!(["update"]), &json!(true), None)
    );
    assert_eq!(plan["planned_values"]["outputs"]["all"], json!({ "sensitive": false }));
    assert_eq!(plan["output_changes"]["vpc"]["after"], "vpc-2", "what is only passed on is known");
    let references = &plan["configuration"]["root_module"]["outputs"]["all"]["expression"]["references"];
    assert_eq!(*references, json!(["terraform_data.main.output", "terraform_data.main"]));
}

#[tokio::test]
async fn a_plan_is_filled_up_to_the_byte() {
    let hcp = pair().await;
    for bytes in [300_000, 300_001, 2_000_555] {
        hcp.plans(Plans { bytes, ..Plans::default() });
        let run = hcp.start_run("app", RunOptions::plan_only("large"));
        hcp.settled().await;
        let (_, object) = plan_of(&hcp, &hcp.token(), &run).await;
        let answer = client().get(object).send().await.unwrap();
        assert_eq!(answer.content_length(), Some(bytes));
        let body = answer.bytes().await.unwrap();
        assert_eq!(body.len() as u64, bytes);
        let plan: Value = serde_json::from_slice(&body).unwrap();
        let changes = plan["resource_changes"].as_array().unwrap();
        assert!(changes[1..].iter().all(|it| it["change"]["before"] == it["change"]["after"]));
        assert_eq!(changes.last().unwrap()["change"]["actions"], json!(["no-op"]));
    }
    let slow = ApiFault::next(Route::Archivist, 1, ApiMishap::TruncatedBody);
    hcp.faults(|faults| faults.api.push(slow));
    let run = hcp.start_run("app", RunOptions::plan_only("large"));
    hcp.settled().await;
    let (_, object) = plan_of(&hcp, &hcp.token(), &run).await;
    assert!(client().get(object).send().await.unwrap().bytes().await.is_err());
}
