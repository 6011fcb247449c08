//! Onboarding takes turns at the API like everything else.

use std::collections::BTreeSet;

use crate::errors::TerraformError;
use crate::names::{AttachmentId, NotificationId, Organization, RunTaskId, WorkspaceId};
use crate::onboarding::{
    Account, AttachmentSettings, Entitlements, Instance, NotificationFound, NotificationSettings, Onboarding,
    OrganizationFound, Page, ProjectFound, RunTaskFound, RunTaskSettings, Subscriber, WorkspaceSeen,
};
use crate::pace::{Pace, Paced};

impl<T: Onboarding + Send, P: Pace + Send> Onboarding for Paced<T, P> {
    async fn instance(&self) -> Result<Instance, TerraformError> {
        self.ask(self.inner.instance()).await
    }

    async fn account(&self) -> Result<Account, TerraformError> {
        self.ask(self.inner.account()).await
    }

    async fn organization(&self, organization: &Organization) -> Result<Option<OrganizationFound>, TerraformError> {
        self.ask(self.inner.organization(organization)).await
    }

    async fn entitlements(&self, organization: &Organization) -> Result<Option<Entitlements>, TerraformError> {
        self.ask(self.inner.entitlements(organization)).await
    }

    async fn projects(
        &self,
        organization: &Organization,
        page: u32,
    ) -> Result<Option<Page<ProjectFound>>, TerraformError> {
        self.ask(self.inner.projects(organization, page)).await
    }

    async fn workspaces_of(
        &self,
        organization: &Organization,
        tags: &BTreeSet<String>,
        page: u32,
    ) -> Result<Option<Page<WorkspaceSeen>>, TerraformError> {
        self.ask(self.inner.workspaces_of(organization, tags, page)).await
    }

    async fn notifications(&self, of: &Subscriber) -> Result<Option<Vec<NotificationFound>>, TerraformError> {
        self.ask(self.inner.notifications(of)).await
    }

    async fn create_notification(
        &self,
        of: &Subscriber,
        settings: &NotificationSettings,
    ) -> Result<NotificationFound, TerraformError> {
        self.ask(self.inner.create_notification(of, settings)).await
    }

    async fn update_notification(
        &self,
        id: &NotificationId,
        settings: &NotificationSettings,
    ) -> Result<NotificationFound, TerraformError> {
        self.ask(self.inner.update_notification(id, settings)).await
    }

    async fn delete_notification(&self, id: &NotificationId) -> Result<(), TerraformError> {
        self.ask(self.inner.delete_notification(id)).await
    }

    async fn verify_notification(&self, id: &NotificationId) -> Result<NotificationFound, TerraformError> {
        self.ask(self.inner.verify_notification(id)).await
    }

    async fn run_tasks(
        &self,
        organization: &Organization,
        page: u32,
    ) -> Result<Option<Page<RunTaskFound>>, TerraformError> {
        self.ask(self.inner.run_tasks(organization, page)).await
    }

    async fn create_run_task(
        &self,
        organization: &Organization,
        settings: &RunTaskSettings,
    ) -> Result<RunTaskId, TerraformError> {
        self.ask(self.inner.create_run_task(organization, settings)).await
    }

    async fn update_run_task(&self, id: &RunTaskId, settings: &RunTaskSettings) -> Result<(), TerraformError> {
        self.ask(self.inner.update_run_task(id, settings)).await
    }

    async fn delete_run_task(&self, id: &RunTaskId) -> Result<(), TerraformError> {
        self.ask(self.inner.delete_run_task(id)).await
    }

    async fn attach_run_task(
        &self,
        workspace: &WorkspaceId,
        task: &RunTaskId,
        settings: &AttachmentSettings,
    ) -> Result<(), TerraformError> {
        self.ask(self.inner.attach_run_task(workspace, task, settings)).await
    }

    async fn update_attachment(
        &self,
        workspace: &WorkspaceId,
        attachment: &AttachmentId,
        settings: &AttachmentSettings,
    ) -> Result<(), TerraformError> {
        self.ask(self.inner.update_attachment(workspace, attachment, settings)).await
    }

    async fn detach_run_task(&self, workspace: &WorkspaceId, attachment: &AttachmentId) -> Result<(), TerraformError> {
        self.ask(self.inner.detach_run_task(workspace, attachment)).await
    }
}
