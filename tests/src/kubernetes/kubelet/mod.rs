//! A small kubelet: runs the containers of pods as local processes, against any API server.
//!
//! A process has no mount namespace: what a container mounts at `/data` lies at `$SLUICE_TEST_ROOT/data`. Nor can it
//! resolve `kubernetes.default.svc`: the API is at `$KUBERNETES_API`. Everything else of its environment is as a pod's.

mod container;
mod env;
mod image;
mod logs;
mod node;
mod pod;
mod process;
mod source;
mod status;
mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::sync::watch;

pub use image::{Ending, Image};

use super::handle::{Cluster, client};
use node::{HEARTBEAT, Node};

/// The pause before the API is asked again that did not answer.
const RETRY: Duration = Duration::from_millis(50);

/// How a node presents itself.
#[derive(Debug, Clone)]
pub struct KubeletOptions {
    /// Its name.
    pub name: String,
    /// Its labels, besides those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Its taints: key, value and effect.
    pub taints: Vec<(String, String, String)>,
    /// What it has to give: `cpu`, `memory` and so on.
    pub allocatable: BTreeMap<String, String>,
}

impl Default for KubeletOptions {
    fn default() -> Self {
        let amounts = [("cpu", "4"), ("memory", "8Gi"), ("ephemeral-storage", "20Gi"), ("pods", "110")];
        Self {
            name: "node-1".to_owned(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            allocatable: amounts.map(|(what, amount)| (what.to_owned(), amount.to_owned())).into(),
        }
    }
}

/// A kubelet, until it is dropped: then its processes are killed and its node is not heard of any more.
pub struct Kubelet {
    node: Arc<Node>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Kubelet {
    /// Starts a kubelet that has these images, and waits until its node is ready.
    ///
    /// # Panics
    ///
    /// If the API does not take the node.
    pub async fn start<'a>(cluster: &Cluster, images: impl IntoIterator<Item = (&'a str, Image)>) -> Self {
        Self::start_with(cluster, KubeletOptions::default(), images).await
    }

    /// The same, with a node of another kind.
    ///
    /// # Panics
    ///
    /// If the API does not take the node.
    pub async fn start_with<'a>(
        cluster: &Cluster,
        options: KubeletOptions,
        images: impl IntoIterator<Item = (&'a str, Image)>,
    ) -> Self {
        let images = images.into_iter().map(|(name, image)| (name.to_owned(), image)).collect();
        let client = client(&cluster.node_kubeconfig()).await;
        let node = Arc::new(Node::new(client, cluster.url().to_owned(), options, images));
        let port = logs::serve(Arc::clone(&node)).await.expect("the loopback gives a port");
        node.register(port).await.expect("the API takes the node");
        tokio::spawn(until_stopped(Arc::clone(&node), follow(Arc::clone(&node))));
        tokio::spawn(until_stopped(Arc::clone(&node), beat(Arc::clone(&node), port)));
        Self { node }
    }

    /// The name of its node.
    #[must_use]
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// Has an image from now on: pods that wait for it go on.
    pub fn add_image(&self, name: &str, image: Image) {
        self.node.add_image(name, image);
    }

    /// How many containers of an image were started.
    #[must_use]
    pub fn starts(&self, image: &str) -> usize {
        self.node.starts(image)
    }

    /// Moves its clock on: deadlines and grace periods of its pods pass.
    pub fn advance(&self, by: Duration) {
        self.node.advance(by);
    }

    /// Pulls its plug: the processes are killed, and nobody is told.
    pub fn stop(&self) {
        self.node.stop();
    }
}

async fn until_stopped(node: Arc<Node>, work: impl Future<Output = ()>) {
    let mut stopped = node.stopped();
    tokio::select! {
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = work => {}
    }
}

async fn beat(node: Arc<Node>, port: u16) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        // The next one may be heard.
        let _ = node.heartbeat(port).await;
    }
}

/// The pods on this node, by their uids.
type Pods = BTreeMap<String, watch::Sender<Value>>;

/// Lists and watches the pods of this node, for ever.
async fn follow(node: Arc<Node>) {
    let mut pods = Pods::new();
    loop {
        // Whatever ended it, it begins again.
        let _ = listen(&node, &mut pods).await;
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen(node: &Arc<Node>, pods: &mut Pods) -> kube::Result<()> {
    let api = Api::<Pod>::all(node.client());
    let mine = format!("spec.nodeName={}", node.name());
    let listed = api.list(&ListParams::default().fields(&mine)).await?;
    let version = listed.metadata.resource_version.unwrap_or_default();
    let here: Vec<_> = listed.items.iter().map(uid).collect();
    pods.retain(|uid, _| here.contains(uid));
    for pod in &listed.items {
        see(node, pods, pod);
    }
    let mut events = api.watch(&WatchParams::default().fields(&mine), &version).await?.boxed();
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => see(node, pods, &pod),
            WatchEvent::Deleted(pod) => drop(pods.remove(&uid(&pod))),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(_) => return Ok(()),
        }
    }
    Ok(())
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

/// Tells the pod's own task of its latest version, and starts that task for a new one.
fn see(node: &Arc<Node>, pods: &mut Pods, pod: &Pod) {
    let latest = serde_json::to_value(pod).expect("a pod is JSON");
    if let Some(sender) = pods.get(&uid(pod)) {
        sender.send_replace(latest);
        return;
    }
    let (sender, receiver) = watch::channel(latest);
    pods.insert(uid(pod), sender);
    tokio::spawn(pod::run(Arc::clone(node), receiver));
}
