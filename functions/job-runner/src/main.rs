//! The Lambda function: wires the runner to the environment, the table, the cluster and the Runtime API.

use std::sync::Arc;

use sluice_job_runner::{connect, handle_batch};
use sluice_lambda::{Error, batch, init_tracing, started, vars};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let vars = vars();
    init_tracing(&vars);
    let runner = Arc::new(started(&vars, connect(&vars).await)?);
    batch::serve(|event| handle_batch(runner.clone(), event)).await
}
