//! context-api, by its program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sluice_domain::RunId;
use sluice_domain::context::CONTEXT_BYTES_MAX;
use sluice_domain::ports::{ContextKey, ContextStore};

use super::emulator::{Emulated, free_address};
use super::gate::{Asked, task};
use super::runtime::RuntimeApi;
use super::{Vars, aws, events, vars};
use crate::context::scene::token;
use crate::world::GATE_KEY;

const FUNCTION: &str = "context-api";
const OPERATOR: &str = "operator-token-of-the-tests";

fn settings(endpoint: &str) -> Vars {
    let more = vars(&[
        ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"),
        ("SLUICE_GATE_KEY", GATE_KEY),
        ("SLUICE_OPERATOR_TOKEN", &format!("another, {OPERATOR}")),
    ]);
    aws(endpoint).into_iter().chain(more).collect()
}

/// A run whose task was asked by way of API Gateway, and the token of its check.
async fn asked() -> (Asked, RunId, String) {
    let asked = Asked::of(task(&json!([{ "name": "upstream", "kind": "upstream" }]))).await;
    let run: RunId = asked.view().run.parse().unwrap();
    let token = token(GATE_KEY, &run, &asked.result, "upstream");
    (asked, run, token)
}

/// What each kind of front door makes of a request, by name: the receiver of notifications has events of each.
fn doors(method: &str, run: &str, token: &str, headers: &[(&str, &str)], body: &str) -> Vec<(String, Value)> {
    let made = |event: Value| {
        let path = format!("/context/v1/{run}");
        let mut event: Value = serde_json::from_str(&event.to_string().replace("/notifications", &path)).unwrap();
        let authorization = format!("Bearer {token}");
        for (name, value) in headers.iter().chain(&[("authorization", authorization.as_str())]) {
            event["headers"][name] = json!(value);
            if event["multiValueHeaders"].is_object() {
                event["multiValueHeaders"][name] = json!([value]);
            }
        }
        if event["requestContext"]["http"].is_object() {
            event["requestContext"]["http"]["method"] = json!(method);
        } else {
            event["httpMethod"] = json!(method);
        }
        let encoded = event["isBase64Encoded"] == true;
        event["body"] = match body {
            "" => Value::Null,
            body if encoded => STANDARD.encode(body).into(),
            body => body.into(),
        };
        event
    };
    events("notification-receiver").into_iter().map(|(name, event)| (name, made(event))).collect()
}

fn first(method: &str, run: &str, token: &str, headers: &[(&str, &str)], body: &str) -> String {
    doors(method, run, token, headers, body).swap_remove(0).1.to_string()
}

fn header<'a>(answer: &'a Value, name: &str) -> &'a str {
    let one = answer["headers"][name].as_str();
    one.or_else(|| answer["multiValueHeaders"][name][0].as_str()).unwrap_or_else(|| panic!("{name}: {answer}"))
}

/// The body, however it is carried.
fn body(answer: &Value) -> String {
    let body = answer["body"].as_str().unwrap();
    if answer["isBase64Encoded"] == true {
        String::from_utf8(STANDARD.decode(body).unwrap()).unwrap()
    } else {
        body.to_owned()
    }
}

#[tokio::test]
async fn a_context_is_changed_and_read_through_every_front_door() {
    let (asked, run, token) = asked().await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&asked.around.store.endpoint));
    let mut expect = serde_json::Map::new();
    for at in 0..doors("", "", "", &[], "").len() {
        let change = json!({ format!("é{at}"): at }).to_string();
        let (name, event) = doors("PATCH", run.as_str(), &token, &[], &change).swap_remove(at);
        expect.insert(format!("é{at}"), json!(at));
        let answer = lambda.answer(event.to_string()).await;
        assert_eq!(answer["statusCode"], json!(200), "{name}: {answer}");
        assert_eq!(serde_json::from_str::<Value>(&body(&answer)).unwrap(), json!(expect), "{name}");
        let tag = header(&answer, "etag").to_owned();
        assert_eq!(tag, format!("\"{}\"", at + 1), "{name}");
        for (token, headers, status) in [
            (token.as_str(), &[][..], 200),
            (OPERATOR, &[], 200),
            (OPERATOR, &[("if-none-match", tag.as_str())], 304),
            ("another,", &[], 401),
            ("", &[], 401),
        ] {
            let (name, event) = doors("GET", run.as_str(), token, headers, "").swap_remove(at);
            let answer = lambda.answer(event.to_string()).await;
            assert_eq!(answer["statusCode"], json!(status), "{name}: {answer}");
            if status == 200 {
                assert_eq!(serde_json::from_str::<Value>(&body(&answer)).unwrap(), json!(expect), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn every_refusal_comes_through_with_its_body() {
    let (asked, run, token) = asked().await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&asked.around.store.endpoint));
    let large = "x".repeat(CONTEXT_BYTES_MAX);
    for (method, run, token, headers, sent, status) in [
        ("POST", run.as_str(), token.as_str(), &[][..], "[]", 400),
        ("POST", run.as_str(), "x", &[], "{}", 401),
        ("POST", "run-other", token.as_str(), &[], "{}", 403),
        ("POST", "run-other", OPERATOR, &[], "{}", 404),
        ("POST", "other", OPERATOR, &[], "{}", 404),
        ("PUT", run.as_str(), token.as_str(), &[], "{}", 405),
        ("POST", run.as_str(), token.as_str(), &[("if-match", "\"7\"")], "{}", 412),
        ("POST", run.as_str(), token.as_str(), &[], &format!("{{\"a\":\"{large}\"}}"), 413),
    ] {
        let answer = lambda.answer(first(method, run, token, headers, sent)).await;
        assert_eq!(answer["statusCode"], json!(status), "{answer}");
        let why: Value = serde_json::from_str(&body(&answer)).unwrap();
        assert!(why["error"].is_string(), "{answer}");
    }
    let of = ContextKey { workspace: asked.around.workspace("network"), run };
    assert_eq!(asked.around.store.table.context_version(&of).await.unwrap(), 0);
}

#[tokio::test]
async fn a_document_as_large_as_may_be_fits_through_lambda() {
    let (asked, run, token) = asked().await;
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&asked.around.store.endpoint));
    let quotes = format!("{{\"a\":\"{}\"}}", "\\\"".repeat((CONTEXT_BYTES_MAX - 8) / 2));
    let plain = format!("{{\"a\":\"{}\"}}", "x".repeat(CONTEXT_BYTES_MAX - 8));
    for document in [quotes, plain] {
        let event = doors("POST", run.as_str(), &token, &[], &document);
        let (_, event) = event.into_iter().find(|(_, event)| event["isBase64Encoded"] == true).unwrap();
        for event in [event.to_string(), first("GET", run.as_str(), &token, &[], "")] {
            let answer = lambda.answer(event).await;
            assert_eq!(answer["statusCode"], json!(200));
            assert!(answer.to_string().len() < 6_291_556, "{} bytes", answer.to_string().len());
            assert!(body(&answer) == document);
        }
    }
}

#[tokio::test]
async fn without_its_table_it_says_that_it_cannot_know() {
    let run: RunId = "run-1".parse().unwrap();
    let token = token(GATE_KEY, &run, &"taskrs-1@guard".parse().unwrap(), "upstream");
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(FUNCTION, settings(&format!("http://{}", free_address())));
    for (method, token) in [("GET", token.as_str()), ("GET", OPERATOR), ("PATCH", OPERATOR)] {
        let answer = lambda.answer(first(method, "run-1", token, &[], "{}")).await;
        assert_eq!((&answer["statusCode"], header(&answer, "retry-after")), (&json!(503), "1"), "{answer}");
    }
}

#[tokio::test]
async fn the_context_api_runs_in_the_runtime_interface_emulator() {
    let (asked, run, token) = asked().await;
    let Some(mut emulated) = Emulated::start(FUNCTION, settings(&asked.around.store.endpoint)) else { return };
    for (name, event) in doors("PATCH", run.as_str(), &token, &[], r#"{"a":1}"#) {
        let answer = emulated.call(event.to_string()).await;
        assert_eq!((&answer["statusCode"], body(&answer).as_str()), (&json!(200), r#"{"a":1}"#), "{name}");
    }
    for (name, event) in doors("GET", run.as_str(), "another key", &[], "") {
        assert_eq!(emulated.call(event.to_string()).await["statusCode"], json!(401), "{name}");
    }
}
