//! Dead letters: work that failed for good, for a person to see and replay.

use aws_sdk_dynamodb::types::AttributeValue;
use sluice_domain::ports::StoreError;
use sluice_domain::{Queue, Timestamp, WorkKey};

use crate::facts::BATCH_MAX;
use crate::keys::{Key, PK, SK, number, string, work_key};
use crate::schema::DUE_INDEX;
use crate::table::{Fields, Table, store_error};
use crate::work::send;

/// Work that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which work.
    pub key: WorkKey,
    /// When it was given up.
    pub at: Timestamp,
    /// Why.
    pub fault: String,
}

/// How a work item stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkState {
    /// When it is due, or the lease on it ends, or since when it is dead; None once it is done.
    pub due: Option<Timestamp>,
    /// It was given up.
    pub dead: bool,
    /// Somebody may be at it until it is due again: a claim and a wait after an attempt of unknown effect look alike.
    pub claimed: bool,
    /// Why it was put off, or the last attempt failed.
    pub fault: Option<String>,
}

/// What became of work that was to be taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenUp {
    /// It is due now, from its first attempt on.
    Again,
    /// Somebody may be at it until then, when it is due by itself.
    UnderWay(Timestamp),
    /// It is done, so there is nothing to take up.
    Done,
    /// There is no such work.
    Unknown,
}

impl Table {
    /// The oldest dead letters, at most `limit`.
    pub async fn dead_letters(&self, limit: u16) -> Result<Vec<DeadLetter>, StoreError> {
        let keys = self.dead_items(limit.into()).await?;
        let mut letters = Vec::new();
        let mut items = Vec::new();
        for keys in keys.chunks(BATCH_MAX) {
            items.extend(self.batch(keys).await?);
        }
        for item in items {
            let fields = Fields::new(&item);
            // The index lags behind: what it still lists may have been taken up.
            if fields.maybe_text("queue") != Some(Queue::Dead.as_str()) {
                continue;
            }
            let Some(key) = work_key(fields.text(PK)?, fields.text(SK)?) else { continue };
            letters.push(DeadLetter {
                key,
                at: Timestamp(fields.number("due_at")?),
                fault: fields.text("fault")?.to_owned(),
            });
        }
        letters.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
        Ok(letters)
    }

    /// Keys of the oldest dead letters, page by page, as far as the index knows them.
    async fn dead_items(&self, limit: usize) -> Result<Vec<Key>, StoreError> {
        let mut keys: Vec<Key> = Vec::new();
        let mut start = None;
        while keys.len() < limit {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .index_name(DUE_INDEX)
                .key_condition_expression("#queue = :queue")
                .expression_attribute_names("#queue", "queue")
                .expression_attribute_values(":queue", string(Queue::Dead.as_str()))
                .limit(i32::try_from(limit - keys.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| store_error("to list dead letters", error))?;
            for item in page.items() {
                let fields = Fields::new(item);
                keys.push(Key { pk: fields.text(PK)?.to_owned(), sk: fields.text(SK)?.to_owned() });
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        // What is given up anew between two pages is on both.
        keys.sort_by(|a, b| (&a.pk, &a.sk).cmp(&(&b.pk, &b.sk)));
        keys.dedup_by(|a, b| (&a.pk, &a.sk) == (&b.pk, &b.sk));
        Ok(keys)
    }

    /// Why the last attempt at work that is still to be done came to nothing.
    pub async fn fault(&self, key: &WorkKey) -> Result<Option<String>, StoreError> {
        let item = self.get(&Key::work(key), "to read why work failed").await?;
        Ok(item.and_then(|item| Fields::new(&item).maybe_text("fault").map(str::to_owned)))
    }

    /// How work stands; None if there is none of this key.
    pub async fn work_state(&self, key: &WorkKey) -> Result<Option<WorkState>, StoreError> {
        let Some(item) = self.get(&Key::work(key), "to read how work stands").await? else { return Ok(None) };
        let fields = Fields::new(&item);
        let due_at = fields.number("due_at")?;
        Ok(Some(WorkState {
            due: (due_at > 0).then_some(Timestamp(due_at)),
            dead: due_at > 0 && fields.maybe_text("queue") == Some(Queue::Dead.as_str()),
            claimed: fields.number("attempts")? > 0 && fields.flag("tried"),
            fault: fields.maybe_text("fault").map(str::to_owned),
        }))
    }

    /// Makes work due again that was given up or waits, from its first attempt on. Not if somebody may be at it: that
    /// is, if the lease of a claim, of `lease_ms` at most, may not be over.
    pub async fn take_up(&self, key: &WorkKey, now: Timestamp, lease_ms: u64) -> Result<TakenUp, StoreError> {
        if self.replay(key, now).await? {
            return Ok(TakenUp::Again);
        }
        let update = self
            .update(key)
            .update_expression("SET bell = :queue, due_at = :now, attempts = :zero ADD seq :one REMOVE fault")
            .condition_expression(
                "attribute_exists(due_at) AND #queue = :queue AND NOT (attempts > :zero AND tried = :true \
                 AND due_at > :now AND due_at <= :lease)",
            )
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":queue", string(key.queue().as_str()))
            .expression_attribute_values(":now", number(now.0))
            .expression_attribute_values(":lease", number(now.plus_ms(lease_ms).0))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":one", number(1));
        if send(update, "to take work up").await?.is_some() {
            return Ok(TakenUp::Again);
        }
        Ok(match self.work_state(key).await? {
            None => TakenUp::Unknown,
            Some(WorkState { due: None, .. }) => TakenUp::Done,
            Some(WorkState { due: Some(until), .. }) => TakenUp::UnderWay(until),
        })
    }

    /// Makes a dead letter due again, from its first attempt on. False if it is not dead.
    pub async fn replay(&self, key: &WorkKey, now: Timestamp) -> Result<bool, StoreError> {
        let update = self
            .update(key)
            .update_expression(
                "SET #queue = :queue, bell = :queue, due_at = :now, attempts = :zero, replayed = :true \
                 ADD seq :one REMOVE fault",
            )
            .condition_expression("#queue = :dead")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":queue", string(key.queue().as_str()))
            .expression_attribute_values(":dead", string(Queue::Dead.as_str()))
            .expression_attribute_values(":now", number(now.0))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":one", number(1));
        Ok(send(update, "to replay work").await?.is_some())
    }
}
