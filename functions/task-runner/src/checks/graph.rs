//! The checks that know the graph.

use std::collections::BTreeSet;

use sluice_domain::OutputAction;
use sluice_domain::foresee::foresee_plan;
use sluice_domain::gate::{Unsettled, consumers, preview, upstream};
use sluice_domain::ports::{Definitions, FactStore};

use super::{CheckError, Checks, LOOK_AGAIN_MS};
use sluice_runner::{Asked, Step};

impl<S: FactStore + Definitions> Checks<S> {
    /// Whether everything above is settled.
    pub(super) async fn upstream(&self, asked: Asked<'_>, unsettled: Unsettled) -> Result<Step, CheckError> {
        let above = upstream(&self.store, asked.request(), &self.policy, asked.now).await?;
        Ok(match above.judge(unsettled, asked.now) {
            Some(end) => Step::Ended(end),
            None => Step::Again { at: asked.now.plus_ms(LOOK_AGAIN_MS), message: above.sentence() },
        })
    }

    /// Which workspaces will run after this one.
    pub(super) async fn preview(&self, asked: Asked<'_>) -> Result<Step, CheckError> {
        let findings = self.findings(asked).await?;
        let request = asked.request();
        let foreseen =
            foresee_plan(&self.store, &request.workspace, &findings.outputs, &self.policy, asked.now).await?;
        Ok(Step::Ended(preview(&foreseen, request.speculative, asked.now)))
    }

    /// Who still reads what this plan deletes.
    pub(super) async fn consumers(&self, asked: Asked<'_>) -> Result<Step, CheckError> {
        let findings = self.findings(asked).await?;
        let deleted: BTreeSet<String> = findings
            .outputs
            .iter()
            .filter(|(_, change)| change.action == OutputAction::Deleted)
            .map(|(name, _)| name.clone())
            .collect();
        let readers = consumers::readers(&self.store, &asked.request().workspace, &deleted).await?;
        Ok(Step::Ended(consumers::judge(&deleted, &readers, asked.now)))
    }
}
