//! How a cluster is reached, and as whom.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use secrecy::SecretString;

/// How a cluster is reached, and as whom.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// As the service account of the pod that this runs in.
    InCluster,
    /// As a kubeconfig says.
    Kubeconfig {
        /// The file; else what `KUBECONFIG` lists, or `~/.kube/config`.
        path: Option<PathBuf>,
        /// The context; else the current one.
        context: Option<String>,
    },
    /// As an identity of AWS, on EKS.
    Eks(Eks),
}

/// A cluster of EKS, and who asks it.
#[derive(Clone)]
pub struct Eks {
    /// Its name.
    pub cluster: String,
    /// The URL of its API.
    pub url: String,
    /// The certificate of its authority: PEM, or that in base64, as EKS gives it.
    pub authority: String,
    /// The region.
    pub region: String,
    /// Whose keys requests are signed with.
    pub keys: Arc<dyn AwsCredentials>,
}

impl fmt::Debug for Eks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eks").field("cluster", &self.cluster).field("region", &self.region).finish_non_exhaustive()
    }
}

/// Keys of AWS, as they are good now.
#[derive(Clone)]
pub struct AwsKeys {
    /// The id of the access key.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: SecretString,
    /// The token of the session, for keys that do not last.
    pub session_token: Option<SecretString>,
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKeys").finish_non_exhaustive()
    }
}

/// Keys, or why there are none.
pub type KeysFuture<'a> =
    Pin<Box<dyn Future<Output = Result<AwsKeys, Box<dyn std::error::Error + Send + Sync>>> + Send + 'a>>;

/// Where the keys come from.
pub trait AwsCredentials: Send + Sync {
    /// The keys that are good now.
    fn keys(&self) -> KeysFuture<'_>;
}
