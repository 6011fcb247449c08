//! Batches of a DynamoDB stream: which items changed, and which records are to come again.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::Future;

use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Deserializer, Serialize};
use sluice_domain::{Classify, Fault, Timestamp, chain};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{Instrument, error, info, warn};

use crate::clock::now;
use crate::metrics;

/// Most works of a batch under way at once, where they do something.
const WORKS_AT_ONCE: usize = 8;

/// Most works of a batch under way at once, where they mostly wait for something to happen elsewhere.
const WAITS_AT_ONCE: usize = 64;

/// How much of the invocation must be left for work to begin, in milliseconds, or half of it if that is less: a turn at
/// the API may take long to come.
const TIME_LEAST_MS: u64 = 20_000;

/// The same for works that wait: as long as they may take to notice that nothing happens.
const WAIT_LEAST_MS: u64 = 60_000;

/// Polls Lambda for batches and hands each to `handler`. Returns only if Lambda cannot be polled.
pub async fn serve<H, F>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(StreamEvent) -> F,
    F: Future<Output = BatchResponse>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<StreamEvent>| async move {
        let deadline = Some(Timestamp(event.context.deadline));
        Ok::<_, Infallible>(handler(StreamEvent { deadline, ..event.payload }).await)
    }))
    .await
}

/// Does what the records ring for, several works at once. `work` gives None for a record that is none of its own.
///
/// An item that rings twice is served once. Each work is a task of its own, so one that panics fails alone. What would
/// begin too late to come to an end is left for the next sweep: it is due in the table, and no attempt is lost.
pub async fn each<F, E>(event: &StreamEvent, work: impl Fn(&StreamRecord) -> Option<F>) -> BatchResponse
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Classify + Send + 'static,
{
    some_at_once(event, WORKS_AT_ONCE, TIME_LEAST_MS, work).await
}

/// As [`each`], for works that mostly wait for something to happen elsewhere: many more of them at once.
pub async fn each_waiting<F, E>(event: &StreamEvent, work: impl Fn(&StreamRecord) -> Option<F>) -> BatchResponse
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Classify + Send + 'static,
{
    some_at_once(event, WAITS_AT_ONCE, WAIT_LEAST_MS, work).await
}

async fn some_at_once<F, E>(
    event: &StreamEvent,
    at_once: usize,
    least_ms: u64,
    work: impl Fn(&StreamRecord) -> Option<F>,
) -> BatchResponse
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Classify + Send + 'static,
{
    let mut rung = BTreeSet::new();
    let mut waiting = event
        .records
        .iter()
        .filter(|record| rung.insert((&record.pk, &record.sk)))
        .filter_map(|record| Some((record, work(record)?)));
    let mut tasks = JoinSet::new();
    let mut under_way: BTreeMap<Id, &StreamRecord> = BTreeMap::new();
    let mut response = BatchResponse::default();
    let in_all_ms = event.deadline.map_or(u64::MAX, |deadline| deadline.since_ms(now()));
    let least_ms = least_ms.min(in_all_ms / 2);
    loop {
        let late = event.deadline.is_some_and(|deadline| now().plus_ms(least_ms) > deadline);
        let free = if late { 0 } else { at_once.saturating_sub(tasks.len()) };
        for (record, work) in waiting.by_ref().take(free) {
            record.taken_up();
            // A task of its own would not know which invocation it is part of.
            under_way.insert(tasks.spawn(work.in_current_span()).id(), record);
        }
        let Some(ended) = tasks.join_next_with_id().await else { return response };
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(record) = under_way.remove(&id) else { continue };
        if !went_well(record, ended.map(|(_, result)| result)) {
            response.fail(record);
        }
    }
}

/// Whether the work of `record` came to an end that is written down; if not, logs why.
fn went_well<E: Classify>(record: &StreamRecord, ended: Result<Result<(), E>, JoinError>) -> bool {
    let StreamRecord { pk, sk, .. } = record;
    match ended {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => match error.fault() {
            Fault::Transient { .. } | Fault::Throttled { .. } => {
                warn!(pk, sk, "will try {pk} {sk} again: {}", chain(&error));
            }
            Fault::Permanent => error!(pk, sk, "{pk} {sk} failed, a person must act: {}", chain(&error)),
        },
        Err(panic) => error!(pk, sk, "{pk} {sk} is left for when its lease runs out: {panic}"),
    }
    false
}

/// A batch, as Lambda hands it over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StreamEvent {
    /// The records whose keys could be read, in the order of the stream.
    #[serde(rename = "Records", deserialize_with = "readable")]
    pub records: Vec<StreamRecord>,
    /// When the invocation is stopped, by this machine's clock; None if it never is.
    #[serde(skip)]
    pub deadline: Option<Timestamp>,
}

/// A change of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecord {
    /// What a [`BatchResponse`] calls this record: its sequence number.
    pub item_identifier: String,
    /// The item's partition key.
    pub pk: String,
    /// The item's sort key.
    pub sk: String,
    /// What it rings for, if it rings.
    pub rings: Option<Rung>,
}

/// What a bell is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// The queue that is rung for.
    pub queue: String,
    /// Since when the work is due.
    pub due_at: Timestamp,
}

impl StreamRecord {
    /// Counts how long the work was due before it was taken up. Of work that a bell rang for twice it is counted twice.
    fn taken_up(&self) {
        let Some(Rung { queue, due_at }) = &self.rings else { return };
        let now = now();
        if *due_at <= now {
            let age = metrics::seconds(now.since_ms(*due_at));
            info!(target: metrics::TARGET, WorkAgeSeconds = age, queue = queue.as_str());
        }
    }
}

/// Which records of a batch are to come again. Lambda goes back to the first of them, so the records after it come
/// again as well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    batch_item_failures: Vec<BatchItemFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

impl BatchResponse {
    /// Has `record` come again.
    pub fn fail(&mut self, record: &StreamRecord) {
        self.batch_item_failures.push(BatchItemFailure { item_identifier: record.item_identifier.clone() });
    }

    /// Whether nothing has to come again.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.batch_item_failures.is_empty()
    }
}

impl<'a> FromIterator<&'a StreamRecord> for BatchResponse {
    fn from_iter<I: IntoIterator<Item = &'a StreamRecord>>(failed: I) -> Self {
        let mut response = Self::default();
        failed.into_iter().for_each(|record| response.fail(record));
        response
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireRecord {
    dynamodb: Option<Change>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Change {
    keys: Option<WireKeys>,
    new_image: Option<WireBell>,
    sequence_number: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireKeys {
    pk: StringValue,
    sk: StringValue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireBell {
    bell: StringValue,
    due_at: NumberValue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NumberValue {
    #[serde(rename = "N")]
    number: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StringValue {
    #[serde(rename = "S")]
    string: Option<String>,
}

/// Records of another table's shape are left out: they would come again for ever and hold up what is behind them.
fn readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<StreamRecord>, D::Error> {
    let records = Vec::<WireRecord>::deserialize(deserializer)?;
    Ok(records.into_iter().filter_map(record).collect())
}

fn record(wire: WireRecord) -> Option<StreamRecord> {
    let change = wire.dynamodb?;
    let keys = change.keys?;
    let rings = change.new_image.and_then(|image| {
        let due_at = Timestamp(image.due_at.number?.parse().ok()?);
        Some(Rung { queue: image.bell.string?, due_at })
    });
    Some(StreamRecord { item_identifier: change.sequence_number?, pk: keys.pk.string?, sk: keys.sk.string?, rings })
}

#[cfg(test)]
mod tests;
