//! The gate of the demo: a plan is looked at before it is applied.

use std::collections::BTreeMap;

use sluice_aws::Table;
use sluice_domain::ports::{ContextKey, ContextStore, StoreError};
use sluice_domain::{PolicyName, TaskName, Workspace};
use sluice_tests::hcp::{Enforcement, Hcp, RunOptions, RunStatus, RunTaskSpec, Stage as TaskStage, TaskResultView};

use sluice_tests::image;

use super::{DemoError, InProcess, Stage};

/// The key that requests to the demo's task are signed with, and where its definition says that it is kept. It opens
/// nothing but the demo.
const KEY: &str = "demo-task-key";
const KEY_VARIABLE: &str = "DEMO_TASK_KEY";

/// The output that is changed, first to what the policy denies.
const OUTPUT: &str = "cidr";
const DENIED: &str = "192.168.0.0/16";
const ALLOWED: &str = "10.20.0.0/16";

/// As a user would write it for conftest.
const POLICY: &str = r#"package main

import rego.v1

# Everything of ours lies in 10.0.0.0/8, as the routers expect it.
deny contains {"msg": msg, "severity": "High", "id": "NET-1"} if {
	some name, change in input.output_changes
	name == "cidr"
	not net.cidr_contains("10.0.0.0/8", change.after)
	msg := sprintf("the network %s is not inside of 10.0.0.0/8", [change.after])
}

# What the job before this has left for it.
warn contains sprintf("this costs %d a month", [input.context.estimate.monthly])

warn contains "this network is as large as they get" if {
	endswith(input.output_changes.cidr.after, "/8")
}
"#;

/// Where the demo's keys are kept.
pub fn keyring() -> BTreeMap<String, String> {
    BTreeMap::from([(KEY_VARIABLE.to_owned(), KEY.to_owned())])
}

/// The image of the demo's job, and what it is told to stay within.
const IMAGE: &str = "acme/estimate:1";
const BUDGET: &str = "100";

/// Where the demo's job runs.
pub fn cluster() -> InProcess {
    InProcess::with([(IMAGE, (|env| Box::pin(image::estimate(env))) as super::cluster::Image)])
}

/// Stores the demo's run task and its policy.
async fn define(table: &Table) -> Result<TaskName, StoreError> {
    let (name, policy): (TaskName, PolicyName) =
        ("guard".parse().expect("a name"), "addresses".parse().expect("a name"));
    let modules = serde_json::json!({ "modules": { "addresses.rego": POLICY } });
    table.put_policy(&policy, &modules.to_string()).await?;
    let task = serde_json::json!({
        "name": name,
        "hmac_keys": [format!("env:{KEY_VARIABLE}")],
        "stages": ["post_plan"],
        "timeout_seconds": 60,
        "checks": [
            { "name": "preview", "kind": "preview" },
            { "name": "upstream", "kind": "upstream", "unsettled": "warn" },
            { "name": "estimate", "kind": "job", "job": { "image": IMAGE, "arguments": { "budget": BUDGET } } },
            { "name": "addresses", "kind": "rego", "policy": policy, "needs": ["estimate"] },
        ],
    });
    table.put_task(&name, &task.to_string()).await?;
    Ok(name)
}

impl Stage {
    /// A plan is denied, put right, and goes through. Tells whether it all came out so.
    pub(super) async fn gate(&self) -> Result<bool, DemoError> {
        let (screen, hcp, root) = (&self.screen, &self.hcp, self.roles.root);
        let name = define(self.table()).await?;
        let spec = RunTaskSpec::new(name.as_str(), &format!("{}/run-tasks/{name}", self.url)).hmac_key(KEY);
        let task = hcp.create_run_task(spec).await.map_err(DemoError::RunTask)?;
        hcp.attach_run_task(root, &task, Enforcement::Mandatory, &[TaskStage::PostPlan]);
        screen.heading(&format!(
            "4. The gate: {root} now asks the run task {name} after each plan. Somebody moves {OUTPUT} to {DENIED}."
        ));
        hcp.change(root, OUTPUT, DENIED);
        let (run, denied) = planned(hcp, root, "Renumber the network").await;
        self.show(&denied);
        let stopped = hcp.run(&run).is_some_and(|run| run.status == RunStatus::Errored);
        screen.heading(&format!("5. The run was stopped before it changed anything. Now with {ALLOWED}:"));
        hcp.change(root, OUTPUT, ALLOWED);
        let (run, passed) = planned(hcp, root, "Renumber the network, as the routers expect it").await;
        self.show(&passed);
        let organization = hcp.organization().parse().expect("it is an organization");
        let workspace = Workspace::new(self.terraform.clone(), organization, root).expect("it is a workspace");
        let of = ContextKey { workspace, run: run.parse().expect("it is a run") };
        let left = self.table().context(&of).await?;
        screen.aside(&format!("      the job left this for the policy: {}", left.document.as_str()));
        self.rest().await?;
        let applied = hcp.run(&run).is_some_and(|run| run.status == RunStatus::Applied);
        let right = stopped && applied && denied.accepted_finals() == 1 && passed.accepted_finals() == 1;
        screen.verdict(
            right,
            if right {
                "The denied plan was stopped, the other one applied, and what it foretold has run."
            } else {
                "The gate did not do its part."
            },
        );
        Ok(right)
    }

    /// What HCP Terraform was told, as its page would show it.
    fn show(&self, result: &TaskResultView) {
        let screen = &self.screen;
        let right = result.status.as_str() == "passed";
        let said = if right { result.message.as_str() } else { "to HCP Terraform, with these outcomes:" };
        screen.row(right, &result.task, result.status.as_str(), said);
        for outcome in result.outcomes.as_array().into_iter().flatten() {
            let text = |name: &str| outcome[name].as_str().unwrap_or_default();
            // Each workspace of the wave has an outcome of its own besides; the table has them all.
            let of_the_wave = text("outcome-id").starts_with("preview") && text("outcome-id") != "preview.wave";
            if right || of_the_wave {
                continue;
            }
            screen.line(&format!("      {:22} {}", text("outcome-id"), text("description")));
            for line in text("body").lines().take_while(|line| line.starts_with('|')) {
                screen.aside(&format!("        {line}"));
            }
        }
    }
}

/// A run, and what its task came to.
async fn planned(hcp: &Hcp, workspace: &str, message: &str) -> (String, TaskResultView) {
    let before = hcp.task_results(workspace).len();
    let run = hcp.start_run(workspace, RunOptions::new(message));
    let result = hcp.task_results_done(workspace, before + 1).await.pop();
    hcp.settled().await;
    (run, result.unwrap_or_else(|| unreachable!("there is one more than before")))
}
