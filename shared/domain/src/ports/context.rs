//! What is needed to keep the contexts of runs.

use std::future::Future;

use crate::context::Document;
use crate::errors::StoreError;
use crate::names::{RunId, Workspace};
use crate::time::Timestamp;

/// A document as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// The document; an empty one if nothing was ever written.
    pub document: Document,
    /// Counts how often it was written; 0 if never.
    pub version: u64,
}

/// A run of which a task was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextRun {
    /// Its workspace.
    pub workspace: Workspace,
    /// Nothing was heard of its end.
    pub live: bool,
}

/// The contexts of runs.
pub trait ContextStore: Sync {
    /// A run; None if no task was ever asked of it.
    fn context_run(&self, run: &RunId) -> impl Future<Output = Result<Option<ContextRun>, StoreError>> + Send;

    /// The context of a run.
    fn context(&self, run: &RunId) -> impl Future<Output = Result<Kept, StoreError>> + Send;

    /// Which version of it is the last, for whoever needs no more.
    fn context_version(&self, run: &RunId) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Writes the context of a run down, all of it or nothing, if it is still at `version`, else
    /// [`StoreError::Conflict`]. Returns the new version.
    fn put_context(
        &self,
        run: &RunId,
        document: &Document,
        version: u64,
        now: Timestamp,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
