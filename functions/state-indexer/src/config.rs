//! What the function is told by its environment, and how it is put together from that.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sluice_aws::secrets::{SecretError, resolve};
use sluice_aws::{ConnectError, Table, TablePace};
use sluice_domain::Policy;
use sluice_domain::pace::{Lane, Paced};
use sluice_hcp::digest::Digester;
use sluice_hcp_client::{Client, Settings, SettingsError};
use sluice_lambda::{
    Env, InvalidConfig, Measured, SecretRef, TfeAddress, api_requests_per_second, interval_ms, policy,
};

use crate::{Indexer, SURVEY_MS, WATCH_MS};

/// The function's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WORKSPACE_DEPENDENCIES_TABLE`.
    pub table: String,
    /// `TFE_ADDRESS`.
    pub terraform: TfeAddress,
    /// `API_TOKEN`.
    pub api_token: SecretRef,
    /// `SLUICE_DIGEST_KEY`: the key of output digests. Another key makes every consumer look stale once.
    pub digest_key: SecretRef,
    /// `SLUICE_CA_BUNDLE`: a file of PEM certificates to trust besides the public roots.
    pub ca_bundle: Option<String>,
    /// What is allowed.
    pub policy: Policy,
    /// `SLUICE_API_REQUESTS_PER_SECOND`: how many requests all functions together may make.
    pub api_requests_per_second: u32,
    /// `SLUICE_SURVEY_SECONDS`, in milliseconds.
    pub survey_ms: u64,
}

impl Config {
    /// Reads the environment; the error lists everything that is wrong with it.
    pub fn from_env(vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let table = env.required("WORKSPACE_DEPENDENCIES_TABLE");
        let terraform = env.tfe_address();
        let api_token = env.secret("API_TOKEN");
        let digest_key = env.secret("SLUICE_DIGEST_KEY");
        let ca_bundle = env.optional("SLUICE_CA_BUNDLE");
        let policy = policy(&mut env);
        let api_requests_per_second = api_requests_per_second(&mut env);
        let survey_ms = survey_ms(&mut env);
        env.finish(|| {
            Some(Self {
                table: table?,
                terraform: terraform?,
                api_token: api_token?,
                digest_key: digest_key?,
                ca_bundle: ca_bundle?,
                policy: policy?,
                api_requests_per_second: api_requests_per_second?,
                survey_ms: survey_ms?,
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

/// The indexer as the environment has it. Nothing is sent, unless secrets have to be fetched.
pub async fn connect(
    vars: &BTreeMap<String, String>,
) -> Result<Indexer<Table, Paced<Client, Measured<TablePace>>>, StartError> {
    let config = Config::from_env(vars)?;
    let store = Table::connect(vars, &config.table)?;
    let ca_bundle = config.ca_bundle.map(std::fs::read).transpose().map_err(StartError::CaBundle)?;
    let [token, key] = in_order(resolve(vars, vec![config.api_token, config.digest_key]).await?);
    let digester = Digester::new(&SecretSlice::from(key.expose_secret().as_bytes().to_vec()));
    let address = config.terraform.url.parse().map_err(|_| SettingsError::Address)?;
    let client = Client::new(Settings { ca_bundle, ..Settings::new(address, token, digester) })?;
    let pace = Measured::new(TablePace::new(store.clone(), config.api_requests_per_second));
    let terraform = Paced::new(Arc::new(client), Arc::new(pace), Lane::Work);
    let bulk = terraform.in_lane(Lane::Bulk);
    Ok(Indexer { store, terraform, bulk, policy: config.policy, watch_ms: WATCH_MS, survey_ms: config.survey_ms })
}

/// How often what no notification told is looked for: `SLUICE_SURVEY_SECONDS`, in milliseconds.
pub fn survey_ms(env: &mut Env<'_>) -> Option<u64> {
    interval_ms(env, "SLUICE_SURVEY_SECONDS", SURVEY_MS)
}

fn in_order(secrets: Vec<SecretString>) -> [SecretString; 2] {
    secrets.try_into().expect("as many secrets are resolved as are asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_told_at_once() {
        let wrong = BTreeMap::from([
            ("SLUICE_AUTONOMY".to_owned(), "sometimes".to_owned()),
            ("SLUICE_PERSON_WAIT_SECONDS".to_owned(), "long".to_owned()),
            ("SLUICE_SURVEY_SECONDS".to_owned(), "0".to_owned()),
        ]);
        assert_eq!(
            Config::from_env(&wrong).unwrap_err().to_string(),
            "invalid configuration: WORKSPACE_DEPENDENCIES_TABLE is not set; API_TOKEN is not set; \
             SLUICE_DIGEST_KEY is not set; SLUICE_AUTONOMY is none of run, plan, observe; \
             SLUICE_PERSON_WAIT_SECONDS is not a whole number; SLUICE_SURVEY_SECONDS is 0, which would ask without a \
             pause"
        );
    }
}
