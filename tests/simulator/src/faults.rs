//! What is injected, and how often: counted by kind and operation.

use std::collections::BTreeMap;
use std::fmt;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A message never arrives.
    Lost,
    /// No message about a run ever arrives.
    Unheard,
    /// A message arrives late, behind others.
    Late,
    /// A message arrives twice.
    Doubled,
    /// A write or request fails and has no effect.
    FailedBefore,
    /// A write or request has its effect, and fails.
    FailedAfter,
    /// A read fails.
    ReadFailed,
    /// A commit meets a conflict that is none.
    Conflict,
    /// HCP Terraform asks to be left alone for a while.
    Throttled,
    /// HCP Terraform answers 5xx, as it does everybody for a while.
    Storm,
    /// The worker dies before the operation.
    DiedBefore,
    /// The worker dies after the operation.
    DiedAfter,
    /// The worker stalls beside the operation.
    Stalled,
    /// The worker outlives its time and is ended.
    TimedOut,
    /// HCP Terraform's clock is not ours.
    ClockSkew,
    /// The state of a run that applied becomes current later.
    StateLag,
}

/// How often what was injected into which operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Injected(pub BTreeMap<(FaultKind, &'static str), u64>);

impl Injected {
    /// Counts one.
    pub fn count(&mut self, kind: FaultKind, operation: &'static str) {
        *self.0.entry((kind, operation)).or_default() += 1;
    }

    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            *self.0.entry(*key).or_default() += count;
        }
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<FaultKind, Vec<String>> = BTreeMap::new();
        for ((kind, operation), count) in &self.0 {
            kinds.entry(*kind).or_default().push(format!("{operation} {count}"));
        }
        for (kind, operations) in kinds {
            writeln!(f, "  {kind:?}: {}", operations.join(", "))?;
        }
        Ok(())
    }
}
