//! A workspace that is gone is removed, with its edges.

use sluice_domain::ports::{FactStore, Inbox, Known, States, Tallies, WRITES_MAX, Write};
use sluice_domain::{Timestamp, Workspace, WorkspaceId};
use sluice_lambda::work::Next;
use tracing::info;

use crate::{IndexError, Indexer, retrying};

impl<S: FactStore + Inbox + Tallies, T: States> Indexer<S, T> {
    /// Finds out whether a workspace is still there, and removes it if not.
    pub(crate) async fn verify(&self, workspace: &Workspace, now: Timestamp) -> Result<Next, IndexError> {
        let Known { facts, .. } = self.store.known_one(workspace).await?;
        match &facts.id {
            Some(id) if self.is_gone(workspace, id).await? => self.forget(workspace, now).await,
            _ => Ok(Next::Done),
        }
    }

    /// Whether there is no such workspace any more, or it has another name now: configurations refer to names.
    pub(crate) async fn is_gone(&self, workspace: &Workspace, id: &WorkspaceId) -> Result<bool, IndexError> {
        let found = self.terraform.workspace(id).await?;
        Ok(found.is_none_or(|found| found.name != workspace.name))
    }

    /// Removes everything known of a workspace. Whoever waited for it, or read it, is looked at again.
    pub(crate) async fn forget(&self, workspace: &Workspace, now: Timestamp) -> Result<Next, IndexError> {
        let around = self.store.around(workspace).await?;
        for consumer in around.consumers.iter().filter(|consumer| *consumer != workspace) {
            retrying!(self.cut(workspace, consumer, now).await)?;
        }
        let Known { facts, version, .. } = around.known;
        let mut writes = Vec::new();
        for producer in facts.producers.keys() {
            writes.push(Write::NoConsumer { producer: producer.clone(), consumer: workspace.clone() });
        }
        for waiter in around.waiters {
            // Readers have been told already, and one commit may not name an item twice.
            if waiter != *workspace && !around.consumers.contains(&waiter) {
                writes.push(Write::Look { workspace: waiter.clone(), at: now });
            }
            writes.push(Write::NoWaiter { holder: workspace.clone(), waiter });
        }
        for part in writes.chunks(WRITES_MAX - 1) {
            // It may be back, and have been heard of, by now.
            let unchanged = Write::Unchanged { workspace: workspace.clone(), version };
            self.store.commit(&[part, &[unchanged]].concat()).await?;
        }
        if version > 0 {
            self.store.commit(&[Write::Forget { workspace: workspace.clone(), version }]).await?;
        }
        info!("removed {workspace}: it is gone, or has another name now");
        Ok(Next::Done)
    }

    /// The edges of a workspace that is gone become tombstones. That `consumer` read it stays on record, as the name may
    /// be taken anew, or have been out of sight only.
    async fn cut(&self, producer: &Workspace, consumer: &Workspace, now: Timestamp) -> Result<(), IndexError> {
        let Known { mut facts, version, .. } = self.store.known_one(consumer).await?;
        let Some(edge) = facts.producers.get_mut(producer).filter(|edge| edge.live()) else { return Ok(()) };
        edge.gone_at = Some(now);
        let facts = Write::Facts { workspace: consumer.clone(), facts: Box::new(facts), version };
        Ok(self.store.commit(&[facts, Write::Look { workspace: consumer.clone(), at: now }]).await?)
    }

    /// A workspace of this name is there (again): whoever is on record as reading it does.
    pub(crate) async fn revive_readers(&self, producer: &Workspace) -> Result<(), IndexError> {
        for consumer in self.store.around(producer).await?.consumers.iter().filter(|consumer| *consumer != producer) {
            retrying!(self.revive(producer, consumer).await)?;
        }
        Ok(())
    }

    async fn revive(&self, producer: &Workspace, consumer: &Workspace) -> Result<(), IndexError> {
        let Known { mut facts, version, .. } = self.store.known_one(consumer).await?;
        let Some(edge) = facts.producers.get_mut(producer).filter(|edge| !edge.live()) else { return Ok(()) };
        edge.gone_at = None;
        let facts = Box::new(facts);
        Ok(self.store.commit(&[Write::Facts { workspace: consumer.clone(), facts, version }]).await?)
    }
}
