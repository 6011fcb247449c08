//! Settings of the pod, read from texts: what is wrong with them is told when they are saved.

use std::collections::BTreeMap;

use super::quantity::Quantity;
use super::settings::{FsGroup, Mount, PodSettings, Toleration};
use super::syntax;
use crate::gate::FieldFault;
use crate::ports::{FILES, WORKSPACE};

/// Most bytes of annotations: Kubernetes takes 256 KiB of them, with our own.
const ANNOTATION_BYTES_MAX: usize = 240 * 1024;
/// Most bytes of variables.
const ENV_BYTES_MAX: usize = 64 * 1024;
/// Where a config map is mounted unless told otherwise.
const CONFIG_MAP_PATH: &str = "/data";
/// The claim of the plugin cache unless told otherwise.
const PLUGIN_CLAIM: &str = "terrakube-plugin-pvc";
/// What there is to request and to limit, by the names in the settings and in a pod.
const RESOURCES: [(&str, &str); 3] = [("CPU", "cpu"), ("MEMORY", "memory"), ("STORAGE", "ephemeral-storage")];
/// Domains of labels and annotations that others keep their books in.
const KEPT: [&str; 4] = ["sluice/", "batch.kubernetes.io/", "job-name", "controller-uid"];

/// Every setting.
const NAMES: [&str; 24] = [
    "EPHEMERAL_CONFIG_ANNOTATIONS",
    "EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP",
    "EPHEMERAL_CONFIG_LABELS",
    "EPHEMERAL_CONFIG_MAP_MOUNT_PATH",
    "EPHEMERAL_CONFIG_MAP_NAME",
    "EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS",
    "EPHEMERAL_CONFIG_POD_ANNOTATIONS",
    "EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT",
    "EPHEMERAL_CONFIG_SECURITY_CONTEXT",
    "EPHEMERAL_CONFIG_SERVICE_ACCOUNT",
    "EPHEMERAL_CONFIG_TOLERATIONS",
    "EPHEMERAL_CPU_LIMIT",
    "EPHEMERAL_CPU_REQUEST",
    "EPHEMERAL_JOB_ENV_VARS",
    "EPHEMERAL_MEMORY_LIMIT",
    "EPHEMERAL_MEMORY_REQUEST",
    "EPHEMERAL_STORAGE_LIMIT",
    "EPHEMERAL_STORAGE_REQUEST",
    "ExecutorEphemeralImage",
    "ExecutorEphemeralNamespace",
    "ExecutorEphemeralSecret",
    "PVC_CLAIM_NAME",
    "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR",
    "TF_PLUGIN_CACHE_DIR",
];

impl PodSettings {
    /// Reads settings by Terrakube's names. What is wrong is told name by name.
    pub fn read(settings: &BTreeMap<String, String>) -> Result<Self, Vec<FieldFault>> {
        let mut reader = Reader { settings, read: Self::default(), faults: Vec::new() };
        for (name, text) in settings {
            reader.setting(name, text);
        }
        reader.mounts();
        reader.amounts();
        if reader.faults.is_empty() { Ok(reader.read) } else { Err(reader.faults) }
    }

    /// The settings of a check over those of the deployment: each replaces the one of its name as a whole.
    #[must_use]
    pub fn merged(deployment: &BTreeMap<String, String>, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        deployment.iter().chain(own).map(|(name, text)| (name.clone(), text.clone())).collect()
    }
}

/// Pairs as Terrakube reads them since 2.28: between semicolons, at the first equals sign, without the space around
/// them; blank ones are skipped, and one without an equals sign has no value.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let filled = text.split(';').filter(|pair| !pair.trim().is_empty());
    filled.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(key, value)| (key.trim(), value.trim()))
}

/// Names between commas.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty())
}

struct Reader<'a> {
    settings: &'a BTreeMap<String, String>,
    read: PodSettings,
    faults: Vec<FieldFault>,
}

impl Reader<'_> {
    fn fault(&mut self, field: &str, is: impl Into<String>) {
        self.faults.push(FieldFault { field: field.to_owned(), is: is.into() });
    }

    fn setting(&mut self, name: &str, text: &str) {
        if text.contains('\0') {
            return self.fault(name, "has a character that nothing can have");
        }
        match name {
            "ExecutorEphemeralNamespace" => {
                self.read.namespace = self.checked(name, text, syntax::label, "is no name of a namespace");
            }
            "ExecutorEphemeralImage" => {
                self.read.image = self.checked(name, text, syntax::image, "is no reference to an image");
            }
            "EPHEMERAL_CONFIG_SERVICE_ACCOUNT" => {
                self.read.service_account = self.checked(name, text, syntax::subdomain, "is no name of an account");
            }
            "ExecutorEphemeralSecret" => self.read.env_secrets = self.names(name, text),
            "EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP" => self.read.env_config_maps = self.names(name, text),
            "EPHEMERAL_JOB_ENV_VARS" => self.read.env = self.variables(name, text),
            "EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS" => self.read.node_selector = self.labels(name, text, &[]),
            "EPHEMERAL_CONFIG_LABELS" => self.read.labels = self.labels(name, text, &KEPT),
            "EPHEMERAL_CONFIG_ANNOTATIONS" => self.read.annotations = self.annotations(name, text),
            "EPHEMERAL_CONFIG_POD_ANNOTATIONS" => self.read.pod_annotations = self.annotations(name, text),
            "EPHEMERAL_CONFIG_TOLERATIONS" => self.tolerations(name, text),
            "EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT" => self.pod_security(name, text),
            "EPHEMERAL_CONFIG_SECURITY_CONTEXT" => self.security(name, text),
            "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR" => self.enabled(name, text),
            "EPHEMERAL_CONFIG_MAP_NAME" | "PVC_CLAIM_NAME" => {
                self.checked(name, text, syntax::subdomain, "is no name of an object");
            }
            "EPHEMERAL_CONFIG_MAP_MOUNT_PATH" | "TF_PLUGIN_CACHE_DIR" => self.path(name, text),
            _ if amount(name).is_some() => {}
            _ => self.unknown(name),
        }
    }

    fn unknown(&mut self, name: &str) {
        let far = |known: &str| distance(&name.to_ascii_lowercase(), &known.to_ascii_lowercase());
        let near = NAMES.iter().map(|known| (far(known), *known)).min();
        let near = near.filter(|(far, _)| *far <= name.len() / 3);
        let hint = near.map_or_else(String::new, |(_, known)| format!("; is {known} meant?"));
        self.fault(name, format!("is no setting of a job{hint}"));
    }

    fn checked(&mut self, field: &str, text: &str, good: fn(&str) -> bool, is: &str) -> Option<String> {
        let text = text.trim();
        if !good(text) {
            self.fault(field, is);
            return None;
        }
        Some(text.to_owned())
    }

    fn names(&mut self, field: &str, text: &str) -> Vec<String> {
        listed(text).filter_map(|name| self.checked(field, name, syntax::subdomain, "has to list names")).collect()
    }

    fn labels(&mut self, field: &str, text: &str, kept: &[&str]) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (key, value) in pairs(text) {
            if !syntax::key(key) {
                self.fault(field, format!("has the key {key:?}, which no label can have"));
            } else if !syntax::label_value(value) {
                self.fault(field, format!("gives {key} a value that no label can have"));
            } else if kept.iter().any(|kept| key.starts_with(kept)) {
                self.fault(field, format!("has {key}, which others keep their books in"));
            }
            labels.insert(key.to_owned(), value.to_owned());
        }
        labels
    }

    fn annotations(&mut self, field: &str, text: &str) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::new();
        for (key, value) in pairs(text) {
            if !syntax::annotation_key(key) {
                self.fault(field, format!("has the key {key:?}, which no annotation can have"));
            } else if KEPT.iter().any(|kept| key.starts_with(kept)) {
                self.fault(field, format!("has {key}, which others keep their books in"));
            }
            annotations.insert(key.to_owned(), value.to_owned());
        }
        if text.len() > ANNOTATION_BYTES_MAX {
            self.fault(field, format!("has {} bytes, and may have {ANNOTATION_BYTES_MAX}", text.len()));
        }
        annotations
    }

    fn variables(&mut self, field: &str, text: &str) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for (name, value) in pairs(text) {
            if !syntax::variable(name) {
                self.fault(field, format!("has {name:?}, which no variable can be called"));
            } else if syntax::ours(name) {
                self.fault(field, format!("sets {name}, which every job has from Sluice"));
            }
            variables.insert(name.to_owned(), value.to_owned());
        }
        if text.len() > ENV_BYTES_MAX {
            self.fault(field, format!("has {} bytes, and may have {ENV_BYTES_MAX}", text.len()));
        }
        variables
    }

    fn tolerations(&mut self, field: &str, text: &str) {
        for one in text.split(';').map(str::trim).filter(|one| !one.is_empty()) {
            match toleration(one) {
                Ok(toleration) => self.read.tolerations.push(toleration),
                Err(is) => self.fault(field, format!("has {one:?}, {is}")),
            }
        }
    }

    fn pod_security(&mut self, field: &str, text: &str) {
        for (key, value) in pairs(text) {
            let id = value.parse::<i64>().ok().filter(|id| (0..=i64::from(i32::MAX)).contains(id));
            match key {
                "fsGroup" if value.is_empty() => self.read.fs_group = FsGroup::None,
                "fsGroup" if let Some(id) = id => self.read.fs_group = FsGroup::Id(id),
                "runAsUser" if id.is_some() => self.read.run_as_user = id,
                "fsGroup" | "runAsUser" => self.fault(field, format!("gives {key} no number of a user or group")),
                "runAsNonRoot" => self.read.run_as_non_root = self.truth(field, key, value),
                _ => self.fault(field, format!("has {key:?}, and knows fsGroup, runAsUser and runAsNonRoot")),
            }
        }
        if self.read.run_as_non_root == Some(true) && self.read.run_as_user == Some(0) {
            self.fault(field, "wants user 0, and none that is root");
        }
    }

    fn security(&mut self, field: &str, text: &str) {
        for (key, value) in pairs(text) {
            match key {
                "allowPrivilegeEscalation" => {
                    self.read.allow_privilege_escalation = self.truth(field, key, value);
                }
                _ => self.fault(field, format!("has {key:?}, and knows allowPrivilegeEscalation")),
            }
        }
    }

    fn truth(&mut self, field: &str, key: &str, value: &str) -> Option<bool> {
        match value.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.fault(field, format!("gives {key} neither true nor false"));
                None
            }
        }
    }

    fn enabled(&mut self, field: &str, text: &str) {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => {}
            "false" | "0" => self.fault(field, "is off, and jobs have no other executor"),
            _ => self.fault(field, "is neither true nor false"),
        }
    }

    fn path(&mut self, field: &str, text: &str) {
        let text = text.trim();
        let taken = [FILES, WORKSPACE, "/var/run/secrets"];
        let within = |path: &str| text == path || text.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        if !text.starts_with('/') || text.trim_end_matches('/').is_empty() || text.contains(':') {
            self.fault(field, "is no absolute path to mount a volume at");
        } else if text.split('/').any(|part| part == "..") {
            self.fault(field, "leads upwards");
        } else if taken.into_iter().any(within) {
            self.fault(field, "lies where every job has something else");
        }
    }

    /// What takes two settings to say.
    fn mounts(&mut self) {
        let given = |name: &str| self.settings.get(name).map(|text| text.trim().to_owned());
        let config_map = given("EPHEMERAL_CONFIG_MAP_NAME").map(|name| {
            let path = given("EPHEMERAL_CONFIG_MAP_MOUNT_PATH").unwrap_or_else(|| CONFIG_MAP_PATH.to_owned());
            Mount { name, path }
        });
        let plugin_cache = given("TF_PLUGIN_CACHE_DIR").map(|path| {
            let name = given("PVC_CLAIM_NAME").unwrap_or_else(|| PLUGIN_CLAIM.to_owned());
            Mount { name, path }
        });
        let same = |one: &Mount, other: &Mount| one.path.trim_end_matches('/') == other.path.trim_end_matches('/');
        if config_map.as_ref().zip(plugin_cache.as_ref()).is_some_and(|(one, other)| same(one, other)) {
            self.fault("TF_PLUGIN_CACHE_DIR", "lies where the config map is mounted");
        }
        (self.read.config_map, self.read.plugin_cache) = (config_map, plugin_cache);
    }

    fn amounts(&mut self) {
        for (word, resource) in RESOURCES {
            let mut given = |part: &str| {
                let name = format!("EPHEMERAL_{word}_{part}");
                let text = self.settings.get(&name)?.trim();
                let quantity = Quantity::parse(text);
                if quantity.is_none() {
                    let is = "is no amount as Kubernetes writes it, as 500m, 0.5, 512Mi or 2G".to_owned();
                    self.faults.push(FieldFault { field: name, is });
                }
                Some((text.to_owned(), quantity?))
            };
            let (request, limit) = (given("REQUEST"), given("LIMIT"));
            if let (Some((request, least)), Some((limit, most))) = (&request, &limit)
                && least > most
            {
                let is = format!("is {request}, more than the limit of {limit}");
                self.fault(&format!("EPHEMERAL_{word}_REQUEST"), is);
            }
            self.read.requests.extend(request.map(|(text, _)| (resource.to_owned(), text)));
            self.read.limits.extend(limit.map(|(text, _)| (resource.to_owned(), text)));
        }
    }
}

/// Which resource a setting requests or limits, if it does.
fn amount(name: &str) -> Option<&'static str> {
    let (word, part) = name.strip_prefix("EPHEMERAL_")?.split_once('_')?;
    let resource = RESOURCES.iter().find(|(known, _)| *known == word)?.1;
    matches!(part, "REQUEST" | "LIMIT").then_some(resource)
}

/// One of `key[=value][:operator[:effect]]`. A value alone has to be equal: `Exists` with a value is what Kubernetes
/// refuses.
fn toleration(text: &str) -> Result<Toleration, &'static str> {
    let mut parts = text.split(':').map(str::trim);
    let taint = parts.next().unwrap_or_default();
    let (operator, effect) = (parts.next().filter(|it| !it.is_empty()), parts.next().filter(|it| !it.is_empty()));
    if parts.next().is_some() {
        return Err("which has more than key=value:operator:effect");
    }
    let (key, value) = taint.split_once('=').map_or((taint, None), |(key, value)| (key.trim(), Some(value.trim())));
    let operator = operator.unwrap_or(if value.is_some() { "Equal" } else { "Exists" });
    match operator {
        "Exists" if value.is_some_and(|value| !value.is_empty()) => return Err("where Exists cannot have a value"),
        "Exists" | "Equal" => {}
        _ => return Err("whose operator is neither Exists nor Equal"),
    }
    if !(syntax::key(key) || (key.is_empty() && operator == "Exists")) {
        return Err("whose key no taint can have");
    }
    if !value.is_none_or(syntax::label_value) {
        return Err("whose value no taint can have");
    }
    if !effect.is_none_or(|effect| matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute")) {
        return Err("whose effect is none of NoSchedule, PreferNoSchedule, NoExecute");
    }
    let value = value.filter(|_| operator == "Equal").map(str::to_owned);
    Ok(Toleration { key: key.to_owned(), operator: operator.to_owned(), value, effect: effect.map(str::to_owned) })
}

/// How many letters apart two names are.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (n, a) in one.chars().take(64).enumerate() {
        let mut left = n + 1;
        let mut above_left = row[0];
        row[0] = left;
        for (m, b) in other.chars().enumerate() {
            let cost = above_left + usize::from(a != b);
            above_left = row[m + 1];
            left = cost.min(above_left + 1).min(left + 1);
            row[m + 1] = left;
        }
    }
    row.last().copied().unwrap_or_default()
}
