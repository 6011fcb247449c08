//! The client of HCP Terraform's API against a far side that does exactly what a test says, byte by byte.

mod list;
mod simulated;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sluice_domain::ports::{DownloadUrl, Runs, StateVersion, States, TerraformError};
use sluice_domain::{
    Classify, Fault, Findings, Marker, RunKind, RunReport, Standing, StateFacts, Timestamp, Workspace, chain,
};
use sluice_hcp::digest::Digester;
use sluice_hcp_client::{Client, Limits, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TOKEN: &str = "user-token-of-jo";
const UNBROKEN: &str = "nobody panics while holding it";
static SPACES: [u8; 64 << 10] = [b' '; 64 << 10];
const CONSUMER: &str = include_str!("../../shared/hcp/fixtures/remote-backend-consumer-v4.tfstate");
const PRODUCER: &str = include_str!("../../shared/hcp/fixtures/producer-outputs-v4.tfstate");

/// A server of one answer per connection.
struct Far {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    sent_bytes: Arc<AtomicU64>,
}

/// A request as it came.
#[derive(Debug, Clone)]
struct Seen {
    /// `GET /path?query`.
    line: String,
    /// Lower case.
    head: String,
    body: String,
}

/// What the far side does with a request, before it closes the connection.
enum Deed {
    Say(String),
    /// Says no more, and does not close either.
    Hang(String),
    /// Goes on with spaces, up to so many bytes.
    Flood(String, u64),
}

impl Far {
    async fn new(deeds: impl Fn(&Seen) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let far = Self { address, seen: Arc::default(), sent_bytes: Arc::default() };
        let (deeds, seen, sent_bytes) = (Arc::new(deeds), far.seen.clone(), far.sent_bytes.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (deeds, seen, sent_bytes) = (deeds.clone(), seen.clone(), sent_bytes.clone());
                tokio::spawn(async move {
                    let (stream, request) = read(stream).await;
                    seen.lock().expect(UNBROKEN).push(request.clone());
                    act(stream, deeds(&request), &sent_bytes).await;
                });
            }
        });
        far
    }

    fn client(&self) -> Client {
        self.client_within(Limits::default())
    }

    fn client_within(&self, limits: Limits) -> Client {
        let digester = Digester::new(&vec![7; 32].into());
        let settings = Settings::new(self.address.parse().expect("an address"), TOKEN.to_owned().into(), digester);
        let host = Some("app.terraform.io".parse().expect("a host"));
        Client::new(Settings { host, limits, ..settings }).expect("the settings are good")
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect(UNBROKEN).clone()
    }

    /// Each request's line, `+` before those with the token.
    fn lines(&self) -> Vec<String> {
        let mark = |seen: &Seen| if seen.head.contains("authorization") { '+' } else { '-' };
        self.seen().iter().map(|seen| format!("{}{}", mark(seen), seen.line)).collect()
    }
}

async fn read(mut stream: TcpStream) -> (TcpStream, Seen) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let line = head.split(" HTTP/").next().unwrap_or_default().to_owned();
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return (stream, Seen { line, head, body: body.to_owned() });
            }
        }
        assert!(stream.read_buf(&mut bytes).await.expect("it can be read") > 0, "the request breaks off");
    }
}

async fn act(mut stream: TcpStream, deed: Deed, sent_bytes: &AtomicU64) {
    match deed {
        // A client that has left, as it may, leaves nobody to tell.
        Deed::Say(answer) => drop(stream.write_all(answer.as_bytes()).await),
        Deed::Hang(answer) => {
            drop(stream.write_all(answer.as_bytes()).await);
            std::future::pending::<()>().await;
        }
        Deed::Flood(answer, bytes_max) => {
            drop(stream.write_all(answer.as_bytes()).await);
            while sent_bytes.load(Ordering::SeqCst) < bytes_max && stream.write_all(&SPACES).await.is_ok() {
                sent_bytes.fetch_add(SPACES.len() as u64, Ordering::SeqCst);
            }
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn ok(body: &str) -> Deed {
    Deed::Say(answer("200 OK", "", body))
}

fn redirect(to: &str) -> Deed {
    Deed::Say(answer("302 Found", &format!("location: {to}\r\n"), ""))
}

fn workspace() -> Workspace {
    "app.terraform.io/acme/app".parse().expect("a workspace")
}

fn version(url: &str, may_read_others: bool) -> StateVersion {
    let facts = StateFacts::new("sv-1".parse().expect("an id"), 1, None, Timestamp(0));
    StateVersion { facts, download: DownloadUrl(url.to_owned()), may_read_others }
}

async fn load(client: &Client, url: &str) -> Result<Findings, TerraformError> {
    client.read_state(&workspace(), &version(url, true)).await
}

fn report() -> RunReport {
    RunReport {
        workspace: workspace(),
        workspace_id: "ws-1".parse().expect("an id"),
        run: "run-1".parse().expect("an id"),
        created_at: Timestamp(0),
        standing: Standing::Pending,
        at: Timestamp(0),
        marker: None,
    }
}

fn run_document(message: &str) -> Value {
    json!({ "id": "run-1", "type": "runs", "attributes": {
        "created-at": "2026-11-20T10:00:00.123Z", "status": "planning", "message": message } })
}

/// An error that carries nothing it must not, whoever prints it.
#[track_caller]
fn check_discreet(error: &TerraformError) -> String {
    let text = format!("{} {error:?}", chain(error));
    for secret in [TOKEN, "http://", "hunter2", "sig="] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    text
}

#[tokio::test]
async fn a_run_is_created_with_a_message_in_a_workspace_and_nothing_else() {
    let far =
        Far::new(|_| Deed::Say(answer("201 Created", "", &json!({ "data": run_document("m") }).to_string()))).await;
    let created = far
        .client()
        .create_run(&"ws-1".parse().unwrap(), "Outputs changed \"[sluice-1]\"", RunKind::Apply)
        .await
        .unwrap();
    assert_eq!(created.run.as_str(), "run-1");
    assert_eq!(created.created_at.to_string(), "2026-11-20T10:00:00.123Z");

    let [request] = far.seen().try_into().unwrap();
    assert_eq!(request.line, "POST /api/v2/runs");
    let expect = json!({ "data": {
        "type": "runs",
        "attributes": { "message": "Outputs changed \"[sluice-1]\"" },
        "relationships": { "workspace": { "data": { "type": "workspaces", "id": "ws-1" } } },
    }});
    assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap(), expect);
    for header in [
        "authorization: bearer user-token-of-jo",
        "content-type: application/vnd.api+json",
        "accept: application/vnd.api+json",
        "user-agent: sluice/",
    ] {
        assert!(request.head.contains(header), "{header} in {}", request.head);
    }
}

#[tokio::test]
async fn a_run_that_only_plans_is_asked_for_as_such() {
    let far = Far::new(|_| Deed::Say(answer("201 Created", "", &json!({ "data": run_document("m") }).to_string())));
    let far = far.await;
    let created = far.client().create_run(&"ws-1".parse().unwrap(), "m", RunKind::PlanOnly).await.unwrap();
    assert_eq!(created.run.as_str(), "run-1");
    let [request] = far.seen().try_into().unwrap();
    let body = serde_json::from_str::<Value>(&request.body).unwrap();
    assert_eq!(body["data"]["attributes"], json!({ "message": "m", "plan-only": true }));
}

#[tokio::test]
async fn a_run_is_found_again_by_its_marker_ended_or_not() {
    let far =
        Far::new(|_| ok(&json!({ "data": [run_document("x"), run_document("of [sluice-1a]")] }).to_string())).await;
    let find = async |marker: &str, kind| {
        far.client().find_run(&"ws-1".parse().unwrap(), &Marker(marker.to_owned()), kind).await.unwrap()
    };
    for kind in [RunKind::Apply, RunKind::PlanOnly] {
        assert_eq!(find("sluice-1a", kind).await.unwrap().run.as_str(), "run-1");
        assert_eq!(find("sluice-2b", kind).await, None);
    }
    let line = "+GET /api/v2/workspaces/ws-1/runs?search%5Bbasic%5D=sluice-1a&page%5Bsize%5D=20";
    assert_eq!(far.lines()[0], line);
    assert_eq!(far.lines()[2], format!("{line}&filter%5Boperation%5D=plan_only"), "which lists leave out otherwise");
}

#[tokio::test]
async fn what_is_gone_or_not_to_be_seen_is_nothing_where_that_is_an_answer() {
    let far = Far::new(|_| Deed::Say(answer("404 Not Found", "", r#"{"errors":[{"status":"404"}]}"#))).await;
    let (client, id) = (far.client(), "ws-1".parse().unwrap());
    assert_eq!(client.current_state(&id).await.unwrap(), None);
    assert_eq!(client.workspace(&id).await.unwrap(), None);
    assert_eq!(client.run(&report()).await.unwrap(), None);
    assert_eq!(client.workspace_named(&workspace()).await.unwrap(), None);
    assert!(matches!(client.create_run(&id, "m", RunKind::Apply).await, Err(TerraformError::NotFound { .. })));
    assert!(matches!(
        client.find_run(&id, &Marker("m".to_owned()), RunKind::Apply).await,
        Err(TerraformError::NotFound { .. })
    ));
    assert!(matches!(load(&client, "/state").await, Err(TerraformError::NotFound { .. })));

    assert_eq!(far.lines()[3], "+GET /api/v2/organizations/acme/workspaces/app");
    let elsewhere = "tfe.example/acme/app".parse().unwrap();
    assert_eq!(client.workspace_named(&elsewhere).await.unwrap(), None);
    assert_eq!(far.seen().len(), 7, "nobody is asked about another instance's workspaces");
}

#[tokio::test]
async fn a_state_says_what_it_reads_and_offers() {
    let far = Far::new(|seen| match seen.line.as_str() {
        "GET /consumer" => ok(CONSUMER),
        _ => ok(PRODUCER),
    });
    let far = far.await;
    let consumer = load(&far.client(), "/consumer").await.unwrap();
    assert!(!consumer.lineage.is_empty());
    let told = consumer.producers.unwrap().into_iter().map(|(producer, read)| (producer.to_string(), read));
    let told: Vec<(String, usize)> = told.map(|(producer, read)| (producer, read.addresses.len())).collect();
    let expect = [
        ("app.terraform.io/acme/app-dev", 1),
        ("app.terraform.io/acme/app-prod", 1),
        ("app.terraform.io/acme/network", 4),
        ("tfe.example.com/acme/dns", 1),
    ];
    assert_eq!(told, expect.map(|(producer, addresses)| (producer.to_owned(), addresses)));

    let producer = load(&far.client(), "/producer").await.unwrap();
    assert!(!producer.outputs.is_empty() && !producer.empty);

    let outputs = far.client().read_state(&workspace(), &version("/producer", false)).await.unwrap();
    assert_eq!(outputs.outputs, producer.outputs, "outputs alone are the same outputs");
    assert_eq!(outputs.producers, None);
}

#[tokio::test]
async fn the_token_stays_on_the_apis_host() {
    let archive = Far::new(|_| ok(PRODUCER)).await;
    let object = format!("{}/v1/object/1?sig=hunter2", archive.address);
    let signed = object.clone();
    let far = Far::new(move |seen| match seen.line.as_str() {
        "GET /here" => ok(PRODUCER),
        "GET /moved" => redirect("here"),
        _ => redirect(&signed),
    })
    .await;
    let client = far.client();
    load(&client, &object).await.unwrap();
    load(&client, "/away").await.unwrap();
    load(&client, &format!("{}/away", far.address)).await.unwrap();
    assert_eq!(archive.lines(), ["-GET /v1/object/1?sig=hunter2"; 3]);
    load(&client, "/moved").await.unwrap();
    assert_eq!(far.lines(), ["+GET /away", "+GET /away", "+GET /moved", "+GET /here"]);
}

#[tokio::test]
async fn another_host_cannot_have_the_token_sent_by_pointing_back() {
    let back = Arc::new(Mutex::new(String::new()));
    let to = back.clone();
    let archive = Far::new(move |_| redirect(&to.lock().unwrap())).await;
    let away = archive.address.clone();
    let far = Far::new(move |seen| if seen.line == "GET /away" { redirect(&away) } else { ok(PRODUCER) }).await;
    *back.lock().unwrap() = format!("{}/api/v2/runs", far.address);
    load(&far.client(), "/away").await.unwrap();
    assert_eq!(far.lines(), ["+GET /away", "-GET /api/v2/runs"]);
}

#[tokio::test]
async fn redirects_end() {
    let far = Far::new(|seen| {
        let left: u32 = seen.line.trim_start_matches("GET /").parse().unwrap();
        if left == 0 { ok(PRODUCER) } else { redirect(&format!("/{}", left - 1)) }
    })
    .await;
    assert!(load(&far.client(), "/5").await.is_ok());
    let error = load(&far.client(), "/6").await.unwrap_err();
    assert!(check_discreet(&error).contains("more than 5 redirects"));
    assert_eq!(error.fault(), Fault::Permanent);

    let lost = Far::new(|_| Deed::Say(answer("302 Found", "", ""))).await;
    assert!(matches!(load(&lost.client(), "/").await, Err(TerraformError::BadAnswer { .. })));
    let scheme = Far::new(|_| redirect("file:///etc/passwd")).await;
    assert!(matches!(load(&scheme.client(), "/").await, Err(TerraformError::BadAnswer { .. })));
    assert!(matches!(scheme.client().workspace(&"ws-1".parse().unwrap()).await, Err(TerraformError::Refused { .. })));
}

#[tokio::test]
async fn a_state_that_breaks_off_is_loaded_again_and_one_that_is_none_is_not() {
    let half = CONSUMER[..CONSUMER.len() / 2].replace("\"outputs\"", "\"hunter2\"");
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n", half.len());
    for (head, body, fault) in [
        (format!("content-length: {}\r\n\r\n", CONSUMER.len()), half.as_str(), Fault::TRANSIENT),
        (chunked.clone(), "", Fault::TRANSIENT),
        ("\r\n".to_owned(), half.as_str(), Fault::TRANSIENT),
        ("\r\n".to_owned(), "", Fault::TRANSIENT),
        (format!("content-length: {}\r\n\r\n", half.len()), half.as_str(), Fault::Permanent),
        (format!("{chunked}0\r\n\r\n"), "", Fault::Permanent),
        ("content-length: 0\r\n\r\n".to_owned(), "", Fault::Permanent),
        ("\r\n".to_owned(), "<html>hunter2</html>", Fault::Permanent),
    ] {
        let said = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{head}{body}");
        let far = Far::new(move |_| Deed::Say(said.clone())).await;
        let error = load(&far.client(), "/state?sig=1").await.unwrap_err();
        assert_eq!(error.fault(), fault, "{head:?}: {error}");
        check_discreet(&error);
    }
}

#[tokio::test]
async fn a_state_read_for_its_outputs_is_not_loaded_further() {
    const FLOOD_BYTES: u64 = 256 << 20;
    let (start, _) = PRODUCER.split_once("\"resources\"").unwrap();
    let start = format!("HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n{start}\"resources\": [");
    let far = Far::new(move |_| Deed::Flood(start.clone(), FLOOD_BYTES)).await;
    let findings = far.client().read_state(&workspace(), &version("/state", false)).await.unwrap();
    assert!(!findings.outputs.is_empty() && !findings.empty);
    // What the kernel holds in its buffers is all that was sent for nothing.
    let sent_bytes = far.sent_bytes.load(Ordering::SeqCst);
    assert!(sent_bytes < FLOOD_BYTES / 8, "{sent_bytes} bytes");
}

#[tokio::test]
async fn there_is_a_limit_to_every_body() {
    let far = Far::new(|_| Deed::Flood("HTTP/1.1 200 OK\r\n\r\n{".to_owned(), 64 << 20)).await;
    let client = far.client_within(Limits { state_bytes: 1 << 20, ..Limits::default() });
    let error = load(&client, "/state").await.unwrap_err();
    assert!(error.to_string().ends_with("it is larger than 1048576 bytes"), "{error}");
    let error = client.workspace(&"ws-1".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().ends_with("it is larger than 4194304 bytes"), "{error}");

    let far = Far::new(|_| Deed::Flood("HTTP/1.1 400 Bad Request\r\n\r\n{".to_owned(), 64 << 20)).await;
    let refused = far.client().workspace(&"ws-1".parse().unwrap()).await;
    assert!(matches!(refused, Err(TerraformError::Refused { status: 400, .. })));
}

#[tokio::test]
async fn a_rate_limit_is_told_and_nothing_is_tried_twice() {
    let limited = answer("429 Too Many Requests", "x-ratelimit-reset: 0.25\r\n", r#"{"errors":[{"status":429}]}"#);
    let far = Far::new(move |_| Deed::Say(limited.clone())).await;
    let error = far.client().create_run(&"ws-1".parse().unwrap(), "m", RunKind::Apply).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Throttled { after_ms: 250 });
    assert!(!error.may_have_had_effect());
    assert_eq!(load(&far.client(), "/state").await.unwrap_err().fault(), error.fault());
    assert_eq!(far.seen().len(), 2);
}

#[tokio::test]
async fn silence_ends_in_time_and_leaves_open_whether_it_was_done() {
    let short = Duration::from_millis(50);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{";
    for said in ["", head] {
        let far = Far::new(move |_| Deed::Hang(said.to_owned())).await;
        let client = far.client_within(Limits { call: short, ..Limits::default() });
        let error = client.create_run(&"ws-1".parse().unwrap(), "m", RunKind::Apply).await.unwrap_err();
        assert!(check_discreet(&error).contains("timed out") && error.may_have_had_effect());

        let client = far.client_within(Limits { idle: short, ..Limits::default() });
        let error = load(&client, "/state?sig=1").await.unwrap_err();
        assert!(check_discreet(&error).contains("timed out"), "{}", chain(&error));
        assert_eq!(error.fault(), Fault::TRANSIENT);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_leaves_open_whether_it_was_done() {
    let id = "ws-1".parse().unwrap();
    for (said, fault) in [
        (String::new(), Fault::TRANSIENT),
        ("HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{".to_owned(), Fault::TRANSIENT),
        (answer("502 Bad Gateway", "", "<html>"), Fault::TRANSIENT),
        (answer("200 OK", "", "<html>hunter2</html>"), Fault::Permanent),
        (answer("201 Created", "", r#"{"data":{"id":"hunter2","attributes":"hunter2"}}"#), Fault::Permanent),
        (answer("204 No Content", "", ""), Fault::Permanent),
    ] {
        let far = Far::new(move |_| Deed::Say(said.clone())).await;
        let error = far.client().create_run(&id, "m", RunKind::Apply).await.unwrap_err();
        assert_eq!(error.fault(), fault, "{error}");
        assert!(error.may_have_had_effect(), "{error}");
        check_discreet(&error);
        assert_eq!(far.seen().len(), 1, "creating a run is never tried twice");
    }
}

#[tokio::test]
async fn nobody_listening_is_worth_another_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nobody = Far { address, seen: Arc::default(), sent_bytes: Arc::default() };
    let error = nobody.client().workspace(&"ws-1".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.fault(), Fault::TRANSIENT);
    assert!(check_discreet(&error).contains("refused"), "{}", chain(&error));
}
