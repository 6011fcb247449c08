//! task-runner: carries out the checks of run tasks, but for those that are jobs.

mod checks;
mod config;
pub mod rego;

pub use checks::{CheckError, Checks};
pub use config::{Config, Settings, StartError, connect};
pub use sluice_runner::{Asked, Executor, LEASE_MS, Runner, Step, Told, handle};

use std::sync::Arc;

use sluice_aws::Table;
use sluice_domain::Queue;
use sluice_lambda::batch::{BatchResponse, StreamEvent};

/// Does the works that a batch rings for.
pub async fn handle_batch(runner: Arc<Runner<Table, Checks<Table>>>, event: StreamEvent) -> BatchResponse {
    sluice_runner::handle_batch(runner, Queue::Check, event).await
}
