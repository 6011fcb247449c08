//! A table that fails in the middle: whoever asks is told, and what was there stays there, whole.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use sluice_aws::Table;
use sluice_domain::context::Document;
use sluice_domain::ports::ContextStore;
use sluice_lambda::now;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::scene::{Asker, Held, beside, items, url};
use crate::lambda::aws;
use crate::serve::client;
use crate::world::OPERATORS;

/// What becomes of a request to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    /// It fails before it has an effect.
    Fails,
    /// It has its effect, and the answer is lost.
    Unheard,
    /// It never gets there, and there is no answer.
    Hangs,
}

/// Requests of one kind, and what becomes of the next of them.
#[derive(Debug, Clone, Copy)]
struct Rule {
    action: &'static str,
    holding: &'static str,
    times: usize,
    mishap: Mishap,
}

/// What stands between functions and their table.
struct Between {
    endpoint: String,
    client: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    hung: Notify,
}

impl Between {
    /// A table that is reached by way of this.
    async fn table(held: &Held) -> (Arc<Self>, Table) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let endpoint = held.scene.world.endpoint().to_owned();
        let between = Arc::new(Self { endpoint, client: client(), rules: Mutex::default(), hung: Notify::new() });
        let router = Router::new().fallback(pass).with_state(between.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (between, Table::connect(&aws(&address), "sluice").unwrap())
    }

    /// The next requests for `action` with `holding` in their body meet with `mishap`.
    fn next(&self, action: &'static str, holding: &'static str, times: usize, mishap: Mishap) {
        self.rules.lock().unwrap().push(Rule { action, holding, times, mishap });
    }

    fn calm(&self) {
        self.rules.lock().unwrap().clear();
    }

    fn mishap(&self, target: &str, body: &str) -> Option<Mishap> {
        let mut rules = self.rules.lock().unwrap();
        let meant = |rule: &&mut Rule| rule.times > 0 && target.ends_with(rule.action) && body.contains(rule.holding);
        let rule = rules.iter_mut().find(meant)?;
        rule.times -= 1;
        Some(rule.mishap)
    }
}

async fn pass(State(between): State<Arc<Between>>, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body).into_owned();
    let mishap = between.mishap(headers["x-amz-target"].to_str().unwrap(), &text);
    let failed = || (StatusCode::INTERNAL_SERVER_ERROR, "{}").into_response();
    match mishap {
        Some(Mishap::Fails) => return failed(),
        Some(Mishap::Hangs) => {
            between.hung.notify_one();
            return std::future::pending().await;
        }
        Some(Mishap::Unheard) | None => {}
    }
    let mut request = between.client.post(&between.endpoint).body(body);
    for name in ["content-type", "x-amz-target", "x-amz-date", "authorization"] {
        request = request.header(name, &headers[name]);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    if mishap == Some(Mishap::Unheard) { failed() } else { (status, headers, body).into_response() }
}

/// A held run, a document in its context, and another host whose way to the table can be made to fail.
async fn with_document(document: &str) -> (Held, Arc<Between>, Asker) {
    let held = Held::new().await;
    held.check.post(document.to_owned()).await.document();
    let (between, table) = Between::table(&held).await;
    let host = beside(held.scene.hcp(), &table).await;
    let asker = held.check.at(url(&host, held.run.as_str()));
    (held, between, asker)
}

fn large(letter: &str) -> String {
    format!(r#"{{"{letter}":"{}"}}"#, letter.repeat(1 << 20))
}

/// More often than the SDK tries.
const ALWAYS: usize = 1_000;

const HEAD: &str = "\"HEAD\"";
const PART: &str = "\"PART#";

#[tokio::test]
async fn a_write_that_fails_between_its_parts_and_its_head_leaves_the_document_as_it_was() {
    for (holding, before) in
        [(HEAD, large("a")), (PART, large("a")), ("#002\"", large("a")), (HEAD, "{\"a\":1}".into())]
    {
        let (held, between, asker) = with_document(&before).await;
        between.next("PutItem", holding, ALWAYS, Mishap::Fails);
        for (method, body) in [(Method::POST, large("b")), (Method::PATCH, large("c"))] {
            let answer = asker.send(method, &[], body).await;
            answer.refused(503);
            assert_eq!(answer.header("retry-after"), Some("1"), "{holding}");
            let read = held.check.get().await;
            assert_eq!(read.tag(), "\"1\"", "{holding}");
            assert!(read.document() == before, "{holding}");
        }
        // What was left behind goes by itself.
        let soon = now().seconds() + 150 * 86_400;
        assert!(items(&held.scene.world).await.iter().all(|(_, _, expires)| *expires < soon));
        between.calm();
        let after = large("d");
        assert!(asker.post(after.clone()).await.document() == after);
        assert!(held.check.get().await.document() == after);
        held.scene.end().await;
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_made_twice() {
    for (before, body) in [
        (r#"{"a":1}"#.to_owned(), r#"{"b":2}"#.to_owned()),
        (r#"{"a":1}"#.to_owned(), large("b")),
        (large("a"), r#"{"a":null,"b":2}"#.to_owned()),
        (large("a"), format!(r#"{{"a":null,{}"#, &large("b")[1..])),
    ] {
        let (held, between, asker) = with_document(&before).await;
        let parts = async || {
            let items = items(&held.scene.world).await;
            items.iter().filter(|(_, sk, _)| sk.starts_with("PART#")).count()
        };
        between.next("PutItem", HEAD, 1, Mishap::Unheard);
        let answer = asker.patch(body.clone()).await;
        assert_eq!(answer.tag(), "\"2\"");
        let read = held.check.get().await;
        assert_eq!((read.tag(), &read.body), ("\"2\"".to_owned(), &answer.body));
        let one = if read.body.len() > 300_000 { read.body.len().div_ceil(350_000) } else { 0 };
        assert_eq!(parts().await, one, "what was there before is gone");
        between.next("PutItem", HEAD, 1, Mishap::Unheard);
        let answer = asker.send(Method::POST, &[("if-match", "\"2\"")], body.clone()).await;
        assert_eq!((answer.tag(), &answer.body), ("\"3\"".to_owned(), &body));
        assert_eq!(held.check.get().await.body, body);
        held.scene.end().await;
    }
}

#[tokio::test]
async fn whoever_dies_in_the_middle_of_a_write_leaves_the_document_as_it_was() {
    let (held, between, _) = with_document(&large("a")).await;
    let table = Table::connect(&aws(held.scene.world.endpoint()), "sluice").unwrap();
    let (slow, dying) = Between::table(&held).await;
    let of = held.of();
    drop(between);
    for holding in [HEAD, "#001\""] {
        slow.next("PutItem", holding, ALWAYS, Mishap::Hangs);
        let document = Document::parse(large("b").as_bytes()).unwrap();
        tokio::select! {
            written = dying.put_context(&of, &document, 1, now()) => panic!("{written:?}"),
            () = slow.hung.notified() => {}
        }
        slow.calm();
        let kept = table.context(&of).await.unwrap();
        assert_eq!((kept.version, kept.document.as_str().len()), (1, large("a").len()), "{holding}");
        assert!(kept.document.as_str() == large("a"));
    }
    assert_eq!(held.check.patch(r#"{"a":null,"z":1}"#).await.document(), r#"{"z":1}"#);
    held.scene.end().await;
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_never_taken_for_an_empty_one() {
    const ALL: &[Method] = &[Method::GET, Method::PATCH, Method::POST];
    for (action, holding, methods) in [
        ("GetItem", HEAD, ALL),
        // A document is replaced without being read.
        ("GetItem", PART, &ALL[..2]),
        // A check that runs is proof enough of its run for reading.
        ("GetItem", "\"RUN#", &ALL[1..]),
        ("Query", "GATE#", ALL),
        ("Query", "CONTEXT#", ALL),
    ] {
        let (held, between, asker) = with_document(&large("a")).await;
        // It is an operator who has to have the workspace looked up.
        let asker = if holding == "CONTEXT#" { asker.with(Some(OPERATORS[0])) } else { asker };
        between.next(action, holding, ALWAYS, Mishap::Fails);
        for method in methods.iter().cloned() {
            let answer = asker.send(method, &[], r#"{"marker":1}"#).await;
            answer.refused(503);
            assert_eq!(answer.header("retry-after"), Some("1"), "{action} {holding}");
        }
        between.calm();
        let read = asker.get().await;
        assert_eq!(read.tag(), "\"1\"");
        assert!(read.document() == large("a"), "{action} {holding}");
        held.scene.end().await;
    }
}

#[tokio::test]
async fn a_table_that_is_not_there_is_a_persons_business() {
    let held = Held::new().await;
    let absent = Table::connect(&aws(held.scene.world.endpoint()), "no-such-table").unwrap();
    let host = beside(held.scene.hcp(), &absent).await;
    for asker in [held.check.clone(), held.operator()] {
        let answer = asker.at(url(&host, held.run.as_str())).get().await;
        let why = answer.refused(503);
        assert!(why.contains("log of context-api"), "{why}");
        assert_eq!(answer.header("retry-after"), Some("60"));
    }
    held.scene.end().await;
}

#[tokio::test]
async fn a_document_that_was_lost_is_told_and_can_be_replaced() {
    let held = Held::new().await;
    held.check.post(large("a")).await.document();
    let client = sluice_aws::client(&aws(held.scene.world.endpoint())).unwrap();
    let items = items(&held.scene.world).await;
    let (pk, sk, _) = items.iter().find(|(_, sk, _)| sk.starts_with("PART#") && sk.ends_with("#001")).unwrap();
    let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    client.delete_item().table_name("sluice").key("pk", key(pk)).key("sk", key(sk)).send().await.unwrap();
    for method in [Method::GET, Method::PATCH] {
        let answer = held.check.send(method, &[], r#"{"marker":1}"#).await;
        answer.refused(503);
        assert_eq!(answer.header("retry-after"), Some("60"));
    }
    let tag = held.check.send(Method::POST, &[("if-match", "\"1\"")], r#"{"a":2}"#).await.tag();
    assert_eq!(tag, "\"2\"");
    assert_eq!(held.check.get().await.document(), r#"{"a":2}"#);
    held.scene.end().await;
}

#[tokio::test]
async fn a_reader_who_meets_a_write_reads_the_new_document() {
    let (held, between, asker) = with_document(&large("a")).await;
    // The parts that the reader was about to read go, as another document takes their place.
    between.next("GetItem", PART, 1, Mishap::Hangs);
    let reading = tokio::spawn(async move { asker.get().await });
    between.hung.notified().await;
    assert!(held.check.post(large("b")).await.document() == large("b"));
    let read = tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap().unwrap();
    assert_eq!(read.tag(), "\"2\"");
    assert!(read.document() == large("b"));
    held.scene.end().await;
}
