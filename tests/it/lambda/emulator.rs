//! AWS's own Runtime Interface Emulator, where `SLUICE_RIE` names its program.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::Vars;
use super::runtime::{PATIENCE, Running, platform};
use crate::bins::bootstrap;

/// A function behind an emulator.
pub(super) struct Emulated {
    front: String,
    api: String,
    _running: Running,
    _directory: TempDir,
}

impl Emulated {
    /// None, and a line about it, without an emulator.
    pub(super) fn start(function: &'static str, mut vars: Vars) -> Option<Self> {
        let Some(emulator) = std::env::var_os("SLUICE_RIE") else {
            println!("skipped: SLUICE_RIE does not name the Runtime Interface Emulator");
            return None;
        };
        vars.extend(platform(function));
        Some(Self::with(&emulator, function, &vars))
    }

    fn with(emulator: &OsString, function: &'static str, vars: &Vars) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = bootstrap(function, directory.path());
        let (front, api) = (free_address(), free_address());
        let arguments = ["--runtime-interface-emulator-address", &front, "--runtime-api-address", &api];
        let arguments = [&arguments[..], &[program.to_str().unwrap()]].concat();
        let running = Running::start(Path::new(emulator), &arguments, vars);
        Self { front, api, _running: running, _directory: directory }
    }

    /// Invokes the function. Calls come one after the other: it does not survive two at the same time.
    pub(super) async fn call(&mut self, event: impl Into<String>) -> Value {
        let (front, api, event) = (self.front.clone(), self.api.clone(), event.into());
        let calling = move || {
            // A function can start faster than the emulator opens what it polls.
            drop(connect(&api));
            call(connect(&front), &event)
        };
        tokio::task::spawn_blocking(calling).await.unwrap()
    }
}

/// An address that was free a moment ago.
pub fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A connection to the emulator, once it listens.
fn connect(address: &str) -> TcpStream {
    (0..500)
        .find_map(|_| TcpStream::connect(address).map_err(|_| std::thread::sleep(Duration::from_millis(10))).ok())
        .expect("the emulator listens")
}

/// Invokes the function behind an emulator.
fn call(mut stream: TcpStream, event: &str) -> Value {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nHost: lambda\r\nConnection: close\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{event}", event.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").expect("an HTTP response").1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}
