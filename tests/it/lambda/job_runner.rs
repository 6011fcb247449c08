//! job-runner, by its program.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_domain::gate::CheckVerdict;
use sluice_domain::ports::{Bell, GateStore};
use sluice_domain::{CheckName, Queue, WorkKey};
use sluice_tests::kubernetes::{Cluster, Kubelet};
use tempfile::TempDir;

use super::broken::{self, apart_from};
use super::emulator::{Emulated, free_address};
use super::gate::{Asked, batch, sequence_number, task};
use super::runtime::{RuntimeApi, Told};
use super::{LATER, Vars, aws, vars};
use crate::jobs::scene::{IMAGE, NAMESPACE, image, namespace, sh};

const FUNCTION: &str = "job-runner";

/// Most times that it is rung for: whatever is news of a job rings once.
const RINGS_MAX: usize = 40;

/// A task that HCP Terraform has asked, and a cluster for its jobs.
struct Clustered {
    asked: Asked,
    cluster: Cluster,
    kubelet: Kubelet,
    directory: TempDir,
}

impl Clustered {
    async fn new() -> Self {
        let cluster = Cluster::start().await;
        namespace(&cluster.client().await, NAMESPACE).await;
        let kubelet =
            Kubelet::start(&cluster, [(IMAGE, sh("echo \"$SLUICE_CHECK of $LAGOON_PROJECT\"; exit 3"))]).await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config"), cluster.kubeconfig()).unwrap();
        let checks = json!([image("scan"), image("lint"), { "name": "upstream", "kind": "upstream" }]);
        Self { asked: Asked::of(task(&checks)).await, cluster, kubelet, directory }
    }

    /// The function's variables, with the kubeconfig in this one.
    fn vars(&self, variable: &str) -> Vars {
        let kubeconfig = self.directory.path().join("config");
        let more = [(variable, kubeconfig.to_str().unwrap()), ("SLUICE_JOB_NAMESPACE", NAMESPACE)];
        self.asked.vars().into_iter().chain(vars(&more)).collect()
    }

    /// Records of both jobs, one of them twice, among those of other queues.
    fn doorbell(&self) -> String {
        let pk = self.asked.pk();
        let ours = [(pk.as_str(), "JOB#scan"), (&pk, "JOB#lint"), (&pk, "JOB#lint")];
        batch(&[&ours[..], &[(&pk, "CHECK#upstream"), (&pk, "RELAY"), (&pk, "TASK"), ("something", "else")]].concat())
    }

    async fn due(&self) -> Vec<WorkKey> {
        self.asked.around.store.table.due(Queue::Job, LATER, 50).await.unwrap()
    }

    /// Both jobs have ended, once, and nothing is left of them; what they came to is there for run-task-relay to tell.
    async fn check(&self) {
        let gated = self.asked.around.store.table.gated(&self.asked.result).await.unwrap().unwrap();
        for name in ["scan", "lint"] {
            let check: CheckName = name.parse().unwrap();
            let end = gated.executions[&check].end.as_ref().unwrap();
            assert_eq!(end.verdict, CheckVerdict::Failed);
            assert_eq!(end.message, format!("exit code 3: {name} of network"));
        }
        let left = async {
            while !self.cluster.left().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), left).await.unwrap();
        assert_eq!(self.kubelet.starts(IMAGE), 2);
        assert_eq!(self.asked.view().callbacks, []);
    }
}

#[tokio::test]
async fn jobs_are_begun_watched_and_taken_away_as_often_as_it_takes_to_ring() {
    let clustered = Clustered::new().await;
    for variable in ["KUBECONFIG", "SLUICE_KUBECONFIG"] {
        let mut lambda = RuntimeApi::start().await;
        let _running = lambda.run(FUNCTION, clustered.vars(variable));
        let mut rings = 0;
        while rings == 0 || !clustered.due().await.is_empty() {
            assert!(rings < RINGS_MAX, "{:?} are still due", clustered.due().await);
            assert_eq!(lambda.answer(clustered.doorbell()).await, json!({ "batchItemFailures": [] }));
            rings += 1;
        }
        // Whoever is told again, by another kubeconfig of the same cluster, finds everything done.
        clustered.check().await;
    }
}

#[tokio::test]
async fn jobs_come_again_while_the_table_is_away_and_what_is_not_theirs_does_not() {
    let clustered = Clustered::new().await;
    let mut settings = clustered.vars("KUBECONFIG");
    settings.extend(vars(&[("AWS_ENDPOINT_URL_DYNAMODB", &format!("http://{}", free_address()))]));
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings);
    let answer = lambda.answer(clustered.doorbell()).await;
    let failures = answer["batchItemFailures"].as_array().unwrap();
    let mut failed: Vec<_> = failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect();
    failed.sort_unstable();
    // The third record rings for the same as the second.
    assert_eq!(failed, [sequence_number(0), sequence_number(1)]);
    assert_eq!(clustered.cluster.count("create", "jobs"), 0);
}

#[tokio::test]
async fn the_runner_of_jobs_runs_in_the_runtime_interface_emulator() {
    let clustered = Clustered::new().await;
    let settings = broken::broken(clustered.vars("KUBECONFIG")).await;
    let Some(mut emulated) = Emulated::start(FUNCTION, settings) else { return };
    let pk = clustered.asked.pk();
    let doorbell = batch(&[(&pk, "JOB#scan"), broken::JOB, (&pk, "JOB#lint")]);
    for _ in 0..RINGS_MAX {
        let answer = apart_from(1, emulated.call(doorbell.clone()).await);
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
        if clustered.due().await.is_empty() {
            break;
        }
    }
    clustered.check().await;
}

/// What the function says that cannot start with these variables.
async fn init_error(more: &[(&str, &str)]) -> String {
    let mut settings = aws("http://127.0.0.1:9");
    settings.extend(vars(&[("WORKSPACE_DEPENDENCIES_TABLE", "sluice"), ("SLUICE_GATE_KEY", "a key")]));
    settings.extend(vars(more));
    let mut lambda = RuntimeApi::start().await;
    let running = lambda.run(FUNCTION, settings);
    let Told::InitError(error) = lambda.told().await else { panic!("it starts with {more:?}") };
    assert_eq!(running.ended().await, Some(1));
    let Value::String(message) = &error["errorMessage"] else { panic!("{error}") };
    message.clone()
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_as_it_is_described_is_told_before_the_first_event() {
    let needed = "is not set, and has to be beside SLUICE_EKS_CLUSTER";
    let expect = format!("invalid configuration: SLUICE_KUBERNETES_URL {needed}; SLUICE_KUBERNETES_CA {needed}");
    assert_eq!(init_error(&[("SLUICE_EKS_CLUSTER", "prod")]).await, expect);
    let settings = r#"{"EPHEMERAL_CPU_LIMIT":"much","EPHEMERAL_COLOUR":"red"}"#;
    let message = init_error(&[("SLUICE_JOB_SETTINGS", settings), ("SLUICE_TASK_SSH_PORT", "ssh")]).await;
    for told in ["SLUICE_EKS_CLUSTER is not set", "EPHEMERAL_CPU_LIMIT", "EPHEMERAL_COLOUR", "SLUICE_TASK_SSH_PORT"] {
        assert!(message.contains(told), "{told}: {message}");
    }
    let message = init_error(&[("SLUICE_KUBECONFIG", "/no/such/file")]).await;
    assert!(message.starts_with("cannot use /no/such/file to reach the cluster: "), "{message}");
}
