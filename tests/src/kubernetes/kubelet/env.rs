//! The environment of a container: its own variables over those of its sources, with references resolved.

use std::collections::BTreeMap;

use serde_json::Value;

use super::source::{Missing, Sources};

/// The variables of a container, or why it cannot be created.
pub(super) async fn resolve(
    sources: &Sources,
    pod: &Value,
    container: &Value,
) -> Result<BTreeMap<String, String>, Missing> {
    let mut variables = BTreeMap::new();
    for source in container["envFrom"].as_array().into_iter().flatten() {
        let prefix = source["prefix"].as_str().unwrap_or_default();
        for kind in ["secret", "configMap"] {
            let reference = &source[format!("{kind}Ref")];
            let Some(name) = reference["name"].as_str() else { continue };
            let data = match sources.data(kind, name).await {
                Err(Missing(_)) if reference["optional"] == true => continue,
                data => data?,
            };
            for (key, value) in data {
                variables.insert(format!("{prefix}{key}"), String::from_utf8_lossy(&value).into_owned());
            }
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default().to_owned();
        let value = match variable["value"].as_str().filter(|value| !value.is_empty()) {
            Some(value) => Some(expand(value, &variables)),
            None if variable["valueFrom"].is_object() => referred(sources, pod, &variable["valueFrom"]).await?,
            None => Some(String::new()),
        };
        if let Some(value) = value {
            variables.insert(name, value);
        }
    }
    Ok(variables)
}

/// What a reference stands for; nothing if it may be missing and is.
async fn referred(sources: &Sources, pod: &Value, from: &Value) -> Result<Option<String>, Missing> {
    if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
        return field(pod, path).map(Some);
    }
    for (kind, title) in [("secret", "Secret"), ("configMap", "ConfigMap")] {
        let reference = &from[format!("{kind}KeyRef")];
        let Some(name) = reference["name"].as_str() else { continue };
        let key = reference["key"].as_str().unwrap_or_default();
        let found = match sources.data(kind, name).await {
            Err(missing) if reference["optional"] != true => return Err(missing),
            found => found.ok().and_then(|data| data.get(key).cloned()),
        };
        if found.is_none() && reference["optional"] != true {
            return Err(Missing(format!("couldn't find key {key} in {title} {}/{name}", sources.namespace())));
        }
        return Ok(found.map(|value| String::from_utf8_lossy(&value).into_owned()));
    }
    Err(Missing("invalid valueFrom".to_owned()))
}

/// A field of the pod, as the downward API names it.
pub(super) fn field(pod: &Value, path: &str) -> Result<String, Missing> {
    let text = |value: &Value| Ok(value.as_str().unwrap_or_default().to_owned());
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let map = map.strip_prefix("metadata.").filter(|map| matches!(*map, "labels" | "annotations"));
        return map.map_or_else(|| Err(unsupported(path)), |map| text(&pod["metadata"][map][key]));
    }
    match path {
        "metadata.name" | "metadata.namespace" | "metadata.uid" => text(&pod["metadata"][&path["metadata.".len()..]]),
        "spec.nodeName" | "spec.serviceAccountName" => text(&pod["spec"][&path["spec.".len()..]]),
        "status.hostIP" | "status.podIP" => Ok("127.0.0.1".to_owned()),
        _ => Err(unsupported(path)),
    }
}

fn unsupported(path: &str) -> Missing {
    Missing(format!("unsupported fieldPath: {path}"))
}

/// Puts values in place of `$(NAME)`; `$$` is a dollar, and what is not known stays as it is.
pub(super) fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(place) = rest.find('$') {
        expanded.push_str(&rest[..place]);
        rest = &rest[place..];
        if let Some(after) = rest.strip_prefix("$$") {
            expanded.push('$');
            rest = after;
            continue;
        }
        let reference = rest.strip_prefix("$(").and_then(|after| after.split_once(')'));
        if let Some((name, after)) = reference {
            let known = variables.get(name).map(String::as_str);
            expanded.push_str(known.unwrap_or(&rest[..name.len() + 3]));
            rest = after;
        } else {
            expanded.push('$');
            rest = &rest[1..];
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_expanded_where_they_are_known() {
        let variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, expected) in
            [("$(A)-$(A)", "1-1"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("$A $", "$A $"), ("$(A", "$(A"), ("x", "x")]
        {
            assert_eq!(expand(text, &variables), expected, "{text}");
        }
    }
}
