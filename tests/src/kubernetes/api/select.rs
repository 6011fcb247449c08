//! Selectors: which objects of a collection are meant.

use serde_json::Value;

use super::refusal::Refusal;
use super::resource::{Resource, Target};

/// What a list or a watch is narrowed to.
#[derive(Debug, Clone)]
pub(in crate::kubernetes) struct Selector {
    resource: Resource,
    namespace: String,
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    pub fn parse(target: &Target, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let resource = target.resource;
        let labels = split(labels).into_iter().map(requirement).collect::<Result<_, _>>()?;
        let mut fields: Vec<_> =
            split(fields).into_iter().map(|text| field(resource, text)).collect::<Result<_, _>>()?;
        if !target.name.is_empty() {
            fields.push(("metadata.name".to_owned(), true, target.name.clone()));
        }
        Ok(Self { resource, namespace: target.namespace.clone(), labels, fields })
    }

    /// Whether an object of this resource is meant.
    pub fn selects(&self, resource: Resource, object: &Value) -> bool {
        let metadata = &object["metadata"];
        resource == self.resource
            && (self.namespace.is_empty() || metadata["namespace"] == self.namespace)
            && self.labels.iter().all(|requirement| requirement.holds(&metadata["labels"][&requirement.key]))
            && self.fields.iter().all(|(path, equal, wanted)| (field_of(object, path) == *wanted) == *equal)
    }
}

impl Requirement {
    fn holds(&self, value: &Value) -> bool {
        let value = value.as_str();
        match &self.test {
            Test::In(wanted) => value.is_some_and(|value| wanted.iter().any(|one| one == value)),
            Test::NotIn(wanted) => value.is_none_or(|value| wanted.iter().all(|one| one != value)),
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
        }
    }
}

/// The text of a field; empty if it is not there.
fn field_of(object: &Value, path: &str) -> String {
    let found = path.split('.').fold(object, |value, name| &value[name]);
    match found {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Splits at commas, but not inside of brackets.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(text: &str) -> Result<Requirement, Refusal> {
    let with = |key: &str, test: Test| {
        let key = key.trim();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
        let refusal = || Refusal::bad_request(format!("unable to parse requirement: found '{text}'"));
        if key.is_empty() || !key.chars().all(plain) {
            Err(refusal())
        } else {
            Ok(Requirement { key: key.to_owned(), test })
        }
    };
    let set = |values: &str| {
        values
            .trim()
            .trim_start_matches('(')
            .trim_end_matches(')')
            .split(',')
            .map(|one| one.trim().to_owned())
            .collect()
    };
    if let Some((key, values)) = text.split_once(" notin ") {
        return with(key, Test::NotIn(set(values)));
    }
    if let Some((key, values)) = text.split_once(" in ") {
        return with(key, Test::In(set(values)));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return with(key, Test::NotIn(vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = text.split_once('=') {
        return with(key, Test::In(vec![value.trim_start_matches('=').trim().to_owned()]));
    }
    match text.strip_prefix('!') {
        Some(key) => with(key, Test::Absent),
        None => with(text, Test::Exists),
    }
}

fn field(resource: Resource, text: &str) -> Result<(String, bool, String), Refusal> {
    let parts = text.split_once("!=").map(|(path, value)| (path, false, value));
    let parts = parts.or_else(|| text.split_once('=').map(|(path, value)| (path, true, value.trim_start_matches('='))));
    let Some((path, equal, value)) = parts else {
        return Err(Refusal::bad_request(format!("invalid selector: '{text}'; can't understand '{text}'")));
    };
    let common = path == "metadata.name" || (path == "metadata.namespace" && resource.is_namespaced());
    if !common && !resource.selectable().contains(&path) {
        return Err(Refusal::bad_request(format!("field label not supported: {path}")));
    }
    Ok((path.to_owned(), equal, value.to_owned()))
}
