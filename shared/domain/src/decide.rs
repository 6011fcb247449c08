//! The decision rule: one pure function over facts. It looks at what is true now, not at which event said so.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::of_texts;
use crate::facts::{ActiveRun, Facts, InputsKey};
use crate::graph::Graph;
use crate::names::{RunId, Workspace};
use crate::run::Standing;
use crate::time::Timestamp;

/// What is allowed, for the whole installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Whether runs are created at all.
    pub autonomy: Autonomy,
    /// How long a run that waits for a person holds those below it, in milliseconds.
    pub person_wait_ms: u64,
    /// What a workspace that failed or was declined does to those below it.
    pub after_failure: AfterFailure,
}

/// Whether Sluice acts on what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Autonomy {
    /// Facts and decisions are recorded, no run is created.
    Observe,
    /// Runs are created.
    Run,
}

/// What happens below a workspace that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// It is held until the failed workspace applies.
    Hold,
    /// It goes on with what is true now.
    Continue,
}

impl Default for Policy {
    fn default() -> Self {
        Self { autonomy: Autonomy::Run, person_wait_ms: 3_600_000, after_failure: AfterFailure::Hold }
    }
}

/// One reason to be stale: a workspace that is read, and which of its outputs changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The workspace that is read.
    pub producer: Workspace,
    /// Names of the outputs that changed.
    pub outputs: Vec<String>,
}

/// What is to be done about one workspace, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What is to be done.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What made it stale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Fingerprint of the causes, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<InputsKey>,
}

/// What is to be done about one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing it uses has changed.
    Settled,
    /// It is stale and nothing above it is moving: run it now.
    Run,
    /// It is stale, and a run that is young enough to see the change is there already.
    Adopt {
        /// That run.
        run: RunId,
    },
    /// It is stale, but its own present run is too old to see the change, and must end first.
    AwaitOwnRun {
        /// That run.
        run: RunId,
    },
    /// It is stale, but an ancestor is still moving.
    Wait {
        /// That ancestor.
        on: Workspace,
    },
    /// It is stale, but an ancestor failed or was declined.
    Blocked {
        /// That ancestor.
        by: Workspace,
    },
    /// It failed or was declined for just these inputs.
    Refused {
        /// The run that ended so, if there was one.
        run: Option<RunId>,
        /// How it ended.
        why: String,
    },
    /// What changed is in a cycle with it.
    Cycle {
        /// The workspace it reads and that reads it, perhaps by way of others.
        with: Workspace,
    },
    /// A workspace it reads was destroyed: a person decides.
    ProducerDestroyed {
        /// That workspace.
        producer: Workspace,
    },
    /// It is stale, but Sluice was told only to look.
    Observed,
}

impl Verdict {
    /// One lower-case word, as it is stored.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Run => "run",
            Self::Adopt { .. } => "adopt",
            Self::AwaitOwnRun { .. } => "await_own_run",
            Self::Wait { .. } => "wait",
            Self::Blocked { .. } => "blocked",
            Self::Refused { .. } => "refused",
            Self::Cycle { .. } => "cycle",
            Self::ProducerDestroyed { .. } => "producer_destroyed",
            Self::Observed => "observed",
        }
    }

    /// The workspace whose settling makes this one worth another look.
    #[must_use]
    pub fn holder(&self) -> Option<&Workspace> {
        match self {
            Self::Wait { on } => Some(on),
            Self::Blocked { by } => Some(by),
            _ => None,
        }
    }
}

impl fmt::Display for Decision {
    /// The reason as a sentence without its subject: "waits for acme/network, which is not settled".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Settled => f.write_str("nothing it reads has changed"),
            Verdict::Run => write!(f, "runs, because of {}", Causes(&self.causes)),
            Verdict::Adopt { run } => write!(f, "{run} is there already and will see {}", Causes(&self.causes)),
            Verdict::AwaitOwnRun { run } => {
                write!(f, "waits for its own {run}, which is older than {}", Causes(&self.causes))
            }
            Verdict::Wait { on } => write!(f, "waits for {}, which is not settled", on.short()),
            Verdict::Blocked { by } => write!(f, "is held by {}, which did not get through", by.short()),
            Verdict::Refused { run: Some(run), why } => write!(f, "is not run again for the same inputs: {run} {why}"),
            Verdict::Refused { run: None, why } => write!(f, "cannot be run: {why}"),
            Verdict::Cycle { with } => write!(f, "is in a cycle with {}, and cycles never trigger", with.short()),
            Verdict::ProducerDestroyed { producer } => {
                write!(f, "{} was destroyed: a person decides", producer.short())
            }
            Verdict::Observed => {
                write!(f, "would run, because of {}, but only observing is allowed", Causes(&self.causes))
            }
        }
    }
}

/// How many causes, and how many outputs of each, a sentence names.
const NAMED_MAX: usize = 3;

struct Causes<'a>(&'a [Cause]);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, cause) in self.0.iter().take(NAMED_MAX).enumerate() {
            let outputs: Vec<&str> = cause.outputs.iter().take(NAMED_MAX).map(String::as_str).collect();
            let more = if cause.outputs.len() > NAMED_MAX { ", …" } else { "" };
            write!(
                f,
                "{}{} ({}{more})",
                if n == 0 { "" } else { " and " },
                cause.producer.short(),
                outputs.join(", ")
            )?;
        }
        if self.0.len() > NAMED_MAX { f.write_str(" and others") } else { Ok(()) }
    }
}

/// Decides about every workspace of `graph` at once; the result has the graph's own numbering.
///
/// Sound for a workspace only if the graph holds all its ancestors.
#[must_use]
pub fn decide(graph: &Graph, policy: &Policy, now: Timestamp) -> Vec<Decision> {
    let components = graph.components();
    let mut component_of = vec![0; graph.len()];
    for (number, component) in components.iter().enumerate() {
        for node in component {
            component_of[*node] = number;
        }
    }
    let mut above: Vec<Above> = Vec::with_capacity(components.len());
    let mut decisions: Vec<Option<Decision>> = vec![None; graph.len()];
    for component in &components {
        let mut inherited = Above::default();
        for node in component {
            for producer in graph.producers(*node) {
                if component_of[*producer] != component_of[*node] {
                    inherited.take(&above[component_of[*producer]]);
                }
            }
        }
        // What is in the component is nearer to those below than what it inherited.
        let mut passed_on = Above::default();
        for node in component {
            let alone = stand(graph, *node, policy, now, |producer| component_of[producer] == component_of[*node]);
            let (decision, unsettled) = alone.among(&inherited);
            passed_on.add(graph.workspace(*node), &decision, unsettled, policy);
            decisions[*node] = Some(decision);
        }
        passed_on.take(&inherited);
        above.push(passed_on);
    }
    decisions.into_iter().map(|decision| decision.expect("every node is in a component")).collect()
}

/// What holds back everything below a component: the nearest ancestor that moves, and the nearest that failed.
#[derive(Debug, Clone, Default)]
struct Above {
    unsettled: Option<Workspace>,
    held: Option<Workspace>,
}

impl Above {
    fn take(&mut self, other: &Self) {
        self.unsettled = self.unsettled.take().or_else(|| other.unsettled.clone());
        self.held = self.held.take().or_else(|| other.held.clone());
    }

    fn add(&mut self, workspace: &Workspace, decision: &Decision, unsettled: bool, policy: &Policy) {
        if unsettled && self.unsettled.is_none() {
            self.unsettled = Some(workspace.clone());
        }
        if self.held.is_none()
            && policy.after_failure == AfterFailure::Hold
            && matches!(decision.verdict, Verdict::Refused { .. })
        {
            self.held = Some(workspace.clone());
        }
    }
}

/// One workspace by itself, before its ancestors are asked.
struct Stand {
    decision: Decision,
    /// It has an active run that counts.
    moving: bool,
    /// All it has are runs that a person has forgotten: those below must not wait for them.
    stuck: bool,
}

impl Stand {
    /// Its decision among its ancestors, and whether those below must wait for it.
    fn among(self, above: &Above) -> (Decision, bool) {
        let mut decision = self.decision;
        if decision.verdict == Verdict::Run {
            if let Some(on) = &above.unsettled {
                decision.verdict = Verdict::Wait { on: on.clone() };
            } else if let Some(by) = &above.held {
                decision.verdict = Verdict::Blocked { by: by.clone() };
            }
        }
        let due = matches!(
            decision.verdict,
            Verdict::Run | Verdict::Wait { .. } | Verdict::Adopt { .. } | Verdict::AwaitOwnRun { .. }
        );
        (decision, !self.stuck && (self.moving || due))
    }
}

fn stand(graph: &Graph, node: usize, policy: &Policy, now: Timestamp, in_cycle: impl Fn(usize) -> bool) -> Stand {
    let facts = graph.facts(node);
    let mut causes = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    let mut newest = Timestamp::default();
    let (mut cycle, mut destroyed) = (None, None);
    for (&producer, (name, edge)) in graph.producers(node).iter().zip(graph.edges(node)) {
        let offered = graph.facts(producer);
        let unseen = edge.unseen(&offered.outputs);
        if offered.state.as_ref().is_some_and(|state| state.destroyed) {
            destroyed = destroyed.or(Some(name));
        }
        if unseen.is_empty() {
            continue;
        }
        if in_cycle(producer) {
            cycle = cycle.or(Some(name));
            continue;
        }
        newest = newest.max(offered.state.as_ref().map_or(newest, |state| state.created_at));
        for output in &unseen {
            inputs.extend([name.to_string(), (*output).to_owned(), offered.outputs[*output].to_string()]);
        }
        causes.push(Cause { producer: name.clone(), outputs: unseen.into_iter().map(str::to_owned).collect() });
    }
    // HCP Terraform queues runs behind a plan that nobody confirms: they move no more than that does.
    let forgotten = facts.active.values().any(|run| run.awaits_too_long(policy, now));
    let moves = |run: &ActiveRun| !(run.awaits_too_long(policy, now) || forgotten && run.standing == Standing::Pending);
    let moving = facts.active.values().any(moves);
    let stuck = !moving && !facts.active.is_empty();
    if causes.is_empty() {
        let verdict = match (cycle, destroyed) {
            (Some(with), _) => Verdict::Cycle { with: with.clone() },
            (None, Some(producer)) => Verdict::ProducerDestroyed { producer: producer.clone() },
            (None, None) => Verdict::Settled,
        };
        return Stand { decision: Decision { verdict, causes, inputs: None }, moving, stuck };
    }
    let inputs = InputsKey(of_texts(inputs.iter().map(String::as_str)));
    let mut verdict = stale(facts, policy, inputs, newest);
    if let Some(producer) = destroyed.filter(|_| matches!(verdict, Verdict::Run | Verdict::Observed)) {
        verdict = Verdict::ProducerDestroyed { producer: producer.clone() };
    }
    Stand { decision: Decision { verdict, causes, inputs: Some(inputs) }, moving, stuck }
}

/// The verdict on a workspace that is stale, as far as it depends on itself alone.
fn stale(facts: &Facts, policy: &Policy, inputs: InputsKey, newest: Timestamp) -> Verdict {
    // A run that was created after the newest of the inputs reads them all.
    if let Some((run, _)) = facts.active.iter().find(|(_, active)| active.created_at > newest) {
        return Verdict::Adopt { run: run.clone() };
    }
    if let Some((run, _)) = facts.active.iter().next_back() {
        return Verdict::AwaitOwnRun { run: run.clone() };
    }
    if let Some(refusal) = facts.refusal.as_ref().filter(|refusal| refusal.inputs.contains(&inputs)) {
        return Verdict::Refused { run: refusal.run.clone(), why: refusal.why.clone() };
    }
    match policy.autonomy {
        Autonomy::Run => Verdict::Run,
        Autonomy::Observe => Verdict::Observed,
    }
}

impl ActiveRun {
    fn awaits_too_long(&self, policy: &Policy, now: Timestamp) -> bool {
        self.standing == Standing::AwaitingPerson && now.since_ms(self.since) >= policy.person_wait_ms
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
