//! A request as it was read, and what is answered.

use std::collections::BTreeMap;

use serde_json::Value;

use super::refusal::Refusal;
use super::resource::Target;

/// A request whose path names something.
#[derive(Debug, Clone)]
pub(in crate::kubernetes) struct Call {
    pub verb: &'static str,
    pub target: Target,
    pub query: BTreeMap<String, String>,
    pub content_type: String,
    pub body: Option<Value>,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub code: u16,
    pub body: Value,
    /// Of the `Warning` headers.
    pub warnings: Vec<String>,
}

impl Reply {
    pub fn new(code: u16, body: Value) -> Self {
        Self { code, body, warnings: Vec::new() }
    }
}

/// What a request does, by the words of roles.
pub(super) fn verb(method: &str, target: &Target, query: &BTreeMap<String, String>) -> &'static str {
    let watches = query.get("watch").is_some_and(|value| value == "true" || value == "1");
    match (method, target.name.is_empty()) {
        ("GET", _) if watches => "watch",
        ("GET", true) => "list",
        ("GET", false) => "get",
        ("POST", _) => "create",
        ("PUT", false) => "update",
        ("PATCH", false) => "patch",
        ("DELETE", false) => "delete",
        ("DELETE", true) => "deletecollection",
        _ => "",
    }
}

impl Call {
    pub fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// The object that was sent.
    pub fn object(&self) -> Result<&Value, Refusal> {
        let object = self.body.as_ref().filter(|body| body.is_object());
        object.ok_or_else(|| Refusal::bad_request("the body of the request is not a JSON object"))
    }

    /// What a deletion asks for, in its body or in its query.
    pub fn delete_options(&self) -> DeleteOptions {
        let body = self.body.as_ref().unwrap_or(&Value::Null);
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| self.query(name)).to_owned();
        let precondition = |name: &str| body["preconditions"][name].as_str().map(str::to_owned);
        let grace = body["gracePeriodSeconds"].as_u64();
        DeleteOptions {
            propagation: text("propagationPolicy"),
            grace: grace.or_else(|| self.query("gracePeriodSeconds").parse().ok()),
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
        }
    }
}

/// How something is to be deleted.
#[derive(Debug, Clone, Default)]
pub(in crate::kubernetes) struct DeleteOptions {
    /// `Background`, `Foreground`, `Orphan`; empty is what the resource does by itself.
    pub propagation: String,
    pub grace: Option<u64>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
}

impl DeleteOptions {
    pub fn propagating(propagation: &str) -> Self {
        Self { propagation: propagation.to_owned(), ..Self::default() }
    }

    /// At once, whatever still runs.
    pub fn forced() -> Self {
        Self { grace: Some(0), ..Self::default() }
    }
}
