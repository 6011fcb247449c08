//! What is found, and the steps from there.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;
use crate::gate::{Enforcement, Stage};

const URL: &str = "https://sluice.example/prod";

fn endpoint(url: &str) -> Endpoint {
    Endpoint::parse(url).unwrap()
}

fn aim() -> NotificationAim {
    NotificationAim {
        endpoint: endpoint(URL),
        former: vec![endpoint("https://old.example")],
        words: TriggerWords::Stable,
        rotate: false,
        none: false,
    }
}

fn found(id: &str, url: &str) -> NotificationFound {
    NotificationFound {
        id: format!("nc-{id}").parse().unwrap(),
        name: "sluice".into(),
        destination_type: "generic".into(),
        url: Some(url.into()),
        enabled: true,
        triggers: TriggerWords::Stable.all(),
        last: Some(DeliveryResponse { code: Some(202), successful: true, sent_at: None }),
    }
}

fn ours(id: &str) -> NotificationFound {
    found(id, "https://sluice.example/prod/notifications")
}

fn answered(id: &str, code: Option<u16>) -> NotificationFound {
    NotificationFound { last: Some(DeliveryResponse { code, successful: false, sent_at: None }), ..ours(id) }
}

#[track_caller]
fn check(aim: &NotificationAim, found: &[NotificationFound], expect: &str) {
    let told = match plan_notifications(aim, found) {
        NotificationPlan::Right => "right".to_owned(),
        NotificationPlan::Refused(refusal) => format!("refused: {refusal}"),
        NotificationPlan::Steps(steps) => steps.iter().map(step).collect::<Vec<_>>().join("; "),
    };
    assert_eq!(told, expect);
}

fn step(step: &NotificationStep) -> String {
    match step {
        NotificationStep::Create { triggers } => format!("create with {} triggers", triggers.len()),
        NotificationStep::Update { id, repairs, .. } => {
            let repairs: Vec<_> = repairs.iter().map(ToString::to_string).collect();
            format!("update {id}: {}", repairs.join(" and "))
        }
        NotificationStep::Delete { id, double } => format!("delete {id}{}", if *double { ", a double" } else { "" }),
    }
}

#[test]
fn what_is_missing_is_created_and_what_is_right_is_left() {
    check(&aim(), &[], "create with 5 triggers");
    check(&aim(), &[ours("1")], "right");
    check(&aim(), &[NotificationFound { last: None, ..ours("1") }], "right");
    // However the same URL is written, and whoever else is told.
    check(
        &aim(),
        &[found("1", "HTTPS://Sluice.Example:443/prod/notifications/"), found("2", "https://else.example")],
        "right",
    );
    let more = ours("1").triggers.into_iter().chain(["assessment:drifted".to_owned()]).collect();
    check(&aim(), &[NotificationFound { triggers: more, ..ours("1") }], "right");
}

#[test]
fn others_are_left_alone() {
    let slack = NotificationFound { destination_type: "slack".into(), ..ours("1") };
    let mail = NotificationFound { destination_type: "email".into(), url: None, ..ours("2") };
    let paths = found("3", "https://sluice.example/prod/Notifications");
    check(&aim(), &[slack, mail, paths, found("4", "https://sluice.example/notifications")], "create with 5 triggers");
}

#[test]
fn what_is_broken_is_mended() {
    check(&aim(), &[NotificationFound { enabled: false, ..ours("1") }], "update nc-1: it is disabled");
    let deaf = NotificationFound { triggers: ["run:completed".to_owned()].into(), ..ours("1") };
    let missing = "it does not tell of run:planning, run:applying, run:errored, run:needs_attention";
    check(&aim(), &[deaf], &format!("update nc-1: {missing}"));
    check(&aim(), &[answered("1", Some(401))], "update nc-1: its token is refused with 401");
    check(&aim(), &[found("1", "https://old.example/notifications")], "update nc-1: its URL is a former one");
    check(&NotificationAim { rotate: true, ..aim() }, &[ours("1")], "update nc-1: its token is to be replaced");
    // A receiver that was away needs no new configuration.
    for code in [Some(503), Some(404), None] {
        check(&aim(), &[answered("1", code)], "right");
    }
}

#[test]
fn what_has_to_be_mended_may_tell_all_the_same() {
    let rotate = NotificationAim { rotate: true, ..aim() };
    let told = |triggers: &[&str]| NotificationFound {
        triggers: triggers.iter().map(|&it| it.to_owned()).collect(),
        ..ours("1")
    };
    for (found, expect) in [
        (ours("1"), true),
        (told(&["run:completed"]), true),
        (told(&["run:errored"]), false),
        (found("1", "https://old.example/notifications"), true),
        (found("1", "https://else.example/notifications"), false),
        (NotificationFound { enabled: false, ..ours("1") }, false),
        (answered("1", Some(503)), true),
        (answered("1", Some(401)), false),
    ] {
        assert_eq!(tells(&rotate, std::slice::from_ref(&found)), expect, "{found:?}");
    }
}

#[test]
fn of_several_the_best_is_kept() {
    check(&aim(), &[ours("2"), ours("1"), ours("3")], "delete nc-2, a double; delete nc-3, a double");
    let off = NotificationFound { enabled: false, ..ours("1") };
    check(&aim(), &[off.clone(), ours("2")], "delete nc-1, a double");
    let old = found("3", "https://old.example/notifications");
    check(&aim(), &[old.clone(), ours("4")], "delete nc-3, a double");
    check(&aim(), &[old, off], "update nc-1: it is disabled; delete nc-3, a double");
}

#[test]
fn a_full_workspace_is_refused_unless_one_of_them_is_ours() {
    let mut all: Vec<_> = (0..20).map(|n| found(&n.to_string(), "https://else.example")).collect();
    check(
        &aim(),
        &all,
        "refused: there are 20 notification configurations, which is all that HCP Terraform allows: delete one",
    );
    all[7] = NotificationFound { enabled: false, ..ours("7") };
    check(&aim(), &all, "update nc-7: it is disabled");
}

#[test]
fn to_disconnect_is_to_delete_what_is_ours() {
    let aim = NotificationAim { none: true, ..aim() };
    let old = found("3", "https://old.example/notifications");
    check(&aim, &[ours("1"), found("2", "https://else.example"), old], "delete nc-1; delete nc-3");
    check(&aim, &[found("2", "https://else.example")], "right");
}

#[test]
fn old_words_and_new_ones_are_heard_alike() {
    let check = |told: &str, words: TriggerWords, missing: &str, then: &str| {
        let told: BTreeSet<String> = told.split_whitespace().map(|word| format!("run:{word}")).collect();
        let told_missing: Vec<_> = TriggerWords::missing(&told).map(|word| word.trim_start_matches("run:")).collect();
        assert_eq!(told_missing.join(" "), missing);
        let after = words.added_to(&told);
        assert_eq!(TriggerWords::missing(&after).next(), None);
        assert!(after.is_superset(&told) || words == TriggerWords::Granular);
        let after: Vec<_> = after.iter().map(|word| word.trim_start_matches("run:")).collect();
        assert_eq!(after.join(" "), then);
    };
    let granular = "applying completed cost_estimated pending_apply_approval planning policies_checked \
                    policy_override_required policy_soft_failed run_canceled run_errored";
    let stable = "applying completed errored needs_attention planning";
    check("", TriggerWords::Stable, "completed planning applying errored needs_attention", stable);
    check("", TriggerWords::Granular, "completed planning applying errored needs_attention", granular);
    check(granular, TriggerWords::Stable, "", granular);
    check(stable, TriggerWords::Granular, "", granular);
    check(
        "run_errored created planning",
        TriggerWords::Stable,
        "completed applying errored needs_attention",
        "applying completed created errored needs_attention planning run_errored",
    );
}

#[test]
fn an_endpoint_is_an_address_and_knows_its_own() {
    for (text, expect) in [
        ("https://Sluice.Example/", Some("https://sluice.example")),
        (" https://sluice.example/notifications/ ", Some("https://sluice.example")),
        ("https://sluice.example:443/prod", Some("https://sluice.example/prod")),
        ("http://10.0.0.1:8080", Some("http://10.0.0.1:8080")),
        ("http://host:80/x", Some("http://host/x")),
        ("https://old.example/prod/run-tasks/guard", Some("https://old.example/prod")),
        ("https://old.example/run-tasks/", Some("https://old.example")),
        ("https://old.example/run-tasks/a/b", Some("https://old.example/run-tasks/a/b")),
        ("https://run-tasks/guard", Some("https://run-tasks/guard")),
        ("sluice.example", None),
        ("ftp://sluice.example", None),
        ("https://", None),
        ("https://jo:secret@sluice.example", None),
        ("https://sluice.example/?a=b", None),
        ("https://sluice.example/#there", None),
        ("https://a b", None),
    ] {
        assert_eq!(Endpoint::parse(text).ok().map(|it| it.to_string()).as_deref(), expect, "{text}");
    }
    let at = |url: &str| endpoint(URL).run_task_at(url).map(|name| name.to_string());
    assert_eq!(at("https://sluice.example/prod/run-tasks/guard/").as_deref(), Some("guard"));
    assert_eq!(at("https://sluice.example/production/run-tasks/guard"), None);
    assert_eq!(at("https://sluice.example/prod/run-tasks/a/b"), None);
}

#[test]
fn of_a_url_only_scheme_and_host_are_told() {
    for (url, expect) in [
        ("https://jo:secret@sluice.example:8443/x", "https://sluice.example:8443"),
        ("https://else.example/hook/secret?key=secret#secret", "https://else.example"),
        ("https://else.example?key=secret", "https://else.example"),
        ("https://jo:se/cret@sluice.example", "https://…"),
        ("jo:secret@sluice.example/secret", "sluice.example"),
        ("sluice.example", "sluice.example"),
    ] {
        assert_eq!(host_of(url), expect);
    }
}

fn task_aim(workspaces: &[&str]) -> RunTaskAim {
    RunTaskAim {
        name: "guard".parse().unwrap(),
        stages: [Stage::PostPlan].into(),
        enforcement: Enforcement::Mandatory,
        enforce: false,
        endpoint: endpoint(URL),
        former: vec![endpoint("https://old.example")],
        global: false,
        workspaces: workspaces.iter().map(|id| id.parse().unwrap()).collect(),
        rotate: false,
    }
}

fn task(id: &str, url: &str, attached: &[(&str, Stage, Enforcement)]) -> RunTaskFound {
    let attachment = |(workspace, stage, enforcement): &(&str, Stage, Enforcement)| AttachmentFound {
        id: format!("wstask-{workspace}").parse().unwrap(),
        workspace: workspace.parse().unwrap(),
        stages: [*stage].into(),
        enforcement: *enforcement,
    };
    RunTaskFound {
        id: format!("task-{id}").parse().unwrap(),
        name: "guard".into(),
        url: url.into(),
        enabled: true,
        global: None,
        attachments: attached.iter().map(attachment).collect(),
    }
}

#[track_caller]
fn check_task(aim: &RunTaskAim, found: &[RunTaskFound], expect: &str) {
    let plan = plan_run_task(aim, found);
    let mut told = match &plan.task {
        RunTaskStep::Right(id) => format!("right {id}"),
        RunTaskStep::Create { global } => format!("create{}", if global.is_some() { " for all" } else { "" }),
        RunTaskStep::Update { id, repairs, .. } => {
            format!("update {id}: {}", repairs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "))
        }
        RunTaskStep::Delete(id) => format!("delete {id}"),
        RunTaskStep::NameTaken { url } => format!("taken by {url}"),
    };
    for step in &plan.attachments {
        let (verb, settings) = match step {
            AttachmentStep::Attach { settings, .. } => ("attach", settings),
            AttachmentStep::Update { settings, .. } => ("change", settings),
            AttachmentStep::Detach { .. } => unreachable!("nobody is made to ask no more"),
        };
        let _ = write!(told, "; {verb} {} {:?} {:?}", step.workspace(), settings.enforcement, settings.stages);
    }
    assert_eq!(told, expect);
    assert_eq!(plan.is_right(), told.starts_with("right") && plan.attachments.is_empty());
}

const TASK: &str = "https://sluice.example/prod/run-tasks/guard";

#[test]
fn a_run_task_is_created_and_attached() {
    let aim = task_aim(&["ws-a", "ws-b"]);
    check_task(&aim, &[], "create; attach ws-a Mandatory {PostPlan}; attach ws-b Mandatory {PostPlan}");
    let attached =
        [("ws-a", Stage::PostPlan, Enforcement::Mandatory), ("ws-b", Stage::PostPlan, Enforcement::Mandatory)];
    check_task(&aim, &[task("1", TASK, &attached)], "right task-1");
    check_task(&aim, &[task("1", TASK, &attached[..1])], "right task-1; attach ws-b Mandatory {PostPlan}");
    check_task(&task_aim(&["ws-a"]), &[task("1", TASK, &attached)], "right task-1");
    check_task(&aim, &[task("1", "https://else.example", &attached)], "taken by https://else.example");
    // Of two that ask the same, the one that workspaces have is ours.
    check_task(&aim, &[task("1", TASK, &[]), task("2", TASK, &attached)], "right task-2");
}

#[test]
fn a_run_task_is_mended() {
    let aim = task_aim(&["ws-a"]);
    let attached = [("ws-a", Stage::PostPlan, Enforcement::Mandatory)];
    let off = RunTaskFound { enabled: false, ..task("1", TASK, &attached) };
    check_task(&aim, &[off], "update task-1: it is disabled");
    let old = task("1", "https://old.example/run-tasks/guard/", &attached);
    check_task(&aim, std::slice::from_ref(&old), "update task-1: its URL is a former one");
    check_task(&aim, &[old, task("2", TASK, &attached)], "right task-2");
    check_task(
        &RunTaskAim { rotate: true, ..aim.clone() },
        &[task("1", TASK, &attached)],
        "update task-1: its key is to be replaced",
    );
    let early = [("ws-a", Stage::PrePlan, Enforcement::Advisory)];
    check_task(&aim, &[task("1", TASK, &early)], "right task-1; change ws-a Advisory {PostPlan}");
}

#[test]
fn a_persons_choice_of_enforcement_stands_unless_another_is_asked_for() {
    let advisory = [("ws-a", Stage::PostPlan, Enforcement::Advisory)];
    let aim = task_aim(&["ws-a"]);
    check_task(&aim, &[task("1", TASK, &advisory)], "right task-1");
    let aim = RunTaskAim { enforce: true, ..aim };
    check_task(&aim, &[task("1", TASK, &advisory)], "right task-1; change ws-a Mandatory {PostPlan}");
}

#[test]
fn what_every_workspace_asks_is_attached_to_none() {
    let aim = RunTaskAim { global: true, ..task_aim(&["ws-a"]) };
    check_task(&aim, &[], "create for all");
    let asked = |stage, enforcement| {
        let global = GlobalTask { stages: [stage].into(), enforcement };
        RunTaskFound { global: Some(global), ..task("1", TASK, &[]) }
    };
    check_task(&aim, &[asked(Stage::PostPlan, Enforcement::Advisory)], "right task-1");
    check_task(&task_aim(&["ws-a"]), &[asked(Stage::PostPlan, Enforcement::Advisory)], "right task-1");
    let early = [asked(Stage::PrePlan, Enforcement::Advisory)];
    check_task(&aim, &early, "update task-1: not every workspace asks it as it has to");
    let RunTaskStep::Update { global: Some(global), .. } = plan_run_task(&aim, &early).task else {
        panic!("an update")
    };
    assert_eq!((global.enforcement, global.stages), (Enforcement::Advisory, [Stage::PostPlan].into()));
    check_task(&task_aim(&["ws-a"]), &early, "right task-1; attach ws-a Mandatory {PostPlan}");
}

#[test]
fn a_level_that_is_asked_for_is_that_of_every_workspace_too() {
    let aim = RunTaskAim { enforce: true, ..task_aim(&["ws-a"]) };
    let asked = |enforcement| {
        let stages = [Stage::PrePlan, Stage::PostPlan].into();
        RunTaskFound { global: Some(GlobalTask { stages, enforcement }), ..task("1", TASK, &[]) }
    };
    check_task(&aim, &[asked(Enforcement::Mandatory)], "right task-1");
    let advisory = [asked(Enforcement::Advisory)];
    check_task(&aim, &advisory, "update task-1: not every workspace asks it as it has to");
    let RunTaskStep::Update { global, .. } = plan_run_task(&aim, &advisory).task else { panic!("an update") };
    assert_eq!(global, asked(Enforcement::Mandatory).global, "the stages stay");
    check_task(&task_aim(&["ws-a"]), &advisory, "right task-1");
}

#[test]
fn to_disconnect_is_to_delete_our_run_tasks_or_to_take_them_from_some() {
    let attached =
        [("ws-a", Stage::PostPlan, Enforcement::Mandatory), ("ws-b", Stage::PostPlan, Enforcement::Mandatory)];
    let found = [task("1", TASK, &attached), task("2", "https://else.example/run-tasks/guard", &attached)];
    let endpoint = endpoint(URL);
    let all = plan_run_task_removal(&[&endpoint], &found, None);
    let [(_, RunTaskPlan { task: RunTaskStep::Delete(id), attachments })] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((id.as_str(), attachments.len()), ("task-1", 0));
    let some = plan_run_task_removal(&[&endpoint], &found, Some(&["ws-b".parse().unwrap()].into()));
    let [(_, RunTaskPlan { task: RunTaskStep::Right(_), attachments })] = some.as_slice() else { panic!("{some:?}") };
    assert_eq!(attachments.iter().map(|step| step.workspace().as_str()).collect::<Vec<_>>(), ["ws-b"]);
}

#[test]
fn workspaces_are_chosen_by_name_tag_and_project() {
    let seen = |name: &str, tags: &[&str], project: Option<&str>| WorkspaceSeen {
        id: "ws-1".parse().unwrap(),
        name: name.into(),
        project: project.map(|id| id.parse().unwrap()),
        execution_mode: None,
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        may: WorkspaceMay::default(),
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let choice = |names: &[&str], tags: &[&str], projects: Option<&[&str]>| Choice {
        names: words(names),
        tags: words(tags).into_iter().collect(),
        projects: projects.map(|ids| ids.iter().map(|id| id.parse().unwrap()).collect()),
    };
    let app = seen("app-1", &["prod", "eu"], Some("prj-a"));
    for (choice, expect) in [
        (choice(&[], &[], None), true),
        (choice(&["app-*"], &[], None), true),
        (choice(&["web-*", "app-1"], &[], None), true),
        (choice(&["app"], &[], None), false),
        (choice(&[], &["prod", "eu"], None), true),
        (choice(&[], &["prod", "us"], None), false),
        (choice(&[], &[], Some(&["prj-b", "prj-a"])), true),
        (choice(&["app-*"], &["prod"], Some(&["prj-b"])), false),
        (choice(&[], &[], Some(&[])), false),
    ] {
        assert_eq!(choice.takes(&app), expect, "{choice:?}");
    }
    assert!(!choice(&[], &[], Some(&["prj-a"])).takes(&seen("app", &[], None)));
    assert!(choice(&[], &[], Some(&["prj-a"])).is_whole_projects());
    assert!(!choice(&[], &["prod"], None).is_whole_projects());
}
