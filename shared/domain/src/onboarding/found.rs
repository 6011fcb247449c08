//! What HCP Terraform has, as far as onboarding needs to know.

use std::collections::BTreeSet;

use crate::gate::{Enforcement, Stage};
use crate::names::{AttachmentId, NotificationId, ProjectId, RunTaskId, WorkspaceId};
use crate::time::Timestamp;

/// The instance itself, as it tells whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instance {
    /// `HCP Terraform` or `Terraform Enterprise`, where it says so.
    pub app_name: Option<String>,
    /// The version of its API, as `2.6`.
    pub api_version: Option<String>,
    /// The release of Terraform Enterprise, as `v202409-1`; HCP Terraform has none.
    pub release: Option<String>,
    /// What its clock says.
    pub clock: Option<Timestamp>,
}

/// Whose a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// A person's.
    User,
    /// A team's.
    Team,
    /// The organization's own.
    Organization,
}

impl std::fmt::Display for TokenKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Team => "team",
            Self::Organization => "organization",
        })
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user; teams and organizations have one made up for them.
    pub username: String,
    /// Whose the token is; None where the instance does not say.
    pub kind: Option<TokenKind>,
}

/// An organization, and what the token may do there. None: the instance does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrganizationFound {
    /// Whether run tasks may be created and attached.
    pub may_manage_run_tasks: Option<bool>,
    /// Whether run tasks may be seen.
    pub may_read_run_tasks: Option<bool>,
    /// Whether the organization itself may be changed: the token is an owner's.
    pub may_update: Option<bool>,
}

/// What an organization's edition has. None: no limit, or the instance does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entitlements {
    /// Whether there are run tasks at all.
    pub run_tasks: Option<bool>,
    /// How many of them there may be.
    pub run_task_limit: Option<u32>,
    /// How many workspaces they may be attached to.
    pub run_task_workspace_limit: Option<u32>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectFound {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceSeen {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// The project it is in; None on instances without projects.
    pub project: Option<ProjectId>,
    /// `remote`, `agent` or `local`.
    pub execution_mode: Option<String>,
    /// Its plain tags.
    pub tags: BTreeSet<String>,
    /// What the token may do there.
    pub may: WorkspaceMay,
}

/// What a token may do in a workspace. None: the instance does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkspaceMay {
    /// Create runs.
    pub queue_run: Option<bool>,
    /// Apply them.
    pub queue_apply: Option<bool>,
    /// Read whole states.
    pub read_state_versions: Option<bool>,
    /// Change its settings: to be an admin of it, without which there is no managing its notifications.
    pub update: Option<bool>,
    /// Attach run tasks.
    pub manage_run_tasks: Option<bool>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it, as far as it can be read.
    pub items: Vec<T>,
    /// The next page, if there is one.
    pub next: Option<u32>,
    /// How many there are on all pages, where the instance says so.
    pub total: Option<u32>,
}

/// Whose runs a notification configuration tells of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subscriber {
    /// A workspace's.
    Workspace(WorkspaceId),
    /// Those of every workspace of a project.
    Project(ProjectId),
}

/// A notification configuration. Its token is never told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationFound {
    /// Its id.
    pub id: NotificationId,
    /// Its name.
    pub name: String,
    /// `generic` is a webhook.
    pub destination_type: String,
    /// Where it sends to; other destinations have none.
    pub url: Option<String>,
    /// Whether it sends.
    pub enabled: bool,
    /// What it tells of.
    pub triggers: BTreeSet<String>,
    /// What its receiver answered last, if it was ever asked.
    pub last: Option<DeliveryResponse>,
}

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryResponse {
    /// The HTTP status; None if nobody answered.
    pub code: Option<u16>,
    /// Whether that counts as delivered.
    pub successful: bool,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
}

/// A run task of an organization. Its key is never told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunTaskFound {
    /// Its id.
    pub id: RunTaskId,
    /// Its name, which no other has.
    pub name: String,
    /// Where it is asked.
    pub url: String,
    /// Whether it is asked at all.
    pub enabled: bool,
    /// Whether every workspace asks it.
    pub global: Option<GlobalTask>,
    /// The workspaces that have it attached.
    pub attachments: Vec<AttachmentFound>,
}

/// How every workspace of an organization asks a run task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalTask {
    /// When.
    pub stages: BTreeSet<Stage>,
    /// Whether a run that does not pass goes on.
    pub enforcement: Enforcement,
}

/// How a workspace asks a run task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentFound {
    /// Its id.
    pub id: AttachmentId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// When it asks.
    pub stages: BTreeSet<Stage>,
    /// Whether a run that does not pass goes on.
    pub enforcement: Enforcement,
}
