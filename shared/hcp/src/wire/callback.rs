//! What is said of a task result, both ways: to HCP Terraform, and by other checkers to us.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use sluice_domain::gate::{Level, Outcome, Report, ReportStatus, Tag};

/// A callback that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedCallback {
    /// Not JSON.
    #[error("the callback is not JSON, at line {line}, column {column}")]
    NotJson {
        /// Where, counting from 1.
        line: usize,
        /// Where, counting from 1.
        column: usize,
    },
    /// There is no status where JSON:API has it.
    #[error("data.attributes.status is missing from the callback")]
    NoStatus,
    /// A status that a checker cannot give.
    #[error("data.attributes.status is none of running, passed and failed")]
    Status,
}

/// The document that tells HCP Terraform `report`. Older Terraform Enterprise takes no outcomes.
#[must_use]
pub fn callback(report: &Report, outcomes_supported: bool) -> Vec<u8> {
    let outcomes = if outcomes_supported { report.outcomes.as_slice() } else { &[] };
    let document = Document {
        data: Resource {
            kind: "task-results",
            attributes: Attributes { status: report.status, message: &report.message, url: report.url.as_deref() },
            relationships: (!outcomes.is_empty())
                .then(|| Relationships { outcomes: Related { data: outcomes.iter().map(outcome).collect() } }),
        },
    };
    serde_json::to_vec(&document).expect("texts are JSON")
}

#[derive(Serialize)]
struct Document<'a> {
    data: Resource<Attributes<'a>, Relationships<'a>>,
}

#[derive(Serialize)]
struct Resource<A, R> {
    #[serde(rename = "type")]
    kind: &'static str,
    attributes: A,
    #[serde(skip_serializing_if = "Option::is_none")]
    relationships: Option<R>,
}

#[derive(Serialize)]
struct Attributes<'a> {
    status: ReportStatus,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

#[derive(Serialize)]
struct Relationships<'a> {
    outcomes: Related<'a>,
}

#[derive(Serialize)]
struct Related<'a> {
    data: Vec<Resource<OutcomeAttributes<'a>, ()>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct OutcomeAttributes<'a> {
    outcome_id: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Headings::is_empty")]
    tags: Headings<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

/// Labels under their headings, both in the order in which they were given.
struct Headings<'a>(Vec<(&'a str, Vec<Label<'a>>)>);

#[derive(Serialize)]
struct Label<'a> {
    label: &'a str,
    level: Level,
}

impl Headings<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Headings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (heading, labels) in &self.0 {
            map.serialize_entry(heading, labels)?;
        }
        map.end()
    }
}

fn outcome(outcome: &Outcome) -> Resource<OutcomeAttributes<'_>, ()> {
    let mut tags: Vec<(&str, Vec<Label>)> = Vec::new();
    for Tag { heading, label, level } in &outcome.tags {
        let label = Label { label, level: *level };
        match tags.iter_mut().find(|(known, _)| known == heading) {
            Some((_, labels)) => labels.push(label),
            None => tags.push((heading, vec![label])),
        }
    }
    let attributes = OutcomeAttributes {
        outcome_id: &outcome.id,
        description: &outcome.description,
        tags: Headings(tags),
        body: outcome.body.as_deref(),
        url: outcome.url.as_deref(),
    };
    Resource { kind: "task-result-outcomes", attributes, relationships: None }
}

/// What another checker says, cut to what HCP Terraform takes. Only its status has to be what is documented.
pub fn parse_callback(body: &[u8]) -> Result<Report, MalformedCallback> {
    let document: Value = serde_json::from_slice(body)
        .map_err(|error| MalformedCallback::NotJson { line: error.line(), column: error.column() })?;
    let data = &document["data"];
    let attributes = &data["attributes"];
    let status = match attributes["status"].as_str().ok_or(MalformedCallback::NoStatus)? {
        "running" => ReportStatus::Running,
        "passed" => ReportStatus::Passed,
        "failed" => ReportStatus::Failed,
        _ => return Err(MalformedCallback::Status),
    };
    // Documented in three places in three ways; handlers follow each.
    let places = [
        &data["relationships"]["outcomes"]["data"],
        &data["relationships"]["task-result-outcomes"]["data"],
        &attributes["outcomes"]["data"],
        &attributes["outcomes"],
    ];
    let told = places.into_iter().find_map(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let outcomes = told.iter().enumerate().filter_map(|(at, told)| outcome_told(at, told)).collect();
    let message = text(attributes, &["message"]).unwrap_or_default();
    Ok(Report { status, message, url: text(attributes, &["url"]), outcomes }.cut())
}

/// An outcome, with its attributes where JSON:API has them or without that wrapping. One without an id has its place.
fn outcome_told(at: usize, told: &Value) -> Option<Outcome> {
    let attributes = told.get("attributes").filter(|attributes| attributes.is_object()).unwrap_or(told);
    if !attributes.is_object() {
        return None;
    }
    Some(Outcome {
        id: text(attributes, &["outcome-id", "outcome_id"]).unwrap_or_else(|| (at + 1).to_string()),
        description: text(attributes, &["description"]).unwrap_or_default(),
        tags: tags_told(&attributes["tags"]),
        body: text(attributes, &["body"]),
        url: text(attributes, &["url"]),
    })
}

fn tags_told(tags: &Value) -> Vec<Tag> {
    let headings = tags.as_object().into_iter().flatten();
    let labels = headings.flat_map(|(heading, labels)| {
        // One label alone may stand without its list.
        let labels = labels.as_array().map_or(std::slice::from_ref(labels), Vec::as_slice);
        labels.iter().map(move |label| (heading, label))
    });
    labels.filter_map(|(heading, label)| tag_told(heading, label)).collect()
}

fn tag_told(heading: &str, told: &Value) -> Option<Tag> {
    let label = told.as_str().map_or_else(|| text(told, &["label"]), |label| Some(label.to_owned()))?;
    let level = match told["level"].as_str() {
        Some("info") => Level::Info,
        Some("warning") => Level::Warning,
        Some("error") => Level::Error,
        _ => Level::None,
    };
    Some(Tag { heading: heading.to_owned(), label, level })
}

/// The first of `names` that there is a text for. An empty one is none.
fn text(value: &Value, names: &[&str]) -> Option<String> {
    let texts = names.iter().filter_map(|name| value.get(name)?.as_str());
    texts.map(str::to_owned).find(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests;
