//! The controllers: what a control plane does by itself after every change.

mod garbage;
mod job;
mod node;
mod schedule;
mod tally;

pub(super) use tally::Tally;

use super::api::World;

/// How often the controllers may follow from one another before something is wrong with them.
const ROUNDS: usize = 100;

impl World {
    /// Lets every controller do its work, until none has any.
    pub fn reconcile(&mut self) {
        for _ in 0..ROUNDS {
            let before = self.revision;
            self.due = None;
            self.keep_nodes();
            self.collect_orphaned_pods();
            self.run_jobs();
            self.schedule_pods();
            self.collect_garbage();
            self.expire_jobs();
            if self.revision == before {
                return;
            }
        }
        panic!("the controllers do not come to rest");
    }
}
