//! By what a job is known in the cluster: labels to find it by, annotations to read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::batch::v1::Job;
use sha2::{Digest as _, Sha256};
use sluice_domain::gate::Program;
use sluice_domain::ports::JobOrder;

/// The label by which the pods of a job are found: its name.
pub const LABEL_JOB: &str = "sluice/job";
/// The annotation in which Lagoon's images leave data.
pub const ANNOTATION_TASK_DATA: &str = "lagoon.sh/taskData";
/// The label that cancels a job, as it cancels a task of Lagoon's.
pub(crate) const CANCEL: &str = "lagoon.sh/cancelTask";
/// The annotation that says why.
pub(crate) const CANCEL_REASON: &str = "lagoon.sh/cancelReason";

/// The task result a job is for.
const RESULT: &str = "sluice/result";
/// The check.
const CHECK: &str = "sluice/check";
/// The run.
const RUN: &str = "sluice/run";
/// A pod that is moved is a check that broke: how the autoscaler is told, and how Karpenter is.
const STAYS: [(&str, &str); 2] =
    [("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"), ("karpenter.sh/do-not-disrupt", "true")];
/// Longest label, in bytes.
const LABEL_BYTES_MAX: usize = 63;
/// Bytes of a label that had to be changed which are left of it.
const LABEL_BYTES_KEPT: usize = 48;

type Marks = BTreeMap<String, String>;

/// The labels of everything that belongs to a job.
pub(super) fn own_labels(order: &JobOrder<'_>) -> Marks {
    let about = &order.about;
    let kind = match order.spec.program {
        Program::Image { .. } => "advanced",
        Program::Service { .. } => "standard",
    };
    [
        ("app.kubernetes.io/managed-by", "sluice".to_owned()),
        (LABEL_JOB, order.place.name.clone()),
        (RESULT, value(about.result.as_str())),
        (CHECK, value(about.check.as_str())),
        (RUN, value(&about.run)),
        ("terrakube.io/organization", value(&about.organization)),
        ("terrakube.io/workspace", value(&about.workspace)),
        ("lagoon.sh/taskType", kind.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// The labels of a Job and its pod: the settings' and, over them, its own.
pub(super) fn labels(order: &JobOrder<'_>) -> Marks {
    order.settings.labels.clone().into_iter().chain(own_labels(order)).collect()
}

fn own_annotations(order: &JobOrder<'_>) -> impl Iterator<Item = (String, String)> {
    let about = &order.about;
    [
        (RESULT, about.result.as_str()),
        (CHECK, about.check.as_str()),
        (RUN, &about.run),
        ("sluice/organization", &about.organization),
        ("sluice/workspace", &about.workspace),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into_iter()
}

/// The annotations of a Job.
pub(super) fn annotations(order: &JobOrder<'_>) -> Marks {
    order.settings.annotations.clone().into_iter().chain(own_annotations(order)).collect()
}

/// The annotations of its pod.
pub(super) fn pod_annotations(order: &JobOrder<'_>) -> Marks {
    let stays = STAYS.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let own = order.settings.pod_annotations.clone();
    stays.into_iter().chain(own).chain(own_annotations(order)).collect()
}

/// Whether a Job is the one of an order.
pub(crate) fn is_of(job: &Job, order: &JobOrder<'_>) -> bool {
    let has = |key: &str, value: &str| {
        job.metadata.annotations.as_ref().and_then(|found| found.get(key)).is_some_and(|found| found == value)
    };
    has(RESULT, order.about.result.as_str()) && has(CHECK, order.about.check.as_str())
}

/// A text as a label can have it: itself if it can, or else what is left of it and a digest, as different texts have to
/// stay different.
fn value(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: char| !c.is_ascii_alphanumeric();
    if text.len() <= LABEL_BYTES_MAX && text.chars().all(plain) && !text.starts_with(edge) && !text.ends_with(edge) {
        return text.to_owned();
    }
    let kept: String = text.chars().map(|c| if plain(c) { c } else { '-' }).take(LABEL_BYTES_KEPT).collect();
    let mut label = kept.trim_matches(edge).to_owned();
    label.push_str(if label.is_empty() { "" } else { "-" });
    for byte in Sha256::digest(text).iter().take(6) {
        // A text takes whatever is written into it.
        let _ = write!(label, "{byte:02x}");
    }
    label
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn any_text_becomes_a_label_of_its_own() {
        assert_eq!(value("net-work_1.2"), "net-work_1.2");
        let texts = ["-", "taskrs-1@guard", "taskrs-1-guard-", "Ä", &"x".repeat(64), &"x".repeat(65), "a/b", "a b"];
        let labels: std::collections::BTreeSet<String> = texts.into_iter().map(value).collect();
        assert_eq!(labels.len(), texts.len());
        for label in labels {
            assert!(label.len() <= 63 && !label.is_empty(), "{label}");
            assert!(label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{label}");
            assert!(label.starts_with(|c: char| c.is_ascii_alphanumeric()), "{label}");
            assert!(label.ends_with(|c: char| c.is_ascii_alphanumeric()), "{label}");
        }
        assert!(value("taskrs-1@guard").starts_with("taskrs-1-guard-"));
    }
}
