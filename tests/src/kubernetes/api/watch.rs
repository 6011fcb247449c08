//! Watches: changes as they come, one JSON object in each line.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::kubernetes::core::Core;

use super::call::Call;
use super::refusal::Refusal;
use super::resource::Resource;
use super::select::Selector;
use super::world::{Change, World};

/// How long a watch lasts whose client says nothing: the real one takes half an hour to an hour.
const LIFE: Duration = Duration::from_mins(30);

/// One watch.
struct Watch {
    core: Arc<Core>,
    changes: watch::Receiver<u64>,
    selector: Selector,
    resource: Resource,
    /// Lines that are to be sent first.
    ready: Vec<Value>,
    /// The place in the history from where on it has to look.
    next: usize,
    cuts: u64,
    /// How many bookmarks it was sent; nothing if it wants none.
    bookmarks: Option<u64>,
    ends_at: OffsetDateTime,
    ended: bool,
}

/// What a watch has to do next.
enum Step {
    Send(Vec<Value>),
    Cut,
    End(Vec<Value>),
    Wait(Duration),
}

/// The body that answers a watch.
pub(super) fn body(core: &Arc<Core>, call: &Call) -> Result<Body, Refusal> {
    let target = &call.target;
    let selector = Selector::parse(target, call.query("labelSelector"), call.query("fieldSelector"))?;
    let from = call.query("resourceVersion");
    let from: u64 = match from {
        "" => 0,
        text => text.parse().map_err(|_| Refusal::bad_request(format!("invalid resource version \"{text}\"")))?,
    };
    let life = call.query("timeoutSeconds").parse().map_or(LIFE, Duration::from_secs);
    let changes = core.changes();
    let watch = core.look(|world| Watch {
        core: Arc::clone(core),
        changes,
        resource: target.resource,
        ready: first(world, &selector, target.resource, from),
        next: world.history.partition_point(|change| change.revision <= from.max(world.starts(from))),
        selector,
        cuts: world.cuts,
        bookmarks: (call.query("allowWatchBookmarks") == "true").then_some(world.bookmarks),
        ends_at: world.clock.now() + life,
        ended: false,
    });
    let expired = watch.ready.first().is_some_and(|event| event["type"] == "ERROR");
    let watch = Watch { ended: expired, ..watch };
    Ok(Body::from_stream(stream::unfold(Some(watch), next)))
}

impl World {
    /// A watch from nowhere begins with what there is, and goes on with what comes.
    fn starts(&self, from: u64) -> u64 {
        if from == 0 { self.revision } else { 0 }
    }
}

/// What a watch is sent before anything changes.
fn first(world: &World, selector: &Selector, resource: Resource, from: u64) -> Vec<Value> {
    if from == 0 {
        let selected = world.all(resource).filter(|(key, object)| selector.selects(key.resource, object));
        return selected.map(|(_, object)| event("ADDED", object)).collect();
    }
    if from < world.compacted {
        return vec![event("ERROR", &Refusal::expired(from, world.compacted).status())];
    }
    Vec::new()
}

fn event(kind: &str, object: &Value) -> Value {
    json!({ "type": kind, "object": object })
}

async fn next(watch: Option<Watch>) -> Option<(io::Result<Bytes>, Option<Watch>)> {
    let mut watch = watch?;
    loop {
        if !watch.ready.is_empty() {
            let lines = lines(&std::mem::take(&mut watch.ready));
            return Some((Ok(lines), Some(watch)));
        }
        if watch.ended {
            return None;
        }
        watch.changes.borrow_and_update();
        let core = Arc::clone(&watch.core);
        match core.look(|world| watch.step(world)) {
            Step::Send(events) => watch.ready = events,
            Step::Cut => return Some((Err(io::ErrorKind::ConnectionReset.into()), None)),
            Step::End(events) => (watch.ready, watch.ended) = (events, true),
            Step::Wait(time) => {
                // Either is a reason to look again.
                let _ = tokio::time::timeout(time, watch.changes.changed()).await;
            }
        }
    }
}

fn lines(events: &[Value]) -> Bytes {
    let mut text = String::new();
    for event in events {
        text.push_str(&event.to_string());
        text.push('\n');
    }
    text.into()
}

impl Watch {
    fn step(&mut self, world: &World) -> Step {
        if world.cuts != self.cuts {
            return Step::Cut;
        }
        let news = world.history.get(self.next..).unwrap_or_default();
        self.next = world.history.len();
        let mut events: Vec<Value> = news.iter().filter_map(|change| self.told(change)).collect();
        let left = self.ends_at - world.clock.now();
        let over = !left.is_positive();
        let bookmarked = self.bookmarks.is_some_and(|count| over || count != world.bookmarks);
        if bookmarked {
            self.bookmarks = Some(world.bookmarks);
            events.push(self.bookmark(world.revision));
        }
        match (over, events.is_empty()) {
            (true, _) => Step::End(events),
            (false, false) => Step::Send(events),
            (false, true) => Step::Wait(left.try_into().unwrap_or_default()),
        }
    }

    /// What a change is to somebody who sees only what the selector selects.
    fn told(&self, change: &Change) -> Option<Value> {
        let selects = |object: &Value| self.selector.selects(change.resource, object);
        let before = change.before.as_ref().is_some_and(|object| selects(object));
        let after = !change.removed && selects(&change.object);
        let kind = match (before, after) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(event(kind, &change.object))
    }

    fn bookmark(&self, revision: u64) -> Value {
        let object = json!({
            "kind": self.resource.kind(),
            "apiVersion": self.resource.api_version(),
            "metadata": { "resourceVersion": revision.to_string(), "creationTimestamp": null },
        });
        event("BOOKMARK", &object)
    }
}
