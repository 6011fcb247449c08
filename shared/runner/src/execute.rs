//! What a check is carried out by, and what comes of that.

use std::future::Future;

use secrecy::SecretString;
use sluice_domain::gate::{Admission, Check, CheckVerdict, Ended, Execution, TaskRequest};
use sluice_domain::{Fault, TaskResultId, Timestamp, Told};

/// A check that is to be carried out.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The task result.
    pub admission: &'a Admission,
    /// The check.
    pub check: &'a Check,
    /// How far it has come.
    pub execution: &'a Execution,
    /// HCP Terraform's access token: for the plan, and for nobody else. None where nobody reads that here.
    pub token: Option<&'a SecretString>,
    /// When the check has to be over.
    pub deadline: Timestamp,
    /// When this is.
    pub now: Timestamp,
}

impl<'a> Asked<'a> {
    /// What HCP Terraform asked.
    #[must_use]
    pub fn request(&self) -> &'a TaskRequest {
        &self.admission.request
    }
}

/// What came of carrying out a check, for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is over.
    Ended(Ended),
    /// Another checker has taken it on, and will answer by itself.
    HandedOn,
    /// It has begun elsewhere, and is to be looked after at once.
    Begun {
        /// What has to be known for that.
        note: String,
        /// In a sentence.
        message: String,
    },
    /// It is to be carried out again at that time. Meanwhile this is how it stands.
    Again {
        /// When.
        at: Timestamp,
        /// In a sentence.
        message: String,
    },
}

/// Carries out checks.
pub trait Executor: Sync {
    /// Why a check comes to no verdict.
    type Error: Told + Send + 'static;

    /// A check may leave something behind that [`Executor::clear`] takes away.
    const LEAVES_SOMETHING: bool = false;

    /// Carries out a check, or a part of it. It may be asked again for the same.
    fn execute(&self, asked: Asked<'_>) -> impl Future<Output = Result<Step, Self::Error>> + Send;

    /// How a check ends that has used up its time.
    fn overdue(&self, asked: Asked<'_>) -> impl Future<Output = Ended> + Send {
        let end = Ended::new(asked.now, CheckVerdict::Errored, crate::TOO_LONG);
        async { end }
    }

    /// Takes away what a check left behind that is over, whether it began or not. It is asked until it does.
    fn clear(
        &self,
        _result: &TaskResultId,
        _check: &Check,
        _execution: &Execution,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }
}

/// What an attempt that failed means for its check.
#[must_use]
pub(crate) fn is_hopeless(fault: Fault, attempts: u32) -> bool {
    match fault {
        Fault::Permanent => true,
        Fault::Transient { .. } => attempts >= crate::ATTEMPTS_MAX,
        Fault::Throttled { .. } => false,
    }
}
