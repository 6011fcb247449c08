//! State files (version 4) as Terraform writes them, byte by byte.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::evaluate::{Outputs, ReadState, sorted, type_of};
use super::program::{Backend, By, Read, ReadKind};

/// The Terraform that writes these files.
pub(super) const TERRAFORM_VERSION: &str = "1.11.4";

const TERRAFORM_PROVIDER: &str = "provider[\"terraform.io/builtin/terraform\"]";
const TFE_PROVIDER: &str = "provider[\"registry.terraform.io/hashicorp/tfe\"]";

/// What goes into a state file.
pub(super) struct Contents<'a> {
    pub serial: u64,
    pub lineage: &'a str,
    pub outputs: &'a Outputs,
    pub reads: &'a [ReadState],
    /// The managed resource's input, and whether it depends on the data sources; none after a destroy.
    pub managed: Option<(&'a str, bool)>,
}

/// The state file, indented by two, with `<`, `>` and `&` escaped as Go does.
pub(super) fn render(contents: &Contents<'_>) -> Vec<u8> {
    let mut resources: Vec<_> = contents.reads.iter().map(data_resource).collect();
    if let Some((input, depends)) = contents.managed {
        let reads = if depends { contents.reads } else { &[] };
        resources.push(managed_resource(contents.lineage, input, reads));
    }
    resources.sort_by_key(|it| (it.module.clone(), it.mode, it.r#type, it.name.clone()));
    let file = File {
        version: 4,
        terraform_version: TERRAFORM_VERSION,
        serial: contents.serial,
        lineage: contents.lineage,
        outputs: contents.outputs,
        resources,
        check_results: None,
    };
    let text = serde_json::to_string_pretty(&file).expect("strings, numbers and maps with string keys");
    let mut text = escaped(&text);
    text.push('\n');
    text.into_bytes()
}

/// These characters can only stand inside of strings, so that replacing them wherever they are is right.
pub(super) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text
}

#[derive(Serialize)]
struct File<'a> {
    version: u8,
    terraform_version: &'static str,
    serial: u64,
    lineage: &'a str,
    outputs: &'a Outputs,
    resources: Vec<Resource>,
    check_results: Option<()>,
}

#[derive(Serialize)]
struct Resource {
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    mode: &'static str,
    r#type: &'static str,
    name: String,
    provider: &'static str,
    instances: [Instance; 1],
}

type Attributes = BTreeMap<&'static str, Attribute>;

#[derive(Serialize)]
struct Instance {
    schema_version: u8,
    attributes: Attributes,
    sensitive_attributes: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<String>,
}

fn managed_resource(lineage: &str, input: &str, reads: &[ReadState]) -> Resource {
    let input = || dynamic(&input.into(), "string".into());
    let attributes = Attributes::from([
        ("id", lineage.into()),
        ("input", input()),
        ("output", input()),
        ("triggers_replace", Value::Null.into()),
    ]);
    let mut dependencies: Vec<_> = reads.iter().map(|state| state.read.address()).collect();
    dependencies.sort();
    let instance = Instance { schema_version: 0, attributes, sensitive_attributes: Vec::new(), dependencies };
    Resource {
        module: None,
        mode: "managed",
        r#type: "terraform_data",
        name: "main".to_owned(),
        provider: TERRAFORM_PROVIDER,
        instances: [instance],
    }
}

/// What a data source says, without the types.
pub(super) fn data_values(state: &ReadState) -> BTreeMap<&'static str, Value> {
    let [Instance { attributes, .. }] = data_resource(state).instances;
    let value = |attribute| match attribute {
        Attribute::Plain(value) | Attribute::Dynamic { value, .. } => value,
    };
    attributes.into_iter().map(|(name, attribute)| (name, value(attribute))).collect()
}

/// The arguments of a data source as they are written in the configuration.
pub(super) fn config_values(read: &Read) -> BTreeMap<&'static str, Value> {
    let mut values = data_values(&ReadState { read: read.clone(), outputs: Outputs::new() });
    let read_only = ["id", "outputs", "values", "nonsensitive_values"];
    values.retain(|name, _| !read_only.contains(name));
    values
}

fn data_resource(state: &ReadState) -> Resource {
    let read = &state.read;
    let (r#type, provider, attributes, sensitive) = match &read.kind {
        ReadKind::RemoteState { backend, by, hostname } => {
            let attributes = remote_state(read, *backend, by, hostname.as_deref(), &state.outputs);
            ("terraform_remote_state", TERRAFORM_PROVIDER, attributes, Vec::new())
        }
        ReadKind::TfeOutputs => {
            let path = json!([{ "type": "get_attr", "value": "values" }]);
            ("tfe_outputs", TFE_PROVIDER, tfe_outputs(read, &state.outputs), vec![path])
        }
    };
    let instance =
        Instance { schema_version: 0, attributes, sensitive_attributes: sensitive, dependencies: Vec::new() };
    Resource {
        module: read.module.clone(),
        mode: "data",
        r#type,
        name: read.name.clone(),
        provider,
        instances: [instance],
    }
}

fn remote_state(read: &Read, backend: Backend, by: &By, hostname: Option<&str>, outputs: &Outputs) -> Attributes {
    let (workspaces, workspace) = match (by, backend) {
        (By::Prefix { prefix, workspace }, _) => (json!({ "prefix": prefix }), Some(workspace)),
        (By::Name, Backend::Remote) => (json!({ "name": read.workspace }), None),
        // This backend wants the name twice.
        (By::Name, Backend::Cloud) => (json!({ "name": read.workspace }), Some(&read.workspace)),
    };
    let mut config = Map::new();
    if let Some(hostname) = hostname {
        config.insert("hostname".to_owned(), hostname.into());
    }
    config.insert("organization".to_owned(), read.organization.clone().into());
    config.insert("workspaces".to_owned(), workspaces);
    let config = Value::Object(config);
    let backend = match backend {
        Backend::Remote => "remote",
        Backend::Cloud => "cloud",
    };
    Attributes::from([
        ("backend", backend.into()),
        ("config", dynamic(&config, type_of(&config))),
        ("defaults", Value::Null.into()),
        ("outputs", dynamic_outputs(outputs, |_| true)),
        ("workspace", workspace.map(String::as_str).into()),
    ])
}

fn tfe_outputs(read: &Read, outputs: &Outputs) -> Attributes {
    Attributes::from([
        ("id", format!("{}-{}", read.organization, read.workspace).into()),
        ("nonsensitive_values", dynamic_outputs(outputs, |sensitive| !sensitive)),
        ("organization", read.organization.clone().into()),
        ("values", dynamic_outputs(outputs, |_| true)),
        ("workspace", read.workspace.clone().into()),
    ])
}

/// Outputs as one object; that some are sensitive is lost on the way.
fn dynamic_outputs(outputs: &Outputs, wanted: impl Fn(bool) -> bool) -> Attribute {
    let wanted = || outputs.iter().filter(|(_, output)| wanted(output.sensitive));
    let values: Map<_, _> = wanted().map(|(name, output)| (name.clone(), output.value.clone())).collect();
    let kinds: Map<_, _> = wanted().map(|(name, output)| (name.clone(), output.kind.clone())).collect();
    dynamic(&Value::Object(values), json!(["object", kinds]))
}

/// An attribute as a state file holds it.
#[derive(Serialize)]
#[serde(untagged)]
enum Attribute {
    Plain(Value),
    /// A value of any type, which is stored together with its type, in this order.
    Dynamic {
        value: Value,
        r#type: Value,
    },
}

impl<T: Into<Value>> From<T> for Attribute {
    fn from(value: T) -> Self {
        Self::Plain(value.into())
    }
}

fn dynamic(value: &Value, kind: Value) -> Attribute {
    Attribute::Dynamic { value: sorted(value), r#type: kind }
}
