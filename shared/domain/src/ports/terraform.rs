//! What the functions need of HCP Terraform.

use std::future::Future;

use crate::errors::TerraformError;
use crate::facts::{Findings, StateFacts};
use crate::names::{Organization, RunId, StateVersionId, Workspace, WorkspaceId};
use crate::policy::Autonomy;
use crate::run::{RunReport, Standing};
use crate::time::Timestamp;
use crate::work::{Marker, RunKind, SurveyScope};

/// A workspace's current state version, before its file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateVersion {
    /// What it is.
    pub facts: StateFacts,
    /// Where the file is. A secret: some are signed URLs.
    pub download: DownloadUrl,
    /// Whether the file has to be searched for data sources that read other workspaces: false only if HCP
    /// Terraform's own list of its resources is complete and shows none.
    pub may_read_others: bool,
}

/// A URL that may give its holder a state file. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct DownloadUrl(pub String);

impl std::fmt::Debug for DownloadUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DownloadUrl(…)")
    }
}

/// A workspace as HCP Terraform describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceFound {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name now.
    pub name: String,
    /// What its tags allow.
    pub tagged: Option<Autonomy>,
}

/// A workspace in the list of its organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceListed {
    /// What it is.
    pub found: WorkspaceFound,
    /// Its current state version, if it has one.
    pub state: Option<StateVersionId>,
    /// Its current run, if it ever had one, as far as that can be told.
    pub run: Option<RunListed>,
}

/// The current run of a workspace in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunListed {
    /// The run.
    pub run: RunId,
    /// When it was created, by HCP Terraform's clock.
    pub created_at: Timestamp,
    /// Where it stands.
    pub standing: Standing,
    /// Since when, by HCP Terraform's clock.
    pub at: Timestamp,
    /// The marker in its message, if Sluice created it.
    pub marker: Option<Marker>,
}

/// One page of the list of an organization's workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// The workspaces; those whose names or ids cannot be Sluice's are left out.
    pub workspaces: Vec<WorkspaceListed>,
    /// The next page, if there is one.
    pub next: Option<u32>,
    /// How many workspaces there are, on all pages.
    pub total: u32,
}

/// HCP Terraform's states.
pub trait States: Sync {
    /// The current state version; None if there is none, or the workspace is not to be seen.
    fn current_state(
        &self,
        workspace: &WorkspaceId,
    ) -> impl Future<Output = Result<Option<StateVersion>, TerraformError>> + Send;

    /// Reads the file of `version`, as it streams. `workspace` is whose it is: some references leave out what they
    /// share with it.
    fn read_state(
        &self,
        workspace: &Workspace,
        version: &StateVersion,
    ) -> impl Future<Output = Result<Findings, TerraformError>> + Send;

    /// The workspace of an id; None if it is gone or not to be seen.
    fn workspace(
        &self,
        id: &WorkspaceId,
    ) -> impl Future<Output = Result<Option<WorkspaceFound>, TerraformError>> + Send;

    /// A page, from 1, of the workspaces of `organization` that the token may see, in the order that `scope` needs.
    /// None if there is no such organization, or it is not to be seen.
    fn workspaces(
        &self,
        organization: &Organization,
        scope: SurveyScope,
        page: u32,
    ) -> impl Future<Output = Result<Option<ListPage>, TerraformError>> + Send;

    /// Whether a run was to take in everything, rather than some resources only (`-target`) or nothing but what
    /// changed outside (`-refresh-only`). A run that is not to be seen any more counts as one that was.
    fn is_whole(&self, report: &RunReport) -> impl Future<Output = Result<bool, TerraformError>> + Send;

    /// How a run stands; None if it is gone or not to be seen. `report` is what was heard of it last.
    fn run(&self, report: &RunReport) -> impl Future<Output = Result<Option<RunReport>, TerraformError>> + Send;
}

/// A run that Sluice created, as HCP Terraform describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedRun {
    /// Its id.
    pub run: RunId,
    /// When it was created, by HCP Terraform's clock.
    pub created_at: Timestamp,
}

/// HCP Terraform's runs.
pub trait Runs: Sync {
    /// Creates a run.
    fn create_run(
        &self,
        workspace: &WorkspaceId,
        message: &str,
        kind: RunKind,
    ) -> impl Future<Output = Result<CreatedRun, TerraformError>> + Send;

    /// The run of `workspace`, of that kind, whose message holds `marker`.
    fn find_run(
        &self,
        workspace: &WorkspaceId,
        marker: &Marker,
        kind: RunKind,
    ) -> impl Future<Output = Result<Option<CreatedRun>, TerraformError>> + Send;

    /// What `workspace`, by its name, is now; None if it is gone or not to be seen.
    fn workspace_named(
        &self,
        workspace: &Workspace,
    ) -> impl Future<Output = Result<Option<WorkspaceFound>, TerraformError>> + Send;
}
