//! What goes between the two processes: a line of bounds, a line with the policy, the plan; and one answer.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::findings::Findings;
use super::policy::{Namespaces, Policy, PolicyError};

/// The first line: what the child holds itself to before it reads on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Bounds {
    pub(crate) wall_ms: u64,
    pub(crate) cpu_seconds: u64,
    pub(crate) memory_bytes: u64,
}

/// The second line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header<'a> {
    pub(crate) policy: Cow<'a, Policy>,
    pub(crate) namespaces: Cow<'a, Namespaces>,
    pub(crate) run: Cow<'a, Value>,
    pub(crate) context: Cow<'a, Value>,
    /// Whether a plan follows.
    pub(crate) plan: bool,
}

/// What the child says, once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Findings(Findings),
    Policy(PolicyError),
    Plan { wrong: String },
    TimedOut,
}
