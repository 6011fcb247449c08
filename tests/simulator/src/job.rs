//! What a worker is to do.

use sluice_domain::{Queue, WorkKey};

use crate::hcp::Notice;
use crate::scenario::{MINUTE, SECOND};

/// What a worker is to do.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// A notification is taken in.
    Notice(Notice),
    /// Work that is due is done.
    Work(WorkKey),
    /// The plan of a run is looked at.
    Plan(usize),
    /// What is due is rung for.
    Sweep,
}

impl Job {
    /// The function that does it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Notice(_) => "receiver",
            Self::Work(key) if key.queue() == Queue::Create => "creator",
            Self::Work(_) => "indexer",
            Self::Plan(_) => "gate",
            Self::Sweep => "sweeper",
        }
    }

    /// What it is, in words.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Notice(notice) => format!("run-{} {}", notice.run, notice.status),
            Self::Work(key) => key.to_string(),
            Self::Plan(run) => format!("the plan of run-{run}"),
            Self::Sweep => "what is due".to_owned(),
        }
    }

    /// How long the function may run, as it is deployed.
    pub(crate) fn time_ms(&self) -> u64 {
        match self {
            Self::Notice(_) => 10 * SECOND,
            Self::Work(key) if key.queue() == Queue::Create => sluice_run_creator::LEASE_MS,
            Self::Work(_) => sluice_state_indexer::LEASE_MS,
            Self::Plan(_) | Self::Sweep => MINUTE,
        }
    }
}
