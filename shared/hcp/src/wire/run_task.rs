//! A run task request, read as leniently as can be, and trusted with no address of its own.

use secrecy::SecretString;
use sluice_domain::gate::{CallbackUrl, Original, Stage, TaskRequest};
use sluice_domain::{Host, InvalidName, TaskName, TaskResultId, Timestamp, Workspace};

use super::members::Members;
use super::origin::{NotOurs, Origin};
use super::timestamp::parse_timestamp;
use crate::signature::Verified;

/// What HCP Terraform sends for a token when a run task is created or changed: nothing is asked, it looks whether
/// there is an answer.
const VERIFICATION_TOKEN: &str = "test-token";
/// Longest access token, in bytes.
const TOKEN_BYTES_MAX: usize = 4096;

/// What a request asks.
#[derive(Debug, Clone)]
pub enum Asked {
    /// Whether there is a run task here: answer, and do nothing.
    Verification,
    /// For a verdict on a run.
    Task {
        /// On what, and where the answer goes.
        request: Box<TaskRequest>,
        /// Lets the answer in, and reads the plan.
        token: SecretString,
    },
}

/// Where and when a request came in, which its body does not tell.
#[derive(Debug, Clone, Copy)]
pub struct Door<'a> {
    /// The task whose URL it came to.
    pub task: &'a TaskName,
    /// The instance that Sluice is configured for, as workspaces are named by it.
    pub host: &'a Host,
    /// Where that instance is reached: the token goes nowhere else.
    pub origin: &'a Origin,
    /// When it came.
    pub received_at: Timestamp,
}

/// A body that is signed and yet not what HCP Terraform asks. It never quotes a token or a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRequest {
    /// Not JSON.
    #[error("the body is not the JSON of a run task request, at line {line}, column {column}")]
    NotJson {
        /// Where, counting from 1.
        line: usize,
        /// Where, counting from 1.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A member that cannot be done without is missing, or is no text.
    #[error("{0} is missing from a run task request")]
    Missing(&'static str),
    /// An id or name that HCP Terraform would not give out.
    #[error("{field} is not valid")]
    Name {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: InvalidName,
    },
    /// A stage that is none.
    #[error("stage is none of pre_plan, post_plan, pre_apply and post_apply")]
    Stage,
    /// An access token that no header can carry.
    #[error("access_token is not valid")]
    Token,
    /// A URL that cannot be read, or not in one way only, or with a user name in it.
    #[error("{field} is not a plain http:// or https:// URL")]
    Url {
        /// Which.
        field: &'static str,
    },
    /// A URL that is not the configured instance's: whoever sent it may want the token.
    #[error("{field} leads to {origin}, which is not the configured TFE_ADDRESS")]
    ForeignCallback {
        /// Which.
        field: &'static str,
        /// Where it leads, shortened.
        origin: String,
    },
}

impl Asked {
    /// Reads a signed body.
    pub fn parse(verified: Verified<'_>, door: &Door<'_>) -> Result<Self, MalformedRequest> {
        // An error of the parser would call it something that is missing.
        if !verified.bytes().trim_ascii_start().starts_with(b"{") {
            return Err(MalformedRequest::NotAnObject);
        }
        // The error itself may quote the body, which has no place in a log.
        let not_json =
            |error: serde_json::Error| MalformedRequest::NotJson { line: error.line(), column: error.column() };
        let mut body: Members = verified.parse().map_err(not_json)?;
        let token = required(&body, "access_token")?;
        if token == VERIFICATION_TOKEN {
            return Ok(Self::Verification);
        }
        if token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(MalformedRequest::Token);
        }
        body.remove("access_token");
        Ok(Self::Task { request: Box::new(request(&body, door)?), token: token.into() })
    }
}

/// What `body`, from which the token was taken, asks.
fn request(body: &Members, door: &Door<'_>) -> Result<TaskRequest, MalformedRequest> {
    let organization = parsed(body, "organization_name")?;
    let workspace = Workspace::new(door.host.clone(), organization, &required(body, "workspace_name")?)
        .map_err(|source| MalformedRequest::Name { field: "workspace_name", source })?;
    let callback = "task_result_callback_url";
    Ok(TaskRequest {
        result: parsed::<TaskResultId>(body, "task_result_id")?.of(door.task),
        task: door.task.clone(),
        stage: stage(&required(body, "stage")?)?,
        run: parsed(body, "run_id")?,
        // Little hangs on it: without one, the run is taken to be as old as the request.
        run_created_at: instant(body, "run_created_at").unwrap_or(door.received_at),
        workspace,
        workspace_id: parsed(body, "workspace_id")?,
        speculative: body.read("is_speculative").unwrap_or(false),
        callback: url(body, callback, door.origin)?.ok_or(MalformedRequest::Missing(callback))?,
        plan: url(body, "plan_json_api_url", door.origin)?,
        configuration: url(body, "configuration_version_download_url", door.origin)?,
        outcomes: takes_outcomes(body),
        received_at: door.received_at,
        original: Original(without_addresses(body).to_json()),
    })
}

/// The same with null for each of its addresses: part of them may be secret, and they are for nobody else.
fn without_addresses(body: &Members) -> Members {
    let mut body = body.clone();
    for name in ADDRESSES {
        if body.get(name).is_some() {
            body.set(name, "", &None::<&str>);
        }
    }
    body
}

/// The members of a request that say where HCP Terraform is to be reached about it.
const ADDRESSES: [&str; 3] = ["task_result_callback_url", "plan_json_api_url", "configuration_version_download_url"];

/// What the sender can do, by its right name and by the one that programs made of go-tfe's types send.
pub(super) const CAPABILITIES: [&str; 2] = ["capabilities", "capabilitites"];

fn takes_outcomes(body: &Members) -> bool {
    let capabilities = CAPABILITIES.iter().filter_map(|name| body.read::<Members>(name));
    capabilities.filter_map(|capabilities| capabilities.read::<bool>("outcomes")).any(|takes| takes)
}

fn required(body: &Members, field: &'static str) -> Result<String, MalformedRequest> {
    body.text(field).ok_or(MalformedRequest::Missing(field))
}

fn parsed<T: std::str::FromStr<Err = InvalidName>>(body: &Members, field: &'static str) -> Result<T, MalformedRequest> {
    required(body, field)?.parse().map_err(|source| MalformedRequest::Name { field, source })
}

fn instant(body: &Members, field: &'static str) -> Option<Timestamp> {
    parse_timestamp(&body.text(field)?).ok()
}

fn stage(word: &str) -> Result<Stage, MalformedRequest> {
    Stage::ALL.into_iter().find(|stage| stage.as_str() == word).ok_or(MalformedRequest::Stage)
}

fn url(body: &Members, field: &'static str, origin: &Origin) -> Result<Option<CallbackUrl>, MalformedRequest> {
    let Some(url) = body.text(field) else { return Ok(None) };
    origin.check(&url).map_err(|not_ours| match not_ours {
        NotOurs::Unclear => MalformedRequest::Url { field },
        NotOurs::Foreign(origin) => MalformedRequest::ForeignCallback { field, origin },
    })?;
    Ok(Some(CallbackUrl(url)))
}

#[cfg(test)]
mod tests;
