//! What the server refuses in an object: names, labels, sizes, and what cannot change.

use serde_json::Value;

use super::refusal::{Cause, Refusal};
use super::resource::Resource;
use super::validate_pod;
use super::world::name_of;

/// The data of a Secret or a `ConfigMap`.
const DATA_LIMIT: usize = 1 << 20;

/// All annotations of an object together.
const ANNOTATIONS_LIMIT: usize = 256 << 10;

const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                          start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
                          validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
                              '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex \
                              used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
                          and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or \
                          '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const KEY_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
                        an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
                        validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// Whether an object can be stored.
pub(super) fn check(resource: Resource, object: &Value, before: Option<&Value>) -> Result<(), Refusal> {
    let mut causes = Vec::new();
    metadata(resource, &object["metadata"], "metadata", &mut causes);
    match resource {
        Resource::Jobs => job(object, before, &mut causes),
        Resource::Pods => validate_pod::pod(object, before, &mut causes),
        Resource::Secrets | Resource::ConfigMaps => data(object, &mut causes),
        Resource::Deployments => {
            validate_pod::spec(&object["spec"]["template"]["spec"], "spec.template.spec", &mut causes);
        }
        _ => {}
    }
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid(resource, name_of(object), &causes)) }
}

fn metadata(resource: Resource, metadata: &Value, path: &str, causes: &mut Vec<Cause>) {
    let name = metadata["name"].as_str().unwrap_or_default();
    let field = format!("{path}.name");
    if name.is_empty() {
        causes.push(Cause::required(field, "name or generateName is required"));
    } else if resource == Resource::Namespaces {
        if !is_label(name) {
            causes.push(Cause::invalid(field, name, LABEL_RULE));
        }
    } else if !is_subdomain(name) {
        causes.push(Cause::invalid(field, name, SUBDOMAIN_RULE));
    }
    labels(metadata, path, causes);
}

pub(super) fn labels(metadata: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        let field = format!("{path}.labels");
        let value = value.as_str().unwrap_or_default();
        if !is_key(key) {
            causes.push(Cause::invalid(&field, key.as_str(), KEY_RULE));
        }
        if value.len() > 63 {
            causes.push(Cause::invalid(&field, value, "must be no more than 63 bytes"));
        } else if !is_label_value(value) {
            causes.push(Cause::invalid(&field, value, VALUE_RULE));
        }
    }
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        if !is_key(&key.to_lowercase()) {
            causes.push(Cause::invalid(format!("{path}.annotations"), key.as_str(), KEY_RULE));
        }
    }
    if size > ANNOTATIONS_LIMIT {
        causes.push(Cause::too_long(format!("{path}.annotations"), ANNOTATIONS_LIMIT));
    }
}

fn job(job: &Value, before: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &job["spec"];
    let numbers = ["parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"];
    for field in numbers {
        if let Some(number) = spec[field].as_i64().filter(|number| *number < 0) {
            causes.push(Cause::invalid(format!("spec.{field}"), number, "must be greater than or equal to 0"));
        }
    }
    let (template, path) = (&spec["template"], "spec.template");
    labels(&template["metadata"], path, causes);
    validate_pod::spec(&template["spec"], &format!("{path}.spec"), causes);
    if !matches!(template["spec"]["restartPolicy"].as_str(), Some("Never" | "OnFailure")) {
        let detail = "valid values: \"OnFailure\", \"Never\"";
        causes.push(Cause::required(format!("{path}.spec.restartPolicy"), detail));
    }
    if let Some(before) = before {
        for field in ["template", "selector", "completions", "completionMode"] {
            if spec[field] != before["spec"][field] {
                let value = spec[field].clone();
                causes.push(Cause::invalid(format!("spec.{field}"), value, "field is immutable"));
            }
        }
    }
}

fn data(object: &Value, causes: &mut Vec<Cause>) {
    let mut size = 0;
    for (field, decoded) in [("data", object["kind"] == "Secret"), ("binaryData", true)] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
            size += if decoded { text.len() / 4 * 3 - padding } else { text.len() };
            let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
            if key.is_empty() || key.len() > 253 || !key.chars().all(plain) || key == "." || key.starts_with("..") {
                let rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
                            'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                causes.push(Cause::invalid(format!("{field}[{key}]"), key.as_str(), rule));
            }
        }
    }
    if size > DATA_LIMIT {
        causes.push(Cause::too_long("data", DATA_LIMIT));
    }
}

/// DNS-1123, one part.
pub(super) fn is_label(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    text.len() <= 63
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|letter| plain(letter) || letter == '-')
}

/// Why a text is no such part.
pub(super) fn not_a_label(field: String, text: &str) -> Option<Cause> {
    let rule = if text.len() > 63 { "must be no more than 63 bytes" } else { LABEL_RULE };
    (!is_label(text)).then(|| Cause::invalid(field, text, rule))
}

/// DNS-1123, parts with dots between them.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| is_label(part) || (part.len() > 63 && is_label(&part[..1])))
}

pub(super) fn is_label_value(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric();
    text.is_empty()
        || (text.len() <= 63
            && text.starts_with(plain)
            && text.ends_with(plain)
            && text.chars().all(|letter| plain(letter) || "-_.".contains(letter)))
}

/// A label's key: a name, and before it a domain and a slash, or not.
pub(super) fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && !name.is_empty() && is_label_value(name),
        None => !text.is_empty() && is_label_value(text),
    }
}
