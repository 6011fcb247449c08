//! What is watched arrives as lines, each a piece of news.

use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::core::WatchEvent;
use serde::de::DeserializeOwned;

/// Longest line, in bytes: a little more than the largest object.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// News of what is watched.
pub(crate) enum News<K> {
    /// It is as this now.
    Now(K),
    /// It is no more.
    Never(K),
    /// Nothing is new up to this version.
    Version(String),
    /// Nothing more comes on this way.
    Ended,
    /// It has to be listed again.
    Expired,
}

/// The news on one connection.
pub(crate) struct Lines {
    body: Body,
    held: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, held: Vec::new() }
    }

    /// What is next. Whoever drops this before it is there loses nothing.
    pub(crate) async fn next<K: DeserializeOwned>(&mut self) -> News<K> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return read(&line);
            }
            if self.held.len() > LINE_BYTES_MAX {
                return News::Expired;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.held.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(_)) | None => return News::Ended,
            }
        }
    }
}

fn read<K: DeserializeOwned>(line: &[u8]) -> News<K> {
    match serde_json::from_slice(line) {
        Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => News::Now(object),
        Ok(WatchEvent::Deleted(object)) => News::Never(object),
        Ok(WatchEvent::Bookmark(bookmark)) => News::Version(bookmark.metadata.resource_version),
        // Too old a version, or whatever else is wrong: a new list tells.
        Ok(WatchEvent::Error(_)) | Err(_) => News::Expired,
    }
}
