//! The Lambda function: wires the API to the environment, the table and the Runtime API.

use sluice_context_api::{connect, handle};
use sluice_lambda::{Error, http, init_tracing, now, started, vars};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let vars = vars();
    init_tracing(&vars);
    let api = started(&vars, connect(&vars).await)?;
    http::serve(|request| handle(&api, request, now())).await
}
