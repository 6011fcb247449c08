//! HCP Terraform's side of onboarding.

use std::collections::BTreeSet;
use std::future::Future;

use secrecy::SecretString;

use crate::errors::TerraformError;
use crate::gate::{Enforcement, Stage};
use crate::names::{AttachmentId, NotificationId, Organization, RunTaskId, WorkspaceId};
use crate::onboarding::{
    Account, Entitlements, GlobalTask, Instance, NotificationFound, OrganizationFound, Page, ProjectFound,
    RunTaskFound, Subscriber, WorkspaceSeen,
};

/// What a notification configuration is to be. It is enabled, so that HCP Terraform verifies it before it is kept: a
/// refusal with status 400 means that its receiver did not answer well.
#[derive(Debug, Clone)]
pub struct NotificationSettings {
    /// Its name; None leaves the one that it has.
    pub name: Option<String>,
    /// Where it sends to.
    pub url: String,
    /// What its notifications are signed with.
    pub token: SecretString,
    /// What it tells of.
    pub triggers: BTreeSet<String>,
}

/// What a run task is to be. HCP Terraform asks its URL once before it is kept, and a refusal with status 422 may mean
/// that this was not answered with 200.
#[derive(Debug, Clone)]
pub struct RunTaskSettings {
    /// Its name; None leaves the one that it has.
    pub name: Option<String>,
    /// Where it is asked.
    pub url: String,
    /// What requests to it are signed with.
    pub hmac_key: SecretString,
    /// How every workspace asks it; None leaves that as it is.
    pub global: Option<GlobalTask>,
}

/// How a workspace is to ask a run task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentSettings {
    /// When.
    pub stages: BTreeSet<Stage>,
    /// Whether a run that does not pass goes on.
    pub enforcement: Enforcement,
}

/// Notification configurations and run tasks, and what the token may do with them.
///
/// HCP Terraform answers 404 for what a token may not see or do, and for what it does not have. Where the two look
/// alike, None stands for both.
pub trait Onboarding: Sync {
    /// The instance itself. It needs no token.
    fn instance(&self) -> impl Future<Output = Result<Instance, TerraformError>> + Send;

    /// Whose the token is.
    fn account(&self) -> impl Future<Output = Result<Account, TerraformError>> + Send;

    /// An organization.
    fn organization(
        &self,
        organization: &Organization,
    ) -> impl Future<Output = Result<Option<OrganizationFound>, TerraformError>> + Send;

    /// What an organization's edition has.
    fn entitlements(
        &self,
        organization: &Organization,
    ) -> impl Future<Output = Result<Option<Entitlements>, TerraformError>> + Send;

    /// A page, from 1, of the projects of an organization. None also on an instance without projects.
    fn projects(
        &self,
        organization: &Organization,
        page: u32,
    ) -> impl Future<Output = Result<Option<Page<ProjectFound>>, TerraformError>> + Send;

    /// A page, from 1, of the workspaces of an organization that have all of `tags`, by name.
    fn workspaces_of(
        &self,
        organization: &Organization,
        tags: &BTreeSet<String>,
        page: u32,
    ) -> impl Future<Output = Result<Option<Page<WorkspaceSeen>>, TerraformError>> + Send;

    /// The notification configurations of a workspace or a project, all of them. None also where the token may not
    /// manage them, and for a project on an instance where projects have none.
    fn notifications(
        &self,
        of: &Subscriber,
    ) -> impl Future<Output = Result<Option<Vec<NotificationFound>>, TerraformError>> + Send;

    /// Creates a notification configuration.
    fn create_notification(
        &self,
        of: &Subscriber,
        settings: &NotificationSettings,
    ) -> impl Future<Output = Result<NotificationFound, TerraformError>> + Send;

    /// Makes a notification configuration what it is to be.
    fn update_notification(
        &self,
        id: &NotificationId,
        settings: &NotificationSettings,
    ) -> impl Future<Output = Result<NotificationFound, TerraformError>> + Send;

    /// Deletes a notification configuration. One that is gone already is as good.
    fn delete_notification(&self, id: &NotificationId) -> impl Future<Output = Result<(), TerraformError>> + Send;

    /// Has HCP Terraform send a verification, and tells what the receiver made of it. It may be asked for ten times a
    /// minute.
    fn verify_notification(
        &self,
        id: &NotificationId,
    ) -> impl Future<Output = Result<NotificationFound, TerraformError>> + Send;

    /// A page, from 1, of the run tasks of an organization, and who has them attached.
    fn run_tasks(
        &self,
        organization: &Organization,
        page: u32,
    ) -> impl Future<Output = Result<Option<Page<RunTaskFound>>, TerraformError>> + Send;

    /// Creates a run task.
    fn create_run_task(
        &self,
        organization: &Organization,
        settings: &RunTaskSettings,
    ) -> impl Future<Output = Result<RunTaskId, TerraformError>> + Send;

    /// Makes a run task what it is to be.
    fn update_run_task(
        &self,
        id: &RunTaskId,
        settings: &RunTaskSettings,
    ) -> impl Future<Output = Result<(), TerraformError>> + Send;

    /// Deletes a run task, whoever has it attached. One that is gone already is as good.
    fn delete_run_task(&self, id: &RunTaskId) -> impl Future<Output = Result<(), TerraformError>> + Send;

    /// Attaches a run task to a workspace.
    fn attach_run_task(
        &self,
        workspace: &WorkspaceId,
        task: &RunTaskId,
        settings: &AttachmentSettings,
    ) -> impl Future<Output = Result<(), TerraformError>> + Send;

    /// Changes how a workspace asks a run task.
    fn update_attachment(
        &self,
        workspace: &WorkspaceId,
        attachment: &AttachmentId,
        settings: &AttachmentSettings,
    ) -> impl Future<Output = Result<(), TerraformError>> + Send;

    /// Has a workspace ask a run task no more. An attachment that is gone already is as good.
    fn detach_run_task(
        &self,
        workspace: &WorkspaceId,
        attachment: &AttachmentId,
    ) -> impl Future<Output = Result<(), TerraformError>> + Send;
}
