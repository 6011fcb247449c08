//! Events of the front doors: API Gateway's REST and HTTP APIs, function URLs and load balancers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use serde::Deserialize;

use super::answer::Form;

type One = BTreeMap<String, Option<String>>;
type Many = BTreeMap<String, Option<Vec<String>>>;

/// A request as one of the front doors describes it. Each sends some of these members, and null where it likes.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Event {
    version: Option<String>,
    http_method: Option<String>,
    path: Option<String>,
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    query_string_parameters: Option<One>,
    multi_value_query_string_parameters: Option<Many>,
    headers: Option<One>,
    multi_value_headers: Option<Many>,
    cookies: Option<Vec<String>>,
    request_context: Option<RequestContext>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct RequestContext {
    stage: Option<String>,
    http: Option<Http>,
    elb: Option<serde::de::IgnoredAny>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Http {
    method: Option<String>,
}

/// An event that is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// No method, or one that is none.
    #[error("it has no HTTP method")]
    Method,
    /// A path that no URI has.
    #[error("its path is not one of a URI")]
    Path,
    /// Said to be base64, and is not.
    #[error("its body is not the base64 it is said to be")]
    Base64,
}

impl Event {
    /// In which form the front door wants its answer.
    pub(super) fn form(&self) -> Form {
        if self.version.as_deref() == Some("2.0") {
            Form::V2
        } else if self.multi_value_headers.is_some() {
            Form::MultiValue
        } else {
            Form::SingleValue
        }
    }

    fn method(&self) -> Result<Method, BadEvent> {
        let http = self.request_context.as_ref().and_then(|context| context.http.as_ref());
        let method = self.http_method.as_deref().or_else(|| http?.method.as_deref()).ok_or(BadEvent::Method)?;
        method.parse().map_err(|_| BadEvent::Method)
    }

    fn uri(&self) -> Result<Uri, BadEvent> {
        let path = match (&self.raw_path, &self.path) {
            (Some(raw), _) => without_stage(raw, self.request_context.as_ref()),
            (None, Some(path)) => path,
            (None, None) => "/",
        };
        let mut uri = String::with_capacity(path.len() + 1);
        if !path.starts_with('/') {
            uri.push('/');
        }
        escape(&mut uri, path, |byte| b"/%-._~!$&'()*+,;=:@".contains(&byte));
        let query = self.query();
        if !query.is_empty() {
            uri.push('?');
            uri.push_str(&query);
        }
        uri.parse().map_err(|_| BadEvent::Path)
    }

    fn query(&self) -> String {
        if let Some(raw) = &self.raw_query_string {
            let mut query = String::new();
            escape(&mut query, raw, |byte| b"/%-._~!$&'()*+,;=:@?".contains(&byte));
            return query;
        }
        // A load balancer hands parameters over as they came, API Gateway decodes them.
        let decoded = self.request_context.as_ref().is_none_or(|context| context.elb.is_none());
        let mut query = String::new();
        for (name, value) in
            pairs(self.query_string_parameters.as_ref(), self.multi_value_query_string_parameters.as_ref())
        {
            if !query.is_empty() {
                query.push('&');
            }
            escape(&mut query, name, |byte| b"-._~".contains(&byte) || (!decoded && b"%+".contains(&byte)));
            query.push('=');
            escape(&mut query, value, |byte| b"-._~".contains(&byte) || (!decoded && b"%+".contains(&byte)));
        }
        query
    }

    /// All headers, under names of one case. What HTTP does not allow is left out.
    fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs(self.headers.as_ref(), self.multi_value_headers.as_ref()) {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes())) {
                map.append(name, value);
            }
        }
        if let Some(Ok(cookies)) = self.cookies.as_ref().map(|cookies| HeaderValue::from_str(&cookies.join("; "))) {
            map.insert(COOKIE, cookies);
        }
        map
    }
}

impl TryFrom<Event> for Request<Bytes> {
    type Error = BadEvent;

    fn try_from(mut event: Event) -> Result<Self, BadEvent> {
        let body = event.body.take().unwrap_or_default();
        let body = if event.is_base64_encoded == Some(true) {
            STANDARD.decode(body).map_err(|_| BadEvent::Base64)?
        } else {
            body.into_bytes()
        };
        let mut request = Self::new(Bytes::from(body));
        *request.method_mut() = event.method()?;
        *request.uri_mut() = event.uri()?;
        *request.headers_mut() = event.header_map();
        Ok(request)
    }
}

/// Names and values: those of `many`, which is the fuller one where both are sent, or else those of `one`.
fn pairs<'a>(one: Option<&'a One>, many: Option<&'a Many>) -> Vec<(&'a str, &'a str)> {
    match many.filter(|many| !many.is_empty()) {
        Some(many) => many
            .iter()
            .flat_map(|(name, values)| values.iter().flatten().map(move |value| (name.as_str(), value.as_str())))
            .collect(),
        None => {
            one.into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?))).collect()
        }
    }
}

/// HTTP APIs put a stage that has a name before the path.
fn without_stage<'a>(path: &'a str, context: Option<&RequestContext>) -> &'a str {
    let stage = context.and_then(|context| context.stage.as_deref()).filter(|stage| *stage != "$default");
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    rest.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path)
}

/// Appends `text`, with every byte that is neither alphanumeric nor kept as `%XX`.
fn escape(to: &mut String, text: &str, kept: impl Fn(u8) -> bool) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept(byte) {
            to.push(char::from(byte));
        } else {
            to.extend(['%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}
