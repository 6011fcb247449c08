//! How old the oldest due work is, and how many dead letters there are.

use sluice_domain::ports::{Bell, StoreError};
use sluice_domain::{Queue, Timestamp, WorkKey};
use sluice_lambda::metrics;
use tracing::{Level, enabled, info};

/// Most dead letters that are counted. Where there are more, it is this many.
pub(crate) const DEAD_MAX: u16 = 1_000;

/// What is due no longer than this is taken up as it should be, in milliseconds.
const YOUNG_MS: u64 = 15_000;

/// How often a span of time is halved to find how old work is: to an eighth of its age.
const HALVINGS: u32 = 3;

/// Longest time that is told apart, in milliseconds: some four years.
const AGE_MS_MAX: u64 = YOUNG_MS << 23;

/// Counts what is due and what is dead. Nothing is read where nobody listens.
pub(crate) async fn measure(bell: &impl Bell, due: &[WorkKey], now: Timestamp) -> Result<(), StoreError> {
    if !enabled!(target: metrics::TARGET, Level::INFO) {
        return Ok(());
    }
    let dead = bell.due(Queue::Dead, now, DEAD_MAX).await?.len();
    let mut oldest_ms = 0;
    for queue in crate::QUEUES.into_iter().filter(|queue| due.iter().any(|work| work.queue() == *queue)) {
        oldest_ms = age_ms(bell, queue, now, oldest_ms).await?.max(oldest_ms);
    }
    info!(target: metrics::TARGET, OldestDueWorkSeconds = metrics::seconds(oldest_ms), DeadLetters = dead);
    Ok(())
}

/// How long the oldest work of `queue` has been due at least, in milliseconds; 0 if that is less than `than_ms`, or not
/// worth telling. The index is asked whether there is anything of that age, as it is ordered by time.
async fn age_ms(bell: &impl Bell, queue: Queue, now: Timestamp, than_ms: u64) -> Result<u64, StoreError> {
    let is_older = async |age_ms: u64| {
        let then = Timestamp(now.0.saturating_sub(age_ms));
        bell.due(queue, then, 1).await.map(|due| !due.is_empty())
    };
    let mut least_ms = than_ms.max(YOUNG_MS);
    if !is_older(least_ms).await? {
        return Ok(0);
    }
    let mut most_ms = least_ms * 2;
    while most_ms < AGE_MS_MAX && is_older(most_ms).await? {
        (least_ms, most_ms) = (most_ms, most_ms * 2);
    }
    for _ in 0..HALVINGS {
        let middle_ms = least_ms.midpoint(most_ms);
        if is_older(middle_ms).await? {
            least_ms = middle_ms;
        } else {
            most_ms = middle_ms;
        }
    }
    Ok(least_ms)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// One work of each queue that is due for so long, in seconds; and how often it is asked.
    struct Due(Vec<(Queue, u64)>, AtomicU32);

    const NOW: Timestamp = Timestamp(1_795_168_990_000);

    impl Bell for Due {
        async fn due(&self, queue: Queue, now: Timestamp, limit: u16) -> Result<Vec<WorkKey>, StoreError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let work = WorkKey::Relay("taskrs-1".parse().unwrap());
            let old = self.0.iter().filter(|(of, age)| *of == queue && NOW.0 - age * 1_000 <= now.0);
            Ok(old.take(limit.into()).map(|_| work.clone()).collect())
        }

        async fn ring(&self, _: &WorkKey) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_age_of_the_oldest_is_known_to_an_eighth() {
        for age in [0, 1, 14, 15, 16, 59, 60, 119, 3_600, 86_400, 2_592_000, 60_000_000] {
            let bell = Due(vec![(Queue::Index, age)], AtomicU32::default());
            let told = age_ms(&bell, Queue::Index, NOW, 0).await.unwrap();
            let least = if age < YOUNG_MS / 1_000 { 0 } else { age * 1_000 * 7 / 8 };
            assert!((least..=age * 1_000).contains(&told), "{age} s: {told} ms");
            let asked = bell.1.load(Ordering::Relaxed);
            assert!(asked <= 28 && (age > 14 || asked == 1), "{age} s: asked {asked} times");
        }
    }
}
