//! Metrics: what is counted becomes a line on standard output that `CloudWatch` takes numbers out of, in its embedded
//! metric format. Nothing is sent, and nobody waits.
//!
//! Whoever counts something logs an event of [`TARGET`] whose fields are named as the metrics are:
//!
//! ```
//! use sluice_lambda::metrics;
//! tracing::info!(target: metrics::TARGET, RunsCreated = 1, run = "run-1");
//! ```
//!
//! So it is said where it happens, with the ids of the work that is under way, and goes nowhere unless somebody listens.
//! Those ids are members of the line and no dimensions: each new value of a dimension would be a metric more to pay for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sluice_domain::Timestamp;

use crate::logs::Members;

/// The target of events that count something.
pub const TARGET: &str = "sluice::metrics";

/// The variable that has metrics printed, or not.
pub const VARIABLE: &str = "SLUICE_METRICS";

/// All metrics by name, with their units.
pub const ALL: [(&str, &str); 14] = [
    ("Notifications", "Count"),
    ("NotificationsRefused", "Count"),
    ("RunTasks", "Count"),
    ("Waves", "Count"),
    ("RunsCreated", "Count"),
    ("RunsSaved", "Count"),
    ("ApplyToLastRunSeconds", "Seconds"),
    ("WorkAgeSeconds", "Seconds"),
    ("OldestDueWorkSeconds", "Seconds"),
    ("WorkRetried", "Count"),
    ("DeadLetters", "Count"),
    ("CallbacksAccepted", "Count"),
    ("CallbacksRefused", "Count"),
    ("ApiBudgetLeft", "Percent"),
];

/// All metrics are in this namespace.
pub const NAMESPACE: &str = "Sluice";

/// The one dimension: which installation.
pub const DIMENSION: &str = "Installation";

/// Most characters of a member that is no metric: a line has to stay short, whatever somebody calls a workspace.
const TEXT_CHARS_MAX: usize = 512;

/// A time in milliseconds, in seconds.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "no time is so long")]
pub fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

/// What metrics are printed as.
#[derive(Debug)]
pub(crate) struct Format {
    installation: String,
    function: Option<String>,
}

impl Format {
    /// How the environment has it: printed by functions in Lambda, unless `SLUICE_METRICS` says otherwise.
    pub(crate) fn from_vars(vars: &BTreeMap<String, String>) -> Option<Self> {
        let function = vars.get("AWS_LAMBDA_FUNCTION_NAME").cloned();
        let asked = vars.get(VARIABLE).and_then(|asked| asked.trim().parse().ok());
        asked.unwrap_or(function.is_some()).then(|| Self { function, ..Self::of_table(vars) })
    }

    /// Those of the installation whose table this is.
    pub(crate) fn of_table(vars: &BTreeMap<String, String>) -> Self {
        let table =
            vars.get("WORKSPACE_DEPENDENCIES_TABLE").map(|table| table.trim()).filter(|table| !table.is_empty());
        Self { installation: table.unwrap_or("sluice").to_owned(), function: None }
    }

    /// The line for what an event counts; None if it counts nothing.
    pub(crate) fn line(&self, counted: &Members, around: &Members, now: Timestamp) -> Option<String> {
        let mut line = Map::new();
        for (name, value) in around.iter().chain(counted.iter()) {
            let value = match value {
                Value::String(text) => text.chars().take(TEXT_CHARS_MAX).collect::<String>().into(),
                value => value.clone(),
            };
            line.insert((*name).to_owned(), value);
        }
        let is_counted = |name: &str| counted.get(name).is_some_and(Value::is_number);
        let metrics: Vec<Value> = ALL
            .iter()
            .filter(|(name, _)| is_counted(name))
            .map(|(name, unit)| json!({ "Name": name, "Unit": unit }))
            .collect();
        if metrics.is_empty() {
            return None;
        }
        line.insert(DIMENSION.to_owned(), self.installation.clone().into());
        if let Some(function) = &self.function {
            line.insert("function".to_owned(), function.clone().into());
        }
        let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics });
        line.insert("_aws".to_owned(), json!({ "Timestamp": now.0, "CloudWatchMetrics": [directive] }));
        Some(Value::Object(line).to_string())
    }
}
