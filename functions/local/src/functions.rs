//! Builds the functions, alike for the demo and for `serve`.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::{SecretSlice, SecretString};
use sluice_aws::secrets::KeyCache;
use sluice_aws::{GateKeys, PATIENCE, Table, TablePace};
use sluice_context_api::{ContextApi, Operators};
use sluice_domain::Policy;
use sluice_domain::pace::{Lane, Paced};
use sluice_hcp::digest::Digester;
use sluice_hcp::signature::Keys;
use sluice_hcp_client::{Client, Settings, SettingsError, TaskClient, TaskLimits};
use sluice_job_runner::{JobSettings, Jobs};
use sluice_lambda::TfeAddress;
use sluice_notification_receiver::Receiver;
use sluice_run_creator::Creator;
use sluice_run_task_receiver::Receiver as GateReceiver;
use sluice_run_task_relay::Relay;
use sluice_state_indexer::Indexer;
use sluice_task_runner::{Checks, Runner, Settings as ChecksSettings};

use crate::cluster::AnyCluster;
use crate::host::{Functions, Gate};

/// What the functions are made of.
pub struct Parts {
    /// The table they share.
    pub table: Table,
    /// The key of output digests.
    pub digest_key: SecretSlice<u8>,
    /// The instance they stand beside.
    pub terraform: TfeAddress,
    /// Its API token.
    pub api_token: SecretString,
    /// PEM certificates to trust beside the public roots.
    pub ca_bundle: Option<Vec<u8>>,
    /// The keys of notifications.
    pub keys: Keys,
    /// What is allowed.
    pub policy: Policy,
    /// How long a run may be silent before HCP Terraform is asked how it stands, in milliseconds.
    pub watch_ms: u64,
    /// How often what no notification told is looked for, in milliseconds.
    pub survey_ms: u64,
    /// How many API requests a second all functions together may make.
    pub api_requests_per_second: u32,
    /// What the gate is made of besides.
    pub gate: GateParts,
    /// Who may read and write the context of any run.
    pub operators: Operators,
}

/// What the gate is made of.
pub struct GateParts {
    /// What access tokens are sealed with.
    pub keys: GateKeys,
    /// The keys that definitions name.
    pub keyring: BTreeMap<String, String>,
    /// What checks are told.
    pub checks: ChecksSettings,
    /// What jobs are told.
    pub jobs: JobSettings,
    /// Where jobs run.
    pub cluster: AnyCluster,
}

/// The functions. They share one client, as they share one process, and one budget of requests, as they would anywhere.
pub fn functions(parts: Parts) -> Result<Functions, FunctionsError> {
    let Parts { table, digest_key, terraform, api_token, ca_bundle, keys, policy, .. } = parts;
    let (store, keys_of_gate) = (table.clone(), parts.gate.keys.clone());
    let context = ContextApi { store, gate: keys_of_gate, operators: parts.operators, patience: PATIENCE };
    let gate = gate(parts.gate, &table, &terraform, ca_bundle.as_deref())?;
    let address = terraform.url.parse().map_err(|_| SettingsError::Address)?;
    let client = Client::new(Settings { ca_bundle, ..Settings::new(address, api_token, Digester::new(&digest_key)) })?;
    let pace = TablePace::new(table.clone(), parts.api_requests_per_second);
    let work = Paced::new(Arc::new(client), Arc::new(pace), Lane::Work);
    Ok(Functions {
        receiver: Receiver::new(table.clone(), keys, terraform.host.clone()),
        creator: Creator {
            store: table.clone(),
            terraform: work.in_lane(Lane::Work),
            policy: policy.clone(),
            watch_ms: parts.watch_ms,
        },
        indexer: Indexer {
            store: table.clone(),
            bulk: work.in_lane(Lane::Bulk),
            terraform: work,
            policy,
            watch_ms: parts.watch_ms,
            survey_ms: parts.survey_ms,
        },
        gate,
        context,
        terraform: terraform.host,
        table,
    })
}

fn gate(
    parts: GateParts,
    table: &Table,
    terraform: &TfeAddress,
    ca_bundle: Option<&[u8]>,
) -> Result<Gate, FunctionsError> {
    let GateParts { keys, keyring, checks, jobs, cluster } = parts;
    let address = terraform.url.parse().map_err(|_| SettingsError::Address)?;
    let client = TaskClient::new(&address, ca_bundle, TaskLimits::default())?;
    let receiver = GateReceiver {
        store: table.clone(),
        keyring: KeyCache::new(keyring.clone()),
        gate: keys.clone(),
        host: terraform.host.clone(),
        origin: terraform.url.parse().map_err(|_| SettingsError::Address)?,
        client: client.clone(),
    };
    let relay = Relay { store: table.clone(), terraform: client.clone(), keys: keys.clone() };
    let executor: Checks<Table> =
        checks.checks(table.clone(), client, keys.clone(), KeyCache::new(keyring), ca_bundle)?;
    // Jobs have no business with HCP Terraform's tokens, so nothing opens these for them.
    let jobs = Jobs { store: table.clone(), cluster, keys: keys.clone(), settings: jobs };
    let job_runner = Runner { store: table.clone(), executor: jobs, keys: None };
    let runner = Runner { store: table.clone(), executor, keys: Some(keys) };
    Ok(Gate { receiver, runner, job_runner, relay })
}

/// The functions cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum FunctionsError {
    /// A client cannot be built.
    #[error(transparent)]
    Client(#[from] SettingsError),
    /// The checks cannot be built.
    #[error(transparent)]
    Checks(#[from] sluice_task_runner::StartError),
}
