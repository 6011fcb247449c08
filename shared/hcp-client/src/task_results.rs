//! The domain's `TaskResults`: what HCP Terraform is told about a task result, and whether it listened.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use secrecy::SecretString;
use sluice_domain::gate::{CallbackUrl, Report};
use sluice_domain::ports::{Heard, TaskResults, TerraformError};
use sluice_hcp::wire::callback;
use tracing::{debug, warn};

use crate::call::{JSON_API, failed};
use crate::failure::unreachable;
use crate::task_client::{TaskClient, with_token};

const ACTION: &str = "reporting a task result";

impl TaskResults for TaskClient {
    async fn report(
        &self,
        callback_url: &CallbackUrl,
        token: &SecretString,
        report: &Report,
    ) -> Result<Heard, TerraformError> {
        let url = self.own(ACTION, callback_url)?;
        let request = self.http.patch(url).header(CONTENT_TYPE, JSON_API).header(ACCEPT, JSON_API);
        let request = with_token(ACTION, request, token)?.body(callback(report, true));
        let answer = request.timeout(self.limits.call).send().await.map_err(|error| unreachable(ACTION, error))?;
        let status = answer.status();
        debug!(http.status = status.as_u16(), "HCP Terraform answered {ACTION}");
        if status.is_success() {
            return Ok(Heard::Accepted);
        }
        let error = failed(ACTION, answer).await;
        match status.as_u16() {
            // Not heard: something in between has answered, or it had no time to listen.
            status @ (..400 | 408) => {
                Err(TerraformError::Busy { action: ACTION, status, detail: "it did not listen".to_owned() })
            }
            429 => Err(error),
            status @ 400..=499 => {
                // The status alone is acted on; what is said beside it helps whoever wonders.
                if let TerraformError::Refused { detail, .. } | TerraformError::Busy { detail, .. } = &error {
                    warn!(http.status = status, "HCP Terraform does not want to hear of a task result: {detail}");
                }
                Ok(Heard::Refused { status })
            }
            _ => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
