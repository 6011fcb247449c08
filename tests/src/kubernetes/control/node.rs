//! The node controllers: taints on nodes that are not ready, and the pods of nodes that are lost.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::kubernetes::api::{
    DeleteOptions, Key, Object, Resource, World, condition, is_deleting, name_of, parse, set_condition, text,
};

use super::schedule::tolerates;
use super::tally::has_ended;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

impl World {
    /// Taints nodes as their conditions say, and evicts the pods that do not bear it.
    pub(super) fn keep_nodes(&mut self) {
        for key in self.keys(Resource::Nodes) {
            let now = self.now_text();
            let node = self.update(&key, |node| taint(node, &now)).expect("the node is there");
            for (key, pod) in self.pods_on(name_of(&node)) {
                self.evict(&key, &pod, &node);
            }
        }
    }

    fn pods_on(&self, node: &str) -> Vec<(Key, Object)> {
        let pods = self.all(Resource::Pods).filter(|(_, pod)| pod["spec"]["nodeName"] == node);
        pods.map(|(key, pod)| (key.clone(), Object::clone(pod))).collect()
    }

    fn evict(&mut self, key: &Key, pod: &Value, node: &Value) {
        if is_deleting(pod) || has_ended(pod) {
            return;
        }
        let Some(at) = eviction(pod, node) else { return };
        if at > self.clock.now() {
            self.wake_at(at);
            return;
        }
        let message = "Taint manager: deleting due to NoExecute taint";
        self.disrupt(key, "DeletionByTaintManager", message, false);
        self.delete(key, &DeleteOptions::default()).expect("the pod is there");
    }

    fn disrupt(&mut self, key: &Key, reason: &str, message: &str, failed: bool) {
        let now = text(self.clock.now());
        self.update(key, |pod| {
            let said = json!({ "type": "DisruptionTarget", "status": "True", "reason": reason, "message": message });
            set_condition(pod, &said, &now);
            if failed && !has_ended(pod) {
                pod["status"]["phase"] = "Failed".into();
            }
        });
    }

    /// Ends and removes the pods whose node is gone.
    pub(super) fn collect_orphaned_pods(&mut self) {
        let gone = |pod: &Value| {
            let node = pod["spec"]["nodeName"].as_str();
            node.is_some_and(|node| self.get(&Key::new(Resource::Nodes, "", node)).is_none())
        };
        let orphans: Vec<_> =
            self.all(Resource::Pods).filter(|(_, pod)| gone(pod)).map(|(key, _)| key.clone()).collect();
        for key in orphans {
            self.disrupt(&key, "DeletionByPodGC", "PodGC: node no longer exists", true);
            // The job controller has to see how the pod ended before it goes.
            self.run_jobs();
            self.delete(&key, &DeleteOptions::forced()).expect("the pod is there");
        }
    }
}

fn taint(node: &mut Value, now: &str) {
    let wanted = match condition(node, "Ready") {
        "True" => None,
        "False" => Some(NOT_READY),
        _ => Some(UNREACHABLE),
    };
    let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let ours = |taint: &Value| taint["key"] == NOT_READY || taint["key"] == UNREACHABLE;
    let mut kept: Vec<_> =
        taints.into_iter().filter(|one| !ours(one) || wanted.is_some_and(|it| one["key"] == it)).collect();
    if let Some(key) = wanted.filter(|key| !kept.iter().any(|one| one["key"] == *key)) {
        kept.push(json!({ "key": key, "effect": "NoSchedule", "timeAdded": now }));
        kept.push(json!({ "key": key, "effect": "NoExecute", "timeAdded": now }));
    }
    node["spec"]["taints"] = if kept.is_empty() { Value::Null } else { kept.into() };
}

/// When a pod has to leave its node; nothing if it may stay.
fn eviction(pod: &Value, node: &Value) -> Option<OffsetDateTime> {
    let taints = node["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let leave = taints.iter().filter(|taint| taint["effect"] == "NoExecute").filter_map(|taint| {
        let since = taint["timeAdded"].as_str().and_then(parse).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let tolerations = pod["spec"]["tolerations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut bearing = tolerations.iter().filter(|toleration| tolerates(toleration, taint)).peekable();
        if bearing.peek().is_none() {
            return Some(since);
        }
        let seconds = bearing.filter_map(|toleration| toleration["tolerationSeconds"].as_i64()).min();
        seconds.map(|seconds| since + Duration::seconds(seconds))
    });
    leave.min()
}
