//! What the functions hold while they wait has to fit onto small stacks, with all that is called from there.

use bytes::Bytes;
use http::Request;
use sluice_domain::{Timestamp, WorkKey};

use super::gate::keys;
use super::{Vars, aws, vars};

/// The largest that a function may wait with, in bytes.
const FUTURE_BYTES_MAX: usize = 16 << 10;

fn settings() -> Vars {
    let named = vars(&[("WORKSPACE_DEPENDENCIES_TABLE", "sluice")]);
    aws("http://127.0.0.1:9").into_iter().chain(named).chain(keys()).collect()
}

#[track_caller]
fn check(function: &str, future: &impl Future) {
    let bytes = size_of_val(future);
    println!("{function}: {bytes} bytes");
    assert!(bytes <= FUTURE_BYTES_MAX, "{function} waits with {bytes} bytes");
}

#[tokio::test]
async fn the_functions_of_the_gate_wait_with_little_on_their_stacks() {
    let (settings, now) = (settings(), Timestamp(0));
    check("run-task-receiver, start", &sluice_run_task_receiver::connect(&settings));
    let receiver = sluice_run_task_receiver::connect(&settings).await.unwrap();
    check("run-task-receiver", &sluice_run_task_receiver::handle(&receiver, Request::new(Bytes::new()), now));

    let result: sluice_domain::TaskResultId = "taskrs-1".parse().unwrap();
    check("task-runner, start", &sluice_task_runner::connect(&settings));
    let runner = sluice_task_runner::connect(&settings).await.unwrap();
    let key = WorkKey::Check(result.clone(), "a".parse().unwrap());
    check("task-runner", &sluice_task_runner::handle(&runner, &key, now));

    let kubeconfig = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/kubeconfig.json");
    let with_cluster = settings.clone().into_iter().chain(vars(&[("SLUICE_KUBECONFIG", kubeconfig)])).collect();
    check("job-runner, start", &sluice_job_runner::connect(&with_cluster));
    let runner = sluice_job_runner::connect(&with_cluster).await.unwrap();
    let key = WorkKey::Job(result.clone(), "a".parse().unwrap());
    check("job-runner", &sluice_job_runner::handle(&runner, &key, now));

    check("run-task-relay, start", &sluice_run_task_relay::connect(&settings));
    let relay = sluice_run_task_relay::connect(&settings).await.unwrap();
    check("run-task-relay", &sluice_run_task_relay::handle(&relay, &WorkKey::Relay(result), now));
}
