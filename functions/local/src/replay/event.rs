//! What is in the file of an event.

use bytes::Bytes;
use serde_json::{Map, Value};
use sluice_aws::work_key;
use sluice_domain::{InvalidName, TaskName};
use sluice_lambda::http::{BadEvent, Event as GatewayEvent};

/// Longest file that is looked at, in bytes. What HCP Terraform sends has a few thousand.
const BYTES_MAX: usize = 1 << 20;

/// An event that can be replayed. Its body is as HCP Terraform sent it, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Notification(Bytes),
    /// A request to a run task, whose name only its path tells.
    RunTask(Option<TaskName>, Bytes),
}

/// What is in the file cannot be replayed. It never quotes what is in it.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Far longer than any event.
    #[error("it is longer than {BYTES_MAX} bytes, as no event is")]
    TooLarge,
    /// Not JSON.
    #[error("it is not JSON, at line {line}, column {column}")]
    NotJson {
        /// Where, counting from 1.
        line: usize,
        /// Where, counting from 1.
        column: usize,
    },
    /// JSON of something else.
    #[error(
        "it is neither a notification nor a run task request of HCP Terraform's, nor a Lambda event with one in its body"
    )]
    Shape,
    /// A Lambda event that is not whole.
    #[error("it is a Lambda event without a request")]
    Gateway(#[source] BadEvent),
    /// A request for something else.
    #[error("it is a request of {0}, which is neither /notifications nor /run-tasks/ and a name")]
    Path(String),
    /// A batch of the stream.
    #[error("it is a batch of the table's stream, which only says whose bell rang; take up the work: {0}")]
    Stream(String),
    /// What a schedule sends.
    #[error("it is the event of a schedule, in which there is nothing; sweeper rings for what is due every minute")]
    Schedule,
    /// Not the name of a run task.
    #[error("--task")]
    Task(#[source] InvalidName),
    /// A task for what is none.
    #[error("--task means nothing to a notification")]
    NoTask,
}

impl Event {
    /// The same, asked of the run task that a person named.
    pub(super) fn for_task(self, named: Option<TaskName>) -> Result<Self, EventError> {
        match (self, named) {
            (Self::RunTask(_, body), Some(task)) => Ok(Self::RunTask(Some(task), body)),
            (Self::Notification(_), Some(_)) => Err(EventError::NoTask),
            (event, None) => Ok(event),
        }
    }
}

/// Reads a file.
pub(super) fn read(bytes: Vec<u8>) -> Result<Event, EventError> {
    if bytes.len() > BYTES_MAX {
        return Err(EventError::TooLarge);
    }
    // The error itself may quote what is in the file.
    let not_json = |error: serde_json::Error| EventError::NotJson { line: error.line(), column: error.column() };
    let json: Value = serde_json::from_slice(&bytes).map_err(not_json)?;
    let Value::Object(members) = &json else { return Err(EventError::Shape) };
    let has = |names: &[&str]| names.iter().any(|name| members.contains_key(*name));
    if has(&["Records"]) {
        return Err(batch(members));
    }
    if has(&["requestContext", "httpMethod", "rawPath"]) {
        return gateway(json);
    }
    if has(&["detail-type"]) {
        return Err(EventError::Schedule);
    }
    if has(&["task_result_id", "task_result_callback_url"]) {
        return Ok(Event::RunTask(None, bytes.into()));
    }
    if has(&["notifications", "notification_configuration_id"]) {
        return Ok(Event::Notification(bytes.into()));
    }
    Err(EventError::Shape)
}

/// The request in a Lambda event. Its signature is not asked: whoever replays it signs it anew.
fn gateway(json: Value) -> Result<Event, EventError> {
    let event: GatewayEvent = serde_json::from_value(json).map_err(|_| EventError::Shape)?;
    let request = http::Request::try_from(event).map_err(EventError::Gateway)?;
    let path = request.uri().path();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    // A REST API may have its stage before the path.
    match parts[..] {
        [.., "run-tasks", task] => match task.parse() {
            Ok(task) => Ok(Event::RunTask(Some(task), request.into_body())),
            Err(_) => Err(EventError::Path(path.to_owned())),
        },
        [.., "notifications"] => Ok(Event::Notification(request.into_body())),
        _ => Err(EventError::Path(path.to_owned())),
    }
}

/// Says which works rang in a batch of the stream.
fn batch(members: &Map<String, Value>) -> EventError {
    let records = members.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let work = |record: &Value| {
        let keys = record.pointer("/dynamodb/Keys")?;
        let text = |name: &str| keys.get(name)?.get("S")?.as_str();
        work_key(text("pk")?, text("sk")?)
    };
    let works: Vec<String> =
        records.iter().filter_map(work).map(|work| format!("sluice replay \"{work}\"")).take(5).collect();
    if works.is_empty() { EventError::Shape } else { EventError::Stream(works.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_event_is_told_apart() {
        for (text, expect) in [
            ("", "it is not JSON, at line 1, column 0"),
            ("{\"a\":\n nope}", "it is not JSON, at line 2, column 3"),
            ("[]", "it is neither a notification"),
            ("7", "it is neither a notification"),
            ("{}", "it is neither a notification"),
            ("{\"Records\":[{\"s3\":{}}]}", "it is neither a notification"),
            ("{\"detail-type\":\"Scheduled Event\"}", "it is the event of a schedule"),
            ("{\"rawPath\":\"/notifications\"}", "it is a Lambda event without a request"),
            ("{\"rawPath\":\"/context/v1/run-1\",\"httpMethod\":\"GET\"}", "it is a request of /context/v1/run-1"),
            ("{\"path\":\"/run-tasks/a%20b\",\"httpMethod\":\"POST\"}", "it is a request of /run-tasks/a%20b"),
        ] {
            let error = read(text.as_bytes().to_vec()).unwrap_err().to_string();
            assert!(error.starts_with(expect), "{text}: {error}");
        }
        assert!(matches!(read(vec![b' '; BYTES_MAX + 1]), Err(EventError::TooLarge)));
    }

    #[test]
    fn bodies_stay_as_they_are_and_paths_name_the_task() {
        let raw = b"{ \"notifications\" : [] }\n".to_vec();
        assert_eq!(read(raw.clone()).unwrap(), Event::Notification(raw.into()));
        let event = json!({ "path": "/prod/run-tasks/guard", "httpMethod": "POST", "body": "{ }" });
        let guard: TaskName = "guard".parse().unwrap();
        let expect = Event::RunTask(Some(guard), Bytes::from_static(b"{ }"));
        assert_eq!(read(event.to_string().into_bytes()).unwrap(), expect);
        let other: TaskName = "other".parse().unwrap();
        let renamed = expect.for_task(Some(other.clone())).unwrap();
        assert_eq!(renamed, Event::RunTask(Some(other.clone()), Bytes::from_static(b"{ }")));
        assert!(matches!(Event::Notification(Bytes::new()).for_task(Some(other)), Err(EventError::NoTask)));
    }
}
