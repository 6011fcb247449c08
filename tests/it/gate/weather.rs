//! HCP Terraform in bad weather: the last word is said until it is heard, or refused for good.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_domain::gate::SaidEnd;
use sluice_tests::hcp::{ApiFault, ApiMishap, Route, TaskResultStatus, TaskResultView};

use super::checker::body;
use super::scene::{Scene, after_plan, status};

fn preview() -> Value {
    after_plan(&json!([{ "name": "preview", "kind": "preview" }]))
}

/// What comes of one answer where the next callbacks, or downloads of the plan, strike this.
async fn struck(route: Route, mishaps: &[ApiMishap]) -> (TaskResultView, SaidEnd) {
    let scene = Scene::of("a\n b: a").await;
    scene.gate("a", &preview()).await;
    scene.hcp().faults(|faults| {
        faults.api.extend(mishaps.iter().map(|mishap| ApiFault::next(route, 1, *mishap)));
    });
    let result = scene.change("a").await;
    let end = scene.ended(&result.id).await;
    let result = scene.hcp().task_result(&result.id).unwrap();
    assert_eq!(result.status, TaskResultStatus::Passed, "{mishaps:?}: {result:#?}");
    assert_eq!(result.accepted_finals(), 1, "{mishaps:?}: {result:#?}");
    scene.world.rest().await;
    assert_eq!(scene.world.table.dead_letters(10).await.unwrap(), []);
    scene.end().await;
    (result, end)
}

#[tokio::test]
async fn a_callback_that_was_not_heard_is_said_again() {
    let limited = ApiMishap::RateLimited { reset_seconds: 0.2 };
    for mishaps in [
        &[ApiMishap::Status(500), ApiMishap::Status(503)][..],
        &[limited, ApiMishap::CutBeforeEffect],
        &[ApiMishap::Status(408)],
    ] {
        let (result, end) = struck(Route::TaskResultCallback, mishaps).await;
        assert!(matches!(end, SaidEnd::Accepted { .. }), "{mishaps:?}: {end:?}");
        assert_eq!(result.callbacks.len(), mishaps.len() + 1, "{mishaps:?}");
    }
}

#[tokio::test]
async fn a_callback_that_was_heard_without_our_knowing_is_said_again_and_refused() {
    for mishap in [ApiMishap::CutAfterEffect, ApiMishap::StatusAfterEffect(504)] {
        let (result, end) = struck(Route::TaskResultCallback, &[mishap]).await;
        assert!(matches!(end, SaidEnd::Refused { status: 409, .. }), "{mishap:?}: {end:?}");
        assert_eq!(result.callbacks.len(), 2, "{mishap:?}");
    }
}

#[tokio::test]
async fn a_callback_whose_answer_comes_slowly_or_broken_was_heard() {
    for mishap in [ApiMishap::SlowBody(Duration::from_millis(20)), ApiMishap::NotJson] {
        let (result, end) = struck(Route::TaskResultCallback, &[mishap]).await;
        assert!(matches!(end, SaidEnd::Accepted { .. }), "{mishap:?}: {end:?}");
        assert_eq!(result.callbacks.len(), 1, "{mishap:?}");
    }
    // Whether the status comes through before the connection breaks is a matter of luck.
    let (_, end) = struck(Route::TaskResultCallback, &[ApiMishap::TruncatedBody]).await;
    assert!(matches!(end, SaidEnd::Accepted { .. } | SaidEnd::Refused { status: 409, .. }), "{end:?}");
}

#[tokio::test]
async fn outcomes_that_are_not_to_its_liking_do_not_cost_the_verdict() {
    let (result, end) = struck(Route::TaskResultCallback, &[ApiMishap::Status(422)]).await;
    assert!(matches!(end, SaidEnd::Accepted { .. }), "{end:?}");
    assert_eq!((result.callbacks.len(), &result.outcomes), (2, &json!([])));
}

#[tokio::test]
async fn a_plan_that_was_not_to_be_had_is_asked_for_again() {
    let routes = [
        (Route::PlanJson, ApiMishap::Status(503)),
        (Route::PlanJson, ApiMishap::CutBeforeEffect),
        (Route::Archivist, ApiMishap::Status(500)),
        (Route::Archivist, ApiMishap::TruncatedBody),
    ];
    for (route, mishap) in routes {
        let (result, _) = struck(route, &[mishap]).await;
        assert_eq!(result.message, "preview: 1 workspace will run after this, because of id", "{route:?} {mishap:?}");
    }
}

#[tokio::test]
async fn what_hcp_terraform_refuses_for_good_is_recorded_and_not_said_again() {
    let refused = [
        (&[ApiMishap::Status(422), ApiMishap::Status(422)][..], 422),
        (&[ApiMishap::Status(401)], 401),
        (&[ApiMishap::Status(404)], 404),
    ];
    for (mishaps, expected) in refused {
        let scene = Scene::of("a").await;
        scene.gate("a", &preview()).await;
        scene.hcp().faults(|faults| {
            faults.api.extend(mishaps.iter().map(|it| ApiFault::next(Route::TaskResultCallback, 1, *it)));
        });
        scene.world.change("a");
        scene.hcp().settled().await;
        let result = scene.hcp().task_results("a").pop().unwrap().id;
        assert!(
            matches!(scene.ended(&result).await, SaidEnd::Refused { status, .. } if status == expected),
            "{expected}"
        );
        let heard = scene.hcp().task_result(&result).unwrap();
        assert_eq!((heard.status, heard.callbacks.len()), (TaskResultStatus::Pending, mishaps.len()));
        scene.end().await;
    }
}

#[tokio::test]
async fn a_token_that_has_expired_is_the_end() {
    let mut scene = Scene::of("a").await;
    let checker = scene.checker().await;
    scene.hcp().task_options(|options| options.token_lifetime = Some(Duration::from_mins(10)));
    scene.gate("a", &after_plan(&json!([checker.check()]))).await;
    scene.world.change("a");
    let payload = checker.asked(1).await;
    // A word on the way every now and then keeps the result open, and not the token.
    for _ in 0..2 {
        scene.hcp().advance(Duration::from_mins(5));
    }
    assert_eq!(checker.call_back(&payload, &body("passed", "fine")).await, 200);
    let result = scene.hcp().task_results("a").pop().unwrap().id;
    let end = scene.ended(&result).await;
    assert!(matches!(end, SaidEnd::Refused { status: 401 | 409, .. }), "{end:?}");
    assert_eq!(scene.hcp().task_result(&result).unwrap().accepted_finals(), 0);
    scene.end().await;
}

#[tokio::test]
async fn a_run_that_is_canceled_wants_to_hear_no_more() {
    let mut scene = Scene::of("a").await;
    let checker = scene.checker().await;
    scene.gate("a", &after_plan(&json!([checker.check()]))).await;
    let run = scene.world.change("a");
    let payload = checker.asked(1).await;
    assert!(scene.hcp().cancel(&run));
    status(scene.hcp(), &run).await;
    let result = scene.hcp().task_results("a").pop().unwrap();
    assert_eq!(result.status, TaskResultStatus::Canceled);
    assert_eq!(checker.call_back(&payload, &body("failed", "too late")).await, 200);
    assert!(matches!(scene.ended(&result.id).await, SaidEnd::Refused { status: 409, .. }));
    assert_eq!(scene.hcp().task_result(&result.id).unwrap().accepted_finals(), 0);
    scene.end().await;
}

#[tokio::test]
async fn an_old_terraform_enterprise_is_told_without_outcomes() {
    let scene = Scene::of("a\n b: a").await;
    scene.hcp().task_options(|options| options.capabilities = false);
    scene.gate("a", &preview()).await;
    let result = scene.change("a").await;
    assert_eq!(result.status, TaskResultStatus::Passed);
    assert_eq!(result.message, "preview: 1 workspace will run after this, because of id");
    scene.world.rest().await;
    scene.end().await;
}
