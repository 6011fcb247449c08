//! A real control plane, as a program beside the tests.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_mins(2);

/// The program, until it is dropped.
pub(super) struct Program {
    /// Its standard input closes with it, and the program ends.
    _child: Child,
    directory: TempDir,
}

impl Program {
    pub async fn start(binary: &Path) -> io::Result<Self> {
        let directory = TempDir::new()?;
        let mut child = Command::new(binary)
            .arg("--dir")
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(output).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if line.trim() == "ready" {
                    return io::Result::Ok(());
                }
            }
            Err(io::ErrorKind::UnexpectedEof.into())
        };
        tokio::time::timeout(PATIENCE, ready).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        // What it says later is read, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { _child: child, directory })
    }

    pub fn kubeconfig(&self) -> io::Result<String> {
        std::fs::read_to_string(self.directory.path().join("kubeconfig"))
    }
}
