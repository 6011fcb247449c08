//! Batches of a DynamoDB stream: which items changed, and which records are to come again.

use std::convert::Infallible;
use std::future::Future;

use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Deserializer, Serialize};

/// Polls Lambda for batches and hands each to `handler`. Returns only if Lambda cannot be polled.
pub async fn serve<H, F>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(StreamEvent) -> F,
    F: Future<Output = BatchResponse>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<StreamEvent>| async move {
        Ok::<_, Infallible>(handler(event.payload).await)
    }))
    .await
}

/// A batch, as Lambda hands it over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StreamEvent {
    /// The records whose keys could be read, in the order of the stream.
    #[serde(rename = "Records", deserialize_with = "readable")]
    pub records: Vec<StreamRecord>,
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
    Some(StreamRecord { item_identifier: change.sequence_number?, pk: keys.pk.string?, sk: keys.sk.string? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: &str = r#"{"Records":[
        {"eventID":"1","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-central-1",
         "dynamodb":{"ApproximateCreationDateTime":1795168980,"Keys":{"pk":{"S":"RUN#h/run-a"},"sk":{"S":"RUN"}},
                     "NewImage":{"due_at":{"N":"1"}},"SequenceNumber":"111","SizeBytes":26,"StreamViewType":"NEW_IMAGE"},
         "eventSourceARN":"arn:aws:dynamodb:eu-central-1:123456789012:table/sluice/stream/2026-11-20T00:00:00.000"},
        {"eventName":"MODIFY","dynamodb":{"Keys":{"pk":{"S":"WS#h/o/a"},"sk":{"S":"LOOK"}},"SequenceNumber":"222"}},
        {"eventName":"INSERT","dynamodb":{"Keys":{"id":{"N":"1"}},"SequenceNumber":"333"}},
        {"eventName":"INSERT"}]}"#;

    #[test]
    fn a_batch_names_the_items_that_changed() {
        let event: StreamEvent = serde_json::from_str(BATCH).unwrap();
        let record = |id: &str, pk: &str, sk: &str| StreamRecord {
            item_identifier: id.to_owned(),
            pk: pk.to_owned(),
            sk: sk.to_owned(),
        };
        assert_eq!(event.records, [record("111", "RUN#h/run-a", "RUN"), record("222", "WS#h/o/a", "LOOK")]);
    }

    #[test]
    fn the_answer_names_the_records_that_failed() {
        let event: StreamEvent = serde_json::from_str(BATCH).unwrap();
        let response: BatchResponse = event.records[1..].iter().collect();
        assert!(!response.is_complete());
        let json = serde_json::to_string(&response).unwrap();
        assert_eq!(json, r#"{"batchItemFailures":[{"itemIdentifier":"222"}]}"#);
        let json = serde_json::to_string(&BatchResponse::default()).unwrap();
        assert_eq!(json, r#"{"batchItemFailures":[]}"#);
    }
}
