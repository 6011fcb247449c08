//! Who still reads the outputs that a plan deletes.

use std::collections::{BTreeMap, BTreeSet};

use crate::gate::execution::{CheckVerdict, Ended};
use crate::gate::outcome::{Level, Outcome, Tag};
use crate::names::Workspace;
use crate::ports::{FactStore, StoreError};
use crate::time::Timestamp;

/// The workspaces that read outputs of `workspace` which are among `deleted`, and which of them.
pub async fn readers(
    store: &impl FactStore,
    workspace: &Workspace,
    deleted: &BTreeSet<String>,
) -> Result<BTreeMap<Workspace, Vec<String>>, StoreError> {
    if deleted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let consumers = store.around(workspace).await?.consumers;
    let known = store.facts(&consumers).await?;
    let readers = known.into_iter().filter_map(|(consumer, known)| {
        let edge = known.facts.producers.get(workspace).filter(|edge| edge.live())?;
        let read: Vec<String> = deleted.iter().filter(|output| edge.uses(output)).cloned().collect();
        (!read.is_empty()).then_some((consumer, read))
    });
    Ok(readers.collect())
}

/// What that means for the run.
#[must_use]
pub fn judge(deleted: &BTreeSet<String>, readers: &BTreeMap<Workspace, Vec<String>>, now: Timestamp) -> Ended {
    if deleted.is_empty() {
        return Ended::new(now, CheckVerdict::Passed, "no output is deleted");
    }
    if readers.is_empty() {
        return Ended::new(now, CheckVerdict::Passed, "nobody is known to read the outputs that are deleted");
    }
    let outcomes = readers.iter().map(|(consumer, outputs)| Outcome {
        id: consumer.name.clone(),
        description: format!("{} reads {}, which this plan deletes", consumer.short(), outputs.join(", ")),
        tags: vec![Tag::new("Status", "Still read", Level::Error)],
        body: Some("Its next run will fail, unless it stops reading them first.".to_owned()),
        url: None,
    });
    let many = if readers.len() == 1 {
        "1 workspace still reads".to_owned()
    } else {
        format!("{} workspaces still read", readers.len())
    };
    Ended::new(now, CheckVerdict::Failed, format!("{many} outputs that this plan deletes")).with(outcomes.collect())
}
