//! The plan: read as it streams, and what it teaches about the graph.

use sluice_domain::gate::{CallbackUrl, Stage, TaskRequest};
use sluice_domain::ports::{Definitions, FactStore, StoreError, Write};
use sluice_domain::{PlanFindings, chain};
use sluice_hcp::plan_json;
use sluice_hcp_client::{FileStream, TaskFile};
use tracing::{info, warn};

use super::{CheckError, Checks};
use sluice_runner::Asked;

/// How often what a plan teaches is written down again because somebody else wrote meanwhile.
const CONFLICTS_MAX: usize = 8;

impl<S: FactStore + Definitions> Checks<S> {
    /// The plan, as it streams.
    pub(super) async fn open(&self, asked: Asked<'_>) -> Result<FileStream, CheckError> {
        let url: &CallbackUrl = asked.request().plan.as_ref().ok_or(CheckError::NoPlan)?;
        let token = asked.token.ok_or(CheckError::NoPlan)?;
        Ok(self.plans.open(TaskFile::Plan, url, token, self.plan_bytes_max).await?)
    }

    /// What the plan says. What it teaches is kept until its run has ended.
    pub(super) async fn findings(&self, asked: Asked<'_>) -> Result<PlanFindings, CheckError> {
        let plan = self.open(asked).await?;
        let (request, framed) = (asked.request(), plan.is_framed());
        let workspace = request.workspace.clone();
        let findings = plan.read_with(move |bytes| plan_json::read(bytes, &workspace)).await?;
        let findings = findings.map_err(|error| CheckError::Plan { error, whole: framed })?;
        if request.stage == Stage::PostPlan && !request.speculative {
            // What it teaches is welcome, and no reason to fail somebody's run.
            if let Err(error) = self.teach(request, &findings).await {
                warn!(run = %request.run, "could not keep what the plan of {} teaches: {}", request.run, chain(&error));
            }
        }
        Ok(findings)
    }

    async fn teach(&self, request: &TaskRequest, findings: &PlanFindings) -> Result<(), StoreError> {
        let TaskRequest { workspace, run, .. } = request;
        let Some(reads) = findings.lesson() else { return Ok(()) };
        let mut conflicts = 0;
        loop {
            let known = self.store.known_one(workspace).await?;
            let mut facts = known.facts;
            // Of a workspace that nothing is known of, or another of that name, its states will tell.
            if facts.id.as_ref() != Some(&request.workspace_id) || !facts.teach(run, reads.clone()) {
                return Ok(());
            }
            let facts = Write::Facts { workspace: workspace.clone(), facts: Box::new(facts), version: known.version };
            match self.store.commit(&[facts]).await {
                Err(StoreError::Conflict) if conflicts < CONFLICTS_MAX => conflicts += 1,
                written => {
                    written?;
                    info!(run = %run, "the plan of {run} tells what {} uses", workspace.short());
                    return Ok(());
                }
            }
        }
    }
}
