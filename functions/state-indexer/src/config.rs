//! What the function is told by its environment, and how it is put together from that.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sluice_aws::secrets::{SecretError, resolve};
use sluice_aws::{ConnectError, Table};
use sluice_domain::{AfterFailure, Autonomy, Policy};
use sluice_hcp::digest::Digester;
use sluice_hcp_client::{Client, Settings, SettingsError};
use sluice_lambda::{Env, InvalidConfig, SecretRef, TfeAddress};

use crate::{Indexer, WATCH_MS};

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
        env.finish(|| {
            Some(Self {
                table: table?,
                terraform: terraform?,
                api_token: api_token?,
                digest_key: digest_key?,
                ca_bundle: ca_bundle?,
                policy: policy?,
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
pub async fn connect(vars: &BTreeMap<String, String>) -> Result<Indexer<Table, Client>, StartError> {
    let Config { table, terraform, api_token, digest_key, ca_bundle, policy } = Config::from_env(vars)?;
    let store = Table::connect(vars, &table)?;
    let ca_bundle = ca_bundle.map(std::fs::read).transpose().map_err(StartError::CaBundle)?;
    let [token, key] = in_order(resolve(vars, vec![api_token, digest_key]).await?);
    let digester = Digester::new(&SecretSlice::from(key.expose_secret().as_bytes().to_vec()));
    let address = terraform.url.parse().map_err(|_| SettingsError::Address)?;
    let terraform = Client::new(Settings { ca_bundle, ..Settings::new(address, token, digester) })?;
    Ok(Indexer { store, terraform, policy, watch_ms: WATCH_MS })
}

fn in_order(secrets: Vec<SecretString>) -> [SecretString; 2] {
    secrets.try_into().expect("as many secrets are resolved as are asked for")
}

/// What is allowed: `SLUICE_AUTONOMY`, `SLUICE_PERSON_WAIT_SECONDS`, `SLUICE_AFTER_FAILURE`.
pub fn policy(env: &mut Env<'_>) -> Option<Policy> {
    let autonomy = one_of(env, "SLUICE_AUTONOMY", [("run", Autonomy::Run), ("observe", Autonomy::Observe)]);
    let after_failure =
        one_of(env, "SLUICE_AFTER_FAILURE", [("hold", AfterFailure::Hold), ("continue", AfterFailure::Continue)]);
    let default = Policy::default();
    let person_wait_s = env.or("SLUICE_PERSON_WAIT_SECONDS", default.person_wait_ms / 1000);
    Some(Policy {
        autonomy: autonomy?,
        person_wait_ms: person_wait_s?.saturating_mul(1000),
        after_failure: after_failure?,
    })
}

/// A variable that is one of two words; the first is the default.
fn one_of<T>(env: &mut Env<'_>, name: &'static str, words: [(&str, T); 2]) -> Option<T> {
    let word: String = env.or(name, words[0].0.to_owned())?;
    let expected = format!("is neither {} nor {}", words[0].0, words[1].0);
    let found = words.into_iter().find(|(candidate, _)| *candidate == word);
    if found.is_none() {
        env.fault(name, &expected);
    }
    found.map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let base = [("WORKSPACE_DEPENDENCIES_TABLE", "sluice"), ("API_TOKEN", "t"), ("SLUICE_DIGEST_KEY", "k")];
        base.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let wrong = BTreeMap::from([
            ("SLUICE_AUTONOMY".to_owned(), "sometimes".to_owned()),
            ("SLUICE_PERSON_WAIT_SECONDS".to_owned(), "long".to_owned()),
        ]);
        assert_eq!(
            Config::from_env(&wrong).unwrap_err().to_string(),
            "invalid configuration: WORKSPACE_DEPENDENCIES_TABLE is not set; API_TOKEN is not set; \
             SLUICE_DIGEST_KEY is not set; SLUICE_AUTONOMY is neither run nor observe; \
             SLUICE_PERSON_WAIT_SECONDS is not a whole number"
        );
    }

    #[test]
    fn the_policy_is_cautious_about_failures_and_people_unless_told_otherwise() {
        assert_eq!(Config::from_env(&vars(&[])).unwrap().policy, Policy::default());
        let other = vars(&[
            ("SLUICE_AUTONOMY", "observe"),
            ("SLUICE_PERSON_WAIT_SECONDS", "60"),
            ("SLUICE_AFTER_FAILURE", "continue"),
        ]);
        let policy = Config::from_env(&other).unwrap().policy;
        let expected =
            Policy { autonomy: Autonomy::Observe, person_wait_ms: 60_000, after_failure: AfterFailure::Continue };
        assert_eq!(policy, expected);
    }
}
