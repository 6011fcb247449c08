//! Documents of every size the table has to hold, in one item or in many.

use sluice_domain::context::{CONTEXT_BYTES_MAX, Document};
use sluice_domain::ports::{ContextStore, StoreError};
use sluice_lambda::now;

use super::scene::{Held, items};

/// A document of exactly so many bytes, with characters of several bytes all over it.
fn document(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes);
    text.push_str("{\"ü\": \"");
    while text.len() + 20 < bytes {
        text.push_str("€ü\\\"x1");
    }
    text.push_str(&"x".repeat(bytes - 2 - text.len()));
    text.push_str("\"}");
    assert_eq!(text.len(), bytes);
    text
}

#[tokio::test]
async fn a_document_of_any_size_comes_back_byte_for_byte_and_leaves_nothing_of_the_one_before() {
    let held = Held::new().await;
    // From large to small and back, each takes the place of the one before.
    let sizes =
        [10_000, 300_000, 300_001, 399_000, 410_000, 1 << 20, CONTEXT_BYTES_MAX, 2 << 20, 30, CONTEXT_BYTES_MAX];
    for (version, bytes) in (1..).zip(sizes) {
        let sent = document(bytes);
        let posted = held.check.post(sent.clone()).await;
        assert_eq!(posted.tag(), format!("\"{version}\""), "{bytes}");
        assert!(posted.document() == sent, "{bytes} bytes come back otherwise");
        assert!(held.check.get().await.document() == sent, "{bytes} bytes are kept otherwise");
        let parts = if bytes > 300_000 { bytes.div_ceil(350_000) } else { 0 };
        let items = items(&held.scene.world).await;
        let kinds = |kind: &str| items.iter().filter(|(_, sk, _)| sk.starts_with(kind)).collect::<Vec<_>>();
        assert_eq!((kinds("WORKSPACE#").len(), kinds("HEAD").len()), (1, 1), "{items:?}");
        assert!((parts..=parts + 1).contains(&kinds("PART#").len()), "{bytes}: {items:?}");
        assert_eq!(items.len(), 2 + kinds("PART#").len());
        // Parts outlive the head that names them, and nothing lives for ever.
        let until = kinds("HEAD")[0].2;
        let days = |expires: u64| (expires - now().seconds()) / 86_400;
        assert!(kinds("PART#").iter().all(|(_, _, expires)| *expires > until && days(*expires) < 150), "{items:?}");
        assert!((88..=90).contains(&days(until)) && (88..=90).contains(&days(kinds("WORKSPACE#")[0].2)), "{items:?}");
    }
    let merged = held.check.patch(r#"{"ü":null,"a":1}"#).await;
    assert_eq!(merged.document(), r#"{"a":1}"#);
    held.scene.end().await;
}

#[tokio::test]
async fn a_write_that_comes_too_late_leaves_no_parts() {
    let held = Held::new().await;
    let large = Document::parse(document(1 << 20).as_bytes()).unwrap();
    held.table().put_context(&held.of(), &large, 0, now()).await.unwrap();
    let before = items(&held.scene.world).await;
    for version in [0, 2, 7] {
        let late = held.table().put_context(&held.of(), &large, version, now()).await;
        assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
    }
    assert_eq!(items(&held.scene.world).await, before);
    assert_eq!(held.kept().await.document, large);
    held.scene.end().await;
}
