//! HCP Terraform's rules for the results of run tasks, as its documentation has them.

use secrecy::{ExposeSecret, SecretString};
use sluice_domain::gate::{Report, ReportStatus};

use crate::gate::scenario::{Ask, Fate};
use crate::scenario::MINUTE;

/// How long a task result may be silent.
pub const SILENCE: u64 = 10 * MINUTE;

/// How long it may take in all. When that begins is nowhere said: here when the request was answered.
pub const IN_ALL: u64 = 60 * MINUTE;

/// How a task result ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// We said so.
    Said(bool),
    /// It was silent for ten minutes.
    Silent,
    /// It took longer than an hour.
    TooLong,
    /// The request was never answered as it must be.
    Unreachable,
    /// By somebody else.
    Fated(Fate),
}

/// One word that arrived about a task result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// When.
    pub at: u64,
    /// What.
    pub status: ReportStatus,
    /// In words.
    pub message: String,
    /// What was answered.
    pub answer: u16,
}

/// A task result.
#[derive(Debug)]
pub struct TaskResult {
    ask: Ask,
    /// The access token.
    pub token: SecretString,
    /// How often it was asked for.
    pub sent: u32,
    /// When the request was answered with 200.
    pub answered: Option<u64>,
    /// Every word that arrived.
    pub words: Vec<Word>,
    /// When it last took a word.
    pub heard: Option<u64>,
    /// How it ended, and when.
    pub end: Option<(End, u64)>,
    expires: Option<u64>,
    revoked: bool,
}

impl TaskResult {
    /// A result that is to be asked for.
    #[must_use]
    pub fn new(number: usize, ask: Ask) -> Self {
        Self {
            ask,
            token: SecretString::from(format!("SECRET-{number}.atlasv1.simulated")),
            sent: 0,
            answered: None,
            words: Vec::new(),
            heard: None,
            end: None,
            expires: None,
            revoked: false,
        }
    }

    /// The request was answered with 200.
    pub fn accept(&mut self, now: u64) {
        if self.answered.is_none() && self.end.is_none() {
            self.answered = Some(now);
            self.expires = self.ask.token_life.map(|life| now + life);
        }
    }

    /// Time passes.
    pub fn lapse(&mut self, now: u64) {
        let Some(answered) = self.answered.filter(|_| self.end.is_none()) else { return };
        let silent = self.heard.unwrap_or(answered).max(answered) + SILENCE;
        let first = silent.min(answered + IN_ALL);
        if now > first {
            self.end = Some((if first == silent { End::Silent } else { End::TooLong }, first));
        }
    }

    /// Somebody else ends it.
    pub fn meets(&mut self, fate: Fate, now: u64) {
        self.lapse(now);
        match fate {
            Fate::Revoked => self.revoked = true,
            Fate::Canceled if self.end.is_some() => {}
            Fate::Deleted | Fate::Canceled => self.end = Some((End::Fated(fate), now)),
        }
    }

    /// Whether a token of it is good for anything.
    #[must_use]
    pub fn is_open(&self, now: u64) -> bool {
        !self.revoked && self.expires.is_none_or(|at| now < at)
    }

    /// A word arrives.
    pub fn hear(&mut self, token: &SecretString, report: &Report, now: u64) -> u16 {
        self.lapse(now);
        let answer = self.judge(token, report, now);
        if answer == 200 {
            self.heard = Some(now);
            match report.status {
                ReportStatus::Running => {}
                ReportStatus::Passed => self.end = Some((End::Said(true), now)),
                ReportStatus::Failed => self.end = Some((End::Said(false), now)),
            }
        }
        self.words.push(Word { at: now, status: report.status, message: report.message.clone(), answer });
        answer
    }

    fn judge(&self, token: &SecretString, report: &Report, now: u64) -> u16 {
        let right = token.expose_secret() == self.token.expose_secret();
        let chars = report.message.chars().count();
        let well_formed = (1..=1000).contains(&chars) && report.outcomes.len() <= 250;
        match self.end {
            Some((End::Fated(Fate::Deleted), _)) => 404,
            _ if !right || !self.is_open(now) => 401,
            Some(_) => 409,
            None if !well_formed || self.ask.fussy && !report.outcomes.is_empty() => 422,
            None => 200,
        }
    }
}
