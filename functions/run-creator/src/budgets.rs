//! What keeps an order from becoming a run at once: a person's stop, what the workspace allows, and budgets. Nothing of
//! it is lost: it waits, is decided anew, or a person decides.

use sluice_domain::ports::{FactStore, Known, Runs, StoreError, Tallies, Tally, Worklist, WorkspaceFound, Write};
use sluice_domain::{
    ActiveRun, Autonomy, Budgets, Claimed, Decision, Marker, Order, RunKind, Timestamp, Verdict, Workspace,
};
use tracing::info;

use crate::{CreateError, Creator};

/// How long an order waits before it is looked at whether runs may be created again, in milliseconds.
const PAUSED_MS: u64 = 60_000;

/// How long an order waits for one of the runs under way to end, in milliseconds.
const FULL_MS: u64 = 30_000;

const HOUR_MS: u64 = 3_600_000;

/// Why an order waits, though nothing is wrong with it.
#[derive(Debug)]
pub(crate) struct Held {
    /// Until when.
    until: Timestamp,
    /// Why.
    why: String,
}

impl<S: FactStore + Worklist + Tallies, T: Runs> Creator<S, T> {
    /// Why the run of `order` is not to be created now, if it is not. Otherwise it counts from now on.
    pub(crate) async fn held(
        &self,
        workspace: &Workspace,
        claimed: &Claimed,
        order: &Order,
        now: Timestamp,
    ) -> Result<Option<Held>, CreateError> {
        if let Some(pause) = self.store.paused().await? {
            let why = format!("no run is created since {}: {}", pause.since, pause.why);
            return Ok(Some(Held { until: now.plus_ms(PAUSED_MS), why }));
        }
        self.over_budget(workspace, claimed, order, now).await
    }

    /// Why the workspace, as HCP Terraform describes it now, is not to be run so.
    pub(crate) async fn forbidden(
        &self,
        workspace: &Workspace,
        found: &WorkspaceFound,
        claimed: &Claimed,
        order: &Order,
        now: Timestamp,
    ) -> Result<Option<Held>, CreateError> {
        match (self.policy.autonomy.of(workspace, found.tagged), order.kind) {
            (Autonomy::Run, RunKind::Apply) | (Autonomy::Plan, RunKind::PlanOnly) => Ok(None),
            (autonomy, _) => {
                self.count_out(workspace, order, claimed.tried, now).await?;
                self.decide_anew(workspace, found, autonomy, now).await.map(Some)
            }
        }
    }

    /// The workspace's tags or the settings allow something else than when it was decided.
    async fn decide_anew(
        &self,
        workspace: &Workspace,
        found: &WorkspaceFound,
        autonomy: Autonomy,
        now: Timestamp,
    ) -> Result<Held, CreateError> {
        self.change(workspace, |Known { mut facts, version, .. }| {
            let look = Write::Look { workspace: workspace.clone(), at: now };
            if version == 0 || facts.tagged == found.tagged {
                return vec![look];
            }
            facts.tagged = found.tagged;
            vec![Write::Facts { workspace: workspace.clone(), facts: Box::new(facts), version }, look]
        })
        .await?;
        let why = format!("what is allowed has changed since it was decided: {autonomy} now");
        // By then it is decided anew, and this order is not wanted any more.
        Ok(Held { until: now.plus_ms(PAUSED_MS), why })
    }

    async fn over_budget(
        &self,
        workspace: &Workspace,
        claimed: &Claimed,
        order: &Order,
        now: Timestamp,
    ) -> Result<Option<Held>, CreateError> {
        let (store, budgets, run) = (&self.store, self.policy.budgets, &order.marker.0);
        let counts = budgets.concurrent_runs != Budgets::UNLIMITED && order.kind == RunKind::Apply;
        let counted = order.marker.counted_in(workspace);
        if counts && !self.join_under_way(&counted, budgets.concurrent_runs, now).await? {
            let why = format!("{} runs are under way", budgets.concurrent_runs);
            return Ok(Some(Held { until: now.plus_ms(FULL_MS), why }));
        }
        let hour = now.0 / HOUR_MS;
        if budgets.runs_per_hour != Budgets::UNLIMITED
            && !store.join(&Tally::Hour(hour), run, budgets.runs_per_hour, now).await?
        {
            self.count_out(workspace, order, claimed.tried, now).await?;
            let why = format!("{} runs have been created in this hour", budgets.runs_per_hour);
            return Ok(Some(Held { until: Timestamp((hour + 1) * HOUR_MS), why }));
        }
        let wave_runs = if claimed.replayed { Budgets::UNLIMITED } else { budgets.wave_runs };
        if let Some(wave) = order.wave.as_ref().filter(|_| budgets.wave_runs != Budgets::UNLIMITED)
            && !store.join(&Tally::Wave(wave.origin.clone()), run, wave_runs, now).await?
        {
            return Err(CreateError::WaveTooLarge(wave.root.clone(), budgets.wave_runs));
        }
        Ok(None)
    }

    async fn join_under_way(&self, run: &str, most: u32, now: Timestamp) -> Result<bool, StoreError> {
        if self.store.join(&Tally::UnderWay, run, most, now).await? {
            return Ok(true);
        }
        // Whoever counts without a run must not count for ever, nor whoever has a run that nobody waits for.
        let counted = self.store.counted(&Tally::UnderWay).await?;
        let workspaces = counted.iter().filter_map(|counted| Marker::counted_workspace(counted)).collect();
        let known = self.store.known(&workspaces).await?;
        let moves = |run: &ActiveRun| run.inputs.is_some() && !run.awaits_too_long(&self.policy, now);
        let mut freed = false;
        for counted in counted {
            let Some(workspace) = Marker::counted_workspace(&counted) else { continue };
            // An order of another run is no reason: it may be the one that waits for this place.
            let ordered = |it: &Known| {
                it.ordered && it.order.as_ref().is_some_and(|order| order.marker.counted_in(&workspace) == counted)
            };
            let alive = known.get(&workspace).is_some_and(|it| ordered(it) || it.facts.active.values().any(moves));
            if !alive {
                self.store.leave(&Tally::UnderWay, &counted).await?;
                freed = true;
            }
        }
        if freed { self.store.join(&Tally::UnderWay, run, most, now).await } else { Ok(false) }
    }

    /// The run of `order` is not going to be, or not now. `tried`: it may be all the same, and counts for its hour and its
    /// wave; that nothing is under way shows by itself.
    pub(crate) async fn count_out(
        &self,
        workspace: &Workspace,
        order: &Order,
        tried: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let budgets = self.policy.budgets;
        if budgets.concurrent_runs != Budgets::UNLIMITED {
            self.store.leave(&Tally::UnderWay, &order.marker.counted_in(workspace)).await?;
        }
        if tried {
            return Ok(());
        }
        if budgets.runs_per_hour != Budgets::UNLIMITED {
            self.store.leave(&Tally::Hour(now.0 / HOUR_MS), &order.marker.0).await?;
        }
        if let Some(wave) = order.wave.as_ref().filter(|_| budgets.wave_runs != Budgets::UNLIMITED) {
            self.store.leave(&Tally::Wave(wave.origin.clone()), &order.marker.0).await?;
        }
        Ok(())
    }

    /// Puts an order off, and puts the reason on record if it is a new one.
    pub(crate) async fn hold(
        &self,
        workspace: &Workspace,
        claimed: &Claimed,
        held: Held,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Held { until, why } = held;
        let before = self.store.known_one(workspace).await?;
        if before.held.as_ref() != Some(&why) {
            info!(work = %claimed.key, "put off the {} until {until}: {why}", claimed.key);
            let (causes, inputs) = before.decision.map(|it| (it.causes, it.inputs)).unwrap_or_default();
            let decision = Decision { verdict: Verdict::Held { why: why.clone() }, causes, inputs };
            self.store.commit(&[Write::Note { workspace: workspace.clone(), decision, at: now }]).await?;
        }
        self.store.postpone(claimed, until, Some(&why)).await
    }
}
