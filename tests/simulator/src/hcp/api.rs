//! What HCP Terraform answers.

use std::sync::Arc;

use sluice_domain::ports::{CreatedRun, DownloadUrl, StateVersion, TerraformError, WorkspaceFound};
use sluice_domain::{
    Facts, Findings, Found, Marker, Outputs, Read, RunId, RunReport, StateFacts, Timestamp, Workspace, WorkspaceId,
};

use super::{Hcp, State, digest};

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
        let site = &self.sites[*self.ids.get(id)?];
        Some(WorkspaceFound { id: id.clone(), name: site.name.name.clone() })
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
    pub fn create_run(&mut self, id: &WorkspaceId, message: &str) -> Result<(usize, CreatedRun), TerraformError> {
        let number = *self.ids.get(id).ok_or(TerraformError::NotFound { action: "creating a run" })?;
        let run = self.start(number, message, false);
        Ok((run, self.created(run)))
    }

    /// The oldest run of the workspace whose message holds the marker.
    #[must_use]
    pub fn find_run(&self, id: &WorkspaceId, marker: &Marker) -> Option<CreatedRun> {
        let number = *self.ids.get(id)?;
        let mut runs = self.sites[number].runs.iter().copied();
        runs.find(|run| self.is_there(*run) && self.runs[*run].marker.as_ref() == Some(marker))
            .map(|run| self.created(run))
    }

    /// The id that a name has now.
    #[must_use]
    pub fn workspace_id(&self, name: &Workspace) -> Option<WorkspaceId> {
        Some(self.sites[self.by_name(name)?].id.clone())
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
        facts
    }
}

fn state_facts(state: &State) -> StateFacts {
    StateFacts {
        version: state.version.clone(),
        serial: state.serial,
        lineage: String::new(),
        run: state.run.map(run_id),
        created_at: Timestamp(state.created_at),
        destroyed: false,
    }
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
