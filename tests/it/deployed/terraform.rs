//! Terraform, with the provider that is on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::aws::{KEY_ID, REGION, SECRET_KEY};

fn infra() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra").canonicalize().unwrap()
}

/// Whether there is a terraform and AWS's provider; if not, says what a test skips for.
pub fn is_there() -> bool {
    let output = |argument| Command::new(infra().join("terraform")).arg(argument).output().unwrap();
    let version = output("version");
    if version.status.code() == Some(77) {
        println!("skipped: {}", String::from_utf8_lossy(&version.stderr).trim());
        return false;
    }
    assert!(version.status.success(), "{version:?}");
    let mirror = output("--mirror").status.success();
    if !mirror {
        println!("skipped: no mirror on this machine has the provider hashicorp/aws");
    }
    mirror
}

/// A configuration of a user's, which calls the module.
pub struct Terraform {
    directory: TempDir,
    endpoint: String,
}

impl Terraform {
    /// `settings` are the module's inputs, as HCL takes them.
    pub fn new(endpoint: &str, settings: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut inputs = settings.clone();
        inputs["source"] = infra().to_str().unwrap().into();
        let root = serde_json::json!({
            "provider": { "aws": { "region": REGION, "s3_use_path_style": true } },
            "module": { "sluice": inputs },
            "output": { "sluice": { "value": "${module.sluice}", "sensitive": true } },
        });
        fs::write(directory.path().join("main.tf.json"), root.to_string()).unwrap();
        Self { directory, endpoint: endpoint.to_owned() }
    }

    /// What it knows of the world, as text.
    pub fn state(&self) -> String {
        fs::read_to_string(self.directory.path().join("terraform.tfstate")).unwrap()
    }

    /// Runs a command that has to succeed, and returns what it printed.
    pub async fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "terraform {arguments:?}: {}\n{stdout}\n{stderr}", output.status);
        stdout.into_owned()
    }

    /// What another apply would change.
    pub async fn changes(&self) -> Vec<String> {
        let printed = self.must(&["plan", "-json"]).await;
        let lines = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let changes = lines.filter(|line| line["type"] == "planned_change");
        let change = |line: Value| {
            let change = &line["change"];
            format!("{} {}", change["action"].as_str().unwrap(), change["resource"]["addr"].as_str().unwrap())
        };
        changes.map(change).collect()
    }

    /// Runs a command, and returns how it ended.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(infra().join("terraform"));
        command.args(arguments).current_dir(self.directory.path());
        command.env("AWS_ENDPOINT_URL", &self.endpoint).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}
