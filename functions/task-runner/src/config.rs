//! What the function is told by its environment, and how it is put together from that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sluice_aws::secrets::{KeyCache, SecretError};
use sluice_aws::{ConnectError, GateKeys, Table};
use sluice_domain::Policy;
use sluice_hcp_client::{Allowed, CheckerLimits, Checkers, SettingsError, TaskClient, TaskLimits};
use sluice_lambda::{Env, InvalidConfig, SecretRef, TfeAddress, policy};

use tokio::sync::Semaphore;

use crate::rego::{Evaluator, Limits};
use crate::{Checks, Runner};

/// How many policies a process evaluates at the same time.
const EVALUATIONS: usize = 2;

/// Largest plan that is read unless told otherwise, in bytes.
pub const PLAN_BYTES_MAX: u64 = 100 << 20;

/// The function's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WORKSPACE_DEPENDENCIES_TABLE`.
    pub table: String,
    /// `TFE_ADDRESS`.
    pub terraform: TfeAddress,
    /// `SLUICE_GATE_KEY`: what access tokens are sealed with.
    pub gate_keys: Vec<SecretRef>,
    /// `SLUICE_CA_BUNDLE`: a file of PEM certificates to trust besides the public roots.
    pub ca_bundle: Option<String>,
    /// What checks are told.
    pub settings: Settings,
}

/// What checks are told by the environment, wherever they run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is allowed downstream.
    pub policy: Policy,
    /// `SLUICE_PUBLIC_URL`: where other checkers reach Sluice, without a path.
    pub public_url: Option<String>,
    /// `SLUICE_CHECKER_HOSTS`: host names, `*.suffix` patterns and networks that `http` checks may reach though they
    /// are private.
    pub allowed: Allowed,
    /// `SLUICE_PLAN_BYTES_MAX`.
    pub plan_bytes_max: u64,
    /// The program that evaluates policies, if it is not this very one.
    pub evaluator: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            public_url: None,
            allowed: Allowed::default(),
            plan_bytes_max: PLAN_BYTES_MAX,
            evaluator: None,
        }
    }
}

impl Settings {
    /// Reads the settings beside `policy`: who reads that already must not tell its faults twice.
    pub fn from_env(env: &mut Env<'_>, policy: Option<Policy>) -> Option<Self> {
        let public_url = env.optional::<TfeAddress>("SLUICE_PUBLIC_URL");
        let listed = env.optional::<String>("SLUICE_CHECKER_HOSTS");
        let plan_bytes_max = env.or("SLUICE_PLAN_BYTES_MAX", PLAN_BYTES_MAX);
        let allowed = listed?.unwrap_or_default().parse::<Allowed>().ok();
        if allowed.is_none() {
            env.fault("SLUICE_CHECKER_HOSTS", "is not a list of host names, *.suffixes and networks");
        }
        let public_url = public_url?.map(|address| address.url);
        let settings = Self { policy: policy?, public_url, allowed: allowed?, ..Self::default() };
        Some(Self { plan_bytes_max: plan_bytes_max?, ..settings })
    }

    /// What carries out checks, beside `store`.
    pub fn checks<S>(
        self,
        store: S,
        plans: TaskClient,
        keys: GateKeys,
        keyring: KeyCache,
        ca_bundle: Option<&[u8]>,
    ) -> Result<Checks<S>, StartError> {
        let limits = Limits { input_bytes_max: self.plan_bytes_max, ..Limits::default() };
        let mut evaluator = Evaluator::this_program(limits).map_err(StartError::Program)?;
        if let Some(program) = self.evaluator {
            evaluator.program = program;
        }
        Ok(Checks {
            store,
            policy: self.policy,
            plans,
            plan_bytes_max: self.plan_bytes_max,
            evaluator,
            evaluations: Semaphore::new(EVALUATIONS),
            checkers: Checkers::new(self.allowed, ca_bundle, CheckerLimits::default())?,
            keyring,
            keys,
            public_url: self.public_url,
        })
    }
}

impl Config {
    /// Reads the environment; the error lists everything that is wrong with it.
    pub fn from_env(vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let table = env.required("WORKSPACE_DEPENDENCIES_TABLE");
        let terraform = env.tfe_address();
        let gate_keys = env.secrets("SLUICE_GATE_KEY");
        let ca_bundle = env.optional("SLUICE_CA_BUNDLE");
        let policy = policy(&mut env);
        let settings = Settings::from_env(&mut env, policy);
        env.finish(|| {
            Some(Self {
                table: table?,
                terraform: terraform?,
                gate_keys: gate_keys?,
                ca_bundle: ca_bundle?,
                settings: settings?,
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
    /// A client cannot be built.
    #[error(transparent)]
    Client(#[from] SettingsError),
    /// The table cannot be reached.
    #[error(transparent)]
    Table(#[from] ConnectError),
    /// It does not know where it lies itself, to be started once more for a policy.
    #[error("cannot find this very program, which evaluates policies in processes of its own")]
    Program(#[source] std::io::Error),
}

/// The runner as the environment has it. Nothing is sent, unless a secret has to be fetched.
pub async fn connect(vars: &BTreeMap<String, String>) -> Result<Runner<Table, Checks<Table>>, StartError> {
    let config = Config::from_env(vars)?;
    let store = Table::connect(vars, &config.table)?;
    let ca_bundle = config.ca_bundle.map(std::fs::read).transpose().map_err(StartError::CaBundle)?;
    let keys = GateKeys::resolve(vars, config.gate_keys).await?;
    let address = config.terraform.url.parse().map_err(|_| SettingsError::Address)?;
    let plans = TaskClient::new(&address, ca_bundle.as_deref(), TaskLimits::default())?;
    let keyring = KeyCache::new(vars.clone());
    let executor = config.settings.checks(store.clone(), plans, keys.clone(), keyring, ca_bundle.as_deref())?;
    Ok(Runner { store, executor, keys: Some(keys) })
}
