//! Watches: what they begin with, what they tell, how they end.

use futures_util::{Stream, StreamExt, TryStreamExt};
use kube::api::{WatchEvent, WatchParams};

use super::*;

type Event = kube::Result<WatchEvent<Secret>>;

/// An event in a few words.
fn said(event: &Event) -> String {
    let name = |secret: &Secret| secret.metadata.name.clone().unwrap_or_default();
    match event {
        Ok(WatchEvent::Added(secret)) => format!("added {}", name(secret)),
        Ok(WatchEvent::Modified(secret)) => format!("modified {}", name(secret)),
        Ok(WatchEvent::Deleted(secret)) => format!("deleted {}", name(secret)),
        Ok(WatchEvent::Bookmark(_)) => "bookmark".to_owned(),
        Ok(WatchEvent::Error(status)) => format!("error {} {}", status.code, status.reason),
        Err(_) => "cut".to_owned(),
    }
}

async fn next(events: &mut (impl Stream<Item = Event> + Unpin)) -> String {
    let next = tokio::time::timeout(PATIENCE, events.next()).await.expect("the watch says something");
    next.map_or_else(|| "end".to_owned(), |event| said(&event))
}

async fn create(scene: &Scene, name: &str, labels: Value) -> Secret {
    let secret = json!({ "metadata": { "name": name, "labels": labels } });
    scene.secrets().create(&PostParams::default(), &of(secret)).await.unwrap()
}

async fn label(scene: &Scene, name: &str, value: &str) {
    let patch = merge(json!({ "metadata": { "labels": { "tier": value } } }));
    scene.secrets().patch(name, &PatchParams::default(), &patch).await.unwrap();
}

async fn version(scene: &Scene) -> String {
    scene.secrets().list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap()
}

#[tokio::test]
async fn a_watch_goes_on_from_a_list() {
    for scene in scenes().await {
        create(&scene, "before", json!({})).await;
        let from = version(&scene).await;
        let mut events = scene.secrets().watch(&WatchParams::default(), &from).await.unwrap().boxed();
        create(&scene, "after", json!({})).await;
        assert_eq!(next(&mut events).await, "added after");
        label(&scene, "before", "a").await;
        assert_eq!(next(&mut events).await, "modified before");
        scene.secrets().delete("after", &DeleteParams::default()).await.unwrap();
        assert_eq!(next(&mut events).await, "deleted after");
        // From the same version again, it says the same again.
        let again = scene.secrets().watch(&WatchParams::default(), &from).await.unwrap();
        let again: Vec<_> = again.take(3).map(|event| said(&event)).collect().await;
        assert_eq!(again, ["added after", "modified before", "deleted after"]);
    }
}

#[tokio::test]
async fn a_watch_from_nowhere_begins_with_what_there_is() {
    for scene in scenes().await {
        create(&scene, "one", json!({})).await;
        let mut events = scene.secrets().watch(&WatchParams::default(), "0").await.unwrap().boxed();
        assert_eq!(next(&mut events).await, "added one");
        create(&scene, "two", json!({})).await;
        assert_eq!(next(&mut events).await, "added two");
    }
}

#[tokio::test]
async fn what_comes_into_sight_is_added_and_what_leaves_it_is_deleted() {
    for scene in scenes().await {
        create(&scene, "s", json!({ "tier": "a" })).await;
        let from = version(&scene).await;
        let params = WatchParams::default().labels("tier=b");
        let mut events = scene.secrets().watch(&params, &from).await.unwrap().boxed();
        for tier in ["b", "c", "b"] {
            label(&scene, "s", tier).await;
        }
        scene.secrets().delete("s", &DeleteParams::default()).await.unwrap();
        for expected in ["added s", "deleted s", "added s", "deleted s"] {
            assert_eq!(next(&mut events).await, expected);
        }
    }
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over() {
    for scene in scenes().await {
        let from = version(&scene).await;
        let events = scene.secrets().watch(&WatchParams::default().timeout(1), &from).await.unwrap();
        let rest = events.try_filter(|event| std::future::ready(!matches!(event, WatchEvent::Bookmark(_))));
        let rest: Vec<_> = tokio::time::timeout(PATIENCE, rest.collect::<Vec<Event>>()).await.unwrap();
        assert!(rest.is_empty(), "{:?}", rest.iter().map(said).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_clock_ends_a_watch_and_a_bookmark_says_how_far_it_came() {
    let scene = Scene::double().await;
    let from = version(&scene).await;
    let mut events = scene.secrets().watch(&WatchParams::default(), &from).await.unwrap().boxed();
    create(&scene, "one", json!({})).await;
    assert_eq!(next(&mut events).await, "added one");
    scene.cluster.bookmark();
    let Some(Ok(WatchEvent::Bookmark(bookmark))) = events.next().await else { panic!("no bookmark came") };
    assert_eq!(bookmark.metadata.resource_version, version(&scene).await);
    scene.cluster.advance(Duration::from_mins(5));
    assert_eq!(next(&mut events).await, "bookmark");
    assert_eq!(next(&mut events).await, "end");
}

#[tokio::test]
async fn a_version_that_is_forgotten_is_gone() {
    let scene = Scene::double().await;
    create(&scene, "one", json!({})).await;
    let from = version(&scene).await;
    scene.cluster.compact();
    let mut events = scene.secrets().watch(&WatchParams::default(), &from).await.unwrap().boxed();
    assert_eq!(next(&mut events).await, "error 410 Expired");
    assert_eq!(next(&mut events).await, "end");
    let from = version(&scene).await;
    let mut events = scene.secrets().watch(&WatchParams::default(), &from).await.unwrap().boxed();
    create(&scene, "two", json!({})).await;
    assert_eq!(next(&mut events).await, "added two");
}

#[tokio::test]
async fn watches_can_be_cut() {
    let scene = Scene::double().await;
    let from = version(&scene).await;
    let mut events = scene.secrets().watch(&WatchParams::default(), &from).await.unwrap().boxed();
    scene.cluster.cut_watches();
    assert!(["cut", "end"].contains(&next(&mut events).await.as_str()));
}
