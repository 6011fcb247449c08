//! An organization to connect, a receiver that verifies, and a store.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use sluice_domain::TaskName;
use sluice_local::store::Embedded;
use sluice_tests::hcp::{Hcp, Limits, NotificationView, Options, RequestRecord, RunTaskView, sign};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::bins::bin;
use crate::serve::program::{API_TOKEN, Ended, NOTIFICATION_TOKEN, Vars, run, vars};

/// The key of the run task. It may never be printed.
pub const TASK_KEY: &str = "hmac-91c7e0-task-secret";

/// Answers notifications and run tasks: well if they are signed with what it knows, else with 401.
#[derive(Clone)]
pub struct Door {
    pub url: String,
    pub token: Arc<Mutex<String>>,
    /// What is answered instead, if anything.
    pub answers: Arc<Mutex<Option<u16>>>,
}

impl Door {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let door = Self { url, token: Arc::new(Mutex::new(NOTIFICATION_TOKEN.to_owned())), answers: Arc::default() };
        let router = Router::new().fallback(answer).with_state(door.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        door
    }

    pub fn notifications(&self) -> String {
        format!("{}/notifications", self.url)
    }
}

async fn answer(State(door): State<Door>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Some(status) = *door.answers.lock().unwrap() {
        return StatusCode::from_u16(status).unwrap();
    }
    let token = door.token.lock().unwrap().clone();
    let (header, key) = match uri.path() {
        "/notifications" => ("x-tfe-notification-signature", token.as_str()),
        "/run-tasks/guard" | "/run-tasks/watch" => ("x-tfc-task-signature", TASK_KEY),
        _ => return StatusCode::NOT_FOUND,
    };
    let signed = headers.get(header).is_some_and(|signature| *signature == sign(key, &body));
    if signed { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

pub struct Scene {
    pub hcp: Hcp,
    pub door: Door,
    pub vars: Vars,
    store: TempDir,
}

impl Scene {
    /// An instance that allows as many requests a second, and these run tasks in the store.
    pub async fn new(per_second: u32, tasks: &[Value]) -> Self {
        let limits = Limits { per_second: Some(per_second), ..Limits::default() };
        let hcp = Hcp::start(Options { token: API_TOKEN.to_owned(), limits, ..Options::default() }).await;
        let door = Door::open().await;
        let vars = vars([
            ("API_TOKEN", API_TOKEN),
            ("NOTIFICATION_TOKEN", &format!("{NOTIFICATION_TOKEN},one-before")),
            ("TFE_ADDRESS", &hcp.address()),
            ("SLUICE_PUBLIC_URL", &door.url),
            ("SLUICE_API_REQUESTS_PER_SECOND", &per_second.to_string()),
            ("GUARD_KEY", TASK_KEY),
        ]);
        let store = TempDir::new().unwrap();
        let scene = Self { hcp, door, vars, store };
        let embedded = Embedded::open(Some(scene.store.path())).await.unwrap();
        for task in tasks {
            let name: TaskName = task["name"].as_str().unwrap().parse().unwrap();
            embedded.table.put_task(&name, &task.to_string()).await.unwrap();
        }
        embedded.close().await;
        scene
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let store = ["--data-dir", self.store.path().to_str().unwrap()];
        ["connect", "acme"].iter().chain(more).copied().chain(store).collect()
    }

    /// `sluice connect acme`, to its end.
    pub async fn connect(&self, more: &[&str]) -> Ended {
        let ended = run(&self.arguments(more), &self.vars).await;
        assert!(!(ended.stdout.clone() + &ended.stderr).contains(TASK_KEY), "a key is printed");
        ended
    }

    /// The same, and what it is expected to end with.
    pub async fn connects(&self, more: &[&str], code: i32) -> String {
        let ended = self.connect(more).await;
        assert_eq!(ended.code, Some(code), "{more:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// Begins the same, and kills it once `enough` is so.
    pub async fn kill_once(&self, more: &[&str], enough: impl Fn(&Hcp) -> bool) {
        let mut command = Command::new(bin("sluice"));
        command.args(self.arguments(more)).env_clear().envs(&self.vars);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut child = Killed(child);
        let reached = self.hcp.until(|hcp| enough(hcp).then_some(()));
        tokio::time::timeout(crate::serve::program::PATIENCE, reached).await.unwrap();
        assert!(child.0.try_wait().unwrap().is_none(), "it was over before it could be killed");
    }

    /// The requests that were not only to look.
    pub fn writes(&self) -> Vec<RequestRecord> {
        self.hcp.requests().into_iter().filter(|request| request.method != "GET").collect()
    }

    /// The configurations of a workspace or a project.
    pub fn notifications(&self, subscriber: &str) -> Vec<NotificationView> {
        self.hcp.notifications().into_iter().filter(|it| it.subscriber == subscriber).collect()
    }

    /// Exactly one of ours tells of a workspace or a project, and tells all there is to tell.
    #[track_caller]
    pub fn assert_tells(&self, subscriber: &str) {
        let all = self.notifications(subscriber);
        let ours: Vec<_> = all.iter().filter(|it| it.url == self.door.notifications()).collect();
        let [one] = ours.as_slice() else { panic!("{subscriber}: {all:#?}") };
        assert!(one.enabled && one.token.as_deref() == Some(NOTIFICATION_TOKEN), "{one:#?}");
        let needed = ["completed", "planning", "applying", "errored", "needs_attention"];
        let missing: Vec<_> = needed.iter().filter(|it| !one.triggers.contains(&format!("run:{it}"))).collect();
        assert!(missing.is_empty(), "{one:#?}");
        assert!(one.answered.is_none_or(|code| code == 200), "{one:#?}");
    }

    /// The run task of this name.
    #[track_caller]
    pub fn run_task(&self, name: &str) -> RunTaskView {
        self.hcp.run_tasks().into_iter().find(|task| task.name == name).expect(name)
    }

    /// Within the limit of any second, and never over it.
    #[track_caller]
    pub fn assert_within_budget(&self, per_second: usize) {
        assert_eq!(self.hcp.exceeded().per_second, 0);
        let at: Vec<_> = self.hcp.requests().iter().map(|request| request.at).collect();
        let second = std::time::Duration::from_secs(1);
        let (mut from, mut busiest) = (0, 0);
        for (to, until) in at.iter().enumerate() {
            while *until - at[from] >= second {
                from += 1;
            }
            busiest = busiest.max(to + 1 - from);
        }
        assert!(busiest <= per_second, "{busiest} requests in a second");
    }
}

/// A child that is killed, as `kill -9` does, whatever becomes of the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The run task `guard`: a mandatory check after the plan, and its key in the environment.
pub fn guard() -> Value {
    json!({
        "name": "guard",
        "hmac_keys": ["env:GUARD_KEY"],
        "stages": ["post_plan"],
        "checks": [{ "name": "wave", "kind": "preview" }],
    })
}

pub fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
