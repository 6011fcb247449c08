//! The Lambda function: wires the relay to the environment, the table, HCP Terraform and the Runtime API.

use std::sync::Arc;

use sluice_lambda::{Error, batch, init_tracing, started, vars};
use sluice_run_task_relay::{connect, handle_batch};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let vars = vars();
    init_tracing(&vars);
    let relay = Arc::new(started(&vars, connect(&vars).await)?);
    batch::serve(|event| handle_batch(relay.clone(), event)).await
}
