//! A Runtime API, and programs that poll it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use super::{Vars, vars};
use crate::bins::bin;

pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// What Lambda itself sets.
pub(super) fn platform(function: &str) -> Vars {
    vars(&[
        ("AWS_LAMBDA_FUNCTION_NAME", function),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ])
}

/// A program that ends with the test.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(program: &Path, arguments: &[&str], vars: &Vars) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(vars).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// The exit status of a program that ends by itself.
    pub(super) async fn ended(mut self) -> Option<i32> {
        let ended = async {
            loop {
                match self.0.try_wait().unwrap() {
                    Some(status) => break status,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hands out events one by one, takes answers.
pub(super) struct RuntimeApi {
    address: String,
    events: mpsc::UnboundedSender<String>,
    told: mpsc::UnboundedReceiver<Told>,
}

/// What a function told the Runtime API.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    Response(Value),
    Error(Value),
    InitError(Value),
}

impl RuntimeApi {
    pub(super) async fn start() -> Self {
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
            // It is Lambda that has a limit, and the tests that look at it.
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::new(Mutex::new(pending)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, events, told }
    }

    /// Starts the function's program with these variables.
    pub(super) fn run(&self, function: &'static str, vars: Vars) -> Running {
        self.run_program(&bin(function), function, vars)
    }

    /// Starts a program that lies somewhere else as the function.
    pub(super) fn run_program(&self, program: &Path, function: &'static str, mut vars: Vars) -> Running {
        vars.extend(platform(function));
        vars.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), self.address.clone());
        Running::start(program, &[], &vars)
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) async fn invoke(&mut self, event: impl Into<String>) -> Told {
        self.events.send(event.into()).unwrap();
        self.told().await
    }

    /// The response to an event that must have one.
    #[track_caller]
    pub(super) fn answer(&mut self, event: impl Into<String>) -> impl Future<Output = Value> {
        let (event, caller) = (event.into(), std::panic::Location::caller());
        async move {
            match self.invoke(event).await {
                Told::Response(answer) => answer,
                other => panic!("no response at {caller}: {other:?}"),
            }
        }
    }

    /// All that was told and not looked at yet.
    pub(super) fn told_so_far(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }

    pub(super) async fn told(&mut self) -> Told {
        tokio::time::timeout(PATIENCE, self.told.recv()).await.unwrap().unwrap()
    }
}

async fn next(State(events): State<Arc<Mutex<mpsc::UnboundedReceiver<String>>>>) -> (HeaderMap, String) {
    // Without a further event the poll hangs, as Lambda's does.
    let Some(event) = events.lock().await.recv().await else { return std::future::pending().await };
    let headers = [
        ("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000001"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:sluice"),
    ];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    (HeaderMap::from_iter(headers), event)
}
