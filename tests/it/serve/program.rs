//! The compiled `sluice` as its user meets it: arguments, environment, output, exit code, signals.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::bins::bin;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// The secrets that programs are given here. None of them may ever be printed.
pub const API_TOKEN: &str = "atlas-e7b1c4-api-secret";
pub const NOTIFICATION_TOKEN: &str = "hmac-5f02d9-notification-secret";
pub const SECRETS: [&str; 2] = [API_TOKEN, NOTIFICATION_TOKEN];

/// An environment. Programs are started with nothing but it.
pub type Vars = BTreeMap<String, String>;

pub fn vars<const N: usize>(vars: [(&str, &str); N]) -> Vars {
    vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn start(arguments: &[&str], vars: &Vars, directory: Option<&Path>) -> Child {
    let mut command = Command::new(bin("sluice"));
    command.args(arguments).env_clear().envs(vars);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    command.spawn().unwrap()
}

/// What a program left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program to its end.
pub async fn run(arguments: &[&str], vars: &Vars) -> Ended {
    run_in(None, arguments, vars).await
}

/// Runs a program to its end, in a directory.
pub async fn run_in(directory: Option<&Path>, arguments: &[&str], vars: &Vars) -> Ended {
    let mut running = Running(start(arguments, vars, directory));
    let (stdout, stderr) = (running.0.stdout.take().unwrap(), running.0.stderr.take().unwrap());
    let named = format!("{arguments:?}");
    let ended = tokio::task::spawn_blocking(move || {
        let [stdout, stderr] = [reader(stdout), reader(stderr)];
        let status = running.wait().unwrap_or_else(|| panic!("sluice {named} does not end"));
        Ended { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    });
    let ended = ended.await.unwrap();
    assert_no_secret(&ended.stdout);
    assert_no_secret(&ended.stderr);
    ended
}

/// Starts a program and kills it after a while, as `kill -9` does.
pub async fn run_and_kill(arguments: &[&str], vars: &Vars, after: Duration) {
    let mut running = Running(start(arguments, vars, None));
    tokio::time::sleep(after).await;
    running.kill();
}

/// Starts a program, waits for a line on its standard error that says this, and kills it.
pub async fn run_until_told(arguments: &[&str], vars: &Vars, says: &'static str) -> String {
    let mut running = Running(start(arguments, vars, None));
    let stderr = BufReader::new(running.0.stderr.take().unwrap());
    let told = tokio::task::spawn_blocking(move || {
        let line = stderr.lines().map_while(Result::ok).find(|line| line.contains(says));
        drop(running);
        line
    });
    tokio::time::timeout(PATIENCE, told).await.expect(says).unwrap().unwrap_or_default()
}

fn reader(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}

#[track_caller]
fn assert_no_secret(output: &str) {
    for secret in SECRETS {
        let line = output.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "a secret is printed: {line:?}");
    }
}

/// A child that does not outlive the test.
struct Running(Child);

impl Running {
    fn wait(&mut self) -> Option<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A running `sluice serve`.
pub struct Server {
    running: Running,
    log: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
    /// `127.0.0.1:port`.
    pub address: String,
}

impl Server {
    /// Starts `sluice serve` and waits until it listens.
    pub async fn start(data: &Path, listen: &str, vars: &Vars) -> Self {
        let arguments = ["serve", "--listen", listen, "--data-dir", data.to_str().unwrap()];
        let mut running = Running(start(&arguments, vars, None));
        let log = Arc::new(Mutex::new(String::new()));
        let (tell, mut told) = watch::channel(None);
        let (stdout, stderr) = (running.0.stdout.take().unwrap(), running.0.stderr.take().unwrap());
        let mut readers = Vec::new();
        for pipe in [Box::new(stdout) as Box<dyn Read + Send>, Box::new(stderr)] {
            let (log, tell) = (log.clone(), tell.clone());
            readers.push(std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if let Some((_, after)) = line.split_once("listening on http://") {
                        tell.send_replace(after.split(',').next().map(str::to_owned));
                    }
                    let mut log = log.lock().unwrap();
                    log.push_str(&line);
                    log.push('\n');
                }
            }));
        }
        drop(tell);
        let listening = tokio::time::timeout(PATIENCE, told.wait_for(Option::is_some)).await;
        let address = listening.ok().and_then(|told| told.ok().and_then(|address| address.clone()));
        let address = address.unwrap_or_else(|| panic!("it does not listen:\n{}", log.lock().unwrap()));
        Self { running, log, readers, address }
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.running.kill();
    }

    /// `kill -TERM`, and nothing more.
    pub fn terminate(&self) {
        let pid = self.running.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for its end. Returns its exit code and what it has printed.
    pub async fn ended(mut self) -> (Option<i32>, String) {
        tokio::task::spawn_blocking(move || {
            let status = self.running.wait().unwrap_or_else(|| panic!("it does not end:\n{}", self.log()));
            // What it has printed last may not have been read yet.
            self.readers.drain(..).for_each(|reader| reader.join().unwrap());
            (status.code(), self.log())
        })
        .await
        .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.kill();
        if !std::thread::panicking() {
            assert_no_secret(&self.log.lock().unwrap());
        }
    }
}
