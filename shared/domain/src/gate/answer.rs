//! What HCP Terraform is told about a task result, decided from how far its checks have come: one pure function.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gate::check::{Check, CheckKind, Enforcement, OnError};
use crate::gate::definition::{InvalidTask, TaskDefinition};
use crate::gate::execution::{CheckVerdict, Ended, Execution};
use crate::gate::outcome::{Level, Outcome, Report, ReportStatus, Tag};
use crate::gate::request::TaskRequest;
use crate::names::CheckName;
use crate::time::Timestamp;
use crate::work::WorkKey;

/// How long HCP Terraform is left without a word while anything runs, in milliseconds. It gives up after ten minutes
/// of silence (contract hcp-terraform, section 2.4); a sweep may come a minute late, and a callback may fail.
pub const HEARTBEAT_MS: u64 = 150_000;

/// How much time there is at least between two words that are not the last, in milliseconds.
const BREATH_MS: u64 = 10_000;

/// A task result as it was admitted: what is asked, and which checks answer. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// What is asked.
    pub request: TaskRequest,
    /// The checks that answer, as they were defined when it was asked.
    pub checks: Vec<Check>,
    /// When the answer is given in any case.
    pub deadline: Timestamp,
    /// The answer, where there is nothing to check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outright: Option<Report>,
}

impl Admission {
    /// What is to be done about `request` as `task` is defined.
    #[must_use]
    pub fn of(request: TaskRequest, task: Result<&TaskDefinition, &InvalidTask>) -> Self {
        let at = request.received_at;
        let outright = |status, message| Report { status, message, url: None, outcomes: Vec::new() };
        let at_once = |request, report| Self { request, checks: Vec::new(), deadline: at, outright: Some(report) };
        let task = match task {
            Ok(task) => task,
            Err(invalid) => return at_once(request, outright(ReportStatus::Failed, invalid.to_string())),
        };
        if let Some(why) = task.leaves_out(&request.workspace) {
            return at_once(request, outright(ReportStatus::Passed, why));
        }
        let mut checks: Vec<Check> = task.checks_at(request.stage).cloned().collect();
        if checks.is_empty() {
            let why = format!("{} has no checks at {}", task.name, request.stage);
            return at_once(request, outright(ReportStatus::Passed, why));
        }
        let deadline = at.plus_ms(u64::from(task.timeout_seconds) * 1000);
        // A check that is not asked at this stage keeps nobody waiting.
        let asked: Vec<CheckName> = checks.iter().map(|check| check.name.clone()).collect();
        for check in &mut checks {
            check.needs.retain(|need| asked.contains(need));
        }
        Self { request, checks, deadline, outright: None }
    }

    /// The check of that name.
    #[must_use]
    pub fn check(&self, name: &CheckName) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == *name)
    }

    /// The checks that may begin when `name` is over.
    pub fn waiting_for(&self, name: &CheckName) -> impl Iterator<Item = WorkKey> {
        self.checks.iter().filter(|check| check.needs.contains(name)).map(|check| self.work(check))
    }

    /// The work that a check is.
    #[must_use]
    pub fn work(&self, check: &Check) -> WorkKey {
        let (result, name) = (self.request.result.clone(), check.name.clone());
        match check.kind {
            CheckKind::Job(_) => WorkKey::Job(result, name),
            _ => WorkKey::Check(result, name),
        }
    }
}

/// A task result among its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gated {
    /// What is asked.
    pub admission: Admission,
    /// How far each check has come.
    pub executions: BTreeMap<CheckName, Execution>,
    /// How often each check's item was written.
    pub seq: BTreeMap<CheckName, u64>,
    /// What HCP Terraform was told.
    pub state: State,
    /// How often that was written.
    pub version: u64,
}

impl Gated {
    /// How far a check has come.
    #[must_use]
    pub fn execution(&self, name: &CheckName) -> Execution {
        self.executions.get(name).cloned().unwrap_or_default()
    }

    /// Whether every check that `check` needs is over.
    #[must_use]
    pub fn may_begin(&self, check: &Check) -> bool {
        check.needs.iter().all(|need| self.execution(need).end.is_some())
    }
}

/// What HCP Terraform was told about a task result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct State {
    /// When it last accepted a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_at: Option<Timestamp>,
    /// The last word, once that is decided: it stays the same however often it has to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Said>,
    /// That word reached HCP Terraform, or never will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<SaidEnd>,
}

/// The last word on a task result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Passed or failed.
    pub status: ReportStatus,
    /// In a sentence.
    pub message: String,
    /// When it was decided.
    pub at: Timestamp,
}

/// How the last word ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum SaidEnd {
    /// HCP Terraform accepted it.
    Accepted {
        /// When.
        at: Timestamp,
    },
    /// HCP Terraform does not want to hear it: the result is over already, or the token is.
    Refused {
        /// When.
        at: Timestamp,
        /// The HTTP status.
        status: u16,
    },
}

/// What is to be said now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, ever again.
    Over,
    /// Nothing before that time.
    Nothing(Timestamp),
    /// That it goes on.
    Progress(Report),
    /// The last word.
    Last(Report),
}

/// What HCP Terraform is to be told at `now`.
#[must_use]
pub fn answer(gated: &Gated, now: Timestamp) -> Answer {
    let Gated { admission, state, .. } = gated;
    if state.end.is_some() {
        return Answer::Over;
    }
    let results: Vec<Judged> = admission.checks.iter().map(|check| Judged::new(check, gated, now)).collect();
    if let Some(said) = &state.verdict {
        let report = report(said.status, &results);
        return Answer::Last(Report { message: said.message.clone(), ..report });
    }
    if let Some(outright) = &admission.outright {
        return Answer::Last(outright.clone().cut());
    }
    if now >= admission.deadline || results.iter().all(|result| result.over) {
        let failed = results.iter().any(|result| result.standing == Standing::Failed);
        let status = if failed { ReportStatus::Failed } else { ReportStatus::Passed };
        return Answer::Last(report(status, &results));
    }
    let spoken = state.said_at.unwrap_or(admission.request.received_at);
    let news = gated.executions.values().filter_map(Execution::changed_at).max().is_some_and(|at| at >= spoken);
    let next = if news { spoken.plus_ms(BREATH_MS) } else { spoken.plus_ms(HEARTBEAT_MS) };
    if now >= next {
        Answer::Progress(report(ReportStatus::Running, &results))
    } else {
        Answer::Nothing(next.min(admission.deadline))
    }
}

/// How a check counts in the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Failed,
    Warned,
    Running,
    Passed,
}

/// One check, and how it counts.
struct Judged<'a> {
    check: &'a Check,
    execution: Option<&'a Execution>,
    over: bool,
    standing: Standing,
    message: String,
}

impl<'a> Judged<'a> {
    fn new(check: &'a Check, gated: &'a Gated, now: Timestamp) -> Self {
        let execution = gated.executions.get(&check.name);
        let late = now >= gated.admission.deadline || gated.state.verdict.is_some();
        let end = execution.and_then(|execution| execution.end.as_ref());
        let (standing, message) = match end {
            Some(end) => (counted(check, end.verdict), end.message.clone()),
            None if late => (counted(check, CheckVerdict::Errored), "came to no end in time".to_owned()),
            None => (Standing::Running, unfinished(check, execution)),
        };
        Self { check, execution, over: end.is_some(), standing, message }
    }

    fn end(&self) -> Option<&Ended> {
        self.execution?.end.as_ref()
    }

    /// How it stands, and what it found. The first has the check's name for its id, so that it replaces what was told
    /// before.
    fn outcomes(&self) -> Vec<Outcome> {
        let found = match (self.end(), self.execution.and_then(|execution| execution.progress.as_ref())) {
            (Some(end), _) => end.outcomes.as_slice(),
            (None, Some(progress)) => progress.outcomes.as_slice(),
            (None, None) => &[],
        };
        let name = &self.check.name;
        // Ids are unique within a check; in the whole they carry its name.
        let found = found.iter().map(|outcome| Outcome { id: format!("{name}.{}", outcome.id), ..outcome.clone() });
        let (label, level) = match (self.standing, self.end().map(|end| end.verdict)) {
            (Standing::Running, _) => ("Running", Level::Info),
            (Standing::Passed, _) => ("Passed", Level::Info),
            (standing, Some(CheckVerdict::Failed)) => ("Failed", level(standing)),
            (standing, _) => ("Error", level(standing)),
        };
        let url = self.end().and_then(|end| end.url.clone());
        let description = format!("{name}: {}", self.message);
        let tags = vec![Tag::new("Status", label, level)];
        let whole = Outcome { id: name.to_string(), description, tags, body: None, url };
        std::iter::once(whole).chain(found).collect()
    }
}

fn level(standing: Standing) -> Level {
    if standing == Standing::Failed { Level::Error } else { Level::Warning }
}

fn counted(check: &Check, verdict: CheckVerdict) -> Standing {
    match (verdict, check.enforcement, check.on_error) {
        (CheckVerdict::Passed, ..) => Standing::Passed,
        (CheckVerdict::Failed, Enforcement::Mandatory, _)
        | (CheckVerdict::Errored, Enforcement::Mandatory, OnError::Fail) => Standing::Failed,
        (CheckVerdict::Failed | CheckVerdict::Errored, ..) => Standing::Warned,
    }
}

fn unfinished(check: &Check, execution: Option<&Execution>) -> String {
    match execution.and_then(|execution| execution.progress.as_ref()) {
        Some(progress) if !progress.message.is_empty() => progress.message.clone(),
        _ if execution.is_some_and(|execution| execution.started_at.is_some()) => "runs".to_owned(),
        _ if check.needs.is_empty() => "is about to run".to_owned(),
        _ => "waits for the checks before it".to_owned(),
    }
}

/// The checks in words, the bad news first.
fn report(status: ReportStatus, results: &[Judged]) -> Report {
    let mut ordered: Vec<&Judged> = results.iter().collect();
    ordered.sort_by_key(|result| result.standing);
    let over = results.iter().filter(|result| result.over).count();
    let said = ordered
        .iter()
        .map(|result| format!("{}: {}", result.check.name, result.message))
        .collect::<Vec<_>>()
        .join("; ");
    let message = match status {
        ReportStatus::Running => format!("{over} of {} checks are done. {said}", results.len()),
        ReportStatus::Passed | ReportStatus::Failed => said,
    };
    // One page is linked to: that of the worst check that has one.
    let url = ordered.iter().find_map(|result| {
        let progress = result.execution.and_then(|execution| execution.progress.as_ref());
        result.end().and_then(|end| end.url.clone()).or_else(|| progress.and_then(|progress| progress.url.clone()))
    });
    let outcomes = ordered.iter().flat_map(|result| result.outcomes()).collect();
    Report { status, message, url, outcomes }.cut()
}

#[cfg(test)]
mod tests;
