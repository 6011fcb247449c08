//! sweeper: rings again for work that is due. It runs every minute, so a bell that nobody heard, a retry whose time
//! has come and a lease whose holder died cost a minute at most.

mod config;
mod measure;

pub use config::{Config, StartError, connect};

use futures_util::future::join_all;
use sluice_domain::ports::{Bell, StoreError};
use sluice_domain::{Queue, Timestamp, WorkKey};
use tracing::info;

/// Most works of one queue that one sweep rings for. What is left over is rung for by the next.
pub const RINGS_MAX: u16 = 2_000;

/// The queues, those first for whom HCP Terraform waits with a clock in its hand.
const QUEUES: [Queue; 6] = [Queue::Relay, Queue::Check, Queue::Job, Queue::Index, Queue::Create, Queue::Bulk];

/// How many works are rung for at the same time.
const AT_ONCE: usize = 16;

/// Everything that was due at `now`, up to [`RINGS_MAX`] works of each queue, the oldest first.
pub async fn due(bell: &impl Bell, now: Timestamp) -> Result<Vec<WorkKey>, StoreError> {
    due_at_most(bell, now, RINGS_MAX).await
}

/// The same, up to `most` works of each queue.
pub async fn due_at_most(bell: &impl Bell, now: Timestamp, most: u16) -> Result<Vec<WorkKey>, StoreError> {
    let mut due = Vec::new();
    for queue in QUEUES {
        due.extend(bell.due(queue, now, most).await?);
    }
    Ok(due)
}

/// Rings for everything that was due at `now`, and tells how much that was.
pub async fn sweep(bell: &impl Bell, now: Timestamp) -> Result<usize, StoreError> {
    let due = due(bell, now).await?;
    // That the numbers cannot be had is no reason to leave the work.
    let mut failed = measure::measure(bell, &due, now).await.err();
    for works in due.chunks(AT_ONCE) {
        let rung = join_all(works.iter().map(|work| bell.ring(work))).await;
        // One that cannot be rung for is no reason to leave the others.
        failed = rung.into_iter().find_map(Result::err).or(failed);
    }
    if let Some(error) = failed {
        return Err(error);
    }
    if !due.is_empty() {
        info!(works = due.len(), "rang for work that was due");
    }
    Ok(due.len())
}
