//! Dead letters: work that failed for good, for a person to see and replay.

use sluice_domain::ports::StoreError;
use sluice_domain::{Queue, Timestamp, WorkKey};

use crate::facts::BATCH_MAX;
use crate::keys::{Key, PK, SK, number, string, work_key};
use crate::table::{Fields, Table};
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

impl Table {
    /// The oldest dead letters, at most `limit`.
    pub async fn dead_letters(&self, limit: u16) -> Result<Vec<DeadLetter>, StoreError> {
        let keys = self.due_items(Queue::Dead, Timestamp(0)..=Timestamp(u64::MAX >> 1), limit).await?;
        let mut letters = Vec::new();
        let mut items = Vec::new();
        for keys in keys.chunks(BATCH_MAX) {
            items.extend(self.batch(keys).await?);
        }
        for item in items {
            let fields = Fields::new(&item);
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

    /// Why the last attempt at work that is still to be done came to nothing.
    pub async fn fault(&self, key: &WorkKey) -> Result<Option<String>, StoreError> {
        let item = self.get(&Key::work(key), "to read why work failed").await?;
        Ok(item.and_then(|item| Fields::new(&item).maybe_text("fault").map(str::to_owned)))
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
            .expression_attribute_values(":true", aws_sdk_dynamodb::types::AttributeValue::Bool(true))
            .expression_attribute_values(":one", number(1));
        Ok(send(update, "to replay work").await?.is_some())
    }
}
