//! A job is made in three steps: the Job, suspended; its Secret, which the Job owns; and then the Job may go. Whoever
//! comes to it after any of them goes on from there.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource as _;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::core::request::Error as RequestError;
use serde::Serialize;
use serde_json::json;
use sluice_domain::gate::Program;
use sluice_domain::ports::{JobOrder, JobPlace};

use crate::calls::Calls;
use crate::error::{ClusterError, Tried};
use crate::manifest;

fn jobs(place: &JobPlace) -> Request {
    Request::new(Job::url_path(&(), Some(&place.namespace)))
}

fn secrets(place: &JobPlace) -> Request {
    Request::new(Secret::url_path(&(), Some(&place.namespace)))
}

fn tried(verb: &'static str, resource: &'static str, place: &JobPlace) -> Tried {
    Tried::new(verb, resource, &place.namespace, &place.name)
}

fn bytes(object: &impl Serialize) -> Result<Vec<u8>, RequestError> {
    serde_json::to_vec(object).map_err(RequestError::SerializeBody)
}

pub(crate) async fn start(calls: &Calls, order: &JobOrder<'_>) -> Result<(), ClusterError> {
    let place = &order.place;
    let job = made(calls, order).await?;
    if !manifest::is_of(&job, order) {
        return Err(ClusterError::NotOurs(place.to_string()));
    }
    if job.metadata.deletion_timestamp.is_some() {
        return Err(ClusterError::BeingDeleted(place.to_string()));
    }
    // It goes only once it has its Secret: who finds it going, or at its end, finds everything done.
    if job.spec.as_ref().and_then(|spec| spec.suspend) != Some(true) {
        return Ok(());
    }
    let uid = job.metadata.uid.unwrap_or_default();
    give(calls, order, &uid).await?;
    let going = Patch::Merge(json!({"metadata": {"uid": uid}, "spec": {"suspend": false}}));
    let patch = jobs(place).patch(&place.name, &PatchParams::default(), &going);
    match calls.done(&tried("patch", "jobs.batch", place), patch).await {
        // It was there a moment ago.
        Err(ClusterError::Missing { .. }) => Err(ClusterError::BeingDeleted(place.to_string())),
        done => done,
    }
}

/// The Job: made now, or by an earlier start.
async fn made(calls: &Calls, order: &JobOrder<'_>) -> Result<Job, ClusterError> {
    let place = &order.place;
    let deployment = match &order.spec.program {
        Program::Image { .. } => None,
        Program::Service { service, .. } => {
            // A service that went away is nothing to a job that is there.
            if let Some(job) = found(calls, place).await? {
                return Ok(job);
            }
            Some(deployment(calls, place, service).await?)
        }
    };
    let job = manifest::job(order, deployment.as_ref())?;
    let create = bytes(&job).and_then(|bytes| jobs(place).create(&PostParams::default(), bytes));
    match calls.ask(&tried("create", "jobs.batch", place), create).await {
        Err(ClusterError::Exists(_)) => {
            // Gone again by now, it was on its way out.
            found(calls, place).await?.ok_or_else(|| ClusterError::BeingDeleted(place.to_string()))
        }
        answer => answer,
    }
}

/// The Job, if there is one.
pub(crate) async fn found(calls: &Calls, place: &JobPlace) -> Result<Option<Job>, ClusterError> {
    let get = jobs(place).get(&place.name, &kube::api::GetParams::default());
    match calls.ask(&tried("get", "jobs.batch", place), get).await {
        Ok(job) => Ok(Some(job)),
        Err(ClusterError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn deployment(calls: &Calls, place: &JobPlace, service: &str) -> Result<Deployment, ClusterError> {
    let request = Request::new(Deployment::url_path(&(), Some(&place.namespace)));
    let get = request.get(service, &kube::api::GetParams::default());
    match calls.ask(&Tried::new("get", "deployments.apps", &place.namespace, service), get).await {
        Err(ClusterError::Missing { .. }) => {
            Err(ClusterError::NoService { service: service.to_owned(), namespace: place.namespace.clone() })
        }
        answer => answer,
    }
}

/// Gives a Job its Secret. One that is there is of an earlier attempt, or of an earlier Job of this name: nobody has
/// read it, as the Job is suspended, and it is replaced unread.
async fn give(calls: &Calls, order: &JobOrder<'_>, uid: &str) -> Result<(), ClusterError> {
    let place = &order.place;
    let secret = manifest::secret(order, uid)?;
    let create = || bytes(&secret).and_then(|bytes| secrets(place).create(&PostParams::default(), bytes));
    let creating = tried("create", "secrets", place);
    match calls.done(&creating, create()).await {
        Err(ClusterError::Exists(_)) => {}
        done => return done,
    }
    forget(calls, place).await?;
    calls.done(&creating, create()).await
}

/// Deletes the Secret of a job, if there is one.
async fn forget(calls: &Calls, place: &JobPlace) -> Result<(), ClusterError> {
    let delete = secrets(place).delete(&place.name, &DeleteParams::default());
    gone(calls.done(&tried("delete", "secrets", place), delete).await)
}

pub(crate) async fn remove(calls: &Calls, place: &JobPlace) -> Result<(), ClusterError> {
    let delete = jobs(place).delete(&place.name, &DeleteParams::background());
    gone(calls.done(&tried("delete", "jobs.batch", place), delete).await)?;
    // It goes with its Job, but for one whose Job was never its own.
    forget(calls, place).await
}

fn gone(deleted: Result<(), ClusterError>) -> Result<(), ClusterError> {
    match deleted {
        Err(ClusterError::Missing { .. }) => Ok(()),
        deleted => deleted,
    }
}
