//! Writing facts: all changes of a commit in one transaction, on condition that nothing moved underneath.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::{PutBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use sluice_domain::ports::{StoreError, Write};
use sluice_domain::{Decision, Host, Organization, Queue, Survey, Timestamp, WorkKey, Workspace};

use crate::keys::{CREATE, DECISION, FACTS, Key, LOOK, READ, VERIFY, number, string};
use crate::table::{Table, body, store_error};
use crate::work::{RUN_SECONDS, send};

/// How long decisions are kept for people to read, in seconds: thirty days.
const LOG_SECONDS: u64 = 30 * 24 * 3600;

const HELD: &str = "the key and the table are set";
pub(crate) const UNLESS_THERE: &str = "attribute_not_exists(pk)";

impl Table {
    pub(crate) async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        const ACTION: &str = "to write facts";
        if let [Write::FirstSurvey { host, organization, at }] = writes {
            return self.first_survey(host, organization, *at).await;
        }
        let actions: Vec<TransactWriteItem> = writes.iter().flat_map(|write| self.actions(write)).collect();
        if actions.is_empty() {
            return Ok(());
        }
        self.transact_actions(actions, ACTION).await
    }

    /// Sends a transaction: [`StoreError::Conflict`] if a condition in it no longer holds.
    pub(crate) async fn transact_actions(
        &self,
        actions: Vec<TransactWriteItem>,
        action: &'static str,
    ) -> Result<(), StoreError> {
        let Err(error) = self.client.transact_write_items().set_transact_items(Some(actions)).send().await else {
            return Ok(());
        };
        // A condition that no longer holds and a transaction on the same items both mean: read again.
        let canceled_for = |codes: &[&str]| {
            let reasons = error.as_service_error().map(|error| match error {
                TransactWriteItemsError::TransactionCanceledException(canceled) => canceled.cancellation_reasons(),
                _ => &[],
            });
            reasons.unwrap_or_default().iter().any(|reason| reason.code().is_some_and(|code| codes.contains(&code)))
        };
        Err(if canceled_for(&["ConditionalCheckFailed", "TransactionConflict"]) {
            StoreError::Conflict
        } else if canceled_for(&["ValidationError", "ItemCollectionSizeLimitExceeded"]) {
            StoreError::Refused { action, source: Box::new(error) }
        } else {
            store_error(action, error)
        })
    }

    fn actions(&self, write: &Write) -> Vec<TransactWriteItem> {
        match write {
            Write::Facts { workspace, facts, version } => {
                let update = self
                    .set(&Key::of(workspace, FACTS), "SET body = :body, version = :next")
                    .condition_expression(at_version(*version))
                    .expression_attribute_values(":body", body(facts))
                    .expression_attribute_values(":next", number(version + 1));
                let listed = (*version == 0).then(|| self.put(&Key::listing(workspace), |put| put));
                [Some(update_action(with_version(update, *version))), listed].into_iter().flatten().collect()
            }
            Write::Unchanged { workspace, version } => vec![self.check(workspace, *version)],
            Write::Consumer { producer, consumer } => vec![self.put(&Key::consumer(producer, consumer), |put| put)],
            Write::NoConsumer { producer, consumer } => vec![self.delete(&Key::consumer(producer, consumer))],
            Write::Look { workspace, at } => vec![self.arm(&Key::of(workspace, LOOK), *at)],
            Write::Read { workspace, reading, at } => {
                vec![update_action(self.armed_with(&Key::of(workspace, READ), body(reading), *at))]
            }
            Write::Survey { host, organization, survey, at, seq } => {
                let update = self.survey_at(host, organization, survey, *at);
                let update = match seq {
                    Some(seq) => {
                        update.condition_expression("seq = :seq").expression_attribute_values(":seq", number(*seq))
                    }
                    None => update,
                };
                vec![update_action(update)]
            }
            // Beside other changes, it is one more that may have been made by somebody else first.
            Write::FirstSurvey { host, organization, at } => {
                let update = self.survey_at(host, organization, &beginning(), *at);
                vec![update_action(update.condition_expression(UNLESS_THERE))]
            }
            Write::Verify { workspace, at } => vec![self.arm(&Key::of(workspace, VERIFY), *at)],
            Write::Decision { workspace, decision, at } => vec![
                self.put(&Key::of(workspace, DECISION), |put| {
                    put.item("body", body(decision)).item("at", number(at.0))
                }),
                self.log(workspace, decision, *at),
            ],
            Write::Note { workspace, decision, at } => vec![self.log(workspace, decision, *at)],
            Write::Waiter { holder, waiter, until } => {
                let key = WorkKey::Waiter { holder: holder.clone(), waiter: waiter.clone() };
                let update = self
                    .set(&Key::work(&key), "SET #queue = :queue, due_at = :until, attempts = :zero ADD seq :one")
                    .expression_attribute_names("#queue", "queue")
                    .expression_attribute_values(":queue", string(key.queue().as_str()))
                    .expression_attribute_values(":until", number(until.0))
                    .expression_attribute_values(":zero", number(0))
                    .expression_attribute_values(":one", number(1));
                vec![update_action(update)]
            }
            Write::NoWaiter { holder, waiter } => {
                vec![self.delete(&Key::work(&WorkKey::Waiter { holder: holder.clone(), waiter: waiter.clone() }))]
            }
            Write::Order { workspace, order } => {
                let update = self
                    .armed(
                        &Key::of(workspace, CREATE),
                        Queue::Create,
                        order.decided_at,
                        ", body = :body, tried = :false REMOVE fault, replayed",
                    )
                    .condition_expression("attribute_not_exists(due_at) OR #queue = :dead")
                    .expression_attribute_values(":dead", string(Queue::Dead.as_str()))
                    .expression_attribute_values(":false", AttributeValue::Bool(false))
                    .expression_attribute_values(":body", body(order));
                vec![update_action(update)]
            }
            Write::Watch { report, until } => vec![self.watch(report, *until)],
            Write::Forget { workspace, version } => self.forget(workspace, *version),
        }
    }

    fn log(&self, workspace: &Workspace, decision: &Decision, at: Timestamp) -> TransactWriteItem {
        self.put(&Key::log(workspace, at, decision.verdict.word()), |put| {
            put.item("body", body(decision)).item("expires_at", number(at.seconds() + LOG_SECONDS))
        })
    }

    fn arm(&self, key: &Key, at: Timestamp) -> TransactWriteItem {
        update_action(self.armed(key, Queue::Index, at, ""))
    }

    fn forget(&self, workspace: &Workspace, version: u64) -> Vec<TransactWriteItem> {
        let facts = Delete::builder().table_name(&self.name).condition_expression(at_version(version));
        let facts = facts.set_key(Some(Key::of(workspace, FACTS).attributes().into()));
        let facts = facts.expression_attribute_values(":version", number(version)).build().expect(HELD);
        let [decision, order, reading] = [DECISION, CREATE, READ].map(|sk| Key::of(workspace, sk));
        let rest = [decision, order, reading, Key::listing(workspace)];
        let mut actions: Vec<_> = rest.iter().map(|key| self.delete(key)).collect();
        actions.push(TransactWriteItem::builder().delete(facts).build());
        actions
    }

    /// Begins a survey of an organization that never had one. That there is one already is as good.
    async fn first_survey(&self, host: &Host, organization: &Organization, at: Timestamp) -> Result<(), StoreError> {
        // Alone it needs no transaction, which would cost twice as much.
        let update = self.survey_at(host, organization, &beginning(), at).build().expect(HELD);
        let update = self
            .client
            .update_item()
            .table_name(update.table_name)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .condition_expression(UNLESS_THERE)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values);
        send(update, "to begin a survey").await.map(drop)
    }

    fn survey_at(&self, host: &Host, organization: &Organization, survey: &Survey, at: Timestamp) -> UpdateBuilder {
        let key = Key::work(&WorkKey::Survey(host.clone(), organization.clone()));
        self.armed_with(&key, body(survey), at)
    }

    fn armed_with(&self, key: &Key, body: AttributeValue, at: Timestamp) -> UpdateBuilder {
        self.armed(key, Queue::Bulk, at, ", body = :body").expression_attribute_values(":body", body)
    }

    /// Upserts news of a run that Sluice created, leaving alone what a notification has told already.
    fn watch(&self, report: &sluice_domain::RunReport, until: Timestamp) -> TransactWriteItem {
        let key = WorkKey::Run(report.workspace.clone(), report.run.clone());
        let update = self
            .set(
                &Key::work(&key),
                "SET body = if_not_exists(body, :body), #rank = if_not_exists(#rank, :rank), \
                 #queue = if_not_exists(#queue, :queue), due_at = if_not_exists(due_at, :until), \
                 attempts = if_not_exists(attempts, :zero), seq = if_not_exists(seq, :zero), \
                 expires_at = if_not_exists(expires_at, :expires)",
            )
            .expression_attribute_names("#rank", "rank")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":body", body(report))
            .expression_attribute_values(":rank", number(report.standing.rank().into()))
            .expression_attribute_values(":queue", string(key.queue().as_str()))
            .expression_attribute_values(":until", number(until.0))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":expires", number(until.seconds() + RUN_SECONDS));
        update_action(update)
    }

    /// An update that makes an item due work and rings the bell.
    pub(crate) fn armed(&self, key: &Key, queue: Queue, at: Timestamp, more: &'static str) -> UpdateBuilder {
        let expression =
            format!("SET #queue = :queue, bell = :queue, due_at = :at, attempts = :zero{more} ADD seq :one");
        self.set(key, &expression)
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":queue", string(queue.as_str()))
            .expression_attribute_values(":at", number(at.0))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
    }

    pub(crate) fn set(&self, key: &Key, expression: &str) -> UpdateBuilder {
        Update::builder().table_name(&self.name).set_key(Some(key.attributes().into())).update_expression(expression)
    }

    pub(crate) fn put(&self, key: &Key, fill: impl FnOnce(PutBuilder) -> PutBuilder) -> TransactWriteItem {
        let put = Put::builder().table_name(&self.name).set_item(Some(key.attributes().into()));
        TransactWriteItem::builder().put(fill(put).build().expect(HELD)).build()
    }

    pub(crate) fn delete(&self, key: &Key) -> TransactWriteItem {
        let delete = Delete::builder().table_name(&self.name).set_key(Some(key.attributes().into()));
        TransactWriteItem::builder().delete(delete.build().expect(HELD)).build()
    }

    fn check(&self, workspace: &Workspace, version: u64) -> TransactWriteItem {
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .set_key(Some(Key::of(workspace, FACTS).attributes().into()))
            .condition_expression(at_version(version));
        let check = match version {
            0 => check,
            _ => check.expression_attribute_values(":version", number(version)),
        };
        TransactWriteItem::builder().condition_check(check.build().expect(HELD)).build()
    }
}

/// Where a survey begins: the first page.
fn beginning() -> Survey {
    Survey { page: 1, ..Survey::default() }
}

pub(crate) fn at_version(version: u64) -> &'static str {
    if version == 0 { UNLESS_THERE } else { "version = :version" }
}

fn with_version(update: UpdateBuilder, version: u64) -> UpdateBuilder {
    if version == 0 { update } else { update.expression_attribute_values(":version", number(version)) }
}

pub(crate) fn update_action(update: UpdateBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().update(update.build().expect(HELD)).build()
}
