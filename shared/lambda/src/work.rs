//! Claimed work: what its log lines tell of it, and how it ends: done, put off, tried again, or a dead letter.

use sluice_domain::ports::{StoreError, Worklist};
use sluice_domain::{Claimed, Classify, Fault, Timestamp, Trace, WorkKey, Workspace, backoff_ms, chain};
use tracing::field::{Empty, display};
use tracing::{Span, error, info, info_span, warn};

use crate::metrics;

/// The target of what the ids of work are kept in.
pub const TARGET: &str = "sluice::work";

/// What every log line about the work of `key` carries: ids that are spelled alike wherever they are logged.
#[must_use]
pub fn span(key: &WorkKey) -> Span {
    let span = info_span!(
        target: TARGET, "work", work = %key, organization = Empty, workspace = Empty, run = Empty, task_result = Empty,
        check = Empty, attempt = Empty, trace = Empty
    );
    let of = |workspace: &Workspace| {
        span.record("organization", display(&workspace.organization));
        span.record("workspace", workspace.name.as_str());
    };
    match key {
        WorkKey::Run(workspace, run) => {
            of(workspace);
            span.record("run", display(run));
        }
        WorkKey::Look(workspace)
        | WorkKey::Waiter { waiter: workspace, .. }
        | WorkKey::Verify(workspace)
        | WorkKey::Read(workspace)
        | WorkKey::Create(workspace) => of(workspace),
        WorkKey::Survey(_, organization) => drop(span.record("organization", display(organization))),
        WorkKey::Check(result, check) | WorkKey::Job(result, check) => {
            span.record("task_result", display(result));
            span.record("check", display(check));
        }
        WorkKey::Relay(result) => drop(span.record("task_result", display(result))),
    }
    span
}

/// From here on log lines tell which attempt this is.
pub fn attempting(claimed: &Claimed) {
    Span::current().record("attempt", claimed.attempts);
}

/// From here on log lines tell the trace of the wave that the work is about.
pub fn traced(trace: &Trace) {
    Span::current().record("trace", display(trace));
}

/// From here on log lines tell the run that the work is about.
pub fn about_run(run: &sluice_domain::RunId) {
    Span::current().record("run", display(run));
}

/// What is left of work that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Done,
    /// Another look, at this time.
    Again(Timestamp),
}

/// Work that failed.
#[derive(Debug)]
pub struct Failed<E> {
    /// Why.
    pub error: E,
    /// The attempt may have had its effect: look before acting again.
    pub tried: bool,
}

/// Over how long works come back that were throttled together, in milliseconds.
const THROTTLED_SPREAD_MS: u64 = 2_000;

/// Most attempts at work that fails in ways that may pass: with the longest wait between them, about four hours.
pub const ATTEMPTS_MAX: u32 = 50;

/// Whether work that failed so is given up.
#[must_use]
pub fn given_up(claimed: &Claimed, fault: Fault) -> bool {
    match fault {
        Fault::Permanent => true,
        Fault::Transient { .. } => claimed.attempts >= ATTEMPTS_MAX,
        Fault::Throttled { .. } => false,
    }
}

/// Writes down how `claimed` ended, and logs it: the one place where a failure of work is logged.
pub async fn conclude<E: Classify + 'static>(
    worklist: &impl Worklist,
    claimed: &Claimed,
    result: Result<Next, Failed<E>>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Failed { error, tried } = match result {
        Ok(Next::Done) => return worklist.complete(claimed).await,
        Ok(Next::Again(until)) => return worklist.postpone(claimed, until, None).await,
        Err(failed) => failed,
    };
    let (work, attempt, text) = (&claimed.key, claimed.attempts, chain(&error));
    let fault = error.fault();
    if let Fault::Throttled { after_ms } = fault {
        // Nothing was tried, so no attempt is lost, but all that wait must not come back at once.
        let wait_ms = after_ms + work.spread() * THROTTLED_SPREAD_MS / 256;
        info!(work = %work, wait_ms, "puts off {work}: {text}");
        return worklist.postpone(&Claimed { tried, ..claimed.clone() }, now.plus_ms(wait_ms), Some(&text)).await;
    }
    if given_up(claimed, fault) {
        error!(work = %work, attempt, "gave up {work}, a person must act and replay it: {text}");
        return worklist.bury(claimed, now, &text).await;
    }
    let after_ms = match fault {
        Fault::Transient { after_ms } => after_ms,
        Fault::Permanent | Fault::Throttled { .. } => None,
    };
    let wait_ms = backoff_ms(attempt, after_ms, work.spread());
    if attempt > 3 {
        warn!(work = %work, attempt, wait_ms, "will try {work} again: {text}");
    } else {
        info!(work = %work, attempt, wait_ms, "will try {work} again: {text}");
    }
    // What fails is due later and later, and so never old: that it fails is told by how often.
    info!(target: metrics::TARGET, WorkRetried = 1);
    worklist.defer(claimed, now.plus_ms(wait_ms), &text, tried).await
}
