use std::fmt::Write as _;
use std::path::Path;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use sluice_domain::{Host, Standing, Timestamp};

use super::*;
use crate::signature::{Keys, verify};

fn host() -> Host {
    "app.terraform.io".parse().unwrap()
}

/// What a body means once it is let in.
fn hear(body: &[u8]) -> Result<Vec<Heard>, Malformed> {
    let verified = verify(body, None, &Keys::new([]).allow_unsigned()).unwrap();
    Notification::parse(verified)?.events(&host())
}

fn told(meaning: &Result<Vec<Heard>, Malformed>) -> String {
    let one = |heard: &Heard| match heard {
        Heard::Verification => "verification".to_owned(),
        Heard::Ignored { trigger, why } => format!("ignored {trigger}: {why}"),
        Heard::Run(report) => format!(
            "{} {} in {} ({}), created {}, since {}",
            report.run, report.standing, report.workspace, report.workspace_id, report.created_at, report.at
        ),
    };
    match meaning {
        Ok(heard) => heard.iter().map(one).collect::<Vec<_>>().join("; "),
        Err(malformed) => sluice_domain::chain(malformed),
    }
}

fn events() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/notification");
    let mut events: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    events.sort();
    events
}

/// A run's notification with `members` set; `notifications` is of its one piece of news.
fn run(news: &serde_json::Value, members: &[(&str, serde_json::Value)]) -> Vec<u8> {
    let mut body: serde_json::Value = serde_json::from_slice(&event("run-applied")).unwrap();
    body["notifications"] = news.clone();
    for (name, value) in members {
        body[name] = value.clone();
    }
    serde_json::to_vec(&body).unwrap()
}

fn event(name: &str) -> Vec<u8> {
    events().into_iter().find(|(found, _)| found == name).unwrap().1
}

#[track_caller]
fn check_body(body: &[u8], expect: &Expect) {
    expect.assert_eq(&told(&hear(body)));
}

/// One piece of news: trigger, trigger type, status.
#[track_caller]
fn standing(trigger: &str, precise: Option<&str>, status: Option<&str>, expect: Option<Standing>) {
    let news = serde_json::json!([{"trigger": trigger, "trigger_type": precise, "run_status": status}]);
    let heard = hear(&run(&news, &[])).unwrap();
    let found = match &heard[..] {
        [Heard::Run(report)] => Some(report.standing),
        [Heard::Ignored { .. }] => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(found, expect, "{trigger} {precise:?} {status:?}");
}

#[test]
fn every_sample_means_what_it_should() {
    let mut meanings = String::new();
    for (name, body) in events() {
        writeln!(meanings, "{name}: {}", told(&hear(&body))).unwrap();
    }
    expect![[r"
        assessment-drifted: ignored assessment:drifted: not a payload of version 1
        auto-destroy-reminder: ignored workspace:auto_destroy_reminder: not a payload of version 1
        change-request: ignored none: no news of a run
        granular-2026: run-EXAMPLE000000001 waiting for a person in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:03:00.000Z
        granular-2026-trigger-type: run-EXAMPLE000000001 canceled in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:03:00.000Z
        run-applied: run-EXAMPLE000000001 applied in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:03:00.000Z
        run-applying: run-EXAMPLE000000001 applying in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:02:00.000Z
        run-canceled: run-EXAMPLE000000001 canceled in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:03:00.000Z
        run-created: run-EXAMPLE000000001 pending in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:00:00.000Z
        run-errored: run-EXAMPLE000000001 errored in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:03:00.000Z
        run-needs-attention: run-EXAMPLE000000001 waiting for a person in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:01:00.000Z
        run-planned-and-finished: run-EXAMPLE000000001 without changes in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:03:00.000Z
        run-planning: run-EXAMPLE000000001 planning in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:00:20.000Z
        unknown-trigger: ignored run:teleported: neither its status nor its trigger tells where the run stands
        verification: verification
    "]].assert_eq(&meanings);
}

#[test]
fn the_status_tells_more_than_the_trigger() {
    standing("run:completed", None, Some("applied"), Some(Standing::Applied));
    standing("run:completed", None, Some("planned_and_finished"), Some(Standing::NoChanges));
    standing("run:completed", None, Some("discarded"), Some(Standing::Discarded));
    standing("run:errored", None, Some("force_canceled"), Some(Standing::Canceled));
    standing("run:created", None, Some("planning"), Some(Standing::Planning));
    standing("run:teleported", None, Some("applied"), Some(Standing::Applied));
}

#[test]
fn a_completed_run_of_unknown_status_is_not_taken_for_an_applied_one() {
    standing("run:completed", None, None, None);
    standing("run:completed", None, Some("teleported"), None);
    standing("run:completed", None, Some("assessed"), None);
}

#[test]
fn without_a_known_status_the_trigger_tells() {
    for (trigger, expect) in [
        ("run:created", Standing::Pending),
        ("run:planning", Standing::Planning),
        ("run:cost_estimated", Standing::Planning),
        ("run:policies_checked", Standing::Planning),
        ("run:needs_attention", Standing::AwaitingPerson),
        ("run:pending_apply_approval", Standing::AwaitingPerson),
        ("run:policy_override_required", Standing::AwaitingPerson),
        ("run:policy_soft_failed", Standing::AwaitingPerson),
        ("run:applying", Standing::Applying),
        ("run:errored", Standing::Errored),
        ("run:run_errored", Standing::Errored),
        ("run:run_canceled", Standing::Canceled),
    ] {
        standing(trigger, None, None, Some(expect));
        standing(trigger, None, Some("teleported"), Some(expect));
    }
}

#[test]
fn the_precise_trigger_goes_before_the_coarse_one() {
    standing("run:errored", Some("run:run_canceled"), None, Some(Standing::Canceled));
    standing("run:errored", Some("run_canceled"), None, Some(Standing::Canceled));
    standing("run:errored", Some("run:teleported"), None, Some(Standing::Errored));
    standing("run:needs_attention", Some("run:cost_estimated"), Some("cost_estimated"), Some(Standing::Planning));
}

#[test]
fn a_plan_waits_for_a_person_only_where_the_trigger_says_so() {
    for status in ["planned", "cost_estimated", "policy_checked"] {
        standing("run:needs_attention", None, Some(status), Some(Standing::AwaitingPerson));
        standing("run:pending_apply_approval", None, Some(status), Some(Standing::AwaitingPerson));
        standing("run:planning", None, Some(status), Some(Standing::Planning));
    }
    standing("run:needs_attention", None, Some("applied"), Some(Standing::Applied));
}

#[test]
fn every_documented_status_stands_somewhere() {
    let statuses = "pending fetching fetching_completed pre_plan_running pre_plan_completed \
        pre_plan_awaiting_decision queuing plan_queued planning planned tf_policy_checked tf_policy_override \
        post_plan_running post_plan_completed post_plan_awaiting_decision cost_estimating cost_estimated \
        policy_checking policy_override policy_soft_failed policy_checked confirmed pre_apply_running \
        pre_apply_completed pre_apply_awaiting_decision queuing_apply apply_queued applying post_apply_running \
        post_apply_completed applied discarded errored canceled force_canceled planned_and_finished planned_and_saved";
    let ended: Vec<&str> = statuses
        .split_whitespace()
        .filter(|status| standing_of_status(status).unwrap_or_else(|| panic!("{status}")).ended())
        .collect();
    assert_eq!(ended.join(" "), "applied discarded errored canceled force_canceled planned_and_finished");
    assert_eq!(standing_of_status("assessed"), None);
}

#[test]
fn of_several_pieces_of_news_the_furthest_counts() {
    let news = serde_json::json!([
        {"trigger": "run:planning", "run_status": "planning", "run_updated_at": "2026-11-20T10:01:00.000Z"},
        {"trigger": "run:completed", "run_status": "applied", "run_updated_at": "2026-11-20T10:03:00.000Z"},
        {"trigger": "run:applying", "run_status": "applying", "run_updated_at": "2026-11-20T10:02:00.000Z"},
        {"trigger": "verification"},
        {"trigger": "moon:full"},
    ]);
    check_body(
        &run(&news, &[]),
        &expect![
            "verification; ignored moon:full: not a trigger of runs; run-EXAMPLE000000001 applied in app.terraform.io/acme/network (ws-EXAMPLE0000000001), created 2026-11-20T10:00:00.000Z, since 2026-11-20T10:03:00.000Z"
        ],
    );
}

#[test]
fn what_is_missing_or_wrong_in_news_of_a_run_is_named() {
    let news = serde_json::json!([{"trigger": "run:completed", "run_status": "applied"}]);
    let null = serde_json::Value::Null;
    for field in ["run_id", "workspace_id", "workspace_name", "organization_name", "run_created_at"] {
        let body = run(&news, &[(field, null.clone())]);
        assert_eq!(hear(&body).unwrap_err(), Malformed::Missing(field));
        let body = run(&news, &[(field, "no such / thing".into())]);
        assert!(sluice_domain::chain(&hear(&body).unwrap_err()).starts_with(&format!("{field} is not valid: ")));
    }
    let late = serde_json::json!([{"trigger": "run:completed", "run_status": "applied", "run_updated_at": "later"}]);
    check_body(&run(&late, &[]), &expect!["run_updated_at is not valid: not an RFC 3339 timestamp since 1970"]);
}

#[test]
fn members_that_do_not_matter_may_be_anything() {
    for odd in [r#"{"a":[null]}"#, "[[]]", "true", "-1", "1.5", "null"] {
        let body = format!(
            r#"{{"payload_version":{odd},"trigger":{odd},"zzz":{odd},"notifications":[{{"trigger":"run:created","trigger_type":{odd},"run_status":{odd}}}],"run_id":"run-a","workspace_id":"ws-a","workspace_name":"a","organization_name":"o","run_created_at":"2026-11-20T10:00:00Z"}}"#
        );
        assert!(matches!(&hear(body.as_bytes()).unwrap()[..], [Heard::Run(_)]), "{odd}");
    }
}

#[test]
fn what_is_not_a_notification_is_malformed_and_not_quoted() {
    for (body, expect) in [
        (&b""[..], expect!["the body is not a JSON object"]),
        (b"[1]", expect!["the body is not a JSON object"]),
        (b"{", expect!["the body is not the JSON of a notification, at line 1, column 1"]),
        (
            br#"{"notifications":"hunter2"}"#,
            expect!["the body is not the JSON of a notification, at line 1, column 26"],
        ),
        (b"{}{}", expect!["the body is not the JSON of a notification, at line 1, column 3"]),
        (b"{}", expect!["ignored none: no news of a run"]),
        (
            br#"{"payload_version":2,"trigger":"assessment:failed","notifications":[{"trigger":"run:created"}]}"#,
            expect!["ignored assessment:failed: not a payload of version 1"],
        ),
    ] {
        check_body(body, &expect);
    }
}

#[test]
fn an_ignored_trigger_is_kept_short() {
    let body = format!(r#"{{"payload_version":2,"trigger":"{}"}}"#, "é".repeat(5_000));
    let heard = hear(body.as_bytes()).unwrap();
    let [Heard::Ignored { trigger, .. }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(trigger.chars().count(), 64);
}

#[test]
fn timestamps_are_read_to_the_millisecond() {
    for (text, expect) in [
        ("2026-11-20T10:00:00.000Z", Ok(1_795_168_800_000)),
        ("2026-11-20T10:00:00.123Z", Ok(1_795_168_800_123)),
        ("2026-11-20T12:00:00+02:00", Ok(1_795_168_800_000)),
        ("1970-01-01T00:00:00Z", Ok(0)),
        ("1969-12-31T23:59:59.999Z", Err(InvalidTimestamp)),
        ("2026-11-20", Err(InvalidTimestamp)),
        ("", Err(InvalidTimestamp)),
    ] {
        assert_eq!(parse_timestamp(text), expect.map(Timestamp), "{text}");
    }
}

#[test]
fn cut_or_flipped_samples_never_panic() {
    for (_, body) in events() {
        for end in 0..body.len() {
            let _ = hear(&body[..end]);
        }
        for at in 0..body.len() * 8 {
            let mut flipped = body.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let _ = hear(&flipped);
        }
    }
}

proptest! {
    #[test]
    fn every_timestamp_that_is_printed_is_read(ms in 0_u64..253_402_300_800_000) {
        prop_assert_eq!(parse_timestamp(&Timestamp(ms).to_string()), Ok(Timestamp(ms)));
    }

    #[test]
    fn any_bytes_are_heard_or_malformed(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = hear(&body);
    }
}
