//! `sluice serve`: stands beside a real HCP Terraform or Terraform Enterprise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sluice_aws::Table;
use sluice_domain::ports::StoreError;
use sluice_lambda::{Env, InvalidConfig, TfeAddress, now};
use tokio::net::TcpListener;
use tracing::info;

use crate::cli;
use crate::functions::{FunctionsError, Parts, functions};
use crate::host;
use crate::settings::{self, Ear, Settings};
use crate::store::{Alone, Embedded, OpenError};
use crate::tasks;

/// Where the embedded table is kept unless told otherwise.
const DATA_DIR: &str = "sluice-data";

/// `serve` cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The environment is not complete.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// A secret has to be fetched and cannot be.
    #[error(transparent)]
    Secret(#[from] sluice_aws::secrets::SecretError),
    /// Both a real table and a directory for the embedded one are named.
    #[error("WORKSPACE_DEPENDENCIES_TABLE names a real table, so --data-dir means nothing: leave one of them out")]
    TwoStores,
    /// The certificates cannot be read.
    #[error("cannot read SLUICE_CA_BUNDLE")]
    CaBundle(#[source] std::io::Error),
    /// The table did not answer at the start.
    #[error(transparent)]
    Table(#[from] StoreError),
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The functions cannot be built.
    #[error(transparent)]
    Functions(#[from] FunctionsError),
    /// The file of run tasks is not valid.
    #[error(transparent)]
    Tasks(#[from] tasks::TasksError),
    /// The port is taken, say.
    #[error("cannot listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    /// The server ended with an error.
    #[error("the server stopped")]
    Served(#[source] std::io::Error),
}

/// Serves until told to stop.
pub async fn run(options: &cli::Serve, vars: &BTreeMap<String, String>) -> Result<(), ServeError> {
    let definitions = options.tasks.as_deref().map(tasks::read).transpose()?;
    let Started { mut parts, store } = start(&options.store, vars).await?;
    if let Some(definitions) = &definitions {
        definitions.store(&parts.table).await?;
    }
    let address = parts.terraform.url.clone();
    let failed = |error| ServeError::Listen(options.listen, error);
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let listen = listener.local_addr().map_err(failed)?;
    // Only now is the port known where any will do.
    let public_url = parts.gate.checks.public_url.get_or_insert(format!("http://{listen}")).clone();
    parts.gate.jobs.public_url.get_or_insert(public_url);
    let functions = functions(parts)?;
    let told_to_stop = crate::signal::told_to_stop();
    info!("listening on http://{listen}, beside {address}: send notifications to /notifications");
    let served = host::serve(functions, listener, told_to_stop).await;
    if let Some((store, alone)) = store {
        store.close().await;
        drop(alone);
    }
    info!("stopped");
    served.map_err(ServeError::Served)
}

struct Started {
    parts: Parts,
    /// The embedded store, where that is the one, and what keeps other processes from working on it.
    store: Option<(Embedded, Alone)>,
}

async fn start(options: &cli::Store, vars: &BTreeMap<String, String>) -> Result<Started, ServeError> {
    let settings = Settings::from_env(vars, Ear::Open)?;
    let (table, store) = if let Some(table) = named_table(options, vars).await? {
        (table, None)
    } else {
        let alone = Alone::in_directory(&directory(options))?;
        let store = Embedded::open(Some(&directory(options))).await?;
        take_over(&store.table).await?;
        (store.table.clone(), Some((store, alone)))
    };
    let parts = settings.parts(vars, table, &directory(options)).await?;
    Ok(Started { parts, store })
}

/// Makes work that an earlier process had under way when it died due at once: as nobody else works on this store, no
/// claim in it has anyone behind it.
pub async fn take_over(table: &Table) -> Result<(), StoreError> {
    let works = table.release(now(), lease_ms_max()).await?;
    if works > 0 {
        info!(works, "an earlier process ended in the middle of {works} works: taking them up");
    }
    Ok(())
}

/// The longest lease on any work.
#[must_use]
pub fn lease_ms_max() -> u64 {
    sluice_state_indexer::LEASE_MS
        .max(sluice_run_creator::LEASE_MS)
        .max(sluice_task_runner::LEASE_MS)
        .max(sluice_run_task_relay::LEASE_MS)
}

/// The table that the options and the environment mean, to look at it: a real one if `WORKSPACE_DEPENDENCIES_TABLE`
/// names it, else the embedded one that `serve` made, which has to be kept while it is used.
pub async fn open(
    options: &cli::Store,
    vars: &BTreeMap<String, String>,
) -> Result<(Table, Option<Embedded>), ServeError> {
    if let Some(table) = named_table(options, vars).await? {
        return Ok((table, None));
    }
    let store = Embedded::open_existing(&directory(options)).await?;
    Ok((store.table.clone(), Some(store)))
}

/// The real table, if one is named.
pub async fn named_table(options: &cli::Store, vars: &BTreeMap<String, String>) -> Result<Option<Table>, ServeError> {
    match settings::table_name(vars) {
        Some(_) if options.data_dir.is_some() => Err(ServeError::TwoStores),
        Some(name) => Ok(Some(real_table(name, vars).await?)),
        None => Ok(None),
    }
}

/// Where the embedded table is.
#[must_use]
pub fn directory(options: &cli::Store) -> PathBuf {
    options.data_dir.clone().unwrap_or_else(|| Path::new(DATA_DIR).to_owned())
}

/// A table in an account: unlike a Lambda function, a person has profiles and single sign-on, so the SDK's whole
/// chain of settings is asked.
async fn real_table(name: &str, vars: &BTreeMap<String, String>) -> Result<Table, OpenError> {
    let http = sluice_aws::http_client(vars)?;
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(http).load().await;
    Ok(Table::new(aws_sdk_dynamodb::Client::new(&config), name))
}

/// The instance whose graph is meant.
pub fn terraform(vars: &BTreeMap<String, String>) -> Result<TfeAddress, InvalidConfig> {
    let mut env = Env::new(vars);
    let terraform = env.tfe_address();
    env.finish(|| terraform)
}
