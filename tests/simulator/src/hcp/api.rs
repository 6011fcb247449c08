//! What HCP Terraform answers.

use std::sync::Arc;

use sluice_domain::ports::{CreatedRun, DownloadUrl, StateVersion, TerraformError, WorkspaceFound};
use sluice_domain::{
    Facts, Findings, Found, Heeded, Marker, Outputs, Read, RunId, RunKind, RunReport, StateFacts, Timestamp, Workspace,
    WorkspaceId,
};

use super::{Hcp, State, Way, digest};

impl Hcp {
    /// The current state version of a workspace.
    #[must_use]
    pub fn current_state(&self, id: &WorkspaceId) -> Option<StateVersion> {
        let number = *self.ids.get(id)?;
        let state = self.sites[number].state()?;
        Some(StateVersion {
            facts: state_facts(state),
            download: DownloadUrl(format!("{number}/{}", state.version)),
            may_read_others: state.empty || !state.copies.is_empty(),
        })
    }

    /// The file of a state version.
    pub fn read_state(&self, version: &StateVersion) -> Result<Findings, TerraformError> {
        let gone = || TerraformError::NotFound { action: "reading a state" };
        let (number, _) = version.download.0.split_once('/').ok_or_else(gone)?;
        let number: usize = number.parse().map_err(|_| gone())?;
        let mut states = self.sites[number].states.iter().rev();
        let state = states.find(|state| state.version == version.facts.version).ok_or_else(gone)?;
        Ok(self.findings(state, version.may_read_others))
    }

    fn findings(&self, state: &Arc<State>, whole: bool) -> Findings {
        let read = |(name, values): (&Workspace, &Vec<u64>)| {
            let outputs = |values: &[u64]| -> Outputs {
                let salted = self.digests_with_version.then(|| self.copied(name, values)).flatten();
                salted.unwrap_or_else(|| named(values.iter().map(|value| digest(*value))))
            };
            let read = Read {
                found: [Found::RemoteState].into(),
                addresses: [format!("data.terraform_remote_state.{}", name.name)].into(),
                observed: outputs(values),
            };
            (name.clone(), read)
        };
        Findings {
            lineage: format!("lineage-{}", state.lineage),
            outputs: named(state.outputs.iter().map(|value| self.digest(state, *value))),
            producers: whole.then(|| state.copies.iter().map(read).collect()),
            empty: state.empty,
        }
    }

    /// The digests of copies as the first state version that offered them has them.
    fn copied(&self, name: &Workspace, values: &[u64]) -> Option<Outputs> {
        let site = &self.sites[self.by_name(name)?];
        let state = site.states.iter().rev().find(|state| state.outputs == values)?;
        let seen = named(values.iter().map(|value| self.digest(state, *value)));
        Some(seen)
    }

    /// The workspace of an id.
    #[must_use]
    pub fn workspace(&self, id: &WorkspaceId) -> Option<WorkspaceFound> {
        Some(self.found_at(*self.ids.get(id)?))
    }

    /// The workspace that a name means now.
    #[must_use]
    pub fn workspace_named(&self, name: &Workspace) -> Option<WorkspaceFound> {
        Some(self.found_at(self.by_name(name)?))
    }

    pub(super) fn found_at(&self, number: usize) -> WorkspaceFound {
        let site = &self.sites[number];
        WorkspaceFound { id: site.id.clone(), name: site.name.name.clone(), tagged: site.tag }
    }

    /// Whether a run acts on all that it reads.
    #[must_use]
    pub fn is_whole(&self, report: &RunReport) -> bool {
        let run = number_of(&report.run).filter(|run| *run < self.runs.len() && self.is_there(*run));
        run.is_none_or(|run| self.runs[run].way != Way::Partly)
    }

    /// How a run stands.
    #[must_use]
    pub fn run(&self, report: &RunReport) -> Option<RunReport> {
        let number = number_of(&report.run).filter(|run| *run < self.runs.len() && self.is_there(*run))?;
        let run = &self.runs[number];
        let (created_at, at) = (Timestamp(run.created_at), Timestamp(run.since));
        Some(RunReport { created_at, standing: run.standing, at, ..report.clone() })
    }

    /// Creates a run.
    pub fn create_run(
        &mut self,
        id: &WorkspaceId,
        message: &str,
        kind: RunKind,
    ) -> Result<(usize, CreatedRun), TerraformError> {
        let number = *self.ids.get(id).ok_or(TerraformError::NotFound { action: "creating a run" })?;
        let way = if kind == RunKind::PlanOnly { Way::PlanOnly } else { Way::Whole };
        let run = self.start(number, message, way);
        Ok((run, self.created(run)))
    }

    /// The oldest run of the workspace, of that kind, whose message holds the marker.
    #[must_use]
    pub fn find_run(&self, id: &WorkspaceId, marker: &Marker, kind: RunKind) -> Option<CreatedRun> {
        let number = *self.ids.get(id)?;
        let mut runs = self.sites[number].runs.iter().copied();
        let fits = |run: &super::Run| {
            (run.way == Way::PlanOnly) == (kind == RunKind::PlanOnly) && run.marker.as_ref() == Some(marker)
        };
        runs.find(|run| self.is_there(*run) && fits(&self.runs[*run])).map(|run| self.created(run))
    }

    fn created(&self, run: usize) -> CreatedRun {
        CreatedRun { run: run_id(run), created_at: Timestamp(self.runs[run].created_at) }
    }

    /// What Sluice would know of the workspace, had it read its state.
    #[must_use]
    pub fn facts(&self, number: usize, now: Timestamp) -> Facts {
        let site = &self.sites[number];
        let mut facts = Facts { id: Some(site.id.clone()), ..Facts::default() };
        if let Some(state) = site.state() {
            facts.learn(state_facts(state), self.findings(state, true), now);
        }
        // Its last plan was shown.
        if let Some(run) = site.through.filter(|_| site.spec.habits.gated) {
            let ended_at = Timestamp(self.runs[run].since);
            facts.heeded = Some(Heeded { run: run_id(run), ended_at, taught: true });
            for (name, read) in self.lesson(run) {
                if let Some(edge) = facts.producers.get_mut(&name) {
                    edge.found.insert(Found::Plan);
                    edge.uses = read.uses;
                }
            }
        }
        facts
    }
}

fn state_facts(state: &State) -> StateFacts {
    let written_at = Timestamp(state.created_at);
    StateFacts::new(state.version.clone(), state.serial, state.run.map(run_id), written_at)
}

fn named(digests: impl Iterator<Item = sluice_domain::Digest>) -> Outputs {
    digests.enumerate().map(|(output, digest)| (format!("o{output}"), digest)).collect()
}

/// The id of a run by its number.
#[must_use]
pub fn run_id(run: usize) -> RunId {
    format!("run-{run}").parse().expect("it is an id")
}

/// The number of a run by its id.
#[must_use]
pub fn number_of(run: &RunId) -> Option<usize> {
    run.as_str().strip_prefix("run-")?.parse().ok()
}
