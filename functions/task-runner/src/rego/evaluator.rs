//! The side that asks: starts the child, feeds it, waits no longer than it must.

use std::borrow::Cow;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Empty, Stream, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use super::findings::Findings;
use super::policy::{Namespaces, Policy, PolicyError};
use super::wire::{Answer, Bounds, Header};

/// The argument that makes the program a child that evaluates.
pub const EVALUATE_POLICY: &str = "evaluate-policy";

/// What the child has to tell itself that its time is over, before it is killed.
const GRACE: Duration = Duration::from_millis(500);
/// How much of what the child complains about is kept.
const COMPLAINT_BYTES_MAX: u64 = 4096;

/// What one evaluation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the start of the child to its answer, the plan's way into it included.
    pub wall_ms: u64,
    /// Processor time.
    pub cpu_seconds: u64,
    /// Address space of the child. A plan of Terraform's takes about five times its size, a document of very small
    /// values up to sixteen times; `walk` over all of it takes another fifteen times. macOS does not hold to it.
    pub memory_bytes: u64,
    /// The largest plan.
    pub input_bytes_max: u64,
    /// The largest answer.
    pub output_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_ms: 60_000,
            cpu_seconds: 60,
            memory_bytes: 1 << 30,
            input_bytes_max: 100 << 20,
            output_bytes_max: 4 << 20,
        }
    }
}

/// Evaluates policies, each in a process of its own.
#[derive(Debug, Clone)]
pub struct Evaluator {
    /// The program; it must call [`child_main`](super::child_main) when it gets `args`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What each evaluation may use.
    pub limits: Limits,
}

/// What is asked about.
#[derive(Debug)]
pub struct Input<S> {
    /// `input.run`.
    pub run: Value,
    /// `input.context`.
    pub context: Value,
    /// The plan as JSON, as it comes in. It is never held on this side.
    pub plan: Option<S>,
}

/// The type of a plan that is not there.
pub type NoPlan = Empty<Result<Bytes, Infallible>>;

/// Why there are no findings. None of these has anything of the plan in it.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The child could not be started.
    #[error("could not start {} to evaluate the policy", program.display())]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The policy's author must act.
    #[error("the policy is wrong: {0}")]
    Policy(#[source] PolicyError),
    /// The plan is too large to be evaluated.
    #[error("the plan is larger than {limit} bytes, the most that is evaluated")]
    PlanTooLarge {
        /// The most bytes.
        limit: u64,
    },
    /// The plan stopped coming in.
    #[error("the plan could not be read to its end")]
    PlanLost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The plan is no JSON object.
    #[error("the plan is not a JSON document: {wrong}")]
    PlanUnreadable {
        /// What is wrong, and where.
        wrong: String,
    },
    /// It took too long.
    #[error("the policy took longer than {limit_ms} ms and was stopped")]
    TimedOut {
        /// The most milliseconds.
        limit_ms: u64,
    },
    /// It used too much processor time.
    #[error("the policy used more than {limit_seconds} s of processor time and was stopped")]
    CpuExhausted {
        /// The most seconds.
        limit_seconds: u64,
    },
    /// It needed too much memory.
    #[error("the policy needed more than {limit_bytes} bytes of memory for this plan and was stopped")]
    OutOfMemory {
        /// The most bytes.
        limit_bytes: u64,
    },
    /// It said too much.
    #[error("the evaluation answered more than {limit} bytes")]
    OutputTooLarge {
        /// The most bytes.
        limit: u64,
    },
    /// It ended without an answer.
    #[error("the evaluation ended without an answer: {detail}")]
    Crashed {
        /// How it ended.
        detail: String,
    },
    /// The child could not be spoken with.
    #[error("could not exchange data with the evaluation")]
    Pipe(#[from] io::Error),
}

impl Evaluator {
    /// An evaluator whose child is this very program, started with [`EVALUATE_POLICY`].
    pub fn this_program(limits: Limits) -> io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, args: vec![EVALUATE_POLICY.into()], limits })
    }

    /// What `policy` finds in `input`. Dropping the future kills the child.
    pub async fn evaluate<S, E>(
        &self,
        policy: &Policy,
        namespaces: &Namespaces,
        input: Input<S>,
    ) -> Result<Findings, EvaluateError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let head = self.head(policy, namespaces, &input)?;
        let mut child = self.start()?;
        let time = Duration::from_millis(self.limits.wall_ms) + GRACE;
        let asked = tokio::time::timeout(time, self.ask(&mut child, &head, input.plan)).await;
        if !matches!(asked, Ok(Ok(_))) {
            // It may have ended by itself meanwhile; then there is nothing left to kill.
            let _ = child.kill().await;
        }
        match asked.map_err(|_| self.timed_out())?? {
            Answer::Findings(findings) => Ok(findings),
            Answer::Policy(error) => Err(EvaluateError::Policy(error)),
            Answer::Plan { wrong } => Err(EvaluateError::PlanUnreadable { wrong }),
            Answer::TimedOut => Err(self.timed_out()),
        }
    }

    fn timed_out(&self) -> EvaluateError {
        EvaluateError::TimedOut { limit_ms: self.limits.wall_ms }
    }

    /// The two lines before the plan.
    fn head<S>(&self, policy: &Policy, namespaces: &Namespaces, input: &Input<S>) -> io::Result<Vec<u8>> {
        let Limits { wall_ms, cpu_seconds, memory_bytes, .. } = self.limits;
        let header = Header {
            policy: Cow::Borrowed(policy),
            namespaces: Cow::Borrowed(namespaces),
            run: Cow::Borrowed(&input.run),
            context: Cow::Borrowed(&input.context),
            plan: input.plan.is_some(),
        };
        let mut head = serde_json::to_vec(&Bounds { wall_ms, cpu_seconds, memory_bytes })?;
        head.push(b'\n');
        serde_json::to_writer(&mut head, &header)?;
        head.push(b'\n');
        Ok(head)
    }

    fn start(&self) -> Result<Child, EvaluateError> {
        Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| EvaluateError::Start { program: self.program.clone(), source })
    }

    /// Feeds the child until it has all or has answered.
    async fn ask<S, E>(&self, child: &mut Child, head: &[u8], plan: Option<S>) -> Result<Answer, EvaluateError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let stdin = child.stdin.take().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?;
        let stderr = child.stderr.take().ok_or_else(gone)?;
        let limit = self.limits.output_bytes_max;
        let mut feeding = pin!(self.feed(stdin, head, plan));
        let listening =
            async { tokio::try_join!(hear(stdout, limit), complaint(stderr), async { Ok(child.wait().await?) }) };
        let mut listening = pin!(listening);
        let mut all_fed = false;
        let (answer, complaint, status) = loop {
            tokio::select! {
                done = &mut feeding, if !all_fed => {
                    done?;
                    all_fed = true;
                }
                ended = &mut listening => break ended?,
            }
        };
        match serde_json::from_slice(&answer) {
            Ok(answer) if status.success() => Ok(answer),
            _ => Err(self.ended(status, &complaint)),
        }
    }

    async fn feed<S, E>(&self, mut stdin: ChildStdin, head: &[u8], plan: Option<S>) -> Result<(), EvaluateError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !taken(stdin.write_all(head).await)? {
            return Ok(());
        }
        let Some(plan) = plan else { return Ok(()) };
        let mut plan = pin!(plan);
        let limit = self.limits.input_bytes_max;
        let mut bytes = 0;
        while let Some(chunk) = plan.next().await {
            let chunk = chunk.map_err(|error| EvaluateError::PlanLost(error.into()))?;
            bytes += chunk.len() as u64;
            if bytes > limit {
                return Err(EvaluateError::PlanTooLarge { limit });
            }
            if !taken(stdin.write_all(&chunk).await)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// How a child ended that gave no answer.
    fn ended(&self, status: ExitStatus, complaint: &str) -> EvaluateError {
        use std::os::unix::process::ExitStatusExt;

        const CPU_TIME: i32 = rustix::process::Signal::XCPU.as_raw();
        const KILL: i32 = rustix::process::Signal::KILL.as_raw();
        let Limits { cpu_seconds, memory_bytes, .. } = self.limits;
        if complaint.contains("memory allocation of") {
            return EvaluateError::OutOfMemory { limit_bytes: memory_bytes };
        }
        let detail = match status.signal() {
            Some(CPU_TIME) => return EvaluateError::CpuExhausted { limit_seconds: cpu_seconds },
            Some(KILL) => "it was killed, perhaps by the system for want of memory".to_owned(),
            Some(_) if complaint.contains("overflowed its stack") => "its stack overflowed".to_owned(),
            Some(signal) => format!("it ended by signal {signal}"),
            None => match complaint.lines().find(|line| line.starts_with("panicked at ")) {
                Some(panic) => format!("it {panic}"),
                None => format!("what it wrote is no answer ({status})"),
            },
        };
        EvaluateError::Crashed { detail }
    }
}

/// Whether the child still reads. One that has answered does not have to.
fn taken(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

async fn hear(from: impl AsyncRead + Unpin, limit: u64) -> Result<Vec<u8>, EvaluateError> {
    let mut heard = Vec::new();
    from.take(limit.saturating_add(1)).read_to_end(&mut heard).await?;
    if heard.len() as u64 > limit { Err(EvaluateError::OutputTooLarge { limit }) } else { Ok(heard) }
}

/// The beginning of what is written to standard error; the rest is read so that the child does not wait for it.
async fn complaint(mut from: impl AsyncRead + Unpin) -> Result<String, EvaluateError> {
    let mut heard = Vec::new();
    (&mut from).take(COMPLAINT_BYTES_MAX).read_to_end(&mut heard).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&heard).into_owned())
}
