//! Claims of a worker that died: whoever knows that it is dead need not wait for their leases to end.

use aws_sdk_dynamodb::types::AttributeValue;
use sluice_domain::ports::StoreError;
use sluice_domain::{Queue, Timestamp};

use crate::keys::{number, string, work_key};
use crate::table::Table;
use crate::work::send;

/// Most items of one queue that are looked at. Claims beyond it wait for their leases.
const LOOKED_AT_MAX: u16 = 1_000;

impl Table {
    /// Makes claimed work due at `now`, and tells how much that was. Only for a process that knows itself to be the
    /// only worker, before it claims anything: every claim there is was then made by a process that is gone.
    ///
    /// Work that waits for its time stays where it is: a claim shows in `tried`, which nothing but a claim sets. Work
    /// that backs off after an attempt of unknown effect looks the same, and is tried again somewhat early.
    pub async fn release(&self, now: Timestamp, lease_ms: u64) -> Result<usize, StoreError> {
        let mut released = 0;
        for queue in [Queue::Index, Queue::Bulk, Queue::Create, Queue::Check, Queue::Job, Queue::Relay] {
            released += self.release_queue(queue, now, now.plus_ms(lease_ms)).await?;
        }
        Ok(released)
    }

    async fn release_queue(&self, queue: Queue, now: Timestamp, until: Timestamp) -> Result<usize, StoreError> {
        let mut released = 0;
        for key in self.due_items(queue, now..=until, LOOKED_AT_MAX).await? {
            let Some(key) = work_key(&key.pk, &key.sk) else { continue };
            let update = self
                .update(&key)
                .update_expression("SET due_at = :now")
                .condition_expression("due_at > :now AND attempts > :zero AND tried = :true AND #queue = :queue")
                .expression_attribute_names("#queue", "queue")
                .expression_attribute_values(":queue", string(queue.as_str()))
                .expression_attribute_values(":now", number(now.0))
                .expression_attribute_values(":zero", number(0))
                .expression_attribute_values(":true", AttributeValue::Bool(true));
            released += usize::from(send(update, "to release a claim").await?.is_some());
        }
        Ok(released)
    }
}
