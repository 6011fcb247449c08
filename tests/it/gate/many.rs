//! Many requests at once: none is left unanswered, and none is answered twice.

use std::time::{Duration, Instant};

use serde_json::json;
use sluice_tests::hcp::{Enforcement, Hcp, RunOptions, RunTaskSpec, Stage, TaskResultStatus, WorkspaceSpec};

use super::leaks;
use super::scene::{KEY, after_plan, settings};
use crate::world::World;

/// How many come at once; `SLUICE_TEST_REQUESTS` says otherwise.
const REQUESTS: usize = 60;

fn requests() -> usize {
    let told = std::env::vars_os().find(|(name, _)| name == "SLUICE_TEST_REQUESTS");
    told.map_or(REQUESTS, |(_, value)| value.to_str().unwrap().parse().unwrap())
}

fn share(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_requests_that_come_at_once_is_answered_once() {
    let count = requests();
    let names: Vec<String> = (0..count).map(|number| format!("w{number}")).collect();
    let build = |hcp: &Hcp| {
        for name in &names {
            hcp.add_workspace(WorkspaceSpec::new(name));
        }
    };
    let world = World::unheard(settings(), build).await;
    world.hcp.task_options(|options| options.answer_within = Duration::from_mins(1));
    let definition =
        after_plan(&json!([{ "name": "preview", "kind": "preview" }, { "name": "above", "kind": "upstream" }]));
    let definition = {
        let mut it = definition;
        it["timeout_seconds"] = json!(600);
        it
    };
    world.table.put_task(&"guard".parse().unwrap(), &definition.to_string()).await.unwrap();
    let spec = RunTaskSpec::new("guard", &format!("{}/run-tasks/guard", world.url)).hmac_key(KEY);
    world.hcp.create_run_task(spec.global(Enforcement::Mandatory, &[Stage::PostPlan])).await.unwrap();
    let started = Instant::now();
    for name in &names {
        world.hcp.start_run(name, RunOptions::plan_only("all at once"));
    }
    let done = world.hcp.until(|hcp| {
        let results = hcp.all_task_results();
        (results.len() == count && results.iter().all(|result| result.status.is_final())).then_some(results)
    });
    let results = tokio::time::timeout(Duration::from_mins(5), done).await.expect("some are left unanswered");
    let took = started.elapsed();
    for result in &results {
        assert_eq!((result.status, result.accepted_finals()), (TaskResultStatus::Passed, 1), "{result:#?}");
        assert_eq!(result.requests.iter().map(|it| it.answer).collect::<Vec<_>>(), [Some(200)], "{result:#?}");
    }
    let mut times: Vec<Duration> = results.iter().flat_map(|result| &result.requests).map(|it| it.took).collect();
    times.sort();
    let (half, most, last) = (share(&times, 50), share(&times, 99), share(&times, 100));
    println!(
        "{count} requests at once: 200 after {half:?} (p50), {most:?} (p99), {last:?} (last); all answers accepted after {took:?}"
    );
    leaks::assert_none(&world.hcp, &leaks::dump(world.endpoint()).await, &[]);
    world.stop().await;
}
