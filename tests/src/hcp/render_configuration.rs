//! The `configuration` of a plan's JSON: which expressions a program is made of, and what they refer to.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::evaluate::sorted;
use super::program::{Output, OutputSource, Program, Read, ReadKind};
use super::render_state::config_values;

const TERRAFORM: &str = "terraform.io/builtin/terraform";
const TFE: &str = "registry.terraform.io/hashicorp/tfe";

/// A module as it is written: once, however often it is called.
#[derive(Default)]
struct Module {
    outputs: Map<String, Value>,
    resources: BTreeMap<String, Value>,
    calls: BTreeMap<String, Module>,
}

/// What a program looks like to Terraform. `through_managed`: outputs that follow all that is read do so through the
/// managed resource.
pub(super) fn configuration(program: &Program, mark: &str, through_managed: bool) -> Value {
    let mut root = Module::default();
    for read in &program.reads {
        add_read(&mut root, read);
    }
    for (name, output) in &program.outputs {
        let expression = expression(&mut root, program, output, through_managed);
        let mut rendered = json!({ "expression": expression });
        if output.sensitive {
            rendered["sensitive"] = true.into();
        }
        root.outputs.insert(name.clone(), rendered);
    }
    let input = if program.depends_on_reads && !program.reads.is_empty() {
        everything_read(&mut root, program)
    } else {
        json!({ "constant_value": mark })
    };
    // Managed resources stand before data sources.
    let managed = json!({
        "address": "terraform_data.main",
        "mode": "managed",
        "type": "terraform_data",
        "name": "main",
        "provider_config_key": "terraform",
        "expressions": { "input": input },
        "schema_version": 0,
    });
    let mut providers = json!({ "terraform": { "name": "terraform", "full_name": TERRAFORM } });
    if program.reads.iter().any(|read| read.kind == ReadKind::TfeOutputs) {
        providers["tfe"] = json!({ "name": "tfe", "full_name": TFE });
    }
    json!({ "provider_config": providers, "root_module": root.render(Some(managed)) })
}

impl Module {
    fn render(self, first: Option<Value>) -> Value {
        let mut rendered = Map::new();
        if !self.outputs.is_empty() {
            rendered.insert("outputs".to_owned(), self.outputs.into());
        }
        let resources: Vec<_> = first.into_iter().chain(self.resources.into_values()).collect();
        if !resources.is_empty() {
            rendered.insert("resources".to_owned(), resources.into());
        }
        if !self.calls.is_empty() {
            let calls = self.calls.into_iter().map(|(name, module)| {
                let call = json!({ "source": format!("./modules/{name}"), "module": module.render(None) });
                (name, call)
            });
            rendered.insert("module_calls".to_owned(), calls.collect::<Map<_, _>>().into());
        }
        rendered.into()
    }
}

/// The calls that lead to a module, as `module.a["x"]`, from the root on.
fn calls(module: Option<&str>) -> Vec<String> {
    let mut calls: Vec<String> = Vec::new();
    for step in module.unwrap_or_default().split("module.").filter(|step| !step.is_empty()) {
        calls.push(format!("module.{}", step.trim_end_matches('.')));
    }
    calls
}

/// `a` of `module.a["x"]`.
fn called(call: &str) -> String {
    call.trim_start_matches("module.").split('[').next().unwrap_or_default().to_owned()
}

fn local_address(read: &Read) -> String {
    Read { module: None, ..read.clone() }.address()
}

fn add_read(root: &mut Module, read: &Read) {
    let path: Vec<_> = calls(read.module.as_deref()).iter().map(|call| called(call)).collect();
    let provider = match (&read.kind, path.is_empty()) {
        (ReadKind::TfeOutputs, _) => "tfe".to_owned(),
        (_, true) => "terraform".to_owned(),
        (_, false) => {
            let address: Vec<_> = path.iter().map(|name| format!("module.{name}")).collect();
            format!("{}:terraform", address.join("."))
        }
    };
    let expressions: Map<_, _> = config_values(read)
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), json!({ "constant_value": value })))
        .collect();
    let address = local_address(read);
    let kind = address.split('.').nth(1).unwrap_or_default();
    let rendered = json!({
        "address": address,
        "mode": "data",
        "type": kind,
        "name": read.name,
        "provider_config_key": provider,
        "expressions": expressions,
        "schema_version": 0,
    });
    let module = path.into_iter().fold(root, |module, name| module.calls.entry(name).or_default());
    module.resources.insert(address, rendered);
}

fn expression(root: &mut Module, program: &Program, output: &Output, through_managed: bool) -> Value {
    match &output.source {
        OutputSource::Fixed(Value::Null) => json!({}),
        OutputSource::Fixed(value) => json!({ "constant_value": sorted(value) }),
        OutputSource::FromReads if through_managed => {
            json!({ "references": ["terraform_data.main.output", "terraform_data.main"] })
        }
        OutputSource::FromReads => everything_read(root, program),
        OutputSource::Copy { read, output } => match program.reads.iter().find(|it| it.name == *read) {
            Some(read) => json!({ "references": references(root, read, Some(output)) }),
            None => json!({ "references": [format!("data.terraform_remote_state.{read}")] }),
        },
    }
}

fn everything_read(root: &mut Module, program: &Program) -> Value {
    let mut all: Vec<String> = Vec::new();
    for read in &program.reads {
        let new = references(root, read, None).into_iter().filter(|it| !all.contains(it)).collect::<Vec<_>>();
        all.extend(new);
    }
    json!({ "references": all })
}

/// What the root refers to in order to get at what was read: each reference is followed by its prefixes. Modules pass it
/// on as an output.
fn references(root: &mut Module, read: &Read, output: Option<&str>) -> Vec<String> {
    let address = local_address(read);
    let attribute = match read.kind {
        ReadKind::RemoteState { .. } => format!("{address}.outputs"),
        ReadKind::TfeOutputs => format!("{address}.values"),
    };
    let exact = output.map(|output| format!("{attribute}.{output}"));
    let mut references: Vec<_> = exact.into_iter().chain([attribute, address]).collect();
    let passed_on = output.map_or_else(|| read.name.clone(), |output| format!("{}_{output}", read.name));
    let calls = calls(read.module.as_deref());
    // From the inside out: each module refers to the one that it calls.
    for depth in (0..calls.len()).rev() {
        let path = calls[..=depth].iter().map(|call| called(call));
        let module = path.fold(&mut *root, |module, name| module.calls.entry(name).or_default());
        module.outputs.insert(passed_on.clone(), json!({ "expression": { "references": references } }));
        references = vec![format!("{}.{passed_on}", calls[depth]), calls[depth].clone()];
    }
    references
}
