//! The functions as their own programs around one table, as they are in an account: a gateway before those that are
//! asked, a bell for those that work, and somebody who reads all that they print.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{any, get, post};
use serde_json::{Value, json};
use sluice_lambda::now;
use sluice_local::store::Embedded;
use sluice_tests::hcp::{Hcp, Options, RunOptions};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::bins::bin;
use crate::world::TOKEN;

const PATIENCE: Duration = Duration::from_mins(1);

pub const REQUEST_ID: &str = "00000000-0000-4000-8000-00000000000a";
pub const XRAY: &str = "Root=1-6900f8a2-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1";

/// What no program may ever print.
pub const DIGEST_KEY: &str = "digest-key-81c0";
pub const GATE_KEY: &str = "gate-key-4be2";
pub const TASK_KEY: &str = "task-key-0f6d";

/// One function, one event at a time.
struct Program {
    _child: Kill,
    events: mpsc::UnboundedSender<String>,
    answers: mpsc::UnboundedReceiver<Value>,
    printed: File,
}

struct Kill(Child);

impl Drop for Kill {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A line that a function has printed.
#[derive(Debug, Clone)]
pub struct Line {
    pub function: &'static str,
    pub text: String,
    pub json: Value,
}

impl Program {
    async fn start(function: &'static str, mut vars: BTreeMap<String, String>) -> Self {
        let (events, pending) = mpsc::unbounded_channel::<String>();
        let (answer, answers) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        vars.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), listener.local_addr().unwrap().to_string());
        for (name, value) in
            [("FUNCTION_NAME", function), ("FUNCTION_MEMORY_SIZE", "128"), ("FUNCTION_VERSION", "$LATEST")]
        {
            vars.insert(format!("AWS_LAMBDA_{name}"), value.to_owned());
        }
        let taken = post(move |uri: Uri, body: Bytes| async move {
            assert!(uri.path().ends_with("/response"), "{function}: {}", String::from_utf8_lossy(&body));
            answer.send(serde_json::from_slice(&body).unwrap()).unwrap();
            StatusCode::ACCEPTED
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", taken)
            .with_state(Arc::new(Mutex::new(pending)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        // To a file, so that what was printed before an answer is there with it.
        let printed = tempfile::tempfile().unwrap();
        let mut command = Command::new(bin(function));
        command.env_clear().envs(vars).stdin(Stdio::null()).stdout(printed.try_clone().unwrap());
        let _child = Kill(command.spawn().unwrap());
        Self { _child, events, answers, printed }
    }

    /// What was printed since the beginning.
    fn lines(&self, function: &'static str) -> Vec<Line> {
        let mut bytes = vec![0; usize::try_from(self.printed.metadata().unwrap().len()).unwrap()];
        self.printed.read_exact_at(&mut bytes, 0).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let line = |text: &str| {
            let json = serde_json::from_str(text).unwrap_or_else(|_| panic!("{function} printed {text}"));
            Line { function, text: text.to_owned(), json }
        };
        text.lines().map(line).collect()
    }

    async fn answer(&mut self, event: &Value) -> Value {
        self.events.send(event.to_string()).unwrap();
        tokio::time::timeout(PATIENCE, self.answers.recv()).await.unwrap().unwrap()
    }
}

async fn next(State(events): State<Arc<Mutex<mpsc::UnboundedReceiver<String>>>>) -> (HeaderMap, String) {
    let event = match events.lock().await.recv().await {
        Some(event) => event,
        None => std::future::pending().await,
    };
    let headers = [
        ("lambda-runtime-aws-request-id", REQUEST_ID),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:sluice"),
        ("lambda-runtime-trace-id", XRAY),
    ];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    (HeaderMap::from_iter(headers), event)
}

/// Which function serves which queue.
const QUEUES: [(&str, &str); 5] = [
    ("relay", "run-task-relay"),
    ("check", "task-runner"),
    ("index", "state-indexer"),
    ("create", "run-creator"),
    ("bulk", "state-indexer"),
];

type Doors = Arc<BTreeMap<&'static str, Mutex<Program>>>;

/// An installation beside a simulated HCP Terraform.
pub struct Installation {
    pub hcp: Hcp,
    pub store: Embedded,
    /// Where HCP Terraform reaches it.
    pub url: String,
    database: aws_sdk_dynamodb::Client,
    doors: Doors,
    programs: BTreeMap<&'static str, Program>,
    /// How many lines of each function were looked at.
    seen: BTreeMap<&'static str, usize>,
}

impl Installation {
    /// One beside the workspaces that `make` makes, each of which has run once.
    pub async fn of(make: impl FnOnce(&Hcp)) -> Self {
        let hcp = Hcp::start(Options::default()).await;
        make(&hcp);
        let store = Embedded::open(None).await.unwrap();
        let vars = vars(&hcp, &store);
        let mut doors = BTreeMap::new();
        for function in ["notification-receiver", "run-task-receiver"] {
            let program = Program::start(function, vars.clone()).await;
            doors.insert(function, Mutex::new(program));
        }
        let mut programs = BTreeMap::new();
        for function in ["state-indexer", "run-creator", "task-runner", "run-task-relay", "sweeper"] {
            programs.insert(function, Program::start(function, vars.clone()).await);
        }
        let doors = Arc::new(doors);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(gateway)).with_state(doors.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        hcp.notify_all(&format!("{url}/notifications"), TOKEN);
        let database = sluice_aws::client(&vars).unwrap();
        let mut installation = Self { hcp, store, url, database, doors, programs, seen: BTreeMap::new() };
        for workspace in installation.hcp.workspaces() {
            installation.hcp.start_run(&workspace, RunOptions::new("first run"));
        }
        installation.rest().await;
        installation
    }

    /// What was printed since this was asked last.
    pub async fn printed(&mut self) -> Vec<Line> {
        let mut all: Vec<Vec<Line>> = self.programs.iter().map(|(function, it)| it.lines(function)).collect();
        for (function, program) in &*self.doors {
            all.push(program.lock().await.lines(function));
        }
        let mut new = Vec::new();
        for mut lines in all {
            let Some(function) = lines.first().map(|line| line.function) else { continue };
            let seen = self.seen.insert(function, lines.len()).unwrap_or_default();
            new.extend(lines.drain(seen..));
        }
        new
    }

    /// Rings for what is due until nothing is, and no run moves.
    pub async fn rest(&mut self) {
        let mut quiet = 0;
        let deadline = now().plus_ms(60_000);
        while quiet < 3 {
            assert!(now() < deadline, "no rest: {:#?}", self.printed().await);
            self.hcp.settled().await;
            let rung = self.ring().await;
            let soon = sluice_sweeper::due(&self.store.table, now().plus_ms(150_000)).await.unwrap();
            quiet = if rung == 0 && soon.is_empty() { quiet + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// One bell for each queue in which something is due. Tells for how many works.
    async fn ring(&mut self) -> usize {
        let mut rung = 0;
        for (queue, function) in QUEUES {
            let records = self.due(queue).await;
            if records.is_empty() {
                continue;
            }
            rung += records.len();
            let answer = self.programs.get_mut(function).unwrap().answer(&json!({ "Records": records })).await;
            assert_eq!(answer, json!({ "batchItemFailures": [] }), "{function}");
        }
        rung
    }

    /// Has sweeper look once.
    pub async fn sweep(&mut self) {
        self.programs.get_mut("sweeper").unwrap().answer(&json!({})).await;
    }

    /// Sends something to the front door of notifications, and tells the status of the answer.
    pub async fn send(&self, body: &str) -> u16 {
        let mut receiver = self.doors["notification-receiver"].lock().await;
        let answer = receiver.answer(&request("/notifications", &HeaderMap::new(), body)).await;
        u16::try_from(answer["statusCode"].as_u64().unwrap()).unwrap()
    }

    /// Stream records of the works of `queue` that are due.
    async fn due(&self, queue: &str) -> Vec<Value> {
        let found = self.database.query().table_name("sluice").index_name("due");
        let found = found
            .key_condition_expression("#queue = :queue AND due_at <= :now")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":queue", AttributeValue::S(queue.to_owned()))
            .expression_attribute_values(":now", AttributeValue::N(now().0.to_string()));
        let found = found.send().await.unwrap();
        let record = |(number, item): (usize, &std::collections::HashMap<String, AttributeValue>)| {
            let (pk, sk) = (item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap());
            let image = json!({ "bell": {"S": queue}, "due_at": {"N": item["due_at"].as_n().unwrap()} });
            let change = json!({ "Keys": { "pk": {"S": pk}, "sk": {"S": sk} }, "NewImage": image,
                "SequenceNumber": format!("{number}") });
            json!({ "eventName": "MODIFY", "dynamodb": change })
        };
        found.items().iter().enumerate().map(record).collect()
    }
}

fn vars(hcp: &Hcp, store: &Embedded) -> BTreeMap<String, String> {
    let (address, token) = (hcp.address(), hcp.token());
    let vars = [
        ("AWS_ENDPOINT_URL_DYNAMODB", store.endpoint.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"),
        ("TFE_ADDRESS", &address),
        ("API_TOKEN", &token),
        ("NOTIFICATION_TOKEN", TOKEN),
        ("SLUICE_DIGEST_KEY", DIGEST_KEY),
        ("SLUICE_GATE_KEY", GATE_KEY),
        ("GUARD_KEY", TASK_KEY),
    ];
    vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

async fn gateway(State(doors): State<Doors>, uri: Uri, headers: HeaderMap, body: String) -> StatusCode {
    let function = if uri.path() == "/notifications" { "notification-receiver" } else { "run-task-receiver" };
    let answer = doors[function].lock().await.answer(&request(uri.path(), &headers, &body)).await;
    StatusCode::from_u16(u16::try_from(answer["statusCode"].as_u64().unwrap()).unwrap()).unwrap()
}

/// A request as API Gateway hands it over.
fn request(path: &str, headers: &HeaderMap, body: &str) -> Value {
    let headers: BTreeMap<&str, &str> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    json!({ "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": headers, "isBase64Encoded": false,
        "requestContext": { "http": { "method": "POST", "path": path } }, "body": body })
}
