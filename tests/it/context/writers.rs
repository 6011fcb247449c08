//! Many who write at the same time, in more than one process: what each was told is written is there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use sluice_aws::{Table, change_context};
use sluice_domain::context::Document;
use sluice_domain::ports::{ContextKey, ContextStore, Kept, StoreError};
use sluice_domain::{RunId, Standing, Timestamp, Workspace};
use sluice_lambda::now;
use tokio::task::JoinSet;

use super::scene::{Asker, Held, beside, url};

const WRITERS: usize = 8;
const KEYS: usize = 200;

/// How often one who replaced met another.
static CONFLICTS: AtomicUsize = AtomicUsize::new(0);

/// Writes all keys of all writers, half of them through another process.
async fn write_all<F: Future<Output = ()> + Send + 'static>(held: &Held, write: fn(Asker, usize, usize) -> F) {
    let other = beside(held.scene.hcp(), held.table()).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let asker = match writer % 2 {
            0 => held.check.clone(),
            _ => held.operator().at(url(&other, held.run.as_str())),
        };
        writers.spawn(async move {
            for key in 0..KEYS {
                write(asker.clone(), writer, key).await;
            }
        });
    }
    writers.join_all().await;
}

#[track_caller]
fn assert_all(document: &str) {
    let document: Map<String, Value> = serde_json::from_str(document).unwrap();
    assert_eq!(document.len(), WRITERS * KEYS);
    for (writer, key) in (0..WRITERS).flat_map(|writer| (0..KEYS).map(move |key| (writer, key))) {
        assert_eq!(document[&format!("{writer}-{key}")], json!(key));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_who_patch_lose_nothing() {
    let held = Held::new().await;
    write_all(&held, |asker, writer, key| async move {
        let answer = asker.patch(format!(r#"{{"{writer}-{key}":{key}}}"#)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    })
    .await;
    assert_all(&held.check.get().await.document());
    assert_eq!(held.kept().await.version, (WRITERS * KEYS) as u64, "each is one write");
    held.scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_who_read_and_replace_what_they_read_lose_nothing() {
    let held = Held::new().await;
    write_all(&held, |asker, writer, key| async move {
        for attempt in 0.. {
            let read = asker.get().await;
            // As text: of all that this test does, reading the document would take longest.
            let tag = read.tag();
            let others = read.document().strip_prefix('{').unwrap().to_owned();
            let comma = if others == "}" { "" } else { "," };
            let document = format!(r#"{{"{writer}-{key}":{key}{comma}{others}"#);
            let answer = asker.send(Method::POST, &[("if-match", &tag)], document).await;
            if answer.status != StatusCode::PRECONDITION_FAILED {
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                break;
            }
            answer.refused(412);
            CONFLICTS.fetch_add(1, Ordering::Relaxed);
            // As anybody would who does not want to meet the same others again, longer each time.
            let wait = (attempt * 37 + writer * 101 + key * 13) % (80 << attempt.min(3));
            tokio::time::sleep(Duration::from_millis(wait as u64)).await;
        }
    })
    .await;
    assert_all(&held.check.get().await.document());
    assert_eq!(held.kept().await.version, (WRITERS * KEYS) as u64);
    let conflicts = CONFLICTS.load(Ordering::Relaxed);
    println!("{conflicts} conflicts");
    assert!(conflicts > KEYS, "they hardly met: {conflicts} conflicts");
    held.scene.end().await;
}

#[tokio::test]
async fn large_documents_of_many_at_once_never_mix() {
    let held = Held::new().await;
    let document = |writer: usize| {
        let letter = char::from(b'a' + u8::try_from(writer).unwrap());
        format!(r#"{{"{letter}":"{}"}}"#, letter.to_string().repeat(700_000 + writer))
    };
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (asker, body) = (held.check.clone(), document(writer));
        writers.spawn(async move {
            for _ in 0..3 {
                assert_eq!(asker.post(body.clone()).await.document(), body);
            }
        });
    }
    let all: Vec<String> = (0..4).map(document).collect();
    while !writers.is_empty() {
        let read = held.check.get().await.document();
        assert!(read == "{}" || all.contains(&read), "{} bytes of nobody's", read.len());
        if let Some(ended) = writers.try_join_next() {
            ended.unwrap();
        }
    }
    assert_eq!(held.kept().await.version, 12);
    held.scene.end().await;
}

/// A table in which somebody else always comes first.
struct Crowded(Table);

impl ContextStore for Crowded {
    async fn context_workspaces(&self, run: &RunId) -> Result<Vec<Workspace>, StoreError> {
        self.0.context_workspaces(run).await
    }

    async fn context_standing(&self, of: &ContextKey) -> Result<Option<Standing>, StoreError> {
        self.0.context_standing(of).await
    }

    async fn context(&self, of: &ContextKey) -> Result<Kept, StoreError> {
        self.0.context(of).await
    }

    async fn context_version(&self, of: &ContextKey) -> Result<u64, StoreError> {
        self.0.context_version(of).await
    }

    async fn put_context(
        &self,
        of: &ContextKey,
        document: &Document,
        version: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.0.put_context(of, &Document::empty(), version, now).await?;
        self.0.put_context(of, document, version, now).await
    }
}

#[tokio::test]
async fn whoever_is_always_too_late_is_told_so_in_the_end() {
    let held = Held::new().await;
    let crowded = Crowded(held.table().clone());
    let mut tried = 0;
    let change = |_: &Kept| {
        tried += 1;
        Ok::<_, StoreError>(Document::parse(br#"{"a":1}"#).unwrap())
    };
    let changed = change_context(&crowded, &held.of(), Duration::from_millis(300), now(), change).await;
    assert!(matches!(changed, Err(StoreError::Conflict)), "{changed:?}");
    assert!(tried > 2, "{tried}");
    assert_eq!(held.kept().await.document.as_str(), "{}");
    held.scene.end().await;
}
