//! `sluice dead` and `sluice replay` as their user meets them: dead letters, events and works, again.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sluice_domain::ports::{FactStore, Inbox, Worklist, Write};
use sluice_domain::{RunReport, Standing, Timestamp, WorkKey};
use sluice_lambda::now;
use sluice_local::store::Embedded;
use tempfile::TempDir;

use crate::serve::client;
use crate::serve::program::{Ended, NOTIFICATION_TOKEN, Vars, run, vars};
use crate::serve::stage::Stage;

fn event(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(name)
}

/// A store of its own, and commands on it.
struct Shelf {
    directory: TempDir,
    vars: Vars,
}

impl Shelf {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        Embedded::open(Some(directory.path())).await.unwrap().close().await;
        Self {
            directory,
            vars: vars([("NOTIFICATION_TOKEN", NOTIFICATION_TOKEN), ("GUARD_KEY", "a-key-of-a-run-task")]),
        }
    }

    async fn open(&self) -> Embedded {
        Embedded::open(Some(self.directory.path())).await.unwrap()
    }

    async fn sluice(&self, arguments: &[&str]) -> Ended {
        let data = self.directory.path().to_str().unwrap();
        run(&[arguments, &["--data-dir", data]].concat(), &self.vars).await
    }

    /// Writes a file, and returns its path.
    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[track_caller]
    fn refused(ended: &Ended, says: &str) {
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
        assert!(ended.stderr.starts_with("sluice: ") && ended.stderr.contains(says), "{says}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

fn report(run: &str) -> RunReport {
    RunReport {
        workspace: "app.terraform.io/acme/network".parse().unwrap(),
        workspace_id: "ws-1".parse().unwrap(),
        run: run.parse().unwrap(),
        created_at: Timestamp(1_000),
        standing: Standing::Applied,
        at: Timestamp(2_000),
        marker: None,
    }
}

/// News of a run, claimed at `at` for a minute.
async fn claimed(store: &Embedded, run: &str, at: Timestamp) -> sluice_domain::Claimed {
    let report = report(run);
    store.table.record(&report, Timestamp(3_000)).await.unwrap();
    let key = WorkKey::Run(report.workspace, report.run);
    store.table.claim(&key, at, 60_000).await.unwrap().unwrap()
}

#[tokio::test]
async fn dead_letters_are_listed_for_programs_and_taken_up_by_what_the_list_says() {
    let shelf = Shelf::new().await;
    let empty: Value = serde_json::from_str(&shelf.sluice(&["dead", "list", "--json"]).await.stdout).unwrap();
    assert_eq!(empty, json!({ "dead_letters": [] }));
    let store = shelf.open().await;
    for (run, at) in [("run-1", 10_000), ("run-2", 20_000), ("run-3", 30_000)] {
        let claimed = claimed(&store, run, Timestamp(4_000)).await;
        store.table.bury(&claimed, Timestamp(at), "no such luck").await.unwrap();
    }
    let list: Value = serde_json::from_str(&shelf.sluice(&["dead", "list", "--json"]).await.stdout).unwrap();
    assert_eq!(
        list["dead_letters"][1],
        json!({
            "number": 2, "at": "1970-01-01T00:00:20.000Z", "work": "news of run-2 in acme/network", "queue": "index",
            "fault": "no such luck", "pk": "RUN#app.terraform.io/acme/network/run-2", "sk": "RUN",
        })
    );
    // By its words, by the key of its item, and by its number, all at once.
    let words = list["dead_letters"][0]["work"].as_str().unwrap();
    let retried = shelf.sluice(&["dead", "retry", words, "RUN#app.terraform.io/acme/network/run-2 RUN", "9"]).await;
    assert_eq!(
        retried.stdout,
        "news of run-1 in acme/network: taken up again\nnews of run-2 in acme/network: taken up again\n\
         there are 3 dead letters; none has the number 9\n"
    );
    assert_eq!(retried.code, Some(1), "something that was named is left");
    let other = shelf.sluice(&["dead", "retry", words, "1"]).await;
    assert_eq!(
        other.stdout,
        "news of run-3 in acme/network: taken up again\nnews of run-1 in acme/network: was not given up\n"
    );
    assert_eq!(other.code, Some(1), "something that was named is left");
    Shelf::refused(&shelf.sluice(&["dead", "retry", "something"]).await, "\"something\" is neither a number");
    assert_eq!(store.table.dead_letters(10).await.unwrap(), []);
    store.close().await;
}

#[tokio::test]
async fn what_replay_did_before_it_still_does_and_says_what_to_call_now() {
    let shelf = Shelf::new().await;
    let store = shelf.open().await;
    for run in ["run-1", "run-2"] {
        let claimed = claimed(&store, run, Timestamp(4_000)).await;
        store.table.bury(&claimed, Timestamp(5_000), "no such luck").await.unwrap();
    }
    let list = shelf.sluice(&["replay"]).await;
    assert_eq!((list.code, list.stdout.lines().count()), (Some(0), 4), "{}", list.stdout);
    assert!(list.stderr.starts_with("sluice: sluice dead list lists dead letters now"), "{}", list.stderr);
    let one = shelf.sluice(&["replay", "2"]).await;
    assert_eq!((one.code, one.stdout.as_str()), (Some(0), "news of run-2 in acme/network: taken up again\n"));
    assert!(one.stderr.starts_with("sluice: sluice dead retry takes dead letters up now"), "{}", one.stderr);
    let all = shelf.sluice(&["replay", "--all"]).await;
    assert_eq!(all.stdout, "news of run-1 in acme/network: taken up again\n");
    store.close().await;
}

#[tokio::test]
async fn work_is_made_due_whether_it_was_given_up_or_waits_unless_somebody_may_be_at_it() {
    let shelf = Shelf::new().await;
    let store = shelf.open().await;
    let due = async |run: &str| {
        let key = WorkKey::Run("app.terraform.io/acme/network".parse().unwrap(), run.parse().unwrap());
        store.table.work_state(&key).await.unwrap().unwrap()
    };
    let dead = claimed(&store, "run-dead", now()).await;
    store.table.bury(&dead, now(), "no such luck").await.unwrap();
    let waits = claimed(&store, "run-waits", now()).await;
    store.table.postpone(&waits, now().plus_ms(3_600_000), Some("a freeze")).await.unwrap();
    let backs_off = claimed(&store, "run-backs-off", now()).await;
    store.table.defer(&backs_off, now().plus_ms(3_600_000), "502", false).await.unwrap();
    let unknown_effect = claimed(&store, "run-unknown-effect", now()).await;
    store.table.defer(&unknown_effect, now().plus_ms(3_600_000), "no answer", true).await.unwrap();
    for run in ["run-dead", "run-waits", "run-backs-off", "run-unknown-effect"] {
        // As logs say it, as one argument or as many.
        let said = format!("news of {run} in acme/network");
        let replayed = if run == "run-dead" {
            shelf.sluice(&["replay", "news", "of", run, "in", "acme/network"]).await
        } else {
            shelf.sluice(&["replay", &said]).await
        };
        assert_eq!(replayed.stdout, format!("{said}: due now, from its first attempt on\n"), "{}", replayed.stderr);
        let state = due(run).await;
        assert!(
            !state.dead && !state.claimed && state.fault.is_none() && state.due.unwrap() <= now(),
            "{run}: {state:?}"
        );
        let key = WorkKey::Run("app.terraform.io/acme/network".parse().unwrap(), run.parse().unwrap());
        let claimed = store.table.claim(&key, now(), 60_000).await.unwrap().unwrap();
        assert_eq!((claimed.attempts, claimed.replayed), (1, run == "run-dead"), "{run}");
        assert_eq!(
            claimed.tried,
            run != "run-waits" && run != "run-backs-off",
            "what had an effect is looked for: {run}"
        );
    }
    claimed(&store, "run-under-way", now()).await;
    let before = due("run-under-way").await;
    Shelf::refused(&shelf.sluice(&["replay", "news of run-under-way in acme/network"]).await, "it may be under way");
    assert_eq!(due("run-under-way").await, before);
    let done = claimed(&store, "run-done", now()).await;
    store.table.complete(&done).await.unwrap();
    Shelf::refused(&shelf.sluice(&["replay", "news of run-done in acme/network"]).await, "it is done");
    Shelf::refused(&shelf.sluice(&["replay", "run in acme/network"]).await, "there is no such work");
    Shelf::refused(&shelf.sluice(&["replay", "run in network"]).await, "there is no file run in network");
    store.close().await;
}

#[tokio::test]
async fn an_event_is_handled_as_if_it_had_just_come() {
    let shelf = Shelf::new().await;
    let store = shelf.open().await;
    let recorded = "answered 202: news of run-EXAMPLE000000001 in acme/network: recorded, and due\n";
    let raw = event("notification/run-applied.json");
    let first = shelf.sluice(&["replay", raw.to_str().unwrap()]).await;
    assert_eq!((first.stdout.as_str(), first.stderr.as_str()), (recorded, ""));
    let key =
        WorkKey::said("news of run-EXAMPLE000000001 in acme/network", &"app.terraform.io".parse().unwrap()).unwrap();
    assert!(store.table.work_state(&key).await.unwrap().unwrap().due.is_some());
    // The same by way of a gateway, whatever token that was signed with once: it is known by now.
    for gateway in ["apigw-http-v2.json", "apigw-rest-v1.json", "apigw-rest-v1-base64.json", "function-url.json"] {
        let again = shelf.sluice(&["replay", event("notification-receiver").join(gateway).to_str().unwrap()]).await;
        assert!(
            again.stdout.contains("known already, so nothing more happens"),
            "{gateway}: {} {}",
            again.stdout,
            again.stderr
        );
    }
    let verification = shelf.sluice(&["replay", event("notification/verification.json").to_str().unwrap()]).await;
    assert_eq!(verification.stdout, "answered 200: a verification, in which there is no news\n");
    let drifted = shelf.sluice(&["replay", event("notification/assessment-drifted.json").to_str().unwrap()]).await;
    assert!(
        drifted.stdout.starts_with("answered 200: ") && drifted.stdout.contains(" is ignored: "),
        "{}",
        drifted.stdout
    );
    store.close().await;
}

/// A run task, stored as a person stores one.
async fn guarded(shelf: &Shelf, name: &str) {
    let definition = json!({ "tasks": [{
        "name": name, "hmac_keys": ["env:GUARD_KEY"], "stages": ["post_plan"],
        "checks": [{ "name": "wave", "kind": "preview" }],
    }]});
    let file = shelf.file("tasks.json", definition.to_string());
    let stored = shelf.sluice(&["tasks", &file]).await;
    assert_eq!(stored.stdout, "stored 1 run task and 0 policies\n", "{}", stored.stderr);
}

#[tokio::test]
async fn a_request_to_a_run_task_is_asked_again() {
    let shelf = Shelf::new().await;
    let request = event("run-task/post-plan.json");
    let request = request.to_str().unwrap();
    Shelf::refused(&shelf.sluice(&["replay", request]).await, "there are no run tasks in the table");
    guarded(&shelf, "guard").await;
    let asked = shelf.sluice(&["replay", request]).await;
    assert!(
        asked.stdout.starts_with("answered 200: taskrs-")
            && asked.stdout.ends_with("is recorded, and its checks are due\n"),
        "{} {}",
        asked.stdout,
        asked.stderr
    );
    let again = shelf.sluice(&["replay", request]).await;
    assert!(again.stdout.contains("is known already, so nothing more happens"), "{} {}", again.stdout, again.stderr);
    let verification = shelf.sluice(&["replay", event("run-task/verification.json").to_str().unwrap()]).await;
    assert_eq!(verification.stdout, "answered 200: a verification, in which nothing is asked\n");

    guarded(&shelf, "other").await;
    Shelf::refused(&shelf.sluice(&["replay", request]).await, "say --task and one of guard, other");
    let other = shelf.sluice(&["replay", request, "--task", "other"]).await;
    assert!(other.stdout.contains("@other is recorded"), "{} {}", other.stdout, other.stderr);
    Shelf::refused(
        &shelf.sluice(&["replay", request, "--task", "none"]).await,
        "there is no run task none in the table",
    );
    let keyless = Shelf { vars: vars([]), directory: shelf.directory };
    Shelf::refused(&keyless.sluice(&["replay", request, "--task", "other"]).await, "no key of its hmac_keys");
}

#[tokio::test]
async fn what_is_no_event_is_refused_and_loses_nothing() {
    let shelf = Shelf::new().await;
    let store = shelf.open().await;
    let hush = "atlas-hush-hush";
    let broken = shelf.file("broken.json", format!("{{\"notifications\":[], \"access_token\": {hush} }}"));
    let nested = json!({ "httpMethod": "POST", "path": "/notifications", "body": "no JSON" });
    for (file, says) in [
        (shelf.file("empty.json", ""), "it is not JSON, at line 1, column 0"),
        (broken, "it is not JSON, at line 1"),
        (shelf.file("binary.json", [0xff, 0xfe, 0]), "it is not JSON"),
        (shelf.file("array.json", "[]"), "neither a notification nor a run task request"),
        (shelf.file("other.json", "{\"hello\":1}"), "neither a notification nor a run task request"),
        (shelf.file("nested.json", nested.to_string()), "it is not a notification of HCP Terraform's"),
        (
            shelf.file(
                "nameless.json",
                json!({ "notifications": [{ "trigger": "run:completed", "run_status": "applied" }] }).to_string(),
            ),
            "it is not a notification of HCP Terraform's",
        ),
        (
            event("state-indexer/two-runs.json").to_str().unwrap().to_owned(),
            "sluice replay \"news of run-EXAMPLE000000001 in acme/app\"",
        ),
        (event("sweeper/schedule.json").to_str().unwrap().to_owned(), "the event of a schedule"),
        (shelf.directory.path().to_str().unwrap().to_owned(), "cannot read"),
        ("nowhere.json".to_owned(), "there is no file nowhere.json, and no work is called so"),
    ] {
        let ended = shelf.sluice(&["replay", &file]).await;
        Shelf::refused(&ended, says);
        assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
    }
    let raw = event("notification/run-applied.json");
    let raw = raw.to_str().unwrap();
    Shelf::refused(&shelf.sluice(&["replay", raw, "--task", "guard"]).await, "--task means nothing to a notification");
    Shelf::refused(&shelf.sluice(&["replay", raw, "--url", "nowhere"]).await, "cannot reach --url");
    Shelf::refused(
        &shelf.sluice(&["replay", raw, "--url", "http://127.0.0.1:9"]).await,
        "POST /notifications did not take it",
    );
    let tokenless = run(&["replay", raw, "--data-dir", shelf.directory.path().to_str().unwrap()], &vars([])).await;
    Shelf::refused(&tokenless, "NOTIFICATION_TOKEN is not set");
    assert_eq!(sluice_sweeper::due(&store.table, now()).await.unwrap(), []);
    store.close().await;
}

#[tokio::test]
async fn an_event_is_posted_to_an_endpoint_signed_anew() {
    let stage = Stage::of("network\n eks: network").await;
    let raw = event("notification/run-applied.json");
    let posted = stage.sluice(&["replay", raw.to_str().unwrap(), "--url", &stage.url]).await;
    assert_eq!(
        (posted.code, posted.stdout.as_str()),
        (Some(0), "POST /notifications answered 202\n"),
        "{}",
        posted.stderr
    );
    let other = vars([("NOTIFICATION_TOKEN", "another-token-altogether"), ("TFE_ADDRESS", &stage.hcp.address())]);
    let refused = run(&["replay", raw.to_str().unwrap(), "--url", &stage.url], &other).await;
    Shelf::refused(&refused, "POST /notifications answered 401: the token or key here is not one that it has");
    let nowhere =
        run(&["replay", raw.to_str().unwrap(), "--url", &format!("{}/somewhere", stage.url)], &stage.vars).await;
    Shelf::refused(&nowhere, "POST /notifications answered 404");
    assert!(client().get(format!("{}/healthz", stage.url)).send().await.unwrap().status().is_success());
}

#[tokio::test]
async fn a_work_that_waits_for_long_is_done_at_once_when_it_is_replayed() {
    let stage = Stage::of("network\n eks: network").await;
    let network = format!("{}/acme/network", stage.hcp.host()).parse().unwrap();
    let store = Embedded::open(Some(&stage.data())).await.unwrap();
    let later = Write::Look { workspace: network, at: now().plus_ms(3_600_000) };
    store.table.commit(&[later]).await.unwrap();
    let replayed = stage.sluice(&["replay", "look at acme/network"]).await;
    assert_eq!(replayed.stdout, "look at acme/network: due now, from its first attempt on\n", "{}", replayed.stderr);
    stage.rest().await;
    let key = WorkKey::Look(format!("{}/acme/network", stage.hcp.host()).parse().unwrap());
    assert_eq!(store.table.work_state(&key).await.unwrap().unwrap().due, None, "it was looked at");
    store.close().await;
}
