//! What is known of a workspace: its state, its runs, and what it reads from others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    Autonomy, Digest, Heeded, RunId, Standing, StateVersionId, Taught, Timestamp, Trace, Wave, Workspace, WorkspaceId,
    size,
};

/// Digests of outputs by name.
pub type Outputs = BTreeMap<String, Digest>;

/// Everything known of one workspace, as a consumer too. One item of the table, so it changes as one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Its id, once heard: ids change when a workspace is made anew, names are what configurations refer to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<WorkspaceId>,
    /// Its current state version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateFacts>,
    /// Its root outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: Outputs,
    /// Runs that are not over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub active: BTreeMap<RunId, ActiveRun>,
    /// Runs that ended lately, the newest last: late news of them is old news.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<RunId>,
    /// The inputs it must not be run for again, because that failed or a person declined it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// The plan-only run that showed what its inputs would change, where only that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Planned>,
    /// What its tags allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagged: Option<Autonomy>,
    /// A state version that cannot be read, and was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<StateVersionId>,
    /// What it reads, by the workspace it reads from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub producers: BTreeMap<Workspace, Edge>,
    /// What the plan of a run said of which it is not known how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taught: Option<Taught>,
    /// The run by which it is known what the configuration uses, or that it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heeded: Option<Heeded>,
}

/// The state version that facts were read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFacts {
    /// Its id.
    pub version: StateVersionId,
    /// Its serial, which counts up within a lineage.
    pub serial: u64,
    /// The lineage, made anew when a state is started over. HCP Terraform's API does not tell it: it comes from the
    /// file (`Findings::lineage`).
    #[serde(default)]
    pub lineage: String,
    /// The run that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// When it was written, by HCP Terraform's clock.
    pub created_at: Timestamp,
    /// It holds neither outputs nor resources: what a destroy leaves behind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destroyed: bool,
    /// When its outputs were learned of, by our own clock: with an earlier state version, if that had the same.
    #[serde(default, skip_serializing_if = "never")]
    pub learned_at: Timestamp,
    /// When this very state version was taken in, by our own clock.
    #[serde(default, skip_serializing_if = "never")]
    pub taken_in_at: Timestamp,
    /// It was there when the organization was first read, and makes nobody stale.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    /// The wave it is part of: what set off the run that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<Wave>,
}

impl StateFacts {
    /// A state version as HCP Terraform's API describes it: what its file says is not known yet.
    #[must_use]
    pub fn new(version: StateVersionId, serial: u64, run: Option<RunId>, created_at: Timestamp) -> Self {
        Self {
            version,
            serial,
            lineage: String::new(),
            run,
            created_at,
            destroyed: false,
            learned_at: Timestamp::default(),
            taken_in_at: Timestamp::default(),
            baseline: false,
            wave: None,
        }
    }

    /// The wave that a run of a reader of `workspace` would be part of, on account of this state.
    #[must_use]
    pub fn wave_below(&self, workspace: &Workspace) -> Wave {
        match &self.wave {
            Some(wave) => Wave { depth: wave.depth.saturating_add(1), ..wave.clone() },
            None => Wave {
                root: workspace.clone(),
                origin: self.version.clone(),
                depth: 1,
                trace: Some(self.trace(workspace)),
                began_at: Some(self.created_at),
            },
        }
    }

    /// The trace of the wave that this state of `workspace` is part of, or would begin.
    #[must_use]
    pub fn trace(&self, workspace: &Workspace) -> Trace {
        match (&self.wave, &self.run) {
            (Some(wave), _) => wave.trace(),
            (None, Some(run)) => Trace::of_run(&workspace.host, run),
            (None, None) => Trace::of_state(&workspace.host, &self.version),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn never(at: &Timestamp) -> bool {
    *at == Timestamp::default()
}

/// A plan-only run and the inputs it was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The inputs.
    pub inputs: InputsKey,
    /// The run.
    pub run: RunId,
    /// It is known how it ended: well.
    #[serde(default)]
    pub ended: bool,
}

/// A run that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveRun {
    /// When it was created, by HCP Terraform's clock.
    pub created_at: Timestamp,
    /// Where it stands.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
    /// The inputs Sluice started it for, if Sluice did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<InputsKey>,
}

/// Inputs that were tried and came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The inputs: those it was ordered for, and those it found where they had changed again by then.
    pub inputs: BTreeSet<InputsKey>,
    /// When that run was created. What an older run came to does not lift the refusal.
    pub created_at: Timestamp,
    /// The run that failed or was declined; none where no run could be created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// How it ended, or what kept it from being created.
    pub why: String,
    /// A person said no, rather than something broke.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declined: bool,
}

/// One workspace reads another's outputs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Edge {
    /// How it reads.
    pub found: BTreeSet<Found>,
    /// Where in the consumer's configuration, as Terraform writes addresses.
    pub addresses: BTreeSet<String>,
    /// The digests the consumer's own state holds copies of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub observed: Outputs,
    /// The digests a later run of the consumer has seen without writing them down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub acknowledged: Outputs,
    /// The state version of the producer that a run of the consumer has read, or a later one, though its copies differ:
    /// then what is known of the producer is behind, and makes the consumer no more stale than it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<StateVersionId>,
    /// The outputs it uses, where the plan of its newest run told. None: any of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<BTreeSet<String>>,
    /// When a state or a plan last showed it.
    pub last_seen: Timestamp,
    /// It is no longer shown: a tombstone, kept for a while, that never triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<Timestamp>,
}

impl Edge {
    /// Whether the consumer still reads.
    #[must_use]
    pub fn live(&self) -> bool {
        self.gone_at.is_none()
    }

    /// Whether the consumer acts on that output.
    #[must_use]
    pub fn uses(&self, output: &str) -> bool {
        // Outputs that are kept as one stand for the one that is used, too.
        self.uses.as_ref().is_none_or(|uses| uses.contains(output) || output == size::ALL_OUTPUTS && !uses.is_empty())
    }

    /// Whether nothing shows it but the plan of the consumer's newest run.
    #[must_use]
    pub fn only_planned(&self) -> bool {
        self.found.len() == 1 && self.found.contains(&Found::Plan)
    }

    /// Names of the outputs of `producer` that the consumer uses and has not seen, as far as is known of both.
    #[must_use]
    pub fn unseen_in<'a>(&self, producer: &'a Facts) -> Vec<&'a str> {
        let version = producer.state.as_ref().map(|state| &state.version);
        if version.is_some() && self.passed.as_ref() == version {
            return Vec::new();
        }
        self.unseen(&producer.outputs)
    }

    /// Whether there is anything in `producer` that the consumer has not seen, used or not: what a configuration uses
    /// may be about to change.
    #[must_use]
    pub fn has_unread(&self, producer: &Facts) -> bool {
        let all = Self { uses: None, ..self.clone() };
        !all.unseen_in(producer).is_empty()
    }

    /// Names of the outputs it uses whose present digest the consumer has neither observed nor acknowledged.
    #[must_use]
    pub fn unseen<'a>(&self, outputs: &'a Outputs) -> Vec<&'a str> {
        // By far the most edges are settled, and two walks in step cost less than a look-up for each name.
        if self.observed == *outputs || self.acknowledges_all(outputs) {
            return Vec::new();
        }
        outputs
            .iter()
            .filter(|(name, digest)| {
                let name = name.as_str();
                self.uses(name)
                    && self.observed.get(name) != Some(*digest)
                    && self.acknowledged.get(name) != Some(*digest)
            })
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// How a dependency was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Found {
    /// A `terraform_remote_state` data source.
    #[serde(rename = "terraform_remote_state")]
    RemoteState,
    /// A `tfe_outputs` data source.
    #[serde(rename = "tfe_outputs")]
    TfeOutputs,
    /// The plan of its newest run shows it, whatever its state does: a run without changes writes none.
    #[serde(rename = "plan")]
    Plan,
}

/// What one state file says: the outputs it offers and what its workspace reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The state's lineage.
    pub lineage: String,
    /// Digests of the root outputs.
    pub outputs: Outputs,
    /// Every workspace it reads from, with the digests it holds copies of. None if the state was only read for its
    /// outputs, because HCP Terraform's own list of its resources showed nothing that reads.
    pub producers: Option<BTreeMap<Workspace, Read>>,
    /// No outputs and no resources at all.
    pub empty: bool,
}

impl Findings {
    /// Whether it matters if the run that wrote the state acted on all it reads: there are copies of what a workspace
    /// offers that were not there before, or something is not there that only a plan showed.
    #[must_use]
    pub fn has_new_copies(&self, before: &Facts) -> bool {
        let old = |name: &Workspace| before.producers.get(name).map(|edge| &edge.observed);
        let shown = |name: &Workspace| self.producers.iter().flatten().any(|(it, _)| it == name);
        self.producers.iter().flatten().any(|(name, read)| old(name).is_some_and(|old| *old != read.observed))
            || before.producers.iter().any(|(name, edge)| edge.live() && edge.only_planned() && !shown(name))
    }

    /// The same, but with the copies that were there before: a run that leaves things out takes over what it reads
    /// without acting on it. It leaves out what only a plan has shown so far, too.
    #[must_use]
    pub fn with_copies_of(mut self, before: &Facts) -> Self {
        for (name, read) in self.producers.iter_mut().flatten() {
            if let Some(edge) = before.producers.get(name) {
                read.observed = edge.observed.clone();
            }
        }
        for (name, edge) in before.producers.iter().filter(|(_, edge)| edge.live() && edge.only_planned()) {
            let (found, addresses, observed) = (edge.found.clone(), edge.addresses.clone(), edge.observed.clone());
            let reads = self.producers.get_or_insert_default();
            reads.entry(name.clone()).or_insert(Read { found, addresses, observed });
        }
        self
    }
}

/// What a state file says of one workspace that is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Read {
    /// How it reads.
    pub found: BTreeSet<Found>,
    /// Addresses of the data sources.
    pub addresses: BTreeSet<String>,
    /// The copies' digests; an output of which two copies differ is left out, as no one copy tells what was seen.
    pub observed: Outputs,
}

/// A fingerprint of the inputs that made a workspace stale: which outputs of which workspaces, with which values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InputsKey(pub Digest);

impl fmt::Display for InputsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for InputsKey {
    type Err = crate::InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
