//! Run tasks of an organization, and the workspaces that have them attached.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sluice_domain::gate::{Enforcement, Stage};
use sluice_domain::onboarding::{AttachmentFound, AttachmentSettings, GlobalTask, Page, RunTaskFound, RunTaskSettings};
use sluice_domain::ports::TerraformError;
use sluice_domain::{AttachmentId, Organization, RunTaskId, WorkspaceId};

use super::{Item, Items, PAGE_BYTES_MAX, PAGE_SIZE};
use crate::answers::{Document, Maybe, parsed};
use crate::call::{Endpoint, unless_absent};
use crate::client::Client;

const LISTING: &str = "listing run tasks";
const CREATING: &str = "creating a run task";
const UPDATING: &str = "updating a run task";
const DELETING: &str = "deleting a run task";
const ATTACHING: &str = "attaching a run task";
const CHANGING: &str = "changing how a run task is attached";
const DETACHING: &str = "detaching a run task";

impl Client {
    pub(super) async fn list_run_tasks(
        &self,
        organization: &Organization,
        page: u32,
    ) -> Result<Option<Page<RunTaskFound>>, TerraformError> {
        let number = page.to_string();
        let query = [("page[number]", number.as_str()), ("page[size]", PAGE_SIZE), ("include", "workspace_tasks")];
        let path = ["organizations", organization.as_str(), "tasks"];
        let endpoint = Endpoint { path: &path, query: &query, answer_bytes_max: PAGE_BYTES_MAX };
        let answer: Option<Items> = unless_absent(self.get(LISTING, endpoint).await)?;
        Ok(answer.map(|mut items| {
            let attached = attachments(&std::mem::take(&mut items.included));
            items.page(page, "run task", |item| found(item, &attached))
        }))
    }

    pub(super) async fn post_run_task(
        &self,
        organization: &Organization,
        settings: &RunTaskSettings,
    ) -> Result<RunTaskId, TerraformError> {
        let path = ["organizations", organization.as_str(), "tasks"];
        let answer: Document<Item> = self.post(CREATING, Endpoint::new(&path), body(settings)).await?;
        parsed(CREATING, "the run task's id", &answer.data.id)
    }

    pub(super) async fn patch_run_task(
        &self,
        id: &RunTaskId,
        settings: &RunTaskSettings,
    ) -> Result<(), TerraformError> {
        let answer = self.patch(UPDATING, Endpoint::new(&["tasks", id.as_str()]), body(settings)).await;
        answer.map(|Document::<Item> { .. }| ())
    }

    pub(super) async fn remove_run_task(&self, id: &RunTaskId) -> Result<(), TerraformError> {
        self.delete(DELETING, Endpoint::new(&["tasks", id.as_str()])).await
    }

    pub(super) async fn post_attachment(
        &self,
        workspace: &WorkspaceId,
        task: &RunTaskId,
        settings: &AttachmentSettings,
    ) -> Result<(), TerraformError> {
        let mut body = attachment(settings);
        body["data"]["relationships"] = json!({ "task": { "data": { "type": "tasks", "id": task } } });
        let path = ["workspaces", workspace.as_str(), "tasks"];
        let answer = self.post(ATTACHING, Endpoint::new(&path), body.to_string()).await;
        answer.map(|Document::<Item> { .. }| ())
    }

    pub(super) async fn patch_attachment(
        &self,
        workspace: &WorkspaceId,
        id: &AttachmentId,
        settings: &AttachmentSettings,
    ) -> Result<(), TerraformError> {
        let path = ["workspaces", workspace.as_str(), "tasks", id.as_str()];
        let answer = self.patch(CHANGING, Endpoint::new(&path), attachment(settings).to_string()).await;
        answer.map(|Document::<Item> { .. }| ())
    }

    pub(super) async fn remove_attachment(
        &self,
        workspace: &WorkspaceId,
        id: &AttachmentId,
    ) -> Result<(), TerraformError> {
        let path = ["workspaces", workspace.as_str(), "tasks", id.as_str()];
        self.delete(DETACHING, Endpoint::new(&path)).await
    }
}

fn body(settings: &RunTaskSettings) -> String {
    let RunTaskSettings { name, url, hmac_key, global } = settings;
    let mut attributes = json!({
        "url": url,
        "category": "task",
        "enabled": true,
        "hmac-key": hmac_key.expose_secret(),
    });
    if let Some(name) = name {
        attributes["name"] = name.as_str().into();
    }
    if let Some(GlobalTask { stages, enforcement }) = global {
        let level = level(*enforcement);
        attributes["global-configuration"] = json!({ "enabled": true, "stages": stages, "enforcement-level": level });
    }
    json!({ "data": { "type": "tasks", "attributes": attributes } }).to_string()
}

fn attachment(settings: &AttachmentSettings) -> Value {
    let AttachmentSettings { stages, enforcement } = settings;
    let mut attributes = json!({ "enforcement-level": level(*enforcement), "stages": stages });
    if let Some(first) = stages.first() {
        // What there was at first; older instances know nothing else.
        attributes["stage"] = first.as_str().into();
    }
    json!({ "data": { "type": "workspace-tasks", "attributes": attributes } })
}

fn level(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Mandatory => "mandatory",
        Enforcement::Advisory => "advisory",
    }
}

fn found(item: &Item, attached: &BTreeMap<String, Vec<AttachmentFound>>) -> Option<RunTaskFound> {
    let global = &item.attributes["global-configuration"];
    let global = (global["enabled"].as_bool() == Some(true)).then(|| GlobalTask {
        stages: stages(&global["stages"]).collect(),
        enforcement: enforcement(&global["enforcement-level"]),
    });
    Some(RunTaskFound {
        id: item.id.parse().ok()?,
        name: item.text("name")?,
        url: item.text("url").unwrap_or_default(),
        enabled: item.attributes["enabled"].as_bool().unwrap_or(true),
        global,
        attachments: attached.get(&item.id).cloned().unwrap_or_default(),
    })
}

/// Who has which run task attached, by the run tasks' ids.
fn attachments(included: &[Maybe<Item>]) -> BTreeMap<String, Vec<AttachmentFound>> {
    let mut attached: BTreeMap<String, Vec<AttachmentFound>> = BTreeMap::new();
    for item in included {
        let Maybe::It(item) = item else { continue };
        let (Some(task), Some(workspace)) = (item.related("task"), item.related("workspace")) else { continue };
        // Whatever else comes along is none, by its ids.
        let (Ok(id), Ok(workspace)) = (item.id.parse(), workspace.parse()) else { continue };
        let alone = stages(&item.attributes["stage"]);
        let found = AttachmentFound {
            id,
            workspace,
            stages: stages(&item.attributes["stages"]).chain(alone).collect(),
            enforcement: enforcement(&item.attributes["enforcement-level"]),
        };
        attached.entry(task.to_owned()).or_default().push(found);
    }
    attached
}

/// One stage, or a list of them.
fn stages(value: &Value) -> impl Iterator<Item = Stage> {
    let words = value.as_array().into_iter().flatten().chain(value.is_string().then_some(value));
    words.filter_map(Value::as_str).filter_map(|word| Stage::ALL.into_iter().find(|stage| stage.as_str() == word))
}

fn enforcement(value: &Value) -> Enforcement {
    if value.as_str() == Some("mandatory") { Enforcement::Mandatory } else { Enforcement::Advisory }
}
