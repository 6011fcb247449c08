use super::*;

const BATCH: &str = r#"{"Records":[
    {"eventID":"1","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-central-1",
     "dynamodb":{"ApproximateCreationDateTime":1795168980,"Keys":{"pk":{"S":"RUN#h/run-a"},"sk":{"S":"RUN"}},
                 "NewImage":{"due_at":{"N":"1"},"bell":{"S":"index"}},"SequenceNumber":"111","SizeBytes":26,"StreamViewType":"NEW_IMAGE"},
     "eventSourceARN":"arn:aws:dynamodb:eu-central-1:123456789012:table/sluice/stream/2026-11-20T00:00:00.000"},
    {"eventName":"MODIFY","dynamodb":{"Keys":{"pk":{"S":"WS#h/o/a"},"sk":{"S":"LOOK"}},"SequenceNumber":"222"}},
    {"eventName":"INSERT","dynamodb":{"Keys":{"id":{"N":"1"}},"SequenceNumber":"333"}},
    {"eventName":"INSERT"}]}"#;

#[test]
fn a_batch_names_the_items_that_changed() {
    let event: StreamEvent = serde_json::from_str(BATCH).unwrap();
    let record = |id: &str, pk: &str, sk: &str, rings| StreamRecord {
        item_identifier: id.to_owned(),
        pk: pk.to_owned(),
        sk: sk.to_owned(),
        rings,
    };
    let rung = Rung { queue: "index".to_owned(), due_at: Timestamp(1) };
    let expect = [record("111", "RUN#h/run-a", "RUN", Some(rung)), record("222", "WS#h/o/a", "LOOK", None)];
    assert_eq!(event.records, expect);
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

#[derive(Debug, thiserror::Error)]
#[error("it rained")]
struct Rain;

impl Classify for Rain {
    fn fault(&self) -> Fault {
        Fault::TRANSIENT
    }
}

/// What becomes of works that are told by their sort keys, in order of the keys; numbers are sequence numbers.
async fn failures(works: &[&str]) -> (String, usize) {
    failures_until(works, None).await
}

async fn failures_until(works: &[&str], deadline: Option<Timestamp>) -> (String, usize) {
    let records = works.iter().enumerate().map(|(number, sk)| StreamRecord {
        item_identifier: number.to_string(),
        pk: "p".to_owned(),
        sk: (*sk).to_owned(),
        rings: None,
    });
    let event = StreamEvent { records: records.collect(), deadline };
    let done = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let response = each(&event, |record| {
        let (sk, done) = (record.sk.clone(), done.clone());
        (sk != "another's").then_some(async move {
            assert_ne!(sk, "panics");
            tokio::task::yield_now().await;
            if sk.starts_with("slow") {
                tokio::time::sleep(std::time::Duration::from_millis(600)).await;
            }
            if sk == "fails" {
                return Err(Rain);
            }
            done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        })
    });
    let response = response.await;
    let mut failed: Vec<_> = response.batch_item_failures.iter().map(|item| item.item_identifier.as_str()).collect();
    failed.sort_unstable();
    (failed.join(" "), done.load(std::sync::atomic::Ordering::Relaxed))
}

#[tokio::test]
async fn what_fails_or_panics_comes_again_and_its_batch_mates_are_done() {
    assert_eq!(failures(&[]).await, (String::new(), 0));
    assert_eq!(failures(&["a", "fails", "b", "panics", "c"]).await, ("1 3".to_owned(), 3));
    assert_eq!(failures(&["another's", "another's"]).await, (String::new(), 0));
}

#[tokio::test]
async fn an_item_that_rings_twice_is_served_once() {
    assert_eq!(failures(&["a", "a", "fails", "fails", "a"]).await, ("2".to_owned(), 1));
}

#[tokio::test]
async fn a_batch_may_be_longer_than_what_is_under_way_at_once() {
    let works: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let works: Vec<&str> = works.iter().map(String::as_str).collect();
    assert_eq!(failures(&works).await, (String::new(), 100));
}

#[tokio::test]
async fn what_would_begin_too_late_is_left_for_the_next_sweep() {
    let works: Vec<String> = (0..=WORKS_AT_ONCE).map(|number| format!("slow {number}")).collect();
    let works: Vec<&str> = works.iter().map(String::as_str).collect();
    assert_eq!(failures_until(&works, Some(now().plus_ms(1_000))).await, (String::new(), WORKS_AT_ONCE));
    assert_eq!(failures_until(&works, Some(now().plus_ms(120_000))).await, (String::new(), WORKS_AT_ONCE + 1));
}
