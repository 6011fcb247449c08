//! What is needed to keep the contexts of runs.

use std::fmt;
use std::future::Future;

use crate::context::Document;
use crate::errors::StoreError;
use crate::gate::TaskRequest;
use crate::names::{RunId, Workspace};
use crate::run::Standing;
use crate::time::Timestamp;

/// Whose context it is: a run's, in the workspace that says it has that run. Nobody vouches for the id of a run in a
/// request, so whoever may speak for one workspace only ever reaches contexts of that one, whichever run they name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextKey {
    /// The workspace.
    pub workspace: Workspace,
    /// The run.
    pub run: RunId,
}

impl ContextKey {
    /// The context that a task shares which was asked by `request`.
    #[must_use]
    pub fn of(request: &TaskRequest) -> Self {
        Self { workspace: request.workspace.clone(), run: request.run.clone() }
    }
}

impl fmt::Display for ContextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.run)
    }
}

/// A document as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// The document; an empty one if nothing was ever written.
    pub document: Document,
    /// Counts how often it was written; 0 if never.
    pub version: u64,
}

/// The contexts of runs.
pub trait ContextStore: Sync {
    /// The workspaces in which a task was asked of a run, in order; none if there never was one. There are several where a
    /// workspace got another name meanwhile, or where somebody says so who has a task's key. At most some dozens.
    fn context_workspaces(&self, run: &RunId) -> impl Future<Output = Result<Vec<Workspace>, StoreError>> + Send;

    /// What was last heard of a run in that workspace; None if nothing, or if it is not there.
    fn context_standing(&self, of: &ContextKey) -> impl Future<Output = Result<Option<Standing>, StoreError>> + Send;

    /// A context.
    fn context(&self, of: &ContextKey) -> impl Future<Output = Result<Kept, StoreError>> + Send;

    /// Which version of it is the last, for whoever needs no more.
    fn context_version(&self, of: &ContextKey) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Writes a context down, all of it or nothing, if it is still at `version`, else [`StoreError::Conflict`]. Returns the
    /// new version.
    fn put_context(
        &self,
        of: &ContextKey,
        document: &Document,
        version: u64,
        now: Timestamp,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
