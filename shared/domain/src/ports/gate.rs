//! What the gate needs of the table and of HCP Terraform.

use std::future::Future;

use secrecy::SecretString;

use crate::errors::{StoreError, TerraformError};
use crate::gate::{
    Admission, CallbackUrl, Execution, Gated, InvalidTask, KeyPlace, Report, Sealed, State, TaskDefinition,
};
use crate::names::{CheckName, PolicyName, TaskName, TaskResultId};
use crate::ports::Recorded;
use crate::time::Timestamp;
use crate::work::{Claimed, WorkKey};

/// A run task as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTask {
    /// Where the keys are kept that requests to it are signed with, as far as they can be read.
    pub keys: Vec<KeyPlace>,
    /// What it is made of, or what is wrong with it: whoever asks it is told.
    pub definition: Result<TaskDefinition, InvalidTask>,
}

/// Run tasks and policies, which a person or Terraform writes.
pub trait Definitions: Sync {
    /// A run task; None if there is none of that name.
    fn task(&self, name: &TaskName) -> impl Future<Output = Result<Option<StoredTask>, StoreError>> + Send;

    /// A policy as JSON; None if there is none of that name.
    fn policy(&self, name: &PolicyName) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;
}

/// On what condition a check's item is written.
#[derive(Debug, Clone, Copy)]
pub enum Guard<'a> {
    /// While the claim on it holds.
    Claimed(&'a Claimed),
    /// While it is as it was read: [`Gated::seq`] tells.
    Read {
        /// How often it was written by then.
        seq: u64,
    },
}

/// How far a check has come, to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance<'a> {
    /// The check, as the work that it is: one of [`crate::WorkKey::Check`] and [`crate::WorkKey::Job`].
    pub key: &'a WorkKey,
    /// How far it has come.
    pub execution: &'a Execution,
    /// When it is due again, if ever. If that is now, it rings.
    pub due: Option<Timestamp>,
    /// The checks that may be able to begin now.
    pub wakes: Vec<WorkKey>,
    /// There is something to tell HCP Terraform.
    pub tells: bool,
    /// When this is.
    pub now: Timestamp,
}

impl Advance<'_> {
    /// The task result.
    #[must_use]
    pub fn result(&self) -> &TaskResultId {
        self.of().0
    }

    /// The check.
    #[must_use]
    pub fn check(&self) -> &CheckName {
        self.of().1
    }

    fn of(&self) -> (&TaskResultId, &CheckName) {
        match self.key {
            WorkKey::Check(result, check) | WorkKey::Job(result, check) => (result, check),
            other => unreachable!("{other} is no check"),
        }
    }
}

/// Task results and how far their checks have come.
pub trait GateStore: Sync {
    /// Records a task result, its access token and its checks, which are due at once, unless it is recorded already:
    /// all of it or nothing.
    fn admit(&self, admission: &Admission, token: &Sealed)
    -> impl Future<Output = Result<Recorded, StoreError>> + Send;

    /// A task result; None if it is not, or no longer, on record.
    fn gated(&self, result: &TaskResultId) -> impl Future<Output = Result<Option<Gated>, StoreError>> + Send;

    /// The access token of a task result; None once that is over.
    fn token(&self, result: &TaskResultId) -> impl Future<Output = Result<Option<Sealed>, StoreError>> + Send;

    /// Writes down how far a check has come, and wakes whom it wakes, in one transaction. [`StoreError::Conflict`] if
    /// the guard does not hold, or there would be something to tell and the last word is decided.
    fn advance(&self, guard: Guard<'_>, step: &Advance<'_>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes down what HCP Terraform was told, if that is still at `version`, else [`StoreError::Conflict`]. With
    /// the end of it goes the access token.
    fn told(
        &self,
        result: &TaskResultId,
        state: &State,
        version: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What HCP Terraform made of a word on a task result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It took it.
    Accepted,
    /// It did not, and will not: the result is over already, the token is not valid any more, or it finds the word
    /// itself wrong.
    Refused {
        /// The HTTP status: 401, 404, 409, 422 or the like.
        status: u16,
    },
}

/// HCP Terraform's task results.
pub trait TaskResults: Sync {
    /// Says `report`, once.
    fn report(
        &self,
        callback: &CallbackUrl,
        token: &SecretString,
        report: &Report,
    ) -> impl Future<Output = Result<Heard, TerraformError>> + Send;
}
