//! What the function is told by its environment, and how it is put together from that.

use std::collections::BTreeMap;

use sluice_aws::{ConnectError, Table};
use sluice_lambda::{Env, InvalidConfig};

/// The function's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WORKSPACE_DEPENDENCIES_TABLE`.
    pub table: String,
}

impl Config {
    /// Reads the environment; the error lists everything that is wrong with it.
    pub fn from_env(vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let table = env.required("WORKSPACE_DEPENDENCIES_TABLE");
        env.finish(|| Some(Self { table: table? }))
    }
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or not valid.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The table cannot be reached.
    #[error(transparent)]
    Table(#[from] ConnectError),
}

/// The table that the environment names. Nothing is sent.
pub fn connect(vars: &BTreeMap<String, String>) -> Result<Table, StartError> {
    let config = Config::from_env(vars)?;
    Ok(Table::connect(vars, &config.table)?)
}
