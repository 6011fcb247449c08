//! What both kinds of job put into their container: variables, files, and the mounts that Lagoon's images look for.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    ConfigMapEnvSource, ConfigMapVolumeSource, EmptyDirVolumeSource, EnvFromSource, EnvVar, EnvVarSource, KeyToPath,
    ObjectFieldSelector, PersistentVolumeClaimVolumeSource, SecretEnvSource, SecretKeySelector, SecretVolumeSource,
    Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use sluice_domain::ports::{FILES, JobOrder, WORKSPACE};

/// The account whose token Lagoon's images use.
pub(super) const DEPLOYER: &str = "lagoon-deployer";
/// Where older images look for it.
const DEPLOYER_PATH: &str = "/var/run/secrets/lagoon/deployer";
/// The secret that older clusters keep its token in.
const DEPLOYER_SECRET: &str = "lagoon-deployer-token";
/// The secret with the project's key.
const SSH_SECRET: &str = "lagoon-sshkey";
/// Where images look for it.
const SSH_PATH: &str = "/var/run/secrets/lagoon/ssh";
/// What Lagoon keeps the variables of an environment in, the later over the earlier.
const LAGOON_ENV: [&str; 2] = ["lagoon-platform-env", "lagoon-env"];

/// The key of a variable in the job's Secret.
pub(super) fn env_key(name: &str) -> String {
    format!("env.{name}")
}

/// The key of a file in the job's Secret.
pub(super) fn file_key(name: &str) -> String {
    format!("file.{name}")
}

/// A text as it has to be written for Kubernetes to hand it on as it is: it takes `$(…)` for one of its own.
pub(super) fn verbatim(text: &str) -> String {
    text.replace('$', "$$")
}

fn plain(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), value_from: None }
}

fn from(name: &str, value_from: EnvVarSource) -> EnvVar {
    EnvVar { name: name.to_owned(), value: None, value_from: Some(value_from) }
}

fn of_the_pod(name: &str, field_path: &str) -> EnvVar {
    let field_ref = Some(ObjectFieldSelector { api_version: None, field_path: field_path.to_owned() });
    from(name, EnvVarSource { field_ref, ..EnvVarSource::default() })
}

/// The variables of a job, over `copied` ones, but for those that are `left` to what is copied.
pub(super) fn env(order: &JobOrder<'_>, copied: Vec<EnvVar>, left: &[&str]) -> Vec<EnvVar> {
    let mut own = vec![of_the_pod("NAMESPACE", "metadata.namespace"), of_the_pod("PODNAME", "metadata.name")];
    let said = order.env.iter().filter(|(name, _)| !left.contains(&name.as_str()));
    own.extend(said.map(|(name, value)| plain(name, verbatim(value))));
    own.extend(order.secrets.keys().map(|name| {
        let (secret, key) = (order.place.name.clone(), env_key(name));
        let secret_key_ref = Some(SecretKeySelector { name: secret, key, optional: None });
        from(name, EnvVarSource { secret_key_ref, ..EnvVarSource::default() })
    }));
    if let Some(cache) = &order.settings.plugin_cache {
        own.push(plain("TF_PLUGIN_CACHE_DIR", cache.path.clone()));
    }
    // What the settings say may refer to other variables, as Kubernetes has them.
    let settings = order.settings.env.iter().map(|(name, value)| plain(name, value.clone()));
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut all: Vec<EnvVar> = Vec::new();
    // A later one of the same name would overrule: Sluice's own stay.
    for variable in own.into_iter().chain(settings).chain(copied) {
        if taken.insert(variable.name.clone()) {
            all.push(variable);
        }
    }
    all
}

/// Where a job's variables come from besides: the later over the earlier.
pub(super) fn env_from(order: &JobOrder<'_>) -> Vec<EnvFromSource> {
    let secret = |name: &str, optional| EnvFromSource {
        secret_ref: Some(SecretEnvSource { name: name.to_owned(), optional }),
        ..EnvFromSource::default()
    };
    let config_map = |name: &str, optional| EnvFromSource {
        config_map_ref: Some(ConfigMapEnvSource { name: name.to_owned(), optional }),
        ..EnvFromSource::default()
    };
    let mut sources = Vec::new();
    // Whoever gets the project's token or key is one of Lagoon's images, and looks for its variables too.
    if order.spec.deployer_token || order.spec.ssh_key {
        sources.extend(LAGOON_ENV.map(|name| secret(name, Some(true))));
        sources.push(config_map(LAGOON_ENV[1], Some(true)));
    }
    sources.extend(order.settings.env_secrets.iter().map(|name| secret(name, None)));
    sources.extend(order.settings.env_config_maps.iter().map(|name| config_map(name, None)));
    sources
}

/// A volume, and where it is mounted.
struct Mounted {
    volume: Volume,
    path: String,
    read_only: bool,
}

impl Mounted {
    fn of_secret(name: &str, secret: SecretVolumeSource, path: &str) -> Self {
        let volume = Volume { name: name.to_owned(), secret: Some(secret), ..Volume::default() };
        Self { volume, path: path.to_owned(), read_only: true }
    }
}

/// The volumes of a job, and their mounts. A copied pod has volumes of its own, Lagoon's among them: all of these are
/// called as none of those is.
pub(super) fn volumes(order: &JobOrder<'_>) -> (Vec<Volume>, Vec<VolumeMount>) {
    let mut mounted = vec![Mounted {
        volume: Volume {
            name: "sluice-workspace".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        },
        path: WORKSPACE.to_owned(),
        read_only: false,
    }];
    if !order.files.is_empty() {
        let items = order.files.keys().map(|name| KeyToPath { key: file_key(name), path: name.clone(), mode: None });
        let secret = SecretVolumeSource {
            secret_name: Some(order.place.name.clone()),
            items: Some(items.collect()),
            default_mode: Some(0o444),
            optional: None,
        };
        mounted.push(Mounted::of_secret("sluice-files", secret, FILES));
    }
    if order.spec.deployer_token {
        let secret_name = Some(DEPLOYER_SECRET.to_owned());
        let secret = SecretVolumeSource { secret_name, optional: Some(true), ..SecretVolumeSource::default() };
        mounted.push(Mounted::of_secret("sluice-deployer", secret, DEPLOYER_PATH));
    }
    if order.spec.ssh_key {
        let (secret_name, default_mode) = (Some(SSH_SECRET.to_owned()), Some(0o644));
        let secret = SecretVolumeSource { secret_name, default_mode, ..SecretVolumeSource::default() };
        mounted.push(Mounted::of_secret("sluice-sshkey", secret, SSH_PATH));
    }
    if let Some(map) = &order.settings.config_map {
        let config_map = Some(ConfigMapVolumeSource { name: map.name.clone(), ..ConfigMapVolumeSource::default() });
        let volume = Volume { name: "sluice-config-map".to_owned(), config_map, ..Volume::default() };
        mounted.push(Mounted { volume, path: map.path.clone(), read_only: true });
    }
    if let Some(cache) = &order.settings.plugin_cache {
        let claim = PersistentVolumeClaimVolumeSource { claim_name: cache.name.clone(), read_only: None };
        let persistent_volume_claim = Some(claim);
        let volume = Volume { name: "sluice-plugin-cache".to_owned(), persistent_volume_claim, ..Volume::default() };
        mounted.push(Mounted { volume, path: cache.path.clone(), read_only: false });
    }
    let mount = |mounted: Mounted| {
        let Mounted { volume, path, read_only } = mounted;
        let name = volume.name.clone();
        let mount =
            VolumeMount { name, mount_path: path, read_only: read_only.then_some(true), ..VolumeMount::default() };
        (volume, mount)
    };
    mounted.into_iter().map(mount).unzip()
}

/// The tolerations of the settings.
pub(super) fn tolerations(order: &JobOrder<'_>) -> Vec<Toleration> {
    let read = |toleration: &sluice_domain::gate::Toleration| Toleration {
        key: Some(toleration.key.clone()).filter(|key| !key.is_empty()),
        operator: Some(toleration.operator.clone()),
        value: toleration.value.clone(),
        effect: toleration.effect.clone(),
        toleration_seconds: None,
    };
    order.settings.tolerations.iter().map(read).collect()
}

/// Amounts by resource, if there are any.
pub(super) fn quantities(amounts: BTreeMap<String, String>) -> Option<BTreeMap<String, Quantity>> {
    let quantities: BTreeMap<_, _> = amounts.into_iter().map(|(name, amount)| (name, Quantity(amount))).collect();
    Some(quantities).filter(|quantities| !quantities.is_empty())
}

/// None for nothing.
pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}
