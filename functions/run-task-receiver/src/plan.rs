//! Another checker asks for the plan or the configuration. It has no token that HCP Terraform would take, so it is told
//! where they are: signed addresses that need none.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode};
use sluice_domain::gate::CallbackUrl;
use sluice_domain::ports::GateStore;
use sluice_domain::{CheckName, Classify, TaskResultId, chain};
use sluice_hcp_client::{FileError, Located, TaskFile};
use sluice_lambda::http::{empty, not_taken};
use tracing::{error, warn};

use crate::checker::{live, refused};
use crate::{Keyring, Receiver};

/// Most bytes that are passed on where HCP Terraform answers with the thing itself: Lambda lets no more through.
const PASSED_ON_BYTES_MAX: u64 = 4 << 20;

/// Answers with a redirect to what is asked for, as HCP Terraform would, or with the thing itself.
pub(crate) async fn fetch<S, K>(
    receiver: &Receiver<S, K>,
    result: &TaskResultId,
    check: &CheckName,
    asked: TaskFile,
    request: &Request<Bytes>,
) -> Response<Bytes>
where
    S: GateStore,
    K: Keyring,
{
    let gated = match live(receiver, result, check, request).await {
        Ok(gated) => gated,
        Err(refusal) => return refused(result, check, &refusal),
    };
    let request = &gated.admission.request;
    let url = match asked {
        TaskFile::Plan => request.plan.as_ref(),
        TaskFile::Configuration => request.configuration.as_ref(),
    };
    let Some(url) = url else { return empty(StatusCode::NOT_FOUND) };
    let sealed = match receiver.store.token(result).await {
        Ok(sealed) => sealed,
        Err(error) => {
            error!(task_result = %result, "cannot look up what check {check} of {result} asks for: {}", chain(&error));
            return not_taken(error.fault());
        }
    };
    let Some(Ok(token)) = sealed.map(|sealed| receiver.gate.open(result, &sealed)) else {
        error!(task_result = %result, "the access token of {result} is gone or does not open");
        return empty(StatusCode::GONE);
    };
    located(receiver, asked, url, &token).await.unwrap_or_else(|error| {
        warn!(task_result = %result, check = %check, "cannot pass on what check {check} of {result} asks for: {}", chain(&error));
        match error {
            FileError::Denied { .. } => empty(StatusCode::NOT_FOUND),
            FileError::TooLarge { .. } => empty(StatusCode::BAD_GATEWAY),
            error => not_taken(error.fault()),
        }
    })
}

async fn located<S, K>(
    receiver: &Receiver<S, K>,
    asked: TaskFile,
    url: &CallbackUrl,
    token: &secrecy::SecretString,
) -> Result<Response<Bytes>, FileError> {
    let mut stream = match receiver.client.locate(asked, url, token, PASSED_ON_BYTES_MAX).await? {
        Located::Elsewhere(location) => {
            let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
            if let Ok(location) = HeaderValue::from_str(&location.0) {
                response.headers_mut().insert(LOCATION, location);
            }
            return Ok(response);
        }
        Located::Here(stream) => stream,
    };
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.chunk().await? {
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.freeze());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}
