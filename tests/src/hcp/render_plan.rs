//! Plans as `terraform show -json` writes them.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::clock::seconds;
use super::evaluate::{OutputState, Outputs, ReadState};
use super::model::{Plan, Run, StateVersion, World};
use super::program::{OutputSource, ReadKind};
use super::render_configuration::configuration;
use super::render_state::{TERRAFORM_VERSION, data_values, escaped};

const PROVIDER: &str = "terraform.io/builtin/terraform";
const ADDRESS: &str = "terraform_data.main";

/// Stands where the filler goes. No address begins like this.
const FILLER_HERE: &str = "\u{0}filler";

/// How long one filling resource is.
const ELEMENT: usize = 1000;

/// How many of them are sent at once.
const BATCH: usize = 64;

#[derive(Serialize)]
struct File {
    format_version: &'static str,
    terraform_version: &'static str,
    planned_values: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_changes: Vec<Entry>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    output_changes: BTreeMap<String, Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prior_state: Option<PriorState>,
    configuration: Value,
    timestamp: String,
    applyable: bool,
    complete: bool,
    errored: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry {
    Managed(Box<ResourceChange>),
    /// As the program has it, or where the filler goes.
    Given(Value),
}

#[derive(Serialize)]
struct ResourceChange {
    address: &'static str,
    mode: &'static str,
    r#type: &'static str,
    name: &'static str,
    provider_name: &'static str,
    change: Change,
}

#[derive(Serialize)]
struct Change {
    actions: [&'static str; 1],
    before: Value,
    /// Absent where the whole of it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
    after_unknown: Value,
    before_sensitive: Value,
    after_sensitive: Value,
}

#[derive(Serialize)]
struct PriorState {
    format_version: &'static str,
    terraform_version: &'static str,
    values: Value,
}

/// A plan and what it is compared with.
struct Sight<'a> {
    plan: &'a Plan,
    run: &'a Run,
    lineage: &'a str,
    before: Option<&'a StateVersion>,
    /// What the managed resource looks like now, and what it is to look like.
    mark: (Option<&'a str>, Option<&'a str>),
    /// The outputs that nobody knows before the apply.
    unknown: BTreeSet<&'a str>,
}

/// The plan of a run, and what it is filled up with; `None` if there is none.
pub(super) fn render_plan(world: &World, run: &Run) -> Option<(Vec<u8>, Option<Filler>)> {
    let plan = run.plan.as_ref()?.as_ref().ok()?;
    let options = world.options.plans;
    let before = plan.before.as_ref().and_then(|id| world.state_versions.get(id));
    let now = before.and_then(|state| state.mark.as_deref());
    let mark = (now, (!run.asked.is_destroy).then_some(plan.mark.as_str()));
    let through_managed = options.known_after_apply && run.program.depends_on_reads;
    let late = |name: &&String| run.program.outputs.get(*name).is_some_and(|it| it.source == OutputSource::FromReads);
    let unknown = plan.outputs.keys().filter(|name| through_managed && mark.0 != mark.1 && late(name));
    let lineage = &world.workspaces.get(&run.workspace)?.lineage;
    let sight = Sight { plan, run, lineage, before, mark, unknown: unknown.map(String::as_str).collect() };
    let started = run.statuses.iter().find(|(status, _)| status.as_str() == "planning");
    let file = File {
        format_version: "1.2",
        terraform_version: TERRAFORM_VERSION,
        planned_values: sight.planned_values(),
        resource_changes: sight.resource_changes(),
        output_changes: sight.output_changes(),
        prior_state: sight.prior_state(),
        configuration: configuration(&run.program, &plan.mark, through_managed),
        timestamp: seconds(started.map_or(run.created_at, |(_, at)| *at)).replace(".000Z", "Z"),
        applyable: plan.has_changes,
        complete: true,
        errored: false,
    };
    let text = escaped(&serde_json::to_string(&file).expect("strings, numbers and maps with string keys"));
    Some(filled(&text, options.bytes))
}

impl Sight<'_> {
    fn managed(&self, mark: &str, with_id: bool, with_output: bool) -> Value {
        let mut values = json!({ "input": mark, "triggers_replace": null });
        if with_id {
            values["id"] = self.lineage.into();
        }
        if with_output {
            values["output"] = mark.into();
        }
        values
    }

    /// What is known of the managed resource after the apply.
    fn managed_after(&self) -> Option<Value> {
        let (before, after) = self.mark;
        Some(self.managed(after?, before.is_some(), before == after))
    }

    fn planned_values(&self) -> Value {
        let mut values = Map::new();
        let outputs = self.plan.outputs.iter().map(|(name, output)| {
            let known = !self.unknown.contains(name.as_str());
            (name.clone(), output_value(output, known))
        });
        let outputs: Map<_, _> = outputs.collect();
        if !outputs.is_empty() {
            values.insert("outputs".to_owned(), outputs.into());
        }
        let resources = self.managed_after().map(|after| json!({ "resources": [resource(&after)] }));
        values.insert("root_module".to_owned(), resources.unwrap_or_else(|| json!({})));
        values.into()
    }

    fn resource_changes(&self) -> Vec<Entry> {
        let action = match self.mark {
            (None, None) => None,
            (None, Some(_)) => Some("create"),
            (Some(_), None) => Some("delete"),
            (Some(before), Some(after)) => Some(if before == after { "no-op" } else { "update" }),
        };
        let change = |action| Change {
            actions: [action],
            before: self.mark.0.map_or(Value::Null, |mark| self.managed(mark, true, true)),
            after: Some(self.managed_after().unwrap_or_default()),
            after_unknown: match action {
                "create" => json!({ "id": true, "output": true }),
                "update" => json!({ "output": true }),
                _ => json!({}),
            },
            before_sensitive: self.mark.0.map_or(json!(false), |_| json!({})),
            after_sensitive: self.mark.1.map_or(json!(false), |_| json!({})),
        };
        let managed = action.map(|action| {
            let (mode, r#type, name) = ("managed", "terraform_data", "main");
            let change = change(action);
            let entry = ResourceChange { address: ADDRESS, mode, r#type, name, provider_name: PROVIDER, change };
            Entry::Managed(Box::new(entry))
        });
        let given = self.run.program.resource_changes.iter().cloned().map(Entry::Given);
        let mut changes: Vec<_> = managed.into_iter().chain(given).collect();
        if !changes.is_empty() {
            changes.push(Entry::Given(FILLER_HERE.into()));
        }
        changes
    }

    fn output_changes(&self) -> BTreeMap<String, Change> {
        let none = Outputs::new();
        let before = self.before.map_or(&none, |state| &state.outputs);
        let names: BTreeSet<_> = before.keys().chain(self.plan.outputs.keys()).collect();
        let change = |name: &String| {
            let (old, new) = (before.get(name), self.plan.outputs.get(name));
            let unknown = self.unknown.contains(name.as_str());
            let action = match (old, new) {
                (None, _) => "create",
                (_, None) => "delete",
                (Some(old), Some(new)) if old.value == new.value && !unknown => "no-op",
                _ => "update",
            };
            let value = |output: Option<&OutputState>| output.map_or(Value::Null, |output| output.value.clone());
            let sensitive = old.or(new).is_some_and(|output| output.sensitive);
            Change {
                actions: [action],
                before: value(old),
                after: (!unknown).then(|| value(new)),
                after_unknown: unknown.into(),
                before_sensitive: sensitive.into(),
                after_sensitive: new.map_or(sensitive, |output| output.sensitive).into(),
            }
        };
        names.into_iter().map(|name| (name.clone(), change(name))).collect()
    }

    /// What was there, with the data sources as they have just been read. Outputs are those of the plan where they are
    /// known already: so does Terraform.
    fn prior_state(&self) -> Option<PriorState> {
        let mut outputs = self.before.map(|state| state.outputs.clone()).unwrap_or_default();
        let known = self.plan.outputs.iter().filter(|(name, _)| !self.unknown.contains(name.as_str()));
        outputs.extend(known.map(|(name, output)| (name.clone(), output.clone())));
        let reads = if self.run.asked.is_destroy {
            self.before.map_or(&[][..], |state| &state.reads)
        } else {
            &self.plan.reads
        };
        let mut modules: BTreeMap<Option<&str>, Vec<Value>> = BTreeMap::new();
        for read in reads {
            modules.entry(read.read.module.as_deref()).or_default().push(data_resource(read));
        }
        if let Some(mark) = self.mark.0 {
            modules.entry(None).or_default().push(resource(&self.managed(mark, true, true)));
        }
        if outputs.is_empty() && modules.is_empty() {
            return None;
        }
        let mut root = Map::new();
        if let Some(resources) = modules.remove(&None) {
            root.insert("resources".to_owned(), resources.into());
        }
        let children = modules.into_iter().map(|(name, resources)| json!({ "resources": resources, "address": name }));
        let children: Vec<_> = children.collect();
        if !children.is_empty() {
            root.insert("child_modules".to_owned(), children.into());
        }
        let outputs: Map<_, _> =
            outputs.iter().map(|(name, output)| (name.clone(), output_value(output, true))).collect();
        let mut values = json!({ "root_module": root });
        if !outputs.is_empty() {
            values["outputs"] = outputs.into();
        }
        Some(PriorState { format_version: "1.0", terraform_version: TERRAFORM_VERSION, values })
    }
}

fn output_value(output: &OutputState, known: bool) -> Value {
    if known {
        json!({ "sensitive": output.sensitive, "type": output.kind, "value": output.value })
    } else {
        json!({ "sensitive": output.sensitive })
    }
}

fn resource(values: &Value) -> Value {
    json!({
        "address": ADDRESS,
        "mode": "managed",
        "type": "terraform_data",
        "name": "main",
        "provider_name": PROVIDER,
        "schema_version": 0,
        "values": values,
        "sensitive_values": {},
    })
}

fn data_resource(state: &ReadState) -> Value {
    let values = data_values(state);
    let sensitive = |name: &str| match &state.read.kind {
        ReadKind::TfeOutputs if name == "values" => Value::Bool(true),
        _ => marks(&values[name]),
    };
    let sensitive: Map<_, _> = values.keys().map(|name| ((*name).to_owned(), sensitive(name))).collect();
    let sensitive: Map<_, _> = sensitive.into_iter().filter(|(_, mark)| *mark != Value::Bool(false)).collect();
    let (kind, provider) = match state.read.kind {
        ReadKind::RemoteState { .. } => ("terraform_remote_state", PROVIDER),
        ReadKind::TfeOutputs => ("tfe_outputs", "registry.terraform.io/hashicorp/tfe"),
    };
    json!({
        "address": state.read.address(),
        "mode": "data",
        "type": kind,
        "name": state.read.name,
        "provider_name": provider,
        "schema_version": 0,
        "values": values,
        "sensitive_values": sensitive,
    })
}

/// The shape of a value in which nothing is sensitive: what is not a collection is left out of objects.
fn marks(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(marks).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), marks(value)));
            fields.filter(|(_, mark)| *mark != Value::Bool(false)).collect()
        }
        _ => Value::Bool(false),
    }
}

/// The rest of a plan: resources in which nothing changes, made only when they are sent, and what comes after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filler {
    bytes: usize,
    tail: Bytes,
}

/// A plan up to where it is filled to have this many bytes, and the rest, if there is need of it.
fn filled(text: &str, bytes: u64) -> (Vec<u8>, Option<Filler>) {
    let marker = format!(",{}", escaped(&Value::from(FILLER_HERE).to_string()));
    let Some((head, tail)) = text.split_once(&marker) else { return (text.as_bytes().to_vec(), None) };
    let missing = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(head.len() + tail.len());
    if missing == 0 {
        return ([head, tail].concat().into_bytes(), None);
    }
    let filler = Filler { bytes: missing.max(ELEMENT), tail: Bytes::copy_from_slice(tail.as_bytes()) };
    (head.as_bytes().to_vec(), Some(filler))
}

impl Filler {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes + self.tail.len()
    }

    /// All of it, piece by piece.
    pub fn pieces(self) -> impl Iterator<Item = Bytes> + Send {
        let elements = self.bytes / ELEMENT;
        let rest = self.bytes % ELEMENT;
        let batches = (0..elements).step_by(BATCH).map(move |first| {
            let batch = first..(first + BATCH).min(elements);
            // The first one takes what is left over.
            let text: String =
                batch.map(|number| element(number, if number == 0 { ELEMENT + rest } else { ELEMENT })).collect();
            Bytes::from(text)
        });
        batches.chain(std::iter::once(self.tail))
    }
}

/// One resource of exactly this many bytes.
fn element(number: usize, size: usize) -> String {
    let render = |padding: usize| {
        let key = format!("{number:010}");
        let values = format!(r#"{{"id":"{key}","input":"{:x<padding$}","output":null,"triggers_replace":null}}"#, "");
        let address = format!(r#""terraform_data.filler[\"{key}\"]","mode":"managed","type":"terraform_data""#);
        let change = format!(r#""actions":["no-op"],"before":{values},"after":{values},"after_unknown":{{}}"#);
        let name = format!(r#""name":"filler","index":"{key}","provider_name":"{PROVIDER}""#);
        let marks = r#""before_sensitive":{},"after_sensitive":{}"#;
        format!(r#",{{"address":{address},{name},"change":{{{change},{marks}}}}}"#)
    };
    let padding = size - render(0).len();
    // What is padded is there twice.
    let odd = if padding.is_multiple_of(2) { "" } else { " " };
    render(padding / 2) + odd
}
