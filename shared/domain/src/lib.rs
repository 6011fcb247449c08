//! Ids, facts, the decision rule and the ports beside it: no clock, no network, no SDK.
//!
//! The rule is [`decide`]: one pure function over a [`Graph`] of [`Facts`]. Everything else here is the words it is
//! written in, the pure steps by which news changes facts, and what the functions need of the world ([`ports`]).

mod decide;
mod digest;
mod errors;
mod facts;
mod fault;
mod fold;
mod graph;
mod names;
pub mod picture;
pub mod ports;
mod run;
mod secret;
mod size;
mod time;
mod work;

pub use decide::{AfterFailure, Autonomy, Cause, Decision, Policy, Verdict, decide};
pub use digest::{Digest, InvalidDigest};
pub use facts::{ActiveRun, Edge, Facts, Findings, Found, InputsKey, Outputs, Read, Refusal, StateFacts};
pub use fault::{Classify, Fault, backoff_ms, chain};
pub use fold::TOMBSTONE_MS;
pub use graph::Graph;
pub use names::{Host, InvalidName, NAME_BYTES_MAX, Organization, RunId, StateVersionId, Workspace, WorkspaceId};
pub use run::{RunReport, Standing};
pub use secret::SecretRef;
pub use time::Timestamp;
pub use work::{Claimed, Marker, Order, Queue, Task, WorkKey};
