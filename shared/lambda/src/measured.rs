//! Turns at the API, and how much was left when they were asked for.

use std::sync::{Mutex, PoisonError};

use sluice_domain::pace::{Lane, Pace};
use sluice_domain::ports::TerraformError;
use tracing::info;

use crate::clock::now;
use crate::metrics;

/// A second, in milliseconds.
const SECOND_MS: u64 = 1_000;

/// Deals out the turns of another, and counts how many of a second's turns nobody had taken yet: turns follow each other
/// at the same distance, so whoever waits for half a second had half of a second's turns before him.
#[derive(Debug)]
pub struct Measured<P> {
    inner: P,
    /// A second, and the least that was told of it: what is more than that is not told in the same second.
    told: Mutex<(u64, u64)>,
}

impl<P> Measured<P> {
    /// The turns of `inner`.
    pub fn new(inner: P) -> Self {
        Self { inner, told: Mutex::default() }
    }

    fn tell(&self, left: u64, second: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.0 == second && told.1 <= left {
            return;
        }
        *told = (second, left);
        info!(target: metrics::TARGET, ApiBudgetLeft = left);
    }
}

/// How many of a second's turns were left to whoever waited so long, in percent.
fn left(waited_ms: u64) -> u64 {
    (SECOND_MS - waited_ms.min(SECOND_MS)) * 100 / SECOND_MS
}

impl<P: Pace + Send> Pace for Measured<P> {
    async fn turn(&self, lane: Lane) -> Result<(), TerraformError> {
        let asked_at = now();
        let turn = self.inner.turn(lane).await;
        let taken_at = now();
        match (lane, &turn) {
            (Lane::Work | Lane::Bulk, Ok(())) => self.tell(left(taken_at.since_ms(asked_at)), taken_at.seconds()),
            (Lane::Work, Err(_)) => self.tell(0, taken_at.seconds()),
            // What can wait gets none where others need them, and lists have limits of their own.
            (Lane::Bulk, Err(_)) | (Lane::RunLists, _) => {}
        }
        turn
    }

    async fn slow_down(&self, after_ms: u64) {
        self.inner.slow_down(after_ms).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_nobody_took_of_a_second() {
        let cases = [(0, 100), (1, 99), (250, 75), (999, 0), (1_000, 0), (15_000, 0)];
        for (waited_ms, expect) in cases {
            assert_eq!(left(waited_ms), expect, "{waited_ms}");
        }
    }

    #[test]
    fn of_one_second_only_ever_less_is_told() {
        let measured = Measured::new(());
        let mut told = Vec::new();
        for (left, second) in [(90, 1), (95, 1), (90, 1), (40, 1), (60, 1), (100, 2), (0, 2), (0, 2), (100, 3)] {
            let before = *measured.told.lock().unwrap();
            measured.tell(left, second);
            let after = *measured.told.lock().unwrap();
            told.extend((before != after).then_some(after));
        }
        assert_eq!(told, [(1, 90), (1, 40), (2, 100), (2, 0), (3, 100)]);
    }
}
