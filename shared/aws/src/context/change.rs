//! Changing a context that others write at the same time.

use std::time::Duration;

use sluice_domain::context::Document;
use sluice_domain::ports::{ContextStore, Kept, StoreError};
use sluice_domain::{RunId, Timestamp};
use tokio::time::Instant;

use super::random;

/// How long a change is tried again while others come first. API Gateway waits for thirty seconds at the most.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// Longest wait after the first conflict, in microseconds; it doubles with each further one.
const WAIT_FIRST_US: u64 = 8_000;

/// Longest wait after any conflict, in microseconds.
const WAIT_LONGEST_US: u64 = 256_000;

/// How much longer somebody who was too late tries again.
#[derive(Debug)]
pub struct Patience {
    until: Instant,
    conflicts: u32,
}

impl Patience {
    /// Patience for so long from now on.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { until: Instant::now() + patience, conflicts: 0 }
    }

    /// Waits after a conflict, for a random time, so that those who met do not meet again. False if it is over.
    pub async fn wait(&mut self) -> bool {
        let longest_us = (WAIT_FIRST_US << self.conflicts.min(16)).min(WAIT_LONGEST_US);
        self.conflicts += 1;
        let at = Instant::now() + Duration::from_micros(u64::from_be_bytes(random()) % longest_us);
        if at > self.until {
            return false;
        }
        tokio::time::sleep_until(at).await;
        true
    }
}

/// Changes the context of a run as `change` says, which sees it as it is by then, once more each time that somebody else
/// wrote first. Returns it as it was written. [`StoreError::Conflict`] if there are too many others for too long.
pub async fn change_context<S, E>(
    store: &S,
    run: &RunId,
    patience: Duration,
    now: Timestamp,
    mut change: impl FnMut(&Kept) -> Result<Document, E>,
) -> Result<Kept, E>
where
    S: ContextStore,
    E: From<StoreError>,
{
    let mut patience = Patience::new(patience);
    loop {
        let kept = store.context(run).await?;
        let document = change(&kept)?;
        match store.put_context(run, &document, kept.version, now).await {
            Err(StoreError::Conflict) if patience.wait().await => {}
            written => return Ok(Kept { version: written?, document }),
        }
    }
}
