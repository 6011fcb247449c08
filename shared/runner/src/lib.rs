//! One turn at one check of a task result. A check is a work of its own; what it comes to is written down with whatever
//! wakes who waits for it, so a process that dies leaves a check that is carried out again.

mod execute;

pub use execute::{Asked, Executor, Step};
pub use sluice_domain::Told;

use std::sync::Arc;

use secrecy::SecretString;
use sluice_aws::{GateKeys, work_key};
use sluice_domain::gate::{Check, CheckVerdict, Ended, Execution, Gated, Progress};
use sluice_domain::ports::{Advance, GateStore, Guard, StoreError, Worklist};
use sluice_domain::{CheckName, Claimed, Classify, Fault, Queue, TaskResultId, Timestamp, WorkKey, chain};
use sluice_lambda::batch::{self, BatchResponse, StreamEvent, StreamRecord};
use sluice_lambda::now;
use sluice_lambda::work::{Failed, conclude};
use tracing::{info, warn};

use execute::is_hopeless;

/// How long a claim lasts, in milliseconds: as long as the function may run.
pub const LEASE_MS: u64 = 120_000;

/// Most attempts at a check that fails in ways that may pass: the waits between them are some four minutes.
pub const ATTEMPTS_MAX: u32 = 8;

/// Most attempts that may come to nothing if the last of them ended in no way at all: the process died, which costs as
/// long as a claim lasts.
const DEATHS_MAX: u32 = 3;

/// How long a check waits for the table, in milliseconds.
const STAND_BY_MS: u64 = 5_000;

/// How often what a check came to is written down again because something beside it was written meanwhile.
const CONFLICTS_MAX: usize = 8;

/// What is said of a check that has used up its time.
pub const TOO_LONG: &str = "took longer than it may";

/// The function's parts, built once.
#[derive(Debug)]
pub struct Runner<S, E> {
    /// The table.
    pub store: S,
    /// What carries out checks.
    pub executor: E,
    /// What opens access tokens, where checks read plans themselves.
    pub keys: Option<GateKeys>,
}

/// Does the works that a batch rings for. A record that is none of `queue`'s work is passed over.
pub async fn handle_batch<S, E>(runner: Arc<Runner<S, E>>, queue: Queue, event: StreamEvent) -> BatchResponse
where
    S: GateStore + Worklist + Send + 'static,
    E: Executor + Send + 'static,
{
    let work = |record: &StreamRecord| {
        let key = work_key(&record.pk, &record.sk).filter(|key| key.queue() == queue)?;
        let runner = runner.clone();
        Some(async move { handle(&runner, &key, now()).await })
    };
    // A job is watched while it does something elsewhere.
    if queue == Queue::Job { batch::each_waiting(&event, work).await } else { batch::each(&event, work).await }
}

/// Does the work of `key`, if it is due. An error means that not even the failure could be written down.
pub async fn handle<S, E>(runner: &Runner<S, E>, key: &WorkKey, now: Timestamp) -> Result<(), StoreError>
where
    S: GateStore + Worklist,
    E: Executor,
{
    let (WorkKey::Check(result, name) | WorkKey::Job(result, name)) = key else { return Ok(()) };
    let Some(claimed) = runner.store.claim(key, now, LEASE_MS).await? else { return Ok(()) };
    let gated = match runner.store.gated(result).await {
        Ok(gated) => gated,
        Err(error) => return stand_by(&runner.store, &claimed, &error, now).await,
    };
    let turn = Turn { runner, claimed: &claimed, result, name, now };
    let Some(gated) = gated else { return runner.store.complete(&claimed).await };
    if gated.state.verdict.is_some() || gated.state.end.is_some() {
        // The answer is given: whatever this would find comes too late.
        return turn.clear(&gated).await;
    }
    if gated.seq.get(name) != Some(&claimed.seq) {
        // It was woken, or another checker spoke, since it was claimed. It is due again where that is needed: whoever
        // begins it here would do so beside whoever that rings for.
        return Ok(());
    }
    match turn.take(&gated).await {
        // Somebody else has written meanwhile, and made it due again where that is needed.
        Err(StoreError::Conflict) => Ok(()),
        taken => taken,
    }
}

/// One turn at one check.
struct Turn<'a, S, E> {
    runner: &'a Runner<S, E>,
    claimed: &'a Claimed,
    result: &'a TaskResultId,
    name: &'a CheckName,
    now: Timestamp,
}

impl<S: GateStore + Worklist, E: Executor> Turn<'_, S, E> {
    async fn take(&self, gated: &Gated) -> Result<(), StoreError> {
        let execution = gated.execution(self.name);
        let Some(check) = gated.admission.check(self.name).filter(|_| execution.end.is_none()) else {
            return self.clear(gated).await;
        };
        let deadline = execution.deadline(check, &gated.admission);
        if self.now >= deadline {
            let asked = Asked {
                admission: &gated.admission,
                check,
                execution: &execution,
                token: None,
                deadline,
                now: self.now,
            };
            // On the heap, as is what carries out a check: a stack should not have to hold all of it.
            let end = Box::pin(self.runner.executor.overdue(asked)).await;
            return self.ended(gated, execution, end).await;
        }
        if !gated.may_begin(check) {
            // It is woken when what it needs is over.
            return self.runner.store.postpone(self.claimed, deadline, Some("waits for the checks before it")).await;
        }
        if let Some(silent_at) = execution.silent_at() {
            if self.now >= silent_at {
                let message = "the other checker took it on, and has said nothing for ten minutes";
                return self.end(gated, execution, CheckVerdict::Errored, message).await;
            }
            return self.runner.store.postpone(self.claimed, silent_at.min(deadline), None).await;
        }
        if self.claimed.tried && self.claimed.attempts > DEATHS_MAX {
            let message = "came to nothing several times, at last without an end: see the log of the function";
            return self.end(gated, execution, CheckVerdict::Errored, message).await;
        }
        let Some(keys) = &self.runner.keys else {
            return self.carry_out(gated, check, execution, None, deadline).await;
        };
        let sealed = match self.runner.store.token(self.result).await {
            Ok(Some(sealed)) => sealed,
            // It goes with the answer, which was given since the check was read.
            Ok(None) => return self.clear(gated).await,
            Err(error) => return stand_by(&self.runner.store, self.claimed, &error, self.now).await,
        };
        let token = match keys.open(self.result, &sealed) {
            Ok(token) => token,
            // A key that is being replaced comes good when all functions have it.
            Err(error) if self.claimed.attempts < ATTEMPTS_MAX => return self.try_again(error).await,
            Err(error) => return self.end(gated, execution, CheckVerdict::Errored, &error.to_string()).await,
        };
        self.carry_out(gated, check, execution, Some(&token), deadline).await
    }

    /// The check is over: nothing of it is left but what was found.
    async fn clear(&self, gated: &Gated) -> Result<(), StoreError> {
        if let Some(check) = gated.admission.check(self.name)
            && let Err(error) =
                Box::pin(self.runner.executor.clear(self.result, check, &gated.execution(self.name))).await
        {
            return self.try_again(error).await;
        }
        self.runner.store.complete(self.claimed).await
    }

    async fn carry_out(
        &self,
        gated: &Gated,
        check: &Check,
        execution: Execution,
        token: Option<&SecretString>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let admission = &gated.admission;
        let asked = Asked { admission, check, execution: &execution, token, deadline, now: self.now };
        let started_at = execution.started_at.or(Some(self.now));
        match Box::pin(self.runner.executor.execute(asked)).await {
            Ok(Step::Ended(end)) => self.ended(gated, Execution { started_at, ..execution }, end).await,
            Ok(Step::HandedOn) => {
                let execution = Execution { started_at: Some(self.now), handed_on: true, ..execution };
                let due = execution.silent_at().map_or(deadline, |silent| silent.min(deadline));
                info!(task_result.id = %self.result, check = %self.name, "handed on {}", self.claimed.key);
                self.write(gated, &execution, Some(due), false).await
            }
            Ok(Step::Again { at, message }) => {
                let news = execution.progress.as_ref().is_none_or(|progress| progress.message != message);
                let progress = Progress { at: self.now, message, url: None, outcomes: Vec::new() };
                let progress = if news { Some(progress) } else { execution.progress.clone() };
                let execution = Execution { started_at, progress, ..execution };
                self.write(gated, &execution, Some(at.min(deadline)), news).await
            }
            Ok(Step::Begun { note, message }) => {
                let progress = Some(Progress { at: self.now, message, url: None, outcomes: Vec::new() });
                let execution = Execution { started_at, note: Some(note), progress, ..execution };
                self.write(gated, &execution, Some(self.now), true).await
            }
            Err(error) => {
                if is_hopeless(error.fault(), self.claimed.attempts) {
                    let message = format!("could not be carried out: {}", error.told());
                    let key = &self.claimed.key;
                    warn!(task_result.id = %self.result, check = %self.name, "{key} could not be carried out: {}", chain(&error));
                    return self
                        .end(gated, Execution { started_at, ..execution }, CheckVerdict::Errored, &message)
                        .await;
                }
                self.try_again(error).await
            }
        }
    }

    async fn end(
        &self,
        gated: &Gated,
        execution: Execution,
        verdict: CheckVerdict,
        message: &str,
    ) -> Result<(), StoreError> {
        self.ended(gated, execution, Ended::new(self.now, verdict, message)).await
    }

    async fn ended(&self, gated: &Gated, execution: Execution, end: Ended) -> Result<(), StoreError> {
        let (key, message) = (&self.claimed.key, &end.message);
        let run = &gated.admission.request.run;
        match end.verdict {
            CheckVerdict::Errored => {
                warn!(task_result.id = %self.result, run.id = %run, check = %self.name, "{key} came to no verdict: {message}");
            }
            verdict => {
                info!(task_result.id = %self.result, run.id = %run, check = %self.name, "{key} {verdict}: {message}");
            }
        }
        // What it leaves behind is cleared away after that is written down, not before: it would be begun once more.
        let due = E::LEAVES_SOMETHING.then_some(self.now);
        self.write(gated, &Execution { end: Some(end), progress: None, ..execution }, due, true).await
    }

    async fn write(
        &self,
        gated: &Gated,
        execution: &Execution,
        due: Option<Timestamp>,
        tells: bool,
    ) -> Result<(), StoreError> {
        let wakes = match execution.end {
            Some(_) => gated.admission.waiting_for(self.name).collect(),
            None => Vec::new(),
        };
        let step = Advance { key: &self.claimed.key, execution, due, wakes, tells, now: self.now };
        let mut conflicts = 0;
        loop {
            match self.runner.store.advance(Guard::Claimed(self.claimed), &step).await {
                Err(StoreError::Conflict) if conflicts < CONFLICTS_MAX => conflicts += 1,
                written => return written,
            }
            let gated = self.runner.store.gated(self.result).await?;
            match gated {
                // The last word was decided meanwhile: this comes too late.
                Some(gated) if gated.state.verdict.is_some() => return self.clear(&gated).await,
                // Another check of the same result, or the relay, was written at that very moment.
                Some(gated) if gated.seq.get(self.name) == Some(&self.claimed.seq) => {}
                _ => return Err(StoreError::Conflict),
            }
        }
    }

    async fn try_again<F: Classify + 'static>(&self, error: F) -> Result<(), StoreError> {
        conclude(&self.runner.store, self.claimed, Err(Failed { error, tried: false }), self.now).await
    }
}

/// The table does not answer. That says nothing about the check: no attempt at it is lost, and it is looked at again for
/// as long as it has time. As a dead letter nobody would answer for it.
async fn stand_by(
    store: &impl Worklist,
    claimed: &Claimed,
    error: &StoreError,
    now: Timestamp,
) -> Result<(), StoreError> {
    let wait_ms = if error.fault() == Fault::Permanent { LEASE_MS } else { STAND_BY_MS };
    warn!(work = %claimed.key, wait_ms, "puts off {}: {}", claimed.key, chain(error));
    let untried = Claimed { tried: false, ..claimed.clone() };
    store.postpone(&untried, now.plus_ms(wait_ms), Some(&chain(error))).await
}
