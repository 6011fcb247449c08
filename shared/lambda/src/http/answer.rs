//! Answers in the form that the front doors want.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response};
use serde::Serialize;

/// In which form a front door wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// HTTP APIs and function URLs: cookies apart, one value for each header.
    V2,
    /// REST APIs, and load balancers that are set to it: a list of values for each header.
    MultiValue,
    /// Load balancers otherwise.
    SingleValue,
}

/// A response, as Lambda hands it back to the front door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    body: String,
    is_base64_encoded: bool,
}

impl Answer {
    pub(super) fn new(response: Response<Bytes>, form: Form) -> Self {
        let (parts, body) = response.into_parts();
        let (body, is_base64_encoded) = text(&body, parts.headers.contains_key(CONTENT_ENCODING));
        let mut headers = listed(&parts.headers);
        let mut cookies = Vec::new();
        if form == Form::V2 {
            cookies = headers.remove(SET_COOKIE.as_str()).unwrap_or_default();
        }
        let (headers, multi_value_headers) = match form {
            Form::MultiValue => (None, Some(headers)),
            Form::V2 | Form::SingleValue => {
                (Some(headers.into_iter().map(|(name, values)| (name, values.join(", "))).collect()), None)
            }
        };
        Self { status_code: parts.status.as_u16(), headers, multi_value_headers, cookies, body, is_base64_encoded }
    }
}

/// Longest body that is carried as text, as it is written in JSON, in bytes. Lambda hands back six megabytes, and a text
/// may become twice as long by what has to be escaped in it; base64 is a third longer, whatever the text is.
const TEXT_BYTES_MAX: usize = 5_800_000;

/// The body as JSON can carry it, and whether that is base64.
fn text(body: &Bytes, encoded: bool) -> (String, bool) {
    match std::str::from_utf8(body) {
        Ok(text) if !encoded && escaped_bytes(text) <= TEXT_BYTES_MAX => (text.to_owned(), false),
        _ => (STANDARD.encode(body), true),
    }
}

/// How long a text is in JSON, at the most.
fn escaped_bytes(text: &str) -> usize {
    let more = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..0x20 => 5,
        _ => 0,
    });
    text.len() + more.sum::<usize>()
}

fn listed(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let values = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes).map(lossy).collect();
    headers.keys().map(|name| (name.as_str().to_owned(), values(name))).collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
