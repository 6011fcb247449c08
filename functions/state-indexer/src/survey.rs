//! Surveys: an organization's workspaces are listed, a hundred to a request, and whatever is not as it is known is
//! taken in. On day one that is everything; from then on it finds what no notification told.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::ports::{
    FactStore, Inbox, Known, ListPage, Recorded, RunListed, States, Tallies, TerraformError, WRITES_MAX,
    WorkspaceListed, Write,
};
use sluice_domain::{
    Autonomy, Classify, Facts, Fault, Findings, Host, Organization, Reading, RunReport, Standing, StateFacts,
    StateVersionId, Survey, SurveyScope, Timestamp, Verdict, Workspace, chain,
};
use sluice_lambda::work::{self, Next};
use tracing::{info, warn};

use crate::news::{Copies, Learned, copies_of, is_newer, read};
use crate::{IndexError, Indexer, retrying};

impl<S: FactStore + Inbox + Tallies, T: States> Indexer<S, T> {
    /// Takes in one page of a survey, and has the next one taken in. `seq` counts how often it was asked for.
    pub(crate) async fn survey(
        &self,
        host: &Host,
        organization: &Organization,
        (survey, seq): (&Survey, u64),
        now: Timestamp,
    ) -> Result<Next, IndexError> {
        let next = match (self.page(host, organization, survey, now).await, survey.scope) {
            (Ok(Some(next)), _) => next,
            (Ok(None), SurveyScope::All) => {
                return Err(TerraformError::NotFound { action: "the list of workspaces" }.into());
            }
            // It may be there again one day.
            (Ok(None), _) => return Ok(Next::Again(now.plus_ms(self.survey_ms))),
            (Err(error), SurveyScope::All) => return Err(error),
            (Err(error), _) if matches!(error.fault(), Fault::Throttled { .. }) => return Err(error),
            (Err(error), _) => {
                // What is there to repair must not become a dead letter itself.
                warn!("could not look for what no notification told of {organization}: {}", chain(&error));
                return Ok(Next::Again(now.plus_ms(self.survey_ms)));
            }
        };
        let rests = next.page == 1 && next.scope == SurveyScope::LatelyRun;
        let at = if rests { now.plus_ms(self.survey_ms) } else { now };
        let (host, organization) = (host.clone(), organization.clone());
        let write = Write::Survey { host, organization, survey: next, at, seq: Some(seq) };
        // If a person has asked for all of it meanwhile, that stands, and this is not done with either.
        self.store.commit(&[write]).await?;
        Ok(Next::Done)
    }

    /// Takes in one page, and tells what follows. None if there is no such organization.
    async fn page(
        &self,
        host: &Host,
        organization: &Organization,
        survey: &Survey,
        now: Timestamp,
    ) -> Result<Option<Survey>, IndexError> {
        let page = self.bulk.workspaces(organization, survey.scope, survey.page.max(1)).await?;
        let Some(page) = page else { return Ok(None) };
        let listed = name_all(host, organization, &page);
        let names: BTreeSet<Workspace> = listed.keys().cloned().collect();
        let known = self.store.known(&names).await?;
        let mut writes = Vec::new();
        let mut news = 0;
        for (workspace, listed) in listed {
            let known = known.get(&workspace).filter(|known| known.version > 0);
            let write = match (survey.scope, known) {
                (SurveyScope::All, known) => self.missing(&workspace, listed, known, now),
                // What was never heard of is left alone until it is, or until a person has everything read.
                (_, None) => None,
                (SurveyScope::LatelyChanged, Some(known)) => state_missed(&workspace, listed, known, now),
                (SurveyScope::LatelyRun, Some(known)) => {
                    news += u32::from(self.run_missed(&workspace, listed, known, now).await?);
                    None
                }
            };
            news += u32::from(write.is_some());
            writes.extend(write.or_else(|| retagged(&workspace, listed, known, now)));
        }
        for part in writes.chunks(WRITES_MAX) {
            self.store.commit(part).await?;
        }
        if news > 0 {
            info!("listed {} workspaces of {organization}: {news} are not as they were known", page.workspaces.len());
        }
        let next = follow(survey, &page, news);
        let completed = survey.scope == SurveyScope::All && next.scope != SurveyScope::All;
        Ok(Some(Survey { completed_at: if completed { Some(now) } else { next.completed_at }, ..next }))
    }

    /// What is to be done about a workspace so that nothing of it is missing.
    fn missing(
        &self,
        workspace: &Workspace,
        listed: &WorkspaceListed,
        known: Option<&Known>,
        now: Timestamp,
    ) -> Option<Write> {
        let state = known.and_then(|known| known.facts.state.as_ref());
        let changed = listed.state.is_some() && listed.state.as_ref() != state.map(|state| &state.version);
        if changed {
            return Some(reading(workspace, listed, state.is_none(), now));
        }
        // What was only to be observed may be allowed by now.
        let observed = known?.decision.as_ref()?.verdict == Verdict::Observed;
        let freed = observed && self.policy.autonomy.of(workspace, listed.found.tagged) != Autonomy::Observe;
        freed.then(|| Write::Look { workspace: workspace.clone(), at: now })
    }

    /// Takes in the current run of a workspace if nothing, or less, was heard of it. Whether that was news.
    async fn run_missed(
        &self,
        workspace: &Workspace,
        listed: &WorkspaceListed,
        known: &Known,
        now: Timestamp,
    ) -> Result<bool, IndexError> {
        let Some(RunListed { run, created_at, standing, at, marker }) = listed.run.clone() else { return Ok(false) };
        let active = known.facts.active.get(&run).map(|active| active.standing);
        let heard = known.facts.ended.contains(&run) || active.is_some_and(|active| active.rank() >= standing.rank());
        // A run from before the workspace was first read is part of what was read.
        let before = |state: &StateFacts| state.baseline && created_at <= state.created_at;
        let old = active.is_none() && standing.ended() && known.facts.state.as_ref().is_some_and(before);
        if heard || old {
            return Ok(false);
        }
        let (workspace, workspace_id) = (workspace.clone(), listed.found.id.clone());
        let report = RunReport { workspace, workspace_id, run, created_at, standing, at, marker };
        Ok(self.store.record(&report, now).await? == Recorded::New)
    }

    /// Reads the current state of a workspace, whatever was heard of its runs.
    pub(crate) async fn take_in_state(
        &self,
        workspace: &Workspace,
        reading: &Reading,
        now: Timestamp,
    ) -> Result<Next, IndexError> {
        let known = self.store.known_one(workspace).await?;
        let Some(state) = self.bulk.current_state(&reading.id).await? else {
            if known.version > 0 {
                retrying!(self.fold_state(workspace, reading, None, Copies::Count, now).await)?;
            }
            return Ok(Next::Done);
        };
        if state.facts.run.as_ref().is_some_and(|run| known.facts.active.contains_key(run)) {
            // The end of that run tells more, and is on its way or asked for.
            return Ok(Next::Done);
        }
        let version = state.facts.version.clone();
        work::traced(&state.facts.trace(workspace));
        let learned = match read(&self.bulk, workspace, &known.facts, state).await {
            Err(error) if error.fault() == Fault::Permanent => {
                retrying!(self.mark_unreadable(workspace, reading, &version).await)?;
                return Err(error);
            }
            read => read?,
        };
        let copies = self.copies(workspace, reading, &known.facts, learned.as_ref()).await?;
        retrying!(self.fold_state(workspace, reading, learned.clone(), copies, now).await)?;
        Ok(Next::Done)
    }

    /// Writes down that a state version cannot be read, so that no survey has it read again and again.
    async fn mark_unreadable(
        &self,
        workspace: &Workspace,
        reading: &Reading,
        state: &StateVersionId,
    ) -> Result<(), IndexError> {
        let Known { mut facts, version, .. } = self.store.known_one(workspace).await?;
        facts.id = Some(reading.id.clone());
        facts.unreadable = Some(state.clone());
        let facts = Box::new(facts);
        Ok(self.store.commit(&[Write::Facts { workspace: workspace.clone(), facts, version }]).await?)
    }

    /// Whether the copies in a state that was read count. It is asked where they are news.
    async fn copies(
        &self,
        workspace: &Workspace,
        reading: &Reading,
        before: &Facts,
        learned: Option<&(StateFacts, Findings)>,
    ) -> Result<Copies, IndexError> {
        let news = learned.filter(|(_, findings)| findings.has_new_copies(before));
        let Some((state, run)) = news.and_then(|(state, _)| Some((state, state.run.clone()?))) else {
            return Ok(Copies::Count);
        };
        let report = RunReport {
            workspace: workspace.clone(),
            workspace_id: reading.id.clone(),
            run,
            created_at: state.created_at,
            standing: Standing::Applied,
            at: state.created_at,
            marker: None,
        };
        copies_of(&self.bulk, &report, state).await
    }

    async fn fold_state(
        &self,
        workspace: &Workspace,
        reading: &Reading,
        learned: Learned,
        copies: Copies,
        now: Timestamp,
    ) -> Result<(), IndexError> {
        let Known { facts: before, version, .. } = self.store.known_one(workspace).await?;
        let baseline = reading.baseline && before.state.is_none();
        let mut facts = before.clone();
        facts.id = Some(reading.id.clone());
        facts.tagged = reading.tagged;
        if let Some((state, findings)) = learned.filter(|(state, _)| is_newer(state, &before)) {
            let findings = if copies == Copies::Count { findings } else { findings.with_copies_of(&before) };
            facts.learn(StateFacts { baseline, ..state }, findings, now);
        }
        if facts == before {
            return Ok(());
        }
        // What is taken as it is makes nobody stale; but others may have changed since everything was first read.
        let look = !baseline || self.reads_what_changed(workspace, &facts).await?;
        self.write(workspace, &before, facts, version, now, look).await
    }

    /// Whether the workspace has not seen something that came after everything was first read.
    async fn reads_what_changed(&self, workspace: &Workspace, facts: &Facts) -> Result<bool, IndexError> {
        let mut producers = self.producers(workspace, facts, None).await?;
        producers.retain(|_, facts| facts.state.as_ref().is_some_and(|state| !state.baseline));
        Ok(facts.has_unseen(&producers))
    }
}

/// What is to be done about a known workspace whose state is not the one that is known.
fn state_missed(workspace: &Workspace, listed: &WorkspaceListed, known: &Known, now: Timestamp) -> Option<Write> {
    let state = known.facts.state.as_ref().map(|state| &state.version);
    // What was tried and cannot be read is not tried again and again.
    let unreadable = known.facts.unreadable == listed.state;
    let changed = listed.state.is_some() && listed.state.as_ref() != state && !unreadable;
    changed.then(|| reading(workspace, listed, false, now))
}

/// What is to be done about a known workspace whose tags say something else than before.
fn retagged(workspace: &Workspace, listed: &WorkspaceListed, known: Option<&Known>, now: Timestamp) -> Option<Write> {
    let changed = known?.facts.tagged != listed.found.tagged;
    changed.then(|| reading(workspace, listed, false, now))
}

fn reading(workspace: &Workspace, listed: &WorkspaceListed, baseline: bool, at: Timestamp) -> Write {
    let reading = Reading { id: listed.found.id.clone(), baseline, tagged: listed.found.tagged };
    Write::Read { workspace: workspace.clone(), reading, at }
}

/// The workspaces of a page by name; names that no configuration could refer to are left out.
fn name_all<'a>(
    host: &Host,
    organization: &Organization,
    page: &'a ListPage,
) -> BTreeMap<Workspace, &'a WorkspaceListed> {
    let named = |listed: &'a WorkspaceListed| {
        let workspace = Workspace::new(host.clone(), organization.clone(), &listed.found.name).ok()?;
        Some((workspace, listed))
    };
    page.workspaces.iter().filter_map(named).collect()
}

/// What follows after a page with so much news: the next page, another list, or a rest.
fn follow(survey: &Survey, page: &ListPage, news: u32) -> Survey {
    let on_page = u32::try_from(page.workspaces.len()).unwrap_or(u32::MAX);
    let all = survey.scope == SurveyScope::All;
    let counted = if all {
        let (listed, unknown) = (survey.listed + on_page, survey.unknown + news);
        Survey { listed, unknown, total: page.total.max(listed), ..survey.clone() }
    } else {
        survey.clone()
    };
    // The lists begin with what happened last: where a page holds no news, the rest holds none either. But it is not
    // told where in the list workspaces are that never ran.
    let silent = survey.scope == SurveyScope::LatelyRun && page.workspaces.iter().all(|listed| listed.run.is_none());
    match page.next.filter(|_| all || news > 0 || silent) {
        Some(page) => Survey { page, ..counted },
        None if survey.scope == SurveyScope::LatelyRun => {
            Survey { scope: SurveyScope::LatelyChanged, page: 1, ..counted }
        }
        None => Survey { scope: SurveyScope::LatelyRun, page: 1, ..counted },
    }
}
