//! What a plan says: the outputs it would change, and what its configuration reads and uses.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::names::{RunId, Workspace};
use crate::size;

/// What one plan says. It holds names and counts, and never a value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PlanFindings {
    /// The version of Terraform that made the plan.
    pub terraform_version: String,
    /// Root outputs that would change, by name.
    pub outputs: BTreeMap<String, OutputChange>,
    /// How many resources would change, and how.
    pub actions: ActionCounts,
    /// Whether applying it would do anything, if Terraform says so.
    pub applyable: Option<bool>,
    /// Whether nothing more will be left to do after it, if Terraform says so. A plan with a target is not complete.
    pub complete: Option<bool>,
    /// Planning failed.
    pub errored: bool,
    /// The workspaces that the configuration reads.
    pub reads: BTreeMap<Workspace, TaughtRead>,
    /// Addresses of data sources of which this plan does not tell what they read.
    pub unresolved: BTreeSet<String>,
}

impl PlanFindings {
    /// What the plan teaches about its workspace ([`crate::Facts::teach`]); None if it does not tell all, or if nothing
    /// will be left that reads.
    #[must_use]
    pub fn lesson(&self) -> Option<&BTreeMap<Workspace, TaughtRead>> {
        let whole = !self.errored && self.complete != Some(false) && self.unresolved.is_empty();
        (whole && !self.destroys()).then_some(&self.reads)
    }

    /// Whether everything goes and nothing comes or stays.
    #[must_use]
    pub fn destroys(&self) -> bool {
        self.actions.delete > 0 && ActionCounts { delete: 0, forget: 0, ..self.actions } == ActionCounts::default()
    }
}

/// What would become of a root output. What is only known after apply counts as changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OutputChange {
    /// What would be done.
    pub action: OutputAction,
    /// Its value is only known after apply, so that it may turn out to be what it was.
    pub after_unknown: bool,
}

/// What would be done to a root output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputAction {
    /// It is new.
    Created,
    /// It gets another value.
    Updated,
    /// It goes.
    Deleted,
}

/// How many resources of a plan get which action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ActionCounts {
    /// Created.
    pub create: u64,
    /// Updated in place.
    pub update: u64,
    /// Deleted.
    pub delete: u64,
    /// Deleted and created, in either order.
    pub replace: u64,
    /// Left as they are.
    pub no_op: u64,
    /// Data sources that are read during apply.
    pub read: u64,
    /// No longer managed, and left standing.
    pub forget: u64,
    /// Imported, whatever else is done to them.
    pub import: u64,
    /// Anything that Terraform has learned since.
    pub other: u64,
}

/// What the plan of a run said, kept until it is known how the run ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taught {
    /// The run.
    pub run: RunId,
    /// What its configuration reads: all of it.
    pub reads: BTreeMap<Workspace, TaughtRead>,
}

/// What a plan says of one workspace that is read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaughtRead {
    /// Addresses of the data sources, as Terraform writes them.
    #[serde(default)]
    pub addresses: BTreeSet<String>,
    /// The outputs that the configuration uses. None: that is not known, and any may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<BTreeSet<String>>,
}

impl TaughtRead {
    /// Takes in another data source that reads the same workspace.
    pub fn add(&mut self, other: Self) {
        self.addresses.extend(other.addresses);
        self.uses = match (self.uses.take(), other.uses) {
            (Some(mut uses), Some(more)) => {
                uses.extend(more);
                Some(uses)
            }
            _ => None,
        };
    }
}

impl Taught {
    /// What `run` teaches; None if that is more than facts can hold.
    pub(crate) fn new(run: &RunId, mut reads: BTreeMap<Workspace, TaughtRead>) -> Option<Self> {
        let mut bytes = 0;
        for (workspace, read) in &mut reads {
            size::cut(&mut read.addresses);
            let texts = read.addresses.iter().chain(read.uses.iter().flatten());
            bytes += workspace.to_string().len() + 40 + texts.map(|text| text.len() + 3).sum::<usize>();
        }
        (bytes <= size::TAUGHT_BYTES_MAX).then(|| Self { run: run.clone(), reads })
    }
}

/// The newest run whose end told what the configuration uses: by its plan, or that this is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heeded {
    /// The run.
    pub run: RunId,
    /// When it ended, by HCP Terraform's clock.
    pub ended_at: crate::Timestamp,
    /// Its plan is what is known of the configuration. Otherwise nobody has seen the plan.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taught: bool,
}
