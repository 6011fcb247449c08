//! The pulse: that what rings for due work is alive.

use std::fmt;
use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::errors::StoreError;
use crate::time::Timestamp;

/// What whoever rings for due work leaves behind about once a minute, for people who wonder whether it still does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// Who it is.
    pub by: Sweeps,
    /// Its version.
    pub version: String,
    /// When it began.
    pub at: Timestamp,
    /// How many works it rang for.
    pub rung: usize,
    /// How many dead letters there are, where it looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<usize>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Who sees to it that due work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sweeps {
    /// The function, by its schedule.
    Sweeper,
    /// `sluice serve`, which hands out due work itself.
    Serve,
}

impl fmt::Display for Sweeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sweeper => "sweeper",
            Self::Serve => "sluice serve",
        })
    }
}

/// Where pulses are written down.
pub trait Pulses: Sync {
    /// Writes one down, in place of the one before.
    fn beat(&self, pulse: &Pulse) -> impl Future<Output = Result<(), StoreError>> + Send;
}
