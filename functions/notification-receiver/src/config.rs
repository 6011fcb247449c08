//! What the receiver is told by its environment, and how it is put together from that.

use std::collections::BTreeMap;

use secrecy::SecretString;
use sluice_aws::secrets::{SecretError, resolve_lists};
use sluice_aws::{ConnectError, Table};
use sluice_hcp::signature::Keys;
use sluice_lambda::{Env, InvalidConfig, SecretRef, TfeAddress};

use crate::Receiver;

/// The receiver's settings.
#[derive(Debug)]
pub struct Config {
    /// `WORKSPACE_DEPENDENCIES_TABLE`: the table's name.
    pub table: String,
    /// `NOTIFICATION_TOKEN`: the tokens of the notification configurations.
    pub tokens: Vec<SecretRef>,
    /// `SLUICE_ALLOW_UNSIGNED`: whether what is not signed at all is let in.
    pub allow_unsigned: bool,
    /// `TFE_ADDRESS`: the instance that notifies.
    pub terraform: TfeAddress,
}

impl Config {
    /// Reads the settings, naming all that is wrong with them.
    pub fn from_env(vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let table = env.required("WORKSPACE_DEPENDENCIES_TABLE");
        let allow_unsigned = env.or("SLUICE_ALLOW_UNSIGNED", false);
        let tokens = match allow_unsigned {
            Some(true) => env.optional_secrets("NOTIFICATION_TOKEN"),
            _ => env.secrets("NOTIFICATION_TOKEN"),
        };
        let terraform = env.tfe_address();
        env.finish(|| {
            Some(Self { table: table?, tokens: tokens?, allow_unsigned: allow_unsigned?, terraform: terraform? })
        })
    }

    /// The keys that notifications may be signed with.
    fn keys(&self, tokens: &[SecretString]) -> Keys {
        let keys = Keys::new(tokens);
        if self.allow_unsigned { keys.allow_unsigned() } else { keys }
    }
}

/// Why the receiver cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or not valid.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// A token cannot be fetched.
    #[error(transparent)]
    Token(#[from] SecretError),
    /// The table cannot be reached.
    #[error(transparent)]
    Table(#[from] ConnectError),
}

/// The receiver as the environment has it. Nothing is sent, unless tokens have to be fetched.
pub async fn connect(vars: &BTreeMap<String, String>) -> Result<Receiver<Table>, StartError> {
    let config = Config::from_env(vars)?;
    let table = Table::connect(vars, &config.table)?;
    let tokens = resolve_lists(vars, config.tokens.clone()).await?;
    Ok(Receiver::new(table, config.keys(&tokens), config.terraform.host))
}
