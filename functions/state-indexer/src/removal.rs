//! A workspace that is gone is removed, with its edges.

use sluice_domain::ports::{FactStore, Inbox, Known, States, WRITES_MAX, Write};
use sluice_domain::{Timestamp, Workspace, WorkspaceId};
use sluice_lambda::work::Next;
use tracing::info;

use crate::{IndexError, Indexer, retrying};

impl<S: FactStore + Inbox, T: States> Indexer<S, T> {
    /// Finds out whether a workspace is still there, and removes it if not.
    pub(crate) async fn verify(&self, workspace: &Workspace, now: Timestamp) -> Result<Next, IndexError> {
        let Known { facts, .. } = self.known_one(workspace).await?;
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
            writes.push(Write::Look { workspace: waiter.clone(), at: now });
            writes.push(Write::NoWaiter { holder: workspace.clone(), waiter });
        }
        for part in writes.chunks(WRITES_MAX) {
            self.store.commit(part).await?;
        }
        if version > 0 {
            self.store.commit(&[Write::Forget { workspace: workspace.clone(), version }]).await?;
        }
        info!("removed {workspace}: it is gone, or has another name now");
        Ok(Next::Done)
    }

    async fn cut(&self, producer: &Workspace, consumer: &Workspace, now: Timestamp) -> Result<(), IndexError> {
        let Known { mut facts, version, .. } = self.known_one(consumer).await?;
        let mut writes = vec![Write::NoConsumer { producer: producer.clone(), consumer: consumer.clone() }];
        if facts.producers.remove(producer).is_some() {
            writes.push(Write::Facts { workspace: consumer.clone(), facts: Box::new(facts), version });
            writes.push(Write::Look { workspace: consumer.clone(), at: now });
        }
        Ok(self.store.commit(&writes).await?)
    }
}
