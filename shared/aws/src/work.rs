//! Work items: recorded, claimed, put off, finished, buried, rung for.
//!
//! A work item is due at `due_at`. Asking for it counts `seq` up, a claim counts `attempts` up and moves `due_at` to
//! the end of its lease, and whatever follows holds only while both are as the claim left them.

use std::ops::RangeInclusive;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use sluice_domain::ports::{Bell, Inbox, Recorded, StoreError, Worklist};
use sluice_domain::{Claimed, Queue, RunReport, Task, Timestamp, WorkKey};

use crate::keys::{Key, PK, SK, number, string, work_key};
use crate::schema::DUE_INDEX;
use crate::table::{Fields, Item, Table, body, store_error};

/// How long news of runs is kept, in seconds: thirty days. A duplicate that comes later is news again, and harmless.
pub(crate) const RUN_SECONDS: u64 = 30 * 24 * 3600;

impl Inbox for Table {
    async fn record(&self, report: &RunReport, now: Timestamp) -> Result<Recorded, StoreError> {
        let key = WorkKey::Run(report.workspace.clone(), report.run.clone());
        let update = self
            .update(&key)
            .update_expression(
                "SET body = :body, #rank = :rank, #queue = :queue, due_at = :now, bell = :queue, attempts = :zero, \
                 expires_at = :expires ADD seq :one",
            )
            .condition_expression("attribute_not_exists(pk) OR #rank < :rank")
            .expression_attribute_names("#rank", "rank")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":body", body(report))
            .expression_attribute_values(":rank", number(report.standing.rank().into()))
            .expression_attribute_values(":queue", string(Queue::Index.as_str()))
            .expression_attribute_values(":now", number(now.0))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expires", number(now.seconds() + RUN_SECONDS));
        let written = send(update, "to record a run").await?;
        Ok(if written.is_some() { Recorded::New } else { Recorded::Known })
    }
}

impl Worklist for Table {
    async fn claim(&self, key: &WorkKey, now: Timestamp, lease_ms: u64) -> Result<Option<Claimed>, StoreError> {
        let update = self
            .update(key)
            .update_expression("SET due_at = :until, tried = :true ADD attempts :one REMOVE bell")
            .condition_expression("due_at <= :now AND #queue = :queue")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":until", number(now.plus_ms(lease_ms).0))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", number(now.0))
            .expression_attribute_values(":queue", string(key.queue().as_str()))
            .return_values(ReturnValue::AllOld);
        let Some(item) = send(update, "to claim work").await? else { return Ok(None) };
        let fields = Fields::new(&item);
        let task = match key {
            WorkKey::Run(..) => Task::Run(fields.body()?),
            WorkKey::Look(_) => Task::Look,
            WorkKey::Waiter { .. } => Task::Waiter,
            WorkKey::Verify(_) => Task::Verify,
            WorkKey::Read(_) => Task::Read(fields.body()?),
            WorkKey::Survey(..) => Task::Survey(fields.body()?),
            WorkKey::Create(_) => Task::Create(fields.body()?),
            WorkKey::Check(..) | WorkKey::Job(..) => Task::Check,
            WorkKey::Relay(_) => Task::Relay,
        };
        let attempts = u32::try_from(fields.number("attempts")?).unwrap_or(u32::MAX).saturating_add(1);
        Ok(Some(Claimed {
            key: key.clone(),
            seq: fields.number("seq")?,
            attempts,
            tried: fields.flag("tried"),
            replayed: fields.flag("replayed"),
            task,
        }))
    }

    async fn complete(&self, claimed: &Claimed) -> Result<(), StoreError> {
        let update = self.held(claimed).update_expression("REMOVE due_at, bell, fault, tried, replayed");
        send(update, "to complete work").await.map(drop)
    }

    async fn postpone(&self, claimed: &Claimed, until: Timestamp, why: Option<&str>) -> Result<(), StoreError> {
        let (mut set, mut remove) = ("SET due_at = :until, attempts = :zero, tried = :tried".to_owned(), "REMOVE bell");
        // This attempt had no effect; what was known of earlier ones when it began stays.
        let mut update = self
            .held(claimed)
            .expression_attribute_values(":until", number(until.0))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":tried", AttributeValue::Bool(claimed.tried));
        if let Some(why) = why {
            set += ", fault = :why";
            update = update.expression_attribute_values(":why", string(why));
        } else {
            remove = "REMOVE bell, fault";
        }
        // News of a run is kept for as long as that is watched.
        if let WorkKey::Run(..) = claimed.key {
            set += ", expires_at = :expires";
            update = update.expression_attribute_values(":expires", number(until.seconds() + RUN_SECONDS));
        }
        send(update.update_expression(format!("{set} {remove}")), "to postpone work").await.map(drop)
    }

    async fn defer(&self, claimed: &Claimed, until: Timestamp, fault: &str, tried: bool) -> Result<(), StoreError> {
        let update = self
            .held(claimed)
            .update_expression("SET due_at = :until, fault = :fault, tried = :tried")
            .expression_attribute_values(":until", number(until.0))
            .expression_attribute_values(":fault", string(fault))
            .expression_attribute_values(":tried", AttributeValue::Bool(tried));
        send(update, "to defer work").await.map(drop)
    }

    async fn bury(&self, claimed: &Claimed, now: Timestamp, fault: &str) -> Result<(), StoreError> {
        let update = self
            .held(claimed)
            .update_expression("SET #queue = :dead, due_at = :now, fault = :fault REMOVE bell, expires_at")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":dead", string(Queue::Dead.as_str()))
            .expression_attribute_values(":now", number(now.0))
            .expression_attribute_values(":fault", string(fault));
        send(update, "to bury work").await.map(drop)
    }
}

impl Bell for Table {
    async fn due(&self, queue: Queue, now: Timestamp, limit: u16) -> Result<Vec<WorkKey>, StoreError> {
        let items = self.due_items(queue, Timestamp(0)..=now, limit).await?;
        Ok(items.iter().filter_map(|key| work_key(&key.pk, &key.sk)).collect())
    }

    async fn ring(&self, key: &WorkKey) -> Result<(), StoreError> {
        // `rung` makes the write a change, and so a stream record, even where an earlier bell went unheard.
        let update = self
            .update(key)
            .update_expression("SET bell = #queue ADD rung :one")
            .condition_expression("attribute_exists(due_at) AND #queue = :queue")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":queue", string(key.queue().as_str()));
        send(update, "to ring for work").await.map(drop)
    }
}

impl Table {
    /// Keys of the items of `queue` that are due in that time, the oldest first.
    pub(crate) async fn due_items(
        &self,
        queue: Queue,
        due: RangeInclusive<Timestamp>,
        limit: u16,
    ) -> Result<Vec<Key>, StoreError> {
        let page = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(DUE_INDEX)
            .key_condition_expression("#queue = :queue AND due_at BETWEEN :from AND :until")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":queue", string(queue.as_str()))
            .expression_attribute_values(":from", number(due.start().0))
            .expression_attribute_values(":until", number(due.end().0))
            .limit(limit.into())
            .send()
            .await
            .map_err(|error| store_error("to list due work", error))?;
        page.items()
            .iter()
            .map(|item| {
                let fields = Fields::new(item);
                Ok(Key { pk: fields.text(PK)?.to_owned(), sk: fields.text(SK)?.to_owned() })
            })
            .collect()
    }

    pub(crate) fn update(&self, key: &WorkKey) -> UpdateItemFluentBuilder {
        self.update_at(&Key::work(key))
    }

    pub(crate) fn update_at(&self, key: &Key) -> UpdateItemFluentBuilder {
        let [pk, sk] = key.attributes();
        self.client.update_item().table_name(&self.name).key(pk.0, pk.1).key(sk.0, sk.1)
    }

    /// An update that holds only while the claim does.
    fn held(&self, claimed: &Claimed) -> UpdateItemFluentBuilder {
        self.update(&claimed.key)
            .condition_expression("seq = :seq AND attempts = :attempts")
            .expression_attribute_values(":seq", number(claimed.seq))
            .expression_attribute_values(":attempts", number(claimed.attempts.into()))
    }
}

/// Sends a conditional update: None if the condition did not hold, else the attributes that were asked for.
pub(crate) async fn send(update: UpdateItemFluentBuilder, action: &'static str) -> Result<Option<Item>, StoreError> {
    match update.send().await {
        Ok(output) => Ok(Some(output.attributes.unwrap_or_default())),
        Err(error)
            if error.as_service_error().is_some_and(
                aws_sdk_dynamodb::operation::update_item::UpdateItemError::is_conditional_check_failed_exception,
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(store_error(action, error)),
    }
}
