//! Whether everything above a workspace is settled, and its plan was made on what is true now.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::decide;
use crate::facts::Facts;
use crate::gate::check::{Stage, Unsettled};
use crate::gate::execution::{CheckVerdict, Ended};
use crate::gate::outcome::{Level, Outcome, Tag};
use crate::gate::request::TaskRequest;
use crate::graph::Graph;
use crate::names::Workspace;
use crate::policy::Policy;
use crate::ports::FactStore;
use crate::reach::{ReachError, with_ancestors};
use crate::run::Standing;
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// What an `upstream` check sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upstream {
    /// Workspaces above that move, and how: what they offer may change any moment.
    pub unsettled: Vec<(Workspace, String)>,
    /// Workspaces that are read and have changed since the plan was made, and in which outputs.
    pub newer: Vec<(Workspace, Vec<String>)>,
    /// Nothing is known of the workspace itself.
    pub unknown: bool,
}

/// Looks at everything above the workspace whose run asks.
pub async fn upstream(
    store: &impl FactStore,
    request: &TaskRequest,
    policy: &Policy,
    now: Timestamp,
) -> Result<Upstream, ReachError> {
    let workspace = &request.workspace;
    let known = with_ancestors(store, &BTreeSet::from([workspace.clone()])).await?;
    let facts = known.into_iter().map(|(name, known)| (name, known.facts)).collect();
    Ok(seen(facts, request, policy, now))
}

fn seen(facts: BTreeMap<Workspace, Facts>, request: &TaskRequest, policy: &Policy, now: Timestamp) -> Upstream {
    let graph = Graph::new(facts);
    let mut upstream = Upstream::default();
    let Some(own) = graph.number(&request.workspace) else { return Upstream { unknown: true, ..upstream } };
    let planned_at = planned_at(request, graph.facts(own));
    for (number, (name, edge)) in graph.producers(own).iter().zip(graph.edges(own)) {
        let producer = graph.facts(*number);
        let unseen = edge.unseen_in(producer);
        let later =
            |planned_at| producer.state.as_ref().is_some_and(|state| state.created_at > planned_at && !state.baseline);
        if planned_at.is_some_and(later) && !unseen.is_empty() {
            upstream.newer.push((name.clone(), unseen.into_iter().map(str::to_owned).collect()));
        }
    }
    let decisions = decide(&graph, policy, now);
    // Those in a cycle with it are not above it more than below.
    let components = graph.components();
    let beside: BTreeSet<usize> =
        components.into_iter().find(|it| it.contains(&own)).unwrap_or_default().into_iter().collect();
    for number in (0..graph.len()).filter(|number| !beside.contains(number)) {
        let (facts, decision) = (graph.facts(number), &decisions[number]);
        let due = matches!(
            decision.verdict,
            Verdict::Run
                | Verdict::Settling { .. }
                | Verdict::Wait { .. }
                | Verdict::Adopt { .. }
                | Verdict::AwaitOwnRun { .. }
        );
        let how = match facts.active.iter().next() {
            Some((run, active)) => format!("{run} is {}", active.standing),
            None if due => decision.to_string(),
            None => continue,
        };
        upstream.unsettled.push((graph.workspace(number).clone(), how));
    }
    upstream
}

/// When the plan was made, at the latest, if it is old enough for something to have changed since: right after the plan
/// nothing has, and before it there is none.
fn planned_at(request: &TaskRequest, own: &Facts) -> Option<Timestamp> {
    match request.stage {
        Stage::PrePlan | Stage::PostPlan => None,
        Stage::PreApply | Stage::PostApply => {
            let run = own.active.get(&request.run).filter(|run| run.standing >= Standing::AwaitingPerson);
            Some(run.map_or(request.run_created_at, |run| run.since))
        }
    }
}

impl Upstream {
    /// What that means for the run; None if it is to be looked at again.
    #[must_use]
    pub fn judge(&self, unsettled: Unsettled, now: Timestamp) -> Option<Ended> {
        let (verdict, level) = match unsettled {
            Unsettled::Warn => (CheckVerdict::Passed, Level::Warning),
            Unsettled::Fail | Unsettled::Wait => (CheckVerdict::Failed, Level::Error),
        };
        if self.unsettled.is_empty() && self.newer.is_empty() {
            return Some(Ended::new(now, CheckVerdict::Passed, self.sentence()));
        }
        // Waiting does not make an old plan new.
        if unsettled == Unsettled::Wait && self.newer.is_empty() {
            return None;
        }
        Some(Ended::new(now, verdict, self.sentence()).with(self.outcomes(level)))
    }

    /// What it sees, in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let names = |names: Vec<&Workspace>| {
            let named = names.iter().take(3).map(|name| name.short()).collect::<Vec<_>>().join(", ");
            if names.len() > 3 { format!("{named} and {} more", names.len() - 3) } else { named }
        };
        let moving = names(self.unsettled.iter().map(|(name, _)| name).collect());
        let newer = names(self.newer.iter().map(|(name, _)| name).collect());
        match (self.unsettled.is_empty(), self.newer.is_empty()) {
            (true, true) if self.unknown => "nothing is known yet of what this workspace reads".to_owned(),
            (true, true) => "everything above is settled".to_owned(),
            (_, true) => format!("{moving} above is not settled yet"),
            (true, false) => format!("the plan is older than what it reads of {newer}: start a new run"),
            (false, false) => {
                format!("the plan is older than what it reads of {newer}, and {moving} is not settled yet")
            }
        }
    }

    fn outcomes(&self, level: Level) -> Vec<Outcome> {
        let newer = self.newer.iter().map(|(name, outputs)| Outcome {
            id: format!("newer.{}", name.name),
            description: format!("{} has changed {} since the plan was made", name.short(), outputs.join(", ")),
            tags: vec![Tag::new("Status", "Plan is stale", level)],
            body: Some("Start a new run: its plan will be made on what is true now.".to_owned()),
            url: None,
        });
        let moving = self.unsettled.iter().map(|(name, how)| Outcome {
            id: format!("unsettled.{}", name.name),
            description: format!("{}: {how}", name.short()),
            tags: vec![Tag::new("Status", "Not settled", level)],
            body: None,
            url: None,
        });
        newer.chain(moving).collect()
    }
}

#[cfg(test)]
mod tests;
