//! Schedules: when it is time matters, and not what the event says.

use std::error::Error;
use std::future::Future;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use sluice_domain::chain;
use tracing::error;

/// Polls Lambda for events of any shape and calls `handler` for each. Returns only if Lambda cannot be polled.
pub async fn serve<H, F, T, E>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn() -> F,
    F: Future<Output = Result<T, E>>,
    E: Error,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |_: LambdaEvent<IgnoredAny>| async move {
        match handler().await {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }))
    .await
}

/// The invocation fails, so that Lambda counts it.
fn failed(error: &impl Error) -> Diagnostic {
    let error_message = chain(error);
    error!("{error_message}");
    Diagnostic { error_type: "Sluice.Failed".to_owned(), error_message }
}
