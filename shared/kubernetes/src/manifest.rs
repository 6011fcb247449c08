//! What a job is in the cluster: a Job, and the Secret that is its own.

mod container;
mod image;
mod marks;
mod service;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use secrecy::ExposeSecret as _;
use sluice_domain::gate::Program;
use sluice_domain::ports::JobOrder;

use crate::error::ClusterError;

pub use marks::{ANNOTATION_TASK_DATA, LABEL_JOB};
pub(crate) use marks::{CANCEL, CANCEL_REASON, is_of};

/// The container of an image, by the name that Lagoon gives it.
pub const CONTAINER: &str = "lagoon-task";
/// How long a job that is over stays, in seconds: what it left has to be read, though a reader dies over it.
const KEPT_SECONDS: i32 = 900;
/// Most bytes of a Secret.
const SECRET_BYTES_MAX: usize = 1_000_000;

/// The Job of an order, suspended: its pod is made once its Secret is there. `deployment` is the service whose pod is
/// copied, where the order runs a command in one.
pub fn job(order: &JobOrder<'_>, deployment: Option<&Deployment>) -> Result<Job, ClusterError> {
    let pod: PodSpec = match &order.spec.program {
        Program::Image { image } => image::pod(order, image.as_deref())?,
        Program::Service { service, container, command } => {
            let copied = deployment.and_then(|found| found.spec.as_ref()?.template.spec.as_ref());
            let copied = copied.ok_or_else(|| ClusterError::NoService {
                service: service.clone(),
                namespace: order.place.namespace.clone(),
            })?;
            service::pod(order, copied, (service, container.as_deref(), command))?
        }
    };
    let (labels, annotations) = (marks::labels(order), marks::annotations(order));
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels.clone()),
            annotations: Some(marks::pod_annotations(order)),
            ..ObjectMeta::default()
        }),
        spec: Some(pod),
    };
    Ok(Job {
        metadata: ObjectMeta {
            name: Some(order.place.name.clone()),
            namespace: Some(order.place.namespace.clone()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            // A program that ran is never run again by the cluster: what it did once it may not do twice.
            backoff_limit: Some(0),
            completions: Some(1),
            parallelism: Some(1),
            pod_replacement_policy: Some("Failed".to_owned()),
            active_deadline_seconds: Some(i64::from(order.seconds.max(1))),
            ttl_seconds_after_finished: Some(KEPT_SECONDS),
            suspend: Some(true),
            template,
            ..JobSpec::default()
        }),
        status: None,
    })
}

/// The Secret of an order, which goes when the Job of this uid goes.
pub fn secret(order: &JobOrder<'_>, job_uid: &str) -> Result<Secret, ClusterError> {
    let env = order.secrets.iter().map(|(name, value)| (container::env_key(name), value));
    let files = order.files.iter().map(|(name, value)| (container::file_key(name), value));
    let data: std::collections::BTreeMap<String, ByteString> =
        env.chain(files).map(|(key, value)| (key, ByteString(value.expose_secret().as_bytes().to_vec()))).collect();
    let bytes = data.iter().map(|(key, value)| key.len() + value.0.len()).sum();
    if bytes > SECRET_BYTES_MAX {
        return Err(ClusterError::TooLarge { bytes, most: SECRET_BYTES_MAX });
    }
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(order.place.name.clone()),
            namespace: Some(order.place.namespace.clone()),
            labels: Some(marks::own_labels(order)),
            owner_references: Some(vec![OwnerReference {
                api_version: "batch/v1".to_owned(),
                kind: "Job".to_owned(),
                name: order.place.name.clone(),
                uid: job_uid.to_owned(),
                controller: Some(false),
                block_owner_deletion: Some(false),
            }]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        immutable: Some(true),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    })
}

#[cfg(test)]
mod tests;
