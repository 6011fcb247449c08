//! The domain's `States`: what workspaces and runs are at the moment.

use sluice_domain::ports::{DownloadUrl, ListPage, StateVersion, States, TerraformError, WorkspaceFound};
use sluice_domain::{Findings, Organization, RunReport, StateFacts, SurveyScope, Workspace, WorkspaceId};

use crate::answers::{
    Document, Listed, Resource, RunAttributes, StateVersionAttributes, StateVersionRelationships, parsed, timestamp,
    workspace_found,
};
use crate::call::{Endpoint, unless_absent};
use crate::client::Client;
use crate::download::Wanted;
use crate::failure::bad_answer;
use crate::findings::findings;

const READING_STATE_VERSION: &str = "reading the current state version";
const READING_WORKSPACE: &str = "reading a workspace";
const READING_RUN: &str = "reading a run";

/// Most bytes of a state version's answer, which lists all its resources.
const STATE_VERSION_BYTES_MAX: usize = 32 << 20;

type StateVersionResource = Resource<StateVersionAttributes, StateVersionRelationships>;

impl States for Client {
    async fn current_state(&self, workspace: &WorkspaceId) -> Result<Option<StateVersion>, TerraformError> {
        let path = ["workspaces", workspace.as_str(), "current-state-version"];
        let endpoint = Endpoint { answer_bytes_max: STATE_VERSION_BYTES_MAX, ..Endpoint::new(&path) };
        let answer = unless_absent(self.get(READING_STATE_VERSION, endpoint).await)?;
        answer.map(|Document { data }| state_version(data)).transpose()
    }

    async fn read_state(&self, workspace: &Workspace, version: &StateVersion) -> Result<Findings, TerraformError> {
        let wanted = if version.may_read_others { Wanted::All } else { Wanted::Outputs };
        let scan = self.scan(&version.download, wanted).await?;
        Ok(findings(scan, workspace, wanted))
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<WorkspaceFound>, TerraformError> {
        let endpoint = &["workspaces", id.as_str()];
        let answer = unless_absent(self.get(READING_WORKSPACE, Endpoint::new(endpoint)).await)?;
        answer.map(|Document { data }| workspace_found(READING_WORKSPACE, &data)).transpose()
    }

    async fn workspaces(
        &self,
        organization: &Organization,
        scope: SurveyScope,
        page: u32,
    ) -> Result<Option<ListPage>, TerraformError> {
        self.list_workspaces(organization, scope, page).await
    }

    async fn is_whole(&self, report: &RunReport) -> Result<bool, TerraformError> {
        let endpoint = &["runs", report.run.as_str()];
        let answer = unless_absent(self.get(READING_RUN, Endpoint::new(endpoint)).await)?;
        Ok(answer.is_none_or(|Document { data }: Document<Resource<RunAttributes>>| data.attributes.is_whole()))
    }

    async fn run(&self, report: &RunReport) -> Result<Option<RunReport>, TerraformError> {
        let endpoint = &["runs", report.run.as_str()];
        let answer = unless_absent(self.get(READING_RUN, Endpoint::new(endpoint)).await)?;
        answer.map(|Document { data }: Document<Resource<RunAttributes>>| news(report, &data.attributes)).transpose()
    }
}

fn state_version(resource: StateVersionResource) -> Result<StateVersion, TerraformError> {
    let StateVersionResource { id, attributes, relationships } = resource;
    if attributes.status.as_deref() == Some("pending") {
        // It was announced, but its file has not been taken in yet.
        let detail = "the state version is still pending".to_owned();
        return Err(TerraformError::Busy { action: READING_STATE_VERSION, status: 200, detail });
    }
    let run = relationships.and_then(|related| related.run?.data);
    let facts = StateFacts::new(
        parsed(READING_STATE_VERSION, "the state version's id", &id)?,
        attributes.serial,
        run.and_then(|run| run.id.parse().ok()),
        timestamp(READING_STATE_VERSION, &attributes.created_at)?,
    );
    // A state without resources is small, and only its file tells whether it has outputs: that one is read whole.
    let listed = if attributes.resources_processed == Some(true) { attributes.resources } else { Listed::Unknown };
    let download = download(attributes.hosted_state_download_url, attributes.encrypted_state_download_url.as_deref())?;
    Ok(StateVersion { facts, download, may_read_others: listed != Listed::NoReader })
}

fn download(hosted: Option<String>, encrypted: Option<&str>) -> Result<DownloadUrl, TerraformError> {
    match (hosted, encrypted) {
        (Some(hosted), _) => Ok(DownloadUrl(hosted)),
        (None, Some(_)) => Err(TerraformError::Refused {
            action: READING_STATE_VERSION,
            status: 200,
            detail: "the state is encrypted with a key of yours (HYOK), so that it cannot be read".to_owned(),
        }),
        (None, None) => Err(bad_answer(READING_STATE_VERSION, "it has no URL of the state file")),
    }
}

/// What is known of a run now. A status that is new to Sluice changes nothing but the time.
fn news(report: &RunReport, attributes: &RunAttributes) -> Result<RunReport, TerraformError> {
    let created_at = timestamp(READING_RUN, &attributes.created_at)?;
    let standing = attributes.standing().unwrap_or(report.standing);
    let at = attributes.latest().unwrap_or(created_at);
    Ok(RunReport { created_at, standing, at, ..report.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sluice_domain::{Classify, Fault, Standing};

    use super::*;

    fn version(attributes: Value) -> Result<StateVersion, TerraformError> {
        let mut all = json!({
            "serial": 4,
            "created-at": "2026-11-20T10:00:00.123Z",
            "status": "finalized",
            "hosted-state-download-url": "/state/1",
        });
        let Value::Object(attributes) = attributes else { panic!("attributes are an object") };
        all.as_object_mut().unwrap().extend(attributes);
        let relationships = json!({ "run": { "data": { "id": "run-1", "type": "runs" } } });
        let resource = json!({ "id": "sv-1", "attributes": all, "relationships": relationships });
        state_version(serde_json::from_value(resource).unwrap())
    }

    #[test]
    fn a_state_version_says_what_it_is_and_which_run_wrote_it() {
        let version = version(json!({})).unwrap();
        assert_eq!(version.facts.version.as_str(), "sv-1");
        assert_eq!(version.facts.serial, 4);
        assert_eq!(version.facts.run, Some("run-1".parse().unwrap()));
        assert_eq!(version.facts.created_at.0 % 1000, 123);
        assert!(!format!("{version:?}").contains("/state/1"), "a download URL does not print");
    }

    #[test]
    fn only_a_complete_list_of_resources_without_readers_spares_the_search() {
        for (attributes, may_read_others) in [
            (json!({}), true),
            (json!({ "resources-processed": true }), true),
            (json!({ "resources-processed": true, "resources": null }), true),
            (json!({ "resources-processed": true, "resources": [] }), true),
            (json!({ "resources-processed": true, "resources": [{ "type": "aws_vpc" }] }), false),
            (json!({ "resources-processed": false, "resources": [{ "type": "aws_vpc" }] }), true),
            (json!({ "resources-processed": null, "resources": [{ "type": "aws_vpc" }] }), true),
            (json!({ "resources-processed": true, "resources": [{ "type": "data.terraform_remote_state" }] }), true),
        ] {
            assert_eq!(version(attributes.clone()).unwrap().may_read_others, may_read_others, "{attributes}");
        }
    }

    #[test]
    fn a_pending_state_version_is_looked_at_again_and_a_locked_away_one_is_not() {
        let fault = |attributes| version(attributes).unwrap_err().fault();
        assert_eq!(fault(json!({ "status": "pending" })), Fault::TRANSIENT);
        assert_eq!(fault(json!({ "hosted-state-download-url": null })), Fault::Permanent);
        let hyok = json!({ "hosted-state-download-url": null, "encrypted-state-download-url": "https://a.example" });
        assert_eq!(fault(hyok), Fault::Permanent);
        assert!(version(json!({ "status": "a new one" })).is_ok());
    }

    #[test]
    fn news_of_a_run_is_as_new_as_its_last_status() {
        let heard = RunReport {
            workspace: "app.terraform.io/acme/app".parse().unwrap(),
            workspace_id: "ws-1".parse().unwrap(),
            run: "run-1".parse().unwrap(),
            created_at: sluice_domain::Timestamp(0),
            standing: Standing::Planning,
            at: sluice_domain::Timestamp(0),
            marker: None,
        };
        let told = |status: &str, timestamps: Value, confirmable: bool| {
            let run = json!({
                "created-at": "2026-11-20T10:00:00.000Z",
                "status": status,
                "status-timestamps": timestamps,
                "actions": { "is-confirmable": confirmable },
            });
            let report = news(&heard, &serde_json::from_value(run).unwrap()).unwrap();
            (report.standing, report.at.since_ms(report.created_at))
        };
        let timestamps = json!({
            "applied-at": "2026-11-20T10:00:09+00:00",
            "planned-at": "2026-11-20T10:00:04+00:00",
            "queued-at": null,
            "odd": "yesterday",
        });
        assert_eq!(told("applied", timestamps.clone(), false), (Standing::Applied, 9_000));
        assert_eq!(told("a_new_one", timestamps, false), (Standing::Planning, 9_000));
        assert_eq!(told("pending", json!({}), false), (Standing::Pending, 0));
        assert_eq!(told("pending", Value::Null, false), (Standing::Pending, 0));
        assert_eq!(told("cost_estimated", Value::Null, false), (Standing::Planning, 0));
        assert_eq!(told("cost_estimated", Value::Null, true), (Standing::AwaitingPerson, 0));
    }
}
