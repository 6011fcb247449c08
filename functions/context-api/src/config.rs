//! What the API is told by its environment, and how it is put together from that.

use std::collections::BTreeMap;

use sluice_aws::secrets::{SecretError, resolve_lists};
use sluice_aws::{ConnectError, GateKeys, PATIENCE, Table};
use sluice_lambda::{Env, InvalidConfig, SecretRef};

use crate::{ContextApi, Operators};

/// The API's settings.
#[derive(Debug)]
pub struct Config {
    /// `WORKSPACE_DEPENDENCIES_TABLE`: the table's name.
    pub table: String,
    /// `SLUICE_GATE_KEY`: what the tokens of checks are made with.
    pub gate_keys: Vec<SecretRef>,
    /// `SLUICE_OPERATOR_TOKEN`: the tokens of people.
    pub operator_tokens: Vec<SecretRef>,
}

impl Config {
    /// Reads the settings, naming all that is wrong with them.
    pub fn from_env(vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let table = env.required("WORKSPACE_DEPENDENCIES_TABLE");
        let gate_keys = env.secrets("SLUICE_GATE_KEY");
        let operator_tokens = env.optional_secrets("SLUICE_OPERATOR_TOKEN");
        env.finish(|| Some(Self { table: table?, gate_keys: gate_keys?, operator_tokens: operator_tokens? }))
    }
}

/// Why the API cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or not valid.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// A secret cannot be fetched.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The table cannot be reached.
    #[error(transparent)]
    Table(#[from] ConnectError),
}

/// The API as the environment has it. Nothing is sent, unless a secret has to be fetched.
pub async fn connect(vars: &BTreeMap<String, String>) -> Result<ContextApi<Table>, StartError> {
    let config = Config::from_env(vars)?;
    let store = Table::connect(vars, &config.table)?;
    let gate = GateKeys::resolve(vars, config.gate_keys).await?;
    let operators = Operators::new(&resolve_lists(vars, config.operator_tokens).await?);
    Ok(ContextApi { store, gate, operators, patience: PATIENCE })
}
