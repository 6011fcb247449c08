//! What an object may look like: the bindings' own types are the schema.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret, ServiceAccount};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kubernetes::quantity::Quantity;

use super::refusal::Refusal;
use super::resource::Resource;

/// An object without the fields that its schema does not know, and which these were.
pub(super) fn prune(resource: Resource, body: &Value) -> Result<(Value, Vec<String>), Refusal> {
    let pruned = match resource {
        Resource::Jobs => through::<Job>(body),
        Resource::Pods => through::<Pod>(body),
        Resource::Secrets => through::<Secret>(body),
        Resource::ConfigMaps => through::<ConfigMap>(body),
        Resource::ServiceAccounts => through::<ServiceAccount>(body),
        Resource::Deployments => through::<Deployment>(body),
        Resource::Events => through::<Event>(body),
        Resource::Namespaces => through::<Namespace>(body),
        Resource::Nodes => through::<Node>(body),
    };
    let pruned = pruned.map_err(|why| Refusal::bad_request(format!("{}: {why}", cannot(resource))))?;
    if !quantities_are_sound(&pruned) {
        let rule = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        return Err(Refusal::bad_request(format!("{}: {rule}", cannot(resource))));
    }
    let mut unknown = Vec::new();
    differ(body, &pruned, "", &mut unknown);
    Ok((pruned, unknown))
}

/// The refusal of fields that nobody knows.
pub(super) fn strict(resource: Resource, unknown: &[String]) -> Refusal {
    let fields: Vec<_> = unknown.iter().map(|field| unknown_field(field)).collect();
    Refusal::bad_request(format!("{}: strict decoding error: {}", cannot(resource), fields.join(", ")))
}

/// What a warning says of such a field.
pub(super) fn unknown_field(field: &str) -> String {
    format!("unknown field \"{field}\"")
}

fn cannot(resource: Resource) -> String {
    let kind = resource.kind();
    format!("{kind} in version \"v1\" cannot be handled as a {kind}")
}

fn through<T: DeserializeOwned + Serialize>(body: &Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(T::deserialize(body)?)
}

/// What stands in the one and not in the other.
fn differ(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match after.get(name) {
                    Some(after) => differ(value, after, &path, found),
                    None if is_empty(value) => {}
                    None => found.push(path),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for (place, (before, after)) in before.iter().zip(after).enumerate() {
                differ(before, after, &format!("{path}[{place}]"), found);
            }
        }
        _ => {}
    }
}

/// Whether every amount that a container asks for is one.
fn quantities_are_sound(value: &Value) -> bool {
    let amounts = |amounts: &Value| {
        let mut amounts = amounts.as_object().into_iter().flatten();
        amounts.all(|(_, amount)| amount.as_str().is_some_and(|text| Quantity::parse(text).is_some()))
    };
    match value {
        Value::Object(fields) => fields.iter().all(|(name, field)| {
            if name == "resources" {
                amounts(&field["limits"]) && amounts(&field["requests"])
            } else {
                quantities_are_sound(field)
            }
        }),
        Value::Array(elements) => elements.iter().all(quantities_are_sound),
        _ => true,
    }
}

/// A list without elements is left out by the bindings where the schema demands one.
fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}
