//! What the function is told by its environment, and how it is put together from that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use sluice_aws::secrets::SecretError;
use sluice_aws::{ConnectError, GateKeys, Table};
use sluice_domain::gate::PodSettings;
use sluice_domain::ports::Patience;
use sluice_kubernetes::{AwsCredentials, AwsKeys, ClusterError, Credentials, Eks, KeysFuture, Kubernetes, Limits};
use sluice_lambda::{Env, InvalidConfig, SecretRef, TfeAddress, now};
use sluice_runner::Runner;

use crate::{JobRunner, Jobs};

/// Where jobs run unless told otherwise.
const NAMESPACE: &str = "sluice";

/// How long a job is watched at a time: the rest of a turn is for what follows from it.
const SLICE: Duration = Duration::from_secs(45);

/// How long a registry may fail before its word is taken.
const IMAGE_PATIENCE: Duration = Duration::from_secs(60);

/// The function's configuration.
#[derive(Debug)]
pub struct Config {
    /// `WORKSPACE_DEPENDENCIES_TABLE`.
    pub table: String,
    /// `SLUICE_GATE_KEY`: what makes the tokens of jobs.
    pub gate_keys: Vec<SecretRef>,
    /// How the cluster is reached.
    pub credentials: Credentials,
    /// What jobs are told.
    pub settings: JobSettings,
}

/// What jobs are told by the environment, and how their pods are set up.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// `SLUICE_PUBLIC_URL`: where jobs reach Sluice, without a path; without it they get no context and no plan.
    pub public_url: Option<String>,
    /// `SLUICE_JOB_NAMESPACE`: where jobs run, if their settings do not say.
    pub namespace: String,
    /// `SLUICE_JOB_SETTINGS`: settings of all pods, by Terrakube's names, that a check may set for itself.
    pub pod: BTreeMap<String, String>,
    /// `SLUICE_TASK_SSH_HOST`: what Lagoon's images are told.
    pub ssh_host: String,
    /// `SLUICE_TASK_SSH_PORT`: likewise.
    pub ssh_port: String,
    /// How long a cluster has for what may come right by itself; a check says for itself how long it may take to start.
    pub patience: Patience,
    /// How long a job is watched at a time.
    pub slice: Duration,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            public_url: None,
            namespace: NAMESPACE.to_owned(),
            pod: BTreeMap::new(),
            ssh_host: String::new(),
            ssh_port: String::new(),
            patience: Patience { start: Duration::from_secs(300), image: IMAGE_PATIENCE },
            slice: SLICE,
        }
    }
}

impl JobSettings {
    /// Reads the settings.
    pub fn from_env(env: &mut Env<'_>) -> Option<Self> {
        let public_url = env.optional::<TfeAddress>("SLUICE_PUBLIC_URL");
        let namespace = env.or("SLUICE_JOB_NAMESPACE", NAMESPACE.to_owned());
        let ssh_host = env.or("SLUICE_TASK_SSH_HOST", String::new());
        let ssh_port = env.optional::<u16>("SLUICE_TASK_SSH_PORT");
        let pod = env.optional::<String>("SLUICE_JOB_SETTINGS").map(Option::unwrap_or_default);
        let pod = pod.and_then(|text| read_pod(&text).map_err(|is| env.fault("SLUICE_JOB_SETTINGS", &is)).ok());
        Some(Self {
            public_url: public_url?.map(|address| address.url),
            namespace: namespace?,
            pod: pod?,
            ssh_host: ssh_host?,
            ssh_port: ssh_port?.map(|port| port.to_string()).unwrap_or_default(),
            ..Self::default()
        })
    }
}

/// Settings of pods, as JSON; an error is a sentence of which the variable is the subject.
fn read_pod(text: &str) -> Result<BTreeMap<String, String>, String> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    let settings: BTreeMap<String, String> = serde_json::from_str(text)
        .map_err(|error| format!("is not a JSON object of texts: line {}, column {}", error.line(), error.column()))?;
    match PodSettings::read(&settings) {
        Ok(_) => Ok(settings),
        Err(faults) => Err(format!("has settings that are not valid: {}", crate::list(&faults))),
    }
}

impl Config {
    /// Reads the environment; the error lists everything that is wrong with it.
    pub fn from_env(vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let table = env.required("WORKSPACE_DEPENDENCIES_TABLE");
        let gate_keys = env.secrets("SLUICE_GATE_KEY");
        let found = credentials(&mut env, vars);
        if let Some(None) = found {
            env.fault("SLUICE_EKS_CLUSTER", "is not set, there is no kubeconfig, and this runs in no pod");
        }
        let settings = JobSettings::from_env(&mut env);
        env.finish(|| Some(Self { table: table?, gate_keys: gate_keys?, credentials: found??, settings: settings? }))
    }
}

/// How the environment has the cluster reached: one of EKS that it names, or as a kubeconfig says, or as the pod that this
/// runs in does. `Some(None)` where there is none of them, None where what there is makes no sense.
pub fn credentials(env: &mut Env<'_>, vars: &BTreeMap<String, String>) -> Option<Option<Credentials>> {
    let cluster = env.optional::<String>("SLUICE_EKS_CLUSTER");
    let (url, authority) = (env.optional("SLUICE_KUBERNETES_URL"), env.optional("SLUICE_KUBERNETES_CA"));
    let path = env.optional::<String>("SLUICE_KUBECONFIG");
    let context = env.optional::<String>("SLUICE_KUBE_CONTEXT");
    let (cluster, url, authority, path, context) = (cluster?, url?, authority?, path?, context?);
    if let Some(cluster) = cluster {
        return eks(env, vars, cluster, url, authority).map(Credentials::Eks).map(Some);
    }
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty());
    let at_home = || set("HOME").is_some_and(|home| Path::new(home).join(".kube/config").is_file());
    Some(if path.is_some() || set("KUBECONFIG").is_some() || at_home() {
        Some(Credentials::Kubeconfig { path: path.map(PathBuf::from), context })
    } else {
        set("KUBERNETES_SERVICE_HOST").map(|_| Credentials::InCluster)
    })
}

fn eks(
    env: &mut Env<'_>,
    vars: &BTreeMap<String, String>,
    cluster: String,
    url: Option<String>,
    authority: Option<String>,
) -> Option<Eks> {
    const NEEDED: &str = "is not set, and has to be beside SLUICE_EKS_CLUSTER";
    let mut needed = |name: &'static str, value: Option<String>| {
        if value.is_none() {
            env.fault(name, NEEDED);
        }
        value
    };
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty()).cloned();
    let (url, authority) = (needed("SLUICE_KUBERNETES_URL", url), needed("SLUICE_KUBERNETES_CA", authority));
    let region = needed("AWS_REGION", set("AWS_REGION"));
    let id = needed("AWS_ACCESS_KEY_ID", set("AWS_ACCESS_KEY_ID"));
    let secret = needed("AWS_SECRET_ACCESS_KEY", set("AWS_SECRET_ACCESS_KEY"));
    let keys = AwsKeys {
        access_key_id: id?,
        secret_access_key: SecretString::from(secret?),
        session_token: set("AWS_SESSION_TOKEN").map(SecretString::from),
    };
    Some(Eks { cluster, url: url?, authority: authority?, region: region?, keys: Arc::new(OfLambda(keys)) })
}

/// The keys that Lambda gives a function, which last for as long as that does.
struct OfLambda(AwsKeys);

impl AwsCredentials for OfLambda {
    fn keys(&self) -> KeysFuture<'_> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
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
    /// The table cannot be reached.
    #[error(transparent)]
    Table(#[from] ConnectError),
    /// The cluster's client cannot be built.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// The runner as the environment has it. Nothing is sent, unless a secret has to be fetched.
pub async fn connect(vars: &BTreeMap<String, String>) -> Result<JobRunner, StartError> {
    let config = Config::from_env(vars)?;
    let store = Table::connect(vars, &config.table)?;
    let keys = GateKeys::resolve(vars, config.gate_keys).await?;
    let cluster = Kubernetes::connect(config.credentials, Limits::default(), Arc::new(now)).await?;
    let executor = Jobs { store: store.clone(), cluster, keys, settings: config.settings };
    // Jobs have no business with HCP Terraform's tokens, so nothing opens these for them.
    Ok(Runner { store, executor, keys: None })
}
