//! Other checkers, which were written for HCP Terraform: they are asked as it asks, and answer to Sluice.

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sluice_aws::GateKeys;
use sluice_domain::TaskResultId;
use sluice_tests::hcp::{RunOptions, TaskResultView};

use super::checker::{Checker, Finds, body, call_back_with, with_outcomes};
use super::scene::{Scene, after_plan, assert_failed, assert_passed, ids, outcome, settings, task, until};
use crate::serve::client;
use crate::world::add;

/// A workspace whose plans are shown to another checker.
async fn checked() -> (Scene, Checker) {
    let mut scene = Scene::of("a").await;
    let checker = scene.checker().await;
    scene.gate("a", &after_plan(&json!([checker.check()]))).await;
    (scene, checker)
}

#[tokio::test]
async fn a_checker_that_was_written_for_hcp_terraform_works_as_it_is() {
    for (finds, says) in [(Finds::Nothing, "within the budget"), (Finds::Fault, "over the budget")] {
        let (scene, checker) = checked().await;
        checker.finds(finds);
        let result = scene.change("a").await;
        if finds == Finds::Nothing {
            assert_passed(&result);
        } else {
            assert_failed(&result);
        }
        assert_eq!(result.message, format!("cost: {says}"));
        assert_eq!(ids(&result), ["cost.COST-1"]);
        let told = outcome(&result, "cost.COST-1");
        assert_eq!(told["tags"]["Status"][0], json!({ "label": "Looked at", "level": "info" }));
        assert_eq!((&told["body"], &told["url"]), (&json!("# Costs\n\n12 a month"), &json!("https://cost.example/1")));
        assert!(checker.requests().iter().all(|request| request.answer == StatusCode::OK), "it is signed");
        scene.end().await;
    }
}

#[tokio::test]
async fn a_checker_sees_what_hcp_terraform_sent_but_for_addresses_and_the_token() {
    let mut scene = Scene::of("a").await;
    let checker = scene.checker().await;
    scene.gate("a", &task(&["pre_plan", "post_plan"], &json!([checker.check()]))).await;
    scene.hcp().touch("a");
    let run = scene.hcp().start_run("a", RunOptions::new("look at <this> & „that“"));
    let early = checker.asked(1).await;
    assert_eq!(early.get("plan_json_api_url"), None);
    assert_eq!(checker.plan_at(&early, "plan").await, 404);
    assert_eq!(checker.call_back(&early, &body("passed", "fine")).await, 200);
    let payload = checker.asked(2).await;
    for (name, value) in [
        ("stage", json!("post_plan")),
        ("run_id", json!(run)),
        ("run_message", json!("look at <this> & „that“")),
        ("workspace_name", json!("a")),
        ("task_result_enforcement_level", json!("mandatory")),
        ("project_name", json!("Default Project")),
        ("vcs_branch", Value::Null),
        ("capabilities", json!({ "outcomes": true })),
    ] {
        assert_eq!(payload[name], value, "{name}");
    }
    let token = payload["access_token"].as_str().unwrap();
    assert!(!scene.hcp().access_tokens().iter().any(|of_hcp| of_hcp == token));
    for address in ["task_result_callback_url", "plan_json_api_url", "configuration_version_download_url"] {
        assert!(payload[address].as_str().unwrap().starts_with(&format!("{}/task-results/", scene.world.url)));
    }
    assert!(payload["task_result_id"].as_str().unwrap().starts_with("taskrs-"));
    let headers = &checker.requests()[1].headers;
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("TFC/1.0"));

    let (status, plan) = checker.plan(&payload).await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_str::<Value>(&plan).unwrap()["format_version"], "1.2");
    let (status, files) = checker.configuration(&payload).await.unwrap();
    assert!(status == 200 && files.starts_with("the files of cv-"), "{status} {files}");
    assert_eq!(checker.call_back(&payload, &body("passed", "fine")).await, 200);
    scene.answer("a", 1).await;
    assert_eq!(checker.plan(&payload).await.unwrap().0, 409, "the plan is nobody's business any more");
    scene.end().await;
}

#[tokio::test]
async fn a_checker_that_has_trouble_is_asked_again() {
    let (scene, checker) = checked().await;
    checker.finds(Finds::Nothing);
    checker.answer(&[500, 503]);
    let result = scene.change("a").await;
    assert_passed(&result);
    assert_eq!(checker.requests().len(), 3);
    assert_eq!(checker.requests()[0].body, checker.requests()[2].body, "it can tell that it is the same");
    scene.end().await;
}

#[tokio::test]
async fn a_checker_that_does_not_take_the_question_is_an_error_at_once() {
    for (status, hint) in
        [(401, ": its HMAC key may be another"), (404, ""), (202, ""), (302, ", and redirects are not followed")]
    {
        let (scene, checker) = checked().await;
        checker.answer(&[status]);
        let result = scene.change("a").await;
        assert_failed(&result);
        let host = checker.url.trim_start_matches("http://").trim_end_matches("/check");
        let why = format!("the checker at {host} answered with status {status} instead of 200{hint}");
        assert_eq!(result.message, format!("cost: could not be carried out: {why}"));
        assert_eq!(checker.requests().len(), 1);
        scene.end().await;
    }
}

/// A checker that took the question on, and what it was asked.
async fn taken(change: impl FnOnce(&mut Value)) -> (Scene, Checker, Value) {
    let mut scene = Scene::of("a").await;
    let checker = scene.checker().await;
    let mut check = checker.check();
    change(&mut check);
    scene.gate("a", &after_plan(&json!([check]))).await;
    scene.world.change("a");
    let payload = checker.asked(1).await;
    (scene, checker, payload)
}

#[tokio::test]
async fn a_checker_that_never_calls_back_is_an_error_when_its_time_is_over() {
    let (scene, checker, payload) = taken(|check| check["timeout_seconds"] = json!(1)).await;
    let result = scene.answer("a", 0).await;
    assert_failed(&result);
    assert_eq!(result.message, "cost: took longer than it may");
    assert_eq!(checker.call_back(&payload, &body("passed", "late")).await, 409);
    scene.end().await;
}

/// HCP Terraform has no patience either: it is told that the task goes on.
#[tokio::test]
async fn a_checker_that_is_silent_for_ten_minutes_is_an_error_though_it_had_more_time() {
    for early in [false, true] {
        let mut scene = Scene::of("a").await;
        let checker = scene.checker().await;
        let mut definition = after_plan(&json!([checker.check()]));
        definition["timeout_seconds"] = json!(3_000);
        scene.gate("a", &definition).await;
        if early {
            checker.finds(Finds::Early);
        }
        scene.world.change("a");
        let payload = checker.asked(1).await;
        if !early {
            assert_eq!(checker.call_back(&payload, &body("running", "begun")).await, 200);
        }
        let result = scene.hcp().task_results("a").pop().unwrap().id;
        let handed_on = async || scene.gated(&result).await?.execution(&"cost".parse().unwrap()).silent_at();
        until("its silence does not count", handed_on).await;
        scene.work(&result, "cost", 590_000).await;
        assert_eq!(scene.hcp().task_result(&result).unwrap().status.as_str(), "running");
        scene.work(&result, "cost", 610_000).await;
        let result = scene.answer("a", 0).await;
        assert_failed(&result);
        let silent = "cost: the other checker took it on, and has said nothing for ten minutes";
        assert_eq!(result.message, silent, "early: {early}");
        scene.end().await;
    }
}

#[tokio::test]
async fn what_a_checker_says_on_the_way_is_passed_on() {
    let (scene, checker, payload) = taken(|_| ()).await;
    let found = |id: &str, text: &str| json!({ "outcome-id": id, "description": text });
    let begun = with_outcomes(body("running", "half way"), &[found("A", "first"), found("B", "second")]);
    assert_eq!(checker.call_back(&payload, &begun).await, 200);
    let result = scene.hcp().task_results("a").pop().unwrap().id;
    scene.work(&result, "cost", 20_000).await;
    let told = scene.hcp().task_result(&result).unwrap();
    assert_eq!(told.status.as_str(), "running");
    assert_eq!(told.message, "0 of 1 checks are done. cost: half way");
    assert_eq!(ids(&told), ["cost.A", "cost.B"]);
    let last = with_outcomes(body("failed", "done"), &[found("B", "second, looked at again")]);
    assert_eq!(checker.call_back(&payload, &last).await, 200);
    let result = scene.answer("a", 0).await;
    assert_failed(&result);
    assert_eq!(outcome(&result, "cost.B")["description"], "second, looked at again");
    assert_eq!(ids(&result), ["cost.A", "cost.B"]);
    scene.end().await;
}

#[tokio::test]
async fn a_checker_is_heard_until_it_is_over_and_not_after() {
    let (scene, checker, payload) = taken(|_| ()).await;
    assert_eq!(checker.call_back(&payload, &body("passed", "fine")).await, 200);
    assert_eq!(checker.call_back(&payload, &body("failed", "not so fine")).await, 409);
    assert_eq!(checker.call_back(&payload, &body("running", "still at it")).await, 409);
    let result = scene.answer("a", 0).await;
    assert_passed(&result);
    scene.ended(&result.id).await;
    assert_eq!(checker.call_back(&payload, &body("failed", "long after")).await, 409);
    scene.end().await;
}

#[tokio::test]
async fn callbacks_are_refused_as_hcp_terraform_would() {
    let (scene, checker, payload) = taken(|_| ()).await;
    let (client, url) = (client(), payload["task_result_callback_url"].as_str().unwrap());
    let token = payload["access_token"].as_str().unwrap();
    let fine = body("passed", "fine").to_string();
    let send = |url: String, token: Option<String>, body: String| {
        let client = client.clone();
        async move { call_back_with(&client, &url, token.as_deref(), body).await.unwrap() }
    };
    let gate = GateKeys::new(&SecretString::from("a gate key of the tests"), &[]);
    let result = scene.hcp().task_results("a").pop().unwrap().id;
    let of = |result: &str, check: &str| {
        let result: TaskResultId = result.parse().unwrap();
        let token = gate.checker_token(&result.of(&"guard".parse().unwrap()), &check.parse().unwrap());
        token.expose_secret().to_owned()
    };
    assert_eq!(of(&result, "cost"), token, "this is how tokens are made");
    for (token, what) in [
        (None, "none"),
        (Some(String::new()), "empty"),
        (Some("guessed".to_owned()), "guessed"),
        (Some(of(&result, "other")), "of another check"),
        (Some(of("taskrs-other", "cost")), "of another result"),
        (Some(format!("{token}x")), "longer"),
    ] {
        assert_eq!(send(url.to_owned(), token, fine.clone()).await, 401, "{what}");
    }
    let elsewhere =
        |result: &str, check: &str| format!("{}/task-results/{result}@guard~{check}/callback", scene.world.url);
    assert_eq!(send(elsewhere("taskrs-other", "cost"), Some(of("taskrs-other", "cost")), fine.clone()).await, 404);
    assert_eq!(send(elsewhere(&result, "other"), Some(of(&result, "other")), fine.clone()).await, 404);
    for malformed in [
        String::new(),
        "{".to_owned(),
        body("errored", "no such status").to_string(),
        fine.replace("passed", ""),
        json!({ "data": null }).to_string(),
    ] {
        assert_eq!(send(url.to_owned(), Some(token.to_owned()), malformed.clone()).await, 422, "{malformed}");
    }
    assert_eq!(send(url.to_owned(), Some(token.to_owned()), "x".repeat(7 << 20)).await, 413);
    assert_eq!(client.get(url).bearer_auth(token).send().await.unwrap().status(), 405);
    assert_eq!(checker.call_back(&payload, &body("passed", "fine")).await, 200, "and the genuine one");
    assert_passed(&scene.answer("a", 0).await);
    scene.end().await;
}

/// What comes of a checker at `url` that may not be reached.
async fn unreachable(url: &str) -> TaskResultView {
    let mut settings = settings();
    settings.checks.allowed = "10.1.2.3".parse().unwrap();
    let scene = Scene::with(settings, |hcp| add(hcp, "a")).await;
    let check = json!({ "name": "cost", "kind": "http", "url": url, "hmac_key": "env:CHECKER_KEY" });
    scene.gate("a", &after_plan(&json!([check]))).await;
    let result = scene.change("a").await;
    scene.end().await;
    result
}

#[tokio::test]
async fn a_checker_at_a_private_address_is_not_asked_unless_it_is_listed() {
    let checker = Checker::start("any").await;
    let port = checker.url.trim_start_matches("http://127.0.0.1:").trim_end_matches("/check");
    for (url, why) in [
        (checker.url.clone(), "is not at a public address"),
        (format!("http://[::1]:{port}/check"), "is not at a public address"),
        (format!("http://localhost:{port}/check"), "has to be asked over https://"),
        (format!("https://localhost:{port}/check"), "is not at a public address"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "is not at a public address"),
    ] {
        let result = unreachable(&url).await;
        assert_failed(&result);
        assert!(result.message.contains(why), "{url}: {}", result.message);
    }
    assert_eq!(checker.requests().len(), 0);
}
