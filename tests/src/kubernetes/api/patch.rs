//! Patches: JSON merge patch, and Kubernetes' strategic merge patch.

use serde_json::{Map, Value};

/// How a patch is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchType {
    Merge,
    Strategic,
}

impl PatchType {
    pub fn of(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }

    pub fn apply(self, object: &mut Value, patch: &Value) {
        match self {
            Self::Merge => merge(object, patch),
            Self::Strategic => strategic(object, patch),
        }
    }
}

/// RFC 7386.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    let fields = fields_of(object);
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The field by which the elements of a list are told apart; a list without one is replaced as a whole.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "conditions" | "addresses" => Some("type"),
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" | "secrets" => Some("name"),
        "ownerReferences" => Some("uid"),
        "volumeMounts" => Some("mountPath"),
        "ports" => Some("containerPort"),
        "podIPs" | "hostIPs" => Some("ip"),
        _ => None,
    }
}

fn strategic(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    let fields = fields_of(object);
    if patch.get("$patch").is_some_and(|directive| directive == "replace") {
        fields.clear();
    }
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        match value {
            Value::Null => {
                fields.remove(name);
            }
            Value::Array(elements) => list(fields.entry(name.clone()).or_insert(Value::Null), name, elements),
            value => strategic(fields.entry(name.clone()).or_insert(Value::Null), value),
        }
    }
}

fn list(stored: &mut Value, name: &str, elements: &[Value]) {
    if !stored.is_array() {
        *stored = Value::Array(Vec::new());
    }
    let Value::Array(stored) = stored else { return };
    if name == "finalizers" {
        for element in elements.iter().filter(|element| !element.is_object()) {
            if !stored.contains(element) {
                stored.push(element.clone());
            }
        }
        return;
    }
    let Some(key) = merge_key(name) else {
        elements.clone_into(stored);
        return;
    };
    if elements.iter().any(is_replace) {
        stored.clear();
    }
    for element in elements.iter().filter(|element| !is_replace(element)) {
        let place = stored.iter().position(|one| one[key] == element[key]);
        match (element["$patch"].as_str(), place) {
            (Some("delete"), Some(place)) => {
                stored.remove(place);
            }
            (Some("delete"), None) => {}
            (_, Some(place)) => strategic(&mut stored[place], element),
            (_, None) => {
                let mut added = Value::Null;
                strategic(&mut added, element);
                stored.push(added);
            }
        }
    }
}

fn is_replace(element: &Value) -> bool {
    element["$patch"] == "replace"
}

/// The fields of an object; what is none becomes one.
fn fields_of(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it has just been made one")
}
