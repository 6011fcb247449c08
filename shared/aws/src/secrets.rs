//! Secrets that the environment only names, fetched from where they are kept: Systems Manager or Secrets Manager.
//!
//! A signed request each, over the HTTP client and with the signatures that DynamoDB's SDK brings. Two more SDKs would
//! make every function larger for one call each.

mod cache;
mod keeper;

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use secrecy::{ExposeSecret, SecretString};
use sluice_domain::SecretRef;

pub use cache::{KeyCache, Keyed};

use crate::connect::ConnectError;
use keeper::{Caller, Keeper};

/// A secret could not be fetched. Says which and what to do, and never what is secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment does not say how to reach AWS.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The place is empty.
    #[error("{place} does not exist in {region}: create it, or name another")]
    Missing {
        /// The reference.
        place: String,
        /// Where it was looked for.
        region: String,
    },
    /// The function's role does not allow it.
    #[error(
        "{place} may not be read: allow the function's role {permission} on it, and kms:Decrypt on its key ({why})"
    )]
    Denied {
        /// The reference.
        place: String,
        /// What is not allowed.
        permission: &'static str,
        /// What the service says.
        why: String,
    },
    /// Refused otherwise.
    #[error("{place} cannot be read: the service answers {status} {why}")]
    Refused {
        /// The reference.
        place: String,
        /// The HTTP status.
        status: u16,
        /// What the service says.
        why: String,
    },
    /// Nobody answers.
    #[error("{place} cannot be fetched: {url} does not answer")]
    Unreachable {
        /// The reference.
        place: String,
        /// The service's endpoint.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The endpoint is none.
    #[error("{place} cannot be fetched: {url} is not the URL of an endpoint")]
    Endpoint {
        /// The reference.
        place: String,
        /// The service's endpoint.
        url: String,
    },
    /// It could not be fetched a moment ago, and is not tried again at once.
    #[error("{0} could not be fetched a moment ago")]
    Lately(String),
    /// Binary, empty, or not an answer at all.
    #[error("{0} holds no text")]
    NoText(String),
}

/// The secrets, in order. Those that have to be fetched are fetched at the same time; for the others alone nothing is
/// sent or set up.
pub async fn resolve(
    vars: &BTreeMap<String, String>,
    secrets: Vec<SecretRef>,
) -> Result<Vec<SecretString>, SecretError> {
    let keepers: Vec<Keeper> = secrets.iter().filter_map(|secret| Keeper::of(vars, secret)).collect();
    let mut fetched = fetch(vars, &keepers).await?.into_iter();
    let secrets = secrets.into_iter().filter_map(|secret| match secret {
        SecretRef::Plain(secret) => Some(secret),
        SecretRef::Ssm(_) | SecretRef::SecretsManager(_) => fetched.next(),
    });
    Ok(secrets.collect())
}

async fn fetch(vars: &BTreeMap<String, String>, keepers: &[Keeper]) -> Result<Vec<SecretString>, SecretError> {
    if keepers.is_empty() {
        return Ok(Vec::new());
    }
    let caller = Caller::new(vars)?;
    try_join_all(keepers.iter().map(|keeper| caller.fetch(keeper))).await
}

/// The secrets, where each may hold several, between commas or on lines of their own.
pub async fn resolve_lists(
    vars: &BTreeMap<String, String>,
    secrets: Vec<SecretRef>,
) -> Result<Vec<SecretString>, SecretError> {
    let lists = resolve(vars, secrets).await?;
    Ok(lists.iter().flat_map(|list| SecretRef::list(list.expose_secret())).map(SecretString::from).collect())
}
