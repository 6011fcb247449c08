//! The module, applied for real: Terraform with AWS's own provider, the compiled functions behind an HTTP API, the
//! table, its stream, the schedule, and roles that are held to their policies. One test, as all of it shares one apply.

mod aws;
mod ministack;
mod packages;
mod scene;
mod terraform;

pub use packages::functions;
use reqwest::{Method, StatusCode};
use sluice_tests::hcp::{
    ApiFault, ApiMishap, Enforcement, Route, RunStatus, RunTaskSpec, Stage, TaskResultStatus, TaskResultView,
};

use self::ministack::is_denial;
use self::scene::{Deployed, NAME, SECRETS, secret};
use crate::world::{assert_after, assert_applied};

/// Two diamonds, so that one can be in trouble while the other is looked at.
const WORKSPACES: &str = "network
    eks: network
    rds: network
    app: eks rds network
    vpc
    cluster: vpc
    database: vpc
    store: cluster database vpc";

#[tokio::test]
async fn the_module_as_applied_brings_waves_and_run_tasks_to_their_end() {
    let Some(mut deployed) = Deployed::apply(WORKSPACES).await else { return };
    answers_at_the_door(&deployed).await;
    let functions = functions().into_iter().filter(|name| name != "job-runner").map(|name| format!("{NAME}-{name}"));
    assert_eq!(deployed.ministack.owner.functions().await, functions.collect::<Vec<_>>());
    deployed.learn().await;
    deployed.say("every workspace is known");

    // What this function held is taken up a minute later at the earliest. Meanwhile the rest goes on.
    run_creator_dies(&deployed).await;
    deployed.say("run-creator is killed");
    guard_and_wave(&deployed).await;
    deployed.say("a plan is denied, another one applied");
    state_indexer_is_throttled(&deployed).await;
    deployed.say("state-indexer was throttled");
    deployed.until_applied("app", 1).await;
    deployed.say("what run-creator had left is done");
    deployed.rest().await;
    each_ran_once_parents_first(&deployed);

    logs_say_how_it_went(&deployed).await;
    let changes = deployed.terraform.changes().await;
    // Of alarms the emulator forgets half, in the one of their protocols that the provider speaks.
    let drifted: Vec<_> = changes.iter().filter(|change| !change.contains("aws_cloudwatch_metric_alarm")).collect();
    assert!(drifted.is_empty(), "{drifted:#?}");
    deployed.say("nothing has drifted");
    let again = deployed.terraform.must(&["apply", "-auto-approve", "-no-color"]).await;
    let (_, told) = again.split_once("Apply complete! Resources: 0 added, ").expect("nothing is made anew");
    assert!(told.contains(" changed, 0 destroyed."), "{told}");
    deployed.say("applied again");
    deployed.terraform.must(&["destroy", "-auto-approve", "-no-color"]).await;
    assert_eq!(deployed.ministack.owner.functions().await, [""; 0]);
    deployed.say("destroyed");
    deployed.ministack.stop().await;
}

async fn answers_at_the_door(deployed: &Deployed) {
    // The emulator looks at who asks, or roles would prove nothing.
    assert_eq!(deployed.ministack.owner.stranger().await, StatusCode::FORBIDDEN);
    for (method, path, status) in [
        (Method::POST, "/notifications", StatusCode::UNAUTHORIZED),
        (Method::POST, "/run-tasks/guard", StatusCode::UNAUTHORIZED),
        (Method::POST, "/run-tasks/nobody", StatusCode::NOT_FOUND),
        (Method::GET, "/context/v1/run-1", StatusCode::UNAUTHORIZED),
        (Method::GET, "/notifications", StatusCode::NOT_FOUND),
        (Method::GET, "/", StatusCode::NOT_FOUND),
        (Method::POST, "/admin", StatusCode::NOT_FOUND),
    ] {
        let (answer, _) = deployed.call(method.clone(), path, "nobody's", "{}").await;
        assert_eq!(answer, status, "{method} {path}");
    }
}

/// run-creator is killed while it waits for the answer to its first request for a run, which never comes.
async fn run_creator_dies(deployed: &Deployed) {
    let before = deployed.hcp.count(Route::CreateRun);
    deployed.hcp.faults(|faults| faults.api.push(ApiFault::next(Route::CreateRun, 1, ApiMishap::Timeout)));
    deployed.change("network", "moved");
    deployed.until("no run is created", async || deployed.hcp.count(Route::CreateRun) > before).await;
    assert!(deployed.ministack.kill(&format!("{NAME}-run-creator")) > 0, "it is no process of its own");
}

/// A plan that a policy denies is stopped; one that it does not is applied when a person says so, and its readers run.
async fn guard_and_wave(deployed: &Deployed) {
    let hcp = &deployed.hcp;
    let spec = RunTaskSpec::new("guard", &deployed.at("/run-tasks/guard")).hmac_key(secret("guard"));
    let task = hcp.create_run_task(spec).await.unwrap();
    hcp.attach_run_task("vpc", &task, Enforcement::Mandatory, &[Stage::PostPlan]);

    let denied = asked(deployed, &deployed.change("vpc", "open")).await;
    assert_eq!((denied.status, denied.accepted_finals()), (TaskResultStatus::Failed, 1), "{denied:?}");
    assert!(denied.message.contains("id must not be open"), "{}", denied.message);
    hcp.settled().await;
    assert_eq!(hcp.run(&denied.run).unwrap().status, RunStatus::Errored);

    // A person looks at this one first.
    hcp.auto_apply("vpc", false);
    let passed = asked(deployed, &deployed.change("vpc", "closed")).await;
    assert_eq!((passed.status, passed.accepted_finals()), (TaskResultStatus::Passed, 1), "{passed:?}");
    assert!(passed.outcomes.to_string().contains("acme/store"), "no preview: {}", passed.outcomes);
    let (context, token) = (format!("/context/v1/{}", passed.run), secret("operator-token"));
    let change = r#"{"cost":40}"#;
    for (method, body) in [(Method::POST, change), (Method::GET, "")] {
        let answer = deployed.call(method, &context, token, body).await;
        assert_eq!(answer, (StatusCode::OK, change.to_owned()));
    }

    hcp.settled().await;
    assert!(hcp.confirm(&passed.run), "{:?}", hcp.run(&passed.run));
    deployed.until_applied("store", 1).await;
    hcp.auto_apply("vpc", true);
    hcp.delete_run_task(&task);
}

/// The final answer to what a run is asked.
async fn asked(deployed: &Deployed, run: &str) -> TaskResultView {
    let answer = || deployed.hcp.task_results("vpc").into_iter().find(|it| it.run == run && it.status.is_final());
    deployed.until("no answer", async || answer().is_some()).await;
    answer().unwrap()
}

/// What rings meanwhile is heard when the function may run again.
async fn state_indexer_is_throttled(deployed: &Deployed) {
    let (owner, function) = (&deployed.ministack.owner, format!("{NAME}-state-indexer"));
    owner.limit_concurrency(&function, Some(0)).await;
    let run = deployed.change("vpc", "throttled");
    deployed.until("it is not throttled", async || owner.last_result(&function).await == "FAILED").await;
    assert_eq!(deployed.hcp.run(&run).unwrap().status, RunStatus::Applied);
    assert_eq!(deployed.runs("cluster").len(), 1, "somebody else does its work");
    owner.limit_concurrency(&function, None).await;
    deployed.until_applied("store", 2).await;
}

#[track_caller]
fn each_ran_once_parents_first(deployed: &Deployed) {
    assert_eq!(
        deployed.counts(),
        "app 1, cluster 2, database 2, eks 1, network 1, rds 1, store 2, vpc 3",
        "{:#?}",
        deployed.hcp.history()
    );
    let run = |name| deployed.runs(name);
    let (network, eks, rds, app) = (run("network"), run("eks"), run("rds"), run("app"));
    for side in [&eks, &rds] {
        assert_after(assert_applied(side), &[assert_applied(&network)]);
    }
    assert_after(assert_applied(&app), &[&eks[0], &rds[0]]);
    let applied = |name| run(name).into_iter().filter(|run| run.status == RunStatus::Applied).collect::<Vec<_>>();
    for wave in 0..2 {
        let at = |name| applied(name).swap_remove(wave);
        for side in ["cluster", "database"] {
            assert_after(&at(side), &[&at("vpc")]);
        }
        assert_after(&at("store"), &[&at("cluster"), &at("database")]);
    }
    assert!(deployed.hcp.outdated().is_empty(), "{:?}", deployed.hcp.outdated());
    assert_eq!(deployed.hcp.leaks(), []);
}

async fn logs_say_how_it_went(deployed: &Deployed) {
    let (logs, state) = (deployed.logs().await, deployed.terraform.state());
    let has = |text: &str| logs.iter().any(|line| line.contains(text));
    assert!(has("recorded that run-"), "nothing is logged: {logs:#?}");
    assert!(has("rang for work that was due"), "what run-creator had left was not found by a sweep");
    deployed.ministack.nobody_is_denied();
    assert!(!logs.iter().any(|line| is_denial(line)), "{logs:#?}");
    let printed = deployed.ministack.log();
    for (name, secret) in SECRETS {
        assert!(!state.contains(secret), "{name} is in Terraform's state");
        assert!(!printed.contains(secret), "{name} was printed");
        assert!(!has(secret), "{name} was logged");
    }
}
