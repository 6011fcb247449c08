//! What each request is answered.

use http::Method;
use reqwest::StatusCode;
use serde_json::json;
use sluice_domain::context::CONTEXT_BYTES_MAX;

use super::scene::{Held, beside, url};

#[tokio::test]
async fn a_context_is_read_replaced_and_changed() {
    let held = Held::new().await;
    let check = &held.check;
    let nothing = check.get().await;
    assert_eq!(nothing.tag(), "\"0\"");
    assert_eq!(nothing.document(), "{}");

    let sent =
        "{ \"slackThreadId\": \"1700000000.000100\",\n \"n\": 1.50, \"é\": [ 123456789012345678901234567890 ] }\n";
    let posted = check.post(sent).await;
    assert_eq!(posted.tag(), "\"1\"");
    assert_eq!(posted.document(), sent);
    let read = check.get().await;
    assert_eq!((read.tag(), read.document()), ("\"1\"".to_owned(), sent.to_owned()));

    let patched = check.patch(r#"{"infracost":{"total":"12.00"},"é":null}"#).await;
    assert_eq!(patched.tag(), "\"2\"");
    let merged = r#"{"slackThreadId":"1700000000.000100","n":1.50,"infracost":{"total":"12.00"}}"#;
    assert_eq!(patched.document(), merged);
    let patched = check.patch(r#"{"infracost":{"old":"8.00"}}"#).await;
    assert_eq!(patched.json()["infracost"], json!({ "total": "12.00", "old": "8.00" }));
    assert_eq!(check.get().await.body, patched.body);

    assert_eq!(check.post("{}").await.document(), "{}", "it replaces");
    assert_eq!(check.get().await.document(), "{}");
    held.scene.end().await;
}

#[tokio::test]
async fn any_content_type_is_taken_and_head_is_get_without_a_body() {
    let held = Held::new().await;
    for (version, content_type) in (1..).zip(["text/plain", "application/merge-patch+json", "application/octet-stream"])
    {
        let headers = [("content-type", content_type)];
        let answer = held.check.send(Method::PATCH, &headers, format!(r#"{{"{content_type}":{version}}}"#)).await;
        assert_eq!(answer.tag(), format!("\"{version}\""));
    }
    let get = held.check.get().await;
    let bare = held.check.send(Method::HEAD, &[], "").await;
    assert_eq!((bare.status, bare.tag(), bare.body.as_str()), (StatusCode::OK, get.tag(), ""));
    assert_eq!(bare.header("content-length"), Some(get.body.len().to_string().as_str()));
    held.scene.end().await;
}

#[tokio::test]
async fn a_version_that_is_known_is_not_sent_again() {
    let held = Held::new().await;
    let tag = held.check.post(r#"{"a":1}"#).await.tag();
    let asked = async |value: &str| held.check.send(Method::GET, &[("if-none-match", value)], "").await;
    for value in [tag.clone(), format!("\"9\", W/{tag}"), "*".to_owned()] {
        let answer = asked(&value).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{value}");
        assert_eq!((answer.tag(), answer.header("cache-control")), (tag.clone(), Some("no-store")), "{value}");
    }
    assert_eq!(asked("\"0\"").await.document(), r#"{"a":1}"#);
    held.check.send(Method::GET, &[("if-match", "\"0\"")], "").await.refused(412);
    held.scene.end().await;
}

#[tokio::test]
async fn a_change_of_another_version_than_is_meant_is_not_made() {
    let held = Held::new().await;
    for method in [Method::POST, Method::PATCH] {
        let change = async |name: &str, value: &str| {
            let body = json!({ method.as_str(): value }).to_string();
            held.check.send(method.clone(), &[(name, value)], body).await
        };
        let before = held.check.get().await;
        let version = held.kept().await.version;
        let (tag, stale) = (before.tag(), format!("\"{}\"", version + 7));
        for value in [stale.clone(), format!("W/{tag}"), tag.replace('"', ""), String::new()] {
            change("if-match", &value).await.refused(412);
        }
        change("if-none-match", &tag).await.refused(412);
        // Whether anything was written yet.
        if version == 0 {
            change("if-match", "*").await.refused(412);
        } else {
            change("if-none-match", "*").await.refused(412);
            assert_eq!(change("if-match", "*").await.tag(), format!("\"{}\"", version + 1));
        }
        let tag = held.check.get().await.tag();
        assert_eq!(held.kept().await.version, if version == 0 { 0 } else { version + 1 });
        let changed = change("if-match", &format!("{stale}, {tag}")).await;
        assert_eq!(changed.status, StatusCode::OK);
        assert_ne!(changed.tag(), tag);
        assert_eq!(changed.tag(), held.check.get().await.tag());
        change("if-match", &tag).await.refused(412);
    }
    held.scene.end().await;
}

#[tokio::test]
async fn what_is_no_document_is_refused_and_changes_nothing() {
    let held = Held::new().await;
    let before = held.check.post(r#"{"kept":true}"#).await.document();
    let deep = format!("{}{}", r#"{"marker":"#.repeat(200) + "1", "}".repeat(200));
    let (half, large) = (r#"{"marker":"\ud800"}"#, r#"{"marker":1e999}"#);
    for body in ["", "marker", "[\"marker\"]", "\"marker\"", "null", "{\"marker\":1,}", half, large, &deep] {
        for method in [Method::POST, Method::PATCH] {
            held.check.send(method, &[], body.to_owned()).await.refused(400);
        }
    }
    for body in [&b"{\"marker\":\"\xff\"}"[..], b"\x1f\x8b\x08\x00marker"] {
        held.check.post(body).await.refused(400);
    }
    assert_eq!(held.check.get().await.document(), before);
    held.scene.end().await;
}

#[tokio::test]
async fn what_is_over_the_cap_is_refused_and_changes_nothing() {
    let held = Held::new().await;
    let of = |name: &str, bytes: usize| format!(r#"{{"{name}":"{}"}}"#, "marker".repeat(bytes / 6));
    for method in [Method::POST, Method::PATCH] {
        for bytes in [CONTEXT_BYTES_MAX, 2 * CONTEXT_BYTES_MAX] {
            held.check.send(method.clone(), &[], of("a", bytes)).await.refused(413);
        }
    }
    let half = of("a", CONTEXT_BYTES_MAX / 2);
    held.check.post(half.clone()).await.document();
    let why = held.check.patch(of("b", CONTEXT_BYTES_MAX / 2)).await.refused(413);
    assert_eq!(why, "the context would be too large: it is longer than 4194304 bytes");
    assert_eq!(held.check.get().await.document(), half);
    held.scene.end().await;
}

#[tokio::test]
async fn paths_methods_and_runs_of_nothing_are_told_apart() {
    let held = Held::new().await;
    let (host, operator) = (&held.scene.world.url, held.operator());
    for path in ["run-1/more", "", "marker", "taskrs-1", "run-", "run-ü", "run-%2F", "run-1?x=1/"] {
        for method in [Method::GET, Method::POST] {
            let answer = operator.at(url(host, path)).send(method, &[], r#"{"marker":1}"#).await;
            answer.refused(404);
        }
    }
    operator.at(format!("{host}/context/v2/{}", held.run)).get().await.refused(404);
    for method in [Method::GET, Method::POST, Method::PATCH] {
        let answer = operator.at(url(host, "run-unheard")).send(method, &[], r#"{"marker":1}"#).await;
        let why = answer.refused(404);
        assert!(why.starts_with("no task of Sluice's was asked about this run"), "{why}");
    }
    for method in [Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = held.check.send(method, &[], "{}").await;
        answer.refused(405);
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, PATCH"));
    }
    assert_eq!(held.kept().await.version, 0);
    held.scene.end().await;
}

#[tokio::test]
async fn the_context_of_a_run_that_is_over_is_read_and_not_written() {
    let held = Held::new().await;
    held.check.post(r#"{"left":"behind"}"#).await.document();
    assert!(held.scene.hcp().cancel(held.run.as_str()));
    held.until_over().await;
    for asker in [&held.operator(), &held.check] {
        for method in [Method::POST, Method::PATCH] {
            asker.send(method, &[], r#"{"marker":1}"#).await.refused(409);
        }
    }
    assert_eq!(held.operator().get().await.document(), r#"{"left":"behind"}"#);
    held.pass().await;
    held.scene.end().await;
}

#[tokio::test]
async fn every_host_shows_the_same() {
    let held = Held::new().await;
    let other = beside(held.scene.hcp(), held.table()).await;
    let other = held.check.at(url(&other, held.run.as_str()));
    let tag = other.patch(r#"{"a":1}"#).await.tag();
    assert_eq!(held.check.get().await.tag(), tag);
    held.check.post(r#"{"b":1}"#).await.document();
    assert_eq!(other.get().await.document(), r#"{"b":1}"#);
    held.scene.end().await;
}
