//! Faults and limits strike when they should, and only then.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

async fn create(hcp: &Hcp) -> reqwest::Result<Answer> {
    let body = run_body(&hcp.workspace_id("network"), &json!({}));
    try_call(hcp, &hcp.token(), Method::POST, "/api/v2/runs", Some(body)).await
}

/// What a mishap leaves: the answer's status if there is one, and how many runs there are.
async fn strike(what: ApiMishap) -> (Option<u16>, usize) {
    let hcp = pair().await;
    hcp.faults(|faults| faults.api.push(ApiFault::next(Route::CreateRun, 1, what)));
    let struck = create(&hcp).await.ok().map(|answer| answer.status);
    let runs = hcp.runs("network").len();
    assert_eq!(create(&hcp).await.unwrap().status, 201, "a fault strikes once");
    (struck, runs)
}

#[tokio::test]
async fn api_faults_have_the_effect_they_say() {
    assert_eq!(strike(ApiMishap::Status(503)).await, (Some(503), 0));
    assert_eq!(strike(ApiMishap::StatusAfterEffect(504)).await, (Some(504), 1));
    assert_eq!(strike(ApiMishap::CutBeforeEffect).await, (None, 0));
    assert_eq!(strike(ApiMishap::CutAfterEffect).await, (None, 1));
    assert_eq!(strike(ApiMishap::TruncatedBody).await, (None, 1));
    assert_eq!(strike(ApiMishap::NotJson).await, (Some(200), 1));
    assert_eq!(strike(ApiMishap::RateLimited { reset_seconds: 0.5 }).await, (Some(429), 0));
}

#[tokio::test]
async fn a_timeout_hangs_without_effect() {
    let hcp = pair().await;
    hcp.faults(|faults| faults.api.push(ApiFault::next(Route::Any, 1, ApiMishap::Timeout)));
    assert!(tokio::time::timeout(Duration::from_millis(50), create(&hcp)).await.is_err());
    assert!(hcp.runs("network").is_empty());
    assert_eq!(hcp.requests()[0].status, None);
}

#[tokio::test]
async fn a_slow_body_arrives_whole() {
    let hcp = pair().await;
    let slow = ApiMishap::SlowBody(Duration::from_millis(5));
    hcp.faults(|faults| faults.api.push(ApiFault::every(Route::ShowWorkspaceByName, 2, slow)));
    let timed = async || {
        let begin = Instant::now();
        (get(&hcp, "/organizations/acme/workspaces/app").await.body, begin.elapsed())
    };
    let ((fast, _), (slow, took)) = (timed().await, timed().await);
    assert_eq!(fast, slow);
    assert!(took >= Duration::from_millis(40), "{took:?}");
}

#[tokio::test]
async fn a_429_says_when_to_come_again() {
    let hcp = pair().await;
    hcp.limits(Limits { per_second: Some(3), run_lists_per_minute: Some(1) });
    let path = format!("/workspaces/{}/runs", hcp.workspace_id("app"));
    assert_eq!(get(&hcp, &path).await.headers["x-ratelimit-remaining"], "2");
    let list = get(&hcp, &path).await;
    assert_eq!(list.status, 429);
    assert!(list.headers["x-ratelimit-reset"].to_str().unwrap().parse::<f64>().unwrap() > 50.0);
    assert_eq!(get(&hcp, "/account/details").await.status, 200);
    let refused = get(&hcp, "/account/details").await;
    assert_eq!((refused.status, &refused.body["errors"][0]["status"]), (429, &json!(429)));
    assert_eq!(refused.headers["x-ratelimit-limit"], "3");
    let reset: f64 = refused.headers["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
    assert!(reset > 0.0 && reset <= 1.0);
    assert_eq!(hcp.exceeded(), Exceeded { per_second: 1, run_lists: 1 });
    hcp.add_token("other", TokenKind::User, "sam");
    let other = try_call(&hcp, "other", Method::GET, "/api/v2/account/details", None).await.unwrap();
    assert_eq!(other.status, 200);
}

/// What is told of one applied run under a fault.
async fn told(fault: NotificationFault) -> Vec<String> {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    hcp.notify("network", &receiver.url, TOKEN);
    hcp.faults(|faults| faults.notifications.push(fault));
    hcp.touch("network");
    hcp.start_run("network", RunOptions::default());
    hcp.settled().await;
    let last = |triple: &String| triple.rsplit(" / ").next().unwrap_or_default().to_owned();
    receiver.triples().iter().map(last).collect()
}

#[tokio::test]
async fn notifications_are_lost_doubled_delayed_and_reordered() {
    use NotificationMishap::{Delay, Duplicate, Lose, Reorder};
    let all = ["pending", "planning", "applying", "applied"];
    let lost = told(NotificationFault::always(Lose).trigger("run:completed")).await;
    assert_eq!(lost, all[..3]);
    assert_eq!(told(NotificationFault::every(2, Lose)).await, ["pending", "applying"]);
    let doubled = told(NotificationFault::matching(|notice| notice.status == RunStatus::Applied, Duplicate(2))).await;
    assert_eq!(doubled, [&all[..], &["applied", "applied"]].concat());
    let delayed = told(NotificationFault::next(1, Delay(Duration::from_millis(100)))).await;
    assert_eq!(delayed, ["planning", "applying", "applied", "pending"]);
    let reordered = told(NotificationFault::next(1, Reorder)).await;
    assert_eq!(reordered, ["planning", "pending", "applying", "applied"]);
    let alone = told(NotificationFault::always(Reorder).trigger("run:completed")).await;
    assert_eq!(alone, all);
}

#[tokio::test]
async fn a_receiver_that_is_away_is_told_once() {
    let (hcp, receiver) = (pair().await, Receiver::start().await);
    *receiver.status.lock().unwrap() = 503;
    hcp.notify_of("network", &receiver.url, TOKEN, &["run:completed"]);
    hcp.notify_of("network", "http://127.0.0.1:1/", TOKEN, &["run:completed"]);
    hcp.start_run("network", RunOptions::default());
    hcp.settled().await;
    let mut outcomes: Vec<_> = hcp.deliveries().iter().map(|delivery| format!("{:?}", delivery.outcome)).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["Answered(503)", "Unreachable"]);
}
