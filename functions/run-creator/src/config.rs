//! What the function is told by its environment, and how it is put together from that.

use std::collections::BTreeMap;

use secrecy::SecretSlice;
use sluice_aws::secrets::{SecretError, resolve};
use sluice_aws::{ConnectError, Table};
use sluice_hcp::digest::Digester;
use sluice_hcp_client::{Client, Settings, SettingsError};
use sluice_lambda::{Env, InvalidConfig, SecretRef, TfeAddress};

use crate::{Creator, WATCH_MS};

/// The function's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WORKSPACE_DEPENDENCIES_TABLE`.
    pub table: String,
    /// `TFE_ADDRESS`.
    pub terraform: TfeAddress,
    /// `API_TOKEN`.
    pub api_token: SecretRef,
    /// `SLUICE_CA_BUNDLE`: a file of PEM certificates to trust besides the public roots.
    pub ca_bundle: Option<String>,
}

impl Config {
    /// Reads the environment; the error lists everything that is wrong with it.
    pub fn from_env(vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let table = env.required("WORKSPACE_DEPENDENCIES_TABLE");
        let terraform = env.tfe_address();
        let api_token = env.secret("API_TOKEN");
        let ca_bundle = env.optional("SLUICE_CA_BUNDLE");
        env.finish(|| Some(Self { table: table?, terraform: terraform?, api_token: api_token?, ca_bundle: ca_bundle? }))
    }
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or not valid.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// A secret cannot be fetched.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The certificates cannot be read.
    #[error("cannot read SLUICE_CA_BUNDLE")]
    CaBundle(#[source] std::io::Error),
    /// The client of HCP Terraform cannot be built.
    #[error(transparent)]
    Client(#[from] SettingsError),
    /// The table cannot be reached.
    #[error(transparent)]
    Table(#[from] ConnectError),
}

/// The creator as the environment has it. Nothing is sent, unless a secret has to be fetched.
pub async fn connect(vars: &BTreeMap<String, String>) -> Result<Creator<Table, Client>, StartError> {
    let Config { table, terraform, api_token, ca_bundle } = Config::from_env(vars)?;
    let store = Table::connect(vars, &table)?;
    let ca_bundle = ca_bundle.map(std::fs::read).transpose().map_err(StartError::CaBundle)?;
    let token = resolve(vars, vec![api_token]).await?.remove(0);
    // It reads no states, so no digest is ever made.
    let digester = Digester::new(&SecretSlice::default());
    let address = terraform.url.parse().map_err(|_| SettingsError::Address)?;
    let terraform = Client::new(Settings { ca_bundle, ..Settings::new(address, token, digester) })?;
    Ok(Creator { store, terraform, watch_ms: WATCH_MS })
}
