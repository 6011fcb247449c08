use std::fmt::Write as _;
use std::path::Path;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::signature::{Keys, verify};
use crate::wire::{Forwarding, forwarded};

const TOKEN: &str = "SECRET-EXAMPLE";

fn parse_at(origin: &str, body: &[u8]) -> Result<Asked, MalformedRequest> {
    let (task, host) = ("gate".parse().unwrap(), "app.terraform.io".parse().unwrap());
    let door =
        Door { task: &task, host: &host, origin: &origin.parse().unwrap(), received_at: Timestamp(1_795_168_900_000) };
    Asked::parse(verify(body, None, &Keys::new([]).allow_unsigned()).unwrap(), &door)
}

fn parse(body: &[u8]) -> Result<Asked, MalformedRequest> {
    parse_at("https://app.terraform.io", body)
}

fn samples() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join("run-task");
    let mut samples: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    samples.sort();
    samples
}

fn sample(name: &str) -> Vec<u8> {
    samples().into_iter().find(|(found, _)| found == name).unwrap().1
}

/// The request of a sample with `members` set.
fn edited(name: &str, members: &[(&str, Value)]) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(&sample(name)).unwrap();
    for (name, value) in members {
        body[name] = value.clone();
    }
    serde_json::to_vec(&body).unwrap()
}

fn asked(body: &[u8]) -> TaskRequest {
    match parse(body).unwrap() {
        Asked::Task { request, token } => {
            assert_eq!(token.expose_secret(), TOKEN);
            *request
        }
        Asked::Verification => panic!("a verification"),
    }
}

fn told(asked: &Result<Asked, MalformedRequest>) -> String {
    match asked {
        Ok(Asked::Verification) => "verification".to_owned(),
        Ok(Asked::Task { request, .. }) => format!(
            "{} of {} at {}: {} in {} ({}), created {}; plan {}, configuration {}, outcomes {}, speculative {}",
            request.result,
            request.task,
            request.stage,
            request.run,
            request.workspace,
            request.workspace_id,
            request.run_created_at,
            request.plan.is_some(),
            request.configuration.is_some(),
            request.outcomes,
            request.speculative,
        ),
        Err(malformed) => sluice_domain::chain(malformed),
    }
}

#[test]
fn every_sample_asks_what_it_should() {
    let mut text = String::new();
    for (name, body) in samples() {
        writeln!(text, "{name}: {}", told(&parse(&body))).unwrap();
    }
    expect![[r"
        misspelled-capabilities: taskrs-EXAMPLE0000001@gate of gate at post_plan: run-EXAMPLE000000001 in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z; plan true, configuration true, outcomes true, speculative false
        no-capabilities: taskrs-EXAMPLE0000001@gate of gate at post_plan: run-EXAMPLE000000001 in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z; plan true, configuration true, outcomes false, speculative false
        post-apply: taskrs-EXAMPLE0000001@gate of gate at post_apply: run-EXAMPLE000000001 in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z; plan true, configuration true, outcomes true, speculative false
        post-plan: taskrs-EXAMPLE0000001@gate of gate at post_plan: run-EXAMPLE000000001 in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z; plan true, configuration true, outcomes true, speculative false
        pre-apply: taskrs-EXAMPLE0000001@gate of gate at pre_apply: run-EXAMPLE000000001 in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z; plan true, configuration true, outcomes true, speculative false
        pre-plan: taskrs-EXAMPLE0000001@gate of gate at pre_plan: run-EXAMPLE000000001 in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z; plan false, configuration true, outcomes true, speculative true
        verification: verification
    "]].assert_eq(&text);
}

#[track_caller]
fn check(members: &[(&str, Value)], expect: &Expect) {
    expect.assert_eq(&told(&parse(&edited("post-plan", members))));
}

#[test]
fn what_is_wrong_is_named() {
    for (members, expect) in [
        (("task_result_id", json!(null)), expect!["task_result_id is missing from a run task request"]),
        (
            ("task_result_id", json!("tr-1")),
            expect![[r#"task_result_id is not valid: "tr-1" is not a task result id (taskrs-…)"#]],
        ),
        (
            ("task_result_id", json!(format!("taskrs-{}", "x".repeat(1000)))),
            expect![[
                r#"task_result_id is not valid: "taskrs-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" is not a task result id (taskrs-…)"#
            ]],
        ),
        (("access_token", json!(null)), expect!["access_token is missing from a run task request"]),
        (("access_token", json!("")), expect!["access_token is missing from a run task request"]),
        (("access_token", json!({"a": TOKEN})), expect!["access_token is missing from a run task request"]),
        (("access_token", json!("SECRET\r\nhost: evil.example")), expect!["access_token is not valid"]),
        (("stage", json!("mid_plan")), expect!["stage is none of pre_plan, post_plan, pre_apply and post_apply"]),
        (("stage", json!("test")), expect!["stage is none of pre_plan, post_plan, pre_apply and post_apply"]),
        (("run_id", json!("1")), expect![[r#"run_id is not valid: "1" is not a run id (run-…)"#]]),
        (
            ("run_created_at", json!("yesterday")),
            expect![
                "taskrs-EXAMPLE0000001@gate of gate at post_plan: run-EXAMPLE000000001 in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:01:40.000Z; plan true, configuration true, outcomes true, speculative false"
            ],
        ),
        (("workspace_id", json!(7)), expect!["workspace_id is missing from a run task request"]),
        (
            ("workspace_name", json!("a/b")),
            expect![[r#"workspace_name is not valid: "a/b" is not a workspace name (letters, digits, - and _)"#]],
        ),
        (("organization_name", json!("")), expect!["organization_name is missing from a run task request"]),
        (
            ("task_result_callback_url", json!("")),
            expect!["task_result_callback_url is missing from a run task request"],
        ),
        (
            ("task_result_callback_url", json!("/callback?url_code=SECRET")),
            expect!["task_result_callback_url is not a plain http:// or https:// URL"],
        ),
        (
            ("task_result_callback_url", json!("https://evil.example/callback?url_code=SECRET")),
            expect!["task_result_callback_url leads to https://evil.example, which is not the configured TFE_ADDRESS"],
        ),
        (
            ("plan_json_api_url", json!("https://app.terraform.io:8443/plan")),
            expect![
                "plan_json_api_url leads to https://app.terraform.io:8443, which is not the configured TFE_ADDRESS"
            ],
        ),
        (
            ("configuration_version_download_url", json!("http://app.terraform.io/c")),
            expect![
                "configuration_version_download_url leads to http://app.terraform.io, which is not the configured TFE_ADDRESS"
            ],
        ),
    ] {
        check(&[members], &expect);
    }
}

#[test]
fn what_can_be_done_without_may_be_missing_or_odd() {
    let plain = told(&parse(&sample("post-plan")));
    for (members, expect) in [
        (vec![("payload_version", json!(null)), ("vcs_branch", json!([1])), ("new", json!({"a": 1}))], plain.clone()),
        (vec![("is_speculative", json!("yes"))], plain.clone()),
        (vec![("is_speculative", json!(true))], plain.replace("speculative false", "speculative true")),
        (vec![("plan_json_api_url", json!(null))], plain.replace("plan true", "plan false")),
        (vec![("plan_json_api_url", json!(""))], plain.replace("plan true", "plan false")),
        (
            vec![("configuration_version_download_url", json!(null))],
            plain.replace("configuration true", "configuration false"),
        ),
        (vec![("capabilities", json!(null))], plain.replace("outcomes true", "outcomes false")),
        (vec![("capabilities", json!({"outcomes": false}))], plain.replace("outcomes true", "outcomes false")),
        (vec![("capabilities", json!({"outcomes": "yes"}))], plain.replace("outcomes true", "outcomes false")),
        (vec![("capabilities", json!([true]))], plain.replace("outcomes true", "outcomes false")),
        (vec![("capabilities", json!({"outcomes": true, "more": 1}))], plain.clone()),
        (vec![("capabilities", json!(null)), ("capabilitites", json!({"outcomes": true}))], plain.clone()),
    ] {
        assert_eq!(told(&parse(&edited("post-plan", &members))), expect, "{members:?}");
    }
}

#[test]
fn a_body_that_is_no_request_says_so() {
    for (body, expect) in [
        (&b""[..], expect!["the body is not a JSON object"]),
        (b"[]", expect!["the body is not a JSON object"]),
        (b"{", expect!["the body is not the JSON of a run task request, at line 1, column 1"]),
        (b"{}{}", expect!["the body is not the JSON of a run task request, at line 1, column 3"]),
        (b"{}", expect!["access_token is missing from a run task request"]),
        (br#"{"access_token":"test-token"}"#, expect!["verification"]),
        (
            b"{\"access_token\":\"\xff\"}",
            expect!["the body is not the JSON of a run task request, at line 1, column 18"],
        ),
    ] {
        expect.assert_eq(&told(&parse(body)));
    }
}

#[test]
fn the_configured_address_decides_whose_urls_are_taken() {
    let body = sample("post-plan");
    assert!(matches!(parse_at("HTTPS://App.Terraform.io:443/", &body), Ok(Asked::Task { .. })));
    for origin in ["https://tfe.example", "http://app.terraform.io", "https://app.terraform.io:444"] {
        let refused = parse_at(origin, &body);
        assert!(matches!(refused, Err(MalformedRequest::ForeignCallback { .. })), "{origin}: {}", told(&refused));
    }
}

#[test]
fn the_callback_is_kept_as_it_was_written() {
    let request = asked(&sample("post-plan"));
    assert!(request.callback.0.ends_with("/callback?url_code=SECRET-EXAMPLE-CODE"));
    let odd = "HTTPS://App.Terraform.io:443/a/../b?url_code=%7e";
    let request = asked(&edited("post-plan", &[("task_result_callback_url", json!(odd))]));
    assert_eq!(request.callback.0, odd);
}

#[test]
fn the_original_is_all_that_was_sent_but_the_token_and_the_addresses() {
    for (name, body) in samples().into_iter().filter(|(name, _)| name != "verification") {
        let request = asked(&body);
        let original: Value = serde_json::from_str(&request.original.0).unwrap();
        let mut expect: Value = serde_json::from_slice(&body).unwrap();
        let members = expect.as_object_mut().unwrap();
        members.remove("access_token");
        for address in ["task_result_callback_url", "plan_json_api_url", "configuration_version_download_url"] {
            members.entry(address).and_modify(|url| *url = Value::Null);
        }
        assert_eq!(original, expect, "{name}");
        assert!(!request.original.0.contains(&format!("\"{TOKEN}\"")), "{name}");
    }
}

#[test]
fn the_token_is_gone_however_its_name_is_spelled_and_how_often() {
    let body = String::from_utf8(sample("pre-plan")).unwrap();
    for name in [r#""access_token""#, r#""access\u005ftoken""#, r#""\u0061ccess_token" "#] {
        let body = body.replacen('{', &format!("{{{name}: \"{TOKEN}\","), 1);
        let request = asked(body.as_bytes());
        assert!(!request.original.0.contains(TOKEN), "{}", request.original.0);
    }
}

#[test]
fn a_request_prints_neither_its_token_nor_its_urls() {
    let printed = format!("{:?}", parse(&sample("post-plan")).unwrap());
    for secret in [TOKEN, "https://", "url_code"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[test]
fn an_error_tells_nothing_of_tokens_and_urls() {
    let long = format!("https://{}evil.example/?url_code={TOKEN}", "a".repeat(3000));
    for members in [
        ("task_result_callback_url", json!(format!("https://{TOKEN}@app.terraform.io/{TOKEN}"))),
        ("task_result_callback_url", json!(long)),
        ("access_token", json!(format!("{TOKEN}\n"))),
        ("stage", json!(TOKEN)),
    ] {
        let error = parse(&edited("post-plan", &[members])).unwrap_err();
        let text = format!("{} {error:?}", sluice_domain::chain(&error));
        assert!(!text.contains(TOKEN) && text.len() < 400, "{text}");
    }
}

fn forward(body: &[u8], plan_url: Option<&str>, configuration_url: Option<&str>) -> String {
    let ours = Forwarding {
        result_id: "taskrs-ours",
        callback_url: "https://sluice.example/task-results/1/callback",
        plan_url,
        configuration_url,
        token: &"OUR-TOKEN".to_owned().into(),
    };
    String::from_utf8(forwarded(&asked(body), &ours)).unwrap()
}

const PLAN: &str = "https://sluice.example/plan";
const CONFIGURATION: &str = "https://sluice.example/configuration";

#[test]
fn another_checker_is_sent_what_hcp_terraform_sent_with_our_addresses() {
    for (name, body) in samples().into_iter().filter(|(name, _)| name != "verification") {
        let sent = forward(&body, Some(PLAN), Some(CONFIGURATION));
        assert!(!sent.contains(TOKEN) && !sent.contains("/api/v2/"), "{name}: {sent}");
        let mut expect: Value = serde_json::from_slice(&body).unwrap();
        expect["access_token"] = json!("OUR-TOKEN");
        expect["task_result_id"] = json!("taskrs-ours");
        expect["task_result_callback_url"] = json!("https://sluice.example/task-results/1/callback");
        expect["configuration_version_download_url"] = json!(CONFIGURATION);
        if expect.get("plan_json_api_url").is_some() {
            expect["plan_json_api_url"] = json!(PLAN);
        }
        expect["capabilities"] = json!({"outcomes": true});
        assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), expect, "{name}");
    }
}

#[test]
fn what_is_sent_on_stands_in_the_order_in_which_it_came() {
    for (name, body) in samples().into_iter().filter(|(name, _)| !matches!(&**name, "verification" | "no-capabilities"))
    {
        let body = String::from_utf8(body).unwrap();
        let sent = forward(body.as_bytes(), Some(PLAN), Some(CONFIGURATION));
        let order = |text: &str| -> Vec<String> {
            let Value::Object(members) = serde_json::from_str(text).unwrap() else { panic!("an object") };
            let mut names: Vec<String> = members.into_iter().map(|(name, _)| name).collect();
            names.sort_by_key(|name| text.find(&format!("\"{name}\"")));
            names
        };
        let mut sent = order(&sent);
        if name.starts_with("misspelled") {
            sent.retain(|name| name != "capabilities");
        }
        assert_eq!(sent, order(&body), "{name}");
    }
}

#[test]
fn a_plan_is_offered_only_where_there_is_one_and_only_as_ours() {
    let sent = |body: &[u8], plan, configuration| -> Value {
        serde_json::from_str(&forward(body, plan, configuration)).unwrap()
    };
    let body = sent(&sample("post-plan"), None, None);
    assert_eq!(body["plan_json_api_url"], json!(null));
    assert_eq!(body["configuration_version_download_url"], json!(null));
    let body = sent(&sample("pre-plan"), Some(PLAN), Some(CONFIGURATION));
    assert_eq!(body.get("plan_json_api_url"), None);
    let without = [("plan_json_api_url", json!(null)), ("configuration_version_download_url", json!(null))];
    let body = sent(&edited("post-plan", &without), Some(PLAN), Some(CONFIGURATION));
    assert_eq!(body["plan_json_api_url"], json!(null));
    assert_eq!(body["configuration_version_download_url"], json!(null));
}

#[test]
fn numbers_and_further_capabilities_pass_as_they_are() {
    let body = String::from_utf8(sample("post-plan")).unwrap();
    let body = body.replacen('{', r#"{"exact": 12345678901234567890.10, "#, 1);
    let body = body.replace(r#""outcomes": true"#, r#""outcomes": false, "more": [1]"#);
    let sent = forward(body.as_bytes(), None, None);
    assert!(sent.contains(r#""exact":12345678901234567890.10,"#), "{sent}");
    let sent: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(sent["capabilities"], json!({"outcomes": true, "more": [1]}));
}

#[test]
fn a_cut_or_flipped_sample_never_panics() {
    let body = sample("post-plan");
    for end in 0..body.len() {
        let _ = parse(&body[..end]);
    }
    for at in 0..body.len() * 8 {
        let mut flipped = body.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        let _ = parse(&flipped);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_asked_or_malformed(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body);
    }
}
