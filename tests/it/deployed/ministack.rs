//! An emulated AWS, of which `SLUICE_MINISTACK` names the program: with its own table, queues, schedules and gateway,
//! and functions as processes of this machine. It checks signatures and the policies of roles.

use std::ffi::OsString;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::aws::{KEY_ID, Owner, REGION, SECRET_KEY};
use crate::lambda::free_address;

pub struct Ministack {
    pub owner: Owner,
    address: String,
    process: Child,
    directory: TempDir,
}

impl Ministack {
    pub async fn start(program: &OsString) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let port = address.rsplit_once(':').unwrap().1;
        let endpoint = format!("http://{address}");
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let process = Command::new(program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", directory.path())
            .env("TMPDIR", directory.path())
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port)
            .env("AUTH", "true")
            .env("MINISTACK_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            // Functions inherit it.
            .env("AWS_ENDPOINT_URL", &endpoint)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut ministack = Self { owner: Owner { endpoint }, address, process, directory };
        ministack.listening().await;
        ministack
    }

    async fn listening(&mut self) {
        for _ in 0..1_500 {
            if TcpStream::connect(&self.address).is_ok() {
                return;
            }
            assert!(self.process.try_wait().unwrap().is_none(), "it ended: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not listen: {}", self.log());
    }

    /// What it has printed, and what functions have.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// A role that does not allow what its function does is the end of a test, and not something to wait for.
    pub fn nobody_is_denied(&self) {
        let log = self.log();
        let denied: Vec<_> = log.lines().filter(|line| is_denial(line)).collect();
        assert!(denied.is_empty(), "{}", denied.join("\n"));
    }

    /// The processes of a function, or of all.
    pub fn processes(&self, function: Option<&str>) -> Vec<Pid> {
        let named = |environment: &[u8]| {
            let name = function.map(|name| format!("AWS_LAMBDA_FUNCTION_NAME={name}"));
            name.is_none_or(|name| environment.split(|byte| *byte == 0).any(|it| it == name.as_bytes()))
        };
        let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let pids = entries.filter_map(|name| name.parse::<i32>().ok());
        let ours = pids.filter(|pid| {
            let process = PathBuf::from(format!("/proc/{pid}"));
            let program = fs::read_link(process.join("exe")).unwrap_or_default();
            program.starts_with(self.directory.path()) && named(&fs::read(process.join("environ")).unwrap_or_default())
        });
        ours.filter_map(Pid::from_raw).collect()
    }

    /// `kill -9` of a function, wherever it is. Returns how many processes that were.
    pub fn kill(&self, function: &str) -> usize {
        let processes = self.processes(Some(function));
        processes.iter().filter(|pid| kill_process(**pid, Signal::KILL).is_ok()).count()
    }

    /// Stops it; nothing of it is left.
    pub async fn stop(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        let ended = async {
            while self.process.try_wait().unwrap().is_none() || !self.processes(None).is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        assert!(ended.is_ok(), "left over: {:?}; {}", self.processes(None), self.log());
        assert!(TcpStream::connect(&self.address).is_err(), "its port is still open");
    }
}

/// Whether a line tells that a policy does not allow something.
pub fn is_denial(line: &str) -> bool {
    line.contains("AccessDenied") || line.contains("not authorized")
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        for pid in self.processes(None) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
