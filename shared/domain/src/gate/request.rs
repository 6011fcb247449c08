//! What HCP Terraform asks a run task.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::gate::Stage;
use crate::names::{RunId, TaskName, TaskResultId, Workspace, WorkspaceId};
use crate::time::Timestamp;

/// A task result that HCP Terraform waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRequest {
    /// The result that is asked for. HCP Terraform may ask for the same one more than once.
    pub result: TaskResultId,
    /// The task that is asked, by the URL the request came to.
    pub task: TaskName,
    /// When in the run's life.
    pub stage: Stage,
    /// The run.
    pub run: RunId,
    /// When the run was created, by HCP Terraform's clock.
    pub run_created_at: Timestamp,
    /// The workspace.
    pub workspace: Workspace,
    /// Its id.
    pub workspace_id: WorkspaceId,
    /// The run only plans, whatever comes of it.
    pub speculative: bool,
    /// Where the answer goes.
    pub callback: CallbackUrl,
    /// Where the plan's JSON is, at the stages that have one.
    pub plan: Option<CallbackUrl>,
    /// Where the configuration is.
    pub configuration: Option<CallbackUrl>,
    /// The sender takes outcomes: older Terraform Enterprise does not.
    pub outcomes: bool,
    /// When it arrived, by this machine's clock.
    pub received_at: Timestamp,
    /// The request's JSON as it was sent, without the access token: other checkers are sent what it says.
    pub original: Original,
}

/// A request's JSON without its access token. It says who commits what to where, so it does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Original(pub String);

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Original(…)")
    }
}

/// A URL of HCP Terraform's that was given for one task result. It does not print: part of it may be a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallbackUrl(pub String);

impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackUrl(…)")
    }
}

/// HCP Terraform's access token for one task result, encrypted and bound to that: text that is safe to store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}
