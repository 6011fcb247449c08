//! HCP Terraform's API behind the domain's ports; the only crate with an HTTP client.
//!
//! [`Client`] implements [`States`], [`Runs`] and [`Onboarding`] with an API token. [`TaskClient`] implements
//! [`TaskResults`], and opens what a run task may read, with the token of each task result. [`Checkers`] asks other run
//! tasks, and [`Knocker`] knocks at Sluice's own doors as HCP Terraform does. Each asks once and says how that went:
//! whether and when to ask again is for the caller, whose table counts the attempts.
//!
//! What they never do:
//! - send a token anywhere but to the API's own scheme, host and port, whatever an answer or a redirect says;
//! - connect a checker's URL to an address that is not public, unless that is allowed;
//! - hold a state file: it is scanned as it streams, in the memory of one chunk;
//! - put a URL, a token or any part of a state file into an error or a log line.
//!
//! [`States`]: sluice_domain::ports::States
//! [`Runs`]: sluice_domain::ports::Runs
//! [`TaskResults`]: sluice_domain::ports::TaskResults
//! [`Onboarding`]: sluice_domain::onboarding::Onboarding

mod allowed;
mod answers;
mod call;
mod checkers;
mod client;
mod download;
mod failure;
#[cfg(test)]
mod far;
mod files;
mod findings;
mod hop;
mod knock;
mod list;
mod onboarding;
mod resolver;
mod runs;
mod states;
mod stream;
mod task_client;
mod task_results;
mod tls;

pub use allowed::{Allowed, InvalidAllowed};
pub use checkers::{CheckerError, CheckerLimits, Checkers};
pub use client::{Client, Limits, Settings, SettingsError};
pub use files::{FileError, Located, TaskFile};
pub use knock::{Answered, Knock, KnockError, Knocker};
pub use stream::{FileReader, FileStream};
pub use task_client::{TaskClient, TaskLimits};
