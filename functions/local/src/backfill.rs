//! `sluice backfill`: every workspace of an organization is read, so that the graph is whole on day one.
//!
//! It is work in the table like any other, served here as long as the command runs, and by whoever else serves the
//! table. So it can be stopped at any time, and goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sluice_aws::{Table, TablePace};
use sluice_domain::pace::Paced;
use sluice_domain::ports::{Bell, FactStore, StoreError, Write};
use sluice_domain::{Host, InvalidName, Organization, Queue, Survey, SurveyScope, Timestamp, WorkKey};
use sluice_hcp_client::Client;
use sluice_lambda::{InvalidConfig, now};
use sluice_state_indexer::Indexer;
use tokio::task::JoinSet;

use crate::cli;
use crate::functions::{FunctionsError, functions};
use crate::serve::{ServeError, directory, named_table, take_over, terraform};
use crate::settings::{Ear, Settings};
use crate::store::{Alone, Embedded, OpenError};

/// Works under way at once. More would not be quicker: they take turns at the API.
const WORKERS: usize = 6;

/// How often progress is looked at when there is nothing to do here.
const PAUSE: Duration = Duration::from_millis(300);

/// Most works that are asked for at once.
const WORKS_MAX: u16 = 10_000;

/// How often nothing must be left to do before it is over.
const QUIET_LEAST: u32 = 4;

/// How long it is waited in silence for others to do the work.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far ahead work may be due that still has to be done, in milliseconds: longer than the longest wait between
/// attempts.
const AHEAD_MS: u64 = 3_600_000;

/// The backfill cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The store or the environment.
    #[error(transparent)]
    Open(#[from] ServeError),
    /// The embedded store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The environment is not complete.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The functions cannot be built.
    #[error(transparent)]
    Functions(#[from] FunctionsError),
    /// The table does not answer.
    #[error(transparent)]
    Table(#[from] StoreError),
    /// It is not the name of an organization.
    #[error("{0} is not the name of an organization")]
    Name(String, #[source] InvalidName),
    /// No organization was named, and none is known.
    #[error("nothing is known of any organization on {0} yet: name one, as in sluice backfill acme")]
    NoOrganization(Host),
}

/// Runs the backfill to its end, or until told to stop.
pub async fn run(options: &cli::Backfill, vars: &BTreeMap<String, String>) -> Result<ExitCode, BackfillError> {
    let host = terraform(vars)?.host;
    let Opened { table, indexer, store, alone } = open(options, vars).await?;
    let organizations = organizations(options, &table, &host).await?;
    let mut whole = true;
    for organization in &organizations {
        let backfill = Backfill { table: &table, host: &host, organization, indexer: indexer.clone() };
        let stop = crate::signal::told_to_stop();
        let ended = tokio::select! {
            ended = backfill.drive() => ended?,
            () = stop => {
                eprintln!("{organization}: stopped; run the same command again to go on");
                whole = false;
                break;
            }
        };
        println!("{ended}");
        whole &= ended.failed.is_empty();
    }
    if let Some(store) = store {
        store.close().await;
    }
    drop(alone);
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

type Worker = Arc<Indexer<Table, Paced<Client, TablePace>>>;

struct Opened {
    table: Table,
    /// What does the work here; None where that is left to others.
    indexer: Option<Worker>,
    store: Option<Embedded>,
    alone: Option<Alone>,
}

async fn open(options: &cli::Backfill, vars: &BTreeMap<String, String>) -> Result<Opened, BackfillError> {
    let may_work = vars.get("API_TOKEN").is_some_and(|token| !token.trim().is_empty());
    let directory = directory(&options.store);
    let (table, store, alone, mine) = if let Some(table) = named_table(&options.store, vars).await? {
        (table, None, None, may_work)
    } else {
        let alone = match Alone::in_directory(&directory) {
            Ok(alone) => Some(alone),
            // A running `sluice serve` does the work.
            Err(OpenError::Taken(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let store = Embedded::open(Some(&directory)).await?;
        if alone.is_some() {
            take_over(&store.table).await?;
        }
        let mine = alone.is_some();
        (store.table.clone(), Some(store), alone, mine)
    };
    let indexer = if mine {
        let parts = Settings::from_env(vars, Ear::Closed)?.parts(vars, table.clone(), &directory).await?;
        Some(Arc::new(functions(parts)?.indexer))
    } else {
        None
    };
    Ok(Opened { table, indexer, store, alone })
}

async fn organizations(
    options: &cli::Backfill,
    table: &Table,
    host: &Host,
) -> Result<BTreeSet<Organization>, BackfillError> {
    if options.organizations.is_empty() {
        let known = table.organizations(host).await?;
        return if known.is_empty() { Err(BackfillError::NoOrganization(host.clone())) } else { Ok(known) };
    }
    let parse = |name: &String| name.parse().map_err(|error| BackfillError::Name(name.clone(), error));
    options.organizations.iter().map(parse).collect()
}

/// How a backfill came out.
struct Ended {
    organization: Organization,
    listed: u32,
    known: usize,
    edges: usize,
    /// What could not be read, and why.
    failed: Vec<String>,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { organization, listed, known, edges, failed } = self;
        write!(f, "{organization}: {listed} workspaces listed, {known} with a state, {edges} dependencies")?;
        for fault in failed {
            write!(f, "\n  {fault}")?;
        }
        if !failed.is_empty() {
            f.write_str("\nsluice dead retry --all takes up again what could not be read")?;
        }
        Ok(())
    }
}

struct Backfill<'a> {
    table: &'a Table,
    host: &'a Host,
    organization: &'a Organization,
    indexer: Option<Worker>,
}

impl Backfill<'_> {
    async fn drive(&self) -> Result<Ended, BackfillError> {
        self.begin().await?;
        let bar = bar(self.organization);
        let mut works = Works::default();
        let mut told = String::new();
        let (mut quiet, mut waited) = (0, Duration::ZERO);
        loop {
            let (survey, given_up) = self.table.survey(self.host, self.organization).await?.unwrap_or_default();
            let listed = given_up || survey.scope != SurveyScope::All;
            let left = self.left(now().plus_ms(AHEAD_MS), listed).await?;
            show(&bar, &survey, left.len());
            // The index of what is due may be a little behind the items themselves.
            quiet = if listed && left.is_empty() && works.is_empty() { quiet + 1 } else { 0 };
            if quiet >= QUIET_LEAST {
                bar.finish_and_clear();
                return self.ended(&survey).await;
            }
            let mut begun = 0;
            if let Some(indexer) = &self.indexer {
                begun = works.begin(indexer, &self.left(now(), listed).await?);
            }
            if let Some(key) = works.next().await?
                && let Some(fault) = self.table.fault(&key).await?.filter(|fault| *fault != told)
            {
                bar.suspend(|| eprintln!("{key} will be tried again: {fault}"));
                told = fault;
            }
            if begun == 0 {
                tokio::time::sleep(PAUSE).await;
                waited += PAUSE;
            }
            if self.indexer.is_none() && waited >= PATIENCE {
                bar.suspend(|| eprintln!("waiting for whoever serves this table: sluice serve, or the functions"));
                waited = Duration::ZERO;
            }
        }
    }

    /// Begins, or goes on where an earlier one stopped.
    async fn begin(&self) -> Result<(), StoreError> {
        let before = self.table.survey(self.host, self.organization).await?;
        let (before, given_up) = before.map_or((None, false), |(survey, given_up)| (Some(survey), given_up));
        let before = before.filter(|_| !given_up);
        if let Some(before) = before.as_ref().filter(|survey| survey.scope == SurveyScope::All) {
            eprintln!("{}: going on after {} of {} workspaces", self.organization, before.listed, before.total);
        }
        let survey = match before {
            Some(survey) if survey.scope == SurveyScope::All => survey,
            before => Survey {
                scope: SurveyScope::All,
                page: 1,
                completed_at: before.and_then(|before| before.completed_at),
                ..Survey::default()
            },
        };
        let (host, organization) = (self.host.clone(), self.organization.clone());
        self.table.commit(&[Write::Survey { host, organization, survey, at: now(), seq: None }]).await
    }

    /// The works of this backfill that are due until then. `listed`: the list is complete, and what it looks for now and
    /// then is not part of it.
    async fn left(&self, until: Timestamp, listed: bool) -> Result<BTreeSet<WorkKey>, StoreError> {
        let due = self.table.due(Queue::Bulk, until, WORKS_MAX).await?;
        let mine = |key: &WorkKey| self.is_mine(key) && !(listed && matches!(key, WorkKey::Survey(..)));
        Ok(due.into_iter().filter(mine).collect())
    }

    fn is_mine(&self, key: &WorkKey) -> bool {
        match key {
            WorkKey::Read(workspace) => workspace.host == *self.host && workspace.organization == *self.organization,
            WorkKey::Survey(host, organization) => host == self.host && organization == self.organization,
            _ => false,
        }
    }

    async fn ended(&self, survey: &Survey) -> Result<Ended, BackfillError> {
        let dead = self.table.dead_letters(WORKS_MAX).await?;
        let failed = dead.into_iter().filter(|letter| self.is_mine(&letter.key));
        let failed = failed.map(|letter| format!("{}: {}", letter.key, letter.fault)).collect();
        let mut names = self.table.workspaces(self.host).await?;
        names.retain(|name| name.organization == *self.organization);
        let known = self.table.facts(&names).await?;
        let edges = known.values().map(|known| known.facts.producers.values().filter(|edge| edge.live()).count()).sum();
        let with_state = known.values().filter(|known| known.facts.state.is_some()).count();
        let organization = self.organization.clone();
        Ok(Ended { organization, listed: survey.listed, known: with_state, edges, failed })
    }
}

/// Works under way in this process.
#[derive(Default)]
struct Works {
    tasks: JoinSet<(WorkKey, Result<(), StoreError>)>,
    keys: BTreeSet<WorkKey>,
}

impl Works {
    fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Begins as many of `due` as there is room for, and tells how many.
    fn begin(&mut self, indexer: &Worker, due: &BTreeSet<WorkKey>) -> usize {
        let room = WORKERS.saturating_sub(self.keys.len());
        let new: Vec<WorkKey> = due.difference(&self.keys).take(room).cloned().collect();
        for key in &new {
            let (indexer, key) = (indexer.clone(), key.clone());
            self.keys.insert(key.clone());
            self.tasks.spawn(async move {
                let result = sluice_state_indexer::handle(&indexer, &key, now()).await;
                (key, result)
            });
        }
        new.len()
    }

    /// Waits for one to end.
    async fn next(&mut self) -> Result<Option<WorkKey>, StoreError> {
        match self.tasks.join_next().await {
            Some(Ok((key, result))) => {
                self.keys.remove(&key);
                result.map(|()| Some(key))
            }
            // A panic is told where it happens; the work is due again when its lease ends.
            Some(Err(_)) => {
                self.keys.clear();
                Ok(None)
            }
            None => Ok(None),
        }
    }
}

fn bar(organization: &Organization) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len} {msg}").expect("the template is valid");
    ProgressBar::new(0).with_style(style).with_prefix(organization.to_string())
}

fn show(bar: &ProgressBar, survey: &Survey, left: usize) {
    if survey.scope == SurveyScope::All && survey.listed < survey.total.max(1) {
        bar.set_length(survey.total.into());
        bar.set_position(survey.listed.into());
        bar.set_message("listed");
        return;
    }
    let left = u64::try_from(left).unwrap_or(u64::MAX);
    bar.set_length(survey.unknown.into());
    bar.set_position(u64::from(survey.unknown).saturating_sub(left));
    bar.set_message("read");
}
