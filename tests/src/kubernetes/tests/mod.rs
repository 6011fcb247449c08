//! The double is what it says it is: what holds of a real cluster holds of it. Where `SLUICE_CLUSTER` names a program
//! that brings up a real control plane, the same expectations are held to that, too.

mod api;
mod faults;
mod jobs;
mod pods;
mod refusals;
mod watches;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret, ServiceAccount};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::api::condition;
use super::*;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// One namespace of one cluster.
struct Scene {
    cluster: Cluster,
    client: Client,
    namespace: String,
}

/// The scenes in which an expectation is to hold: the double, and a real control plane if there is one.
async fn scenes() -> Vec<Scene> {
    static REAL: OnceCell<Option<Cluster>> = OnceCell::const_new();
    let real = REAL.get_or_init(|| async {
        let binary = std::env::var_os("SLUICE_CLUSTER")?;
        Some(Cluster::real(Path::new(&binary)).await)
    });
    let mut scenes = vec![Scene::double().await];
    if let Some(real) = real.await {
        scenes.push(Scene::of(real.clone()).await);
    }
    scenes
}

impl Scene {
    async fn double() -> Self {
        Self::of(Cluster::start().await).await
    }

    /// A namespace that nobody else has.
    async fn of(cluster: Cluster) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let namespace = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let client = cluster.client().await;
        let scene = Self { cluster, client, namespace };
        let name = json!({ "metadata": { "name": scene.namespace } });
        Api::<Namespace>::all(scene.client.clone()).create(&PostParams::default(), &of(name)).await.unwrap();
        let accounts = Api::<ServiceAccount>::namespaced(scene.client.clone(), &scene.namespace);
        until("the namespace's account", async || accounts.get_opt("default").await.unwrap()).await;
        scene
    }

    /// A node of this scene alone.
    async fn kubelet<'a>(&self, images: impl IntoIterator<Item = (&'a str, Image)>) -> Kubelet {
        let labels = [("scene".to_owned(), self.namespace.clone())].into();
        let name = format!("node-{}", self.namespace);
        Kubelet::start_with(&self.cluster, KubeletOptions { name, labels, ..KubeletOptions::default() }, images).await
    }

    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A job for this scene's node, with one container that may be changed.
    fn job(&self, name: &str, spec: Value, container: Value) -> Value {
        let mut main = json!({ "name": "main", "image": "registry.example/tool:1" });
        json_patch(&mut main, container);
        let mut job = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": name },
            "spec": {
                "backoffLimit": 0,
                "template": { "spec": {
                    "restartPolicy": "Never",
                    "nodeSelector": { "scene": self.namespace },
                    "containers": [main],
                } },
            },
        });
        json_patch(&mut job["spec"], spec);
        job
    }

    async fn create(&self, job: Value) -> Job {
        self.jobs().create(&PostParams::default(), &of(job)).await.unwrap()
    }

    /// The pods of a job.
    async fn pods_of(&self, job: &str) -> Vec<Value> {
        let listed = self.pods().list(&ListParams::default().labels(&format!("job-name={job}"))).await.unwrap();
        listed.items.iter().map(|pod| serde_json::to_value(pod).unwrap()).collect()
    }

    /// The one pod of a job, once it is as wanted.
    async fn pod(&self, job: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, async || self.pods_of(job).await.into_iter().find(|pod| wanted(pod))).await
    }

    /// A job, once it is as wanted.
    async fn job_when(&self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, async || {
            let job = self.jobs().get_opt(name).await.unwrap();
            job.map(|job| serde_json::to_value(job).unwrap()).filter(|job| wanted(job))
        })
        .await
    }

    /// A job, once it has this condition.
    async fn ended(&self, name: &str, kind: &str) -> Value {
        self.job_when(name, kind, |job| condition(job, kind) == "True").await
    }

    async fn log(&self, pod: &Value) -> String {
        let name = pod["metadata"]["name"].as_str().unwrap();
        self.pods().logs(name, &kube::api::LogParams::default()).await.unwrap()
    }
}

/// Merges what is given into an object.
fn json_patch(object: &mut Value, patch: Value) {
    match (object, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            for (name, value) in patch {
                json_patch(fields.entry(name).or_insert(Value::Null), value);
            }
        }
        (object, patch) => *object = patch,
    }
}

fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Asks again and again, until there is an answer.
async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let answer = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("waited in vain for: {what}"))
}

/// What the API said no with.
#[track_caller]
fn refused<T: std::fmt::Debug>(answer: kube::Result<T>, code: u16, reason: &str) -> String {
    match answer {
        Err(kube::Error::Api(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (code, reason), "{}", status.message);
            status.message.clone()
        }
        other => panic!("{reason} was expected: {other:?}"),
    }
}

fn merge(patch: Value) -> Patch<Value> {
    Patch::Merge(patch)
}
