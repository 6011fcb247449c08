//! Jobs of a Kubernetes cluster behind the domain's port: [`Kubernetes`] is a [`Cluster`].
//!
//! What it never does:
//! - put a secret into anything but the job's own Secret, or a token into an error or a log line;
//! - read a Secret: what is there already is replaced, never looked at;
//! - run a job's pod a second time;
//! - try a request again: whether and when is for the caller, whose table counts the attempts.
//!
//! [`Cluster`]: sluice_domain::ports::Cluster

mod calls;
mod connect;
mod credentials;
mod eks;
mod error;
mod lines;
mod logs;
pub mod manifest;
mod sight;
mod standing;
mod start;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use sluice_domain::Timestamp;
use sluice_domain::ports::{Cluster, JobOrder, JobPlace, Output, Patience, Standing};

pub use credentials::{AwsCredentials, AwsKeys, Credentials, Eks, KeysFuture};
pub use error::{ClusterError, Tried};

use calls::Calls;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How long to wait for a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For an answer as a whole; what is watched is answered for longer.
    pub request: Duration,
    /// For what a program wrote, however often it is asked for: a node that is not reached must not take the time in
    /// which the job's end is told.
    pub output: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), request: Duration::from_secs(20), output: Duration::from_secs(8) }
    }
}

/// A Kubernetes cluster.
pub struct Kubernetes {
    calls: Calls,
    clock: Clock,
    namespace: String,
}

impl Kubernetes {
    /// Gets ready to ask a cluster. Nothing is asked yet, but a kubeconfig's own program is run if it names one.
    pub async fn connect(credentials: Credentials, limits: Limits, clock: Clock) -> Result<Self, ClusterError> {
        let (client, tokens) = connect::connect(credentials, limits).await?;
        let namespace = client.default_namespace().to_owned();
        Ok(Self { calls: Calls::new(client, tokens, limits, clock.clone()), clock, namespace })
    }

    /// The namespace that the credentials come with: that of the context, or of the pod.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

impl Cluster for Kubernetes {
    type Error = ClusterError;

    async fn start(&self, order: &JobOrder<'_>) -> Result<(), ClusterError> {
        start::start(&self.calls, order).await
    }

    async fn watch(&self, place: &JobPlace, patience: Patience, slice: Duration) -> Result<Standing, ClusterError> {
        watch::watch(&self.calls, &self.clock, place, patience, slice).await
    }

    async fn output(&self, place: &JobPlace) -> Result<Output, ClusterError> {
        watch::so_far(&self.calls, place).await
    }

    async fn remove(&self, place: &JobPlace) -> Result<(), ClusterError> {
        start::remove(&self.calls, place).await
    }
}
