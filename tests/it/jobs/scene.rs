//! A world with a gate and a cluster in it: a node runs images as processes, and what becomes of a job is seen from both
//! its ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret, ServiceAccount};
use kube::Resource;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice_domain::gate::Execution;
use sluice_domain::ports::JobPlace;
use sluice_domain::{TaskResultId, WorkKey, chain};
use sluice_job_runner::JobSettings;
use sluice_kubernetes::{Credentials, Kubernetes, Limits};
use sluice_lambda::now;
use sluice_local::host::Gate;
use sluice_tests::hcp::TaskResultView;
use sluice_tests::kubernetes::{Cluster, Image, Kubelet, KubeletOptions};

use crate::gate::scene::{PATIENCE, Scene, after_plan, settings, until};
use crate::serve::client;
use crate::world::{OPERATORS, Settings, add, build};

/// Where jobs run.
pub const NAMESPACE: &str = "checks";

/// The image of most checks.
pub const IMAGE: &str = "registry.example/check:1";

/// A program that goes on until it is told to go.
pub const STAYS: &str = "trap 'exit 0' TERM; echo up; while :; do sleep 0.02; done";

/// An image that runs this in a shell.
pub fn sh(script: &str) -> Image {
    Image::new(["/bin/sh", "-c", script])
}

/// One of the images that users bring, as a file here. What a container mounts lies elsewhere for a process, and the API
/// server has another name: the script is told, as it lets itself be told.
pub fn script(name: &str) -> Image {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("images").join(name);
    let mounted = "export SERVICE_ACCOUNT=$SLUICE_TEST_ROOT/var/run/secrets/kubernetes.io/serviceaccount; \
                   export CURL_CA_BUNDLE=$SERVICE_ACCOUNT/ca.crt workingDirectory=$SLUICE_TEST_ROOT$workingDirectory; \
                   exec \"$0\"";
    Image::new(["/bin/sh", "-c", mounted, path.to_str().unwrap()])
}

/// A check that is a job.
pub fn check(name: &str, job: impl Into<Value>) -> Value {
    json!({ "name": name, "kind": "job", "job": job.into() })
}

/// One that runs [`IMAGE`].
pub fn image(name: &str) -> Value {
    check(name, json!({ "image": IMAGE }))
}

/// The adapter, with its kubeconfig from a file and a clock that can be ahead.
pub async fn connect(cluster: &Cluster, ahead_ms: &Arc<AtomicU64>) -> Kubernetes {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    std::fs::write(&path, cluster.kubeconfig()).unwrap();
    let ahead_ms = ahead_ms.clone();
    let clock = Arc::new(move || now().plus_ms(ahead_ms.load(Ordering::SeqCst)));
    Kubernetes::connect(Credentials::Kubeconfig { path: Some(path), context: None }, Limits::default(), clock)
        .await
        .unwrap()
}

/// A namespace in which accounts may do what images need.
pub async fn namespace(client: &kube::Client, name: &str) {
    let namespace = of(json!({ "metadata": { "name": name } }));
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), name);
    let made = async || accounts.get_opt("default").await.unwrap();
    until("the namespace has no account", made).await;
}

pub fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub struct JobScene {
    pub scene: Scene,
    pub cluster: Cluster,
    pub client: kube::Client,
    pub namespace: String,
    settings: Settings,
    ahead_ms: Arc<AtomicU64>,
    directory: tempfile::TempDir,
}

impl JobScene {
    pub async fn new() -> Self {
        Self::with(JobSettings::default()).await
    }

    /// One in which nobody watches for longer than a moment: whatever time has passed is seen soon.
    pub async fn restless() -> Self {
        Self::with(JobSettings { slice: Duration::from_millis(150), ..JobSettings::default() }).await
    }

    pub async fn with(jobs: JobSettings) -> Self {
        Self::of(Cluster::start().await, NAMESPACE, jobs, |hcp| add(hcp, "a")).await
    }

    pub async fn of(
        cluster: Cluster,
        namespace: &str,
        mut jobs: JobSettings,
        build: impl FnOnce(&sluice_tests::hcp::Hcp),
    ) -> Self {
        let client = cluster.client().await;
        self::namespace(&client, namespace).await;
        let ahead_ms = Arc::new(AtomicU64::new(0));
        namespace.clone_into(&mut jobs.namespace);
        // Other scenes may share the cluster.
        jobs.pod.insert("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS".to_owned(), format!("scene={namespace}"));
        let cluster_of_jobs = Arc::new(connect(&cluster, &ahead_ms).await);
        let settings = Settings { jobs, cluster: Some(cluster_of_jobs), ..settings() };
        let scene = Scene::with(settings.clone(), build).await;
        let scene = Self {
            scene,
            cluster,
            client,
            namespace: namespace.to_owned(),
            settings,
            ahead_ms,
            directory: tempfile::tempdir().unwrap(),
        };
        scene.scene.gate("a", &after_plan(&json!([image("check")]))).await;
        scene
    }

    /// A node that has these images.
    pub async fn kubelet<'a>(&self, images: impl IntoIterator<Item = (&'a str, Image)>) -> Kubelet {
        let labels = [("scene".to_owned(), self.namespace.clone())].into();
        let name = format!("node-{}", self.namespace);
        let mut options = KubeletOptions { name, labels, ..KubeletOptions::default() };
        // A limit is a request where nothing else is, and jobs may use a gigabyte.
        options.allocatable.insert("ephemeral-storage".to_owned(), "100Gi".to_owned());
        Kubelet::start_with(&self.cluster, options, images).await
    }

    /// A node that has [`IMAGE`].
    pub async fn runs(&self, script: &str) -> Kubelet {
        self.kubelet([(IMAGE, sh(script))]).await
    }

    /// A file that programs may write, and that is not theirs alone.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What is in such a file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Starts a run that is asked about with these checks; returns its task result.
    pub async fn begin(&self, checks: &Value) -> String {
        let mut definition = after_plan(checks);
        definition["timeout_seconds"] = json!(540);
        self.scene.store(&definition).await;
        self.again().await
    }

    /// The same, with the checks as they are.
    pub async fn again(&self) -> String {
        let hcp = self.scene.hcp();
        let before = hcp.task_results("a").len();
        self.scene.world.change("a");
        hcp.until(|hcp| hcp.task_results("a").get(before).map(|result| result.id.clone())).await
    }

    /// The task result, when it is over.
    pub async fn answer(&self, result: &str) -> TaskResultView {
        let done = self.scene.hcp().task_result_done(result);
        if let Ok(result) = tokio::time::timeout(PATIENCE, done).await {
            return result;
        }
        let (told, gated) = (self.scene.hcp().task_result(result), self.scene.gated(result).await);
        panic!("no answer: {told:#?}\n{gated:#?}\nleft: {:?}", self.left().await);
    }

    /// What a run comes to that is asked about with these checks, when nothing is left of them.
    pub async fn ask(&self, checks: &Value) -> TaskResultView {
        let result = self.begin(checks).await;
        let answer = self.answer(&result).await;
        self.cleared().await;
        answer
    }

    /// How far a check has come.
    pub async fn execution(&self, result: &str, check: &str) -> Option<Execution> {
        self.scene.gated(result).await?.executions.remove(&check.parse().unwrap())
    }

    /// Waits until a check is told to be at this.
    pub async fn at(&self, result: &str, check: &str, says: &str) {
        let at = async || {
            let progress = self.execution(result, check).await?.progress?;
            progress.message.contains(says).then_some(())
        };
        let waited = tokio::time::timeout(PATIENCE, until(says, at)).await;
        waited.unwrap_or_else(|_| panic!("it is never told: {says}"));
    }

    /// Time passes in the cluster, and for whoever watches it.
    pub fn advance(&self, by: Duration) {
        self.cluster.advance(by);
        self.ahead_ms.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Does what is due of a job, as if it were so much later.
    pub async fn work(&self, result: &str, check: &str, later_ms: u64) {
        let (result, check) = (self.scene.known_as(result), check.parse().unwrap());
        let runner = self.functions().job_runner;
        let done = sluice_job_runner::handle(&runner, &WorkKey::Job(result, check), now().plus_ms(later_ms)).await;
        done.unwrap_or_else(|error| panic!("{}", chain(&error)));
    }

    /// Tells HCP Terraform what there is to tell, as if it were so much later.
    pub async fn tell(&self, result: &str, later_ms: u64) {
        let (relay, key) = (self.functions().relay, WorkKey::Relay(self.scene.known_as(result)));
        sluice_run_task_relay::handle(&relay, &key, now().plus_ms(later_ms)).await.unwrap();
    }

    fn functions(&self) -> Gate {
        let mut settings = self.settings.clone();
        settings.jobs.public_url = Some(self.scene.world.url.clone());
        build(self.scene.hcp(), &self.scene.world.table, settings).gate
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn place(&self, result: &str, check: &str) -> JobPlace {
        JobPlace::of(&self.namespace, &self.scene.known_as(result), &check.parse().unwrap())
    }

    /// The pods of the job of a check.
    pub async fn pods(&self, result: &str, check: &str) -> Vec<Pod> {
        let only = ListParams::default().labels(&format!("job-name={}", self.place(result, check).name));
        self.api::<Pod>().list(&only).await.unwrap().items
    }

    /// The name of the one pod of a job, once it runs.
    pub async fn running(&self, result: &str, check: &str) -> String {
        let running = async || {
            let pod = self.pods(result, check).await.pop()?;
            let running = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
            pod.metadata.name.filter(|_| running)
        };
        until("no pod runs", running).await
    }

    /// Changes the Job of a check.
    pub async fn patch_job(&self, result: &str, check: &str, patch: Value) {
        let name = self.place(result, check).name;
        self.api::<Job>().patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Every Job that there ever was for a check, by its uid.
    pub fn jobs_ever(&self, result: &str, check: &str) -> BTreeSet<String> {
        jobs_ever(&self.cluster, &self.scene.known_as(result), check)
    }

    /// What there is of jobs: Jobs, pods and Secrets of this namespace.
    pub async fn left(&self) -> Vec<String> {
        if !self.cluster.is_real() {
            let ours = ["jobs/", "pods/", "secrets/"].map(|kind| format!("{kind}{}/", self.namespace));
            let mut left = self.cluster.left();
            left.retain(|name| ours.iter().any(|ours| name.starts_with(ours)));
            return left;
        }
        let jobs = named(&self.api::<Job>()).await;
        [jobs, named(&self.api::<Pod>()).await, named(&self.api::<Secret>()).await].concat()
    }

    /// Waits until nothing is left of any job.
    pub async fn cleared(&self) {
        let waiting = async || self.left().await.is_empty().then_some(());
        let cleared = tokio::time::timeout(PATIENCE, until("something is left", waiting)).await;
        assert!(cleared.is_ok(), "{:?} are left", self.left().await);
    }

    /// The context of the run of a task result, as an operator reads it.
    pub async fn context(&self, result: &str) -> Value {
        let run = self.scene.hcp().task_result(result).unwrap().run;
        let url = format!("{}/context/v1/{run}", self.scene.world.url);
        let answer = client().get(url).bearer_auth(OPERATORS[0]).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// Ends the scene: nothing secret was left anywhere, nobody was answered twice, and every job that was asked for was
    /// made once and is gone.
    pub async fn end(self) {
        self.cleared().await;
        for result in self.scene.hcp().all_task_results() {
            let Some(gated) = self.scene.gated(&result.id).await else { continue };
            for check in gated.admission.checks {
                if self.cluster.is_real() {
                    continue;
                }
                let jobs = self.jobs_ever(&result.id, check.name.as_str());
                assert!(jobs.len() <= 1, "{} jobs were made for {} of {}", jobs.len(), check.name, result.id);
            }
        }
        self.scene.end().await;
    }
}

/// Every Job that there ever was for a check, by its uid.
pub fn jobs_ever(cluster: &Cluster, result: &TaskResultId, check: &str) -> BTreeSet<String> {
    let of_check = |object: &Value| {
        let marks = &object["metadata"]["annotations"];
        object["kind"] == "Job" && marks["sluice/result"] == result.as_str() && marks["sluice/check"] == check
    };
    let all = cluster.everything();
    let objects = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let uid = |object: Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    objects.filter(of_check).map(uid).collect()
}

async fn named<K>(api: &Api<K>) -> Vec<String>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let listed = api.list(&ListParams::default()).await.unwrap().items;
    listed
        .iter()
        .map(|object| format!("{}/{}", K::plural(&()), object.meta().name.clone().unwrap_or_default()))
        .collect()
}

/// Variables as `env -0` writes them.
pub fn variables(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
