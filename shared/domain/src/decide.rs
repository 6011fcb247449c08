//! The decision rule: one pure function over facts. It looks at what is true now, not at which event said so.

use crate::digest::of_texts;
use crate::facts::{ActiveRun, Facts, InputsKey};
use crate::graph::Graph;
use crate::names::Workspace;
use crate::policy::{AfterFailure, Autonomy, Policy};
use crate::run::Standing;
use crate::time::Timestamp;
use crate::verdict::{Cause, Decision, Verdict};

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
        let due = matches!(
            decision.verdict,
            Verdict::Run | Verdict::Settling { .. } | Verdict::Adopt { .. } | Verdict::AwaitOwnRun { .. }
        );
        // A plan made while inputs still change would show a change that nobody is going to make.
        if matches!(decision.verdict, Verdict::Run | Verdict::Plan | Verdict::Settling { .. }) {
            if let Some(on) = &above.unsettled {
                decision.verdict = Verdict::Wait { on: on.clone() };
            } else if let Some(by) = &above.held {
                decision.verdict = Verdict::Blocked { by: by.clone() };
            }
        }
        let blocked = matches!(decision.verdict, Verdict::Blocked { .. });
        (decision, !self.stuck && (self.moving || due && !blocked))
    }
}

/// What makes one workspace stale.
#[derive(Default)]
struct Staleness {
    causes: Vec<Cause>,
    /// Names and digests of what changed, as the fingerprint takes them.
    inputs: Vec<String>,
    /// When the newest of the causes was written, by HCP Terraform's clock.
    written_at: Timestamp,
    /// When the newest of the causes was learned of, by our own clock.
    learned_at: Timestamp,
    /// How many steps below the workspace where it began.
    depth: u32,
}

impl Staleness {
    fn add(&mut self, producer: &Workspace, offered: &Facts, unseen: &[&str]) {
        for output in unseen {
            self.inputs.extend([producer.to_string(), (*output).to_owned(), offered.outputs[*output].to_string()]);
        }
        let outputs = unseen.iter().map(|output| (*output).to_owned()).collect();
        self.causes.push(Cause { producer: producer.clone(), outputs });
        if let Some(state) = &offered.state {
            self.written_at = self.written_at.max(state.created_at);
            self.learned_at = self.learned_at.max(state.learned_at);
            self.depth = self.depth.max(state.wave.as_ref().map_or(0, |wave| wave.depth).saturating_add(1));
        }
    }
}

fn stand(graph: &Graph, node: usize, policy: &Policy, now: Timestamp, in_cycle: impl Fn(usize) -> bool) -> Stand {
    let facts = graph.facts(node);
    let mut staleness = Staleness::default();
    let (mut cycle, mut destroyed) = (None, None);
    for (&producer, (name, edge)) in graph.producers(node).iter().zip(graph.edges(node)) {
        let offered = graph.facts(producer);
        let unseen = edge.unseen_in(offered);
        if offered.state.as_ref().is_some_and(|state| state.destroyed) {
            destroyed = destroyed.or(Some(name));
        }
        // What was there before Sluice came makes nobody run.
        if unseen.is_empty() || offered.state.as_ref().is_some_and(|state| state.baseline) {
            continue;
        }
        if in_cycle(producer) {
            cycle = cycle.or(Some(name));
            continue;
        }
        staleness.add(name, offered, &unseen);
    }
    let (moving, stuck) = motion(facts, policy, now);
    if staleness.causes.is_empty() {
        let verdict = match (cycle, destroyed) {
            (Some(with), _) => Verdict::Cycle { with: with.clone() },
            (None, Some(producer)) => Verdict::ProducerDestroyed { producer: producer.clone() },
            (None, None) => Verdict::Settled,
        };
        return Stand { decision: Decision { verdict, causes: Vec::new(), inputs: None }, moving, stuck };
    }
    let inputs = InputsKey(of_texts(staleness.inputs.iter().map(String::as_str)));
    let mut verdict = stale(graph.workspace(node), facts, policy, inputs, &staleness, now);
    if let Some(producer) = destroyed.filter(|_| verdict.acts() || verdict == Verdict::Observed) {
        verdict = Verdict::ProducerDestroyed { producer: producer.clone() };
    }
    Stand { decision: Decision { verdict, causes: staleness.causes, inputs: Some(inputs) }, moving, stuck }
}

/// Whether a workspace has a run that those below must wait for, and whether it has only others.
fn motion(facts: &Facts, policy: &Policy, now: Timestamp) -> (bool, bool) {
    // HCP Terraform queues runs behind a plan that nobody confirms: they move no more than that does.
    let forgotten = facts.active.values().any(|run| run.awaits_too_long(policy, now));
    let moves = |run: &ActiveRun| !(run.awaits_too_long(policy, now) || forgotten && run.standing == Standing::Pending);
    let moving = facts.active.values().any(moves);
    (moving, !moving && !facts.active.is_empty())
}

/// The verdict on a workspace that is stale, as far as it depends on itself alone.
fn stale(
    workspace: &Workspace,
    facts: &Facts,
    policy: &Policy,
    inputs: InputsKey,
    staleness: &Staleness,
    now: Timestamp,
) -> Verdict {
    // A run that was created after the newest of the inputs reads them all.
    if let Some((run, _)) = facts.active.iter().find(|(_, active)| active.created_at > staleness.written_at) {
        return Verdict::Adopt { run: run.clone() };
    }
    if let Some((run, _)) = facts.active.iter().next_back() {
        return Verdict::AwaitOwnRun { run: run.clone() };
    }
    if let Some(refusal) = facts.refusal.as_ref().filter(|refusal| refusal.inputs.contains(&inputs)) {
        return Verdict::Refused { run: refusal.run.clone(), why: refusal.why.clone() };
    }
    let autonomy = policy.autonomy.of(workspace, facts.tagged);
    if autonomy == Autonomy::Observe {
        return Verdict::Observed;
    }
    if staleness.depth > policy.budgets.depth {
        return Verdict::TooDeep { depth: staleness.depth };
    }
    if let Some(planned) = facts.planned.as_ref().filter(|planned| planned.inputs == inputs)
        && autonomy == Autonomy::Plan
    {
        return Verdict::Planned { run: planned.run.clone() };
    }
    let until = staleness.learned_at.plus_ms(policy.settle_ms);
    if policy.settle_ms > 0 && now < until {
        return Verdict::Settling { until };
    }
    if autonomy == Autonomy::Plan { Verdict::Plan } else { Verdict::Run }
}

impl ActiveRun {
    /// Whether it has waited so long, for a person or for its turn, that nobody is to wait for it.
    #[must_use]
    pub fn awaits_too_long(&self, policy: &Policy, now: Timestamp) -> bool {
        let patience_ms = match self.standing {
            Standing::AwaitingPerson => policy.person_wait_ms,
            Standing::Pending => policy.pending_wait_ms,
            _ => return false,
        };
        now.since_ms(self.since) >= patience_ms
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
