//! What the function is told by its environment, and how it is put together from that.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretSlice;
use sluice_aws::secrets::{SecretError, resolve};
use sluice_aws::{ConnectError, Table, TablePace};
use sluice_domain::Policy;
use sluice_domain::pace::{Lane, Paced};
use sluice_hcp::digest::Digester;
use sluice_hcp_client::{Client, Settings, SettingsError};
use sluice_lambda::{Env, InvalidConfig, Measured, SecretRef, TfeAddress, api_requests_per_second, policy};

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
    /// What is allowed.
    pub policy: Policy,
    /// `SLUICE_API_REQUESTS_PER_SECOND`: how many requests all functions together may make.
    pub api_requests_per_second: u32,
}

impl Config {
    /// Reads the environment; the error lists everything that is wrong with it.
    pub fn from_env(vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let table = env.required("WORKSPACE_DEPENDENCIES_TABLE");
        let terraform = env.tfe_address();
        let api_token = env.secret("API_TOKEN");
        let ca_bundle = env.optional("SLUICE_CA_BUNDLE");
        let policy = policy(&mut env);
        let api_requests_per_second = api_requests_per_second(&mut env);
        env.finish(|| {
            Some(Self {
                table: table?,
                terraform: terraform?,
                api_token: api_token?,
                ca_bundle: ca_bundle?,
                policy: policy?,
                api_requests_per_second: api_requests_per_second?,
            })
        })
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
pub async fn connect(
    vars: &BTreeMap<String, String>,
) -> Result<Creator<Table, Paced<Client, Measured<TablePace>>>, StartError> {
    let config = Config::from_env(vars)?;
    let store = Table::connect(vars, &config.table)?;
    let ca_bundle = config.ca_bundle.map(std::fs::read).transpose().map_err(StartError::CaBundle)?;
    let token = resolve(vars, vec![config.api_token]).await?.remove(0);
    // It reads no states, so no digest is ever made.
    let digester = Digester::new(&SecretSlice::default());
    let address = config.terraform.url.parse().map_err(|_| SettingsError::Address)?;
    let client = Client::new(Settings { ca_bundle, ..Settings::new(address, token, digester) })?;
    let pace = Measured::new(TablePace::new(store.clone(), config.api_requests_per_second));
    let terraform = Paced::new(Arc::new(client), Arc::new(pace), Lane::Work);
    Ok(Creator { store, terraform, policy: config.policy, watch_ms: WATCH_MS })
}
