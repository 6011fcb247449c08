//! Policies in a child process. This program is both sides: with the argument that the evaluator gives, it is the
//! child; otherwise it runs the tests, and prints what the standard harness would.

#![expect(clippy::unwrap_used, reason = "the standard harness is what tells the linter that these are tests")]

mod bounds;
mod conftest;
mod files;
mod saving;

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::{env, io};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use sluice_task_runner::rego::{
    EVALUATE_POLICY, EvaluateError, Evaluator, Findings, Input, Limits, Namespaces, Policy, child_main,
};

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some(EVALUATE_POLICY) => child_main(io::stdin().lock(), io::stdout().lock()),
        Some(act) if act.starts_with("as-") => bounds::child(act, args.get(1)),
        _ => tests(&args),
    }
}

fn tests(args: &[String]) -> ExitCode {
    let all: Vec<Test> = [conftest::TESTS, saving::TESTS, bounds::TESTS, files::TESTS].concat();
    if args.iter().any(|arg| arg == "--list") {
        for (name, _) in &all {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let chosen: Vec<Test> = all.iter().copied().filter(|(name, _)| wanted(name)).collect();
    println!("\nrunning {} tests", chosen.len());
    let mut failed: Vec<&str> = Vec::new();
    for (name, test) in &chosen {
        print!("test {name} ... ");
        io::stdout().flush().unwrap();
        let ok = catch_unwind(test).is_ok();
        println!("{}", if ok { "ok" } else { "FAILED" });
        failed.extend((!ok).then_some(*name));
    }
    let (result, code) = if failed.is_empty() { ("ok", ExitCode::SUCCESS) } else { ("FAILED", ExitCode::from(101)) };
    let (passed, left) = (chosen.len() - failed.len(), all.len() - chosen.len());
    println!("\nfailures: {failed:?}");
    println!("\ntest result: {result}. {passed} passed; {} failed; {left} filtered out\n", failed.len());
    code
}

/// A policy of one module.
fn policy(source: &str) -> Policy {
    policies(&[("policy/main.rego", source)])
}

fn policies(modules: &[(&str, &str)]) -> Policy {
    let modules = modules.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned()));
    Policy { modules: modules.collect::<BTreeMap<_, _>>(), ..Policy::default() }
}

fn evaluator() -> Evaluator {
    Evaluator::this_program(Limits::default()).unwrap()
}

/// A plan that comes in small chunks.
fn chunks(plan: &[u8]) -> impl Stream<Item = Result<Bytes, io::Error>> + use<> {
    let chunks: Vec<_> = plan.chunks(100).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    stream::iter(chunks)
}

fn run() -> Value {
    json!({"run_id": "run-1", "workspace_name": "network", "is_speculative": false})
}

fn now<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn evaluate_by<S>(evaluator: &Evaluator, policy: &Policy, plan: S) -> Result<Findings, EvaluateError>
where
    S: Stream<Item = Result<Bytes, io::Error>>,
{
    let input = Input { run: run(), context: json!({"consumers": ["ws-2"]}), plan: Some(plan) };
    now(evaluator.evaluate(policy, &Namespaces::default(), input))
}

fn evaluate(policy: &Policy, plan: &Value) -> Result<Findings, EvaluateError> {
    evaluate_by(&evaluator(), policy, chunks(plan.to_string().as_bytes()))
}

/// What the findings say: `denied` or `warned`, the rule, the message.
fn told(findings: &Findings) -> Vec<String> {
    let denied = findings.denied.iter().map(|finding| ("denied", finding));
    let warned = findings.warned.iter().map(|finding| ("warned", finding));
    denied
        .chain(warned)
        .map(|(what, finding)| format!("{what} {}.{}: {}", finding.namespace, finding.rule, finding.msg))
        .collect()
}

/// A plan that makes a bucket public, and another without tags.
fn plan() -> Value {
    let change = |address: &str, kind: &str, name: &str, actions: &[&str], after: Value| {
        json!({"address": address, "mode": "managed", "type": kind, "name": name,
            "provider_name": "registry.terraform.io/hashicorp/aws",
            "change": {"actions": actions, "before": null, "after": after, "after_unknown": {"id": true, "arn": true},
                "before_sensitive": false, "after_sensitive": {}}})
    };
    json!({
        "format_version": "1.2", "terraform_version": "1.9.8",
        "variables": {"region": {"value": "eu-central-1"}},
        "resource_changes": [
            change("aws_s3_bucket.logs", "aws_s3_bucket", "logs", &["create"],
                json!({"bucket": "acme-logs", "acl": "public-read", "tags": {"owner": "platform"}})),
            change("aws_s3_bucket.backups", "aws_s3_bucket", "backups", &["create"],
                json!({"bucket": "acme-backups", "acl": "private", "tags": null})),
            change("aws_db_instance.main", "aws_db_instance", "main", &["delete", "create"],
                json!({"engine": "postgres", "engine_version": "14.9", "allocated_storage": 20,
                    "tags": {"owner": "data"}})),
        ],
        "output_changes": {"bucket": {"actions": ["create"], "before": null, "after_unknown": true}},
        "relevant_attributes": [], "timestamp": "2026-11-20T10:00:00Z", "applyable": true, "complete": true,
        "errored": false
    })
}
