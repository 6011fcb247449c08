use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing::{debug, info, info_span, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// The lines that are written meanwhile.
fn written(logs: Option<Level>, vars: &[(&str, &str)], meanwhile: impl FnOnce()) -> Vec<Value> {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let lines = kept.clone();
    let write = move |line: &str| lines.lock().unwrap().push(line.to_owned());
    let lines = Lines::new(logs, Format::from_vars(&vars), write);
    let wanted = lines.wanted();
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(wanted));
    tracing::subscriber::with_default(subscriber, meanwhile);
    let kept = kept.lock().unwrap();
    let whole = |line: &String| line.ends_with('\n') && line.matches('\n').count() == 1;
    assert!(kept.iter().all(whole), "{kept:?}");
    kept.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const LAMBDA: [(&str, &str); 2] =
    [("AWS_LAMBDA_FUNCTION_NAME", "sluice-sweeper"), ("WORKSPACE_DEPENDENCIES_TABLE", "prod")];

#[test]
fn a_line_has_the_ids_of_all_that_is_around_it() {
    let lines = written(Some(Level::INFO), &[], || {
        let _invocation = info_span!("invocation", requestId = "r-1").entered();
        let work = info_span!("work", work = "a run", trace = tracing::field::Empty).entered();
        info!(run.id = "run-1", attempt = 2, "a sentence\nof two lines");
        work.record("trace", "t-1");
        warn!(work = "another", "late");
        debug!("not wanted");
        debug!(target: "hyper", "never wanted");
    });
    let first = json!({"level": "INFO", "message": "a sentence\nof two lines", "requestId": "r-1", "work": "a run",
        "run": "run-1", "attempt": 2});
    let second = json!({"level": "WARN", "message": "late", "requestId": "r-1", "work": "another", "trace": "t-1"});
    assert_eq!(lines, [first, second]);
}

#[test]
fn what_is_counted_is_printed_in_lambda_or_on_demand() {
    let count = || info!(target: metrics::TARGET, RunsCreated = 1);
    for (vars, printed) in [
        (vec![], 0),
        (vec![("SLUICE_METRICS", "true")], 1),
        (LAMBDA.to_vec(), 1),
        ([&LAMBDA[..], &[("SLUICE_METRICS", "false")]].concat(), 0),
    ] {
        for logs in [None, Some(Level::ERROR), Some(Level::TRACE)] {
            assert_eq!(written(logs, &vars, count).len(), printed, "{vars:?} {logs:?}");
        }
    }
}

#[test]
fn a_metric_names_itself_its_unit_and_its_installation() {
    let lines = written(Some(Level::WARN), &LAMBDA, || {
        let _work = info_span!("work", trace = "t-1").entered();
        let age: Option<f64> = None;
        info!(target: metrics::TARGET, RunsCreated = 1, ApplyToLastRunSeconds = 2.5, WorkAgeSeconds = age, run = "run-1");
        info!(target: metrics::TARGET, run = "run-1", Misspelled = 1);
        info!(target: metrics::TARGET, RunsCreated = "many");
        info!("not logged");
    });
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let aws = &line["_aws"];
    assert!(aws["Timestamp"].as_u64().unwrap() > 1_600_000_000_000);
    assert_eq!(
        aws["CloudWatchMetrics"],
        json!([{"Namespace": "Sluice", "Dimensions": [["Installation"]], "Metrics": [
            {"Name": "RunsCreated", "Unit": "Count"}, {"Name": "ApplyToLastRunSeconds", "Unit": "Seconds"}]}])
    );
    let mut rest = line.clone();
    rest.as_object_mut().unwrap().remove("_aws");
    let expect = json!({"Installation": "prod", "function": "sluice-sweeper", "trace": "t-1", "run": "run-1",
        "RunsCreated": 1, "ApplyToLastRunSeconds": 2.5});
    assert_eq!(rest, expect);
}

#[test]
fn a_line_of_metrics_stays_short() {
    let name = "ü".repeat(300_000);
    let lines = written(None, &LAMBDA, || info!(target: metrics::TARGET, Waves = 1, workspace = name));
    assert!(lines[0].to_string().len() < 4_000);
}
