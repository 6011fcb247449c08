//! Looks at a workspace and what is below it, decides, and writes down what was decided.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::ports::{FactStore, Inbox, Known, States, StoreError, Tallies, Write};
use sluice_domain::reach::with_ancestors;
use sluice_domain::{
    ActiveRun, Decision, Facts, Graph, Order, Planned, Refusal, RunReport, Standing, Timestamp, Verdict, Wave,
    Workspace, decide,
};
use sluice_lambda::work::{self, Next};
use tracing::field::display;
use tracing::info;

use crate::count::Looked;
use crate::{CONFLICTS_MAX, IndexError, Indexer, retrying};

/// The shortest wait before a workspace is looked at again though nothing was heard, in milliseconds.
const WAIT_LEAST_MS: u64 = 1_000;

/// How long the wait for a run that moves lasts before it is looked at though nobody rang, where a person is not waited for
/// at all, in milliseconds.
const LOST_BELL_MS: u64 = 60_000;

/// How long an order that is in the way of another is given, in milliseconds: as long as run-creator's claim.
const ORDER_AGAIN_MS: u64 = 60_000;

impl<S: FactStore + Inbox + Tallies, T: States> Indexer<S, T> {
    /// A wait has lasted long: the workspace that waits is looked at by itself.
    pub(crate) async fn look_after_waiting(
        &self,
        holder: &Workspace,
        waiter: &Workspace,
        now: Timestamp,
    ) -> Result<Next, IndexError> {
        if holder == waiter
            && let Some(next) = self.look_after_plan(waiter, now).await?
        {
            return Ok(next);
        }
        let mut writes = Vec::new();
        if holder != waiter {
            // It may have been renamed or removed with a run under way, of which it hears nothing more. Or nobody has
            // looked at it since something far above it changed: a cycle that is none any more.
            writes.push(Write::Verify { workspace: holder.clone(), at: now });
            writes.push(Write::Look { workspace: holder.clone(), at: now });
        }
        writes.push(Write::NoWaiter { holder: holder.clone(), waiter: waiter.clone() });
        writes.push(Write::Look { workspace: waiter.clone(), at: now });
        self.store.commit(&writes).await?;
        Ok(Next::Done)
    }

    /// HCP Terraform does not tell how a plan-only run ends, so it is asked. None if there is none to ask after.
    async fn look_after_plan(&self, workspace: &Workspace, now: Timestamp) -> Result<Option<Next>, IndexError> {
        let Known { facts, .. } = self.store.known_one(workspace).await?;
        let planned = facts.planned.filter(|planned| !planned.ended);
        let (Some(planned), Some(workspace_id)) = (planned, facts.id) else { return Ok(None) };
        let (workspace, run) = (workspace.clone(), planned.run.clone());
        let (created_at, at, standing) = (now, now, Standing::Pending);
        let report = RunReport { workspace, workspace_id, run, created_at, standing, at, marker: None };
        let found = self.terraform.run(&report).await?;
        let found = found.unwrap_or(RunReport { standing: Standing::Canceled, ..report });
        if !found.standing.ended() {
            return Ok(Some(Next::Again(now.plus_ms(self.watch_ms))));
        }
        retrying!(self.end_plan(&planned, &found).await)?;
        Ok(None)
    }

    async fn end_plan(&self, planned: &Planned, report: &RunReport) -> Result<(), IndexError> {
        let workspace = &report.workspace;
        let Known { mut facts, version, .. } = self.store.known_one(workspace).await?;
        if facts.planned.as_ref() != Some(planned) {
            return Ok(());
        }
        if report.standing.got_through() {
            facts.planned = Some(Planned { ended: true, ..planned.clone() });
        } else {
            facts.planned = None;
            facts.refusal = Some(Refusal {
                inputs: [planned.inputs].into(),
                created_at: report.created_at,
                run: Some(report.run.clone()),
                why: report.standing.to_string(),
                declined: report.standing != Standing::Errored,
            });
        }
        let facts = Box::new(facts);
        Ok(self.store.commit(&[Write::Facts { workspace: workspace.clone(), facts, version }]).await?)
    }

    /// Decides about a workspace, whoever reads it and whoever waits for it.
    pub(crate) async fn look(&self, root: &Workspace, now: Timestamp) -> Result<Next, IndexError> {
        let around = self.store.around(root).await?;
        let mut targets: BTreeSet<Workspace> = around.consumers;
        targets.extend(around.waiters);
        targets.insert(root.clone());
        let mut conflicts = 0;
        while !targets.is_empty() {
            if conflicts > CONFLICTS_MAX {
                return Err(StoreError::Conflict.into());
            }
            conflicts += 1;
            targets = self.judge(root, &targets, now).await?;
        }
        Ok(Next::Done)
    }

    /// Decides about `targets`. Returns those whose facts changed underneath, to be decided about again.
    async fn judge(
        &self,
        root: &Workspace,
        targets: &BTreeSet<Workspace>,
        now: Timestamp,
    ) -> Result<BTreeSet<Workspace>, IndexError> {
        let mut known = with_ancestors(&self.store, targets).await?;
        let facts = known.iter_mut().map(|(name, known)| (name.clone(), std::mem::take(&mut known.facts))).collect();
        let graph = Graph::new(facts);
        let decisions = decide(&graph, &self.policy, now);
        if let Some(state) = graph.number(root).and_then(|number| graph.facts(number).state.as_ref()) {
            work::traced(&state.trace(root));
        }
        if targets.contains(root) {
            Looked { root, targets, graph: &graph, decisions: &decisions, known: &known, now }.count();
        }
        let mut moved = BTreeSet::new();
        let mut failed = None;
        for target in targets {
            let (Some(number), Some(before)) = (graph.number(target), known.get(target)) else { continue };
            let decision = &decisions[number];
            let case = Case { root, target, before, decision, graph: &graph, known: &known, now };
            let writes = case.writes(self.policy.person_wait_ms);
            match self.store.commit(&writes).await {
                Ok(()) if writes.is_empty() => {}
                Ok(()) => log(target, decision, &graph),
                Err(StoreError::Conflict) => drop(moved.insert(target.clone())),
                // What cannot be written about one must not keep the others.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(moved),
        }
    }
}

fn log(target: &Workspace, decision: &Decision, graph: &Graph) {
    // Where it has no wave of its own, the trace is that of the look.
    let trace = Wave::of(decision, graph).map(|wave| display(wave.trace()));
    info!(
        verdict = decision.verdict.word(),
        organization = %target.organization,
        workspace = target.name,
        trace,
        "{}: {decision}",
        target.short()
    );
}

/// One workspace that was decided about.
struct Case<'a> {
    root: &'a Workspace,
    target: &'a Workspace,
    before: &'a Known,
    decision: &'a Decision,
    graph: &'a Graph,
    known: &'a BTreeMap<Workspace, Known>,
    now: Timestamp,
}

impl Case<'_> {
    /// Whether those who waited for this workspace need not any longer: it was not settled, and is now, or has
    /// come to a stop.
    fn lets_go(&self) -> bool {
        let was_settled = self.before.decision.as_ref().is_none_or(|before| before.verdict == Verdict::Settled);
        let moves = matches!(
            self.decision.verdict,
            Verdict::Run
                | Verdict::Plan
                | Verdict::Wait { .. }
                | Verdict::Settling { .. }
                | Verdict::Adopt { .. }
                | Verdict::AwaitOwnRun { .. }
        );
        !was_settled && !moves && self.before.decision.as_ref() != Some(self.decision)
    }

    /// What the decision changes in the table, on condition that what it was made from still holds.
    fn writes(&self, person_wait_ms: u64) -> Vec<Write> {
        let holder = self.holder(self.decision);
        let held_before = self.before.decision.as_ref().and_then(|before| self.holder(before));
        let mut writes = Vec::new();
        if self.before.decision.as_ref() != Some(self.decision) {
            let (workspace, decision) = (self.target.clone(), self.decision.clone());
            writes.push(Write::Decision { workspace, decision, at: self.now });
        }
        if let Some(holder) = held_before.filter(|before| Some(*before) != holder) {
            writes.push(Write::NoWaiter { holder: holder.clone(), waiter: self.target.clone() });
        }
        // The wait of the root itself may just have run out, and is made anew whether or not the decision changed.
        if let Some(holder) = holder.filter(|_| !writes.is_empty() || self.target == self.root) {
            let until = self.look_again_at(holder, person_wait_ms);
            writes.push(Write::Waiter { holder: holder.clone(), waiter: self.target.clone(), until });
            if holder != self.target {
                writes.push(self.unchanged(holder));
            }
        }
        let lets_go = self.target != self.root && self.lets_go();
        if let Some(order) = Order::of(self.target, self.decision, self.graph, self.now) {
            let workspace = self.target.clone();
            if !self.before.ordered {
                writes.push(Write::Order { workspace, order });
            } else if self.before.order.as_ref().is_none_or(|before| before.marker != order.marker) && !lets_go {
                // Only one order at a time: what this one asks for is looked at when the other is out of the way, as
                // the run that came of that may be over and nothing else would.
                writes.push(Write::Look { workspace, at: self.now.plus_ms(ORDER_AGAIN_MS) });
            }
        }
        if lets_go {
            // That look finds the other order, if there is one: a commit names no item twice.
            writes.push(Write::Look { workspace: self.target.clone(), at: self.now });
        }
        if !writes.is_empty() {
            writes.push(self.unchanged(self.target));
        }
        writes
    }

    /// Whom the workspace waits for: another to settle, or, while changes still come, for itself.
    fn holder<'b>(&'b self, decision: &'b Decision) -> Option<&'b Workspace> {
        match decision.verdict {
            Verdict::Settling { .. } => Some(self.target),
            _ => decision.verdict.holder(),
        }
    }

    fn unchanged(&self, workspace: &Workspace) -> Write {
        let version = self.known.get(workspace).map_or(0, |known| known.version);
        Write::Unchanged { workspace: workspace.clone(), version }
    }

    /// When a wait is looked at even if its holder has not settled: when a person has had long enough, if that is
    /// what the holder waits for.
    fn look_again_at(&self, holder: &Workspace, person_wait_ms: u64) -> Timestamp {
        if let Verdict::Settling { until } = self.decision.verdict {
            return until;
        }
        let facts: Option<&Facts> = self.graph.number(holder).map(|number| self.graph.facts(number));
        let awaits = |run: &&ActiveRun| run.standing == Standing::AwaitingPerson;
        let since = facts.and_then(|facts| facts.active.values().filter(awaits).map(|run| run.since).max());
        let lost_bell_ms = if person_wait_ms == 0 { LOST_BELL_MS } else { person_wait_ms.max(WAIT_LEAST_MS) };
        let Some(since) = since else { return self.now.plus_ms(lost_bell_ms) };
        let since = since.max(Timestamp(self.now.0.saturating_sub(person_wait_ms)));
        since.plus_ms(person_wait_ms).max(self.now.plus_ms(WAIT_LEAST_MS))
    }
}
