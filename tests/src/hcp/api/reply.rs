//! Requests and answers as JSON:API has them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::hcp::notify::{Configuration, Outgoing};
use crate::hcp::options::TokenKind;
use crate::hcp::render_plan::Filler;
use crate::hcp::tasks::{Post, RunTask};

use super::route::Route;

/// The largest page, and the page one gets without asking.
const PAGE_SIZE: (usize, usize) = (100, 20);

/// A request, read.
pub(in crate::hcp) struct Call {
    pub method: String,
    /// `http://host:port` as the client knows it.
    pub origin: String,
    /// Path and query as they came.
    pub path: String,
    pub route: Route,
    /// The variable segments of the path.
    pub variables: Vec<String>,
    pub query: BTreeMap<String, String>,
    /// The bearer token, whether it is valid or not.
    pub bearer: Option<String>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    /// The body was more than the API takes, and is left out.
    pub too_large: bool,
    /// Its place in the request log.
    pub number: usize,
}

/// Who sent a request.
#[derive(Clone)]
pub(in crate::hcp) struct Caller {
    pub user: String,
    pub kind: TokenKind,
    /// The task result whose access token was sent.
    pub result: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(in crate::hcp) struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// What comes after the body.
    pub filler: Option<Filler>,
}

/// An answer, or what has to be done before there is one.
pub(in crate::hcp) enum Answer {
    Ready(Reply),
    /// A receiver has to answer first.
    Verify(Box<Verification>),
    /// A run task has to answer first.
    Ask(Box<Asked>),
}

/// A run task that is to be kept if it answers well.
pub(in crate::hcp) struct Asked {
    pub task: RunTask,
    pub post: Post,
    /// The status of the answer then.
    pub status: u16,
}

/// A notification configuration whose receiver is to be verified.
pub(in crate::hcp) struct Verification {
    pub configuration: Configuration,
    pub outgoing: Outgoing,
    /// If it answers well, the configuration is kept, and this is the answer's status.
    pub save: Option<u16>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Ready(reply)
    }
}

impl Call {
    /// The variable segment at this place.
    pub fn variable(&self, place: usize) -> &str {
        self.variables.get(place).map_or("", String::as_str)
    }

    /// A parameter of the query, if it says anything.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether `include` names this relationship.
    pub fn includes(&self, relationship: &str) -> bool {
        self.parameter("include").is_some_and(|names| names.split(',').any(|name| name == relationship))
    }

    /// The body's `data`.
    pub fn data(&self) -> Result<Value, Reply> {
        let mut body: Value = serde_json::from_slice(&self.body).map_err(|_| Reply::error(400, "bad request"))?;
        Ok(body["data"].take())
    }

    /// One page of `items`, newest or first ones first. `counted`: the answer tells how many there are in all.
    pub fn page<T>(&self, items: &[T], counted: bool, render: impl Fn(&T) -> Value) -> Reply {
        self.page_including(items, counted, render, |_| None::<Value>)
    }

    /// The same, with what `include` says of the items on the page.
    pub fn page_including<T, I: IntoIterator<Item = Value>>(
        &self,
        items: &[T],
        counted: bool,
        render: impl Fn(&T) -> Value,
        include: impl Fn(&T) -> I,
    ) -> Reply {
        let number = |name| self.parameter(name).and_then(|text| text.parse::<usize>().ok()).filter(|&it| it > 0);
        let size = number("page[size]").unwrap_or(PAGE_SIZE.1).min(PAGE_SIZE.0);
        let page = number("page[number]").unwrap_or(1);
        let pages = items.len().div_ceil(size).max(1);
        let start = (page - 1).saturating_mul(size).min(items.len());
        let end = (start + size).min(items.len());
        let (previous, next) = ((page > 1).then(|| page - 1), (page < pages).then_some(page + 1));
        let mut pagination =
            json!({ "current-page": page, "page-size": size, "prev-page": previous, "next-page": next });
        if counted {
            pagination["total-pages"] = pages.into();
            pagination["total-count"] = items.len().into();
        }
        let data: Vec<_> = items[start..end].iter().map(render).collect();
        let link = |page: usize| self.link(page, size);
        let links = json!({ "self": link(page), "first": link(1), "prev": previous.map(link), "next": next.map(link) });
        let mut body = json!({ "data": data, "links": links, "meta": { "pagination": pagination } });
        let included: Vec<_> = items[start..end].iter().flat_map(include).collect();
        if !included.is_empty() {
            body["included"] = included.into();
        }
        Reply::json(200, &body)
    }

    fn link(&self, page: usize, size: usize) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        let mut query = self.query.clone();
        query.insert("page[number]".to_owned(), page.to_string());
        query.insert("page[size]".to_owned(), size.to_string());
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
        format!("{}{path}?{query}", self.origin)
    }
}

impl Reply {
    /// A document.
    pub fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { status, content_type: "application/vnd.api+json", headers: Vec::new(), body, filler: None }
    }

    /// `{"data":…}` with 200.
    pub fn data(data: &Value) -> Self {
        Self::json(200, &json!({ "data": data }))
    }

    /// `{"data":…,"included":…}` with 200.
    pub fn including(data: &Value, included: &[Value]) -> Self {
        if included.is_empty() {
            Self::data(data)
        } else {
            Self::json(200, &json!({ "data": data, "included": included }))
        }
    }

    /// Nothing.
    pub fn empty(status: u16) -> Self {
        Self { body: Vec::new(), ..Self::json(status, &Value::Null) }
    }

    /// An error without a detail.
    pub fn error(status: u16, title: &str) -> Self {
        Self::json(status, &json!({ "errors": [{ "status": status.to_string(), "title": title }] }))
    }

    /// An error with a detail.
    pub fn refusal(status: u16, title: &str, detail: &str) -> Self {
        let error = json!({ "status": status.to_string(), "title": title, "detail": detail });
        Self::json(status, &json!({ "errors": [error] }))
    }

    /// Absent, or not for this caller: the two are not told apart.
    pub fn not_found() -> Self {
        Self::error(404, "not found")
    }

    /// The token is missing or unknown.
    pub fn unauthorized() -> Self {
        Self::error(401, "unauthorized")
    }

    /// Too many requests; here the status is a number.
    pub fn rate_limited() -> Self {
        let detail = "You have exceeded the API's rate limit.";
        let error = json!({ "detail": detail, "status": 429, "title": "Too many requests" });
        Self::json(429, &json!({ "errors": [error] }))
    }

    /// With a header more.
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
