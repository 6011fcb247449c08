//! The node that a kubelet is: its place in the cluster, its images, its clock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Node as Registered};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use super::status::{State, now};
use super::{Image, KubeletOptions};
use crate::kubernetes::api::text;

/// How often the node says that it is there.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) struct Node {
    client: kube::Client,
    url: String,
    options: KubeletOptions,
    directory: TempDir,
    images: Mutex<BTreeMap<String, Image>>,
    starts: Mutex<BTreeMap<String, usize>>,
    logs: Mutex<BTreeMap<Log, Result<PathBuf, String>>>,
    told: Mutex<Vec<(String, String)>>,
    ahead: watch::Sender<Duration>,
    stopped: watch::Sender<bool>,
}

/// Namespace, pod and container.
pub(super) type Log = (String, String, String);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    pub fn new(client: kube::Client, url: String, options: KubeletOptions, images: BTreeMap<String, Image>) -> Self {
        Self {
            client,
            url,
            options,
            directory: TempDir::new().expect("there is a directory for temporary files"),
            images: Mutex::new(images),
            starts: Mutex::default(),
            logs: Mutex::default(),
            told: Mutex::default(),
            ahead: watch::Sender::new(Duration::ZERO),
            stopped: watch::Sender::new(false),
        }
    }

    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    pub fn name(&self) -> &str {
        &self.options.name
    }

    pub fn api_url(&self) -> &str {
        &self.url
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn image(&self, name: &str) -> Option<Image> {
        lock(&self.images).get(name).cloned()
    }

    pub fn add_image(&self, name: &str, image: Image) {
        lock(&self.images).insert(name.to_owned(), image);
    }

    pub fn count(&self, image: &str) {
        *lock(&self.starts).entry(image.to_owned()).or_default() += 1;
    }

    pub fn starts(&self, image: &str) -> usize {
        lock(&self.starts).get(image).copied().unwrap_or_default()
    }

    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub fn stopped(&self) -> watch::Receiver<bool> {
        self.stopped.subscribe()
    }

    pub fn advance(&self, by: Duration) {
        self.ahead.send_modify(|ahead| *ahead += by);
    }

    /// What its clock says, as objects have it.
    pub fn now(&self) -> String {
        text(OffsetDateTime::now_utc() + *self.ahead.borrow())
    }

    /// Waits until so much time has passed on the node's clock.
    pub async fn pass(&self, time: Duration) {
        let mut ahead = self.ahead.subscribe();
        let (start, before) = (Instant::now(), *ahead.borrow());
        loop {
            let passed = start.elapsed() + ahead.borrow_and_update().saturating_sub(before);
            let left = time.saturating_sub(passed);
            if left.is_zero() {
                return;
            }
            let _ = tokio::time::timeout(left, ahead.changed()).await;
        }
    }

    /// Notes where the log of a container is, or why there is none.
    pub fn note(&self, pod: &Value, container: &str, state: &State, directory: &Path) {
        let log = match state {
            State::Waiting { reason, .. } => Err(reason.clone()),
            _ => Ok(directory.join(format!("{container}.log"))),
        };
        lock(&self.logs).insert(key(pod, container), log);
    }

    /// Where the log of a container is, or why there is none; nothing if it is not known here.
    pub fn log(&self, log: &Log) -> Option<Result<PathBuf, String>> {
        lock(&self.logs).get(log).cloned()
    }

    /// Tells of something that went wrong with a pod, once.
    pub async fn tell(&self, pod: &Value, reason: &str, message: &str) {
        let metadata = &pod["metadata"];
        let uid = metadata["uid"].as_str().unwrap_or_default().to_owned();
        let told = (uid, message.to_owned());
        if lock(&self.told).contains(&told) {
            return;
        }
        lock(&self.told).push(told);
        let event = json!({
            "metadata": { "generateName": format!("{}.", metadata["name"].as_str().unwrap_or_default()) },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": { "component": "kubelet", "host": self.name() },
            "count": 1,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
        });
        let event: Event = serde_json::from_value(event).expect("an event of our own making is one");
        let events = Api::<Event>::namespaced(self.client(), metadata["namespace"].as_str().unwrap_or_default());
        // Events are a courtesy.
        let _ = events.create(&PostParams::default(), &event).await;
    }

    /// Makes the node known, and ready.
    pub async fn register(&self, port: u16) -> kube::Result<()> {
        let mut labels = BTreeMap::from([
            ("kubernetes.io/hostname".to_owned(), self.name().to_owned()),
            ("kubernetes.io/os".to_owned(), "linux".to_owned()),
            ("kubernetes.io/arch".to_owned(), "amd64".to_owned()),
        ]);
        labels.extend(self.options.labels.clone());
        let taint =
            |(key, value, effect): &(String, String, String)| json!({ "key": key, "value": value, "effect": effect });
        let taints: Vec<_> = self.options.taints.iter().map(taint).collect();
        let node = json!({
            "metadata": { "name": self.name(), "labels": labels },
            "spec": { "taints": taints },
        });
        let node: Registered = serde_json::from_value(node).expect("a node of our own making is one");
        let nodes = Api::<Registered>::all(self.client());
        match nodes.create(&PostParams::default(), &node).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            created => drop(created?),
        }
        self.heartbeat(port).await
    }

    /// Says that the node is ready.
    pub async fn heartbeat(&self, port: u16) -> kube::Result<()> {
        let ready = json!({
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
            "lastHeartbeatTime": now(),
            "lastTransitionTime": now(),
        });
        let status = json!({ "status": {
            "capacity": self.options.allocatable,
            "allocatable": self.options.allocatable,
            "conditions": [ready],
            "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": port } },
        } });
        let nodes = Api::<Registered>::all(self.client());
        nodes.patch_status(self.name(), &PatchParams::default(), &Patch::Strategic(status)).await?;
        Ok(())
    }
}

fn key(pod: &Value, container: &str) -> Log {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"), container.to_owned())
}
