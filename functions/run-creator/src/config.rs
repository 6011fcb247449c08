//! What the function is told by its environment.

use std::collections::BTreeMap;

use sluice_lambda::{Env, InvalidConfig, SecretRef, TfeAddress};

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
