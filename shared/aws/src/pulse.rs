//! The pulse, and how long the oldest work has been due.

use aws_sdk_dynamodb::types::AttributeValue;
use sluice_domain::ports::{Pulse, Pulses, StoreError};
use sluice_domain::{Queue, Timestamp, WorkKey};

use crate::keys::{Key, PK, SK, number, string, work_key};
use crate::schema::DUE_INDEX;
use crate::table::{Fields, Table, body, store_error};
use crate::work::send;

/// Work that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which, as its key names it where that is none of any work.
    pub key: Result<WorkKey, String>,
    /// Since when.
    pub since: Timestamp,
}

impl Pulses for Table {
    /// One write of a few hundred bytes.
    async fn beat(&self, pulse: &Pulse) -> Result<(), StoreError> {
        let update = self
            .update_at(&Key::pulse())
            .update_expression("SET body = :body")
            .expression_attribute_values(":body", body(pulse));
        send(update, "to leave a pulse").await.map(drop)
    }
}

impl Table {
    /// The last pulse; None if there never was one.
    pub async fn pulse(&self) -> Result<Option<Pulse>, StoreError> {
        let item = self.get(&Key::pulse(), "to read the pulse").await?;
        item.map(|item| Fields::new(&item).body()).transpose()
    }

    /// The work of `queue` that has been due for longest at `now`.
    pub async fn oldest_due(&self, queue: Queue, now: Timestamp) -> Result<Option<Due>, StoreError> {
        const ACTION: &str = "to look for the oldest due work";
        let page = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(DUE_INDEX)
            .key_condition_expression("#queue = :queue AND due_at <= :now")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_values(":queue", string(queue.as_str()))
            .expression_attribute_values(":now", number(now.0))
            .limit(1)
            .send()
            .await
            .map_err(|error| store_error(ACTION, error))?;
        let Some(item) = page.items().first() else { return Ok(None) };
        let fields = Fields::new(item);
        let (pk, sk) = (fields.text(PK)?, fields.text(SK)?);
        let due_at = item.get("due_at").and_then(|value| AttributeValue::as_n(value).ok());
        let since = due_at.and_then(|due_at| due_at.parse().ok()).map(Timestamp);
        let since = since.ok_or_else(|| fields.unreadable("due_at is not a whole number".to_owned()))?;
        Ok(Some(Due { key: work_key(pk, sk).ok_or_else(|| format!("{pk} {sk}")), since }))
    }
}
