//! `sluice serve` with a kubeconfig, killed while a job runs for it: whatever it had begun it brings to its end, once;
//! and nothing that it prints has a secret in it, however much it is told to print.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use sluice_domain::TaskResultId;
use sluice_tests::hcp::{Enforcement, RunOptions, RunTaskSpec, Stage as TaskStage, Timings};
use sluice_tests::kubernetes::{Cluster, Kubelet};
use tempfile::TempDir;

use super::scene::{IMAGE, NAMESPACE, check, jobs_ever, namespace, sh, variables};
use crate::gate::leaks;
use crate::gate::scene::{KEY, PATIENCE, after_plan, until};
use crate::serve::program::vars;
use crate::serve::stage::Stage;

/// A program that says that it is there, and goes on when it may.
const PROGRAM: &str = "env -0 > $DIR/env; echo $TASK_DATA_ID >> $DIR/starts; \
                       while [ ! -e $DIR/$TASK_DATA_ID ]; do sleep 0.02; done; echo well";

struct Killed {
    stage: Stage,
    cluster: Cluster,
    kubelet: Kubelet,
    directory: TempDir,
    /// What was printed by those that were killed.
    log: String,
}

impl Killed {
    async fn new() -> Self {
        let cluster = Cluster::start().await;
        namespace(&cluster.client().await, NAMESPACE).await;
        let directory = tempfile::tempdir().unwrap();
        let image = sh(PROGRAM).env("DIR", directory.path().to_str().unwrap());
        let kubelet = Kubelet::start(&cluster, [(IMAGE, image)]).await;
        let kubeconfig = directory.path().join("kubeconfig");
        std::fs::write(&kubeconfig, cluster.kubeconfig()).unwrap();
        let more = vars([
            ("TASK_KEY", KEY),
            ("KUBECONFIG", kubeconfig.to_str().unwrap()),
            ("SLUICE_JOB_NAMESPACE", NAMESPACE),
            ("SLUICE_LOG", "trace"),
        ]);
        let stage = Stage::with("a", Timings::default(), more).await;
        stage.hcp.task_options(|options| {
            options.attempts = 2_000;
            options.spacing = Duration::from_millis(20);
        });
        let arguments = json!({ "password": "payload-secret-91c" });
        let checks = json!([check("cost", json!({ "image": IMAGE, "arguments": arguments }))]);
        let file = stage.data().join("tasks.json");
        std::fs::write(&file, json!({ "tasks": [after_plan(&checks)] }).to_string()).unwrap();
        let stored = stage.sluice(&["tasks", file.to_str().unwrap()]).await;
        assert_eq!(stored.stdout, "stored 1 run task and 0 policies\n", "{}", stored.stderr);
        let spec = RunTaskSpec::new("guard", &format!("{}/run-tasks/guard", stage.url)).hmac_key(KEY);
        let task = stage.hcp.create_run_task(spec).await.unwrap();
        stage.hcp.attach_run_task("a", &task, Enforcement::Mandatory, &[TaskStage::PostPlan]);
        Self { stage, cluster, kubelet, directory, log: String::new() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn starts(&self, result: &str) -> usize {
        let starts = std::fs::read_to_string(self.file("starts")).unwrap_or_default();
        starts.lines().filter(|line| *line == result).count()
    }

    fn kill(&mut self) {
        self.log += &self.stage.server.as_ref().unwrap().log();
        self.stage.kill();
    }

    /// A run that is asked about; its task result.
    async fn run(&self) -> String {
        let before = self.stage.hcp.task_results("a").len();
        self.stage.hcp.touch("a");
        self.stage.hcp.start_run("a", RunOptions::new("gated"));
        let asked = self.stage.hcp.until(|hcp| hcp.task_results("a").get(before).map(|result| result.id.clone()));
        tokio::time::timeout(PATIENCE, asked).await.expect("nothing is asked")
    }

    /// Waits until the cluster was asked this once more.
    async fn asked(&self, verb: &str, resource: &str, before: usize) {
        let asked = async || (self.cluster.count(verb, resource) > before).then_some(());
        until(&format!("the cluster is not asked to {verb} {resource}"), asked).await;
    }

    async fn runs(&self, result: &str) {
        until("its program does not run", async || (self.starts(result) > 0).then_some(())).await;
    }

    /// Lets the program end.
    fn go(&self, result: &str) {
        std::fs::write(self.file(result), "").unwrap();
    }

    /// There was one of everything, and nothing is left.
    async fn assert_answered(&self, result: &str) {
        let done = tokio::time::timeout(PATIENCE, self.stage.hcp.task_result_done(result)).await;
        let result = done.unwrap_or_else(|_| panic!("no answer: {:#?}", self.stage.hcp.task_result(result)));
        assert_eq!((result.status.as_str(), result.accepted_finals()), ("passed", 1), "{result:#?}");
        assert_eq!(result.message, "cost: well");
        assert_eq!(self.starts(&result.id), 1);
        let known: TaskResultId = result.id.parse().unwrap();
        let jobs = jobs_ever(&self.cluster, &known.of(&"guard".parse().unwrap()), "cost");
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        until("something is left", async || self.cluster.left().is_empty().then_some(())).await;
    }
}

#[tokio::test]
async fn a_server_that_is_killed_at_any_moment_has_its_program_run_once() {
    let mut killed = Killed::new().await;
    // While nobody is there, HCP Terraform asks in vain.
    killed.kill();
    let result = killed.run().await;
    killed.stage.restart().await;
    killed.go(&result);
    killed.assert_answered(&result).await;

    // While the Job is being made.
    for (verb, resource) in [("create", "jobs"), ("create", "secrets"), ("patch", "jobs")] {
        let before = killed.cluster.count(verb, resource);
        let result = killed.run().await;
        killed.asked(verb, resource, before).await;
        killed.kill();
        killed.stage.restart().await;
        killed.go(&result);
        killed.assert_answered(&result).await;
    }

    // While its program runs; that ends while nobody is there.
    let result = killed.run().await;
    killed.runs(&result).await;
    killed.kill();
    killed.go(&result);
    let ended = |killed: &Killed| killed.cluster.everything().matches("\"phase\":\"Succeeded\"").count();
    let before = ended(&killed);
    until("its program does not end", async || (ended(&killed) > before).then_some(())).await;
    killed.stage.restart().await;
    killed.assert_answered(&result).await;

    // Between its end and what follows from it.
    for (verb, resource) in [("get", "pods/log"), ("delete", "jobs")] {
        let before = killed.cluster.count(verb, resource);
        let result = killed.run().await;
        killed.runs(&result).await;
        killed.go(&result);
        killed.asked(verb, resource, before).await;
        killed.kill();
        killed.stage.restart().await;
        killed.assert_answered(&result).await;
    }

    killed.stage.rest().await;
    let (code, log) = killed.stage.terminate().await;
    assert_eq!(code, Some(0));
    killed.log += &log;
    assert!(killed.log.contains("DEBUG") && killed.log.contains(&result), "nothing is printed");
    leaks::assert_absent(&killed.stage.hcp, "the log", &killed.log);
    let told = variables(&std::fs::read_to_string(killed.file("env")).unwrap());
    let kubeconfig = killed.cluster.kubeconfig();
    let token = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap();
    let payload = &told["JSON_PAYLOAD"];
    for secret in [&told["terrakubeToken"], &told["SLUICE_TOKEN"], payload, "payload-secret-91c", token] {
        let line = killed.log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "a secret is printed: {line:?}");
    }
    let files = leaks::files_of(&killed.stage.data());
    assert!(files.contains(&result), "the table is elsewhere");
    leaks::assert_none(&killed.stage.hcp, &files, &[]);
    for token in [&told["terrakubeToken"], &told["SLUICE_TOKEN"]] {
        assert!(!files.contains(token.as_str()), "a token is in the table");
    }
    assert_eq!(killed.kubelet.starts(IMAGE), killed.stage.hcp.task_results("a").len());
}
