//! What would run if outputs of a workspace changed: the live rule, asked about a change that has not happened.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::decide::decide;
use crate::digest::of_texts;
use crate::facts::{Facts, Planned, StateFacts};
use crate::graph::Graph;
use crate::names::Workspace;
use crate::planned::{OutputAction, OutputChange};
use crate::policy::Policy;
use crate::ports::FactStore;
use crate::reach::{ReachError, with_ancestors, with_descendants};
use crate::size;
use crate::time::Timestamp;
use crate::verdict::{Cause, Decision, Verdict};
use crate::work::Wave;

/// What would follow from a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Foreseen {
    /// The workspace that would change.
    pub workspace: Workspace,
    /// Its outputs that would change.
    pub outputs: Vec<String>,
    /// What would run, step after step; the workspaces of one step at the same time. At most: a workspace that
    /// applies without changing an output wakes nobody.
    pub steps: Vec<Vec<Step>>,
    /// What the change reaches, but would not run.
    pub held: Vec<Step>,
    /// How many runs one change may set off, if these are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_limit: Option<u32>,
}

impl Foreseen {
    /// How many workspaces would run.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.steps.iter().map(Vec::len).sum()
    }
}

/// One workspace that a change reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which.
    pub workspace: Workspace,
    /// What would be done about it, in one word.
    pub verdict: &'static str,
    /// The same as a sentence without its subject.
    pub reason: String,
    /// What would make it stale.
    pub causes: Vec<Cause>,
}

impl Step {
    fn new(workspace: &Workspace, decision: &Decision) -> Self {
        Self {
            workspace: workspace.clone(),
            verdict: decision.verdict.word(),
            reason: decision.to_string(),
            causes: decision.causes.clone(),
        }
    }
}

/// Nothing can be foreseen.
#[derive(Debug, thiserror::Error)]
pub enum ForeseeError {
    /// The table did not do its part, or the graph is too large.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// Nothing was ever heard of the workspace.
    #[error("nothing is known of {0}: it has not completed a run since Sluice listens, or its name is another")]
    UnknownWorkspace(Workspace),
    /// It has no outputs.
    #[error("{0} has no outputs, so nobody can read them")]
    NoOutputs(Workspace),
    /// It has other outputs.
    #[error("{workspace} has no output {output}: it has {has}")]
    UnknownOutput {
        /// The workspace.
        workspace: Workspace,
        /// The output that was asked for.
        output: String,
        /// Those it has.
        has: String,
    },
}

/// What would run if `outputs` of `root`, or all of them if none is named, changed at `now`. Runs that are under way
/// are taken to be over by then. A workspace of which it is known what it uses runs for nothing else.
pub async fn foresee(
    store: &impl FactStore,
    root: &Workspace,
    outputs: &BTreeSet<String>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Foreseen, ForeseeError> {
    let (facts, reached) = around(store, root).await?;
    imagine(facts, &reached, root, outputs, policy, now)
}

/// What would run if a plan of `root` were applied at `now`, and all that it changes turned out to be otherwise. Nothing
/// need be known of `root`, nor of the outputs. By the rule, who may use any output is stale for a new one too; who is
/// known to use others is not. Who read an output that goes is not run for that.
pub async fn foresee_plan(
    store: &impl FactStore,
    root: &Workspace,
    outputs: &BTreeMap<String, OutputChange>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Foreseen, ForeseeError> {
    let (facts, reached) = around(store, root).await?;
    Ok(imagine_plan(facts, &reached, root, outputs, policy, now))
}

/// Whatever a change of `root` may reach, with the facts that a decision about it needs.
async fn around(
    store: &impl FactStore,
    root: &Workspace,
) -> Result<(BTreeMap<Workspace, Facts>, BTreeSet<Workspace>), ForeseeError> {
    let reached = with_descendants(store, root).await?;
    let known = with_ancestors(store, &reached).await?;
    Ok((known.into_iter().map(|(workspace, known)| (workspace, known.facts)).collect(), reached))
}

fn imagine(
    facts: BTreeMap<Workspace, Facts>,
    reached: &BTreeSet<Workspace>,
    root: &Workspace,
    outputs: &BTreeSet<String>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Foreseen, ForeseeError> {
    let Some(own) = facts.get(root) else { return Err(ForeseeError::UnknownWorkspace(root.clone())) };
    let outputs = named(root, own, outputs)?;
    let steps = follow(facts, reached, root, &outputs, policy, now);
    Ok(Foreseen { outputs: outputs.into_iter().collect(), ..steps })
}

fn imagine_plan(
    mut facts: BTreeMap<Workspace, Facts>,
    reached: &BTreeSet<Workspace>,
    root: &Workspace,
    outputs: &BTreeMap<String, OutputChange>,
    policy: &Policy,
    now: Timestamp,
) -> Foreseen {
    settle(&mut facts, root);
    let own = &mut facts.entry(root.clone()).or_default().outputs;
    let mut changed = BTreeSet::new();
    for (name, change) in outputs {
        if change.action == OutputAction::Deleted {
            own.remove(name);
        } else if size::is_one(own) {
            changed.insert(size::ALL_OUTPUTS.to_owned());
        } else {
            own.entry(name.clone()).or_insert_with(|| of_texts([name.as_str()]));
            changed.insert(name.clone());
        }
    }
    let steps = follow(facts, reached, root, &changed, policy, now);
    Foreseen { outputs: outputs.keys().cloned().collect(), ..steps }
}

/// Once its plan is applied, the workspace has seen what it reads, and nobody is held by it.
fn settle(facts: &mut BTreeMap<Workspace, Facts>, root: &Workspace) {
    let Some(mut own) = facts.get(root).cloned() else { return };
    own.refusal = None;
    for (name, edge) in &mut own.producers {
        edge.acknowledged = facts.get(name).map(|producer| producer.outputs.clone()).unwrap_or_default();
    }
    facts.insert(root.clone(), own);
}

/// What follows, step after step, once `outputs` of `root` have changed.
fn follow(
    mut facts: BTreeMap<Workspace, Facts>,
    reached: &BTreeSet<Workspace>,
    root: &Workspace,
    outputs: &BTreeSet<String>,
    policy: &Policy,
    now: Timestamp,
) -> Foreseen {
    for facts in facts.values_mut() {
        facts.active.clear();
    }
    let policy = Policy { settle_ms: 0, ..policy.clone() };
    let mut graph = Graph::new(facts);
    let mut imagined = Imagined { graph: &mut graph, count: 0, now };
    imagined.change(root, Some(outputs), None);
    let mut done = BTreeSet::from([root.clone()]);
    let mut steps = Vec::new();
    let held = loop {
        let decisions = decide(imagined.graph, &policy, now.plus_ms(imagined.count));
        let mut step = Vec::new();
        let mut held = Vec::new();
        for workspace in reached.difference(&done.clone()) {
            let Some(number) = imagined.graph.number(workspace) else { continue };
            let decision = &decisions[number];
            match decision.verdict {
                Verdict::Run | Verdict::Plan => {
                    step.push(Step::new(workspace, decision));
                    done.insert(workspace.clone());
                    imagined.carry_out(workspace, decision);
                }
                Verdict::Settled => {}
                _ => held.push(Step::new(workspace, decision)),
            }
        }
        if step.is_empty() {
            break held;
        }
        steps.push(step);
    };
    let runs: usize = steps.iter().map(Vec::len).sum();
    let over_limit = Some(policy.budgets.wave_runs).filter(|limit| runs > *limit as usize);
    Foreseen { workspace: root.clone(), outputs: Vec::new(), steps, held, over_limit }
}

/// The outputs that are meant.
fn named(root: &Workspace, own: &Facts, outputs: &BTreeSet<String>) -> Result<BTreeSet<String>, ForeseeError> {
    if own.outputs.is_empty() {
        return Err(ForeseeError::NoOutputs(root.clone()));
    }
    if let Some(output) = outputs.iter().find(|output| !own.outputs.contains_key(*output)) {
        let has = own.outputs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(ForeseeError::UnknownOutput { workspace: root.clone(), output: output.clone(), has });
    }
    Ok(if outputs.is_empty() { own.outputs.keys().cloned().collect() } else { outputs.clone() })
}

/// A world in which things have happened that have not.
struct Imagined<'a> {
    graph: &'a mut Graph,
    /// Counts what has happened, so that each is later than the one before.
    count: u64,
    now: Timestamp,
}

impl Imagined<'_> {
    /// A workspace has applied, and changed all its outputs; or was planned only.
    fn carry_out(&mut self, workspace: &Workspace, decision: &Decision) {
        let Some(number) = self.graph.number(workspace) else { return };
        if decision.verdict == Verdict::Plan {
            let planned = decision.inputs.map(|inputs| Planned { inputs, run: run_id(self.count), ended: true });
            self.graph.facts_mut(number).planned = planned;
            return;
        }
        let seen: Vec<_> = self.graph.edges(number).map(|(name, _)| name.clone()).collect();
        let wave = decision.causes.iter().filter_map(|cause| {
            let state = self.graph.facts(self.graph.number(&cause.producer)?).state.as_ref()?;
            Some(state.wave_below(&cause.producer))
        });
        let wave = wave.max_by_key(|wave| wave.depth);
        for name in seen {
            let outputs = self.graph.number(&name).map(|it| self.graph.facts(it).outputs.clone()).unwrap_or_default();
            if let Some(edge) = self.graph.facts_mut(number).producers.get_mut(&name) {
                edge.acknowledged = outputs;
            }
        }
        self.change(workspace, None, wave);
    }

    /// A new state of `workspace`, in which `outputs`, or all, have values they never had.
    fn change(&mut self, workspace: &Workspace, outputs: Option<&BTreeSet<String>>, wave: Option<Wave>) {
        self.count += 1;
        let Some(number) = self.graph.number(workspace) else { return };
        let count = self.count.to_string();
        let facts = self.graph.facts_mut(number);
        for (name, digest) in &mut facts.outputs {
            if outputs.is_none_or(|outputs| outputs.contains(name)) {
                *digest = of_texts(["foreseen", name, &digest.to_string(), &count]);
            }
        }
        let version = format!("sv-foreseen{count}").parse().expect("letters and digits are an id");
        let serial = facts.state.as_ref().map_or(0, |state| state.serial) + 1;
        let created_at = self.now.plus_ms(self.count);
        facts.state = Some(StateFacts { wave, ..StateFacts::new(version, serial, None, created_at) });
    }
}

fn run_id(count: u64) -> crate::names::RunId {
    format!("run-foreseen{count}").parse().expect("letters and digits are an id")
}

#[cfg(test)]
mod tests;
