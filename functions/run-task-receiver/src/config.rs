//! What the receiver is told by its environment, and how it is put together from that.

use std::collections::BTreeMap;

use sluice_aws::secrets::{KeyCache, Keyed, SecretError};
use sluice_aws::{ConnectError, GateKeys, Table};
use sluice_domain::Timestamp;
use sluice_domain::gate::KeyPlace;
use sluice_hcp::wire::Origin;
use sluice_hcp_client::{SettingsError, TaskClient, TaskLimits};
use sluice_lambda::{Env, InvalidConfig, SecretRef, TfeAddress};

use crate::{Keyring, Receiver};

/// The receiver's settings.
#[derive(Debug)]
pub struct Config {
    /// `WORKSPACE_DEPENDENCIES_TABLE`: the table's name.
    pub table: String,
    /// `TFE_ADDRESS`: the instance that asks.
    pub terraform: TfeAddress,
    /// `SLUICE_GATE_KEY`: what access tokens are sealed with.
    pub gate_keys: Vec<SecretRef>,
    /// `SLUICE_CA_BUNDLE`: a file of PEM certificates to trust besides the public roots.
    pub ca_bundle: Option<String>,
}

impl Config {
    /// Reads the settings, naming all that is wrong with them.
    pub fn from_env(vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let table = env.required("WORKSPACE_DEPENDENCIES_TABLE");
        let terraform = env.tfe_address();
        let gate_keys = env.secrets("SLUICE_GATE_KEY");
        let ca_bundle = env.optional("SLUICE_CA_BUNDLE");
        env.finish(|| Some(Self { table: table?, terraform: terraform?, gate_keys: gate_keys?, ca_bundle: ca_bundle? }))
    }
}

/// Why the receiver cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or not valid.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// A key cannot be fetched.
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

/// The receiver as the environment has it. Nothing is sent, unless a key has to be fetched.
pub async fn connect(vars: &BTreeMap<String, String>) -> Result<Receiver<Table, KeyCache>, StartError> {
    let config = Config::from_env(vars)?;
    let store = Table::connect(vars, &config.table)?;
    let ca_bundle = config.ca_bundle.map(std::fs::read).transpose().map_err(StartError::CaBundle)?;
    let gate = GateKeys::resolve(vars, config.gate_keys).await?;
    let origin: Origin = config.terraform.url.parse().map_err(|_| SettingsError::Address)?;
    let address = config.terraform.url.parse().map_err(|_| SettingsError::Address)?;
    let client = TaskClient::new(&address, ca_bundle.as_deref(), TaskLimits::default())?;
    let keyring = KeyCache::new(vars.clone());
    Ok(Receiver { store, keyring, gate, host: config.terraform.host, origin, client })
}

impl Keyring for KeyCache {
    async fn keys(&self, places: &[KeyPlace], anew: bool, now: Timestamp) -> Keyed {
        self.get(places, anew, now).await
    }
}
