//! State versions and their outputs.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hcp::clock::millis;
use crate::hcp::evaluate::OutputState;
use crate::hcp::model::{StateVersion, World};
use crate::hcp::summary::counted_by;

use super::reply::{Call, Reply};
use super::runs::render_run;

impl World {
    pub(super) fn show_current_state_version(&self, call: &Call) -> Reply {
        let workspace = self.workspaces.get(call.variable(0));
        self.show_state_version(workspace.and_then(|workspace| self.current_state(workspace)), call)
    }

    pub(super) fn show_state_version(&self, version: Option<&StateVersion>, call: &Call) -> Reply {
        let Some(version) = version else { return Reply::not_found() };
        let mut included = Vec::new();
        if let Some(run) = version.run.as_ref().filter(|_| call.includes("run")) {
            included.extend(self.runs.get(run).map(render_run));
        }
        if call.includes("outputs") {
            included.extend(version.outputs.iter().map(|(name, output)| render_output(version, name, output)));
        }
        Reply::including(&self.render_state_version(version), &included)
    }

    pub(super) fn list_state_versions(&self, call: &Call) -> Reply {
        let organization = call.parameter("filter[organization][name]");
        let name = call.parameter("filter[workspace][name]");
        let (Some(organization), Some(name)) = (organization, name) else {
            return Reply::refusal(422, "invalid attribute", "both filters are required");
        };
        let Some(workspace) = self.find(&format!("{organization}/{name}")) else { return Reply::not_found() };
        let now = Instant::now();
        let versions = workspace.state_versions.iter().rev().filter_map(|id| self.state_versions.get(id));
        let visible: Vec<_> = versions.filter(|version| version.current_from <= now).collect();
        call.page(&visible, true, |version| self.render_state_version(version))
    }

    /// Outputs of the current state version, which take a while to be known.
    pub(super) fn list_current_outputs(&self, call: &Call) -> Reply {
        let workspace = self.workspaces.get(call.variable(0));
        let version = workspace.and_then(|workspace| self.current_state(workspace));
        if version.is_some_and(|version| version.processed_from > Instant::now()) {
            return Reply::refusal(503, "service unavailable", "the state version is still being processed");
        }
        self.list_outputs(version, call)
    }

    #[expect(clippy::unused_self, reason = "all routes are alike")]
    pub(super) fn list_outputs(&self, version: Option<&StateVersion>, call: &Call) -> Reply {
        let Some(version) = version else { return Reply::not_found() };
        let outputs: Vec<_> = version.outputs.iter().collect();
        call.page(&outputs, true, |(name, output)| render_output(version, name, output))
    }

    fn render_state_version(&self, version: &StateVersion) -> Value {
        let processed = version.processed_from <= Instant::now();
        let resources = if processed { version.resources.as_slice() } else { &[] };
        let outputs = version.outputs.keys().filter(|_| processed);
        let outputs = outputs.map(|name| json!({ "id": output_id(version, name), "type": "state-version-outputs" }));
        let run = version.run.as_ref().map(|run| json!({ "id": run, "type": "runs" }));
        json!({
            "id": version.id,
            "type": "state-versions",
            "attributes": {
                "created-at": millis(version.created_at),
                "serial": version.serial,
                "size": version.body.len(),
                "status": "finalized",
                "intermediate": false,
                "state-version": 4,
                "terraform-version": version.terraform_version,
                "hosted-state-download-url": self.download_url(version),
                "hosted-json-state-download-url": null,
                "hosted-state-upload-url": null,
                "hosted-json-state-upload-url": null,
                "resources-processed": processed,
                "resources": resources,
                "modules": counted_by(resources, "module"),
                "providers": counted_by(resources, "provider"),
            },
            "relationships": {
                "run": { "data": run },
                "workspace": { "data": { "id": version.workspace, "type": "workspaces" } },
                "outputs": { "data": outputs.collect::<Vec<_>>() },
            },
            "links": { "self": format!("/api/v2/state-versions/{}", version.id) },
        })
    }
}

/// Derived from the state version, so that it is the same whenever it is asked for.
fn output_id(version: &StateVersion, name: &str) -> String {
    let place = version.outputs.keys().position(|it| it == name).unwrap_or_default();
    format!("wsout-{}{place:03}", &version.id[version.id.len() - 13..])
}

/// A sensitive value is not told.
fn render_output(version: &StateVersion, name: &str, output: &OutputState) -> Value {
    let kind = output.kind.as_array().map_or(&output.kind, |parts| &parts[0]).as_str().unwrap_or_default();
    json!({
        "id": output_id(version, name),
        "type": "state-version-outputs",
        "attributes": {
            "name": name,
            "sensitive": output.sensitive,
            "type": if kind == "tuple" { "array" } else { kind },
            "detailed-type": output.kind,
            "value": if output.sensitive { &Value::Null } else { &output.value },
        },
    })
}
