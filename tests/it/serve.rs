//! `sluice serve` as its user meets it: over HTTP, with signals, from an environment, with `kill -9`.

pub mod program;
pub mod stage;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sluice_aws::Table;
use sluice_domain::ports::{Bell, FactStore, Worklist, Write as Change};
use sluice_domain::{InputsKey, Marker, Order, Queue, Timestamp, WorkKey, Workspace};
use sluice_local::store::Embedded;
use sluice_tests::hcp::{
    ApiFault, ApiMishap, NotificationFault, NotificationMishap, Route, RunStatus, RunView, Timings, sign,
};
use tempfile::TempDir;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;

use self::program::{API_TOKEN, NOTIFICATION_TOKEN, PATIENCE, Server, Vars, run_in, vars};
use self::stage::Stage;
use crate::world::{DIAMOND, assert_after, assert_applied};

const SIGNATURE: &str = "X-TFE-Notification-Signature";

/// A chain and a diamond below one root, and one that is not below it.
const ORGANIZATION: &str = "network
    eks: network
    rds: network
    app: eks rds network
    dns: network
    certificates: dns
    edge: certificates
    aside";

/// What `network` moves.
const WAVE: &str = "app 1, certificates 1, dns 1, edge 1, eks 1, network 1, rds 1";

pub fn client() -> Client {
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(PATIENCE).build().unwrap()
}

fn event(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../events/notification/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What HCP Terraform says when this run has applied.
fn applied(stage: &Stage, run: &RunView) -> Vec<u8> {
    let mut body = event("run-applied");
    body["run_id"] = json!(run.id);
    body["run_created_at"] = json!(run.created_at.format(&Rfc3339).unwrap());
    body["workspace_id"] = json!(stage.hcp.workspace_id(&run.workspace));
    body["workspace_name"] = json!(run.workspace);
    body["run_url"] = json!(format!("{}/app/acme/{}/runs/{}", stage.hcp.address(), run.workspace, run.id));
    body["notifications"][0]["run_updated_at"] = json!(run.finished_at.unwrap().format(&Rfc3339).unwrap());
    serde_json::to_vec(&body).unwrap()
}

/// Posts a notification. Without a signature there is no header.
async fn post(client: &Client, url: &str, body: Vec<u8>, signature: Option<String>) -> StatusCode {
    let request = client.post(format!("{url}/notifications")).body(body);
    let request = signature.into_iter().fold(request, |request, signature| request.header(SIGNATURE, signature));
    let answer = request.send().await.unwrap();
    let status = answer.status();
    assert_eq!(answer.bytes().await.unwrap(), "", "{status}");
    status
}

async fn post_signed(client: &Client, url: &str, body: Vec<u8>) -> StatusCode {
    let signature = sign(NOTIFICATION_TOKEN, &body);
    post(client, url, body, Some(signature)).await
}

/// A change of `name` has applied, and nobody was told.
async fn unheard_change(stage: &Stage, name: &'static str) -> RunView {
    stage.hcp.faults(|faults| {
        let of_this = NotificationFault::matching(move |notice| notice.workspace == name, NotificationMishap::Lose);
        faults.notifications.push(of_this);
    });
    let run = stage.change(name, "2");
    stage.hcp.settled().await;
    let run = stage.hcp.run(&run).unwrap();
    assert_eq!(run.status, RunStatus::Applied);
    run
}

#[tokio::test]
async fn a_signed_notification_runs_the_dependents_once_however_often_it_comes() {
    let stage = Stage::of(DIAMOND).await;
    let run = unheard_change(&stage, "network").await;
    let (client, body) = (client(), applied(&stage, &run));
    let mut posts = JoinSet::new();
    for _ in 0..10 {
        let (client, url, body) = (client.clone(), stage.url.clone(), body.clone());
        posts.spawn(async move { post_signed(&client, &url, body).await });
    }
    assert_eq!(posts.join_all().await, [StatusCode::ACCEPTED; 10]);
    stage.rest().await;
    assert_eq!(stage.counts(), "app 1, eks 1, network 1, rds 1");
    assert!(stage.hcp.outdated().is_empty());
    assert_eq!(post_signed(&client, &stage.url, body).await, StatusCode::ACCEPTED, "and once more, later");
    stage.rest().await;
    assert_eq!(stage.counts(), "app 1, eks 1, network 1, rds 1");
}

#[tokio::test]
async fn what_is_not_a_signed_notification_is_refused_and_changes_nothing() {
    let stage = Stage::of("forged\n leaf: forged\n network\n eks: network").await;
    let forged = applied(&stage, &unheard_change(&stage, "forged").await);
    let (client, url) = (client(), &stage.url);
    let refused = [
        (None, "none"),
        (Some(String::new()), "empty, as without a token"),
        (Some(sign("another token", &forged)), "of another token"),
        (Some(sign("", &forged)), "of the empty token"),
        (Some(sign(NOTIFICATION_TOKEN, &forged[1..])), "of another body"),
        (Some(sign(NOTIFICATION_TOKEN, &forged)[1..].to_owned()), "cut"),
        (Some("ü".to_owned()), "not ASCII"),
    ];
    for (signature, what) in refused {
        assert_eq!(post(&client, url, forged.clone(), signature).await, StatusCode::UNAUTHORIZED, "{what}");
    }
    let mut malformed: Vec<Vec<u8>> = ["", "{", "[]", "null", "\u{feff}{}"].map(|text| text.as_bytes().to_vec()).into();
    malformed.extend(["run_id", "workspace_id", "workspace_name", "organization_name"].map(|missing| {
        let mut body: Value = serde_json::from_slice(&forged).unwrap();
        body.as_object_mut().unwrap().remove(missing);
        serde_json::to_vec(&body).unwrap()
    }));
    for body in malformed {
        let text = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(post_signed(&client, url, body).await, StatusCode::BAD_REQUEST, "{text}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS] {
        let answer = client.request(method.clone(), format!("{url}/notifications")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.headers()["allow"], "POST");
    }
    for path in ["/", "/notification", "/notifications/", "/graph", "/graph.svg", "/graph.", "/..%2fgraph.dot"] {
        let answer = client.get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }

    // The last that is heard shows that it still listens, and by then the forged ones would have had their effect.
    let run = unheard_change(&stage, "network").await;
    assert_eq!(post_signed(&client, url, applied(&stage, &run)).await, StatusCode::ACCEPTED);
    stage.rest().await;
    assert_eq!(stage.counts(), "eks 1, forged 1, network 1");
}

#[tokio::test]
async fn a_body_may_have_256_kib_and_not_a_byte_more() {
    let stage = Stage::of("network\n eks: network").await;
    let run = unheard_change(&stage, "network").await;
    let (client, url) = (client(), &stage.url);
    let mut body = applied(&stage, &run);
    body.resize(256 * 1024 + 1, b' ');
    assert_eq!(post_signed(&client, url, body.clone()).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(post(&client, url, body.clone(), None).await, StatusCode::PAYLOAD_TOO_LARGE);
    body.pop();
    assert_eq!(post_signed(&client, url, body).await, StatusCode::ACCEPTED);
    stage.rest().await;
    assert_eq!(stage.counts(), "eks 1, network 1");
}

#[tokio::test]
async fn a_verification_is_answered_and_health_can_be_asked_for() {
    let stage = Stage::of("network").await;
    let configuration = stage.hcp.notify("network", &format!("{}/notifications", stage.url), NOTIFICATION_TOKEN);
    assert_eq!(stage.hcp.verify(&configuration).await, Some(200));
    let unsigned = stage.hcp.notify("network", &format!("{}/notifications", stage.url), "");
    assert_eq!(stage.hcp.verify(&unsigned).await, Some(401));
    let client = client();
    let body = serde_json::to_vec(&event("verification")).unwrap();
    assert_eq!(post_signed(&client, &stage.url, body).await, StatusCode::OK);
    let health = client.get(format!("{}/healthz", stage.url)).send().await.unwrap();
    assert_eq!((health.status(), health.text().await.unwrap()), (StatusCode::OK, "ok\n".to_owned()));
}

#[tokio::test]
async fn unsigned_notifications_are_taken_only_where_that_is_asked_for() {
    let mut stage = Stage::of("network\n eks: network").await;
    let run = unheard_change(&stage, "network").await;
    assert_eq!(stage.terminate().await.0, Some(0));
    stage.vars.remove("NOTIFICATION_TOKEN");
    stage.vars.insert("SLUICE_ALLOW_UNSIGNED".to_owned(), "true".to_owned());
    stage.restart().await;
    let body = applied(&stage, &run);
    assert_eq!(post(&client(), &stage.url, body, Some(String::new())).await, StatusCode::ACCEPTED);
    stage.rest().await;
    assert_eq!(stage.counts(), "eks 1, network 1");
}

/// Slow enough that a kill lands in every phase.
const PHASE: Duration = Duration::from_millis(50);

/// A wave in the middle of which the server is to be killed.
async fn slow_stage() -> Stage {
    Stage::with(ORGANIZATION, Timings::uniform(PHASE), vars([])).await
}

/// Waits until `count` things have happened in the wave below `network`; each is a run's new status.
async fn until_happened(stage: &Stage, before: usize, count: usize) {
    let waiting = async {
        let below = || stage.hcp.history().split_off(before).into_iter().filter(|event| event.workspace != "network");
        while below().count() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "the wave stands still: {}", stage.counts());
}

/// Every affected workspace ran once, after its parents.
#[track_caller]
fn assert_wave(stage: &Stage, killed: &str) {
    assert_eq!(stage.counts(), WAVE, "{killed}");
    let runs = |name| stage.runs(name);
    let parents = [
        ("eks", vec!["network"]),
        ("rds", vec!["network"]),
        ("app", vec!["eks", "rds"]),
        ("dns", vec!["network"]),
        ("certificates", vec!["dns"]),
        ("edge", vec!["certificates"]),
    ];
    for (name, parents) in parents {
        for parent in parents {
            assert_after(assert_applied(&runs(name)), &[assert_applied(&runs(parent))]);
        }
    }
    assert!(stage.hcp.outdated().is_empty(), "{killed}");
}

async fn kill_after(count: usize, gone_until_rest: bool) {
    let mut stage = slow_stage().await;
    let before = stage.hcp.history().len();
    stage.change("network", "2");
    until_happened(&stage, before, count).await;
    stage.kill();
    if gone_until_rest {
        // Whatever HCP Terraform has to say about these runs, nobody hears it.
        stage.hcp.settled().await;
    }
    let restart = Instant::now();
    stage.restart().await;
    stage.rest().await;
    assert_wave(&stage, &format!("killed after {count} events"));
    assert!(restart.elapsed() < Duration::from_secs(40), "no lease was waited for");
    let letters = stage.sluice(&["dead", "list"]).await;
    assert_eq!(letters.stdout, "nothing was given up\n");
}

#[tokio::test]
async fn a_wave_goes_on_where_kill_9_ended_it() {
    // A run has five statuses, so these are spread over the whole wave.
    let mut worlds = JoinSet::new();
    for (n, count) in [1, 2, 3, 5, 8, 13, 17, 22, 27].into_iter().enumerate() {
        worlds.spawn(kill_after(count, n % 2 == 1));
        if worlds.len() == 3 {
            worlds.join_next().await.unwrap().unwrap();
        }
    }
    worlds.join_all().await;
}

#[tokio::test]
async fn a_wave_outlives_a_process_that_is_killed_again_and_again() {
    let mut stage = slow_stage().await;
    let before = stage.hcp.history().len();
    stage.change("network", "2");
    for count in [1, 4, 9, 12, 15, 18, 24] {
        until_happened(&stage, before, count).await;
        stage.kill();
        stage.restart().await;
    }
    stage.rest().await;
    assert_wave(&stage, "killed seven times");
}

#[tokio::test]
async fn a_run_that_was_being_created_when_the_process_died_is_found_again() {
    for what in [ApiMishap::StatusAfterEffect(504), ApiMishap::Timeout] {
        let mut stage = Stage::of("network\n eks: network").await;
        let done = matches!(what, ApiMishap::StatusAfterEffect(_));
        stage.hcp.faults(|faults| faults.api.push(ApiFault::next(Route::CreateRun, 1, what)));
        let creates = stage.hcp.count(Route::CreateRun);
        stage.change("network", "2");
        let waiting = async {
            while stage.hcp.count(Route::CreateRun) == creates {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
        stage.kill();
        stage.restart().await;
        stage.rest().await;
        assert_eq!(stage.counts(), "eks 1, network 1", "{what:?}");
        assert_eq!(stage.hcp.count(Route::CreateRun) - creates, if done { 1 } else { 2 }, "{what:?}");
    }
}

#[tokio::test]
async fn sigterm_ends_it_with_code_0_and_the_next_process_finishes_the_wave() {
    let mut stage = slow_stage().await;
    let before = stage.hcp.history().len();
    stage.change("network", "2");
    for count in [2, 11] {
        until_happened(&stage, before, count).await;
        let start = Instant::now();
        let (code, log) = stage.terminate().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(start.elapsed() < Duration::from_secs(4), "{log}");
        assert!(log.trim_end().ends_with("stopped"), "{log}");
        stage.restart().await;
    }
    stage.rest().await;
    assert_wave(&stage, "stopped twice");
}

#[tokio::test]
async fn sigterm_waits_neither_for_a_slow_client_nor_for_a_silent_hcp_terraform() {
    let mut stage = Stage::of("network\n eks: network").await;
    // A client that never says the rest of what it began, and one that has a connection and says nothing.
    let mut slow = TcpStream::connect(stage.url.trim_start_matches("http://")).unwrap();
    slow.write_all(b"POST /notifications HTTP/1.1\r\nHost: sluice\r\nContent-Length: 100\r\n\r\n{").unwrap();
    let _idle = TcpStream::connect(stage.url.trim_start_matches("http://")).unwrap();
    // An answer that never comes.
    stage.hcp.faults(|faults| faults.api.push(ApiFault::next(Route::CreateRun, 1, ApiMishap::Timeout)));
    let creates = stage.hcp.count(Route::CreateRun);
    stage.change("network", "2");
    let waiting = async {
        while stage.hcp.count(Route::CreateRun) == creates {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    let start = Instant::now();
    let (code, log) = stage.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    // Docker kills after ten seconds.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}\n{log}", start.elapsed());
    stage.restart().await;
    stage.rest().await;
    assert_eq!(stage.counts(), "eks 1, network 1");
}

#[tokio::test]
async fn at_the_most_talkative_level_no_secret_is_printed() {
    let more = vars([("SLUICE_LOG", "trace"), ("RUST_BACKTRACE", "1")]);
    let mut stage = Stage::with(DIAMOND, Timings::default(), more).await;
    stage.change("network", "2");
    stage.rest().await;
    // The check is where its output is gathered.
    let (code, log) = stage.terminate().await;
    assert_eq!(code, Some(0));
    assert!(log.contains("DEBUG"));
    assert!(!log.contains("terraform_version"), "a state is no one's to read");
}

/// `sluice serve` that cannot start: its exit code is 2, and this is all that it says.
async fn refuses_to_start(arguments: &[&str], vars: &Vars) -> String {
    let directory = TempDir::new().unwrap();
    let ended = run_in(Some(directory.path()), arguments, vars).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
    ended.stderr
}

fn complete() -> Vars {
    vars([("API_TOKEN", API_TOKEN), ("NOTIFICATION_TOKEN", NOTIFICATION_TOKEN)])
}

#[tokio::test]
async fn all_that_is_wrong_with_the_environment_is_told_at_once() {
    assert_eq!(
        refuses_to_start(&["serve"], &vars([])).await,
        "sluice: invalid configuration: API_TOKEN is not set; NOTIFICATION_TOKEN is not set\n"
    );
    let wrong = vars([
        ("API_TOKEN", " "),
        ("NOTIFICATION_TOKEN", ", ,"),
        ("TFE_ADDRESS", "terraform"),
        ("SLUICE_AUTONOMY", "sometimes"),
        ("SLUICE_WATCH_SECONDS", "0"),
        ("SLUICE_LOG", "loud"),
        ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"),
    ]);
    assert_eq!(
        refuses_to_start(&["serve"], &wrong).await,
        "sluice: invalid configuration: SLUICE_LOG is not error, warn, info, debug or trace; TFE_ADDRESS is not an \
         http or https URL of a host, without path or user; API_TOKEN is not set; NOTIFICATION_TOKEN holds no secret; \
         SLUICE_DIGEST_KEY is not set; SLUICE_AUTONOMY is none of run, plan, observe; SLUICE_WATCH_SECONDS is 0, which \
         would ask without a pause; SLUICE_GATE_KEY is not set\n"
    );
}

#[tokio::test]
async fn a_store_of_its_own_and_a_real_table_do_not_go_together() {
    let mut vars = complete();
    vars.extend(program::vars([
        ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"),
        ("SLUICE_DIGEST_KEY", "key"),
        ("SLUICE_GATE_KEY", "key"),
    ]));
    for command in [&["serve"][..], &["graph"], &["dead", "list"], &["replay"], &["doctor"]] {
        assert_eq!(
            refuses_to_start(&[command, &["--data-dir", "data"]].concat(), &vars).await,
            "sluice: WORKSPACE_DEPENDENCIES_TABLE names a real table, so --data-dir means nothing: leave one of them \
             out\n"
        );
    }
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refuses_to_start(&["serve", "--listen", &address], &complete()).await;
    assert!(said.starts_with(&format!("sluice: cannot listen on {address}: Address already in use")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test]
async fn a_data_directory_has_one_server_at_a_time() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().to_str().unwrap();
    let first = Server::start(directory.path(), "127.0.0.1:0", &complete()).await;
    let second = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data];
    assert_eq!(
        refuses_to_start(&second, &complete()).await,
        format!("sluice: another sluice serve works in {data}: stop it, or give this one another directory\n")
    );
    first.kill();
    let third = Server::start(directory.path(), "127.0.0.1:0", &complete()).await;
    third.terminate();
    assert_eq!(third.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_used_is_told() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().to_str().unwrap().to_owned();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data];
    std::fs::write(directory.path().join("digest.key"), "short").unwrap();
    assert_eq!(
        refuses_to_start(&serve, &complete()).await,
        format!("sluice: cannot use the data directory {data}: digest.key is not 32 bytes long\n")
    );
    std::fs::remove_file(directory.path().join("digest.key")).unwrap();

    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(directory.path().join(format!("table.sqlite{suffix}")));
    }
    std::fs::write(directory.path().join("table.sqlite"), "this is not a database, and was never one".repeat(99))
        .unwrap();
    let said = refuses_to_start(&serve, &complete()).await;
    assert!(said.starts_with(&format!("sluice: cannot open the embedded store {data}/table.sqlite: ")), "{said}");
    assert!(said.contains("not a valid SQLite database"), "{said}");

    let file = directory.path().join("digest.key");
    std::fs::write(&file, "").unwrap();
    let beneath = file.join("data");
    let said = refuses_to_start(&["serve", "--data-dir", beneath.to_str().unwrap()], &complete()).await;
    assert!(said.starts_with(&format!("sluice: cannot use the data directory {}: ", beneath.display())), "{said}");
}

#[tokio::test]
async fn the_digest_key_is_private_and_stays() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("digest.key");
    let mut keys = Vec::new();
    for _ in 0..2 {
        let server = Server::start(directory.path(), "127.0.0.1:0", &complete()).await;
        server.terminate();
        assert_eq!(server.ended().await.0, Some(0));
        keys.push(std::fs::read(&file).unwrap());
    }
    assert_eq!(keys[0].len(), 32);
    assert_eq!(keys[0], keys[1]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

const NOW: Timestamp = Timestamp(1_795_168_990_000);
const LEASE_MS: u64 = 60_000;

/// Works of the create queue that are due at `at`.
async fn due(table: &Table, at: Timestamp) -> Vec<String> {
    let due = table.due(Queue::Create, at, 10).await.unwrap();
    due.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn claims_of_a_dead_worker_are_released_and_nothing_else_is() {
    let store = Embedded::open(None).await.unwrap();
    let table = &store.table;
    let workspace = |name: &str| -> Workspace { format!("app.terraform.io/acme/{name}").parse().unwrap() };
    let create = |name: &str| WorkKey::Create(workspace(name));
    let look = |name: &str, at| Change::Look { workspace: workspace(name), at };
    let order = |name: &str| -> Change {
        let order = Order {
            inputs: InputsKey("00112233445566778899aabbccddeeff".parse().unwrap()),
            marker: Marker("sluice-1".into()),
            causes: Vec::new(),
            kind: sluice_domain::RunKind::Apply,
            wave: None,
            newest: NOW,
            decided_at: NOW,
        };
        Change::Order { workspace: workspace(name), order }
    };
    for name in ["claimed", "backing-off", "finished", "buried"] {
        table.commit(&[order(name)]).await.unwrap();
    }
    let mut claims = Vec::new();
    for name in ["claimed", "backing-off", "finished", "buried"] {
        claims.push(table.claim(&create(name), NOW, LEASE_MS).await.unwrap().unwrap());
    }
    table.defer(&claims[1], NOW.plus_ms(30_000), "it rained", false).await.unwrap();
    table.complete(&claims[2]).await.unwrap();
    table.bury(&claims[3], NOW, "no configuration version").await.unwrap();
    let holder = workspace("holder");
    let wait = Change::Waiter { holder: holder.clone(), waiter: workspace("waiter"), until: NOW.plus_ms(20_000) };
    table.commit(&[wait, look("due", NOW), look("watched", NOW)]).await.unwrap();
    let watched = table.claim(&WorkKey::Look(workspace("watched")), NOW, LEASE_MS).await.unwrap().unwrap();
    table.postpone(&watched, NOW.plus_ms(10_000), None).await.unwrap();

    let later = NOW.plus_ms(1_000);
    assert_eq!(due(table, later).await, [""; 0]);
    assert_eq!(table.release(later, LEASE_MS).await.unwrap(), 1);
    assert_eq!(due(table, later).await, [create("claimed").to_string()]);
    assert_eq!(table.due(Queue::Index, later, 10).await.unwrap(), [WorkKey::Look(workspace("due"))]);
    assert_eq!(table.dead_letters(10).await.unwrap().len(), 1);

    // Whoever takes it up looks first, and what the dead worker says after all does not count.
    let again = table.claim(&create("claimed"), later, LEASE_MS).await.unwrap().unwrap();
    assert_eq!((again.attempts, again.tried), (2, true));
    table.complete(&claims[0]).await.unwrap();
    assert_eq!(due(table, later.plus_ms(LEASE_MS)).await.len(), 2);
    assert_eq!(table.release(later, LEASE_MS).await.unwrap(), 1);
    store.close().await;
}
