//! What is alarming and what is drawn, held to what the functions count.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluice_lambda::metrics::{ALL, DIMENSION, NAMESPACE};

use super::{read, set, template};

fn counted() -> BTreeSet<String> {
    set(ALL.iter().map(|(name, _)| name))
}

/// The texts between quotation marks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// The metrics of ours that `infra/alarms.tf` names: each follows the namespace that it is in.
fn of_the_alarms() -> BTreeSet<String> {
    let text = read("infra/alarms.tf");
    let field = |line: &str, name: &str| {
        let (field, value) = line.split_once('=')?;
        (field.trim() == name).then(|| quoted(value).next().map(str::to_owned)).flatten()
    };
    let mut namespace = String::new();
    let mut metrics = BTreeSet::new();
    for line in text.lines() {
        namespace = field(line, "namespace").unwrap_or(namespace);
        metrics.extend(field(line, "metric").filter(|_| namespace == NAMESPACE));
    }
    metrics
}

/// Those that `infra/dashboard.tf` draws, a widget on a line.
fn of_the_dashboard() -> BTreeSet<String> {
    let text = read("infra/dashboard.tf");
    let ours = text.lines().filter_map(|line| line.split_once("metrics =")).filter(|(_, it)| it.contains("\"Sluice\""));
    set(ours.flat_map(|(_, metrics)| quoted(metrics)).filter(|word| *word != NAMESPACE))
}

/// What is in our namespace below `value`: metrics and their dimensions.
fn gather(value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) => {
            if object.get("Namespace") == Some(&json!(NAMESPACE)) {
                let dimensions = object.get("Dimensions").cloned().unwrap_or_default();
                found.push((object["MetricName"].as_str().unwrap().to_owned(), dimensions));
            }
            object.values().for_each(|value| gather(value, found));
        }
        Value::Array(all) => all.iter().for_each(|value| gather(value, found)),
        _ => {}
    }
}

#[test]
fn alarms_and_drawings_are_of_metrics_that_are_counted() {
    let counted = counted();
    let alarms = of_the_alarms();
    let unknown: Vec<_> = alarms.difference(&counted).collect();
    assert!(unknown.is_empty() && alarms.len() >= 3, "infra/alarms.tf: {unknown:?} of {alarms:?}");
    assert_eq!(of_the_dashboard(), counted, "infra/dashboard.tf");
    let text = read("infra/alarms.tf") + &read("infra/dashboard.tf");
    assert!(text.contains(&format!("{DIMENSION} = local.table_name")) && text.contains(&format!("\"{DIMENSION}\"")));

    let mut found = Vec::new();
    gather(&template::template(), &mut found);
    assert_eq!(set(found.iter().map(|(metric, _)| metric)), alarms, "infra/template.yaml");
    for (metric, dimensions) in found {
        assert_eq!(dimensions, json!([{ "Name": DIMENSION, "Value": { "Ref": "Table" } }]), "{metric}");
    }
}
