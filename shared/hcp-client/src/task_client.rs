//! HCP Terraform as the token of one task result sees it.

use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sluice_domain::gate::CallbackUrl;
use sluice_domain::ports::TerraformError;
use url::Url;

use crate::client::{SettingsError, api_of, http};
use crate::failure::bad_answer;

/// How long a [`TaskClient`] waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskLimits {
    /// Until a connection stands.
    pub connect: Duration,
    /// For a whole callback, answer included.
    pub call: Duration,
    /// For the next bytes of a download, which as a whole may take any time.
    pub idle: Duration,
}

impl Default for TaskLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), call: Duration::from_secs(10), idle: Duration::from_secs(30) }
    }
}

/// HCP Terraform or Terraform Enterprise without a token of our own: each task result comes with one. Build one per
/// process: it keeps connections.
#[derive(Clone)]
pub struct TaskClient {
    /// `https://host/api/v2/`.
    pub(crate) api: Url,
    pub(crate) http: reqwest::Client,
    pub(crate) limits: TaskLimits,
}

impl TaskClient {
    /// A client of the instance at `address`, a scheme and a host and nothing after them. `ca_bundle` are PEM
    /// certificates to trust beside the public roots. Nothing is sent yet.
    pub fn new(address: &Url, ca_bundle: Option<&[u8]>, limits: TaskLimits) -> Result<Self, SettingsError> {
        let http = http(address, ca_bundle, limits.connect, limits.idle)?;
        Ok(Self { api: api_of(address)?, http, limits })
    }

    /// `url`, if it is one of the instance's own. It was when it came in; a token is worth a second look.
    pub(crate) fn own(&self, action: &'static str, url: &CallbackUrl) -> Result<Url, TerraformError> {
        let url = Url::parse(&url.0).map_err(|_| bad_answer(action, "the URL cannot be read"))?;
        let named = !url.username().is_empty() || url.password().is_some();
        if named || url.origin() != self.api.origin() {
            return Err(bad_answer(action, "the URL leads elsewhere than to TFE_ADDRESS"));
        }
        Ok(url)
    }
}

/// `request` with the token, if a header can carry that.
pub(crate) fn with_token(
    action: &'static str,
    request: RequestBuilder,
    token: &SecretString,
) -> Result<RequestBuilder, TerraformError> {
    let token = token.expose_secret();
    let usable = !token.is_empty() && HeaderValue::from_str(token).is_ok();
    if usable { Ok(request.bearer_auth(token)) } else { Err(bad_answer(action, "the access token is not one")) }
}
