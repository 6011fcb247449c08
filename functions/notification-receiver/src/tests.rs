use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use secrecy::SecretString;
use sluice_hcp::signature::sign;

use super::*;

const NOW: Timestamp = Timestamp(1_795_168_990_000);
const REFUSED: fn() -> StoreError =
    || StoreError::Refused { action: "to record a run", source: "no such table".into() };
const SLOW: fn() -> StoreError = || StoreError::Unavailable { action: "to record a run", source: "throttled".into() };

/// An inbox in memory that can be made to fail.
#[derive(Default)]
struct Noted {
    reports: Mutex<Vec<RunReport>>,
    fault: Option<fn() -> StoreError>,
}

impl Inbox for Noted {
    async fn record(&self, report: &RunReport, now: Timestamp) -> Result<Recorded, StoreError> {
        assert_eq!(now, NOW);
        if let Some(fault) = self.fault {
            return Err(fault());
        }
        let mut reports = self.reports.lock().unwrap();
        let known =
            reports.iter().any(|known| known.run == report.run && known.standing.rank() >= report.standing.rank());
        if !known {
            reports.push(report.clone());
        }
        Ok(if known { Recorded::Known } else { Recorded::New })
    }
}

struct World {
    receiver: Receiver<Noted>,
}

impl World {
    fn new(keys: Keys) -> Self {
        Self { receiver: Receiver::new(Noted::default(), keys, "app.terraform.io".parse().unwrap()) }
    }

    fn failing(fault: fn() -> StoreError) -> Self {
        let mut world = Self::new(keys());
        world.receiver.inbox.fault = Some(fault);
        world
    }

    /// Sends a request; tells the answer and what is noted.
    async fn send(&self, request: Request<Bytes>) -> String {
        let response = handle(&self.receiver, request, NOW).await;
        assert!(response.body().is_empty(), "an answer has a body");
        let headers = response
            .headers()
            .iter()
            .fold(String::new(), |text, (name, value)| format!("{text} {name}: {}", value.to_str().unwrap()));
        let reports = self.receiver.inbox.reports.lock().unwrap();
        let noted: Vec<String> =
            reports.iter().map(|report| format!("{} {}", report.workspace, report.standing)).collect();
        let status = response.status().as_u16();
        if noted.is_empty() {
            format!("{status}{headers}")
        } else {
            format!("{status}{headers}; noted: {}", noted.join(", "))
        }
    }

    #[track_caller]
    fn check(&self, request: Request<Bytes>, expect: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(self.send(request)), expect);
    }
}

fn token() -> SecretString {
    SecretString::from("demo-token")
}

fn keys() -> Keys {
    Keys::new([&token()])
}

fn event(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/notification");
    std::fs::read(folder.join(name).with_extension("json")).unwrap()
}

fn request(body: Vec<u8>, signature: Option<&str>) -> Request<Bytes> {
    let mut request = Request::post("/notifications");
    if let Some(signature) = signature {
        request = request.header("X-TFE-Notification-Signature", signature);
    }
    request.body(Bytes::from(body)).unwrap()
}

fn signed(body: Vec<u8>) -> Request<Bytes> {
    let signature = sign(&token(), &body);
    request(body, Some(&signature))
}

#[track_caller]
fn check_event(name: &str, expect: &str) {
    World::new(keys()).check(signed(event(name)), expect);
}

#[test]
fn the_end_of_a_run_is_accepted() {
    check_event("run-applied", "202; noted: app.terraform.io/acme/network applied");
    check_event("run-planned-and-finished", "202; noted: app.terraform.io/acme/network without changes");
    check_event("run-errored", "202; noted: app.terraform.io/acme/network errored");
    check_event("run-canceled", "202; noted: app.terraform.io/acme/network canceled");
}

#[test]
fn activity_is_noted() {
    check_event("run-created", "200; noted: app.terraform.io/acme/network pending");
    check_event("run-needs-attention", "200; noted: app.terraform.io/acme/network waiting for a person");
    check_event("granular-2026", "200; noted: app.terraform.io/acme/network waiting for a person");
}

#[test]
fn what_does_not_matter_is_answered_and_forgotten() {
    for name in ["verification", "assessment-drifted", "auto-destroy-reminder", "change-request", "unknown-trigger"] {
        check_event(name, "200");
    }
}

#[test]
fn news_that_comes_twice_is_accepted_twice_and_noted_once() {
    let world = World::new(keys());
    for _ in 0..2 {
        world.check(signed(event("run-applied")), "202; noted: app.terraform.io/acme/network applied");
    }
    world.check(signed(event("run-applying")), "200; noted: app.terraform.io/acme/network applied");
}

#[test]
fn what_is_not_signed_well_is_refused_and_not_noted() {
    let body = event("run-applied");
    let signature = sign(&token(), &body);
    let foreign = sign(&SecretString::from("another-token"), &body);
    for header in [None, Some(""), Some("00"), Some(foreign.as_str()), Some(&signature[..126])] {
        World::new(keys()).check(request(body.clone(), header), "401");
    }
    let mut changed = body.clone();
    changed[0] = b' ';
    World::new(keys()).check(request(changed, Some(&signature)), "401");
    World::new(Keys::new([])).check(request(body, Some(&signature)), "401");
}

#[test]
fn the_case_of_header_and_hex_does_not_matter() {
    let body = event("run-applied");
    let signature = sign(&token(), &body).to_uppercase();
    for name in ["x-tfe-notification-signature", "X-Tfe-Notification-Signature", "X-TFE-NOTIFICATION-SIGNATURE"] {
        let request = Request::post("/").header(name, &signature).body(Bytes::from(body.clone())).unwrap();
        World::new(keys()).check(request, "202; noted: app.terraform.io/acme/network applied");
    }
}

#[test]
fn both_tokens_are_good_while_one_replaces_the_other() {
    let next = SecretString::from("next-token");
    World::new(Keys::new([&next, &token()]))
        .check(signed(event("run-applied")), "202; noted: app.terraform.io/acme/network applied");
}

#[test]
fn unsigned_news_is_let_in_only_where_that_was_asked_for() {
    let unsigned = || request(event("run-applied"), Some(""));
    World::new(Keys::new([]).allow_unsigned()).check(unsigned(), "202; noted: app.terraform.io/acme/network applied");
    World::new(keys()).check(unsigned(), "401");
}

#[test]
fn signed_nonsense_is_malformed() {
    let no_run = String::from_utf8(event("run-applied")).unwrap().replace("run-EXAMPLE000000001", "<script>");
    for body in [Vec::new(), b"null".to_vec(), b"{".to_vec(), b"\xff\xfe".to_vec(), no_run.into_bytes()] {
        World::new(keys()).check(signed(body), "400");
    }
}

#[test]
fn too_long_a_body_is_refused_before_it_is_verified() {
    let mut body = event("run-applied");
    body.resize(BODY_BYTES_MAX, b' ');
    World::new(keys()).check(signed(body.clone()), "202; noted: app.terraform.io/acme/network applied");
    body.push(b' ');
    World::new(keys()).check(signed(body.clone()), "413");
    World::new(keys()).check(request(body, None), "413");
}

#[test]
fn only_post_is_allowed() {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let mut request = signed(event("run-applied"));
        *request.method_mut() = method.parse().unwrap();
        World::new(keys()).check(request, "405 allow: POST");
    }
}

#[test]
fn what_the_table_does_not_take_is_not_accepted() {
    World::failing(SLOW).check(signed(event("run-applied")), "503 retry-after: 1");
    World::failing(REFUSED).check(signed(event("run-applied")), "503");
    World::failing(REFUSED).check(signed(event("verification")), "200");
}

fn config(vars: &[(&str, &str)]) -> Result<Config, String> {
    let vars: BTreeMap<String, String> =
        vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::from_env(&vars).map_err(|invalid| invalid.to_string())
}

#[test]
fn a_token_is_wanted_unless_unsigned_news_is_allowed() {
    assert_eq!(
        config(&[]).unwrap_err(),
        "invalid configuration: WORKSPACE_DEPENDENCIES_TABLE is not set; NOTIFICATION_TOKEN is not set"
    );
    let table = ("WORKSPACE_DEPENDENCIES_TABLE", "sluice");
    assert_eq!(
        config(&[table, ("SLUICE_ALLOW_UNSIGNED", "yes")]).unwrap_err(),
        "invalid configuration: SLUICE_ALLOW_UNSIGNED is not true or false; NOTIFICATION_TOKEN is not set"
    );
    let open = config(&[table, ("SLUICE_ALLOW_UNSIGNED", "true")]).unwrap();
    assert_eq!((open.tokens.len(), open.allow_unsigned), (0, true));
    let shut = config(&[table, ("NOTIFICATION_TOKEN", "one,two")]).unwrap();
    assert_eq!((shut.tokens.len(), shut.allow_unsigned), (2, false));
    assert_eq!(shut.terraform.host.as_str(), "app.terraform.io");
}
