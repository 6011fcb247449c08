//! Turns to ask HCP Terraform, dealt out here: the table that deals them out otherwise may be what is broken.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use sluice_domain::pace::{Lane, Pace};
use sluice_domain::ports::TerraformError;
use tokio::time::{Instant, sleep_until};

/// The longest pause that is kept, whatever HCP Terraform asks for.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// One turn after the other, so far apart.
#[derive(Debug)]
pub(super) struct Turns {
    next: Mutex<Instant>,
    spacing: Duration,
}

impl Turns {
    /// So many a second.
    pub(super) fn new(per_second: u32) -> Self {
        Self { next: Mutex::new(Instant::now()), spacing: Duration::from_secs(1) / per_second.max(1) }
    }
}

impl Pace for Turns {
    async fn turn(&self, _: Lane) -> Result<(), TerraformError> {
        let mine = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let mine = (*next).max(Instant::now());
            *next = mine + self.spacing;
            mine
        };
        sleep_until(mine).await;
        Ok(())
    }

    async fn slow_down(&self, after_ms: u64) {
        let until = Instant::now() + Duration::from_millis(after_ms).min(PAUSE_MAX);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(until);
    }
}
