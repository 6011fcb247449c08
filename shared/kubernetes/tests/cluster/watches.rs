//! Watching: in slices, and whatever becomes of the way on which news comes.

use std::time::Duration;

use sluice_domain::ports::{JobExit, Standing};
use sluice_tests::kubernetes::{Fault, Mishap};

use super::{LONG, Scene, until};

/// A program that ends when a file is there.
fn waits(file: &std::path::Path) -> String {
    format!("while [ ! -e {} ]; do sleep 0.02; done; exit 4", file.display())
}

#[tokio::test]
async fn a_slice_ends_with_what_the_job_is_at() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go");
    let scene = Scene::new().await;
    let _kubelet = scene.kubelet(&waits(&file)).await;
    scene.start().await.unwrap();
    scene.at("runs since").await;
    for slice in [Duration::ZERO, Duration::from_millis(100)] {
        let Standing::UnderWay { message } = scene.watch(slice).await else { panic!("it is under way") };
        assert!(message.starts_with("runs since 20"), "{message}");
    }
    std::fs::write(&file, "").unwrap();
    assert_eq!(scene.end().await.how, JobExit::Code(4));
}

#[tokio::test]
async fn a_job_that_is_not_there_is_gone() {
    let scene = Scene::new().await;
    assert_eq!(scene.watch(LONG).await, Standing::Gone);
}

#[tokio::test]
async fn a_watch_outlives_what_becomes_of_its_connections() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go");
    let scene = Scene::new().await;
    let kubelet = scene.kubelet(&waits(&file)).await;
    scene.start().await.unwrap();
    scene.at("runs since").await;
    let lists = scene.cluster.count("list", "pods");
    let watches = || scene.cluster.count("watch", "pods");
    let begun = watches();
    let trouble = async {
        until(async || (watches() > begun).then_some(())).await;
        scene.cluster.bookmark();
        scene.cluster.cut_watches();
        until(async || (watches() > begun + 1).then_some(())).await;
        // From here on no version of before is known.
        scene.cluster.compact();
        scene.cluster.cut_watches();
        until(async || (scene.cluster.count("list", "pods") > lists + 1).then_some(())).await;
        std::fs::write(&file, "").unwrap();
    };
    let (standing, ()) = tokio::join!(tokio::time::timeout(LONG, scene.watch(LONG)), trouble);
    let Standing::Ended(end) = standing.unwrap() else { panic!("it ends in this slice") };
    assert_eq!(end.how, JobExit::Code(4));
    // One at the beginning, one as the past was forgotten, one at the end: a connection that is cut costs none.
    assert_eq!(scene.cluster.count("list", "pods") - lists, 3);
    assert_eq!(kubelet.starts(super::IMAGE), 1);
}

#[tokio::test]
async fn connections_that_end_at_once_are_not_taken_again_and_again() {
    let scene = Scene::new().await;
    let _kubelet = scene.kubelet("sleep 60").await;
    scene.start().await.unwrap();
    scene.at("runs since").await;
    let before = scene.cluster.requests().len();
    let cutting = async {
        for _ in 0..100 {
            scene.cluster.cut_watches();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::join!(scene.watch(Duration::from_secs(1)), cutting);
    let asked = scene.cluster.requests().len() - before;
    assert!(asked < 30, "{asked} requests in a second");
}

#[tokio::test]
async fn a_watcher_that_dies_anywhere_has_a_successor_that_sees_the_same_end() {
    for what in [Mishap::CutAfterEffect, Mishap::Unavailable] {
        for skip in 0.. {
            let scene = Scene::new().await;
            let kubelet = scene.kubelet("echo out; exit 4").await;
            scene.start().await.unwrap();
            scene.cluster.fault(Fault::next("*", "*", what).skip(skip));
            let watched = scene.watched().await;
            if !scene.cluster.faults_left().is_empty() {
                assert!(skip > 4, "a watch asks for more than that");
                break;
            }
            let end = scene.end().await;
            assert_eq!(
                (end.how, end.output.text.as_str()),
                (JobExit::Code(4), "out\n"),
                "{what:?} after {skip}: {watched}"
            );
            assert_eq!(kubelet.starts(super::IMAGE), 1);
        }
    }
}

impl Scene {
    /// Watches until something comes of it, whatever it is.
    async fn watched(&self) -> String {
        use sluice_domain::ports::Cluster as _;
        let place = self.place();
        let watch = self.kubernetes.watch(&place, super::PATIENCE, LONG);
        match tokio::time::timeout(LONG, watch).await.unwrap() {
            Ok(standing) => format!("{standing:?}"),
            Err(error) => error.to_string(),
        }
    }
}
