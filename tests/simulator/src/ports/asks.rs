//! HCP Terraform behind the domain's ports, and the turns in which it is asked.

use sluice_domain::pace::{Lane, Pace};
use sluice_domain::ports::{CreatedRun, ListPage, Runs, StateVersion, States, TerraformError, WorkspaceFound};
use sluice_domain::{Findings, Marker, Organization, RunKind, RunReport, SurveyScope, Workspace, WorkspaceId};

use super::{Port, Suspension};
use crate::mutation::Mutation;
use crate::world::Outcome;

impl States for Port {
    async fn current_state(&self, workspace: &WorkspaceId) -> Result<Option<StateVersion>, TerraformError> {
        self.api("current_state", false, |world| Ok(world.hcp.current_state(workspace))).await
    }

    async fn read_state(&self, _: &Workspace, version: &StateVersion) -> Result<Findings, TerraformError> {
        self.api("read_state", false, |world| world.hcp.read_state(version)).await
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<WorkspaceFound>, TerraformError> {
        self.api("workspace", false, |world| Ok(world.hcp.workspace(id))).await
    }

    async fn workspaces(
        &self,
        _: &Organization,
        scope: SurveyScope,
        page: u32,
    ) -> Result<Option<ListPage>, TerraformError> {
        self.api("workspaces", false, |world| Ok(Some(world.hcp.workspaces(scope, page)))).await
    }

    async fn is_whole(&self, report: &RunReport) -> Result<bool, TerraformError> {
        self.api("is_whole", false, |world| Ok(world.hcp.is_whole(report))).await
    }

    async fn run(&self, report: &RunReport) -> Result<Option<RunReport>, TerraformError> {
        self.api("run", false, |world| Ok(world.hcp.run(report))).await
    }
}

impl Runs for Port {
    async fn create_run(
        &self,
        workspace: &WorkspaceId,
        message: &str,
        kind: RunKind,
    ) -> Result<CreatedRun, TerraformError> {
        let seat = self.seat().clone();
        self.api("create_run", true, |world| world.create_run(workspace, message, kind, &seat)).await
    }

    async fn find_run(
        &self,
        workspace: &WorkspaceId,
        marker: &Marker,
        kind: RunKind,
    ) -> Result<Option<CreatedRun>, TerraformError> {
        self.api("find_run", false, |world| {
            let blind = world.scenario.mutation == Some(Mutation::NoMarkerLook);
            Ok(if blind { None } else { world.hcp.find_run(workspace, marker, kind) })
        })
        .await
    }

    async fn workspace_named(&self, workspace: &Workspace) -> Result<Option<WorkspaceFound>, TerraformError> {
        self.api("workspace_named", false, |world| {
            let mut found = world.hcp.workspace_named(workspace);
            if let Some(found) = &mut found {
                let allowed = found.tagged.unwrap_or(world.scenario.rules.autonomy);
                self.seat().allowed = Some((found.id.clone(), allowed));
                if world.scenario.mutation == Some(Mutation::TagsIgnored) {
                    found.tagged = None;
                }
            }
            Ok(found)
        })
        .await
    }
}

impl Pace for Port {
    async fn turn(&self, lane: Lane) -> Result<(), TerraformError> {
        self.suspend("turn", false).await;
        let taken = {
            let mut world = self.world();
            match world.table_outcome("turn", true) {
                Outcome::Well | Outcome::Conflict => world.take_turn(lane),
                // Nobody asks without knowing of a turn.
                Outcome::After => world.take_turn(lane).and(Err(1_000_000)),
                Outcome::Before | Outcome::Throttled => Err(1_000_000),
            }
        };
        let at_us = taken.map_err(|after_us| TerraformError::RateLimited {
            action: "a turn to ask HCP Terraform",
            after_ms: after_us.div_ceil(1_000),
        })?;
        self.world().sleep_until = Some(at_us.div_ceil(1_000));
        Suspension(false).await;
        let mut seat = self.seat();
        if lane == Lane::RunLists {
            seat.list_turn = true;
        } else {
            seat.turn = true;
        }
        Ok(())
    }

    async fn slow_down(&self, after_ms: u64) {
        self.suspend("slow_down", false).await;
        for lane in [Lane::Work, Lane::RunLists] {
            let mut world = self.world();
            if matches!(world.table_outcome("slow_down", true), Outcome::Well | Outcome::After) {
                world.hold_turns(lane, after_ms);
            }
        }
        self.suspend("slow_down", true).await;
    }
}
