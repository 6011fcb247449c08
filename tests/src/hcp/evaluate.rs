//! Plans a program: from what it read to what it puts out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::program::{OutputSource, Program, Read};

/// An output as a state file holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OutputState {
    pub value: Value,
    #[serde(rename = "type")]
    pub kind: Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

pub(super) type Outputs = BTreeMap<String, OutputState>;

/// What one data source read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReadState {
    pub read: Read,
    pub outputs: Outputs,
}

/// The outputs a program has, given what it read. Terraform drops null ones.
pub(super) fn evaluate(program: &Program, reads: &[ReadState]) -> Result<Outputs, String> {
    let mut outputs = Outputs::new();
    for (name, output) in &program.outputs {
        let (value, found) = match &output.source {
            OutputSource::Fixed(value) => (sorted(value), None),
            OutputSource::FromReads => (Value::from(format!("from-{}", fingerprint(reads))), None),
            OutputSource::Copy { read, output } => {
                let copied = copied(reads, read, output)?;
                (copied.value.clone(), Some(copied.kind.clone()))
            }
        };
        if !value.is_null() {
            let kind = output.declared.clone().or(found).unwrap_or_else(|| type_of(&value));
            let sensitive = output.sensitive;
            outputs.insert(name.clone(), OutputState { value, kind, sensitive });
        }
    }
    Ok(outputs)
}

fn copied<'a>(reads: &'a [ReadState], read: &str, output: &str) -> Result<&'a OutputState, String> {
    let found = reads.iter().find(|state| state.read.name == read);
    let found = found.ok_or_else(|| format!("Reference to undeclared resource: {read}"))?;
    let unsupported = || format!("Unsupported attribute: {}.outputs has no \"{output}\"", found.read.address());
    found.outputs.get(output).ok_or_else(unsupported)
}

/// Twelve hexadecimal digits that change whenever a value read changes.
pub(super) fn fingerprint(reads: &[ReadState]) -> String {
    let mut hash = Sha256::new();
    for state in reads {
        for (name, output) in &state.outputs {
            let line = json!([state.read.address(), name, sorted(&output.value)]);
            hash.update(line.to_string());
        }
    }
    hex::encode(&hash.finalize()[..6])
}

/// The type Terraform gives a value that nothing converts.
pub(super) fn type_of(value: &Value) -> Value {
    match value {
        Value::Null => json!("dynamic"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(items) => json!(["tuple", items.iter().map(type_of).collect::<Vec<_>>()]),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), type_of(value)));
            json!(["object", fields.collect::<Map<_, _>>()])
        }
    }
}

/// The same value with its keys in order, whatever order `serde_json` was built to keep.
pub(super) fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            fields.into_iter().collect()
        }
        other => other.clone(),
    }
}
