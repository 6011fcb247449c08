//! `sluice pause` and `sluice resume`: the switch that stops the creation of runs everywhere at once.

use std::collections::BTreeMap;

use sluice_aws::Table;
use sluice_domain::ports::{Pause, StoreError, Tallies};
use sluice_lambda::now;

use crate::cli;
use crate::serve::{ServeError, open};

/// Stops the creation of runs. Returns what to print.
pub async fn pause(options: &cli::Pause, vars: &BTreeMap<String, String>) -> Result<String, ServeError> {
    let pause = Pause { since: now(), why: options.why.clone() };
    with_table(&options.store, vars, async |table: &Table| {
        if let Some(before) = table.paused().await? {
            return Ok(format!("no run is created since {} already: {}\n", before.since, before.why));
        }
        table.set_paused(Some(&pause)).await?;
        Ok("no run is created from now on; what is due waits for sluice resume\n".to_owned())
    })
    .await
}

/// Lets runs be created again. Returns what to print.
pub async fn resume(options: &cli::Resume, vars: &BTreeMap<String, String>) -> Result<String, ServeError> {
    with_table(&options.store, vars, async |table: &Table| {
        let Some(before) = table.paused().await? else { return Ok("runs are created as it is\n".to_owned()) };
        table.set_paused(None).await?;
        Ok(format!("runs are created again; they were not since {}\n", before.since))
    })
    .await
}

async fn with_table(
    options: &cli::Store,
    vars: &BTreeMap<String, String>,
    change: impl AsyncFnOnce(&Table) -> Result<String, StoreError>,
) -> Result<String, ServeError> {
    let (table, store) = open(options, vars).await?;
    let said = change(&table).await?;
    if let Some(store) = store {
        store.close().await;
    }
    Ok(said)
}
