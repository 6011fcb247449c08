//! The life of one pod on this node.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::Value;
use tokio::sync::watch;

use super::container::Container;
use super::node::Node;
use super::source::Sources;
use super::status::{Report, State};
use super::{Ending, volumes};

/// The pause before a try is repeated that may do better: a pull, a mount, a patch.
const RETRY: Duration = Duration::from_millis(100);

/// A pod, as its node runs it.
pub(super) struct Life {
    node: Arc<Node>,
    api: Api<Pod>,
    sources: Sources,
    /// As it was when it came.
    pod: Value,
    latest: watch::Receiver<Value>,
    report: Report,
    containers: Vec<Container>,
    directory: PathBuf,
}

/// Why a pod is stopped.
enum Stop {
    Ended,
    Deleted,
    Deadline,
}

/// Runs a pod until it is gone, or the node is.
pub(super) async fn run(node: Arc<Node>, latest: watch::Receiver<Value>) {
    let mut stopped = node.stopped();
    let life = Life::new(Arc::clone(&node), latest);
    tokio::select! {
        // Whatever runs is killed, and nobody is told.
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = life.live() => {}
    }
}

impl Life {
    fn new(node: Arc<Node>, latest: watch::Receiver<Value>) -> Self {
        let pod = latest.borrow().clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let namespace = text(&pod["metadata"]["namespace"]);
        let specs = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
        let creating = State::waiting("ContainerCreating", "");
        let containers = specs.iter().map(|one| (text(&one["name"]), text(&one["image"]), creating.clone())).collect();
        let report = Report { started: node.now(), containers, ended: None, disrupted: false };
        let directory = node.directory().join(text(&pod["metadata"]["uid"]));
        Self {
            api: Api::namespaced(node.client(), &namespace),
            sources: Sources::new(node.client(), &namespace),
            containers: specs.into_iter().map(Container::new).collect(),
            node,
            pod,
            latest,
            report,
            directory,
        }
    }

    fn uid(&self) -> String {
        self.pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
    }

    fn name(&self) -> &str {
        self.pod["metadata"]["name"].as_str().unwrap_or_default()
    }

    async fn live(mut self) {
        let ended = matches!(self.pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let mut deleted = self.latest.clone();
        if !ended {
            let node = Arc::clone(&self.node);
            let deadline = self.pod["spec"]["activeDeadlineSeconds"].as_u64().map(Duration::from_secs);
            let stop = tokio::select! {
                () = is_deleted(&mut deleted) => Stop::Deleted,
                () = async { match deadline {
                    Some(deadline) => node.pass(deadline).await,
                    None => std::future::pending().await,
                } } => Stop::Deadline,
                () = self.work() => Stop::Ended,
            };
            match stop {
                Stop::Ended => {}
                Stop::Deleted => self.stop().await,
                Stop::Deadline => {
                    self.stop().await;
                    let message = "Pod was active on the node longer than the specified deadline";
                    self.report.ended = Some(("DeadlineExceeded".to_owned(), message.to_owned()));
                }
            }
            self.tell().await;
        }
        is_deleted(&mut deleted).await;
        self.remove().await;
    }

    /// From nothing to the end of every container.
    async fn work(&mut self) {
        self.tell().await;
        let volumes = self.directory.join("volumes");
        while let Err(missing) = volumes::materialise(&self.sources, &self.pod, &volumes).await {
            self.node.tell(&self.pod, "FailedMount", &missing.0).await;
            tokio::time::sleep(RETRY).await;
        }
        for place in 0..self.containers.len() {
            self.start(place).await;
        }
        while self.report.phase() == "Running" || self.report.phase() == "Pending" {
            let (place, code) = {
                let waits = self.containers.iter_mut().enumerate().filter(|(_, container)| container.runs());
                let waits: Vec<_> =
                    waits.map(|(place, container)| Box::pin(async move { (place, container.wait().await) })).collect();
                if waits.is_empty() {
                    std::future::pending::<()>().await;
                }
                select_all(waits).await.0
            };
            self.ended(place, code);
            if self.report.phase() == "Running" {
                self.tell().await;
            }
        }
    }

    /// Starts a container, as soon as it can be.
    async fn start(&mut self, place: usize) {
        loop {
            let container = &mut self.containers[place];
            let started = container.start(&self.node, &self.sources, &self.pod, &self.directory).await;
            let state = started.unwrap_or_else(|state| state);
            let waits = matches!(state, State::Waiting { .. });
            self.node.note(&self.pod, &self.report.containers[place].0, &state, &self.directory);
            self.report.containers[place].2 = state;
            self.tell().await;
            if !waits {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Writes down how a container ended.
    fn ended(&mut self, place: usize, code: i32) {
        let since = match &self.report.containers[place].2 {
            State::Running { since } => since.clone(),
            _ => self.node.now(),
        };
        let (mut code, mut reason) = (code, if code == 0 { "Completed" } else { "Error" });
        let mut message = "";
        match self.containers[place].ending() {
            Some(Ending::OomKilled) => (code, reason) = (137, "OOMKilled"),
            Some(Ending::Lost) => {
                (code, reason) = (137, "ContainerStatusUnknown");
                message = "The container could not be located when the pod was terminated";
            }
            Some(Ending::Evicted(why)) => {
                (code, reason) = (137, "Error");
                self.report.ended = Some(("Evicted".to_owned(), why.clone()));
                self.report.disrupted = true;
            }
            Some(Ending::NeverStarted) | None => {}
        }
        let (reason, message) = (reason.to_owned(), message.to_owned());
        self.report.containers[place].2 = State::Terminated { since, at: self.node.now(), code, reason, message };
    }

    /// Asks every process to end, and ends it when its time is over.
    async fn stop(&mut self) {
        let grace = self.latest.borrow()["metadata"]["deletionGracePeriodSeconds"].as_u64();
        let grace = grace.or(self.pod["spec"]["terminationGracePeriodSeconds"].as_u64()).unwrap_or(30);
        let node = Arc::clone(&self.node);
        self.containers.iter().for_each(Container::terminate);
        // Nobody waits for what the API has forgotten.
        if self.latest.has_changed().is_err() {
            self.containers.iter().for_each(Container::kill);
        }
        let mut over = Box::pin(node.pass(Duration::from_secs(grace)));
        let mut killed = false;
        for place in 0..self.containers.len() {
            if !self.containers[place].runs() {
                continue;
            }
            let code = loop {
                tokio::select! {
                    code = self.containers[place].wait() => break code,
                    () = &mut over, if !killed => {
                        self.containers.iter().for_each(Container::kill);
                        killed = true;
                    }
                }
            };
            self.ended(place, code);
        }
    }

    /// Writes the status. A pod that is gone is not written to.
    async fn tell(&self) {
        let patch = Patch::Strategic(self.report.patch(&self.uid()));
        loop {
            match self.api.patch_status(self.name(), &PatchParams::default(), &patch).await {
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => return,
                Err(_) => tokio::time::sleep(RETRY).await,
                Ok(_) => return,
            }
        }
    }

    /// Lets go of the object.
    async fn remove(&self) {
        let preconditions = Some(Preconditions { uid: Some(self.uid()), ..Preconditions::default() });
        let options = DeleteParams { grace_period_seconds: Some(0), preconditions, ..DeleteParams::default() };
        loop {
            match self.api.delete(self.name(), &options).await {
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => break,
                Err(_) => tokio::time::sleep(RETRY).await,
                Ok(_) => break,
            }
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Waits until a pod is to be deleted, or is gone.
async fn is_deleted(latest: &mut watch::Receiver<Value>) {
    // An error is that the sender was dropped: the pod is gone.
    let _ = latest.wait_for(|pod| pod["metadata"]["deletionTimestamp"].is_string()).await;
}
