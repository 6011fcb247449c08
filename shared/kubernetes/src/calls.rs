//! One request and its answer, within bounds of time and size.

use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use http::{Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use kube::core::request::Error as RequestError;
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::eks::Tokens;
use crate::error::{ClusterError, Said, Tried};
use crate::{Clock, Limits};

/// Most bytes of an answer: Kubernetes stores no object of more than a megabyte and a half.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most bytes of an answer that says what is wrong.
const FAULT_BYTES_MAX: usize = 64 * 1024;

/// A request as the client's crate makes it.
pub(crate) type Made = Result<Request<Vec<u8>>, RequestError>;

/// Asks a cluster.
pub(crate) struct Calls {
    client: Client,
    tokens: Option<Tokens>,
    limits: Limits,
    clock: Clock,
}

impl Calls {
    pub(crate) fn new(client: Client, tokens: Option<Tokens>, limits: Limits, clock: Clock) -> Self {
        Self { client, tokens, limits, clock }
    }

    /// How long anything may take.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Asks, and reads the answer.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, tried: &Tried, made: Made) -> Result<T, ClusterError> {
        let body = self.bytes(tried, made, ANSWER_BYTES_MAX).await?;
        serde_json::from_slice(&body).map_err(|error| {
            // Not what it quotes: where it lies has to do.
            let is = format!("it is wrong in line {}, column {}", error.line(), error.column());
            ClusterError::BadAnswer { tried: tried.clone(), is }
        })
    }

    /// Asks, and takes it that what is answered is that it was done.
    pub(crate) async fn done(&self, tried: &Tried, made: Made) -> Result<(), ClusterError> {
        self.bytes(tried, made, ANSWER_BYTES_MAX).await.map(drop)
    }

    /// Asks, and reads no more than `most` bytes of the answer.
    pub(crate) async fn text(&self, tried: &Tried, made: Made, most: usize) -> Result<Vec<u8>, ClusterError> {
        self.within(tried, async {
            let mut body = self.answer(tried, made).await?.into_body();
            let mut bytes = Vec::new();
            while bytes.len() < most
                && let Some(frame) = body.frame().await
            {
                let frame = frame.map_err(|error| unreachable(tried, error))?;
                bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            }
            bytes.truncate(most);
            Ok(bytes)
        })
        .await
    }

    /// Asks for an answer that goes on for as long as it is wanted.
    pub(crate) async fn stream(&self, tried: &Tried, made: Made) -> Result<Body, ClusterError> {
        self.within(tried, self.answer(tried, made)).await.map(Response::into_body)
    }

    async fn bytes(&self, tried: &Tried, made: Made, most: usize) -> Result<Vec<u8>, ClusterError> {
        self.within(tried, async {
            let body = self.answer(tried, made).await?.into_body();
            match Limited::new(body, most).collect().await {
                Ok(body) => Ok(body.to_bytes().to_vec()),
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(ClusterError::BadAnswer { tried: tried.clone(), is: format!("it has more than {most} bytes") })
                }
                Err(error) => Err(unreachable(tried, error)),
            }
        })
        .await
    }

    async fn within<T>(
        &self,
        tried: &Tried,
        asking: impl Future<Output = Result<T, ClusterError>>,
    ) -> Result<T, ClusterError> {
        timeout(self.limits.request, asking).await.unwrap_or_else(|_| Err(ClusterError::TimedOut(tried.clone())))
    }

    /// The answer, if it is a good one.
    async fn answer(&self, tried: &Tried, made: Made) -> Result<Response<Body>, ClusterError> {
        let mut request = made.map_err(|error| ClusterError::Setup(error.into()))?;
        if let Some(tokens) = &self.tokens {
            let token = tokens.token((self.clock)()).await?;
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                .map_err(|error| ClusterError::Sign(error.into()))?;
            bearer.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        let answer = self.client.send(request.map(Body::from)).await.map_err(|error| unreachable(tried, error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        if answer.status().as_u16() == 401
            && let Some(tokens) = &self.tokens
        {
            tokens.forget().await;
        }
        Err(fault(tried, answer).await)
    }
}

fn unreachable(tried: &Tried, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClusterError {
    ClusterError::Unreachable { tried: tried.clone(), source: source.into() }
}

/// What is wrong, as the answer says it.
async fn fault(tried: &Tried, answer: Response<Body>) -> ClusterError {
    let status = answer.status().as_u16();
    let after = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.trim().parse::<u64>().ok());
    let body = Limited::new(answer.into_body(), FAULT_BYTES_MAX).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let said: Option<Status> = serde_json::from_slice(&body).ok();
    let later = said.as_ref().and_then(|said| said.details.as_ref()).map(|details| details.retry_after_seconds);
    let after = after.or(later.map(u64::from).filter(|seconds| *seconds > 0));
    let (message, reason) = said.map(|said| (said.message, said.reason)).unwrap_or_default();
    ClusterError::answered(tried.clone(), status, Said { message, reason, after_seconds: after })
}
