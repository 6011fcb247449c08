//! News of runs becomes facts.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::ports::{FactStore, Inbox, Known, StateVersion, States, Tallies, Tally, WRITES_MAX, Write};
use sluice_domain::{
    Autonomy, Budgets, Claimed, Classify, Facts, Findings, RunReport, Seen, Standing, StateFacts, Timestamp, Workspace,
};
use sluice_lambda::work::{self, ATTEMPTS_MAX, Next, given_up};
use tracing::info;

use crate::{IndexError, Indexer, retrying};

/// How often the state version of an applied run is waited for. HCP Terraform does not say whether it is current
/// when the notification comes.
const STATE_WAITS_MAX: u32 = 4;

/// How long the state version of an applied run is looked for after that, and how often, in milliseconds.
const STATE_PATIENCE_MS: u64 = 3_600_000;
const STATE_AGAIN_MS: u64 = 120_000;

/// Whether HCP Terraform may be asked more about a run. Not where it has failed to answer again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Yes,
    No,
}

/// What the copies in a state tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    /// What its workspace has seen.
    Count,
    /// Nothing: the run that wrote them was told to leave things out, and took them over without acting on them.
    AreCarriedAlong,
}

/// What a state version taught, if it was a new one.
pub(crate) type Learned = Option<(StateFacts, Findings)>;

impl<S: FactStore + Inbox + Tallies, T: States> Indexer<S, T> {
    /// A run is under way. If that was known, the run has been silent for long: ask.
    pub(crate) async fn take_in_activity(&self, report: &RunReport, now: Timestamp) -> Result<Next, IndexError> {
        let watch = Next::Again(now.plus_ms(self.watch_ms));
        let heard = retrying!(self.hear(report, now).await)?;
        if heard {
            return Ok(watch);
        }
        match self.terraform.run(report).await? {
            Some(found) if found.standing.rank() > report.standing.rank() => {
                if self.is_gone(&report.workspace, &report.workspace_id).await? {
                    // It has another name now, under which the run is heard of.
                    retrying!(self.let_go(report, now).await)?;
                    return self.verify(&report.workspace, now).await;
                }
                self.store.record(&found, now).await?;
                Ok(Next::Done)
            }
            Some(_) => Ok(watch),
            // The workspace is not to be seen either. Should it be back one day, its next news tells.
            None if self.terraform.workspace(&report.workspace_id).await?.is_none() => {
                retrying!(self.let_go(report, now).await)?;
                self.verify(&report.workspace, now).await
            }
            None => {
                let gone = RunReport { standing: Standing::Canceled, at: now, ..report.clone() };
                self.store.record(&gone, now).await?;
                Ok(Next::Done)
            }
        }
    }

    /// The run went with its workspace. If that was made anew under the same name, nobody must wait for the run.
    async fn let_go(&self, report: &RunReport, now: Timestamp) -> Result<(), IndexError> {
        let Known { mut facts, version, .. } = self.store.known_one(&report.workspace).await?;
        let made_anew = facts.id.as_ref().is_some_and(|id| *id != report.workspace_id);
        if !made_anew || facts.active.remove(&report.run).is_none() {
            return Ok(());
        }
        let workspace = report.workspace.clone();
        let look = Write::Look { workspace: workspace.clone(), at: now };
        Ok(self.store.commit(&[Write::Facts { workspace, facts: Box::new(facts), version }, look]).await?)
    }

    /// Whether `report` was news.
    async fn hear(&self, report: &RunReport, now: Timestamp) -> Result<bool, IndexError> {
        let Known { mut facts, version, order, .. } = self.store.known_one(&report.workspace).await?;
        work::traced(&report.trace(order.as_ref()));
        let before = facts.active.clone();
        facts.hear(report, order.as_ref());
        if facts.active == before {
            return Ok(false);
        }
        if version == 0 {
            self.begin_surveys(&report.workspace, now).await?;
        }
        let facts = Box::new(facts);
        self.store.commit(&[Write::Facts { workspace: report.workspace.clone(), facts, version }]).await?;
        Ok(true)
    }

    /// Something is heard of a workspace for the first time: its organization is listed from now on, if it is not yet.
    async fn begin_surveys(&self, workspace: &Workspace, now: Timestamp) -> Result<(), IndexError> {
        let (host, organization) = (workspace.host.clone(), workspace.organization.clone());
        let at = now.plus_ms(self.survey_ms);
        Ok(self.store.commit(&[Write::FirstSurvey { host, organization, at }]).await?)
    }

    /// A run is over. If it got through, what it left behind is read.
    pub(crate) async fn take_in_end(
        &self,
        claimed: &Claimed,
        report: &RunReport,
        now: Timestamp,
    ) -> Result<Next, IndexError> {
        let result = match claimed.attempts {
            ..=ATTEMPTS_MAX => self.end(claimed, report, now).await,
            attempts => Err(IndexError::NeverEnds(attempts)),
        };
        if result.is_ok() {
            self.count_out(report).await?;
        }
        if let Err(error) = &result
            && given_up(claimed, error.fault())
        {
            // What it left behind cannot be read, but it is over all the same: nobody must wait for it.
            retrying!(self.fold(report, None, Asks::No, now).await)?;
        }
        result
    }

    /// A run of Sluice's own no longer counts as under way.
    async fn count_out(&self, report: &RunReport) -> Result<(), IndexError> {
        let limited = self.policy.budgets.concurrent_runs != Budgets::UNLIMITED;
        if let Some(marker) = report.marker.as_ref().filter(|_| limited) {
            self.store.leave(&Tally::UnderWay, &marker.counted_in(&report.workspace)).await?;
        }
        Ok(())
    }

    async fn end(&self, claimed: &Claimed, report: &RunReport, now: Timestamp) -> Result<Next, IndexError> {
        if !report.standing.got_through() {
            return retrying!(self.fold(report, None, Asks::Yes, now).await);
        }
        let known = self.store.known_one(&report.workspace).await?;
        work::traced(&report.trace(known.order.as_ref()));
        let Some(state) = self.terraform.current_state(&report.workspace_id).await? else {
            if !self.is_gone(&report.workspace, &report.workspace_id).await? {
                return self.end_without_state(claimed, report, &known.facts, now).await;
            }
            // Of a workspace that was made anew under the same name, this is news from before.
            let made_anew = known.facts.id.as_ref().is_some_and(|id| *id != report.workspace_id);
            if made_anew {
                retrying!(self.let_go(report, now).await)?;
                return Ok(Next::Done);
            }
            return self.forget(&report.workspace, now).await;
        };
        if known.version == 0 && self.is_gone(&report.workspace, &report.workspace_id).await? {
            // The name is one that it has lost, and late news does not bring that back.
            return Ok(Next::Done);
        }
        let awaits_state = awaits_state(report, &state);
        let folded = known.facts.ended.contains(&report.run);
        if awaits_state && !folded && claimed.attempts <= STATE_WAITS_MAX {
            return Err(IndexError::NotCurrentYet(report.run.clone()));
        }
        let learned = read(&self.terraform, &report.workspace, &known.facts, state).await?;
        self.heed_tags(report, &known.facts).await?;
        if learned.is_some() || !folded || !awaits_state {
            retrying!(self.fold(report, learned.clone(), Asks::Yes, now).await)?;
        }
        Ok(patience(awaits_state, report, now))
    }

    /// Takes in what the workspace's tags allow now, where that may be more than is known: run-creator asks again
    /// before each run, but nobody asks on behalf of a workspace that may not be run.
    async fn heed_tags(&self, report: &RunReport, known: &Facts) -> Result<(), IndexError> {
        let rules = &self.policy.autonomy;
        let settled = rules.default == Autonomy::Run && known.tagged.is_none();
        if settled || rules.fixed(&report.workspace).is_some() {
            return Ok(());
        }
        let Some(found) = self.terraform.workspace(&report.workspace_id).await? else { return Ok(()) };
        if found.tagged == known.tagged {
            return Ok(());
        }
        retrying!(self.retag(&report.workspace, found.tagged).await)
    }

    async fn retag(&self, workspace: &Workspace, tagged: Option<Autonomy>) -> Result<(), IndexError> {
        let Known { mut facts, version, .. } = self.store.known_one(workspace).await?;
        facts.tagged = tagged;
        let facts = Box::new(facts);
        Ok(self.store.commit(&[Write::Facts { workspace: workspace.clone(), facts, version }]).await?)
    }

    /// The workspace is there and has no state: if the run applied, its first one is still to come.
    async fn end_without_state(
        &self,
        claimed: &Claimed,
        report: &RunReport,
        known: &Facts,
        now: Timestamp,
    ) -> Result<Next, IndexError> {
        let awaits_state = report.standing == Standing::Applied;
        let folded = known.ended.contains(&report.run);
        if awaits_state && !folded && claimed.attempts <= STATE_WAITS_MAX {
            return Err(IndexError::NotCurrentYet(report.run.clone()));
        }
        if !folded || !awaits_state {
            retrying!(self.fold(report, None, Asks::Yes, now).await)?;
        }
        Ok(patience(awaits_state, report, now))
    }

    /// Writes down what the end of a run means, and has everything below looked at.
    async fn fold(&self, report: &RunReport, learned: Learned, asks: Asks, now: Timestamp) -> Result<Next, IndexError> {
        let workspace = &report.workspace;
        let Known { facts: before, version, order, .. } = self.store.known_one(workspace).await?;
        if version == 0 && !report.standing.got_through() {
            // Nothing is known of the workspace, perhaps as it was removed, and there is nothing to learn.
            return Ok(Next::Done);
        }
        work::traced(&report.trace(order.as_ref()));
        let learned = learned.filter(|(state, _)| is_newer(state, &before));
        let mut producers = self.producers(workspace, &before, learned.as_ref()).await?;
        let (seen, copies) = self.seen(report, &before, learned.as_ref(), &producers, asks).await?;
        let mut facts = before.clone();
        if let Some((state, findings)) = learned {
            let wave = order.as_ref().filter(|order| order.made(report)).and_then(|order| order.wave.clone());
            let findings = if copies == Copies::Count { findings } else { findings.with_copies_of(&before) };
            facts.learn(StateFacts { wave, ..state }, findings, now);
        }
        // A workspace that reads itself has seen what it wrote.
        producers.insert(workspace.clone(), facts.clone());
        facts.end(workspace, report, order.as_ref(), &producers, seen, now);
        self.write(workspace, &before, facts, version, now, true).await?;
        info!(standing = %report.standing, "took in that {} of {workspace} is {}", report.run, report.standing);
        Ok(Next::Done)
    }

    /// The facts of whoever the workspace reads, before and after what was learned.
    pub(crate) async fn producers(
        &self,
        workspace: &Workspace,
        before: &Facts,
        learned: Option<&(StateFacts, Findings)>,
    ) -> Result<BTreeMap<Workspace, Facts>, IndexError> {
        let found = learned.and_then(|(_, findings)| findings.producers.as_ref());
        let taught = before.taught.iter().flat_map(|taught| taught.reads.keys());
        let names = before.producers.keys().chain(found.into_iter().flat_map(BTreeMap::keys)).chain(taught);
        let names: BTreeSet<Workspace> = names.filter(|name| *name != workspace).cloned().collect();
        let known = self.store.facts(&names).await?;
        Ok(known.into_iter().map(|(name, known)| (name, known.facts)).collect())
    }

    /// What the run has seen of its inputs, and whether the copies in the state that was read count. Sluice's own runs
    /// leave nothing out; of others it is asked where it matters.
    async fn seen(
        &self,
        report: &RunReport,
        before: &Facts,
        learned: Option<&(StateFacts, Findings)>,
        producers: &BTreeMap<Workspace, Facts>,
        asks: Asks,
    ) -> Result<(Seen, Copies), IndexError> {
        let wrote = learned.is_some_and(|(state, _)| state.run.as_ref() == Some(&report.run));
        let trusted = !report.standing.got_through() || report.marker.is_some() || asks == Asks::No;
        let news = learned.is_some_and(|(_, findings)| findings.has_new_copies(before));
        // What was not used so far may be by now, and what was not read too.
        let matters = before.has_unread(producers) || before.learns_from(&report.run) || wrote && news;
        let whole = trusted || !matters || self.terraform.is_whole(report).await?;
        let copies = match learned {
            Some(_) if wrote && !whole => Copies::AreCarriedAlong,
            // Another run has written it since.
            Some((state, _)) if !wrote && news && asks == Asks::Yes => {
                copies_of(&self.terraform, report, state).await?
            }
            _ => Copies::Count,
        };
        let seen = match whole {
            false => Seen::Nothing,
            true if wrote && report.marker.is_none() => Seen::Copies,
            true => Seen::All,
        };
        Ok((seen, copies))
    }

    /// Writes down new facts with the other sides of their edges. `look`: everything below is to be looked at.
    pub(crate) async fn write(
        &self,
        workspace: &Workspace,
        before: &Facts,
        facts: Facts,
        version: u64,
        now: Timestamp,
        look: bool,
    ) -> Result<(), IndexError> {
        if version == 0 {
            self.begin_surveys(workspace, now).await?;
        }
        if before.state.is_none() && facts.state.is_some() {
            self.revive_readers(workspace).await?;
        }
        let mut writes = neighbour_writes(workspace, before, &facts);
        // Neighbours first: found twice they do no harm, missing they would.
        while writes.len() > WRITES_MAX - 2 {
            let mut part: Vec<Write> = writes.drain(..WRITES_MAX - 1).collect();
            part.push(Write::Unchanged { workspace: workspace.clone(), version });
            self.store.commit(&part).await?;
        }
        writes.push(Write::Facts { workspace: workspace.clone(), facts: Box::new(facts), version });
        writes.extend(look.then(|| Write::Look { workspace: workspace.clone(), at: now }));
        Ok(self.store.commit(&writes).await?)
    }
}

/// Whether the copies in `state` show what its workspace acts on, as far as the run tells that wrote it. `report` is of
/// any run of the workspace.
pub(crate) async fn copies_of(
    terraform: &impl States,
    report: &RunReport,
    state: &StateFacts,
) -> Result<Copies, IndexError> {
    let Some(run) = state.run.clone() else { return Ok(Copies::Count) };
    let whole = terraform.is_whole(&RunReport { run, marker: None, ..report.clone() }).await?;
    Ok(if whole { Copies::Count } else { Copies::AreCarriedAlong })
}

/// Reads a state version, unless it is known already.
pub(crate) async fn read(
    terraform: &impl States,
    workspace: &Workspace,
    facts: &Facts,
    state: StateVersion,
) -> Result<Learned, IndexError> {
    if facts.state.as_ref().is_some_and(|known| known.version == state.facts.version) {
        return Ok(None);
    }
    let findings = terraform.read_state(workspace, &state).await?;
    info!(
        state_version = %state.facts.version,
        "read the state of {workspace}: {} outputs, reads {} workspaces",
        findings.outputs.len(), findings.producers.as_ref().map_or(0, BTreeMap::len)
    );
    Ok(Some((state.facts, findings)))
}

/// Whether `state` came after what is known: another one may have been taken in since it was asked for.
pub(crate) fn is_newer(state: &StateFacts, known: &Facts) -> bool {
    let known = known.state.as_ref().map(|known| (known.created_at, known.serial));
    known.is_none_or(|known| known < (state.created_at, state.serial))
}

/// Nobody below is kept waiting any longer, but the state may still come.
fn patience(awaits_state: bool, report: &RunReport, now: Timestamp) -> Next {
    let patient = awaits_state && now.since_ms(report.at) < STATE_PATIENCE_MS;
    if patient { Next::Again(now.plus_ms(STATE_AGAIN_MS)) } else { Next::Done }
}

/// Whether the state version that an applied run wrote is still to come. Another run's was there before this one ended,
/// even if this one was queued earlier; where no run is named, it has to be younger than this one.
fn awaits_state(report: &RunReport, state: &StateVersion) -> bool {
    let before = match &state.facts.run {
        Some(run) if *run == report.run => return false,
        Some(_) => report.at,
        None => report.created_at,
    };
    report.standing == Standing::Applied && state.facts.created_at < before
}

/// The other side of edges that came or went.
fn neighbour_writes(workspace: &Workspace, before: &Facts, after: &Facts) -> Vec<Write> {
    let live = |facts: &Facts| -> BTreeSet<Workspace> {
        facts.producers.iter().filter(|(_, edge)| edge.live()).map(|(name, _)| name.clone()).collect()
    };
    let (before, after) = (live(before), live(after));
    let came = after
        .difference(&before)
        .map(|producer| Write::Consumer { producer: producer.clone(), consumer: workspace.clone() });
    let went = before
        .difference(&after)
        .map(|producer| Write::NoConsumer { producer: producer.clone(), consumer: workspace.clone() });
    came.chain(went).collect()
}
