//! Many jobs at once come to their ends, and nothing is asked of a cluster in which nothing runs.

use serde_json::json;
use sluice_job_runner::JobSettings;
use sluice_tests::hcp::{Hcp, RunOptions, TaskResultStatus, WorkspaceSpec};
use sluice_tests::kubernetes::Cluster;

use super::scene::{IMAGE, JobScene, NAMESPACE, image};
use crate::gate::scene::{after_plan, assert_answered, until};
use crate::world::add;

/// How many come at once.
const JOBS: usize = 30;

/// Most requests that one of them may take, however long it runs: it is begun, watched, read and taken away.
const REQUESTS_MAX: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_jobs_at_once_come_to_their_ends_and_nobody_asks_when_nothing_runs() {
    let names: Vec<String> = (0..JOBS).map(|number| format!("w{number}")).collect();
    let build = |hcp: &Hcp| {
        add(hcp, "a");
        for name in &names {
            hcp.add_workspace(WorkspaceSpec::new(name));
        }
    };
    let scene = JobScene::of(Cluster::start().await, NAMESPACE, JobSettings::default(), build).await;
    // All of them run before the first may end.
    let script = format!(
        "echo $TASK_DATA_ID >> {starts}; while [ ! -e {go} ]; do sleep 0.2; done; exit $((${{LAGOON_PROJECT#w}} % 2))",
        starts = scene.file("starts").display(),
        go = scene.file("go").display(),
    );
    let kubelet = scene.runs(&script).await;
    // Runs have come and gone by now, and none of them had anything to do with the cluster.
    let ours = |scene: &JobScene| {
        let mut requests = scene.cluster.requests();
        requests.retain(|request| !request.path.contains("/serviceaccounts") && request.path != "/api/v1/namespaces");
        requests
    };
    assert_eq!(ours(&scene), []);
    let definition = after_plan(&json!([image("check")]));
    for name in &names {
        scene.scene.gate(name, &definition).await;
    }
    let mut definition = definition;
    definition["timeout_seconds"] = json!(600);
    scene.scene.store(&definition).await;
    for name in &names {
        scene.scene.hcp().start_run(name, RunOptions::plan_only("all at once"));
    }
    let all = async || (scene.read("starts").lines().count() == JOBS).then_some(());
    until("not all of them run at once", all).await;
    std::fs::write(scene.file("go"), "").unwrap();
    for name in &names {
        let result = scene.scene.answer(name, 0).await;
        scene.scene.ended(&result.id).await;
    }
    for (number, name) in names.iter().enumerate() {
        let status = if number % 2 == 0 { TaskResultStatus::Passed } else { TaskResultStatus::Failed };
        assert_answered(&scene.scene.hcp().task_results(name)[0], status);
    }
    scene.cleared().await;
    assert_eq!(kubelet.starts(IMAGE), JOBS);
    let asked = ours(&scene).len();
    assert!(asked <= JOBS * REQUESTS_MAX, "{asked} requests for {JOBS} jobs");
    // The world goes on, and the cluster hears nothing of it.
    scene.scene.store(&after_plan(&json!([{ "name": "above", "kind": "upstream" }]))).await;
    scene.scene.change("a").await;
    scene.scene.world.rest().await;
    assert_eq!(ours(&scene).split_off(asked), []);
    scene.end().await;
}
