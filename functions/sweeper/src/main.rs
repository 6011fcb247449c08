//! The Lambda function: wires the sweep to the environment, the table and the Runtime API.

use sluice_lambda::{Error, init_tracing, now, schedule, started, vars};
use sluice_sweeper::{connect, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let vars = vars();
    init_tracing(&vars);
    let table = started(&vars, connect(&vars))?;
    schedule::serve(|| Box::pin(handle(&table, now()))).await
}
