//! HCP Terraform's API behind the domain's ports; the only crate with an HTTP client.
//!
//! [`Client`] implements [`States`] and [`Runs`]. It asks once and says how that went: whether and when to ask again
//! is for the caller, whose table counts the attempts.
//!
//! What it never does:
//! - send the token anywhere but to the API's own scheme, host and port, whatever an answer or a redirect says;
//! - hold a state file: it is scanned as it streams, in the memory of one chunk;
//! - put a URL, a token or any part of a state file into an error or a log line.
//!
//! [`States`]: sluice_domain::ports::States
//! [`Runs`]: sluice_domain::ports::Runs

mod answers;
mod call;
mod client;
mod download;
mod failure;
mod findings;
mod hop;
mod list;
mod runs;
mod states;
mod tls;

pub use client::{Client, Limits, Settings, SettingsError};
