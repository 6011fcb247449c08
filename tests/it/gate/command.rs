//! `sluice tasks`, and `sluice serve --tasks`: definitions and policies from a file, looked at closely on the way.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::scene::after_plan;
use crate::serve::program::{Ended, run_in, run_until_told, vars};

const POLICY: &str = "package main\nimport rego.v1\ndeny contains msg if {\n\tmsg := data.words.no\n\tinput.never\n}\n";

/// A directory with a policy as a directory, the same as a bundle, and these tasks.
fn directory(file: &Value) -> TempDir {
    let directory = TempDir::new().unwrap();
    let at = |path: &str| directory.path().join(path);
    std::fs::create_dir_all(at("policy/words")).unwrap();
    std::fs::write(at("policy/main.rego"), POLICY).unwrap();
    std::fs::write(at("policy/words/data.json"), r#"{"no": "no"}"#).unwrap();
    let mut bundle = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    bundle.append_dir_all(".", at("policy")).unwrap();
    std::fs::File::create(at("bundle.tar.gz"))
        .unwrap()
        .write_all(&bundle.into_inner().unwrap().finish().unwrap())
        .unwrap();
    std::fs::write(at("tasks.json"), file.to_string()).unwrap();
    directory
}

fn valid() -> Value {
    let checks = json!([
        { "name": "preview", "kind": "preview" },
        { "name": "words", "kind": "rego", "policy": "words" },
        { "name": "packed", "kind": "rego", "policy": "packed" },
    ]);
    let mut off = after_plan(&json!([{ "name": "above", "kind": "upstream" }]));
    (off["name"], off["enabled"]) = (json!("later"), json!(false));
    json!({ "tasks": [after_plan(&checks), off], "policies": { "words": "policy", "packed": "bundle.tar.gz" } })
}

async fn tasks(directory: &Path, arguments: &[&str]) -> Ended {
    let arguments: Vec<&str> = ["tasks"].iter().chain(arguments).copied().collect();
    run_in(Some(directory), &arguments, &vars([])).await
}

#[tokio::test]
async fn a_valid_file_is_stored_and_listed() {
    let directory = directory(&valid());
    let path = directory.path();
    let ended = tasks(path, &["tasks.json", "--check"]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "valid: 2 run tasks and 2 policies\n"),
        "{}",
        ended.stderr
    );
    assert!(!path.join("sluice-data").exists(), "--check stores nothing");
    let ended = tasks(path, &[]).await;
    assert_eq!(ended.code, Some(2), "there is nothing yet");

    // Serving stores them, too; beside it they are stored again and listed.
    let vars = vars([("API_TOKEN", "t"), ("NOTIFICATION_TOKEN", "n"), ("TFE_ADDRESS", "http://127.0.0.1:9")]);
    let file = path.join("tasks.json");
    let data = path.join("sluice-data");
    let (file, data) = (file.to_str().unwrap(), data.to_str().unwrap());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data, "--tasks", file];
    run_until_told(&serve, &vars, "listening on").await;
    let listed = "guard: preview (preview), words (rego), packed (rego)\nlater: above (upstream), not enabled\n";
    assert_eq!(tasks(path, &[]).await.stdout, listed);
    let ended = tasks(path, &["tasks.json"]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "stored 2 run tasks and 2 policies\n"),
        "{}",
        ended.stderr
    );
    assert_eq!(tasks(path, &[]).await.stdout, listed);
}

/// What is said of a file that is not valid, by every command that takes it.
async fn told(change: impl FnOnce(&mut Value, &Path), expect: &str) {
    let directory = directory(&json!({}));
    let path = directory.path();
    let mut file = valid();
    change(&mut file, path);
    std::fs::write(path.join("tasks.json"), file.to_string()).unwrap();
    let ended = tasks(path, &["tasks.json", "--check"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.starts_with(&format!("sluice: {expect}")), "{}", ended.stderr);
    let serve = ["serve", "--listen", "127.0.0.1:0", "--tasks", "tasks.json"];
    let vars = vars([("API_TOKEN", "t"), ("NOTIFICATION_TOKEN", "n")]);
    let ended = run_in(Some(path), &serve, &vars).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains(expect), "{}", ended.stderr);
    assert!(!path.join("sluice-data").exists(), "nothing is begun");
}

#[tokio::test]
async fn a_file_that_is_not_valid_is_refused_and_the_field_pointed_at() {
    let invalid =
        |task: usize, fault: &str| format!("tasks[{task}]: the definition of a run task is not valid: {fault}");
    told(|file, _| file["tasks"][0]["checks"][0]["kind"] = json!("previews"), &invalid(0, "checks[0].kind is none of"))
        .await;
    told(|file, _| file["tasks"][1]["timeout_seconds"] = json!(0), &invalid(1, "timeout_seconds is 0")).await;
    told(
        |file, _| file["tasks"][0]["hmac_keys"] = json!(["hunter2"]),
        &invalid(0, "hmac_keys[0] is not where a key is kept"),
    )
    .await;
    told(|file, _| file["tasks"][0]["colour"] = json!("red"), "tasks[0]: colour: unknown field `colour`").await;
    told(|file, _| file["colour"] = json!("red"), "tasks.json is not a file of run tasks: unknown field `colour`")
        .await;
    told(|file, _| file["policies"]["no/name"] = json!("policy"), "policies: \"no/name\" is not a policy name").await;
    told(|file, _| file["policies"]["words"] = json!("elsewhere"), "policies.words: could not read").await;
    told(|file, _| file["policies"]["words"] = json!("tasks.json"), "policies.words: the bundle is not a .tar.gz file")
        .await;
    told(
        |_, path| std::fs::write(path.join("policy/main.rego"), "package main\ndeny[").unwrap(),
        "policies.words, as check words of guard asks for it",
    )
    .await;
    told(
        |file, _| file["tasks"][0]["checks"][1]["namespaces"] = json!(["other"]),
        "policies.words, as check words of guard asks for it",
    )
    .await;
}
