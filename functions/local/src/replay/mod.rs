//! `sluice replay`: an event again, as if it had just come, or a work again, from its first attempt on.

mod deliver;
mod event;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sluice_aws::{TakenUp, work_key};
use sluice_domain::ports::StoreError;
use sluice_domain::{Host, TaskName, Timestamp, WorkKey};
use sluice_lambda::{InvalidConfig, now};

pub use event::EventError;

use crate::cli;
use crate::dead::{self, DeadError, Said};
use crate::serve::{ServeError, lease_ms_max, open, terraform};
use crate::store::OpenError;

/// Nothing was replayed. Says why, and what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store or the environment.
    #[error(transparent)]
    Open(#[from] ServeError),
    /// The environment is not complete.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The embedded store or its keys.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A secret has to be fetched and cannot be.
    #[error(transparent)]
    Secret(#[from] sluice_aws::secrets::SecretError),
    /// The table does not answer.
    #[error(transparent)]
    Table(#[from] StoreError),
    /// As it was called before, for dead letters.
    #[error(transparent)]
    Dead(#[from] DeadError),
    /// Neither a file nor work.
    #[error(
        "there is no file {0}, and no work is called so: name a file with an event, or work as logs and sluice dead \
         list say it, as in \"run in acme/network\""
    )]
    Unclear(String),
    /// The work is not in the table.
    #[error("{0}: there is no such work in the table")]
    Unknown(Box<WorkKey>),
    /// The work is done.
    #[error("{0}: it is done, so there is nothing to take up; replay its event to have it heard again")]
    Done(Box<WorkKey>),
    /// Another is at it, or may be.
    #[error("{0}: it may be under way; left alone, it is due again at {1}")]
    UnderWay(Box<WorkKey>, Timestamp),
    /// The file cannot be read.
    #[error("cannot read {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// It does not hold an event that can be replayed.
    #[error("{file} cannot be replayed")]
    Event {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: EventError,
    },
    /// The event was not taken.
    #[error(transparent)]
    Deliver(#[from] deliver::DeliverError),
}

/// Replays what was named. Returns what to print.
pub async fn run(options: &cli::Replay, vars: &BTreeMap<String, String>) -> Result<Said, ReplayError> {
    let numbers = !options.what.is_empty() && options.what.iter().all(|what| what.parse::<usize>().is_ok());
    if options.what.is_empty() || numbers && !options.what.iter().any(|what| Path::new(what).exists()) {
        return as_before(options, vars).await;
    }
    let terraform = terraform(vars)?;
    let said = options.what.join(" ");
    if let Some(work) = work(&said, &terraform.host) {
        return Ok(take_up(&options.store, vars, &work).await?.into());
    }
    let file = PathBuf::from(&said);
    if !file.exists() {
        return Err(ReplayError::Unclear(said));
    }
    let bytes = std::fs::read(&file).map_err(|error| ReplayError::File(file.clone(), error))?;
    let task = options.task.as_deref().map(str::parse::<TaskName>).transpose();
    let event = event::read(bytes).and_then(|event| event.for_task(task.map_err(EventError::Task)?));
    let event = event.map_err(|source| ReplayError::Event { file, source })?;
    Ok(deliver::deliver(options, vars, &terraform, event).await?.into())
}

/// What `sluice dead` does now.
async fn as_before(options: &cli::Replay, vars: &BTreeMap<String, String>) -> Result<Said, ReplayError> {
    let cli::Replay { what: works, all, store, .. } = options;
    let store = store.clone();
    let (command, now) = if works.is_empty() && !all {
        (cli::DeadCommand::List(cli::DeadList { json: false, store }), "sluice dead list lists dead letters now")
    } else {
        let retry = cli::DeadRetry { all: *all, works: works.clone(), store };
        (cli::DeadCommand::Retry(retry), "sluice dead retry takes dead letters up now")
    };
    let said = dead::run(&cli::Dead { command }, vars).await?;
    eprintln!("sluice: {now}; sluice replay has an event handled again, or a work done again");
    Ok(said)
}

/// The work that a person means: in the words of logs and lists, or by the key of its item.
pub(crate) fn work(said: &str, host: &Host) -> Option<WorkKey> {
    let by_item = || {
        let (pk, sk) = said.trim().split_once(' ')?;
        work_key(pk, sk)
    };
    WorkKey::said(said, host).or_else(by_item)
}

async fn take_up(options: &cli::Store, vars: &BTreeMap<String, String>, work: &WorkKey) -> Result<String, ReplayError> {
    let (table, store) = open(options, vars).await?;
    let taken = table.take_up(work, now(), lease_ms_max()).await;
    if let Some(store) = store {
        store.close().await;
    }
    match taken? {
        TakenUp::Again => Ok(format!("{work}: due now, from its first attempt on\n")),
        TakenUp::UnderWay(until) => Err(ReplayError::UnderWay(Box::new(work.clone()), until)),
        TakenUp::Done => Err(ReplayError::Done(Box::new(work.clone()))),
        TakenUp::Unknown => Err(ReplayError::Unknown(Box::new(work.clone()))),
    }
}
