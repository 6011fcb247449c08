//! sweeper: rings again for work that is due. It runs every minute, so a bell that nobody heard, a retry whose time
//! has come and a lease whose holder died cost a minute at most.

mod config;
mod measure;

pub use config::{Config, StartError, connect};

use futures_util::future::join_all;
use sluice_domain::ports::{Bell, Pulse, Pulses, StoreError, Sweeps};
use sluice_domain::{Queue, Timestamp, WorkKey, chain};
use tracing::{info, warn};

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
    let mut failed = None;
    for works in due.chunks(AT_ONCE) {
        let rung = join_all(works.iter().map(|work| bell.ring(work))).await;
        // One that cannot be rung for is no reason to leave the others.
        failed = rung.into_iter().find_map(Result::err).or(failed);
    }
    // That the numbers cannot be had is no fault of the sweep.
    if let Err(error) = measure::measure(bell, &due, now).await {
        warn!("could not measure what is due: {}", chain(&error));
    }
    if let Some(error) = failed {
        return Err(error);
    }
    if !due.is_empty() {
        info!(works = due.len(), "rang for work that was due");
    }
    Ok(due.len())
}

/// A sweep, and the pulse that tells of it.
pub async fn handle(store: &(impl Bell + Pulses), now: Timestamp) -> Result<usize, StoreError> {
    let swept = sweep(store, now).await;
    beat(store, Sweeps::Sweeper, &swept, now).await;
    swept
}

/// Leaves behind that due work was seen to at `now`, and what became of it. That nobody can be told is no reason to
/// fail, nor to look for long.
pub async fn beat(store: &(impl Bell + Pulses), by: Sweeps, swept: &Result<usize, StoreError>, now: Timestamp) {
    let dead = store.due(Queue::Dead, now, measure::DEAD_MAX).await.ok().map(|letters| letters.len());
    let pulse = Pulse {
        by,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: now,
        rung: *swept.as_ref().unwrap_or(&0),
        dead,
        fault: swept.as_ref().err().map(|error| chain(error)),
    };
    if let Err(error) = store.beat(&pulse).await {
        warn!("could not leave a pulse: {}", chain(&error));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A table whose every part may fail.
    #[derive(Default)]
    struct Frail {
        no_index: bool,
        no_writes: bool,
        pulses: Mutex<Vec<Pulse>>,
    }

    fn failure() -> StoreError {
        StoreError::Unavailable { action: "to try", source: "it is out of order".into() }
    }

    impl Bell for Frail {
        async fn due(&self, queue: Queue, _: Timestamp, _: u16) -> Result<Vec<WorkKey>, StoreError> {
            let network = WorkKey::Look("app.terraform.io/acme/network".parse().unwrap());
            match (self.no_index, queue) {
                (true, _) => Err(failure()),
                (false, Queue::Index) => Ok(vec![network]),
                (false, Queue::Dead) => Ok(vec![network.clone(), network]),
                (false, _) => Ok(Vec::new()),
            }
        }

        async fn ring(&self, _: &WorkKey) -> Result<(), StoreError> {
            Ok(())
        }
    }

    impl Pulses for Frail {
        async fn beat(&self, pulse: &Pulse) -> Result<(), StoreError> {
            if self.no_writes {
                return Err(failure());
            }
            self.pulses.lock().unwrap().push(pulse.clone());
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_pulse_tells_how_a_sweep_went_and_never_fails_it() {
        let well = Frail::default();
        assert_eq!(handle(&well, Timestamp(7)).await.unwrap(), 1);
        let pulse = well.pulses.lock().unwrap().pop().unwrap();
        assert_eq!((pulse.rung, pulse.dead, pulse.at, pulse.fault), (1, Some(2), Timestamp(7), None));

        let unwritable = Frail { no_writes: true, ..Frail::default() };
        assert_eq!(handle(&unwritable, Timestamp(7)).await.unwrap(), 1);

        let blind = Frail { no_index: true, ..Frail::default() };
        assert!(handle(&blind, Timestamp(7)).await.is_err());
        let pulse = blind.pulses.lock().unwrap().pop().unwrap();
        assert_eq!((pulse.rung, pulse.dead), (0, None));
        assert!(pulse.fault.unwrap().contains("it is out of order"));
    }
}
