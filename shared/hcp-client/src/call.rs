//! One call of the API: sent once, answered within bounds, every failure named.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use sluice_domain::ports::TerraformError;
use tracing::debug;
use url::Url;

use crate::client::Client;
use crate::failure::{bad_answer, of_answer, unreachable};

/// Most bytes of an answer.
pub(crate) const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Most bytes of an answer that is only read for what it says went wrong.
const ERROR_BYTES_MAX: usize = 64 << 10;

pub(crate) const JSON_API: &str = "application/vnd.api+json";

/// An endpoint of the API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    /// The path's segments after `/api/v2/`, not yet escaped.
    pub(crate) path: &'a [&'a str],
    /// The query's parameters, not yet escaped.
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// Most bytes of its answer.
    pub(crate) answer_bytes_max: usize,
}

impl<'a> Endpoint<'a> {
    /// An endpoint without parameters.
    pub(crate) fn new(path: &'a [&'a str]) -> Self {
        Self { path, query: &[], answer_bytes_max: ANSWER_BYTES_MAX }
    }
}

impl Client {
    /// Reads from `endpoint`.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        action: &'static str,
        endpoint: Endpoint<'_>,
    ) -> Result<T, TerraformError> {
        self.call(action, self.http.get(url(&self.api, endpoint)), endpoint.answer_bytes_max).await
    }

    /// Creates something at `endpoint`.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        action: &'static str,
        endpoint: Endpoint<'_>,
        body: String,
    ) -> Result<T, TerraformError> {
        let request = self.http.post(url(&self.api, endpoint)).header(CONTENT_TYPE, JSON_API).body(body);
        self.call(action, request, endpoint.answer_bytes_max).await
    }

    /// Changes what is at `endpoint`.
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        action: &'static str,
        endpoint: Endpoint<'_>,
        body: String,
    ) -> Result<T, TerraformError> {
        let request = self.http.patch(url(&self.api, endpoint)).header(CONTENT_TYPE, JSON_API).body(body);
        self.call(action, request, endpoint.answer_bytes_max).await
    }

    /// Deletes what is at `endpoint`, if it is there still.
    pub(crate) async fn delete(&self, action: &'static str, endpoint: Endpoint<'_>) -> Result<(), TerraformError> {
        let request = self.http.delete(url(&self.api, endpoint)).header(CONTENT_TYPE, JSON_API);
        unless_absent(self.send(action, request).await).map(drop)
    }

    /// The headers of the answer that `endpoint` gives to anybody, whatever it is an answer to.
    pub(crate) async fn headers(
        &self,
        action: &'static str,
        endpoint: Endpoint<'_>,
    ) -> Result<HeaderMap, TerraformError> {
        let answer = self.send(action, self.http.get(url(&self.api, endpoint))).await?;
        Ok(answer.headers().clone())
    }

    async fn send(&self, action: &'static str, request: RequestBuilder) -> Result<Response, TerraformError> {
        let request = request.bearer_auth(self.token.expose_secret()).header(ACCEPT, JSON_API);
        let answer = request.timeout(self.limits.call).send().await.map_err(|error| unreachable(action, error))?;
        debug!(http.status = answer.status().as_u16(), "HCP Terraform answered {action}");
        if answer.status().is_success() { Ok(answer) } else { Err(failed(action, answer).await) }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        action: &'static str,
        request: RequestBuilder,
        bytes_max: usize,
    ) -> Result<T, TerraformError> {
        let mut answer = self.send(action, request).await?;
        let body = match body(&mut answer, bytes_max).await {
            Ok(Body::Whole(body)) => body,
            Ok(Body::Cut(_)) => return Err(bad_answer(action, format!("it is larger than {bytes_max} bytes"))),
            Err(error) => return Err(unreachable(action, error)),
        };
        serde_json::from_slice(&body).map_err(|error| {
            // Its own words may quote the answer.
            bad_answer(
                action,
                format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()),
            )
        })
    }
}

/// Nothing instead of a failure where the API knows of nothing.
pub(crate) fn unless_absent<T>(answer: Result<T, TerraformError>) -> Result<Option<T>, TerraformError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(TerraformError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What `answer`, which is not a success, means.
pub(crate) async fn failed(action: &'static str, mut answer: Response) -> TerraformError {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let wordless = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS);
    if wordless || status.is_server_error() {
        return of_answer(action, status, &headers, &[]);
    }
    // The status has been heard; what it says beyond that is a courtesy.
    let body = match body(&mut answer, ERROR_BYTES_MAX).await {
        Ok(Body::Whole(body) | Body::Cut(body)) => body,
        Err(_) => Vec::new(),
    };
    of_answer(action, status, &headers, &body)
}

enum Body {
    Whole(Vec<u8>),
    /// It would have gone on beyond the limit.
    Cut(Vec<u8>),
}

async fn body(answer: &mut Response, bytes_max: usize) -> reqwest::Result<Body> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            return Ok(Body::Cut(body));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Body::Whole(body))
}

fn url(api: &Url, endpoint: Endpoint<'_>) -> Url {
    let mut url = api.clone();
    url.path_segments_mut().expect("http URLs have paths").pop_if_empty().extend(endpoint.path);
    if !endpoint.query.is_empty() {
        url.query_pairs_mut().extend_pairs(endpoint.query);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_searches_cannot_leave_their_place_in_a_url() {
        let api = "https://tfe.example/api/v2/".parse().unwrap();
        let path = ["organizations", "a/c", "workspaces", "x?y#z"];
        let endpoint = Endpoint { query: &[("search[basic]", "a&b=c"), ("page[size]", "20")], ..Endpoint::new(&path) };
        assert_eq!(
            url(&api, endpoint).as_str(),
            "https://tfe.example/api/v2/organizations/a%2Fc/workspaces/x%3Fy%23z\
             ?search%5Bbasic%5D=a%26b%3Dc&page%5Bsize%5D=20"
        );
    }
}
