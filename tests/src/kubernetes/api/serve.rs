//! One request from its first byte to its last, with all that can go wrong on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use serde_json::{Value, json};

use crate::kubernetes::core::Core;
use crate::kubernetes::faults::Mishap;
use crate::kubernetes::handle::{NODE_USER, RequestRecord};

use super::call::{self, Call, Reply};
use super::refusal::Refusal;
use super::resource::{Resource, Target};
use super::socket::Line;
use super::world::World;
use super::{logs, watch};

/// The largest body taken.
const BODY_LIMIT: usize = 3 << 20;

/// What is decided before a request is acted on.
struct Entry {
    /// Its place in the request log.
    number: usize,
    verdict: Result<Call, Refusal>,
    mishap: Option<Mishap>,
}

/// A request as it came in.
struct Raw {
    method: String,
    path: String,
    query: String,
    bearer: String,
    content_type: String,
    body: Vec<u8>,
    too_large: bool,
}

/// Answers a request, or does not, as the faults say.
pub(in crate::kubernetes) async fn serve(
    Shared(core): Shared<Arc<Core>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let Some(raw) = read(request).await.filter(|_| !core.stopped()) else { return cut(&line) };
    if raw.path == "/version" {
        return json(200, &json!({ "major": "1", "minor": "33", "gitVersion": "v1.33.0" }));
    }
    let entry = core.with(|world| world.admit(&raw));
    match entry.mishap {
        Some(Mishap::Hang) => std::future::pending().await,
        Some(Mishap::CutBeforeEffect) => return cut(&line),
        _ => {}
    }
    let answer = match entry.verdict {
        Ok(call) => act(&core, &call).await,
        Err(refusal) => Err(refusal),
    };
    if entry.mishap == Some(Mishap::CutAfterEffect) {
        return cut(&line);
    }
    let response = answer.unwrap_or_else(|refusal| refuse(&refusal));
    core.with(|world| world.requests[entry.number].status = Some(response.status().as_u16()));
    response
}

fn cut(line: &Line) -> Response {
    line.cut();
    Response::new(Body::empty())
}

async fn read(request: Request) -> Option<Raw> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 2 * BODY_LIMIT).await.ok()?;
    let header = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    Some(Raw {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        bearer: header("authorization").strip_prefix("Bearer ").unwrap_or_default().to_owned(),
        content_type: header("content-type"),
        too_large: body.len() > BODY_LIMIT,
        body: body.to_vec(),
    })
}

impl World {
    /// Logs a request, and decides whether it may go on.
    fn admit(&mut self, raw: &Raw) -> Entry {
        let user = self.tokens.get(&raw.bearer).cloned();
        let query: BTreeMap<String, String> = url::form_urlencoded::parse(raw.query.as_bytes()).into_owned().collect();
        let target = Target::parse(&raw.path);
        let verb = target.as_ref().map_or("", |target| call::verb(&raw.method, target, &query));
        self.requests.push(RequestRecord {
            user: user.clone().unwrap_or_default(),
            verb: verb.to_owned(),
            resource: target.as_ref().map(Target::in_roles).unwrap_or_default(),
            method: raw.method.clone(),
            path: raw.path.clone(),
            query: raw.query.clone(),
            has_body: !raw.body.is_empty(),
            status: None,
        });
        let mut entry = Entry { number: self.requests.len() - 1, verdict: Err(Refusal::unauthorized()), mishap: None };
        let Some(user) = user else { return entry };
        let Some(target) = target else {
            entry.verdict = Err(Refusal::no_such_path());
            return entry;
        };
        if user != NODE_USER {
            let name = target.in_roles();
            let fault = self.faults.iter_mut().find_map(|fault| fault.strikes(verb, &name).then_some(fault.what));
            entry.mishap = fault;
        }
        entry.verdict = match entry.mishap.and_then(|mishap| refusal(mishap, &user, verb, &target)) {
            Some(refusal) => Err(refusal),
            None => permit(raw, &user, verb, target, query),
        };
        entry
    }
}

/// The answer that a fault puts in place of the true one.
fn refusal(mishap: Mishap, user: &str, verb: &str, target: &Target) -> Option<Refusal> {
    Some(match mishap {
        Mishap::TooManyRequests(seconds) => Refusal::too_many_requests(seconds),
        Mishap::InternalError => Refusal::internal("etcdserver: request timed out"),
        Mishap::Unavailable => Refusal::unavailable(),
        Mishap::Forbidden => Refusal::not_allowed(user, verb, target),
        Mishap::QuotaExceeded => Refusal::quota(target.resource, &target.name),
        Mishap::Unauthorized => Refusal::unauthorized(),
        Mishap::CutBeforeEffect | Mishap::CutAfterEffect | Mishap::Hang => return None,
    })
}

/// The call that a request is, if its user may make it.
fn permit(
    raw: &Raw,
    user: &str,
    verb: &'static str,
    target: Target,
    query: BTreeMap<String, String>,
) -> Result<Call, Refusal> {
    if verb.is_empty() {
        return Err(Refusal::method_not_allowed());
    }
    // A pod may read and annotate the pods beside it: the role that the images need, and no more.
    if let Some(account) = user.strip_prefix("system:serviceaccount:") {
        let home = account.split(':').next() == Some(target.namespace.as_str());
        if !home || target.resource != Resource::Pods || !matches!(verb, "get" | "patch") {
            return Err(Refusal::not_allowed(user, verb, &target));
        }
    }
    if raw.too_large {
        return Err(Refusal::too_large());
    }
    let body = if raw.body.is_empty() {
        None
    } else {
        let parsed: Result<Value, _> = serde_json::from_slice(&raw.body);
        Some(parsed.map_err(|why| Refusal::bad_request(format!("error decoding: {why}")))?)
    };
    Ok(Call { verb, target, query, content_type: raw.content_type.clone(), body })
}

async fn act(core: &Arc<Core>, call: &Call) -> Result<Response, Refusal> {
    if call.verb == "watch" {
        return Ok(response(200, "application/json", watch::body(core, call)?));
    }
    if call.target.subresource == "log" {
        let text = logs::read(core, call).await?;
        return Ok(response(200, "text/plain", Body::from(text)));
    }
    core.with(|world| world.answer(call)).map(respond)
}

fn respond(reply: Reply) -> Response {
    let mut response = json(reply.code, &reply.body);
    for warning in reply.warnings {
        let text = format!("299 - \"{}\"", warning.replace('"', "\\\""));
        if let Ok(value) = text.parse() {
            response.headers_mut().append("warning", value);
        }
    }
    response
}

fn refuse(refusal: &Refusal) -> Response {
    let mut response = json(refusal.code, &refusal.status());
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

fn json(code: u16, body: &Value) -> Response {
    response(code, "application/json", Body::from(body.to_string()))
}

fn response(code: u16, content_type: &str, body: Body) -> Response {
    let response = Response::builder().status(code).header("content-type", content_type).body(body);
    response.expect("statuses and headers of our own making are valid")
}
