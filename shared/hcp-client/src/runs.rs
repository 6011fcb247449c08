//! The domain's `Runs`: runs created, and found again.

use serde_json::json;
use sluice_domain::ports::{CreatedRun, Runs, TerraformError, WorkspaceFound};
use sluice_domain::{Marker, RunKind, Workspace, WorkspaceId};
use tracing::debug;

use crate::answers::{Document, Resource, RunAttributes, parsed, timestamp, workspace_found};
use crate::call::{Endpoint, unless_absent};
use crate::client::Client;

const CREATING_RUN: &str = "creating a run";
const FINDING_RUN: &str = "looking for a run";
const FINDING_WORKSPACE: &str = "looking for a workspace";

type Run = Resource<RunAttributes>;

impl Runs for Client {
    async fn create_run(
        &self,
        workspace: &WorkspaceId,
        message: &str,
        kind: RunKind,
    ) -> Result<CreatedRun, TerraformError> {
        let mut attributes = json!({ "message": message });
        if kind == RunKind::PlanOnly {
            attributes["plan-only"] = true.into();
        }
        let body = json!({ "data": {
            "type": "runs",
            "attributes": attributes,
            "relationships": { "workspace": { "data": { "type": "workspaces", "id": workspace } } },
        }});
        let answer: Document<Run> = self.post(CREATING_RUN, Endpoint::new(&["runs"]), body.to_string()).await?;
        created(CREATING_RUN, &answer.data)
    }

    /// One request of the thirty a minute that HCP Terraform allows for lists of runs.
    async fn find_run(
        &self,
        workspace: &WorkspaceId,
        marker: &Marker,
        kind: RunKind,
    ) -> Result<Option<CreatedRun>, TerraformError> {
        // Ended runs too: the one looked for may have failed meanwhile.
        let mut query = vec![("search[basic]", marker.0.as_str()), ("page[size]", "20")];
        if kind == RunKind::PlanOnly {
            // Lists leave these runs out unless they are asked for.
            query.push(("filter[operation]", "plan_only"));
        }
        let path = ["workspaces", workspace.as_str(), "runs"];
        let endpoint = Endpoint { query: &query, ..Endpoint::new(&path) };
        let answer: Document<Vec<Run>> = self.get(FINDING_RUN, endpoint).await?;
        oldest_with(marker, &answer.data)
    }

    async fn workspace_named(&self, workspace: &Workspace) -> Result<Option<WorkspaceFound>, TerraformError> {
        if workspace.host != *self.host() {
            debug!("{workspace} is not on {}, so there is nobody to ask", self.host());
            return Ok(None);
        }
        let path = ["organizations", workspace.organization.as_str(), "workspaces", workspace.name.as_str()];
        let answer = unless_absent(self.get(FINDING_WORKSPACE, Endpoint::new(&path)).await)?;
        answer.map(|Document { data }| workspace_found(FINDING_WORKSPACE, &data)).transpose()
    }
}

fn created(action: &'static str, run: &Run) -> Result<CreatedRun, TerraformError> {
    let created_at = timestamp(action, &run.attributes.created_at)?;
    Ok(CreatedRun { run: parsed(action, "the run's id", &run.id)?, created_at })
}

/// The first run made for `marker`; a search may show others that are merely like it.
fn oldest_with(marker: &Marker, runs: &[Run]) -> Result<Option<CreatedRun>, TerraformError> {
    let mut oldest: Option<CreatedRun> = None;
    for run in runs {
        if run.attributes.message.as_deref().is_some_and(|message| message.contains(&marker.0)) {
            let run = created(FINDING_RUN, run)?;
            if oldest.as_ref().is_none_or(|oldest| run.created_at < oldest.created_at) {
                oldest = Some(run);
            }
        }
    }
    Ok(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(runs: serde_json::Value) -> Option<String> {
        let runs: Vec<Run> = serde_json::from_value(runs).unwrap();
        oldest_with(&Marker("sluice-00ff".to_owned()), &runs).unwrap().map(|run| run.run.to_string())
    }

    fn run(id: &str, second: u8, message: Option<&str>) -> serde_json::Value {
        let created_at = format!("2026-11-20T10:00:{second:02}.000Z");
        json!({ "id": id, "type": "runs", "attributes": { "message": message, "created-at": created_at } })
    }

    #[test]
    fn the_oldest_run_with_exactly_the_marker_is_the_one() {
        let ours = Some("Outputs changed in acme/net [sluice-00ff]");
        let list = json!([
            run("run-new", 30, ours),
            run("run-old", 10, ours),
            run("run-mid", 20, ours),
            run("run-like", 1, Some("[sluice-00fe]")),
            run("run-mute", 2, None),
        ]);
        assert_eq!(found(list).as_deref(), Some("run-old"));
        assert_eq!(found(json!([run("run-like", 1, Some("sluice-00FF"))])), None);
        assert_eq!(found(json!([])), None);
    }
}
