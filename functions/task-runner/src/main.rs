//! The Lambda function: wires the runner to the environment, the table, HCP Terraform and the Runtime API; or else the
//! child process that evaluates one policy.

use std::process::ExitCode;
use std::sync::Arc;

use sluice_lambda::{Error, batch, init_tracing, started, vars};
use sluice_task_runner::{connect, handle_batch, rego};

fn main() -> Result<ExitCode, Error> {
    // A child reads no environment and starts no runtime.
    rego::child().map_or_else(serve, Ok)
}

#[tokio::main(flavor = "current_thread")]
async fn serve() -> Result<ExitCode, Error> {
    let vars = vars();
    init_tracing(&vars);
    let runner = Arc::new(started(&vars, connect(&vars).await)?);
    batch::serve(|event| handle_batch(runner.clone(), event)).await?;
    Ok(ExitCode::SUCCESS)
}
