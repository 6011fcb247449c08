//! What each function really asks of the table, while it does all that it can, held to what its role allows. That it
//! asks nothing else is held by every test that has a world: there, a table refuses what no role allows.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use sluice_domain::{Budgets, Policy};
use sluice_lambda::now;

use super::{Functions, set, ways};
use crate::context::scene::{Asker, Held, url};
use crate::gate::scene::{Scene, after_plan, assert_passed};
use crate::jobs::scene::{JobScene, image};
use crate::serve::client;
use crate::world::record::{self, Record};
use crate::world::{DIAMOND, OPERATORS, Settings, World, add};

/// A document that is too large for one item, so that its parts are put and deleted.
fn large(bytes: usize) -> String {
    json!({ "text": "x".repeat(bytes) }).to_string()
}

/// Runs that set off others, that are put off, and that meet a workspace that is gone.
async fn waves() {
    let budgets = Budgets { concurrent_runs: 1, ..Budgets::default() };
    let settings = Settings { policy: Policy { budgets, ..Policy::default() }, ..Settings::default() };
    let world = World::with(settings, |hcp| {
        add(hcp, "a\n b: a\n c: a");
        hcp.auto_apply("b", false);
        hcp.auto_apply("c", false);
    })
    .await;
    world.change("a");
    let held = async || ["b", "c"].iter().find(|name| !world.runs(name).is_empty()).copied();
    let runs = crate::gate::scene::until("nobody runs", held).await;
    world.until_held(if runs == "b" { "c" } else { "b" }, "1 runs are under way").await;
    sluice_sweeper::sweep(&record::watched(&world.table, "sweeper"), now().plus_ms(120_000)).await.unwrap();
    world.stop().await;

    let world = World::of(DIAMOND).await;
    world.change("network");
    world.rest().await;
    world.hcp.delete("app");
    world.change("network");
    world.rest().await;
    world.stop().await;
}

/// A task whose checks are all that task-runner carries out itself, but for other checkers.
async fn gate() {
    let scene = Scene::of(DIAMOND).await;
    scene.policy("any", "package main\n\nimport rego.v1\n\ndeny contains \"no\" if input.never\n").await;
    let checks = json!([
        { "name": "upstream", "kind": "upstream" },
        { "name": "preview", "kind": "preview" },
        { "name": "consumers", "kind": "consumers" },
        { "name": "policy", "kind": "rego", "policy": "any" },
    ]);
    scene.gate("network", &after_plan(&checks)).await;
    assert_passed(&scene.change("network").await);
    scene.world.rest().await;
    scene.end().await;
}

/// A task that another checker answers, and whose context is written meanwhile.
async fn checkers_and_contexts() {
    let held = Held::new().await;
    for bytes in [310_000, 320_000, 10] {
        held.check.post(large(bytes)).await.document();
    }
    held.operator().get().await.document();
    held.pass().await;
    held.until_over().await;
    held.scene.end().await;
}

/// A job that leaves something in a context that is large already.
async fn jobs() {
    let scene = JobScene::new().await;
    let go = scene.file("go");
    let _kubelet = scene.runs(&format!("while [ ! -e {} ]; do sleep 0.02; done", go.display())).await;
    let result = scene.begin(&json!([image("check")])).await;
    let pod = scene.running(&result, "check").await;
    let run = scene.scene.hcp().task_result(&result).unwrap().run;
    let url = url(&scene.scene.world.url, &run);
    let operator = Asker { client: client(), url, token: Some(OPERATORS[0].to_owned()) };
    operator.post(large(310_000)).await.document();
    let left = STANDARD.encode(json!({ "found": 7 }).to_string());
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { "lagoon.sh/taskData": left } } }));
    let pods: Api<Pod> = scene.api();
    pods.patch(&pod, &PatchParams::default(), &patch).await.unwrap();
    std::fs::write(go, "").unwrap();
    assert_passed(&scene.answer(&result).await);
    assert_eq!(scene.context(&result).await["found"], 7);
    scene.end().await;
}

/// What one allows and the other does not do, or the other way about.
fn differences(record: &Mutex<Record>, way: &str, functions: &Functions) -> String {
    let record = record.lock().unwrap();
    let mut text = String::new();
    for (name, function) in functions {
        let asked = record.asked.get(name.as_str()).into_iter().flat_map(|asked| asked.keys());
        let (indexed, plain): (Vec<_>, Vec<_>) = asked.partition(|asked| asked.index.is_some());
        for (on, allowed, asked) in [("the table", &function.table, plain), ("the index", &function.due_index, indexed)]
        {
            let asked: BTreeSet<String> = set(asked.into_iter().map(|asked| asked.action));
            for action in allowed.difference(&asked) {
                writeln!(text, "{way} allows {name} {action} on {on}, and it never does that").unwrap();
            }
            for action in asked.difference(allowed) {
                writeln!(text, "{name} does {action} on {on}, and {way} does not allow that").unwrap();
            }
        }
    }
    text
}

#[tokio::test]
async fn every_role_allows_what_its_function_does_and_nothing_else() {
    let record = record::begin();
    waves().await;
    gate().await;
    checkers_and_contexts().await;
    jobs().await;
    let differences: String = ways().map(|(way, functions)| differences(&record, way, functions)).concat();
    assert!(differences.is_empty(), "\n{differences}\n{:#?}", record.lock().unwrap().asked);
}

#[tokio::test]
async fn what_no_role_allows_is_refused_in_every_world() {
    let store = sluice_local::store::Embedded::open(None).await.unwrap();
    let sweeper = record::watched(&store.table, "sweeper");
    let refused = sweeper.ready().await.unwrap_err();
    let why = sluice_domain::chain(&refused);
    assert!(why.contains("the role of sweeper does not allow GetItem"), "{why}");
    assert!(record::watched(&store.table, "context-api").ready().await.is_ok());
}
