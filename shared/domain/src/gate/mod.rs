//! The gate: what a run task asks, the checks that answer it, and what HCP Terraform is told.

mod answer;
mod check;
mod definition;
mod execution;
mod job;
mod outcome;
mod preview;
mod request;
mod upstream;

pub mod consumers;

pub use answer::{Admission, Answer, Gated, HEARTBEAT_MS, Said, SaidEnd, State, answer};
pub use check::{Check, CheckKind, Enforcement, OnError, Stage, Unsettled};
pub use definition::{CheckWire, FieldFault, InvalidTask, KeyPlace, TASK_SECONDS_MAX, TaskDefinition, TaskWire};
pub use execution::{CheckVerdict, Ended, Execution, Progress, SILENCE_MS};
pub use job::{FsGroup, JobSpec, JobWire, Mount, PodSettings, Program, Toleration};
pub use outcome::{Level, Outcome, Report, ReportStatus, Tag};
pub use preview::{picture, preview};
pub use request::{CallbackUrl, Original, Sealed, TaskRequest};
pub use upstream::{Upstream, upstream};
