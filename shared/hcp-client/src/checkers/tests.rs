use sluice_domain::chain;

use super::*;
use crate::far::{Deed, Far, answer};

const KEY: &str = "hmac-key-of-jo";
const BODY: &str = r#"{"access_token":"OUR-TOKEN"}"#;

async fn send_within(allowed: &str, url: &str, key: Option<&str>, limits: CheckerLimits) -> Result<(), CheckerError> {
    let key = key.map(SecretString::from);
    let checkers = Checkers::new(allowed.parse().unwrap(), None, limits).unwrap();
    checkers.send(url, BODY.into(), key.as_ref()).await
}

async fn send(allowed: &str, url: &str) -> Result<(), CheckerError> {
    send_within(allowed, url, Some(KEY), CheckerLimits::default()).await
}

/// An error that carries nothing it must not, whoever prints it.
#[track_caller]
fn check_discreet(error: &CheckerError) -> String {
    let text = format!("{} {error:?}", chain(error));
    for secret in ["OUR-TOKEN", KEY, "hunter2", "/check"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    text
}

#[tokio::test]
async fn a_checker_is_asked_as_hcp_terraform_asks_it() {
    let far = Far::saying("200 OK", "", "thanks").await;
    let url = format!("{}/check?code=hunter2", far.address);
    let signature = sign(&KEY.to_owned().into(), BODY.as_bytes());
    for (key, expect) in [(Some(KEY), signature.as_str()), (None, ""), (Some(""), "")] {
        send_within("127.0.0.1", &url, key, CheckerLimits::default()).await.unwrap();
        let seen = far.seen().pop().unwrap();
        assert_eq!(seen.line, "POST /check?code=hunter2");
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.header("user-agent"), Some("TFC/1.0 (+https://app.terraform.io; TFC)"));
        assert_eq!(seen.header("x-tfc-task-signature"), Some(expect));
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.body, BODY);
    }
}

#[tokio::test]
async fn a_question_may_be_sent_from_any_thread() {
    let far = Far::saying("200 OK", "", "").await;
    let url = far.address.clone();
    tokio::spawn(async move { send("127.0.0.1", &url).await }).await.unwrap().unwrap();
}

#[tokio::test]
async fn nothing_but_200_is_a_yes() {
    const BUSY: &str = "Transient { after_ms: Some(2000) }";
    for (status, expect) in [
        ("200 OK", "yes"),
        ("201 Created", "Permanent"),
        ("202 Accepted", "Permanent"),
        ("204 No Content", "Permanent"),
        ("301 Moved Permanently", "Permanent"),
        ("307 Temporary Redirect", "Permanent"),
        ("400 Bad Request", "Permanent"),
        ("401 Unauthorized", "Permanent"),
        ("404 Not Found", "Permanent"),
        ("413 Content Too Large", "Permanent"),
        ("408 Request Timeout", BUSY),
        ("429 Too Many Requests", BUSY),
        ("500 Internal Server Error", BUSY),
        ("503 Service Unavailable", BUSY),
    ] {
        let far = Far::saying(status, "retry-after: 2\r\nlocation: /elsewhere\r\n", "").await;
        let told = match send("127.0.0.1", &format!("{}/check", far.address)).await {
            Ok(()) => "yes".to_owned(),
            Err(error) => {
                check_discreet(&error);
                format!("{:?}", error.fault())
            }
        };
        assert_eq!(told, expect, "{status}");
        assert_eq!(far.lines(), ["-POST /check"], "nothing is sent twice, and no redirect followed: {status}");
    }
    let far = Far::saying("503 Service Unavailable", "", "").await;
    assert_eq!(send("127.0.0.1", &far.address).await.unwrap_err().fault(), Fault::TRANSIENT);
}

#[tokio::test]
async fn what_went_wrong_is_told_in_words() {
    for (status, expect) in [
        ("202 Accepted", "answered with status 202 instead of 200"),
        ("302 Found", "answered with status 302 instead of 200, and redirects are not followed"),
        ("401 Unauthorized", "answered with status 401 instead of 200: its HMAC key may be another"),
        ("502 Bad Gateway", "answered with status 502"),
    ] {
        let far = Far::saying(status, "", "").await;
        let error = send("127.0.0.1", &far.address).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the checker at 127.0.0.1:{} {expect}", far.port()));
    }
    for (url, expect) in [
        (
            "https://169.254.169.254/",
            "the checker at 169.254.169.254 is not at a public address, nor listed among the allowed hosts",
        ),
        (
            "http://opa.example:81/",
            "the checker at opa.example:81 has to be asked over https://, unless it is listed among the allowed hosts",
        ),
        ("opa.example", "the checker's URL is not an http:// or https:// one without a user name"),
    ] {
        assert_eq!(send("", url).await.unwrap_err().to_string(), expect);
    }
}

#[tokio::test]
async fn an_address_is_the_same_however_it_is_written() {
    let far = Far::saying("200 OK", "", "").await;
    let port = far.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/check");
            let error = send("10.0.0.0/8,localhost", &url).await.unwrap_err();
            assert!(matches!(error, CheckerError::NotPublic { .. }), "{url}: {error}");
            assert_eq!(error.fault(), Fault::Permanent);
        }
    }
    assert_eq!(far.lines().len(), 0);
    send("127.0.0.0/8", &format!("http://2130706433:{port}/check")).await.unwrap();
}

#[tokio::test]
async fn what_only_we_can_reach_is_not_reached() {
    for url in [
        "https://169.254.169.254/latest/meta-data/",
        "https://0251.0376.0251.0376/",
        "https://2852039166/",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:a9fe:a9fe::]/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::127.0.0.1]/",
        "https://[fe80::1]/",
        "https://0/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://192.0.2.1/",
        "https://255.255.255.255/",
        "http://127.0.0.1/",
        "http://[::1]/",
    ] {
        let error = send("", url).await.unwrap_err();
        assert!(matches!(error, CheckerError::NotPublic { .. }), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_url_that_a_checker_cannot_have_is_refused() {
    for url in [
        "",
        "opa.internal",
        "/check",
        "ftp://opa.internal/",
        "file:///etc/passwd",
        "unix:///var/run/docker.sock",
        "https://jo:hunter2@opa.internal/",
        "https://jo@opa.internal/",
        "https://",
        "https://[fe80::1%25eth0]/",
        "https://256.256.256.256/",
    ] {
        let error = send("opa.internal", url).await.unwrap_err();
        assert!(matches!(error, CheckerError::Url), "{url}: {error}");
        assert_eq!(error.fault(), Fault::Permanent);
        check_discreet(&error);
    }
}

#[tokio::test]
async fn a_name_is_judged_by_where_it_leads() {
    let far = Far::saying("200 OK", "", "").await;
    let port = far.port();
    for name in ["localhost", "LOCALHOST"] {
        let error = send("", &format!("https://{name}:{port}/check")).await.unwrap_err();
        assert!(matches!(error, CheckerError::NotPublic { .. }), "{name}: {error} {error:?}");
        assert_eq!(error.fault(), Fault::Permanent);
        let error = send("", &format!("http://{name}:{port}/check")).await.unwrap_err();
        assert!(matches!(error, CheckerError::PlainHttp { .. }), "{name}: {error}");
        send("localhost", &format!("http://{name}:{port}/check")).await.unwrap();
    }
    // The network is allowed, so a connection is tried; over plain HTTP the name itself has to be.
    let nobody = Far::nobody().await.replace("http://127.0.0.1", "https://localhost");
    let error = send("127.0.0.0/8,::1", &nobody).await.unwrap_err();
    assert!(matches!(error, CheckerError::Unreachable { .. }), "{error}");
    let error = send("127.0.0.0/8,::1", &format!("http://localhost:{port}/")).await.unwrap_err();
    assert!(matches!(error, CheckerError::PlainHttp { .. }), "{error}");
}

#[tokio::test]
async fn plain_http_is_for_listed_hosts() {
    for url in ["http://1.1.1.1/", "http://opa.example/", "http://[2600::1]/"] {
        let error = send("10.0.0.0/8,opa.internal", url).await.unwrap_err();
        assert!(matches!(error, CheckerError::PlainHttp { .. }), "{url}: {error}");
        assert_eq!(error.fault(), Fault::Permanent);
    }
}

#[tokio::test]
async fn silence_and_broken_connections_are_worth_another_attempt() {
    let short = CheckerLimits { call: Duration::from_millis(50), ..CheckerLimits::default() };
    for deed in [Deed::Hang(String::new()), Deed::Hang("HTTP/1.1 200".to_owned()), Deed::Say("HTTP".to_owned())] {
        let told = deed.clone();
        let far = Far::new(move |_| deed.clone()).await;
        let url = format!("{}/check?code=hunter2", far.address);
        let error = send_within("127.0.0.1", &url, Some(KEY), short).await.unwrap_err();
        assert_eq!(error.fault(), Fault::TRANSIENT, "{told:?}: {error}");
        check_discreet(&error);
    }
    let error = send("127.0.0.1", &format!("{}/check", Far::nobody().await)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::TRANSIENT);
    assert!(check_discreet(&error).contains("refused"), "{error:?}");
}

#[tokio::test]
async fn an_answer_is_not_read_beyond_its_status() {
    let flood = |status: &str| Deed::Flood(format!("HTTP/1.1 {status}\r\n\r\n"), 256 << 20);
    let far = Far::new(move |_| flood("200 OK")).await;
    send("127.0.0.1", &far.address).await.unwrap();
    assert!(far.sent_bytes() < 32 << 20, "{} bytes", far.sent_bytes());
    let hung = answer("200 OK", "", "").replace("length: 0", "length: 9");
    let far = Far::new(move |_| Deed::Hang(hung.clone())).await;
    send("127.0.0.1", &far.address).await.unwrap();
}
