//! notification-receiver on the table, from a signed body to the work that is due.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use http::{Request, StatusCode};
use secrecy::SecretString;
use sluice_aws::Table;
use sluice_domain::ports::{Bell, Worklist};
use sluice_domain::{Queue, Standing, Task, Timestamp};
use sluice_hcp::signature::{Keys, NOTIFICATION_HEADER, sign};
use sluice_local::store::Embedded;
use sluice_notification_receiver::{Receiver, handle};

const NOW: Timestamp = Timestamp(1_795_168_990_000);
const LEASE_MS: u64 = 60_000;

struct World {
    receiver: Receiver<Table>,
    store: Embedded,
}

impl World {
    async fn new() -> Self {
        let store = Embedded::open(None).await.unwrap();
        let keys = Keys::new([&SecretString::from("demo-token")]);
        Self { receiver: Receiver::new(store.table.clone(), keys, "app.terraform.io".parse().unwrap()), store }
    }

    async fn deliver(&self, event: &str, token: &str) -> StatusCode {
        let path = format!("{}/../events/notification/{event}.json", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read(path).unwrap();
        let signature = sign(&SecretString::from(token), &body);
        let request = Request::post("/notifications").header(NOTIFICATION_HEADER, signature);
        handle(&self.receiver, request.body(Bytes::from(body)).unwrap(), NOW).await.status()
    }

    /// Where the run stands whose news is due, if any is.
    async fn due(&self) -> Option<Standing> {
        let due = self.store.table.due(Queue::Index, NOW, 10).await.unwrap();
        assert!(due.len() <= 1, "{due:?}");
        let claimed = self.store.table.claim(due.first()?, NOW, LEASE_MS).await.unwrap()?;
        match claimed.task {
            Task::Run(report) => Some(report.standing),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn news_of_a_run_is_due_once_however_often_it_comes() {
    let world = World::new().await;
    for _ in 0..3 {
        assert_eq!(world.deliver("run-applied", "demo-token").await, StatusCode::ACCEPTED);
    }
    assert_eq!(world.due().await, Some(Standing::Applied));
    assert_eq!(world.deliver("run-applied", "demo-token").await, StatusCode::ACCEPTED);
    assert_eq!(world.due().await, None);
}

#[tokio::test]
async fn news_that_comes_out_of_order_does_not_undo_later_news() {
    let world = World::new().await;
    for event in ["run-planning", "run-applied", "run-created", "run-applying", "run-needs-attention"] {
        assert!(world.deliver(event, "demo-token").await.is_success());
    }
    assert_eq!(world.due().await, Some(Standing::Applied));
}

#[tokio::test]
async fn what_is_refused_or_ignored_leaves_nothing_behind() {
    let world = World::new().await;
    assert_eq!(world.deliver("run-applied", "another-token").await, StatusCode::UNAUTHORIZED);
    for event in ["verification", "assessment-drifted", "change-request", "unknown-trigger"] {
        assert_eq!(world.deliver(event, "demo-token").await, StatusCode::OK);
    }
    assert_eq!(world.due().await, None);
}

#[tokio::test]
async fn without_its_table_the_receiver_accepts_nothing() {
    let world = World::new().await;
    let receiver = |table| Receiver::new(table, Keys::new([]).allow_unsigned(), "app.terraform.io".parse().unwrap());
    let body = include_bytes!("../../events/notification/run-applied.json");
    let request = || Request::post("/").body(Bytes::from_static(body)).unwrap();
    let vars = crate::lambda::aws(&world.store.endpoint);
    let absent = receiver(Table::connect(&vars, "no-such-table").unwrap());
    assert_eq!(handle(&absent, request(), NOW).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}
