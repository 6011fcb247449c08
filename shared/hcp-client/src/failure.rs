//! What an answer other than a success means for who must act.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;
use sluice_domain::ports::TerraformError;

/// How long to wait when a rate limit was met that does not say when it ends.
const RATE_LIMIT_DEFAULT: Duration = Duration::from_secs(1);
/// Longest wait that is taken from an answer.
const RATE_LIMIT_MAX: Duration = Duration::from_mins(1);
/// Most characters kept of what HCP Terraform says.
const DETAIL_CHARS_MAX: usize = 300;
/// Most errors of one answer that are told.
const ERRORS_MAX: usize = 3;

/// What the API's answer means, which is not a success. `body` may be cut short, or empty.
pub(crate) fn of_answer(action: &'static str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> TerraformError {
    let detail = detail(status, body);
    let status = status.as_u16();
    match status {
        401 => TerraformError::Unauthorized { action },
        404 => TerraformError::NotFound { action },
        409 | 423 => TerraformError::Busy { action, status, detail },
        422 if says(&detail, "configuration version is missing") => TerraformError::NoConfiguration,
        422 if says(&detail, "invalid run parameters") => TerraformError::Processing,
        429 => TerraformError::RateLimited { action, after_ms: rate_limit_ms(headers) },
        500..=599 => TerraformError::ServerError { action, status },
        _ => TerraformError::Refused { action, status, detail },
    }
}

/// What the answer to a download means, which is not a success. `ours`: the API itself gave it, to our token.
///
/// Its body is not looked at: an object store's error may repeat the signed URL.
pub(crate) fn of_download(action: &'static str, status: StatusCode, headers: &HeaderMap, ours: bool) -> TerraformError {
    match status.as_u16() {
        410 => TerraformError::NotFound { action },
        // A signed URL that has run out. The state version will come with a new one.
        status @ (401 | 403) if !ours => {
            TerraformError::Busy { action, status, detail: "the link to the state file is not valid now".to_owned() }
        }
        _ => of_answer(action, status, headers, &[]),
    }
}

/// No answer, or one that broke off. The URL may be a secret, so it is left out.
pub(crate) fn unreachable(action: &'static str, error: reqwest::Error) -> TerraformError {
    TerraformError::Unreachable { action, source: error.without_url().into() }
}

/// An answer that is not what the API promises. `detail` must not hold any of it.
pub(crate) fn bad_answer(action: &'static str, detail: impl Into<String>) -> TerraformError {
    TerraformError::BadAnswer { action, detail: detail.into() }
}

fn says(detail: &str, what: &str) -> bool {
    detail.to_lowercase().contains(what)
}

/// What the answer says in words: JSON:API errors, however their fields are written, or plain strings.
fn detail(status: StatusCode, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let errors = body.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let told: Vec<String> = errors.iter().take(ERRORS_MAX).filter_map(told).collect();
    if !told.is_empty() {
        return cleaned(&told.join("; "));
    }
    let standard = if status.is_redirection() {
        "it sends us elsewhere, so the address is not quite right"
    } else {
        status.canonical_reason().unwrap_or("no reason given")
    };
    standard.to_owned()
}

fn told(error: &Value) -> Option<String> {
    let text = |name| error.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("title"), text("detail")) {
        (Some(title), Some(detail)) => Some(format!("{title}: {detail}")),
        (Some(text), None) | (None, Some(text)) => Some(text.to_owned()),
        (None, None) => error.as_str().map(str::to_owned),
    }
}

/// One line without control characters, of bounded length.
fn cleaned(text: &str) -> String {
    let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    spaced.filter(|c| !c.is_control()).take(DETAIL_CHARS_MAX).collect()
}

fn rate_limit_ms(headers: &HeaderMap) -> u64 {
    asked_ms(headers).unwrap_or_else(|| milliseconds(RATE_LIMIT_DEFAULT))
}

/// How long the far side asks to be left alone, if it says so in seconds.
pub(crate) fn asked_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds = |name| headers.get(name)?.to_str().ok()?.trim().parse().ok().filter(|seconds: &f64| *seconds >= 0.0);
    let wait: f64 = ["x-ratelimit-reset", "retry-after"].into_iter().find_map(seconds)?;
    Some(milliseconds(Duration::from_secs_f64(wait.min(RATE_LIMIT_MAX.as_secs_f64()))))
}

fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use sluice_domain::{Classify, Fault};

    use super::*;

    fn answered(status: u16, body: &str) -> TerraformError {
        of_answer("asking", StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    fn limited(header: &'static str, value: &'static str) -> Fault {
        let headers = HeaderMap::from_iter([(header.parse().unwrap(), HeaderValue::from_static(value))]);
        of_answer("asking", StatusCode::TOO_MANY_REQUESTS, &headers, b"").fault()
    }

    #[test]
    fn a_rate_limit_says_how_long_to_wait() {
        for (header, value, ms) in [
            ("x-ratelimit-reset", "0.225", 225),
            ("x-ratelimit-reset", "0.2251", 226),
            ("X-RateLimit-Reset", " 2 ", 2_000),
            ("retry-after", "7", 7_000),
            ("x-ratelimit-reset", "86400", 60_000),
            ("x-ratelimit-reset", "inf", 60_000),
            ("x-ratelimit-reset", "-1", 1_000),
            ("x-ratelimit-reset", "NaN", 1_000),
            ("x-ratelimit-reset", "soon", 1_000),
            ("retry-after", "Fri, 20 Nov 2026 10:00:00 GMT", 1_000),
            ("date", "now", 1_000),
        ] {
            assert_eq!(limited(header, value), Fault::Throttled { after_ms: ms }, "{header}: {value}");
        }
    }

    #[track_caller]
    fn check(status: u16, body: &str, expect: &str) {
        let error = answered(status, body);
        let kind = if error.fault() == Fault::Permanent { "permanent" } else { "transient" };
        assert_eq!(format!("{kind}: {error}"), expect);
    }

    #[test]
    fn every_status_says_who_must_act() {
        check(
            401,
            r#"{"errors":[{"status":"401","title":"unauthorized"}]}"#,
            "transient: HCP Terraform refused API_TOKEN for asking: give Sluice a valid team or user token",
        );
        check(404, "", "permanent: HCP Terraform knows nothing of what asking asks for, or API_TOKEN may not see it");
        check(409, "", "transient: HCP Terraform answered asking with status 409: Conflict");
        check(
            423,
            r#"{"errors":["it is locked"]}"#,
            "transient: HCP Terraform answered asking with status 423: it is locked",
        );
        check(502, "<html>nginx</html>", "transient: HCP Terraform answered asking with status 502");
        check(
            301,
            "",
            "permanent: HCP Terraform refused asking with status 301: it sends us elsewhere, so the address is not quite \
             right",
        );
        check(
            422,
            r#"{"errors":[{"status":422,"title":"unprocessable entity","detail":"Message is too long"}]}"#,
            "permanent: HCP Terraform refused asking with status 422: unprocessable entity: Message is too long",
        );
    }

    #[test]
    fn a_run_that_cannot_be_created_yet_is_told_from_one_that_never_can() {
        let missing = r#"{"errors":[{"status":"422","title":"invalid","detail":"Configuration version is missing"}]}"#;
        assert!(matches!(answered(422, missing), TerraformError::NoConfiguration));
        let processing =
            r#"{"errors":[{"title":"Invalid Attribute","detail":"The run failed: invalid run parameters"}]}"#;
        assert!(matches!(answered(422, processing), TerraformError::Processing));
    }

    #[test]
    fn what_is_told_is_one_short_line() {
        let body = format!(r#"{{"errors":["a\u0007\nb{}"]}}"#, "x".repeat(400));
        let TerraformError::Refused { detail, .. } = answered(400, &body) else { panic!("refused") };
        assert!(detail.starts_with("a bxxx"), "{detail}");
        assert_eq!(detail.chars().count(), 300);
    }

    #[test]
    fn errors_of_any_shape_are_survived() {
        for body in
            ["", "[]", "null", r#"{"errors":{}}"#, r#"{"errors":[1,null,{}]}"#, r#"{"errors":[{"title":4}]}"#, "{"]
        {
            check(400, body, "permanent: HCP Terraform refused asking with status 400: Bad Request");
        }
    }

    #[test]
    fn a_signed_link_that_ran_out_is_not_the_tokens_fault() {
        let refused = |status, ours| {
            let status = StatusCode::from_u16(status).unwrap();
            of_download("loading", status, &HeaderMap::new(), ours)
        };
        assert!(matches!(refused(403, false), TerraformError::Busy { .. }));
        assert!(matches!(refused(401, false), TerraformError::Busy { .. }));
        assert!(matches!(refused(401, true), TerraformError::Unauthorized { .. }));
        assert!(matches!(refused(403, true), TerraformError::Refused { .. }));
        assert!(matches!(refused(404, false), TerraformError::NotFound { .. }));
        assert!(matches!(refused(410, true), TerraformError::NotFound { .. }));
    }
}
