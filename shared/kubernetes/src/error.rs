//! Why a cluster does not do its part, and who must act.

use std::fmt;

use sluice_domain::{Classify, Fault, Told};

/// Longest that a cluster is left alone because it asks for it, in milliseconds: a check does not take for ever.
const AFTER_MS_MAX: u64 = 60_000;

/// What was tried: in the words in which a role allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// As `create`.
    pub verb: &'static str,
    /// As `jobs.batch`.
    pub resource: &'static str,
    /// Where.
    pub namespace: String,
    /// On which object, if on one.
    pub name: String,
}

impl Tried {
    pub(crate) fn new(verb: &'static str, resource: &'static str, namespace: &str, name: &str) -> Self {
        Self { verb, resource, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} in the namespace {}", self.verb, self.resource, self.name, self.namespace)
    }
}

/// Where the rest is to be found.
const LOG: &str = "whoever runs Sluice finds why in its log";

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A cluster does not do its part. Says what was tried; never holds a token or a secret. Its text and its sources are for
/// the log; for everybody else there is [`ClusterError::told`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// It is not to be found out how the cluster is reached.
    #[error("cannot use {from} to reach the cluster")]
    Credentials {
        /// What was read.
        from: String,
        /// What is wrong with it.
        source: Cause,
    },
    /// No client can be made of it.
    #[error("cannot get ready to reach the cluster")]
    Setup(#[source] Cause),
    /// The proxy is of a kind that is not known.
    #[error("cannot reach the cluster over the proxy {0}: only proxies at http:// are known")]
    Proxy(String),
    /// AWS gives no keys.
    #[error("cannot get the keys of AWS to sign a token for the cluster with")]
    AwsKeys(#[source] Cause),
    /// The token cannot be signed.
    #[error("cannot sign a token for the cluster")]
    Sign(#[source] Cause),
    /// The cluster is not reached.
    #[error("cannot reach the cluster to {tried}")]
    Unreachable {
        /// What was tried.
        tried: Tried,
        /// Why.
        source: Cause,
    },
    /// It did not answer in time.
    #[error("the cluster did not answer in time, asked to {0}")]
    TimedOut(Tried),
    /// It has too much to do.
    #[error("the cluster has too much to do to {tried}")]
    Throttled {
        /// What was tried.
        tried: Tried,
        /// Milliseconds it asks to be left alone.
        after_ms: Option<u64>,
    },
    /// It, or something before it, is out of order.
    #[error("the cluster cannot {tried}, it says {status}: {message}")]
    Unavailable {
        /// What was tried.
        tried: Tried,
        /// The status.
        status: u16,
        /// What it says.
        message: String,
        /// Milliseconds it asks to be left alone.
        after_ms: Option<u64>,
    },
    /// The namespace has no room for it now.
    #[error("cannot {tried} before there is room in its quota: {message}")]
    Quota {
        /// What was tried.
        tried: Tried,
        /// What the cluster says.
        message: String,
    },
    /// The cluster does not know who asks.
    #[error("cannot {0}: the cluster does not know who asks; the credentials are wrong or out of date")]
    Unknown(Tried),
    /// Who asks is not allowed to.
    #[error(
        "cannot {tried}: a role has to allow {} on {} there to whoever Sluice is for the cluster: {message}",
        tried.verb, tried.resource
    )]
    Forbidden {
        /// What was tried.
        tried: Tried,
        /// What the cluster says.
        message: String,
    },
    /// There is no such thing, or no such namespace.
    #[error("cannot {tried}: {message}")]
    Missing {
        /// What was tried.
        tried: Tried,
        /// What the cluster says.
        message: String,
    },
    /// The service whose pod is to be copied is not there.
    #[error(
        "there is no Deployment {service} in the namespace {namespace}: the service of a job has to be deployed where \
         the job runs"
    )]
    NoService {
        /// The service.
        service: String,
        /// The namespace.
        namespace: String,
    },
    /// The service has no such container.
    #[error("the Deployment {service} has no container {container}")]
    NoContainer {
        /// The service.
        service: String,
        /// The container.
        container: String,
    },
    /// No image is named, neither by the check nor by any setting.
    #[error("the job has no image: name it in the check, or as ExecutorEphemeralImage")]
    NoImage,
    /// What the job is to get does not fit into a Secret.
    #[error("the job is to get {bytes} bytes in its Secret, and that holds {most}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// It is there already.
    #[error("cannot {0}: it is there already")]
    Exists(Tried),
    /// Something else changed it at the same time.
    #[error("cannot {0}: it was changed at the same time")]
    Conflict(Tried),
    /// There is a job of this name that is not for this check.
    #[error("the job {0} is not of this check: somebody else made it")]
    NotOurs(String),
    /// The job of an earlier start is being deleted.
    #[error("the job {0} is being deleted: it cannot be started again before it is gone")]
    BeingDeleted(String),
    /// What was watched cannot be watched from there any more.
    #[error("cannot {0} from where it was: it has to be listed again")]
    Expired(Tried),
    /// The cluster does not take it.
    #[error("the cluster does not {tried}, it says {status}: {message}")]
    Refused {
        /// What was tried.
        tried: Tried,
        /// The status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// The answer is none, or too large.
    #[error("the cluster's answer, asked to {tried}, cannot be read: {is}")]
    BadAnswer {
        /// What was tried.
        tried: Tried,
        /// What is wrong with it.
        is: String,
    },
}

impl Classify for ClusterError {
    fn fault(&self) -> Fault {
        match self {
            Self::Throttled { after_ms: Some(after_ms), .. } => Fault::Throttled { after_ms: *after_ms },
            Self::Unavailable { after_ms, .. } => Fault::Transient { after_ms: *after_ms },
            Self::Throttled { after_ms: None, .. }
            | Self::AwsKeys(_)
            | Self::Unreachable { .. }
            | Self::TimedOut(_)
            // A token is made anew, and who checks it may be restarting.
            | Self::Unknown(_)
            | Self::Quota { .. }
            | Self::Exists(_)
            | Self::Conflict(_)
            | Self::BeingDeleted(_)
            | Self::Expired(_)
            | Self::BadAnswer { .. } => Fault::TRANSIENT,
            Self::Credentials { .. }
            | Self::Setup(_)
            | Self::Proxy(_)
            | Self::Sign(_)
            | Self::Forbidden { .. }
            | Self::Missing { .. }
            | Self::NoService { .. }
            | Self::NoContainer { .. }
            | Self::NoImage
            | Self::TooLarge { .. }
            | Self::NotOurs(_)
            | Self::Refused { .. } => Fault::Permanent,
        }
    }
}

impl Told for ClusterError {
    /// What was tried, and who must act. Not what the cluster, or whatever
    /// stands before it, says of it, nor what it comes of: such sentences name users, roles, files and addresses. Only
    /// of a quota and of a manifest that is not taken, as there they say what to do.
    fn told(&self) -> String {
        match self {
            Self::Credentials { .. } => format!("cannot use what is set to reach the cluster; {LOG}"),
            Self::Proxy(_) => format!("cannot reach the cluster over the proxy that is set; {LOG}"),
            Self::Setup(_) | Self::AwsKeys(_) | Self::Sign(_) | Self::Unreachable { .. } => format!("{self}; {LOG}"),
            Self::Unavailable { tried, status, .. } => format!("the cluster cannot {tried}, it says {status}; {LOG}"),
            Self::Forbidden { tried, .. } => format!(
                "cannot {tried}: a role has to allow {} on {} there to whoever Sluice is for the cluster",
                tried.verb, tried.resource
            ),
            Self::Missing { tried, .. } => format!("cannot {tried}: it, or the namespace, is not there"),
            Self::Refused { tried, status, .. } if *status != 422 => {
                format!("the cluster does not {tried}, it says {status}; {LOG}")
            }
            // These are in words of our own, but for a quota's and a manifest's.
            Self::TimedOut(_)
            | Self::Throttled { .. }
            | Self::Quota { .. }
            | Self::Unknown(_)
            | Self::NoService { .. }
            | Self::NoContainer { .. }
            | Self::NoImage
            | Self::TooLarge { .. }
            | Self::Exists(_)
            | Self::Conflict(_)
            | Self::NotOurs(_)
            | Self::BeingDeleted(_)
            | Self::Expired(_)
            | Self::Refused { .. }
            | Self::BadAnswer { .. } => self.to_string(),
        }
    }
}

/// What a cluster said of a request that it did not do.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) message: String,
    pub(crate) reason: String,
    /// Seconds it asks to be left alone.
    pub(crate) after_seconds: Option<u64>,
}

impl ClusterError {
    /// What it means that `tried` was answered like this.
    pub(crate) fn answered(tried: Tried, status: u16, said: Said) -> Self {
        let Said { message, reason, after_seconds } = said;
        let after_ms = after_seconds.map(|seconds| seconds.saturating_mul(1000).min(AFTER_MS_MAX));
        // Whatever stands between may have said it: nothing of what was sent is to be in it.
        let told = tried.resource == "secrets" && !matches!(status, 403 | 404 | 409);
        let message = if told { format!("({reason})") } else { message.chars().take(1_000).collect() };
        match status {
            401 => Self::Unknown(tried),
            // The latter is said of a quota that is so new that nobody has counted yet.
            403 if message.contains("exceeded quota") || message.contains("status unknown for quota") => {
                Self::Quota { tried, message }
            }
            403 if message.contains(" cannot ") || message.is_empty() => Self::Forbidden { tried, message },
            404 => Self::Missing { tried, message },
            409 if reason == "AlreadyExists" => Self::Exists(tried),
            409 => Self::Conflict(tried),
            410 => Self::Expired(tried),
            429 => Self::Throttled { tried, after_ms },
            408 | 500.. => Self::Unavailable { tried, status, message, after_ms },
            _ => Self::Refused { tried, status, message },
        }
    }
}

#[cfg(test)]
mod tests;
