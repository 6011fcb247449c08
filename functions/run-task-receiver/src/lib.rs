//! run-task-receiver: the gate's door. Run task requests are verified, recorded and answered; so are the answers of
//! other checkers, who may also ask where the plan is.

mod checker;
mod config;
mod plan;
mod request;

pub use config::{Config, StartError, connect};

/// Longest body of any request, in bytes: that of another checker's answer.
pub const REQUEST_BYTES_MAX: usize = checker::ANSWER_BYTES_MAX;

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use sluice_aws::GateKeys;
use sluice_aws::secrets::Keyed;
use sluice_domain::gate::KeyPlace;
use sluice_domain::ports::{Definitions, GateStore};
use sluice_domain::{CheckName, Host, TaskName, TaskResultId, Timestamp};
use sluice_hcp::wire::Origin;
use sluice_hcp_client::{TaskClient, TaskFile};
use sluice_lambda::http::empty;

/// Where the keys of run tasks are kept.
pub trait Keyring: Sync {
    /// The keys at `places`, as far as they are to be had. What was fetched before is good enough unless `anew`.
    fn keys(&self, places: &[KeyPlace], anew: bool, now: Timestamp) -> impl Future<Output = Keyed> + Send;
}

/// The function's parts, built once.
pub struct Receiver<S, K> {
    /// The table.
    pub store: S,
    /// The keys that requests are signed with.
    pub keyring: K,
    /// What seals access tokens, and makes those of other checkers.
    pub gate: GateKeys,
    /// The instance whose requests these are, as workspaces are named by it.
    pub host: Host,
    /// Where that is reached: an access token goes nowhere else.
    pub origin: Origin,
    /// Where plans are asked for on behalf of other checkers.
    pub client: TaskClient,
}

/// What a request is about, by its path.
enum Door {
    /// HCP Terraform asks a run task.
    Task(TaskName),
    /// Another checker answers.
    Callback(TaskResultId, CheckName),
    /// Another checker asks for what HCP Terraform has for it.
    Fetch(TaskResultId, CheckName, TaskFile),
}

impl Door {
    fn at(path: &str) -> Option<(Self, Method)> {
        let mut parts = path.trim_start_matches('/').split('/');
        let door = match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
            ("run-tasks", task, None, None) => (Self::Task(task.parse().ok()?), Method::POST),
            ("task-results", execution, Some(what), None) => {
                let (result, check) = execution.split_once('~')?;
                let (result, check) = (result.parse().ok()?, check.parse().ok()?);
                match what {
                    "callback" => (Self::Callback(result, check), Method::PATCH),
                    "plan" => (Self::Fetch(result, check, TaskFile::Plan), Method::GET),
                    "configuration" => (Self::Fetch(result, check, TaskFile::Configuration), Method::GET),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(door)
    }
}

/// Answers a request of HCP Terraform's or of another checker.
pub async fn handle<S, K>(receiver: &Receiver<S, K>, request: Request<Bytes>, now: Timestamp) -> Response<Bytes>
where
    S: Definitions + GateStore,
    K: Keyring,
{
    let Some((door, method)) = Door::at(request.uri().path()) else { return empty(StatusCode::NOT_FOUND) };
    if request.method() != method {
        let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_str(method.as_str()).expect("a method is ASCII"));
        return response;
    }
    // Each on the heap: together they would be more than a stack should hold.
    match door {
        Door::Task(task) => Box::pin(request::admit(receiver, &task, &request, now)).await,
        Door::Callback(result, check) => Box::pin(checker::hear(receiver, &result, &check, &request, now)).await,
        Door::Fetch(result, check, asked) => Box::pin(plan::fetch(receiver, &result, &check, asked, &request)).await,
    }
}
