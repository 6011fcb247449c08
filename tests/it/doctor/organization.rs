//! An organization of 500 workspaces, some of them misconfigured in every way that doctor knows.

use std::collections::BTreeMap;
use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use sluice_local::store::Embedded;
use sluice_tests::hcp::{
    ApiFault, ApiMishap, Enforcement, Limits, Route, RunTaskSpec, Stage as TaskStage, Timings, WorkspaceSpec,
};

use super::{Told, stranger};
use crate::lambda::aws;
use crate::serve::program::{NOTIFICATION_TOKEN, vars};
use crate::serve::stage::Stage;

const KEY: &str = "the-key-of-all-these-run-tasks";

/// A server, and an instance that answers as often as it is asked.
async fn stage() -> Stage {
    let more = vars([("SLUICE_API_REQUESTS_PER_SECOND", "4000"), ("GUARD_KEY", KEY)]);
    let stage = Stage::unheard("network", Timings::default(), more).await;
    stage.hcp.limits(Limits::NONE);
    stage
}

/// Names of workspaces by what is done to them.
type Groups = BTreeMap<&'static str, Vec<String>>;

fn misconfigure(stage: &Stage) -> Groups {
    let (hcp, url) = (&stage.hcp, format!("{}/notifications", stage.url));
    let mut groups = Groups::new();
    let kinds = [
        ("missing", 10),
        ("elsewhere", 3),
        ("disabled", 4),
        ("deaf", 3),
        ("refused", 5),
        ("failed", 2),
        ("lacking", 3),
        ("twice", 4),
        ("project", 5),
        ("local", 2),
        ("guarded", 3),
        ("slack", 1),
        ("healthy", 454),
    ];
    let kinds = kinds.iter().flat_map(|&(kind, count)| std::iter::repeat_n(kind, count));
    for (number, kind) in kinds.enumerate() {
        let name = format!("{kind}-{number:03}");
        let spec = WorkspaceSpec::new(&name);
        hcp.add_workspace(match kind {
            "twice" | "project" => spec.project("shared"),
            "local" => spec.execution_mode("local"),
            _ => spec,
        });
        let notify = || hcp.notify(&name, &url, NOTIFICATION_TOKEN);
        match kind {
            "missing" | "project" | "local" => {}
            "slack" => drop(hcp.notify_elsewhere(&name, "slack", &url)),
            "elsewhere" => drop(hcp.notify(&name, "https://old.example/hush/notifications", NOTIFICATION_TOKEN)),
            "disabled" => hcp.edit_notification(&notify(), |it| it.enabled = false),
            "deaf" => drop(hcp.notify_of(&name, &url, NOTIFICATION_TOKEN, &["run:errored"])),
            "lacking" => drop(hcp.notify_of(&name, &url, NOTIFICATION_TOKEN, &["run:completed", "run:planning"])),
            "refused" => hcp.edit_notification(&notify(), |it| it.answered = Some(401)),
            "failed" => hcp.edit_notification(&notify(), |it| it.answered = Some(502)),
            _ => drop(notify()),
        }
        if kind == "guarded" {
            hcp.guard(&name);
        }
        groups.entry(kind).or_default().push(format!("acme/{name}"));
    }
    hcp.notify_project("shared", &url, NOTIFICATION_TOKEN);
    groups
}

#[tokio::test]
async fn every_misconfigured_workspace_of_500_is_named_and_no_other() {
    let stage = stage().await;
    let groups = misconfigure(&stage);
    let told = stage.told(&["acme", "--url", &stage.url]).await;
    assert_eq!(told.code, Some(1));
    let listed = |line: &Value| -> Vec<String> {
        let all = line["names"].as_array().unwrap();
        all.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let connect = format!("sluice connect acme --url {}", stage.url);
    let both = |one: &str, other: &str| [groups[one].clone(), groups[other].clone()].concat();
    let with = |group: &str, detail: &str| groups[group].iter().map(|name| format!("{name} ({detail})")).collect();
    let expected: [(&str, &str, &str, Vec<String>); 9] = [
        ("wrong", "11 workspaces have no notification configuration for it", &connect, both("missing", "slack")),
        (
            "wrong",
            "3 workspaces have notifications sent to another URL",
            &connect,
            with("elsewhere", "https://old.example"),
        ),
        ("wrong", "4 workspaces have its notification configuration disabled", &connect, groups["disabled"].clone()),
        (
            "wrong",
            "3 workspaces have a notification configuration without the trigger run:completed",
            &connect,
            groups["deaf"].clone(),
        ),
        (
            "wrong",
            "5 workspaces have notifications signed with another token",
            "NOTIFICATION_TOKEN",
            groups["refused"].clone(),
        ),
        ("wrong", "the last notification of 2 workspaces was not taken", "mend the endpoint", with("failed", "502")),
        (
            "warning",
            "3 workspaces have a notification configuration that lacks triggers",
            &connect,
            with("lacking", "run:applying, run:errored, run:needs_attention"),
        ),
        ("warning", "4 workspaces have two notification configurations", "--prune", groups["twice"].clone()),
        (
            "warning",
            "the notification configurations of 3 workspaces are not to be seen",
            "admin",
            groups["guarded"].clone(),
        ),
    ];
    for (level, what, mend, mut names) in expected {
        let mut all = listed(told.says(level, what, mend));
        all.sort();
        names.sort();
        assert_eq!(all, names, "{what}");
    }
    told.says("aside", "2 workspaces run locally", "");
    // network, and those that are well, have a project that tells, lack only what can wait, or are told of twice.
    told.says("well", "the completed runs of 467 workspaces are told to it", "");
    assert_eq!((told.at("wrong").len(), told.at("warning").len()), (6, 3), "{:#}", told.report);
    assert!(!told.report.to_string().contains("healthy") && !told.report.to_string().contains("hush"));

    // For people, a line stays a line.
    let text = stage.sluice(&["doctor", "acme", "--url", &stage.url]).await.stdout;
    assert!(text.contains("acme/missing-007 and 3 more\n"), "{text}");
    assert!(
        text.contains("\n6 things are wrong, and 3 things could be better.\n")
            || text.ends_with("6 things are wrong, and 3 things could be better.\n"),
        "{text}"
    );
}

#[tokio::test]
async fn an_instance_that_keeps_failing_is_not_asked_for_ever() {
    let stage = stage().await;
    misconfigure(&stage);
    let mishap = ApiFault::every(Route::ListNotificationConfigurations, 1, ApiMishap::Status(502));
    stage.hcp.faults(|faults| faults.api.push(mishap));
    let told = stage.told(&["acme", "--url", &stage.url]).await;
    assert_eq!(told.code, Some(1));
    let line = told.says("wrong", "notification configurations could not be read: ", "try again");
    assert_eq!(line["names"].as_array().unwrap().len(), 498, "all but those that run locally");
    assert!(stage.hcp.count(Route::ListNotificationConfigurations) < 50);
}

#[tokio::test]
async fn each_run_task_that_is_not_asked_as_it_is_defined_is_told() {
    let stage = stage().await;
    let names = ["guard", "idle", "off", "moved", "unknown", "stray", "keyless"];
    let tasks: Vec<Value> = names
        .iter()
        .map(|name| {
            let key = if *name == "keyless" { "env:NO_KEY" } else { "env:GUARD_KEY" };
            json!({ "name": name, "hmac_keys": [key], "stages": ["post_plan"], "checks": [{ "name": "wave", "kind": "preview" }] })
        })
        .collect();
    let file = stage.data().join("tasks.json");
    std::fs::write(&file, json!({ "tasks": tasks }).to_string()).unwrap();
    assert_eq!(stage.sluice(&["tasks", file.to_str().unwrap()]).await.code, Some(0));
    let url = |name: &str| format!("{}/run-tasks/{name}", stage.url);
    let register = async |spec: RunTaskSpec| stage.hcp.create_run_task(spec.hmac_key(KEY)).await.unwrap();
    let attach =
        |task: &str| drop(stage.hcp.attach_run_task("network", task, Enforcement::Advisory, &[TaskStage::PostPlan]));
    attach(&register(RunTaskSpec::new("guard", &url("guard"))).await);
    register(RunTaskSpec::new("idle", &url("idle"))).await;
    attach(&register(RunTaskSpec::new("off", &url("off")).disabled()).await);
    let elsewhere = format!("{}/run-tasks/moved", stranger(200, None).await);
    attach(&register(RunTaskSpec::new("moved", &elsewhere)).await);
    attach(&register(RunTaskSpec::new("stray", &url("stray"))).await);
    forget(&stage.data(), "stray").await;

    let told = stage.told(&["acme", "--url", &stage.url]).await;
    assert_eq!(told.code, Some(1));
    told.says("well", "run task guard is asked by 1 workspace", "");
    told.says("well", "run task guard answers its verification", "");
    told.says("warning", "run task idle is attached to no workspace", "sluice connect acme");
    told.says("wrong", "run task off is disabled in acme", "sluice connect acme");
    let former = elsewhere.strip_suffix("/run-tasks/moved").unwrap();
    let replaces = format!("--replaces {former}, if that");
    told.says("wrong", "run task moved of acme is asked at another URL", &replaces);
    told.says("warning", "run task unknown is defined, and not registered in acme", "sluice connect acme");
    told.says("wrong", "run task stray asks stray, which is not defined", "sluice tasks FILE");
    told.says("aside", "run task keyless is not asked, as env:NO_KEY is not at hand here", "");
    told.says("well", "it refuses a run task request that is not signed", "");

    // A key that is another one there than here.
    let mut other = stage.vars.clone();
    other.insert("GUARD_KEY".to_owned(), "another-key-than-there-is".to_owned());
    let data = stage.data();
    let told = Told::by(&["acme", "--url", &stage.url, "--data-dir", data.to_str().unwrap()], &other).await;
    told.says("wrong", "run task guard is answered with 401: it has another key", "hmac_keys");
}

/// Takes a definition away, as Terraform does.
async fn forget(data: &Path, task: &str) {
    let store = Embedded::open(Some(data)).await.unwrap();
    let client = sluice_aws::client(&aws(&store.endpoint)).unwrap();
    let key = |text: &str| AttributeValue::S(text.to_owned());
    client.delete_item().table_name("sluice").key("pk", key("TASKS")).key("sk", key(task)).send().await.unwrap();
    store.close().await;
}
