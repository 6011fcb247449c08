//! What can go wrong with the table and with HCP Terraform, and who must act.

use crate::fault::{Classify, Fault};

/// The table did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be reached, was throttled or had an error of its own.
    #[error("the table did not answer {action}")]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It refused: no such table, no permission, an item too large.
    #[error("the table refused {action}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// Why it was refused.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An item cannot be read as what its key says it is.
    #[error("item {key} of the table is not readable: {detail}")]
    Unreadable {
        /// Its key.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Somebody else changed the facts first: read again.
    #[error("the facts changed while they were being worked on")]
    Conflict,
}

impl Classify for StoreError {
    fn fault(&self) -> Fault {
        match self {
            Self::Unavailable { .. } | Self::Conflict => Fault::TRANSIENT,
            Self::Refused { .. } | Self::Unreadable { .. } => Fault::Permanent,
        }
    }
}

/// HCP Terraform did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum TerraformError {
    /// It asked to be left alone for a while.
    #[error("HCP Terraform's rate limit was met by {action}")]
    RateLimited {
        /// What was tried.
        action: &'static str,
        /// How long to wait, in milliseconds.
        after_ms: u64,
    },
    /// No answer, or one that broke off: what was asked may have been done.
    #[error("HCP Terraform did not answer {action}")]
    Unreachable {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An error of its own: what was asked may have been done.
    #[error("HCP Terraform answered {action} with status {status}")]
    ServerError {
        /// What was tried.
        action: &'static str,
        /// The HTTP status, 500 to 599.
        status: u16,
    },
    /// What was asked for is busy or locked.
    #[error("HCP Terraform answered {action} with status {status}: {detail}")]
    Busy {
        /// What was tried.
        action: &'static str,
        /// The HTTP status, 409 or 423.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// A configuration version is still being processed.
    #[error("HCP Terraform is still processing the configuration version")]
    Processing,
    /// There is no such thing, or the token may not see it: HCP Terraform does not tell the two apart.
    #[error("HCP Terraform knows nothing of what {action} asks for, or API_TOKEN may not see it")]
    NotFound {
        /// What was tried.
        action: &'static str,
    },
    /// The workspace has no configuration to run.
    #[error("the workspace has no configuration version: upload one or connect a repository, then replay")]
    NoConfiguration,
    /// The token is not valid.
    #[error("HCP Terraform refused API_TOKEN for {action}: give Sluice a valid team or user token")]
    Unauthorized {
        /// What was tried.
        action: &'static str,
    },
    /// It refused, and will again.
    #[error("HCP Terraform refused {action} with status {status}: {detail}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// It answered something that is not what its API promises.
    #[error("HCP Terraform's answer to {action} was not understood: {detail}")]
    BadAnswer {
        /// What was tried.
        action: &'static str,
        /// What is wrong with it; never a state's content.
        detail: String,
    },
}

impl TerraformError {
    /// Whether what was asked may have been done all the same.
    #[must_use]
    pub fn may_have_had_effect(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::ServerError { .. } | Self::BadAnswer { .. })
    }
}

impl Classify for TerraformError {
    fn fault(&self) -> Fault {
        match self {
            Self::RateLimited { after_ms, .. } => Fault::Throttled { after_ms: *after_ms },
            Self::Unreachable { .. }
            | Self::ServerError { .. }
            | Self::Busy { .. }
            | Self::Processing
            // A token that is being rotated, or not yet distributed, comes good by itself.
            | Self::Unauthorized { .. } => Fault::TRANSIENT,
            Self::NotFound { .. } | Self::NoConfiguration | Self::Refused { .. } | Self::BadAnswer { .. } => Fault::Permanent,
        }
    }
}
