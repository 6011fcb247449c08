//! Who may read and write which context, and for how long.

use http::Method;
use reqwest::StatusCode;
use serde_json::json;
use sluice_domain::ports::Inbox;
use sluice_domain::{RunReport, Standing};
use sluice_lambda::now;

use super::scene::{Held, token, url};
use crate::gate::scene::until;
use crate::world::{GATE_KEY, OPERATORS};

#[tokio::test]
async fn without_a_good_token_nothing_is_shown_or_written() {
    let held = Held::new().await;
    let before = held.check.post(r#"{"kept":true}"#).await.document();
    let good = held.check.token.clone().unwrap();
    let (run, result) = (&held.run, &held.result);
    let bad = [
        token("another key", run, result, "cost"),
        token(GATE_KEY, run, result, "lint"),
        token(GATE_KEY, run, &"taskrs-1@guard".parse().unwrap(), "cost"),
        good[..good.len() - 1].to_owned(),
        format!("{good}x"),
        good.to_uppercase(),
        "marker".to_owned(),
        String::new(),
        OPERATORS.join(","),
        OPERATORS[0][1..].to_owned(),
    ];
    for token in bad.iter().map(|token| Some(token.as_str())).chain([None]) {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PATCH] {
            let answer = held.check.with(token).send(method.clone(), &[], r#"{"marker":1}"#).await;
            if method == Method::HEAD {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token:?}");
            } else {
                answer.refused(401);
            }
        }
    }
    for header in [format!("Basic {good}"), good.clone(), format!("Bearer{good}"), "Bearer ü".to_owned()] {
        let answer = held.check.with(None).send(Method::GET, &[("authorization", &header)], "").await;
        answer.refused(401);
    }
    for header in [format!("bearer {good}"), format!("BEARER  {good} ")] {
        let answer = held.check.with(None).send(Method::GET, &[("authorization", &header)], "").await;
        assert_eq!(answer.document(), before);
    }
    assert_eq!(held.kept().await.version, 1);
    held.scene.end().await;
}

#[tokio::test]
async fn the_token_of_a_check_is_good_for_its_own_run_only() {
    let mut held = Held::new().await;
    let checker = held.scene.checker().await;
    let mut second = crate::gate::scene::after_plan(&json!([checker.check()]));
    second["name"] = json!("second");
    held.scene.gate("b", &second).await;
    held.scene.world.change("b");
    let other = checker.asked(1).await["run_id"].as_str().unwrap().to_owned();
    for run in [other.as_str(), "run-unheard"] {
        for method in [Method::GET, Method::POST, Method::PATCH] {
            let elsewhere = held.check.at(url(&held.scene.world.url, run));
            elsewhere.send(method, &[], r#"{"marker":1}"#).await.refused(403);
        }
    }
    let operator = held.operator().at(url(&held.scene.world.url, &other));
    assert_eq!(operator.get().await.document(), "{}");
    held.scene.end().await;
}

#[tokio::test]
async fn an_operator_may_read_and_write_any_run() {
    let held = Held::new().await;
    for (version, token) in (1..).zip(OPERATORS) {
        let answer = held.check.with(Some(token)).patch(format!(r#"{{"{version}":true}}"#)).await;
        assert_eq!(answer.tag(), format!("\"{version}\""));
    }
    assert_eq!(held.check.get().await.document(), r#"{"1":true,"2":true}"#);
    held.scene.end().await;
}

#[tokio::test]
async fn the_token_of_a_check_ends_with_it() {
    let held = Held::new().await;
    let before = held.check.post(r#"{"left":"behind"}"#).await.document();
    held.pass().await;
    for method in [Method::GET, Method::POST, Method::PATCH] {
        let why = held.check.send(method, &[], r#"{"marker":1}"#).await.refused(401);
        assert_eq!(why, "the check that this token was made for is over, and the token with it");
    }
    assert_eq!(held.operator().get().await.document(), before);
    held.scene.end().await;
}

#[tokio::test]
async fn the_token_of_a_check_ends_with_its_task_result() {
    let held = Held::new().await;
    held.check.post("{}").await.document();
    // The time of the task is over, and the check never ends by itself.
    held.scene.work(held.result.as_str().split('@').next().unwrap(), "cost", 3_600_000).await;
    let refused = async || {
        let answer = held.check.get().await;
        (answer.status != StatusCode::OK).then_some(answer)
    };
    until("the token is good for ever", refused).await.refused(401);
    held.scene.end().await;
}

#[tokio::test]
async fn a_check_after_the_apply_may_write_though_the_run_is_said_to_be_over() {
    let held = Held::at("post_apply").await;
    let run = held.scene.hcp().run(held.run.as_str()).unwrap();
    let report = RunReport {
        workspace: held.scene.world.workspace("a"),
        workspace_id: held.scene.hcp().workspace_id("a").parse().unwrap(),
        run: held.run.clone(),
        created_at: sluice_domain::Timestamp(u64::try_from(run.created_at.unix_timestamp()).unwrap() * 1_000),
        standing: Standing::Applied,
        at: now(),
        marker: None,
    };
    held.table().record(&report, now()).await.unwrap();
    held.until_over().await;
    held.operator().post("{}").await.refused(409);
    assert_eq!(held.check.post(r#"{"url":"https://example.com"}"#).await.tag(), "\"1\"");
    held.pass().await;
    held.check.patch("{}").await.refused(401);
    held.scene.end().await;
}
