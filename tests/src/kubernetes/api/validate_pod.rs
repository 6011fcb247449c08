//! What the server refuses in the spec of a pod.

use std::collections::BTreeSet;

use serde_json::Value;

use super::refusal::Cause;
use super::validate::{is_key, is_label_value, labels, not_a_label};
use crate::kubernetes::quantity::Quantity;

/// A bare pod, or the change of one.
pub(super) fn pod(pod: &Value, before: Option<&Value>, causes: &mut Vec<Cause>) {
    labels(&pod["metadata"], "metadata", causes);
    spec(&pod["spec"], "spec", causes);
    let Some(before) = before else { return };
    let (mut after, mut before) = (pod["spec"].clone(), before["spec"].clone());
    for spec in [&mut after, &mut before] {
        for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"] {
            spec[field] = Value::Null;
        }
        spec["containers"].as_array_mut().into_iter().flatten().for_each(|container| container["image"] = Value::Null);
    }
    if after != before {
        let detail = "pod updates may not change fields other than `spec.containers[*].image`,\
                      `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions \
                      to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it \
                      was previously negative)";
        causes.push(Cause::forbidden("spec", detail));
    }
}

/// The spec of a pod or of a template.
pub(super) fn spec(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let volumes = volumes(spec, path, causes);
    let containers = list(&spec["containers"]);
    if containers.is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names = BTreeSet::new();
    for (place, container) in containers.iter().enumerate() {
        let path = format!("{path}.containers[{place}]");
        let name = text(&container["name"]);
        if name.is_empty() {
            causes.push(Cause::required(format!("{path}.name"), ""));
        } else {
            causes.extend(not_a_label(format!("{path}.name"), name));
        }
        if !name.is_empty() && !names.insert(name) {
            causes.push(Cause::duplicate(format!("{path}.name"), name));
        }
        self::container(container, &path, &volumes, causes);
    }
    let policy = text(&spec["restartPolicy"]);
    if !["Always", "OnFailure", "Never"].contains(&policy) {
        causes.push(Cause::unsupported(format!("{path}.restartPolicy"), policy, &["Always", "OnFailure", "Never"]));
    }
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64().filter(|seconds| *seconds < 1) {
        let detail = "must be between 1 and 2147483647, inclusive";
        causes.push(Cause::invalid(format!("{path}.activeDeadlineSeconds"), seconds, detail));
    }
    for (key, value) in spec["nodeSelector"].as_object().into_iter().flatten() {
        let field = format!("{path}.nodeSelector");
        if !is_key(key) || !is_label_value(text(value)) {
            causes.push(Cause::invalid(field, format!("{key}={}", text(value)), "a valid label is required"));
        }
    }
    for (place, toleration) in list(&spec["tolerations"]).iter().enumerate() {
        self::toleration(toleration, &format!("{path}.tolerations[{place}]"), causes);
    }
}

fn container(container: &Value, path: &str, volumes: &BTreeSet<&str>, causes: &mut Vec<Cause>) {
    let image = text(&container["image"]);
    if image.is_empty() {
        causes.push(Cause::required(format!("{path}.image"), ""));
    } else if image != image.trim() {
        let detail = "must not have leading or trailing whitespace";
        causes.push(Cause::invalid(format!("{path}.image"), image, detail));
    }
    let policy = text(&container["imagePullPolicy"]);
    if !["", "Always", "IfNotPresent", "Never"].contains(&policy) {
        let supported = ["Always", "IfNotPresent", "Never"];
        causes.push(Cause::unsupported(format!("{path}.imagePullPolicy"), policy, &supported));
    }
    for (place, variable) in list(&container["env"]).iter().enumerate() {
        let name = text(&variable["name"]);
        let field = format!("{path}.env[{place}].name");
        if name.is_empty() {
            causes.push(Cause::required(field, ""));
        } else if name.contains('=') || !name.chars().all(|letter| letter.is_ascii() && !letter.is_ascii_control()) {
            causes.push(Cause::invalid(field, name, "a valid environment variable name must not contain '='"));
        }
    }
    let mut paths = BTreeSet::new();
    for (place, mount) in list(&container["volumeMounts"]).iter().enumerate() {
        let path = format!("{path}.volumeMounts[{place}]");
        let (name, mount_path) = (text(&mount["name"]), text(&mount["mountPath"]));
        if !volumes.contains(name) {
            causes.push(Cause::not_found(format!("{path}.name"), name));
        }
        if mount_path.is_empty() {
            causes.push(Cause::required(format!("{path}.mountPath"), ""));
        } else if !paths.insert(mount_path) {
            causes.push(Cause::invalid(format!("{path}.mountPath"), mount_path, "must be unique"));
        }
    }
    resources(&container["resources"], &format!("{path}.resources"), causes);
}

fn resources(resources: &Value, path: &str, causes: &mut Vec<Cause>) {
    let limits = &resources["limits"];
    for (name, amount) in resources["requests"].as_object().into_iter().flatten() {
        let wanted = Quantity::parse(text(amount)).unwrap_or_default();
        if Quantity::parse(text(&limits[name])).is_some_and(|limit| wanted > limit) {
            let detail = format!("must be less than or equal to {name} limit of {}", text(&limits[name]));
            causes.push(Cause::invalid(format!("{path}.requests"), amount.clone(), &detail));
        }
    }
}

fn volumes<'a>(spec: &'a Value, path: &str, causes: &mut Vec<Cause>) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (place, volume) in list(&spec["volumes"]).iter().enumerate() {
        let field = format!("{path}.volumes[{place}].name");
        let name = text(&volume["name"]);
        if name.is_empty() {
            causes.push(Cause::required(field, ""));
            continue;
        }
        causes.extend(not_a_label(field.clone(), name));
        if !names.insert(name) {
            causes.push(Cause::duplicate(field, name));
        }
    }
    names
}

fn toleration(toleration: &Value, path: &str, causes: &mut Vec<Cause>) {
    let (key, value, effect) = (text(&toleration["key"]), text(&toleration["value"]), text(&toleration["effect"]));
    let operator = toleration["operator"].as_str().unwrap_or("Equal");
    if !key.is_empty() && !is_key(key) {
        causes.push(Cause::invalid(format!("{path}.key"), key, "a valid label key is required"));
    }
    if key.is_empty() && operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        causes.push(Cause::invalid(format!("{path}.operator"), operator, detail));
    }
    match operator {
        "Equal" if !is_label_value(value) => {
            causes.push(Cause::invalid(format!("{path}.operator"), value, "a valid label value is required"));
        }
        "Exists" if !value.is_empty() => {
            let detail = "value must be empty when `operator` is 'Exists'";
            causes.push(Cause::invalid(format!("{path}.operator"), value, detail));
        }
        "Equal" | "Exists" => {}
        _ => causes.push(Cause::unsupported(format!("{path}.operator"), operator, &["Equal", "Exists"])),
    }
    if !["", "NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        let supported = ["NoExecute", "NoSchedule", "PreferNoSchedule"];
        causes.push(Cause::unsupported(format!("{path}.effect"), effect, &supported));
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
