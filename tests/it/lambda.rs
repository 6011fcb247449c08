//! notification-receiver as Lambda runs it: the compiled program, polling a Runtime API.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};
use sluice_domain::Timestamp;
use sluice_domain::ports::Bell;
use sluice_local::store::Embedded;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::bins::{bin, bootstrap};

const FUNCTION: &str = "notification-receiver";
const PATIENCE: Duration = Duration::from_mins(1);
/// Later than anything here can be due.
const LATER: Timestamp = Timestamp(u64::MAX / 2);

type Vars = BTreeMap<String, String>;

/// The SDK's variables for a store on loopback.
pub fn aws(endpoint: &str) -> Vars {
    vars(&[
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ])
}

fn vars(vars: &[(&str, &str)]) -> Vars {
    vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The function's own variables.
fn function(store: &Embedded) -> Vars {
    let mut all = aws(&store.endpoint);
    all.extend(vars(&[("WORKSPACE_DEPENDENCIES_TABLE", "sluice"), ("NOTIFICATION_TOKEN", "next-token, demo-token")]));
    all
}

/// What Lambda itself sets.
fn platform() -> Vars {
    vars(&[
        ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ])
}

/// A program that ends with the test.
struct Running(Child);

impl Running {
    fn start(program: &Path, arguments: &[&str], vars: &Vars) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(vars).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Runtime API: hands out events one by one, takes answers.
struct RuntimeApi {
    address: String,
    events: mpsc::UnboundedSender<String>,
    told: mpsc::UnboundedReceiver<Told>,
}

/// What a function told the Runtime API.
#[derive(Debug, PartialEq)]
enum Told {
    Response(Value),
    Error(Value),
    InitError(Value),
}

impl RuntimeApi {
    async fn start() -> Self {
        let (events, pending) = mpsc::unbounded_channel::<String>();
        let (tell, told) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let taker = |wrap: fn(Value) -> Told| {
            let tell = tell.clone();
            post(move |body: Bytes| async move {
                tell.send(wrap(serde_json::from_slice(&body).unwrap())).unwrap();
                StatusCode::ACCEPTED
            })
        };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", taker(Told::Response))
            .route("/2018-06-01/runtime/invocation/{id}/error", taker(Told::Error))
            .route("/2018-06-01/runtime/init/error", taker(Told::InitError))
            .with_state(std::sync::Arc::new(Mutex::new(pending)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, events, told }
    }

    fn run(&self, mut vars: Vars) -> Running {
        vars.extend(platform());
        vars.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), self.address.clone());
        Running::start(&bin(FUNCTION), &[], &vars)
    }

    async fn invoke(&mut self, event: String) -> Told {
        self.events.send(event).unwrap();
        self.told().await
    }

    async fn told(&mut self) -> Told {
        tokio::time::timeout(PATIENCE, self.told.recv()).await.unwrap().unwrap()
    }
}

async fn next(State(events): State<std::sync::Arc<Mutex<mpsc::UnboundedReceiver<String>>>>) -> (HeaderMap, String) {
    // Without a further event the poll hangs, as Lambda's does.
    let Some(event) = events.lock().await.recv().await else { return std::future::pending().await };
    let headers = [
        ("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000001"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:receiver"),
    ];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    (HeaderMap::from_iter(headers), event)
}

/// The sample events of this function, by name.
fn events() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(FUNCTION);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let event = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), event)
        })
        .collect()
}

/// An event whose body is no longer what was signed.
fn tampered() -> Value {
    let mut event = events()["apigw-http-v2"].clone();
    event["body"] = event["body"].as_str().unwrap().replace("network", "another").into();
    event
}

async fn due(store: &Embedded) -> usize {
    store.table.due(sluice_domain::Queue::Index, LATER, 10).await.unwrap().len()
}

#[tokio::test]
async fn the_program_answers_every_front_door() {
    let store = Embedded::open(None).await.unwrap();
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(function(&store));

    let Told::Response(answer) = lambda.invoke(tampered().to_string()).await else { panic!("no response") };
    assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(401), &json!("")));
    assert_eq!(due(&store).await, 0);

    for (name, event) in events() {
        let Told::Response(answer) = lambda.invoke(event.to_string()).await else { panic!("no response to {name}") };
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(202), &json!("")), "{name}");
    }
    assert_eq!(due(&store).await, 1);
}

#[tokio::test]
async fn the_program_outlives_events_of_another_kind() {
    let store = Embedded::open(None).await.unwrap();
    let mut lambda = RuntimeApi::start().await;
    let _running = lambda.run(function(&store));
    let bad_base64 = json!({"httpMethod": "POST", "path": "/", "body": "%", "isBase64Encoded": true});
    for event in [json!({}), json!({"Records": []}), bad_base64] {
        let Told::Response(answer) = lambda.invoke(event.to_string()).await else { panic!("no response to {event}") };
        assert_eq!(answer["statusCode"], json!(400), "{event}");
    }
    for event in [json!("text"), json!({"headers": 7})] {
        assert!(matches!(lambda.invoke(event.to_string()).await, Told::Error(_)), "{event}");
    }
    let event = &events()["function-url"];
    let Told::Response(answer) = lambda.invoke(event.to_string()).await else { panic!("no response") };
    assert_eq!(answer["statusCode"], json!(202));
}

#[tokio::test]
async fn a_program_that_is_not_configured_says_all_that_is_missing() {
    let mut lambda = RuntimeApi::start().await;
    let mut running = lambda.run(vars(&[("TFE_ADDRESS", "terraform")]));
    let Told::InitError(error) = lambda.told().await else { panic!("no error") };
    assert_eq!(
        error["errorMessage"],
        json!(
            "invalid configuration: WORKSPACE_DEPENDENCIES_TABLE is not set; NOTIFICATION_TOKEN is not set; \
             TFE_ADDRESS is not an http or https URL of a host, without path or user"
        )
    );
    let status = tokio::task::spawn_blocking(move || running.0.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(1));
}

/// AWS's own emulator, where `SLUICE_RIE` names its program.
#[tokio::test]
async fn the_program_runs_in_the_runtime_interface_emulator() {
    let Some(emulator) = std::env::var_os("SLUICE_RIE") else {
        println!("skipped: SLUICE_RIE does not name the Runtime Interface Emulator");
        return;
    };
    let store = Embedded::open(None).await.unwrap();
    let mut vars = function(&store);
    vars.extend(platform());
    let calls = tokio::task::spawn_blocking(move || {
        let directory = tempfile::tempdir().unwrap();
        let program = bootstrap(FUNCTION, directory.path());
        let (front, api) = (free_address(), free_address());
        let arguments = ["--runtime-interface-emulator-address", &front, "--runtime-api-address", &api];
        let arguments = [&arguments[..], &[program.to_str().unwrap()]].concat();
        let _running = Running::start(Path::new(&emulator), &arguments, &vars);
        // It does not survive calls at the same time.
        assert_eq!(call(&front, &tampered())["statusCode"], json!(401));
        for (name, event) in events() {
            assert_eq!(call(&front, &event)["statusCode"], json!(202), "{name}");
        }
    });
    calls.await.unwrap();
    assert_eq!(due(&store).await, 1);
}

/// An address that was free a moment ago.
fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Invokes the function behind an emulator, once that listens.
fn call(address: &str, event: &Value) -> Value {
    let mut stream = (0..500)
        .find_map(|_| TcpStream::connect(address).map_err(|_| std::thread::sleep(Duration::from_millis(10))).ok())
        .expect("the emulator listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let event = event.to_string();
    let head = "POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nHost: lambda\r\nConnection: close\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{event}", event.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").expect("an HTTP response").1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}
