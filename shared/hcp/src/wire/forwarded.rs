//! A run task request on its way to another checker: as HCP Terraform sent it, but what it answers comes back here.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sluice_domain::gate::TaskRequest;

use super::members::Members;
use super::run_task::CAPABILITIES;

/// What stands in a forwarded request instead of what HCP Terraform sent: none of its URLs and tokens leave the house.
#[derive(Clone, Copy)]
pub struct Forwarding<'a> {
    /// The id the other checker sees.
    pub result_id: &'a str,
    /// Where its answers go.
    pub callback_url: &'a str,
    /// Where it reads the plan; None if it does not.
    pub plan_url: Option<&'a str>,
    /// Where it reads the configuration; None if it does not.
    pub configuration_url: Option<&'a str>,
    /// What it shows at each of these.
    pub token: &'a SecretString,
}

/// What `request` asks, for a program that answers by itself: without a token, and without where HCP Terraform is
/// answered. The plan and the configuration are offered at addresses of ours, where HCP Terraform offers them.
#[must_use]
pub fn told_to_job(request: &TaskRequest, plan_url: Option<&str>, configuration_url: Option<&str>) -> String {
    let mut body: Members = serde_json::from_str(&request.original.0).unwrap_or_default();
    for name in ["access_token", "task_result_callback_url"] {
        body.remove(name);
    }
    for (name, url) in [
        ("plan_json_api_url", plan_url.filter(|_| request.plan.is_some())),
        ("configuration_version_download_url", configuration_url.filter(|_| request.configuration.is_some())),
    ] {
        if url.is_some() || body.get(name).is_some() {
            body.set(name, "", &url);
        }
    }
    body.to_json()
}

/// The body that asks another checker what `request` asks. It holds a token: do not log it.
///
/// Whatever else HCP Terraform sent is passed on as it came. A plan or configuration is offered only where it did.
#[must_use]
pub fn forwarded(request: &TaskRequest, ours: &Forwarding<'_>) -> Vec<u8> {
    // It was an object when it came in.
    let mut body: Members = serde_json::from_str(&request.original.0).unwrap_or_default();
    body.set("access_token", "stage", &ours.token.expose_secret());
    body.set("task_result_callback_url", "run_message", &ours.callback_url);
    body.set("task_result_id", "task_result_enforcement_level", &ours.result_id);
    for (name, url) in [
        ("plan_json_api_url", ours.plan_url.filter(|_| request.plan.is_some())),
        ("configuration_version_download_url", ours.configuration_url.filter(|_| request.configuration.is_some())),
    ] {
        if url.is_some() || body.get(name).is_some() {
            body.set(name, "", &url);
        }
    }
    // Sluice takes outcomes, whether or not the instance it answers to does.
    let [right, misspelled] = CAPABILITIES;
    for name in [right, misspelled] {
        if name == right || body.get(name).is_some() {
            let mut capabilities = body.read(name).unwrap_or(Value::Null);
            match capabilities.as_object_mut() {
                Some(capabilities) => drop(capabilities.insert("outcomes".to_owned(), Value::Bool(true))),
                None => capabilities = json!({ "outcomes": true }),
            }
            body.set(name, "access_token", &capabilities);
        }
    }
    body.to_json().into_bytes()
}
