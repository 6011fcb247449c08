//! One request from its first byte to its last, with all that can go wrong on the way.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use futures_util::stream;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::Instant;

use crate::hcp::core::Core;
use crate::hcp::faults::ApiMishap;
use crate::hcp::limits::Admission;
use crate::hcp::model::World;
use crate::hcp::options::{Server, TokenKind};
use crate::hcp::view::{Leak, RequestRecord};

use super::reply::{Answer, Call, Caller, Reply};
use super::route::Route;
use super::socket::Line;

/// The largest body taken: that of a callback, which HCP Terraform limits like this.
const BODY_LIMIT: usize = 5 << 20;

/// How many pieces a slow body comes in.
const PIECES: usize = 8;

/// The limit that a made-up 429 tells where none is in force.
const DEFAULT_LIMIT: u32 = 30;

const JSON_API: &str = "application/vnd.api+json";

/// What is decided before a request is acted on.
struct Entry {
    /// Its place in the request log.
    number: usize,
    admission: Admission,
    verdict: Result<Caller, Reply>,
    mishap: Option<ApiMishap>,
}

/// Answers a request, or does not, as the faults say.
pub(in crate::hcp) async fn serve(
    Shared(core): Shared<Arc<Core>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    if core.stopped() {
        return cut(&line);
    }
    let Some(mut call) = read(request).await else { return cut(&line) };
    let entry = core.with(|world| world.admit(&call, &line));
    call.number = entry.number;
    match entry.mishap {
        Some(ApiMishap::Timeout) => std::future::pending().await,
        Some(ApiMishap::CutBeforeEffect) => return cut(&line),
        _ => {}
    }
    let reply = match (entry.mishap, entry.verdict) {
        (Some(ApiMishap::Status(status)), _) => Reply::error(status, "made to fail"),
        (Some(ApiMishap::RateLimited { .. }), _) => Reply::rate_limited(),
        (_, Err(refusal)) => refusal,
        (_, Ok(caller)) => act(&core, &call, &caller).await,
    };
    let server = core.look(|world| world.options.server.clone());
    let reply = match entry.mishap {
        Some(ApiMishap::CutAfterEffect) => return cut(&line),
        Some(ApiMishap::StatusAfterEffect(status)) => Reply::error(status, "made to fail"),
        Some(ApiMishap::NotJson) => Reply {
            content_type: "text/html",
            body: b"<!doctype html><title>Down for maintenance</title>".to_vec(),
            ..Reply::empty(200)
        },
        _ => reply,
    };
    core.with(|world| world.requests[entry.number].status = Some(reply.status));
    respond(signed_by(&server, with_quota(reply, entry.admission, entry.mishap)), entry.mishap)
}

fn cut(line: &Line) -> Response {
    line.cut();
    Response::new(Body::empty())
}

async fn read(request: Request) -> Option<Call> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 2 * BODY_LIMIT).await.ok()?;
    let too_large = body.len() > BODY_LIMIT;
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (route, variables) = Route::matching(parts.method.as_str(), parts.uri.path());
    let query = parts.uri.query().unwrap_or_default();
    Some(Call {
        method: parts.method.to_string(),
        origin: format!("http://{}", header("host").unwrap_or_default()),
        path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        route,
        variables,
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        bearer: header("authorization").map(|value| value.trim_start_matches("Bearer ").to_owned()),
        content_type: header("content-type"),
        body: if too_large { Vec::new() } else { body.to_vec() },
        too_large,
        number: 0,
    })
}

impl World {
    /// Logs a request, counts it, and decides whether it may go on.
    fn admit(&mut self, call: &Call, line: &Line) -> Entry {
        let token = call.bearer.as_ref().and_then(|bearer| self.tokens.get(bearer));
        let caller = token.map(|token| Caller { user: token.user.clone(), kind: token.kind, result: None });
        let caller = caller.or_else(|| self.task_caller(call));
        let user = caller.as_ref().map(|caller| caller.user.clone());
        let asks = user.clone().unwrap_or_else(|| line.peer.ip().to_string());
        // The archivist is another service, and has no limit.
        let admission = if call.route == Route::Archivist {
            Admission { admitted: true, quota: None }
        } else {
            self.limiter.admit((&asks, call.route.run_list()), self.options.limits, Instant::now())
        };
        self.requests.push(RequestRecord {
            at: OffsetDateTime::now_utc(),
            method: call.method.clone(),
            path: call.path.clone(),
            route: call.route,
            user,
            status: None,
        });
        let number = self.requests.len() - 1;
        self.hear(call, number);
        self.find_leaks(call, line);
        Entry {
            number,
            verdict: self.verdict(call, caller, admission.admitted, line),
            mishap: self.faults.of_request(call.route),
            admission,
        }
    }

    fn verdict(&mut self, call: &Call, caller: Option<Caller>, admitted: bool, line: &Line) -> Result<Caller, Reply> {
        if call.route == Route::Archivist && call.bearer.is_some() {
            let result = caller.and_then(|caller| caller.result);
            self.leaks.push(Leak { result, path: call.path.clone(), peer: line.peer });
            return Err(Reply::refusal(400, "bad request", "only one auth mechanism allowed"));
        }
        if !admitted {
            return Err(Reply::rate_limited());
        }
        if call.too_large {
            return Err(Reply::error(413, "payload too large"));
        }
        let nobody = || Caller { user: String::new(), kind: TokenKind::User, result: None };
        let caller = caller.or_else(|| call.route.is_open().then(nobody)).ok_or_else(Reply::unauthorized)?;
        if let Some(refusal) = self.misused(call, &caller, line) {
            return Err(refusal);
        }
        if caller.kind == TokenKind::Organization && call.route.needs_person() {
            return Err(Reply::not_found());
        }
        if caller.result.is_none() && !self.rights_of(call).allow(call.route) {
            return Err(Reply::not_found());
        }
        let typed = call.content_type.as_deref().is_some_and(|it| it.starts_with(JSON_API));
        if !call.body.is_empty() && !typed {
            return Err(Reply::refusal(415, "invalid content type", "content-type must be application/vnd.api+json"));
        }
        Ok(caller)
    }
}

async fn act(core: &Arc<Core>, call: &Call, caller: &Caller) -> Reply {
    match core.with(|world| world.answer(call, caller)) {
        Answer::Ready(reply) => reply,
        Answer::Verify(asked) => {
            let status = core.send(&asked.outgoing).await;
            core.with(|world| {
                world.delivered(&asked.outgoing, status);
                world.verified(*asked, status)
            })
        }
        Answer::Ask(asked) => {
            let status = core.ask(&asked.post).await;
            core.with(|world| world.task_asked(*asked, status))
        }
    }
}

fn with_quota(reply: Reply, admission: Admission, mishap: Option<ApiMishap>) -> Reply {
    let quota = match mishap {
        Some(ApiMishap::RateLimited { reset_seconds }) => {
            Some((admission.quota.map_or(DEFAULT_LIMIT, |(limit, ..)| limit), 0, reset_seconds))
        }
        _ => admission.quota,
    };
    let Some((limit, remaining, reset)) = quota else { return reply };
    reply
        .header("x-ratelimit-limit", limit.to_string())
        .header("x-ratelimit-remaining", remaining.to_string())
        .header("x-ratelimit-reset", format!("{reset:.3}"))
}

/// What every answer says of the instance.
fn signed_by(server: &Server, reply: Reply) -> Reply {
    let now = OffsetDateTime::now_utc() + time::Duration::seconds(server.seconds_ahead);
    let date = now.format(&Rfc2822).expect("a date of our time can be written").replace("+0000", "GMT");
    let reply = reply.header("tfp-api-version", server.api_version.clone()).header("date", date);
    let named = [("tfp-appname", &server.app_name), ("x-tfe-version", &server.release)];
    named.into_iter().fold(reply, |reply, (name, value)| match value {
        Some(value) => reply.header(name, value.clone()),
        None => reply,
    })
}

fn respond(mut reply: Reply, mishap: Option<ApiMishap>) -> Response {
    if matches!(mishap, Some(ApiMishap::SlowBody(_) | ApiMishap::TruncatedBody))
        && let Some(filler) = reply.filler.take()
    {
        reply.body.extend(filler.pieces().flatten());
    }
    let mut response = Response::builder().status(reply.status);
    if !reply.body.is_empty() {
        response = response.header("content-type", reply.content_type);
    }
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let body = match mishap {
        Some(ApiMishap::SlowBody(pause)) => slow(&reply.body, pause),
        Some(ApiMishap::TruncatedBody) => {
            response = response.header("content-length", reply.body.len());
            truncated(&reply.body)
        }
        _ => match reply.filler {
            None => Body::from(reply.body),
            Some(filler) => {
                response = response.header("content-length", reply.body.len() + filler.len());
                let head = std::iter::once(Bytes::from(reply.body));
                Body::from_stream(stream::iter(head.chain(filler.pieces()).map(Ok::<_, std::io::Error>)))
            }
        },
    };
    response.body(body).expect("statuses and headers of our own making are valid")
}

fn slow(body: &[u8], pause: Duration) -> Body {
    let size = body.len().div_ceil(PIECES).max(1);
    let pieces: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
    Body::from_stream(stream::unfold(pieces.into_iter(), move |mut pieces| async move {
        tokio::time::sleep(pause).await;
        pieces.next().map(|piece| (Ok::<_, std::io::Error>(piece), pieces))
    }))
}

fn truncated(body: &[u8]) -> Body {
    let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
    let end = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Body::from_stream(stream::iter([Ok(half), Err(end)]))
}
