use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

async fn resolved(allowed: &str, name: &str, look_up: fn(&str) -> io::Result<Vec<SocketAddr>>) -> String {
    let guarded = Guarded { allowed: Arc::new(allowed.parse().unwrap()), look_up };
    match guarded.resolve(name.parse().unwrap()).await {
        Ok(found) => found.map(|address| address.ip().to_string()).collect::<Vec<_>>().join(" "),
        Err(error) if error.is::<NotPublic>() => "not public".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
}

#[tokio::test]
async fn a_name_leads_to_its_public_addresses_only() {
    for (allowed, name, expect) in [
        ("", "mixed.example", "1.1.1.1 2600::1"),
        ("10.0.0.0/8", "mixed.example", "10.0.0.1 1.1.1.1 2600::1"),
        ("mixed.example", "mixed.example", "10.0.0.1 1.1.1.1 ::1 2600::1"),
        ("*.example,169.254.0.0/16", "mixed.example", "10.0.0.1 1.1.1.1 ::1 2600::1 169.254.169.254"),
        ("", "inside.example", "not public"),
        ("10.0.0.0/9", "inside.example", "not public"),
        ("other.example", "inside.example", "not public"),
        ("INSIDE.example.", "inside.example", "10.128.0.1"),
        ("", "none.example", "not public"),
        ("*.example", "none.example", "not public"),
        ("", "unknown.example", "error: no such name"),
    ] {
        let found = resolved(allowed, name, |name| match name {
            "mixed.example" => Ok(addresses(&["10.0.0.1", "1.1.1.1", "::1", "2600::1", "169.254.169.254"])),
            "inside.example" => Ok(addresses(&["10.128.0.1"])),
            "none.example" => Ok(addresses(&[])),
            _ => Err(io::Error::other("no such name")),
        });
        assert_eq!(found.await, expect, "{name} with {allowed:?}");
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_looked_at_each_time() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let look_up: fn(&str) -> io::Result<Vec<SocketAddr>> = |_| {
        let first = ASKED.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(addresses(if first { &["1.1.1.1"] } else { &["169.254.169.254"] }))
    };
    assert_eq!(resolved("", "rebound.example", look_up).await, "1.1.1.1");
    assert_eq!(resolved("", "rebound.example", look_up).await, "not public");
    assert_eq!(ASKED.load(Ordering::SeqCst), 2, "each answer is looked at and handed on, not asked for again");
}

#[tokio::test]
async fn the_systems_resolver_is_what_is_guarded() {
    for (allowed, expect) in [("", true), ("localhost", false), ("127.0.0.0/8,::1", false)] {
        let guarded = Guarded::new(Arc::new(allowed.parse().unwrap()));
        assert_eq!(guarded.resolve("localhost".parse().unwrap()).await.is_err(), expect, "{allowed:?}");
    }
}
