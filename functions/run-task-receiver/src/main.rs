//! The Lambda function: wires the receiver to the environment, the table and the Runtime API.

use sluice_lambda::{Error, http, init_tracing, now, started, vars};
use sluice_run_task_receiver::{connect, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let vars = vars();
    init_tracing(&vars);
    let receiver = started(&vars, connect(&vars).await)?;
    http::serve(|request| handle(&receiver, request, now())).await
}
