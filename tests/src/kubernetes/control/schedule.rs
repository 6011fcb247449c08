//! The scheduler: binds pods to nodes that are ready, fit the selector and the taints, and have room.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kubernetes::api::{Resource, World, is_deleting, name_of, set_condition};
use crate::kubernetes::quantity::Quantity;

use super::tally::has_ended;

impl World {
    pub(super) fn schedule_pods(&mut self) {
        for key in self.keys(Resource::Pods) {
            let Some(pod) = self.get(&key).cloned() else { continue };
            let ours = pod["spec"]["schedulerName"] == "default-scheduler";
            if !ours || !pod["spec"]["nodeName"].is_null() || is_deleting(&pod) {
                continue;
            }
            let now = self.now_text();
            match self.choose(&pod) {
                Ok(node) => {
                    self.update(&key, |pod| {
                        pod["spec"]["nodeName"] = node.as_str().into();
                        set_condition(pod, &json!({ "type": "PodScheduled", "status": "True" }), &now);
                    });
                    let message = format!("Successfully assigned {}/{} to {node}", key.namespace, key.name);
                    self.tell(&pod, Resource::Pods, "Normal", "Scheduled", &message);
                }
                Err(message) => {
                    let said = json!({
                        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
                    });
                    self.update(&key, |pod| {
                        set_condition(pod, &said, &now);
                        let conditions = pod["status"]["conditions"].as_array_mut().into_iter().flatten();
                        let said = conditions.filter(|one| one["type"] == "PodScheduled");
                        said.for_each(|one| one["message"] = message.as_str().into());
                    });
                    self.tell(&pod, Resource::Pods, "Warning", "FailedScheduling", &message);
                }
            }
        }
    }

    /// The first node that fits, or why none does.
    fn choose(&self, pod: &Value) -> Result<String, String> {
        let nodes: Vec<_> = self.all(Resource::Nodes).collect();
        if nodes.is_empty() {
            return Err("no nodes available to schedule pods".to_owned());
        }
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let mut preemptible = 0;
        for (_, node) in &nodes {
            match self.unfit(pod, node) {
                None => return Ok(name_of(node).to_owned()),
                Some((reason, room)) => {
                    preemptible += usize::from(room);
                    *reasons.entry(reason).or_default() += 1;
                }
            }
        }
        let total = nodes.len();
        let reasons: Vec<_> = reasons.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let mut preemption = Vec::new();
        if preemptible > 0 {
            preemption.push(format!("{preemptible} No preemption victims found for incoming pod"));
        }
        if preemptible < total {
            preemption.push(format!("{} Preemption is not helpful for scheduling", total - preemptible));
        }
        let (reasons, preemption) = (reasons.join(", "), preemption.join(", "));
        let available = format!("0/{total} nodes are available");
        Err(format!("{available}: {reasons}. preemption: {available}: {preemption}."))
    }

    /// Why a pod cannot go to a node, and whether it could if there were room.
    fn unfit(&self, pod: &Value, node: &Value) -> Option<(String, bool)> {
        if node["spec"]["unschedulable"] == true {
            return Some(("node(s) were unschedulable".to_owned(), false));
        }
        let taints = node["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
        let tolerations = pod["spec"]["tolerations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let hard = taints.iter().filter(|taint| taint["effect"] == "NoSchedule" || taint["effect"] == "NoExecute");
        let mut borne = hard.filter(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)));
        if let Some(taint) = borne.next() {
            let text = |field: &str| taint[field].as_str().unwrap_or_default();
            return Some((format!("node(s) had untolerated taint {{{}: {}}}", text("key"), text("value")), false));
        }
        let labels = &node["metadata"]["labels"];
        let mut wanted = pod["spec"]["nodeSelector"].as_object().into_iter().flatten();
        if wanted.any(|(key, value)| labels[key] != *value) {
            return Some(("node(s) didn't match Pod's node affinity/selector".to_owned(), false));
        }
        self.short_of(pod, node).map(|what| (format!("Insufficient {what}"), true))
    }

    /// What a node has too little of.
    fn short_of(&self, pod: &Value, node: &Value) -> Option<&'static str> {
        let there = self
            .all(Resource::Pods)
            .map(|(_, other)| other)
            .filter(|other| other["spec"]["nodeName"] == name_of(node) && !has_ended(other));
        let there: Vec<_> = there.collect();
        ["cpu", "memory", "ephemeral-storage"].into_iter().find(|what| {
            let room = node["status"]["allocatable"][what].as_str().and_then(Quantity::parse);
            let Some(room) = room else { return requested(pod, what) > Quantity::default() };
            let used = there.iter().fold(requested(pod, what), |sum, other| sum.plus(requested(other, what)));
            requested(pod, what) > Quantity::default() && used > room
        })
    }
}

/// What all containers of a pod ask for together.
fn requested(pod: &Value, what: &str) -> Quantity {
    let containers = pod["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let amounts = containers.iter().filter_map(|one| Quantity::parse(one["resources"]["requests"][what].as_str()?));
    amounts.fold(Quantity::default(), Quantity::plus)
}

/// Whether a toleration bears a taint.
pub(super) fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (key, effect) = (text(&toleration["key"]), text(&toleration["effect"]));
    let exists = toleration["operator"] == "Exists";
    (effect.is_empty() || taint["effect"] == effect)
        && ((key.is_empty() && exists) || taint["key"] == key)
        && (exists || text(&toleration["value"]) == text(&taint["value"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toleration_bears_what_it_names() {
        let taint = json!({ "key": "gpu", "value": "yes", "effect": "NoSchedule" });
        assert!(tolerates(&json!({ "operator": "Exists" }), &taint));
        assert!(tolerates(&json!({ "key": "gpu", "value": "yes" }), &taint));
        assert!(!tolerates(&json!({ "key": "gpu", "value": "no" }), &taint));
        assert!(!tolerates(&json!({ "key": "gpu", "operator": "Exists", "effect": "NoExecute" }), &taint));
    }
}
