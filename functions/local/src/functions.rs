//! Builds the functions, alike for the demo and for `serve`.

use std::sync::Arc;

use secrecy::{SecretSlice, SecretString};
use sluice_aws::{Table, TablePace};
use sluice_domain::Policy;
use sluice_domain::pace::{Lane, Paced};
use sluice_hcp::digest::Digester;
use sluice_hcp::signature::Keys;
use sluice_hcp_client::{Client, Settings, SettingsError};
use sluice_lambda::TfeAddress;
use sluice_notification_receiver::Receiver;
use sluice_run_creator::Creator;
use sluice_state_indexer::Indexer;

use crate::host::Functions;

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
}

/// The functions. They share one client, as they share one process, and one budget of requests, as they would anywhere.
pub fn functions(parts: Parts) -> Result<Functions, SettingsError> {
    let Parts { table, digest_key, terraform, api_token, ca_bundle, keys, policy, .. } = parts;
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
        terraform: terraform.host,
        table,
    })
}
