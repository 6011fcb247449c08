//! CloudWatch's embedded metric format, as its specification has it: what is not so is no metric to CloudWatch.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sluice_lambda::metrics;

/// The longest log event that CloudWatch Logs has always taken, in bytes, with what it adds to each.
const LINE_BYTES_MAX: usize = (256 << 10) - 26;

const VALUES_MAX: usize = 100;
const DIMENSIONS_MAX: usize = 30;
const NAME_CHARS_MAX: usize = 1_024;

const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// What a line says, if it is as the specification has it: the values of its metrics, by name.
pub fn values(line: &str) -> Result<BTreeMap<String, Vec<f64>>, String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("{} bytes", line.len()));
    }
    let root: Map<String, Value> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let aws = object(root.get("_aws"), "_aws")?;
    only(aws, &["Timestamp", "CloudWatchMetrics"])?;
    let timestamp = aws.get("Timestamp").and_then(Value::as_u64).ok_or("Timestamp is no whole number")?;
    if !(1_000_000_000_000..10_000_000_000_000).contains(&timestamp) {
        return Err(format!("{timestamp} are no milliseconds since 1970"));
    }
    let mut found = BTreeMap::new();
    for directive in array(aws.get("CloudWatchMetrics"), "CloudWatchMetrics")? {
        let directive = object(Some(directive), "a directive")?;
        only(directive, &["Namespace", "Dimensions", "Metrics"])?;
        name(directive.get("Namespace"), "Namespace")?;
        for set in array(directive.get("Dimensions"), "Dimensions")? {
            let set = array(Some(set), "a dimension set")?;
            if set.len() > DIMENSIONS_MAX {
                return Err("too many dimensions".to_owned());
            }
            for dimension in set {
                name(root.get(name(Some(dimension), "a dimension")?), "the value of a dimension")?;
            }
        }
        let metrics = array(directive.get("Metrics"), "Metrics")?;
        if metrics.is_empty() || metrics.len() > VALUES_MAX {
            return Err(format!("{} metrics", metrics.len()));
        }
        for metric in metrics {
            let metric = object(Some(metric), "a metric")?;
            only(metric, &["Name", "Unit", "StorageResolution"])?;
            let unit = metric.get("Unit").and_then(Value::as_str).unwrap_or("None");
            if !UNITS.contains(&unit) {
                return Err(format!("there is no unit {unit}"));
            }
            let metric = name(metric.get("Name"), "Name")?;
            if found.insert(metric.to_owned(), numbers(root.get(metric), metric)?).is_some() {
                return Err(format!("{metric} comes twice"));
            }
        }
    }
    if found.is_empty() { Err("no metric".to_owned()) } else { Ok(found) }
}

/// The values of a line of ours: what the specification leaves open is as the documentation has it.
#[track_caller]
pub fn ours(line: &str, installation: &str) -> BTreeMap<String, Vec<f64>> {
    let values = values(line).unwrap_or_else(|wrong| panic!("{wrong}: {line}"));
    let root: Value = serde_json::from_str(line).unwrap();
    let directive = &root["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "Sluice", "{line}");
    assert_eq!(directive["Dimensions"], serde_json::json!([["Installation"]]), "{line}");
    assert_eq!(root["Installation"], installation, "{line}");
    let known: BTreeMap<_, _> = metrics::ALL.into_iter().collect();
    for metric in directive["Metrics"].as_array().unwrap() {
        assert_eq!(known.get(metric["Name"].as_str().unwrap()).copied(), metric["Unit"].as_str(), "{line}");
    }
    // What is like a metric is one: a name that is misspelled where it is counted would be lost.
    let told: BTreeSet<&str> = root.as_object().unwrap().keys().map(String::as_str).collect();
    for member in told.iter().filter(|member| member.starts_with(|first: char| first.is_ascii_uppercase())) {
        assert!(values.contains_key(*member) || *member == "Installation", "{member} in {line}");
    }
    values
}

fn object<'a>(value: Option<&'a Value>, what: &str) -> Result<&'a Map<String, Value>, String> {
    value.and_then(Value::as_object).ok_or_else(|| format!("{what} is no object"))
}

fn array<'a>(value: Option<&'a Value>, what: &str) -> Result<&'a Vec<Value>, String> {
    value.and_then(Value::as_array).ok_or_else(|| format!("{what} is no array"))
}

fn name<'a>(value: Option<&'a Value>, what: &str) -> Result<&'a str, String> {
    let name = value.and_then(Value::as_str).ok_or_else(|| format!("{what} is no text"))?;
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || name.starts_with(':') {
        return Err(format!("{what} is not valid: {name:?}"));
    }
    Ok(name)
}

fn numbers(value: Option<&Value>, what: &str) -> Result<Vec<f64>, String> {
    let numbers: Option<Vec<f64>> = match value {
        Some(Value::Array(values)) => values.iter().map(Value::as_f64).collect(),
        value => value.and_then(Value::as_f64).map(|value| vec![value]),
    };
    match numbers {
        Some(numbers) if (1..=VALUES_MAX).contains(&numbers.len()) => Ok(numbers),
        _ => Err(format!("{what} has no values, or too many")),
    }
}

fn only(object: &Map<String, Value>, members: &[&str]) -> Result<(), String> {
    match object.keys().find(|member| !members.contains(&member.as_str())) {
        Some(other) => Err(format!("{other} has no meaning here")),
        None => Ok(()),
    }
}

#[test]
fn the_rules_refuse_what_cloudwatch_would() {
    let good = r#"{"_aws":{"Timestamp":1795168990000,"CloudWatchMetrics":[{"Namespace":"Sluice","Dimensions":
        [["Installation"]],"Metrics":[{"Name":"Waves","Unit":"Count"}]}]},"Installation":"sluice","Waves":1}"#;
    assert_eq!(values(good).unwrap(), [("Waves".to_owned(), vec![1.0])].into());
    for (from, to) in [
        ("1795168990000", "1795168990"),
        ("1795168990000", "\"now\""),
        ("\"Namespace\":\"Sluice\",", ""),
        ("[[\"Installation\"]]", "[\"Installation\"]"),
        ("\"Installation\":\"sluice\",", ""),
        ("\"Installation\":\"sluice\"", "\"Installation\":\"\""),
        ("\"Installation\":\"sluice\"", "\"Installation\":7"),
        ("\"Count\"", "\"Counts\""),
        ("\"Waves\":1", "\"Waves\":\"1\""),
        ("\"Waves\":1", "\"Waves\":[]"),
        ("\"Waves\":1", "\"Wave\":1"),
        ("\"Unit\"", "\"Units\""),
        ("[{\"Name\":\"Waves\",\"Unit\":\"Count\"}]", "[]"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(values(&bad).is_err(), "{bad}");
    }
    let many = format!("\"Waves\":[{}1]", "1,".repeat(100));
    assert!(values(&good.replace("\"Waves\":1", &many)).is_err());
    assert!(values(&good.replace("\"sluice\"", &format!("\"sluice\",\"x\":\"{}\"", "x".repeat(300_000)))).is_err());
}
