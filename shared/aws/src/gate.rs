//! Task results: a partition each, with the request, the sealed token, an item for each check and one for the answer.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use sluice_domain::gate::{Admission, Gated, HEARTBEAT_MS, Sealed, State};
use sluice_domain::ports::{Advance, ContextKey, GateStore, Guard, Recorded, StoreError};
use sluice_domain::{CheckName, Queue, TaskResultId, Timestamp, WorkKey};

use crate::commit::{UNLESS_THERE, update_action};
use crate::context::CONTEXT_SECONDS;
use crate::keys::{CHECK, JOB, Key, RELAY, SK, TASK, TOKEN, gate, number, string};
use crate::table::{Fields, Table, body};

/// How long a task result is kept, in seconds: thirty days.
const GATE_SECONDS: u64 = 30 * 24 * 3600;

/// How long an access token outlives the time its task has, in seconds. It goes earlier, with the answer; this is for
/// answers that never get through.
const TOKEN_SECONDS: u64 = 3600;

/// How the item of the answer is written, before and after the last word is decided.
const UNDECIDED: &str = "SET body = :body, version = :next";
const DECIDED: &str = "SET body = :body, version = :next, verdict = :next";

impl GateStore for Table {
    async fn admit(&self, admission: &Admission, token: &Sealed) -> Result<Recorded, StoreError> {
        let request = &admission.request;
        let (result, now) = (&request.result, request.received_at);
        let expires = number(now.seconds() + GATE_SECONDS);
        let kept = |put: aws_sdk_dynamodb::types::builders::PutBuilder| put.item("expires_at", expires.clone());
        let task = self.put(&Key::gate(result, TASK), |put| {
            kept(put).item("body", body(admission)).condition_expression(UNLESS_THERE)
        });
        let secret = self.put(&Key::gate(result, TOKEN), |put| {
            put.item("body", body(token)).item("expires_at", number(admission.deadline.seconds() + TOKEN_SECONDS))
        });
        // Where there are checks, the first of them to end has something to tell; else there is nothing to wait for.
        let first_word =
            if admission.checks.is_empty() { now } else { now.plus_ms(HEARTBEAT_MS).min(admission.deadline) };
        let claim = self.put(&Key::claim(&ContextKey::of(request), result), |put| {
            put.item("body", body(&request.workspace)).item("expires_at", number(now.seconds() + CONTEXT_SECONDS))
        });
        let mut actions =
            vec![task, secret, claim, self.fresh(&Key::gate(result, RELAY), Queue::Relay, first_word, now)];
        for check in &admission.checks {
            let work = admission.work(check);
            actions.push(self.fresh(&Key::work(&work), work.queue(), now, now));
        }
        match self.transact_actions(actions, "to record a task result").await {
            Ok(()) => Ok(Recorded::New),
            // The one condition is that there is none yet; or another request for the same is being recorded.
            Err(StoreError::Conflict) => match self.gated(result).await? {
                Some(_) => Ok(Recorded::Known),
                None => Err(StoreError::Conflict),
            },
            Err(error) => Err(error),
        }
    }

    async fn gated(&self, result: &TaskResultId) -> Result<Option<Gated>, StoreError> {
        let mut admission = None;
        let mut gated = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new(), State::default(), 0);
        for item in self.partition(&gate(result)).await? {
            let fields = Fields::new(&item);
            match fields.text(SK)? {
                TASK => admission = Some(fields.body()?),
                RELAY => {
                    if fields.maybe_text("body").is_some() {
                        gated.2 = fields.body()?;
                    }
                    gated.3 = fields.number("version")?;
                }
                sk => {
                    let Some(name) = sk.strip_prefix(CHECK).or_else(|| sk.strip_prefix(JOB)) else { continue };
                    let name: CheckName = name.parse().map_err(|error| fields.unreadable(format!("{error}")))?;
                    gated.1.insert(name.clone(), fields.number("seq")?);
                    if fields.maybe_text("body").is_some() {
                        gated.0.insert(name, fields.body()?);
                    }
                }
            }
        }
        let (executions, seq, state, version) = gated;
        Ok(admission.map(|admission| Gated { admission, executions, seq, state, version }))
    }

    async fn token(&self, result: &TaskResultId) -> Result<Option<Sealed>, StoreError> {
        let item = self.get(&Key::gate(result, TOKEN), "to read an access token").await?;
        item.map(|item| Fields::new(&item).body()).transpose()
    }

    async fn advance(&self, guard: Guard<'_>, step: &Advance<'_>) -> Result<(), StoreError> {
        let mut actions = vec![update_action(self.advanced(guard, step))];
        let wake = |work: &WorkKey| update_action(self.armed(&Key::work(work), work.queue(), step.now, ""));
        actions.extend(step.wakes.iter().map(wake));
        if step.tells {
            // What is found out after the last word was decided comes too late.
            let told = self.armed(&Key::gate(step.result(), RELAY), Queue::Relay, step.now, "");
            actions.push(update_action(told.condition_expression("attribute_not_exists(verdict)")));
        }
        self.transact_actions(actions, "to write down how far a check has come").await
    }

    async fn told(&self, result: &TaskResultId, state: &State, version: u64) -> Result<(), StoreError> {
        let update = self
            .set(&Key::gate(result, RELAY), if state.verdict.is_some() { DECIDED } else { UNDECIDED })
            .condition_expression(if version == 0 {
                "attribute_exists(pk) AND attribute_not_exists(version)"
            } else {
                "version = :version"
            })
            .expression_attribute_values(":body", body(state))
            .expression_attribute_values(":next", number(version + 1));
        let update = match version {
            0 => update,
            _ => update.expression_attribute_values(":version", number(version)),
        };
        let token = state.end.is_some().then(|| self.delete(&Key::gate(result, TOKEN)));
        let actions: Vec<TransactWriteItem> = [Some(update_action(update)), token].into_iter().flatten().collect();
        self.transact_actions(actions, "to write down what HCP Terraform was told").await
    }
}

impl Table {
    /// Work that was never there, due at `due`; its bell rings if that is now.
    fn fresh(&self, key: &Key, queue: Queue, due: Timestamp, now: Timestamp) -> TransactWriteItem {
        self.put(key, |put| {
            let put = put
                .item("queue", string(queue.as_str()))
                .item("due_at", number(due.0))
                .item("seq", number(1))
                .item("attempts", number(0))
                .item("expires_at", number(now.seconds() + GATE_SECONDS));
            if due <= now { put.item("bell", string(queue.as_str())) } else { put }
        })
    }

    /// A check's item as it is after `step`. What waits for its time counts no attempts.
    fn advanced(&self, guard: Guard<'_>, step: &Advance<'_>) -> UpdateBuilder {
        let (set, remove) = match step.due {
            // Due at once, it rings by itself: nobody has to wait for the next sweep.
            Some(due) if due <= step.now => (", due_at = :due, bell = :queue", ""),
            Some(_) => (", due_at = :due", ", bell"),
            None => ("", ", bell, due_at"),
        };
        let update = self
            .set(&Key::work(step.key), &format!("SET body = :body, attempts = :zero, tried = :false{set} REMOVE fault, replayed{remove} ADD seq :one"))
            .expression_attribute_values(":body", body(step.execution))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":one", number(1));
        let update = match step.due {
            Some(due) => update.expression_attribute_values(":due", number(due.0)),
            None => update,
        };
        let update = match step.due {
            Some(due) if due <= step.now => {
                update.expression_attribute_values(":queue", string(step.key.queue().as_str()))
            }
            _ => update,
        };
        match guard {
            Guard::Claimed(claimed) => update
                .condition_expression("seq = :seq AND attempts = :attempts")
                .expression_attribute_values(":seq", number(claimed.seq))
                .expression_attribute_values(":attempts", number(claimed.attempts.into())),
            Guard::Read { seq } => {
                update.condition_expression("seq = :seq").expression_attribute_values(":seq", number(seq))
            }
        }
    }
}
