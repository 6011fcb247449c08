//! What the checks of a run leave for each other: one JSON object, shared by all of its stages.

mod document;
mod merge;

pub use document::{CONTEXT_BYTES_MAX, DEPTH_MAX, Document, DocumentError};
