//! What a kubelet writes into the status of a pod.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::kubernetes::api::text;

/// The state of one container.
#[derive(Debug, Clone)]
pub(super) enum State {
    Waiting { reason: String, message: String },
    Running { since: String },
    Terminated { since: String, at: String, code: i32, reason: String, message: String },
}

/// What the kubelet knows of a pod.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub started: String,
    /// By the order of the spec: name, image and state.
    pub containers: Vec<(String, String, State)>,
    /// Reason and message of a pod that the kubelet itself ended.
    pub ended: Option<(String, String)>,
    /// Whether the end was none of the pod's making.
    pub disrupted: bool,
}

pub(super) fn now() -> String {
    text(OffsetDateTime::now_utc())
}

impl State {
    pub fn waiting(reason: &str, message: &str) -> Self {
        Self::Waiting { reason: reason.to_owned(), message: message.to_owned() }
    }

    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Terminated { .. })
    }

    fn json(&self, id: &str) -> Value {
        let or_none = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        let mut state = match self {
            Self::Waiting { reason, message } => {
                json!({ "waiting": { "reason": reason, "message": or_none(message) } })
            }
            Self::Running { since } => json!({ "running": { "startedAt": since } }),
            Self::Terminated { since, at, code, reason, message } => json!({ "terminated": {
                "exitCode": code,
                "reason": reason,
                "message": or_none(message),
                "startedAt": since,
                "finishedAt": at,
                "containerID": id,
            } }),
        };
        for inner in state.as_object_mut().into_iter().flatten().map(|(_, inner)| inner) {
            inner.as_object_mut().into_iter().for_each(|fields| fields.retain(|_, field| !field.is_null()));
        }
        state
    }
}

impl Report {
    pub fn phase(&self) -> &'static str {
        let all_ended = self.containers.iter().all(|(_, _, state)| state.has_ended());
        let clean = |state: &State| matches!(state, State::Terminated { code: 0, .. });
        let begun = |state: &State| !matches!(state, State::Waiting { .. });
        if self.ended.is_some() {
            "Failed"
        } else if all_ended {
            if self.containers.iter().all(|(_, _, state)| clean(state)) { "Succeeded" } else { "Failed" }
        } else if self.containers.iter().any(|(_, _, state)| begun(state)) {
            "Running"
        } else {
            "Pending"
        }
    }

    /// The patch of the status.
    pub fn patch(&self, uid: &str) -> Value {
        let mut status = json!({
            "phase": self.phase(),
            "startTime": self.started,
            "hostIP": "127.0.0.1",
            "podIP": "127.0.0.1",
            "podIPs": [{ "ip": "127.0.0.1" }],
            "conditions": self.conditions(),
            "containerStatuses": self.statuses(uid),
        });
        if let Some((reason, message)) = &self.ended {
            status["reason"] = reason.as_str().into();
            status["message"] = message.as_str().into();
        }
        json!({ "metadata": { "uid": uid }, "status": status })
    }

    fn statuses(&self, uid: &str) -> Vec<Value> {
        let containers = self.containers.iter().map(|(name, image, state)| {
            let running = matches!(state, State::Running { .. });
            let id = format!("process://{uid}/{name}");
            let begun = !matches!(state, State::Waiting { .. });
            json!({
                "name": name,
                "image": image,
                "imageID": if begun { image.as_str() } else { "" },
                "containerID": if begun { Value::from(id.as_str()) } else { Value::Null },
                "ready": running,
                "started": running,
                "restartCount": 0,
                "state": state.json(&id),
                "lastState": {},
            })
        });
        containers.collect()
    }

    fn conditions(&self) -> Vec<Value> {
        let now = now();
        let condition = |kind: &str, status: bool, reason: &str, message: &str| {
            // What is null takes away what was said before.
            let or_null = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
            json!({
                "type": kind,
                "status": if status { "True" } else { "False" },
                "reason": or_null(reason),
                "message": or_null(message),
                "lastTransitionTime": now,
            })
        };
        let phase = self.phase();
        let unready = self.containers.iter().filter(|(_, _, state)| !matches!(state, State::Running { .. }));
        let unready: Vec<_> = unready.map(|(name, _, _)| name.as_str()).collect();
        let message = format!("containers with unready status: [{}]", unready.join(" "));
        let (ready, reason, message) = match phase {
            "Succeeded" => (false, "PodCompleted", ""),
            "Failed" => (false, "PodFailed", ""),
            _ if unready.is_empty() => (true, "", ""),
            _ => (false, "ContainersNotReady", message.as_str()),
        };
        let mut conditions = vec![
            condition("Initialized", true, if phase == "Succeeded" { "PodCompleted" } else { "" }, ""),
            condition("Ready", ready, reason, message),
            condition("ContainersReady", ready, reason, message),
            condition("PodScheduled", true, "", ""),
        ];
        if let Some((_, message)) = self.ended.as_ref().filter(|_| self.disrupted) {
            conditions.push(condition("DisruptionTarget", true, "TerminationByKubelet", message));
        }
        conditions
    }
}
