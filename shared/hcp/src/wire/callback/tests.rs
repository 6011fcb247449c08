use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn report() -> Report {
    Report {
        status: ReportStatus::Running,
        message: "checking 3 resources".to_owned(),
        url: Some("https://ci.example/1".to_owned()),
        outcomes: vec![
            Outcome {
                id: "CHK-1".to_owned(),
                description: "Bucket is public".to_owned(),
                tags: vec![
                    Tag::new("Status", "Denied", Level::Error),
                    Tag::new("Cost Centre", "7", Level::None),
                    Tag::new("Status", "New", Level::Info),
                ],
                body: Some("# Fix\n\nmake it private".to_owned()),
                url: Some("https://ci.example/1/CHK-1".to_owned()),
            },
            Outcome { id: "CHK-2".to_owned(), description: "Fine".to_owned(), ..Outcome::default() },
        ],
    }
}

#[test]
fn hcp_terraform_is_told_in_its_own_form() {
    let expect = r##"{"data":{"type":"task-results","attributes":{"status":"running","message":"checking 3 resources","url":"https://ci.example/1"},"relationships":{"outcomes":{"data":[{"type":"task-result-outcomes","attributes":{"outcome-id":"CHK-1","description":"Bucket is public","tags":{"Status":[{"label":"Denied","level":"error"},{"label":"New","level":"info"}],"Cost Centre":[{"label":"7","level":"none"}]},"body":"# Fix\n\nmake it private","url":"https://ci.example/1/CHK-1"}},{"type":"task-result-outcomes","attributes":{"outcome-id":"CHK-2","description":"Fine"}}]}}}}"##;
    assert_eq!(String::from_utf8(callback(&report(), true)).unwrap(), expect);
}

#[test]
fn who_takes_no_outcomes_is_told_the_rest() {
    let bare = r#"{"data":{"type":"task-results","attributes":{"status":"passed","message":"fine"}}}"#;
    let report = Report { status: ReportStatus::Passed, message: "fine".to_owned(), url: None, ..report() };
    assert_eq!(String::from_utf8(callback(&report, false)).unwrap(), bare);
    let report = Report { outcomes: Vec::new(), ..report };
    assert_eq!(String::from_utf8(callback(&report, true)).unwrap(), bare);
}

fn said(body: &str) -> String {
    let report = match parse_callback(body.as_bytes()) {
        Ok(report) => report,
        Err(malformed) => return malformed.to_string(),
    };
    let mut text = format!("{}: {} {}", report.status, report.message, report.url.as_deref().unwrap_or("-"));
    for outcome in report.outcomes {
        let tags: Vec<String> =
            outcome.tags.iter().map(|tag| format!("{}={} ({})", tag.heading, tag.label, tag.level.as_str())).collect();
        let (body, url) = (outcome.body.as_deref().unwrap_or("-"), outcome.url.as_deref().unwrap_or("-"));
        let Outcome { id, description, .. } = &outcome;
        write!(text, "; {id} | {description} | {} | {body} | {url}", tags.join(", ")).unwrap();
    }
    text
}

#[track_caller]
fn check(body: &str, expect: &Expect) {
    expect.assert_eq(&said(body));
}

/// A callback of these attributes and relationships.
fn document(attributes: &Value, relationships: &Value) -> String {
    json!({ "data": { "type": "task-results", "attributes": attributes, "relationships": relationships } }).to_string()
}

#[test]
fn outcomes_are_found_wherever_handlers_put_them() {
    let attributes = json!({ "outcome-id": "A", "description": "d", "tags": { "Status": [{ "label": "Denied", "level": "error" }] },
        "body": "b", "url": "https://ci.example/A" });
    let wrapped = json!([{ "type": "task-result-outcomes", "attributes": attributes }]);
    let status = json!({ "status": "failed", "message": "m" });
    let within = |outcomes: &Value| json!({ "status": "failed", "message": "m", "outcomes": outcomes });
    let expect = "failed: m -; A | d | Status=Denied (error) | b | https://ci.example/A";
    for body in [
        document(&status, &json!({ "outcomes": { "data": wrapped } })),
        document(&status, &json!({ "task-result-outcomes": { "data": wrapped } })),
        document(&within(&wrapped), &json!(null)),
        document(&within(&json!([attributes])), &json!({ "outcomes": { "data": null } })),
        document(&within(&json!({ "data": wrapped })), &json!({})),
    ] {
        assert_eq!(said(&body), expect, "{body}");
    }
}

#[test]
fn what_handlers_leave_out_or_get_wrong_is_borne() {
    check(r#"{"data":{"attributes":{"status":"passed"}}}"#, &expect!["passed: passed -"]);
    check(
        r#"{"data":{"attributes":{"status":"passed","message":7,"url":"javascript:alert(1)","outcomes":"none"}}}"#,
        &expect!["passed: passed -"],
    );
    let outcomes = json!([
        { "outcome_id": "snake", "description": null, "tags": null },
        { "description": "nameless", "tags": { "Severity": { "label": "High" }, "Owner": ["jo", 7, { "level": "error" }] } },
        { "outcome-id": "", "tags": { "Status": [{ "label": "Odd", "level": "fatal" }, { "label": "Fine", "level": "info" }] } },
        "a text", 7, null,
        { "outcome-id": "loud", "description": "w", "tags": { "Status": [{ "label": "Hm", "level": "warning" }] }, "body": "", "url": "ftp://x" },
    ]);
    check(
        &document(&json!({ "status": "running", "message": "  ", "outcomes": outcomes }), &json!([])),
        &expect![
            "running: running -; snake | snake |  | - | -; 2 | nameless | Owner=jo (none), Severity=High (none) | - | -; 3 | 3 | Status=Odd (none), Status=Fine (info) | - | -; loud | w | Status=Hm (warning) | - | -"
        ],
    );
}

#[test]
fn the_status_is_one_of_three() {
    for (body, expect) in [
        ("", expect!["the callback is not JSON, at line 1, column 0"]),
        ("{\n]", expect!["the callback is not JSON, at line 2, column 1"]),
        ("null", expect!["data.attributes.status is missing from the callback"]),
        (r#"{"data":[]}"#, expect!["data.attributes.status is missing from the callback"]),
        (r#"{"status":"passed"}"#, expect!["data.attributes.status is missing from the callback"]),
        (r#"{"data":{"attributes":{"status":true}}}"#, expect!["data.attributes.status is missing from the callback"]),
        (
            r#"{"data":{"attributes":{"status":"errored"}}}"#,
            expect!["data.attributes.status is none of running, passed and failed"],
        ),
        (
            r#"{"data":{"attributes":{"status":"Passed"}}}"#,
            expect!["data.attributes.status is none of running, passed and failed"],
        ),
        (
            r#"{"data":{"attributes":{"status":"pending"}}}"#,
            expect!["data.attributes.status is none of running, passed and failed"],
        ),
    ] {
        check(body, &expect);
    }
}

#[test]
fn a_flood_of_outcomes_is_cut_to_what_is_shown() {
    let outcomes: Vec<Value> = (0..5_000).map(|at| json!({ "outcome-id": format!("o{at}") })).collect();
    let body = document(&json!({ "status": "failed", "outcomes": outcomes }), &json!(null));
    let report = parse_callback(body.as_bytes()).unwrap();
    assert_eq!(report.outcomes.len(), 250);
    assert!(report.outcomes[249].description.starts_with("4751 more outcomes"), "{}", report.outcomes[249].description);
}

#[test]
fn what_we_say_is_what_is_heard() {
    // Headings come back in the order of their letters.
    let mut expect = report();
    expect.outcomes[0].tags.sort_by(|a, b| a.heading.cmp(&b.heading));
    assert_eq!(parse_callback(&callback(&report(), true)).unwrap(), expect);
}

proptest! {
    #[test]
    fn any_bytes_are_a_report_or_malformed(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_callback(&body);
    }
}
