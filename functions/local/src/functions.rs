//! Builds the functions, alike for the demo and for `serve`.

use secrecy::{SecretSlice, SecretString};
use sluice_aws::Table;
use sluice_domain::Policy;
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
}

/// The functions, each with its own client, as each would have in an account.
pub fn functions(parts: Parts) -> Result<Functions, SettingsError> {
    let Parts { table, digest_key, terraform, api_token, ca_bundle, keys, policy, watch_ms } = parts;
    let digester = Digester::new(&digest_key);
    let client = || {
        let address = terraform.url.parse().map_err(|_| SettingsError::Address)?;
        let settings = Settings::new(address, api_token.clone(), digester.clone());
        Client::new(Settings { ca_bundle: ca_bundle.clone(), ..settings })
    };
    Ok(Functions {
        receiver: Receiver::new(table.clone(), keys, terraform.host.clone()),
        indexer: Indexer { store: table.clone(), terraform: client()?, policy, watch_ms },
        creator: Creator { store: table.clone(), terraform: client()?, watch_ms },
        terraform: terraform.host.clone(),
        table,
    })
}
