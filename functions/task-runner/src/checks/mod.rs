//! Every kind of check, carried out.

mod checker;
mod graph;
mod plan;
mod policy;

use std::time::Duration;

use sluice_aws::GateKeys;
use sluice_aws::secrets::{KeyCache, SecretError};
use sluice_domain::foresee::ForeseeError;
use sluice_domain::gate::{CheckKind, CheckVerdict, Ended};
use sluice_domain::ports::{ContextStore, Definitions, FactStore, StoreError};
use sluice_domain::reach::ReachError;
use sluice_domain::{Classify, Fault, Policy, PolicyName, chain};
use sluice_hcp::plan_json::PlanError;
use sluice_hcp_client::{CheckerError, Checkers, FileError, TaskClient};

use tokio::sync::Semaphore;

use crate::LEASE_MS;
use crate::rego::{EvaluateError, Evaluator};
use sluice_runner::{Asked, Executor, Step, TOO_LONG, Told};

/// Longest that carrying out a check may take at a time: less than a claim lasts.
const TURN: Duration = Duration::from_millis(LEASE_MS - 20_000);

/// How soon an `upstream` check that waits looks again, in milliseconds.
const LOOK_AGAIN_MS: u64 = 30_000;

/// What checks are carried out with.
pub struct Checks<S> {
    /// The table.
    pub store: S,
    /// What is allowed downstream.
    pub policy: Policy,
    /// HCP Terraform's plans.
    pub plans: TaskClient,
    /// Largest plan that is read, in bytes.
    pub plan_bytes_max: u64,
    /// Rego policies.
    pub evaluator: Evaluator,
    /// How many policies are evaluated at the same time: each may take a gigabyte.
    pub evaluations: Semaphore,
    /// Other checkers.
    pub checkers: Checkers,
    /// The keys that requests to other checkers are signed with.
    pub keyring: KeyCache,
    /// What makes the tokens that other checkers answer with.
    pub keys: GateKeys,
    /// Where other checkers reach Sluice, without a path.
    pub public_url: Option<String>,
}

/// Why a check comes to no verdict. It is shown in HCP Terraform.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The plan cannot be had.
    #[error(transparent)]
    File(#[from] FileError),
    /// The table did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is needed to decide cannot be read.
    #[error(transparent)]
    Reach(ReachError),
    /// Nothing can be foreseen.
    #[error(transparent)]
    Foresee(ForeseeError),
    /// The request named no plan.
    #[error("HCP Terraform offers no plan at this stage")]
    NoPlan,
    /// The plan is not what Terraform writes.
    #[error("the plan cannot be read")]
    Plan {
        /// What is wrong with it.
        #[source]
        error: PlanError,
        /// It came to its end, as far as that can be told: a connection that broke may look like one.
        whole: bool,
    },
    /// There is no such policy.
    #[error("there is no policy {0}: store it, or name another")]
    NoPolicy(PolicyName),
    /// The stored policy is none.
    #[error("policy {name} is not readable: store it again ({why})")]
    BadPolicy {
        /// Which.
        name: PolicyName,
        /// What is wrong with it.
        why: String,
    },
    /// What the run's checks left for each other cannot be handed to policies.
    #[error("the context of the run is not what policies can read")]
    Context(#[source] serde_json::Error),
    /// The policy came to no findings.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Nobody could answer.
    #[error("SLUICE_PUBLIC_URL is not set, so another checker would not know where to answer")]
    NoPublicUrl,
    /// The check is a job, which is carried out elsewhere.
    #[error("it is a job, and task-runner runs none")]
    NotHere,
    /// The key is not to be had.
    #[error("the key that its requests are signed with cannot be fetched")]
    Key(#[source] SecretError),
    /// It may have hung.
    #[error("it did not come to an end in time")]
    TooSlow,
    /// The other checker did not take the request.
    #[error(transparent)]
    Checker(#[from] CheckerError),
}

impl From<ReachError> for CheckError {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::Store(error) => Self::Store(error),
            error @ ReachError::TooMany(_) => Self::Reach(error),
        }
    }
}

impl From<ForeseeError> for CheckError {
    fn from(error: ForeseeError) -> Self {
        match error {
            ForeseeError::Reach(error) => error.into(),
            error => Self::Foresee(error),
        }
    }
}

impl Classify for CheckError {
    fn fault(&self) -> Fault {
        match self {
            Self::File(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Checker(error) => error.fault(),
            Self::Evaluate(EvaluateError::PlanLost(_) | EvaluateError::Pipe(_) | EvaluateError::Start { .. })
            | Self::Plan { whole: false, .. }
            | Self::TooSlow
            | Self::Key(_) => Fault::TRANSIENT,
            Self::Reach(_)
            | Self::Foresee(_)
            | Self::NoPlan
            | Self::Plan { .. }
            | Self::NoPolicy(_)
            | Self::BadPolicy { .. }
            | Self::Context(_)
            | Self::Evaluate(_)
            | Self::NoPublicUrl
            | Self::NotHere => Fault::Permanent,
        }
    }
}

impl Told for CheckError {
    fn told(&self) -> String {
        match self {
            // What is behind it concerns the account that Sluice runs in, and is in the log.
            Self::Store(_) | Self::Reach(_) | Self::Key(_) => self.to_string(),
            error => chain(error),
        }
    }
}

impl CheckError {
    /// Why the plan is too large, if it is: that is no failure of anybody's but the plan's.
    fn too_large(&self) -> Option<String> {
        let file = match self {
            Self::File(error) => Some(error),
            Self::Evaluate(EvaluateError::PlanLost(error)) => error.downcast_ref::<FileError>(),
            _ => None,
        };
        match (self, file) {
            (_, Some(error @ FileError::TooLarge { .. })) => Some(error.to_string()),
            (Self::Evaluate(error @ EvaluateError::PlanTooLarge { .. }), _) => Some(error.to_string()),
            _ => None,
        }
    }
}

impl<S: FactStore + Definitions + ContextStore> Executor for Checks<S> {
    type Error = CheckError;

    async fn execute(&self, asked: Asked<'_>) -> Result<Step, CheckError> {
        let left = Duration::from_millis(asked.deadline.since_ms(asked.now));
        let Ok(step) = tokio::time::timeout(TURN.min(left), self.carry_out(asked)).await else {
            // What has used up its time is over, whatever it was at; a turn that is too long may only have hung.
            let over = || Step::Ended(Ended::new(asked.now, CheckVerdict::Errored, TOO_LONG));
            return if left <= TURN { Ok(over()) } else { Err(CheckError::TooSlow) };
        };
        match step {
            Err(error) => match error.too_large() {
                Some(why) => Ok(Step::Ended(Ended::new(asked.now, CheckVerdict::Failed, why))),
                None => Err(error),
            },
            step => step,
        }
    }
}

impl<S: FactStore + Definitions + ContextStore> Checks<S> {
    async fn carry_out(&self, asked: Asked<'_>) -> Result<Step, CheckError> {
        // Each on the heap: together they would be more than a stack should hold.
        match &asked.check.kind {
            CheckKind::Upstream { unsettled } => Box::pin(self.upstream(asked, *unsettled)).await,
            CheckKind::Preview => Box::pin(self.preview(asked)).await,
            CheckKind::Consumers => Box::pin(self.consumers(asked)).await,
            CheckKind::Rego { policy, namespaces } => Box::pin(self.rego(asked, policy, namespaces)).await,
            CheckKind::Job(_) => Err(CheckError::NotHere),
            CheckKind::Http { url, hmac_key } => Box::pin(self.hand_on(asked, url, hmac_key.as_deref())).await,
        }
    }
}
