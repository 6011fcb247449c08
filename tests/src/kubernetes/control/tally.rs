//! The count of a job's pods, which outlives them.

use std::collections::BTreeSet;

use serde_json::Value;
use time::OffsetDateTime;

use crate::kubernetes::api::{Object, is_deleting, uid_of};

/// The pods of a job, by their uids.
#[derive(Debug, Clone, Default)]
pub(in crate::kubernetes) struct Tally {
    seen: BTreeSet<String>,
    pub succeeded: BTreeSet<String>,
    pub failed: BTreeSet<String>,
    /// Those that were stopped because the job was suspended: neither.
    pub suspended: BTreeSet<String>,
    pub last_failure: Option<OffsetDateTime>,
}

impl Tally {
    /// Counts the pods that are there, and those that were and are gone.
    pub fn count(&mut self, pods: &[Object], terminating_fails: bool, now: OffsetDateTime) {
        let failures = self.failed.len();
        for pod in pods {
            let uid = uid_of(pod).to_owned();
            match pod["status"]["phase"].as_str() {
                _ if self.suspended.contains(&uid) => {}
                // What was counted stays counted: a pod that was told to end has failed, however it ends.
                Some("Succeeded") if !self.failed.contains(&uid) => drop(self.succeeded.insert(uid.clone())),
                Some("Failed") => drop(self.failed.insert(uid.clone())),
                _ if is_deleting(pod) && terminating_fails => drop(self.failed.insert(uid.clone())),
                _ => {}
            }
            self.seen.insert(uid);
        }
        let here: BTreeSet<&str> = pods.iter().map(|pod| uid_of(pod)).collect();
        let gone = self.seen.iter().filter(|uid| !here.contains(uid.as_str()));
        let uncounted = gone.filter(|uid| !self.succeeded.contains(*uid) && !self.suspended.contains(*uid));
        self.failed.extend(uncounted.cloned());
        if self.failed.len() > failures {
            self.last_failure = Some(now);
        }
    }
}

/// Whether a pod has come to its end.
pub(super) fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}
