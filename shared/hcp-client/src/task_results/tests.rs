use std::time::Duration;

use sluice_domain::gate::{Level, Outcome, ReportStatus, Tag};
use sluice_domain::{Classify, Fault, chain};

use super::*;
use crate::far::{Deed, Far, answer};
use crate::task_client::TaskLimits;

const TOKEN: &str = "SECRET-EXAMPLE";
const PATH: &str = "/api/v2/task-results/1/callback?url_code=hunter2%20x";

fn client(address: &str, limits: TaskLimits) -> TaskClient {
    TaskClient::new(&address.parse().unwrap(), None, limits).unwrap()
}

fn report() -> Report {
    let tags = vec![Tag::new("Status", "Denied", Level::Error)];
    let outcomes = vec![Outcome { id: "a".to_owned(), description: "b".to_owned(), tags, ..Outcome::default() }];
    Report { status: ReportStatus::Failed, message: "m".to_owned(), url: None, outcomes }
}

async fn say_within(address: &str, url: &str, limits: TaskLimits) -> Result<Heard, TerraformError> {
    client(address, limits).report(&CallbackUrl(url.to_owned()), &TOKEN.to_owned().into(), &report()).await
}

async fn say(far: &Far) -> Result<Heard, TerraformError> {
    say_within(&far.address, &format!("{}{PATH}", far.address), TaskLimits::default()).await
}

/// An error that carries nothing it must not, whoever prints it.
#[track_caller]
fn check_discreet(error: &TerraformError) -> String {
    let text = format!("{} {error:?}", chain(error));
    for secret in [TOKEN, "http://", "hunter2", "url_code"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    text
}

#[tokio::test]
async fn a_word_goes_to_the_very_url_with_the_results_own_token() {
    let far = Far::saying("200 OK", "", "").await;
    assert_eq!(say(&far).await.unwrap(), Heard::Accepted);
    let [seen] = far.seen().try_into().unwrap();
    assert_eq!(seen.line, format!("PATCH {PATH}"));
    assert_eq!(seen.header("authorization"), Some("Bearer SECRET-EXAMPLE"));
    assert_eq!(seen.header("content-type"), Some("application/vnd.api+json"));
    assert_eq!(seen.body.as_bytes(), callback(&report(), true));
}

#[tokio::test]
async fn every_status_is_accepted_refused_or_worth_another_attempt() {
    for (status, expect) in [
        ("200 OK", "accepted"),
        ("202 Accepted", "accepted"),
        ("204 No Content", "accepted"),
        ("400 Bad Request", "refused 400"),
        ("401 Unauthorized", "refused 401"),
        ("403 Forbidden", "refused 403"),
        ("404 Not Found", "refused 404"),
        ("409 Conflict", "refused 409"),
        ("410 Gone", "refused 410"),
        ("422 Unprocessable Content", "refused 422"),
        ("423 Locked", "refused 423"),
        ("408 Request Timeout", "error Transient { after_ms: None }"),
        ("429 Too Many Requests", "error Throttled { after_ms: 250 }"),
        ("500 Internal Server Error", "error Transient { after_ms: None }"),
        ("502 Bad Gateway", "error Transient { after_ms: None }"),
        ("503 Service Unavailable", "error Transient { after_ms: None }"),
        ("302 Found", "error Transient { after_ms: None }"),
        ("307 Temporary Redirect", "error Transient { after_ms: None }"),
    ] {
        let far = Far::saying(status, "x-ratelimit-reset: 0.25\r\nlocation: /elsewhere\r\n", "").await;
        let told = match say(&far).await {
            Ok(Heard::Accepted) => "accepted".to_owned(),
            Ok(Heard::Refused { status }) => format!("refused {status}"),
            Err(error) => {
                check_discreet(&error);
                format!("error {:?}", error.fault())
            }
        };
        assert_eq!(told, expect, "{status}");
        assert_eq!(far.seen().len(), 1, "nothing is said twice, and no redirect followed: {status}");
    }
}

#[tokio::test]
async fn the_token_goes_nowhere_but_to_the_configured_address() {
    let (far, other) = (Far::saying("200 OK", "", "").await, Far::saying("200 OK", "", "").await);
    for url in [
        format!("{}{PATH}", other.address),
        format!("http://localhost:{}{PATH}", far.port()),
        format!("http://hunter2@127.0.0.1:{}{PATH}", far.port()),
        format!("https://127.0.0.1:{}{PATH}", far.port()),
        PATH.to_owned(),
        String::new(),
    ] {
        let error = say_within(&far.address, &url, TaskLimits::default()).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Permanent, "{url}");
        check_discreet(&error);
    }
    assert_eq!((far.lines().len(), other.lines().len()), (0, 0));
}

#[tokio::test]
async fn a_token_that_no_header_carries_is_not_sent() {
    let far = Far::saying("200 OK", "", "").await;
    for token in ["", "SECRET\r\nhost: evil.example"] {
        let url = CallbackUrl(format!("{}{PATH}", far.address));
        let client = client(&far.address, TaskLimits::default());
        let error = client.report(&url, &token.to_owned().into(), &report()).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Permanent);
        assert!(!check_discreet(&error).contains("evil.example"));
    }
    assert_eq!(far.lines().len(), 0);
}

#[tokio::test]
async fn silence_and_broken_connections_are_worth_another_attempt() {
    let short = TaskLimits { call: Duration::from_millis(50), ..TaskLimits::default() };
    for deed in [
        Deed::Hang(String::new()),
        Deed::Hang("HTTP/1.1 200".to_owned()),
        Deed::Say(String::new()),
        Deed::Say("HTTP/1.1 200".to_owned()),
        Deed::Say("no HTTP".to_owned()),
    ] {
        let told = deed.clone();
        let far = Far::new(move |_| deed.clone()).await;
        let error = say_within(&far.address, &format!("{}{PATH}", far.address), short).await.unwrap_err();
        assert_eq!(error.fault(), Fault::TRANSIENT, "{told:?}: {error}");
        check_discreet(&error);
    }
    let nobody = Far::nobody().await;
    let error = say_within(&nobody, &format!("{nobody}{PATH}"), short).await.unwrap_err();
    assert_eq!(error.fault(), Fault::TRANSIENT);
    check_discreet(&error);
}

#[tokio::test]
async fn a_refusal_without_end_is_a_refusal() {
    let far = Far::new(|_| Deed::Flood("HTTP/1.1 422 Unprocessable Content\r\n\r\n{".to_owned(), 64 << 20)).await;
    assert_eq!(say(&far).await.unwrap(), Heard::Refused { status: 422 });
    assert!(far.sent_bytes() < 32 << 20, "{} bytes", far.sent_bytes());
    let short = TaskLimits { call: Duration::from_millis(50), ..TaskLimits::default() };
    let said = answer("409 Conflict", "", "").replace("length: 0", "length: 9");
    let far = Far::new(move |_| Deed::Hang(said.clone())).await;
    let heard = say_within(&far.address, &format!("{}{PATH}", far.address), short).await;
    assert_eq!(heard.unwrap(), Heard::Refused { status: 409 }, "its words are a courtesy");
}
