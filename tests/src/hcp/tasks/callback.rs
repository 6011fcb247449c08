//! Callbacks, read as strictly as HCP Terraform's schema allows.

use serde_json::{Map, Value};
use url::Url;

use super::TaskResultStatus;

/// A callback that breaks no rule.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::hcp) struct Callback {
    pub status: TaskResultStatus,
    pub message: Option<String>,
    pub url: Option<String>,
    /// The attributes of each.
    pub outcomes: Vec<Value>,
}

const LEVELS: [&str; 4] = ["none", "info", "warning", "error"];

impl Callback {
    /// Reads a callback's `data`, or says what is wrong with it.
    pub fn read(data: &Value) -> Result<Self, String> {
        if data["type"] != "task-results" {
            return Err("data.type must be task-results".to_owned());
        }
        let attributes = object(&data["attributes"], "attributes")?;
        let status = match attributes.get("status").and_then(Value::as_str) {
            Some("running") => TaskResultStatus::Running,
            Some("passed") => TaskResultStatus::Passed,
            Some("failed") => TaskResultStatus::Failed,
            _ => return Err("status must be running, passed or failed".to_owned()),
        };
        Ok(Self {
            status,
            message: text(attributes, "message", 1, 1000)?,
            url: uri(attributes)?,
            outcomes: outcomes(&data["relationships"])?,
        })
    }
}

fn outcomes(relationships: &Value) -> Result<Vec<Value>, String> {
    let Some(outcomes) = relationships.get("outcomes") else { return Ok(Vec::new()) };
    let outcomes = outcomes["data"].as_array().ok_or("outcomes.data must be an array")?;
    within(outcomes.len(), 1, 250, "the number of outcomes")?;
    outcomes.iter().map(outcome).collect()
}

fn outcome(outcome: &Value) -> Result<Value, String> {
    if outcome["type"] != "task-result-outcomes" {
        return Err("an outcome's type must be task-result-outcomes".to_owned());
    }
    let attributes = object(&outcome["attributes"], "an outcome's attributes")?;
    text(attributes, "outcome-id", 1, 64)?.ok_or("an outcome must have an outcome-id")?;
    text(attributes, "description", 1, 1000)?.ok_or("an outcome must have a description")?;
    text(attributes, "body", 1, 10_000)?;
    uri(attributes)?;
    if let Some(headings) = attributes.get("tags") {
        let headings = object(headings, "tags")?;
        within(headings.len(), 0, 10, "the number of tags")?;
        for (heading, labels) in headings {
            let labels = labels.as_array().ok_or_else(|| format!("the tag {heading} must be an array"))?;
            within(labels.len(), 0, 32, "the number of a tag's labels")?;
            labels.iter().try_for_each(label)?;
        }
    }
    Ok(outcome["attributes"].clone())
}

fn label(label: &Value) -> Result<(), String> {
    let label = object(label, "a label")?;
    text(label, "label", 1, 32)?.ok_or("a label must have a label")?;
    match label.get("level") {
        None => Ok(()),
        Some(level) if level.as_str().is_some_and(|level| LEVELS.contains(&level)) => Ok(()),
        Some(level) => Err(format!("{level} is not a level")),
    }
}

fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{name} must be an object"))
}

/// A string that may be absent, but not `null`.
fn text(fields: &Map<String, Value>, name: &str, least: usize, most: usize) -> Result<Option<String>, String> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let value = value.as_str().ok_or_else(|| format!("{name} must be a string"))?;
    within(value.chars().count(), least, most, name)?;
    Ok(Some(value.to_owned()))
}

fn uri(fields: &Map<String, Value>) -> Result<Option<String>, String> {
    let url = text(fields, "url", 0, 500)?;
    match url {
        Some(url) if Url::parse(&url).is_err() => Err("url must be a URI".to_owned()),
        url => Ok(url),
    }
}

fn within(length: usize, least: usize, most: usize, name: &str) -> Result<(), String> {
    let fits = (least..=most).contains(&length);
    fits.then_some(()).ok_or_else(|| format!("{name} must be of {least} to {most}, and is of {length}"))
}
