//! Knocking at Sluice's own doors as HCP Terraform does: one request, and what the answer was, whatever it is.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION};
use reqwest::{Method, StatusCode};
use sluice_domain::Timestamp;
use url::Url;

use crate::client::{SettingsError, http};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);

/// Knocks at doors. It follows no redirect, as HCP Terraform's notifications need not.
#[derive(Debug, Clone)]
pub struct Knocker {
    http: reqwest::Client,
    base: Url,
    patience: Duration,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Knock<'a> {
    /// The path below the base, as `/notifications`.
    pub path: &'a str,
    /// The body to POST; None to GET.
    pub body: Option<&'a [u8]>,
    /// The header with the signature and what is in it, if it is signed.
    pub signature: Option<(&'static str, &'a str)>,
}

/// What was answered. The body is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// What time it is there, to the second.
    pub date: Option<Timestamp>,
    /// Where it sends us, if it does.
    pub location: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// Nobody answered.
#[derive(Debug, thiserror::Error)]
pub enum KnockError {
    /// Not in time.
    #[error("nobody answers within {} seconds", .0.as_secs())]
    Silent(Duration),
    /// No connection, or one that broke off.
    #[error("there is no connection to it")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Knocker {
    /// A knocker at the doors below `base`, which waits so long for each answer. Nothing is sent yet.
    pub fn new(base: &str, ca_bundle: Option<&[u8]>, patience: Duration) -> Result<Self, SettingsError> {
        let base: Url = base.parse().map_err(|_| SettingsError::Address)?;
        let http = http(&base, ca_bundle, CONNECT.min(patience), patience)?;
        Ok(Self { http, base, patience })
    }

    /// Knocks once.
    pub async fn knock(&self, knock: Knock<'_>) -> Result<Answered, KnockError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), knock.path));
        let method = if knock.body.is_some() { Method::POST } else { Method::GET };
        let mut request = self.http.request(method, url).timeout(self.patience);
        if let Some(body) = knock.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        if let Some((name, signature)) = knock.signature {
            request = request.header(name, signature);
        }
        let begun = Instant::now();
        let answer = request.send().await.map_err(|error| {
            if error.is_timeout() {
                KnockError::Silent(self.patience)
            } else {
                KnockError::Unreachable(error.without_url().into())
            }
        })?;
        Ok(answered(answer.status(), answer.headers(), begun.elapsed()))
    }
}

fn answered(status: StatusCode, headers: &HeaderMap, took: Duration) -> Answered {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Answered {
        status: status.as_u16(),
        date: text(DATE).and_then(Timestamp::of_http_date),
        location: text(LOCATION).map(|location| location.chars().take(200).collect()),
        took,
    }
}
