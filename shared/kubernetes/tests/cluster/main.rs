//! Jobs in a cluster, from the outside: against the double, whose kubelet runs containers as processes.
#![expect(clippy::unwrap_used, reason = "tests")]

mod credentials;
mod endings;
mod starts;
mod watches;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::jiff;
use kube::api::{Api, ListParams, PostParams};
use secrecy::SecretString;
use serde_json::json;
use sluice_domain::Timestamp;
use sluice_domain::gate::{JobSpec, PodSettings, Program};
use sluice_domain::ports::{About, Cluster as _, JobEnd, JobExit, JobOrder, JobPlace, Patience, Standing};
use sluice_kubernetes::{Clock, ClusterError, Credentials, Kubernetes, Limits};
use sluice_tests::kubernetes::{Cluster, Image, Kubelet};

const IMAGE: &str = "registry.example/check:1";
const NAMESPACE: &str = "jobs";
const PATIENCE: Patience = Patience { start: Duration::from_mins(5), image: Duration::from_mins(2) };
/// How long anything may take that is waited for.
const LONG: Duration = Duration::from_mins(1);

/// A cluster, and the port to it.
struct Scene {
    cluster: Cluster,
    kubernetes: Kubernetes,
    client: kube::Client,
    skew_ms: Arc<AtomicU64>,
    job: JobSpec,
    settings: PodSettings,
    check: &'static str,
}

fn sh(script: &str) -> Image {
    Image::new(["/bin/sh", "-c", script])
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

impl Scene {
    async fn new() -> Self {
        let cluster = Cluster::start().await;
        let skew_ms = Arc::new(AtomicU64::new(0));
        let kubernetes = connect(&cluster.kubeconfig(), &skew_ms, Limits::default()).await;
        let client = cluster.client().await;
        let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}})).unwrap();
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), NAMESPACE);
        until(async || accounts.get_opt("default").await.unwrap()).await;
        let job = JobSpec {
            program: Program::Image { image: Some(IMAGE.to_owned()) },
            arguments: BTreeMap::new(),
            settings: BTreeMap::new(),
            deployer_token: false,
            ssh_key: false,
            start_seconds: 300,
        };
        Self { cluster, kubernetes, client, skew_ms, job, settings: PodSettings::default(), check: "cost" }
    }

    fn settings(mut self, pairs: &[(&str, &str)]) -> Self {
        self.settings = PodSettings::read(&texts(pairs)).unwrap();
        self
    }

    async fn kubelet(&self, script: &str) -> Kubelet {
        Kubelet::start(&self.cluster, [(IMAGE, sh(script))]).await
    }

    fn order(&self) -> JobOrder<'_> {
        let about = About {
            result: "taskrs-1@guard".parse().unwrap(),
            check: self.check.parse().unwrap(),
            run: "run-1".to_owned(),
            organization: "acme".to_owned(),
            workspace: "network".to_owned(),
        };
        let secret = |name: &str, value: &str| (name.to_owned(), SecretString::from(value));
        JobOrder {
            place: JobPlace::of(NAMESPACE, &about.result, &about.check),
            spec: &self.job,
            settings: self.settings.clone(),
            about,
            env: texts(&[("LAGOON_PROJECT", "$(NAMESPACE)-network")]),
            secrets: [secret("JSON_PAYLOAD", "hush-payload"), secret("LEVEL", "$(id) `id` \"high\"")].into(),
            files: [secret("plan.json", "{\"hush\": 1}")].into(),
            seconds: 900,
        }
    }

    fn place(&self) -> JobPlace {
        self.order().place
    }

    async fn start(&self) -> Result<(), ClusterError> {
        self.kubernetes.start(&self.order()).await
    }

    async fn watch(&self, slice: Duration) -> Standing {
        self.kubernetes.watch(&self.place(), PATIENCE, slice).await.unwrap()
    }

    /// Watches slice by slice, as whoever comes back to it does.
    async fn end(&self) -> JobEnd {
        loop {
            match tokio::time::timeout(LONG, self.watch(LONG)).await.expect("it comes to an end") {
                Standing::Ended(end) => return end,
                Standing::UnderWay { .. } => {}
                Standing::Gone => panic!("the job is gone"),
            }
        }
    }

    /// Watches until what it is at says this.
    async fn at(&self, text: &str) {
        loop {
            let watched = tokio::time::timeout(LONG, self.watch(Duration::from_secs(5))).await;
            match watched.expect("it comes to it") {
                Standing::UnderWay { message } if message.contains(text) => return,
                Standing::UnderWay { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// The name of the one pod.
    async fn pod(&self) -> String {
        let pod = until(async || self.pods().list(&ListParams::default()).await.unwrap().items.pop()).await;
        pod.metadata.name.unwrap()
    }

    /// Time passes, for everybody.
    fn advance(&self, by: Duration) {
        self.cluster.advance(by);
        self.skew_ms.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

async fn connect(kubeconfig: &str, skew_ms: &Arc<AtomicU64>, limits: Limits) -> Kubernetes {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, kubeconfig).unwrap();
    let skew_ms = Arc::clone(skew_ms);
    let clock: Clock = Arc::new(move || {
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
        Timestamp(now + skew_ms.load(Ordering::Relaxed))
    });
    Kubernetes::connect(Credentials::Kubeconfig { path: Some(path), context: None }, limits, clock).await.unwrap()
}

/// Asks until there is an answer.
async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, asking).await.expect("it comes about")
}

#[track_caller]
fn broken(end: &JobEnd) -> (&str, &str) {
    match &end.how {
        JobExit::Broken { reason, message } => (reason, message),
        JobExit::Code(code) => panic!("it ended with code {code}: {}", end.output.text),
    }
}
