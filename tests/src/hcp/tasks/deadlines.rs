//! The rules of time: a result in which nothing moves, or which takes too long in all, is `errored`.

use std::sync::Arc;
use std::time::Duration;

use super::{TaskResult, TaskResultStatus};
use crate::hcp::core::Core;
use crate::hcp::model::World;

impl World {
    /// How long a result has left if nothing moves; `None` if it is over.
    fn time_left(&self, result: &str) -> Option<Duration> {
        let result = self.tasks.results.get(result).filter(|result| !result.status.is_final())?;
        Some(self.left(result).0)
    }

    /// How long it is, and which rule it is.
    fn left(&self, result: &TaskResult) -> (Duration, &'static str) {
        let (now, options) = (self.tasks.now(), self.options.tasks);
        let silence = options.silence.saturating_sub(now.duration_since(result.progress));
        let total = options.total.saturating_sub(now.duration_since(result.created));
        if total < silence { (total, "It took too long.") } else { (silence, "There was no progress for too long.") }
    }

    /// Applies the rules to a result.
    fn expire(&mut self, id: &str) {
        let Some(result) = self.tasks.results.get(id).filter(|result| !result.status.is_final()) else { return };
        let (left, why) = self.left(result);
        if left.is_zero() {
            self.end_result(id, TaskResultStatus::Errored, why);
        }
    }

    /// Moves the clock of the rules forward, and applies them at once.
    pub fn pass_time(&mut self, by: Duration) {
        self.tasks.ahead += by;
        let results: Vec<_> = self.tasks.results.keys().cloned().collect();
        for result in results {
            self.expire(&result);
        }
    }
}

/// Watches the real time of a result until it is over.
pub(in crate::hcp) async fn watch(core: Arc<Core>, result: String) {
    while let Some(left) = core.look(|world| world.time_left(&result)) {
        if left.is_zero() {
            core.with(|world| world.expire(&result));
        } else {
            tokio::time::sleep(left).await;
        }
    }
}
