//! Reads a state the plain way: the whole tree, by other code than the scanner's.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sluice_domain::Digest;

use super::digester;
use crate::state::{Reference, Scan, Selection, Source};

static NULL: Value = Value::Null;

/// What the scanner should find; `None` if the state is not one.
pub(super) fn read(state: &[u8]) -> Option<Scan> {
    let root: Value = serde_json::from_slice(state).ok()?;
    let version = root.get("version")?.as_u64()?;
    let (outputs, references, empty) = match version {
        4 => {
            let resources = root["resources"].as_array().cloned().unwrap_or_default();
            let references = resources.iter().flat_map(v4_resource).collect();
            (&root["outputs"], references, resources.is_empty())
        }
        3 => v3(&root["modules"]),
        _ => return None,
    };
    let none = outputs.as_object().is_none_or(Map::is_empty);
    let outputs = outputs.as_object().into_iter().flatten().map(|(name, output)| (name, &output["value"]));
    let text = |key: &str| root[key].as_str().unwrap_or_default().to_owned();
    Some(Scan {
        version,
        serial: root["serial"].as_u64().unwrap_or(0),
        lineage: text("lineage"),
        terraform_version: text("terraform_version"),
        outputs: digests(outputs),
        references,
        empty: none && empty,
    })
}

fn digests<'a>(values: impl Iterator<Item = (&'a String, &'a Value)>) -> BTreeMap<String, Digest> {
    let digest = |value: &Value| digester().digest(value.to_string().as_bytes());
    values.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), digest(value))).collect()
}

fn v4_resource(resource: &Value) -> Vec<Reference> {
    let kind = resource["type"].as_str().unwrap_or_default();
    if resource["mode"] != "data" || !matches!(kind, "terraform_remote_state" | "tfe_outputs") {
        return Vec::new();
    }
    let module = resource["module"].as_str().map(|module| format!("{module}.")).unwrap_or_default();
    let prefix = format!("{module}data.{kind}.{}", resource["name"].as_str().unwrap_or_default());
    let instances = resource["instances"].as_array().into_iter().flatten();
    let kept = instances.filter(|instance| instance["deposed"].as_str().unwrap_or_default().is_empty());
    let read = |instance: &Value| {
        let index = match &instance["index_key"] {
            Value::String(key) => format!("[{key:?}]"),
            Value::Number(number) => format!("[{number}]"),
            _ => String::new(),
        };
        let (source, observed) = match &instance["attributes"] {
            Value::Null if instance["attributes_flat"].is_object() => flat(&instance["attributes_flat"]),
            attributes if kind == "tfe_outputs" => tfe_outputs(attributes),
            attributes => remote_state(attributes),
        };
        Reference { address: format!("{prefix}{index}"), source, observed }
    };
    kept.map(read).collect()
}

fn given(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn tfe_outputs(attributes: &Value) -> (Source, BTreeMap<String, Digest>) {
    let values = ["values", "nonsensitive_values"].map(|key| &attributes[key]["value"]);
    let values = values.into_iter().find(|value| !value.is_null()).unwrap_or(&NULL);
    let source = Source::TfeOutputs {
        organization: given(&attributes["organization"]),
        workspace: given(&attributes["workspace"]),
    };
    (source, digests(members(values)))
}

fn remote_state(attributes: &Value) -> (Source, BTreeMap<String, Digest>) {
    let outputs = digests(members(&attributes["outputs"]["value"]));
    (source(&attributes["backend"], &attributes["config"]["value"], given(&attributes["workspace"])), outputs)
}

fn source(backend: &Value, config: &Value, workspace: Option<String>) -> Source {
    let selection = match (given(&config["workspaces"]["name"]), given(&config["workspaces"]["prefix"])) {
        (None, None) => Selection::Absent,
        (Some(name), None) => Selection::Name(name),
        (None, Some(prefix)) => Selection::Prefix(prefix),
        (Some(_), Some(_)) => Selection::Both,
    };
    let backend = given(backend).unwrap_or_default();
    let like_atlas =
        backend == "remote" && given(&config["organization"]).is_none() && given(&config["name"]).is_some();
    if backend == "atlas" || like_atlas {
        let name = given(&config["name"]).unwrap_or_default();
        let (organization, name) = name.split_once('/').unzip();
        let host = given(&config["address"]).map(|url| {
            let rest = url.strip_prefix("https://").unwrap_or(&url);
            rest.split('/').next().unwrap_or_default().to_owned()
        });
        return Source::RemoteState {
            backend,
            hostname: host,
            organization: organization.map(str::to_owned),
            workspaces: name.map_or(Selection::Absent, |name| Selection::Name(name.to_owned())),
            workspace,
        };
    }
    let (hostname, organization) = (given(&config["hostname"]), given(&config["organization"]));
    Source::RemoteState { backend, hostname, organization, workspaces: selection, workspace }
}

fn v3(modules: &Value) -> (&Value, Vec<Reference>, bool) {
    let modules: Vec<&Value> = modules.as_array().into_iter().flatten().collect();
    let root = modules.iter().find(|module| module["path"] == serde_json::json!(["root"]));
    let mut references = Vec::new();
    for module in &modules {
        let path = module["path"].as_array().into_iter().flatten().skip(1);
        let prefix: String = path.flat_map(|name| ["module.", name.as_str().unwrap_or_default(), "."]).collect();
        for (key, resource) in members(&module["resources"]) {
            let words: Vec<&str> = key.split('.').collect();
            let address = match words.as_slice() {
                ["data", "terraform_remote_state", name] => format!("{prefix}data.terraform_remote_state.{name}"),
                ["data", "terraform_remote_state", name, index] => {
                    format!("{prefix}data.terraform_remote_state.{name}[{index}]")
                }
                _ => continue,
            };
            if !resource["primary"].is_null() {
                let (source, observed) = flat(&resource["primary"]["attributes"]);
                references.push(Reference { address, source, observed });
            }
        }
    }
    let empty = modules.iter().all(|module| members(&module["resources"]).next().is_none());
    (root.map_or(&NULL, |root| &root["outputs"]), references, empty)
}

fn flat(attributes: &Value) -> (Source, BTreeMap<String, Digest>) {
    let mut tree = Value::Null;
    for (key, value) in members(attributes) {
        let mut place = &mut tree;
        for word in key.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[word];
        }
        if place.is_null() {
            *place = value.clone();
        }
    }
    let mut tree = lists(tree);
    let config = match tree["config"].take() {
        Value::Array(configs) => configs.into_iter().next().unwrap_or_default(),
        config => config,
    };
    let workspaces = match &config["workspaces"] {
        Value::Array(workspaces) => workspaces.first().cloned().unwrap_or_default(),
        workspaces => workspaces.clone(),
    };
    let mut config = config;
    if config.is_object() {
        config["workspaces"] = workspaces;
    }
    let chosen = [&tree["workspace"], &tree["environment"]].map(given).into_iter().flatten();
    let chosen: Vec<String> = chosen.collect();
    let workspace = chosen.iter().find(|name| *name != "default").or(chosen.first()).cloned();
    let source = source(&tree["backend"], &config, workspace);
    let own = ["backend", "workspace", "environment", "id", "config", "defaults"];
    (source, digests(members(&tree).filter(|(name, _)| !own.contains(&name.as_str()))))
}

/// Turns what has a `#` into a list, and drops every `%`.
fn lists(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let is_list = members.contains_key("#");
    let kept = members.into_iter().filter(|(key, _)| key != "#" && key != "%");
    let mut kept: Vec<(String, Value)> = kept.map(|(key, value)| (key, lists(value))).collect();
    if !is_list {
        return Value::Object(kept.into_iter().collect());
    }
    kept.sort_by_key(|(key, _)| key.parse::<u64>().unwrap_or(u64::MAX));
    Value::Array(kept.into_iter().map(|(_, value)| value).collect())
}
