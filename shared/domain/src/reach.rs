//! How far reads go: a workspace's ancestors, which every decision needs, and its descendants, which a preview needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::errors::StoreError;
use crate::fault::{Classify, Fault};
use crate::names::Workspace;
use crate::ports::{FactStore, Known};

/// Most workspaces of which the facts are read for one decision: more would not fit a function's memory.
pub const READ_MAX: usize = 50_000;

/// What is needed cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The table did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are more than a function can hold.
    #[error("{0} workspaces and more would have to be read to decide, which is too many to hold")]
    TooMany(usize),
}

impl Classify for ReachError {
    fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::TooMany(_) => Fault::Permanent,
        }
    }
}

/// What is known of `targets`, and the facts of all their ancestors, read level by level.
pub async fn with_ancestors(
    store: &impl FactStore,
    targets: &BTreeSet<Workspace>,
) -> Result<BTreeMap<Workspace, Known>, ReachError> {
    let mut known: BTreeMap<Workspace, Known> = BTreeMap::new();
    let mut asked = targets.clone();
    let mut read = store.known(targets).await?;
    while !read.is_empty() {
        let above: BTreeSet<Workspace> = read
            .values()
            .flat_map(|known| known.facts.producers.iter().filter(|(_, edge)| edge.live()).map(|(name, _)| name))
            .filter(|name| asked.insert((*name).clone()))
            .cloned()
            .collect();
        known.extend(read.into_iter().filter(|(_, known)| known.version > 0));
        if known.len() > READ_MAX {
            return Err(ReachError::TooMany(known.len()));
        }
        read = store.facts(&above).await?;
    }
    Ok(known)
}

/// `root` and everything that reads it, directly or by way of others.
pub async fn with_descendants(store: &impl FactStore, root: &Workspace) -> Result<BTreeSet<Workspace>, ReachError> {
    let mut reached = BTreeSet::from([root.clone()]);
    let mut ask = vec![root.clone()];
    while let Some(workspace) = ask.pop() {
        let around = store.around(&workspace).await?;
        ask.extend(around.consumers.into_iter().filter(|consumer| reached.insert(consumer.clone())));
        if reached.len() > READ_MAX {
            return Err(ReachError::TooMany(reached.len()));
        }
    }
    Ok(reached)
}
