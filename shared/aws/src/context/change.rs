//! Changing a context that others write at the same time.

use std::time::Duration;

use sluice_domain::Timestamp;
use sluice_domain::context::Document;
use sluice_domain::ports::{ContextKey, ContextStore, Kept, StoreError};
use tokio::time::Instant;

use super::random;

/// How long a change is tried again while others come first. API Gateway waits for thirty seconds at the most.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// Longest wait after any conflict.
const WAIT_LONGEST: Duration = Duration::from_secs(1);

/// How much longer somebody who was too late tries again.
#[derive(Debug)]
pub struct Patience {
    until: Instant,
    begun: Instant,
    conflicts: u32,
}

impl Patience {
    /// Patience for so long from now on.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        let now = Instant::now();
        Self { until: now + patience, begun: now, conflicts: 0 }
    }

    /// Waits after a conflict, for a random time, so that those who met do not meet again: at first up to twice as long
    /// as the attempt took, which is longer where the table is slow, and longer each time. False if it is over.
    pub async fn wait(&mut self) -> bool {
        let now = Instant::now();
        self.conflicts += 1;
        let longest = (now - self.begun).saturating_mul(1 << self.conflicts.min(16)).min(WAIT_LONGEST);
        let share = f64::from(u32::from_be_bytes(random())) / f64::from(u32::MAX);
        let until = now + longest.mul_f64(share);
        if until > self.until {
            return false;
        }
        tokio::time::sleep_until(until).await;
        self.begun = Instant::now();
        true
    }
}

/// Changes a context as `change` says, which sees it as it is by then, once more each time that somebody else
/// wrote first. Returns it as it was written. [`StoreError::Conflict`] if there are too many others for too long.
pub async fn change_context<S, E>(
    store: &S,
    of: &ContextKey,
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
        let kept = store.context(of).await?;
        let document = change(&kept)?;
        match store.put_context(of, &document, kept.version, now).await {
            Err(StoreError::Conflict) if patience.wait().await => {}
            written => return Ok(Kept { version: written?, document }),
        }
    }
}
