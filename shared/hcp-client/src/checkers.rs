//! Other run tasks: asked as HCP Terraform asks them, and never where only we can reach.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use sluice_domain::{Classify, Fault};
use sluice_hcp::signature::{RUN_TASK_HEADER, sign};
use tracing::debug;
use url::{Host, Url};

use crate::allowed::Allowed;
use crate::client::SettingsError;
use crate::failure::asked_ms;
use crate::resolver::{Guarded, NotPublic};
use crate::tls;

/// What HCP Terraform calls itself: some handlers look.
const TERRAFORM: &str = "TFC/1.0 (+https://app.terraform.io; TFC)";

/// How long [`Checkers`] waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckerLimits {
    /// Until a connection stands.
    pub connect: Duration,
    /// For the whole request, answer included.
    pub call: Duration,
}

impl Default for CheckerLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), call: Duration::from_secs(10) }
    }
}

/// A checker that was not asked, or did not take the question. It tells neither path nor query of a URL.
#[derive(Debug, thiserror::Error)]
pub enum CheckerError {
    /// Not a URL that a checker can have.
    #[error("the checker's URL is not an http:// or https:// one without a user name")]
    Url,
    /// Plain HTTP to a host that is not allowed.
    #[error("the checker at {host} has to be asked over https://, unless it is listed among the allowed hosts")]
    PlainHttp {
        /// Where, with the port if it has one.
        host: String,
    },
    /// It is at an address that is not public.
    #[error("the checker at {host} is not at a public address, nor listed among the allowed hosts")]
    NotPublic {
        /// Where, with the port if it has one.
        host: String,
    },
    /// No answer, or one that broke off: it may have heard the question.
    #[error("the checker at {host} did not answer")]
    Unreachable {
        /// Where, with the port if it has one.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It has trouble that may pass.
    #[error("the checker at {host} answered with status {status}")]
    Busy {
        /// Where, with the port if it has one.
        host: String,
        /// The HTTP status: 408, 429, or 500 to 599.
        status: u16,
        /// How long it asks to be left alone, in milliseconds.
        after_ms: Option<u64>,
    },
    /// It does not take the question: HCP Terraform, too, takes nothing but 200 for an answer.
    #[error("the checker at {host} answered with status {status} instead of 200{}", hint(*.status))]
    Refused {
        /// Where, with the port if it has one.
        host: String,
        /// The HTTP status.
        status: u16,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => ", and redirects are not followed",
        401 | 403 => ": its HMAC key may be another",
        _ => "",
    }
}

impl Classify for CheckerError {
    fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } => Fault::TRANSIENT,
            Self::Busy { after_ms, .. } => Fault::Transient { after_ms: *after_ms },
            Self::Url | Self::PlainHttp { .. } | Self::NotPublic { .. } | Self::Refused { .. } => Fault::Permanent,
        }
    }
}

/// Other run tasks. Build one per process: it keeps connections.
pub struct Checkers {
    http: reqwest::Client,
    allowed: Arc<Allowed>,
    limits: CheckerLimits,
}

impl Checkers {
    /// Checkers at public addresses and at those that are `allowed`. `ca_bundle` are PEM certificates to trust beside
    /// the public roots. Nothing is sent yet.
    pub fn new(allowed: Allowed, ca_bundle: Option<&[u8]>, limits: CheckerLimits) -> Result<Self, SettingsError> {
        let allowed = Arc::new(allowed);
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(ca_bundle)?)
            // Each of these would connect to what nobody looked at: a redirect's target, what a proxy resolves.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Guarded::new(allowed.clone()))
            .connect_timeout(limits.connect)
            .build()
            .map_err(|source| SettingsError::Http(source.into()))?;
        Ok(Self { http, allowed, limits })
    }

    /// Sends `body`, a run task request, to the checker at `url`, signed with `key` if there is one. What the checker
    /// finds comes by callback.
    pub async fn send(&self, url: &str, body: Vec<u8>, key: Option<&SecretString>) -> Result<(), CheckerError> {
        let (url, host) = self.checked(url)?;
        // HCP Terraform sends the header empty where no key is set. An empty key is none: anybody could sign with it.
        let key = key.filter(|key| !key.expose_secret().is_empty());
        let signature = key.map_or_else(String::new, |key| sign(key, &body));
        let request = self.http.post(url).header(CONTENT_TYPE, "application/json").header(USER_AGENT, TERRAFORM);
        let request = request.header(RUN_TASK_HEADER, signature).body(body).timeout(self.limits.call);
        match request.send().await {
            // Its body says nothing that counts: it is left where it is.
            Ok(answer) => judged(&answer, host),
            Err(error) if is_not_public(&error) => Err(CheckerError::NotPublic { host }),
            Err(error) => Err(CheckerError::Unreachable { host, source: error.without_url().into() }),
        }
    }

    /// The URL, if it may be connected to as far as it tells by itself, and its host for people. Names are looked up
    /// later, by [`Guarded`].
    fn checked(&self, url: &str) -> Result<(Url, String), CheckerError> {
        let url = Url::parse(url).map_err(|_| CheckerError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return Err(CheckerError::Url);
        }
        let (reachable, listed) = match url.host().ok_or(CheckerError::Url)? {
            Host::Domain(name) => (true, self.allowed.has_name(name)),
            Host::Ipv4(address) => (self.allowed.reaches(address.into()), self.allowed.lists(address.into())),
            Host::Ipv6(address) => (self.allowed.reaches(address.into()), self.allowed.lists(address.into())),
        };
        let name = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        if !reachable {
            return Err(CheckerError::NotPublic { host });
        }
        if url.scheme() == "http" && !listed {
            return Err(CheckerError::PlainHttp { host });
        }
        Ok((url, host))
    }
}

fn judged(answer: &Response, host: String) -> Result<(), CheckerError> {
    let status = answer.status();
    debug!(http.status = status.as_u16(), "the checker at {host} answered");
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(busy(answer, host)),
        status if status.is_server_error() => Err(busy(answer, host)),
        status => Err(CheckerError::Refused { host, status: status.as_u16() }),
    }
}

fn busy(answer: &Response, host: String) -> CheckerError {
    CheckerError::Busy { host, status: answer.status().as_u16(), after_ms: asked_ms(answer.headers()) }
}

fn is_not_public(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<NotPublic>() {
            return true;
        }
        source = cause.source();
    }
    false
}

#[cfg(test)]
mod tests;
