//! What the commands that do work are told by the environment.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::{ExposeSecret, SecretSlice};
use sluice_aws::secrets::{resolve, resolve_lists};
use sluice_aws::{GateKeys, Table};
use sluice_context_api::Operators;
use sluice_domain::Policy;
use sluice_hcp::signature::Keys;
use sluice_kubernetes::Credentials;
use sluice_lambda::{Env, InvalidConfig, SecretRef, TfeAddress, api_requests_per_second, interval_ms, policy};
use sluice_state_indexer::{WATCH_MS, survey_ms};

use crate::cluster::AnyCluster;
use crate::functions::{GateParts, Parts};
use crate::serve::ServeError;
use crate::store::{digest_key, gate_key};

/// A real table instead of the embedded one.
const TABLE_VARIABLE: &str = "WORKSPACE_DEPENDENCIES_TABLE";

/// Whether notifications are listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ear {
    /// They are, and have to be signed with a known token.
    Open,
    /// They are not.
    Closed,
}

/// What the environment says, checked.
#[derive(Debug)]
pub struct Settings {
    /// The instance.
    pub terraform: TfeAddress,
    api_token: SecretRef,
    unsigned: bool,
    tokens: Vec<SecretRef>,
    digest_key: Vec<SecretRef>,
    ca_bundle: Option<String>,
    policy: Policy,
    watch_ms: u64,
    survey_ms: u64,
    api_requests_per_second: u32,
    gate_keys: Vec<SecretRef>,
    operator_tokens: Vec<SecretRef>,
    checks: sluice_task_runner::Settings,
    jobs: sluice_job_runner::JobSettings,
    credentials: Option<Credentials>,
}

impl Settings {
    /// Reads the environment; the error lists everything that is wrong with it.
    pub fn from_env(vars: &BTreeMap<String, String>, ear: Ear) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let terraform = env.tfe_address();
        let api_token = env.secret("API_TOKEN");
        let unsigned = env.or("SLUICE_ALLOW_UNSIGNED", false);
        let tokens = match (ear, unsigned) {
            (Ear::Closed, _) | (_, Some(true)) => env.optional_secrets("NOTIFICATION_TOKEN"),
            _ => env.secrets("NOTIFICATION_TOKEN"),
        };
        let real = env.optional::<String>(TABLE_VARIABLE).flatten().is_some();
        let digest_key = if real {
            env.secret("SLUICE_DIGEST_KEY").map(|key| vec![key])
        } else {
            env.optional_secrets("SLUICE_DIGEST_KEY")
        };
        let ca_bundle = env.optional::<String>("SLUICE_CA_BUNDLE");
        let policy = policy(&mut env);
        let watch_ms = interval_ms(&mut env, "SLUICE_WATCH_SECONDS", WATCH_MS);
        let survey_ms = survey_ms(&mut env);
        let api_requests_per_second = api_requests_per_second(&mut env);
        let gate_keys = match (ear, real) {
            (Ear::Open, true) => env.secrets("SLUICE_GATE_KEY"),
            _ => env.optional_secrets("SLUICE_GATE_KEY"),
        };
        let operator_tokens = env.optional_secrets("SLUICE_OPERATOR_TOKEN");
        let checks = sluice_task_runner::Settings::from_env(&mut env, policy.clone());
        let jobs = sluice_job_runner::JobSettings::from_env(&mut env);
        let credentials = sluice_job_runner::credentials(&mut env, vars);
        env.finish(|| {
            Some(Self {
                terraform: terraform?,
                api_token: api_token?,
                unsigned: unsigned?,
                tokens: tokens?,
                digest_key: digest_key?,
                ca_bundle: ca_bundle?,
                policy: policy?,
                watch_ms: watch_ms?,
                survey_ms: survey_ms?,
                api_requests_per_second: api_requests_per_second?,
                gate_keys: gate_keys?,
                operator_tokens: operator_tokens?,
                checks: checks?,
                jobs: jobs?,
                credentials: credentials?,
            })
        })
    }

    /// What the functions are made of, beside `table`. Secrets that are references are fetched. The digest key of an
    /// embedded table lies in `directory`.
    pub async fn parts(
        self,
        vars: &BTreeMap<String, String>,
        table: Table,
        directory: &Path,
    ) -> Result<Parts, ServeError> {
        let keys = Keys::new(&resolve_lists(vars, self.tokens).await?);
        let digest_key = match resolve(vars, self.digest_key).await?.pop() {
            Some(key) => SecretSlice::from(key.expose_secret().as_bytes().to_vec()),
            None => digest_key(Some(directory))?,
        };
        let gate_keys = if self.gate_keys.is_empty() {
            GateKeys::new(&gate_key(Some(directory))?, &[])
        } else {
            GateKeys::resolve(vars, self.gate_keys).await?
        };
        let cluster = AnyCluster::of(self.credentials);
        let gate = GateParts { keys: gate_keys, keyring: vars.clone(), checks: self.checks, jobs: self.jobs, cluster };
        Ok(Parts {
            table,
            digest_key,
            gate,
            operators: Operators::new(&resolve_lists(vars, self.operator_tokens).await?),
            terraform: self.terraform,
            api_token: resolve(vars, vec![self.api_token]).await?.remove(0),
            ca_bundle: self.ca_bundle.map(std::fs::read).transpose().map_err(ServeError::CaBundle)?,
            keys: if self.unsigned { keys.allow_unsigned() } else { keys },
            policy: self.policy,
            watch_ms: self.watch_ms,
            survey_ms: self.survey_ms,
            api_requests_per_second: self.api_requests_per_second,
        })
    }
}

/// The real table that the environment names, if it does.
#[must_use]
pub fn table_name(vars: &BTreeMap<String, String>) -> Option<&str> {
    vars.get(TABLE_VARIABLE).map(|name| name.trim()).filter(|name| !name.is_empty())
}
