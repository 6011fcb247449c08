//! The domain's `Onboarding`: what there is of notification configurations and run tasks, and changes to them.
//!
//! Written against HCP Terraform's documentation of these resources (contract hcp-terraform, sections 1.1, 2.5 and 3).
//! Attributes are read one by one: what an older instance does not have is not known, and no reason to fail.

mod instance;
mod lists;
mod notifications;
mod run_tasks;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use sluice_domain::onboarding::{
    Account, AttachmentSettings, Entitlements, Instance, NotificationFound, NotificationSettings, Onboarding,
    OrganizationFound, Page, ProjectFound, RunTaskFound, RunTaskSettings, Subscriber, WorkspaceSeen,
};
use sluice_domain::ports::TerraformError;
use sluice_domain::{AttachmentId, NotificationId, Organization, RunTaskId, WorkspaceId};
use tracing::debug;

use crate::answers::Maybe;
use crate::client::Client;

/// The most that HCP Terraform puts on a page.
const PAGE_SIZE: &str = "100";

/// Most bytes of a page: some 80 KB for each workspace, or a run task with thousands of attachments.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// A resource, of which nothing is expected but its id.
#[derive(Debug, Deserialize)]
struct Item {
    id: String,
    #[serde(default)]
    attributes: Value,
    #[serde(default)]
    relationships: Value,
}

impl Item {
    /// A yes or no among its permissions.
    fn may(&self, permission: &str) -> Option<bool> {
        self.attributes["permissions"][permission].as_bool()
    }

    /// The id of what a relationship points to.
    fn related(&self, relationship: &str) -> Option<&str> {
        self.relationships[relationship]["data"]["id"].as_str()
    }

    fn text(&self, attribute: &str) -> Option<String> {
        self.attributes[attribute].as_str().map(str::to_owned)
    }

    fn words(&self, attribute: &str) -> BTreeSet<String> {
        let words = self.attributes[attribute].as_array().into_iter().flatten();
        words.filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// A list, or a page of one.
#[derive(Debug, Deserialize)]
struct Items {
    data: Vec<Maybe<Item>>,
    #[serde(default)]
    included: Vec<Maybe<Item>>,
    #[serde(default)]
    meta: Value,
}

impl Items {
    /// The page with this number, of what `read` makes of its items.
    fn page<T>(self, number: u32, what: &str, read: impl Fn(&Item) -> Option<T>) -> Page<T> {
        let count = |name: &str| self.meta["pagination"][name].as_u64().and_then(|count| u32::try_from(count).ok());
        // Only onwards: pages that lead back would never end.
        let next = count("next-page").filter(|next| *next > number);
        let total = count("total-count");
        let items = self.data.into_iter().filter_map(|item| {
            let read = item.it().as_ref().and_then(&read);
            if read.is_none() {
                debug!("a {what} is left out of the list: it cannot be read");
            }
            read
        });
        Page { items: items.collect(), next, total }
    }
}

impl Onboarding for Client {
    async fn instance(&self) -> Result<Instance, TerraformError> {
        self.read_instance().await
    }

    async fn account(&self) -> Result<Account, TerraformError> {
        self.read_account().await
    }

    async fn organization(&self, organization: &Organization) -> Result<Option<OrganizationFound>, TerraformError> {
        self.read_organization(organization).await
    }

    async fn entitlements(&self, organization: &Organization) -> Result<Option<Entitlements>, TerraformError> {
        self.read_entitlements(organization).await
    }

    async fn projects(
        &self,
        organization: &Organization,
        page: u32,
    ) -> Result<Option<Page<ProjectFound>>, TerraformError> {
        self.list_projects(organization, page).await
    }

    async fn workspaces_of(
        &self,
        organization: &Organization,
        tags: &BTreeSet<String>,
        page: u32,
    ) -> Result<Option<Page<WorkspaceSeen>>, TerraformError> {
        self.list_workspaces_seen(organization, tags, page).await
    }

    async fn notifications(&self, of: &Subscriber) -> Result<Option<Vec<NotificationFound>>, TerraformError> {
        self.list_notifications(of).await
    }

    async fn create_notification(
        &self,
        of: &Subscriber,
        settings: &NotificationSettings,
    ) -> Result<NotificationFound, TerraformError> {
        self.post_notification(of, settings).await
    }

    async fn update_notification(
        &self,
        id: &NotificationId,
        settings: &NotificationSettings,
    ) -> Result<NotificationFound, TerraformError> {
        self.patch_notification(id, settings).await
    }

    async fn delete_notification(&self, id: &NotificationId) -> Result<(), TerraformError> {
        self.remove_notification(id).await
    }

    async fn verify_notification(&self, id: &NotificationId) -> Result<NotificationFound, TerraformError> {
        self.ask_to_verify(id).await
    }

    async fn run_tasks(
        &self,
        organization: &Organization,
        page: u32,
    ) -> Result<Option<Page<RunTaskFound>>, TerraformError> {
        self.list_run_tasks(organization, page).await
    }

    async fn create_run_task(
        &self,
        organization: &Organization,
        settings: &RunTaskSettings,
    ) -> Result<RunTaskId, TerraformError> {
        self.post_run_task(organization, settings).await
    }

    async fn update_run_task(&self, id: &RunTaskId, settings: &RunTaskSettings) -> Result<(), TerraformError> {
        self.patch_run_task(id, settings).await
    }

    async fn delete_run_task(&self, id: &RunTaskId) -> Result<(), TerraformError> {
        self.remove_run_task(id).await
    }

    async fn attach_run_task(
        &self,
        workspace: &WorkspaceId,
        task: &RunTaskId,
        settings: &AttachmentSettings,
    ) -> Result<(), TerraformError> {
        self.post_attachment(workspace, task, settings).await
    }

    async fn update_attachment(
        &self,
        workspace: &WorkspaceId,
        attachment: &AttachmentId,
        settings: &AttachmentSettings,
    ) -> Result<(), TerraformError> {
        self.patch_attachment(workspace, attachment, settings).await
    }

    async fn detach_run_task(&self, workspace: &WorkspaceId, attachment: &AttachmentId) -> Result<(), TerraformError> {
        self.remove_attachment(workspace, attachment).await
    }
}
