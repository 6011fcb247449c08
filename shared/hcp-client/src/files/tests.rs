use std::sync::{Arc, Mutex};

use sluice_domain::chain;

use super::*;
use crate::far::{Far, ok, redirect};
use crate::task_client::TaskLimits;

const TOKEN: &str = "SECRET-EXAMPLE";
const LIMIT_BYTES: u64 = 1 << 20;
const BOTH: [TaskFile; 2] = [TaskFile::Plan, TaskFile::Configuration];

fn client(far: &Far) -> TaskClient {
    TaskClient::new(&far.address.parse().unwrap(), None, TaskLimits::default()).unwrap()
}

fn token() -> SecretString {
    TOKEN.to_owned().into()
}

fn url(far: &Far, path: &str) -> CallbackUrl {
    CallbackUrl(format!("{}{path}", far.address))
}

async fn open(far: &Far, path: &str) -> Result<String, FileError> {
    whole(client(far).open(TaskFile::Plan, &url(far, path), &token(), LIMIT_BYTES).await?).await
}

async fn whole(mut stream: FileStream) -> Result<String, FileError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(bytes).unwrap())
}

async fn locate(far: &Far, path: &str) -> Result<String, FileError> {
    Ok(match client(far).locate(TaskFile::Plan, &url(far, path), &token(), LIMIT_BYTES).await? {
        Located::Elsewhere(url) => format!("elsewhere: {}", url.0),
        Located::Here(stream) => format!("here: {}", whole(stream).await?),
    })
}

/// An error that carries nothing it must not, whoever prints it.
#[track_caller]
fn check_discreet(error: &FileError) -> String {
    let text = format!("{} {error:?}", chain(error));
    for secret in [TOKEN, "http://", "hunter2", "sig="] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    text
}

#[tokio::test]
async fn the_token_opens_the_file_and_stays_behind_where_that_is_elsewhere() {
    let store = Far::new(|_| ok("{}")).await;
    let signed = format!("{}/object?sig=hunter2", store.address);
    let far = Far::new(move |seen| match seen.line.as_str() {
        "GET /plan" => redirect(&signed),
        "GET /moved" => redirect("here"),
        _ => ok("{\"here\":1}"),
    })
    .await;
    assert_eq!(open(&far, "/here").await.unwrap(), "{\"here\":1}");
    assert_eq!(open(&far, "/moved").await.unwrap(), "{\"here\":1}");
    assert_eq!(open(&far, "/plan").await.unwrap(), "{}");
    assert_eq!(far.lines(), ["+GET /here", "+GET /moved", "+GET /here", "+GET /plan"]);
    assert_eq!(far.seen()[0].header("authorization"), Some("Bearer SECRET-EXAMPLE"));
    assert_eq!(store.lines(), ["-GET /object?sig=hunter2"]);
}

#[tokio::test]
async fn another_host_cannot_have_the_token_sent_by_pointing_back() {
    let back = Arc::new(Mutex::new(String::new()));
    let to = back.clone();
    let store = Far::new(move |_| redirect(&to.lock().unwrap())).await;
    let away = store.address.clone();
    let far = Far::new(move |seen| if seen.line == "GET /away" { redirect(&away) } else { ok("{}") }).await;
    *back.lock().unwrap() = format!("{}/api/v2/runs", far.address);
    open(&far, "/away").await.unwrap();
    assert_eq!(far.lines(), ["+GET /away", "-GET /api/v2/runs"]);
}

#[tokio::test]
async fn a_url_that_is_not_the_instances_own_is_not_opened() {
    let (far, other) = (Far::new(|_| ok("{}")).await, Far::new(|_| ok("{}")).await);
    for file in BOTH {
        for url in [url(&other, "/plan?sig=hunter2"), CallbackUrl("/plan".to_owned()), CallbackUrl(String::new())] {
            let opened = client(&far).open(file, &url, &token(), LIMIT_BYTES).await.unwrap_err();
            let located = client(&far).locate(file, &url, &token(), LIMIT_BYTES).await.unwrap_err();
            for error in [opened, located] {
                assert_eq!(error.fault(), Fault::Permanent);
                check_discreet(&error);
            }
        }
    }
    assert_eq!((far.lines().len(), other.lines().len()), (0, 0));
}

#[tokio::test]
async fn where_a_file_is_can_be_told_without_going_there() {
    let store = Far::new(|_| ok("{}")).await;
    let signed = format!("{}/object?sig=hunter2", store.address);
    let to = signed.clone();
    let far = Far::new(move |seen| match seen.line.as_str() {
        "GET /plan" => redirect(&to),
        "GET /moved" => redirect("/plan"),
        "GET /archive" => redirect("/here"),
        _ => ok("{\"here\":1}"),
    })
    .await;
    for path in ["/plan", "/moved"] {
        assert_eq!(locate(&far, path).await.unwrap(), format!("elsewhere: {signed}"));
    }
    for path in ["/here", "/archive"] {
        assert_eq!(locate(&far, path).await.unwrap(), "here: {\"here\":1}");
    }
    assert_eq!(store.lines().len(), 0);
    assert!(far.lines().iter().all(|line| line.starts_with('+')), "{:?}", far.lines());
    let located = client(&far).locate(TaskFile::Plan, &url(&far, "/plan"), &token(), LIMIT_BYTES).await.unwrap();
    assert!(!format!("{located:?}").contains("sig="), "{located:?}");
}

#[tokio::test]
async fn every_status_says_whether_there_will_be_a_file() {
    const BUSY: &str = "Transient { after_ms: None }";
    for (status, ours, elsewhere) in [
        ("204 No Content", BUSY, BUSY),
        ("400 Bad Request", "Permanent", "Permanent"),
        ("401 Unauthorized", "Permanent", BUSY),
        ("403 Forbidden", "Permanent", BUSY),
        ("404 Not Found", "Permanent", "Permanent"),
        ("408 Request Timeout", BUSY, BUSY),
        ("409 Conflict", BUSY, BUSY),
        ("410 Gone", "Permanent", "Permanent"),
        ("422 Unprocessable Content", "Permanent", "Permanent"),
        ("429 Too Many Requests", "Throttled { after_ms: 2000 }", "Throttled { after_ms: 2000 }"),
        ("500 Internal Server Error", BUSY, BUSY),
        ("304 Not Modified", "Permanent", "Permanent"),
    ] {
        let body = if status.starts_with("204") { "" } else { "hunter2" };
        let store = Far::saying(status, "retry-after: 2\r\n", body).await;
        let error = open(&store, "/plan?sig=1").await.unwrap_err();
        assert_eq!(format!("{:?}", error.fault()), ours, "{status}: {error}");
        check_discreet(&error);

        let signed = format!("{}/object?sig=1", store.address);
        let far = Far::new(move |_| redirect(&signed)).await;
        let error = open(&far, "/plan").await.unwrap_err();
        assert_eq!(format!("{:?}", error.fault()), elsewhere, "{status} elsewhere: {error}");
        check_discreet(&error);
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_told_in_words() {
    for (status, expect) in [
        ("204 No Content", "the plan is not ready yet"),
        (
            "403 Forbidden",
            "HCP Terraform does not hand out the plan to this run task any more, or never did (status 403)",
        ),
        ("503 Service Unavailable", "HCP Terraform answered loading a plan with status 503"),
    ] {
        let far = Far::saying(status, "", "").await;
        assert_eq!(open(&far, "/plan").await.unwrap_err().to_string(), expect);
    }
    let far = Far::saying("204 No Content", "", "").await;
    let error = client(&far).open(TaskFile::Configuration, &url(&far, "/c"), &token(), LIMIT_BYTES).await.unwrap_err();
    assert_eq!(error.to_string(), "the configuration is not ready yet");
}

#[tokio::test]
async fn redirects_end() {
    let far = Far::new(|seen| {
        let left: u32 = seen.line.trim_start_matches("GET /").parse().unwrap();
        if left == 0 { ok("{}") } else { redirect(&format!("/{}", left - 1)) }
    })
    .await;
    assert!(open(&far, "/5").await.is_ok());
    for error in [open(&far, "/6").await.unwrap_err(), locate(&far, "/6").await.unwrap_err()] {
        assert!(check_discreet(&error).contains("more than 5 redirects"));
        assert_eq!(error.fault(), Fault::Permanent);
    }
    for to in ["file:///etc/passwd", "http://hunter2@127.0.0.1/", "http://"] {
        let far = Far::new(move |_| redirect(to)).await;
        assert_eq!(open(&far, "/").await.unwrap_err().fault(), Fault::Permanent, "{to}");
        check_discreet(&locate(&far, "/").await.unwrap_err());
    }
}
