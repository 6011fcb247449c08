//! How far one check of one task result has come.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::gate::answer::Admission;
use crate::gate::check::Check;
use crate::gate::outcome::{Outcome, Report, ReportStatus, cut_for_table, cut_message};
use crate::time::Timestamp;

/// How long another checker may be silent, in milliseconds: ten minutes, which is what HCP Terraform allows it
/// (contract hcp-terraform, section 2.4).
pub const SILENCE_MS: u64 = 600_000;

/// How far one check of one task result has come. What is over stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Execution {
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Another checker has taken it on: what it found comes by a request of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handed_on: bool,
    /// What whoever carries it out has to know again, as where its job is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What was last heard of it while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Ended>,
}

impl Execution {
    /// When `check` has to be over. Where it had nobody to wait for, its time counts from the request on.
    #[must_use]
    pub fn deadline(&self, check: &Check, admission: &Admission) -> Timestamp {
        let at_once = check.needs.is_empty().then_some(admission.request.received_at);
        let own = self.started_at.or(at_once).map(|at| at.plus_ms(u64::from(check.timeout_seconds) * 1000));
        own.map_or(admission.deadline, |own| own.min(admission.deadline))
    }

    /// When another checker that has taken it on will have been silent for too long.
    #[must_use]
    pub fn silent_at(&self) -> Option<Timestamp> {
        // What was heard before it was handed on was not said by the other.
        let heard = self.progress.as_ref().map(|progress| progress.at).max(self.started_at)?;
        self.handed_on.then(|| heard.plus_ms(SILENCE_MS))
    }

    /// Takes in what another checker says of it. False if it is over already: what is over stays as it is.
    pub fn hear(&mut self, report: Report, now: Timestamp) -> bool {
        if self.end.is_some() {
            return false;
        }
        // It may answer before it is written down that it was asked.
        self.handed_on = true;
        self.started_at.get_or_insert(now);
        let Report { status, message, url, outcomes } = report;
        let before = self.progress.take();
        // Outcomes that came along the way stay, but for those of which there is news.
        let mut all = before.as_ref().map(|progress| progress.outcomes.clone()).unwrap_or_default();
        all.retain(|old| outcomes.iter().all(|new| new.id != old.id));
        all.extend(outcomes);
        let outcomes = cut_for_table(all);
        // Not before what was heard last: clocks differ, and a word may be held up on its way into the table.
        let at = before.as_ref().map_or(now, |progress| progress.at.max(now));
        let url = url.or_else(|| before.and_then(|progress| progress.url));
        let verdict = match status {
            ReportStatus::Running => {
                self.progress = Some(Progress { at, message, url, outcomes });
                return true;
            }
            ReportStatus::Passed => CheckVerdict::Passed,
            ReportStatus::Failed => CheckVerdict::Failed,
        };
        self.end = Some(Ended { at: now, verdict, message, url, outcomes });
        true
    }

    /// When something was last heard of it.
    #[must_use]
    pub fn changed_at(&self) -> Option<Timestamp> {
        let ended = self.end.as_ref().map(|end| end.at);
        ended.max(self.progress.as_ref().map(|progress| progress.at))
    }
}

/// What was heard of a check while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// When.
    pub at: Timestamp,
    /// In a sentence.
    pub message: String,
    /// Where more is to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// In detail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<Outcome>,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Well, badly, or in no verdict at all.
    pub verdict: CheckVerdict,
    /// In a sentence.
    pub message: String,
    /// Where more is to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// In detail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<Outcome>,
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// Nothing to object to.
    Passed,
    /// The run is objected to.
    Failed,
    /// It came to no verdict: it crashed, timed out, or could not be reached.
    Errored,
}

impl fmt::Display for CheckVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Errored => "came to no verdict",
        })
    }
}

impl Ended {
    /// An end in so many words, or as many of them as the table holds.
    #[must_use]
    pub fn new(at: Timestamp, verdict: CheckVerdict, message: impl Into<String>) -> Self {
        Self { at, verdict, message: cut_message(&message.into()), url: None, outcomes: Vec::new() }
    }

    /// The same with details, cut to what the table holds.
    #[must_use]
    pub fn with(self, outcomes: Vec<Outcome>) -> Self {
        Self { outcomes: cut_for_table(outcomes), ..self }
    }
}
