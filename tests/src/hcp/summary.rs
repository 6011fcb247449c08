//! What the API tells of a state file without handing it out: its `resources`, `modules` and `providers`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::evaluate::Outputs;

/// What can be read off a state file; all of it is empty where the file cannot be read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Readable {
    #[serde(default)]
    pub serial: u64,
    #[serde(default)]
    pub terraform_version: Option<String>,
    #[serde(default)]
    pub outputs: Outputs,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    #[serde(default)]
    module: Option<String>,
    mode: String,
    r#type: String,
    name: String,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    instances: Vec<serde::de::IgnoredAny>,
}

/// Reads a state file of version 4, leniently.
pub(super) fn read(body: &[u8]) -> Readable {
    serde_json::from_slice(body).unwrap_or_default()
}

impl Readable {
    /// `resources[]` of the API.
    pub fn resources(&self) -> Vec<Value> {
        self.resources.iter().map(Resource::summary).collect()
    }
}

impl Resource {
    fn summary(&self) -> Value {
        let data = if self.mode == "data" { "data." } else { "" };
        let module = self.module.as_deref().map_or("root", |module| module.strip_prefix("module.").unwrap_or(module));
        json!({
            "name": self.name,
            "type": format!("{data}{}", self.r#type),
            "count": self.instances.len(),
            "module": module,
            "provider": self.provider,
        })
    }
}

/// Counts `resources` by one of their fields and their type, which is spelled with dashes here.
pub(super) fn counted_by(resources: &[Value], field: &str) -> Value {
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for resource in resources {
        let text = |name: &str| resource[name].as_str().unwrap_or_default();
        let kind = text("type").replace('_', "-");
        let count = counts.entry(text(field).to_owned()).or_default().entry(kind).or_default();
        *count += resource["count"].as_u64().unwrap_or_default();
    }
    counts.into_iter().map(|(name, kinds)| (name, json!(kinds))).collect::<Map<_, _>>().into()
}
