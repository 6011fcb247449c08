//! Every probe ends by itself, well or not.

use std::error::Error;
use std::time::Duration;

use sluice_domain::chain;

/// How long one may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What came of a probe, or in words why nothing did.
pub(super) async fn timely<T, E: Error>(probe: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, probe).await {
        Ok(ended) => ended.map_err(|error| chain(&error)),
        Err(_) => Err(format!("there is no answer within {} seconds", PATIENCE.as_secs())),
    }
}
