//! Decisions that were taken about a workspace, kept for people to read.

use sluice_domain::ports::StoreError;
use sluice_domain::{Decision, Timestamp, Workspace};

use crate::keys::{SK, log, string};
use crate::table::{Fields, Table, store_error};

/// A decision, and when it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// When.
    pub at: Timestamp,
    /// What, and why.
    pub decision: Decision,
}

impl Table {
    /// The last decisions about `workspace`, at most `limit`, the newest first. They are kept for thirty days.
    pub async fn decisions(&self, workspace: &Workspace, limit: u16) -> Result<Vec<Decided>, StoreError> {
        let page = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", string(log(workspace)))
            .scan_index_forward(false)
            .limit(limit.max(1).into())
            .send()
            .await
            .map_err(|error| store_error("to list decisions", error))?;
        page.items().iter().map(|item| decided(&Fields::new(item))).collect()
    }
}

fn decided(fields: &Fields<'_>) -> Result<Decided, StoreError> {
    let at = fields.text(SK)?.split('#').next().and_then(|at| at.parse().ok());
    let at = at.ok_or_else(|| fields.unreadable("its sort key does not begin with a time".to_owned()))?;
    Ok(Decided { at: Timestamp(at), decision: fields.body()? })
}
