//! Ids, facts, the decision rule and the ports beside it: no clock, no network, no SDK.
//!
//! The rule is [`decide`]: one pure function over a [`Graph`] of [`Facts`]. Everything else here is the words it is
//! written in, the pure steps by which news changes facts, and what the functions need of the world ([`ports`]).

pub mod context;
mod decide;
mod digest;
mod errors;
mod facts;
mod fault;
mod fold;
pub mod foresee;
pub mod gate;
mod graph;
mod lesson;
mod names;
pub mod pace;
pub mod picture;
mod planned;
mod policy;
pub mod ports;
pub mod reach;
mod run;
mod secret;
mod size;
mod time;
mod trace;
mod verdict;
mod work;

pub use decide::decide;
pub use digest::{Digest, InvalidDigest};
pub use facts::{ActiveRun, Edge, Facts, Findings, Found, InputsKey, Outputs, Planned, Read, Refusal, StateFacts};
pub use fault::{Classify, Fault, Told, backoff_ms, chain};
pub use fold::{Seen, TOMBSTONE_MS};
pub use graph::Graph;
pub use names::{
    CheckName, Host, InvalidName, NAME_BYTES_MAX, Organization, PolicyName, RunId, StateVersionId, TaskName,
    TaskResultId, Workspace, WorkspaceId,
};
pub use planned::{ActionCounts, Heeded, OutputAction, OutputChange, PlanFindings, Taught, TaughtRead};
pub use policy::{AfterFailure, Autonomy, AutonomyRules, Budgets, InvalidRule, Policy, UnknownAutonomy};
pub use run::{RunReport, Standing};
pub use secret::SecretRef;
pub use time::Timestamp;
pub use trace::Trace;
pub use verdict::{Cause, Decision, Verdict};
pub use work::{Claimed, Marker, Order, Queue, Reading, RunKind, Survey, SurveyScope, Task, Wave, WorkKey};
