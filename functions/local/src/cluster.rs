//! Where jobs run on a laptop: in the cluster that a kubeconfig names, in the demo itself, or nowhere.

use std::sync::Arc;
use std::time::Duration;

use sluice_domain::ports::{Cluster, JobOrder, JobPlace, Output, Patience, Standing};
use sluice_domain::{Classify, Fault, Told};
use sluice_kubernetes::{ClusterError, Credentials, Kubernetes, Limits};
use sluice_lambda::now;
use tokio::sync::OnceCell;

use crate::demo::{InProcess, NoImage};

/// Where jobs run.
pub enum AnyCluster {
    /// In a cluster.
    Kubernetes(Arc<Kubernetes>),
    /// In a cluster that is got ready for when the first job is to run: a kubeconfig may name a program for that, and
    /// most who have one want no jobs.
    Later(Box<Later>),
    /// In this process.
    InProcess(InProcess),
    /// Nowhere.
    None,
}

/// A cluster that nobody has asked yet.
pub struct Later {
    credentials: Credentials,
    cluster: OnceCell<Kubernetes>,
}

impl AnyCluster {
    /// The cluster that the environment names, if it does.
    #[must_use]
    pub fn of(credentials: Option<Credentials>) -> Self {
        match credentials {
            Some(credentials) => Self::Later(Box::new(Later { credentials, cluster: OnceCell::new() })),
            None => Self::None,
        }
    }
}

impl Later {
    async fn cluster(&self) -> Result<&Kubernetes, AnyClusterError> {
        let connect = || Kubernetes::connect(self.credentials.clone(), Limits::default(), Arc::new(now));
        Ok(self.cluster.get_or_try_init(connect).await?)
    }
}

/// Why a job cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AnyClusterError {
    /// The cluster does not do its part.
    #[error(transparent)]
    Kubernetes(#[from] ClusterError),
    /// The demo has no such image.
    #[error(transparent)]
    InProcess(#[from] NoImage),
    /// There is no cluster.
    #[error("there is no cluster to run it in: `sluice serve` uses the one that a kubeconfig names")]
    None,
}

impl Classify for AnyClusterError {
    fn fault(&self) -> Fault {
        match self {
            Self::Kubernetes(error) => error.fault(),
            Self::InProcess(error) => error.fault(),
            Self::None => Fault::Permanent,
        }
    }
}

impl Told for AnyClusterError {
    fn told(&self) -> String {
        match self {
            Self::Kubernetes(error) => error.told(),
            error => error.to_string(),
        }
    }
}

impl Cluster for AnyCluster {
    type Error = AnyClusterError;

    async fn start(&self, order: &JobOrder<'_>) -> Result<(), AnyClusterError> {
        match self {
            Self::Kubernetes(cluster) => Ok(cluster.start(order).await?),
            Self::Later(later) => Ok(later.cluster().await?.start(order).await?),
            Self::InProcess(cluster) => Ok(cluster.start(order).await?),
            Self::None => Err(AnyClusterError::None),
        }
    }

    async fn watch(&self, place: &JobPlace, patience: Patience, slice: Duration) -> Result<Standing, AnyClusterError> {
        match self {
            Self::Kubernetes(cluster) => Ok(cluster.watch(place, patience, slice).await?),
            Self::Later(later) => Ok(later.cluster().await?.watch(place, patience, slice).await?),
            Self::InProcess(cluster) => Ok(cluster.watch(place, patience, slice).await?),
            Self::None => Err(AnyClusterError::None),
        }
    }

    async fn output(&self, place: &JobPlace) -> Result<Output, AnyClusterError> {
        match self {
            Self::Kubernetes(cluster) => Ok(cluster.output(place).await?),
            Self::Later(later) => Ok(later.cluster().await?.output(place).await?),
            Self::InProcess(cluster) => Ok(cluster.output(place).await?),
            Self::None => Err(AnyClusterError::None),
        }
    }

    async fn remove(&self, place: &JobPlace) -> Result<(), AnyClusterError> {
        match self {
            Self::Kubernetes(cluster) => Ok(cluster.remove(place).await?),
            Self::Later(later) => Ok(later.cluster().await?.remove(place).await?),
            Self::InProcess(cluster) => Ok(cluster.remove(place).await?),
            // What is nowhere leaves nothing.
            Self::None => Ok(()),
        }
    }
}
