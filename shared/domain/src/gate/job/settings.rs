//! How the pod of a job is set up, by the names and in the formats of Terrakube's ephemeral executor (contract
//! terrakube-lagoon, sections 2.1 and 2.2).

use std::collections::BTreeMap;

use super::quantity::larger;

/// What a job requests of a node where nothing else is said: without it pods are placed on nodes that are full.
const REQUESTS: [(&str, &str); 2] = [("cpu", "100m"), ("memory", "128Mi")];
/// What a job may take of a node where nothing else is said: without it one job takes everything from all others.
const LIMITS: [(&str, &str); 2] = [("memory", "512Mi"), ("ephemeral-storage", "1Gi")];

/// How the pod of a job is set up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodSettings {
    /// `ExecutorEphemeralNamespace`: where it runs, if not where the deployment's jobs do.
    pub namespace: Option<String>,
    /// `ExecutorEphemeralImage`: what it runs, where the check names no image.
    pub image: Option<String>,
    /// `ExecutorEphemeralSecret`: secrets whose keys become variables, separated by commas.
    pub env_secrets: Vec<String>,
    /// `EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP`: config maps whose keys become variables, separated by commas.
    pub env_config_maps: Vec<String>,
    /// `EPHEMERAL_JOB_ENV_VARS`: `k=v;k2=v2`.
    pub env: BTreeMap<String, String>,
    /// `EPHEMERAL_CONFIG_SERVICE_ACCOUNT`.
    pub service_account: Option<String>,
    /// `EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS`: `k=v;k2=v2`.
    pub node_selector: BTreeMap<String, String>,
    /// `EPHEMERAL_CONFIG_ANNOTATIONS`, of the job.
    pub annotations: BTreeMap<String, String>,
    /// `EPHEMERAL_CONFIG_POD_ANNOTATIONS`, of its pod.
    pub pod_annotations: BTreeMap<String, String>,
    /// `EPHEMERAL_CONFIG_LABELS`, of both.
    pub labels: BTreeMap<String, String>,
    /// `EPHEMERAL_CONFIG_TOLERATIONS`: `key[=value][:operator[:effect]]`, several with `;`.
    pub tolerations: Vec<Toleration>,
    /// `EPHEMERAL_CONFIG_MAP_NAME` and `EPHEMERAL_CONFIG_MAP_MOUNT_PATH` (`/data`).
    pub config_map: Option<Mount>,
    /// `PVC_CLAIM_NAME` (`terrakube-plugin-pvc`) at `TF_PLUGIN_CACHE_DIR`.
    pub plugin_cache: Option<Mount>,
    /// `EPHEMERAL_CPU_REQUEST`, `EPHEMERAL_MEMORY_REQUEST`, `EPHEMERAL_STORAGE_REQUEST`: quantities by resource.
    pub requests: BTreeMap<String, String>,
    /// `EPHEMERAL_CPU_LIMIT`, `EPHEMERAL_MEMORY_LIMIT`, `EPHEMERAL_STORAGE_LIMIT`.
    pub limits: BTreeMap<String, String>,
    /// `EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT`: `fsGroup`.
    pub fs_group: FsGroup,
    /// `EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT`: `runAsUser`.
    pub run_as_user: Option<i64>,
    /// `EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT`: `runAsNonRoot`.
    pub run_as_non_root: Option<bool>,
    /// `EPHEMERAL_CONFIG_SECURITY_CONTEXT`: `allowPrivilegeEscalation`.
    pub allow_privilege_escalation: Option<bool>,
}

impl PodSettings {
    /// What an image requests, and what it may take, by resource: as the settings say, and where they are silent no more
    /// and no less than fits to them.
    #[must_use]
    pub fn resources(&self) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let (mut requests, mut limits) = (self.requests.clone(), self.limits.clone());
        for (resource, least) in REQUESTS {
            // Where only the limit is given, it is what Kubernetes requests.
            if !self.limits.contains_key(resource) {
                requests.entry(resource.to_owned()).or_insert_with(|| least.to_owned());
            }
        }
        for (resource, most) in LIMITS {
            let request = self.requests.get(resource).map_or("0", String::as_str);
            limits.entry(resource.to_owned()).or_insert_with(|| larger(most, request).to_owned());
        }
        (requests, limits)
    }
}

/// The group that volumes belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FsGroup {
    /// The settings do not say.
    #[default]
    Unsaid,
    /// None: the cluster gives one of its own, as `OpenShift` does, and takes no other.
    None,
    /// This one.
    Id(i64),
}

impl FsGroup {
    /// What the settings say; where they are silent, `silent`.
    #[must_use]
    pub fn or(self, silent: Option<i64>) -> Option<i64> {
        match self {
            Self::Unsaid => silent,
            Self::None => None,
            Self::Id(id) => Some(id),
        }
    }
}

/// A taint that the pod puts up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toleration {
    /// The taint's key.
    pub key: String,
    /// `Exists` or `Equal`.
    pub operator: String,
    /// The taint's value, where it has to be equal.
    pub value: Option<String>,
    /// Its effect; all of them, if none.
    pub effect: Option<String>,
}

/// A volume and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its name.
    pub name: String,
    /// The path.
    pub path: String,
}
