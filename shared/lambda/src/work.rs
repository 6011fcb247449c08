//! How claimed work ends: done, put off, tried again, or a dead letter.

use sluice_domain::ports::{StoreError, Worklist};
use sluice_domain::{Claimed, Classify, Fault, Timestamp, backoff_ms, chain};
use tracing::{error, info, warn};

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
    let (work, attempts, text) = (&claimed.key, claimed.attempts, chain(&error));
    let fault = error.fault();
    if let Fault::Throttled { after_ms } = fault {
        // Nothing was tried, so no attempt is lost, but all that wait must not come back at once.
        let wait_ms = after_ms + work.spread() * THROTTLED_SPREAD_MS / 256;
        info!(work = %work, wait_ms, "puts off {work}: {text}");
        return worklist.postpone(&Claimed { tried, ..claimed.clone() }, now.plus_ms(wait_ms), Some(&text)).await;
    }
    if given_up(claimed, fault) {
        error!(work = %work, attempts, "gave up {work}, a person must act and replay it: {text}");
        return worklist.bury(claimed, now, &text).await;
    }
    let after_ms = match fault {
        Fault::Transient { after_ms } => after_ms,
        Fault::Permanent | Fault::Throttled { .. } => None,
    };
    let wait_ms = backoff_ms(attempts, after_ms, work.spread());
    if attempts > 3 {
        warn!(work = %work, attempts, wait_ms, "will try {work} again: {text}");
    } else {
        info!(work = %work, attempts, wait_ms, "will try {work} again: {text}");
    }
    worklist.defer(claimed, now.plus_ms(wait_ms), &text, tried).await
}
