//! `sluice dead`: the work that was given up, and how to take it up again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::json;
use sluice_aws::{DeadLetter, Table, item_key};
use sluice_domain::WorkKey;
use sluice_domain::ports::StoreError;
use sluice_lambda::now;

use crate::cli;
use crate::serve::{ServeError, open, terraform};

/// Most dead letters that are listed, and most that are taken up again.
const LIST_MAX: usize = 100;
const RETRY_MAX: u16 = 10_000;

/// Dead letters cannot be listed, or not be taken up as it was said.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// The store or the environment.
    #[error(transparent)]
    Open(#[from] ServeError),
    /// The table does not answer.
    #[error(transparent)]
    Table(#[from] StoreError),
    /// Neither a number of the list nor a work.
    #[error("{0:?} is neither a number of sluice dead list nor work as it says it, as in \"run in acme/network\"")]
    Unclear(String),
}

/// What to print, and whether all that was named was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What to print.
    pub text: String,
    /// Nothing that was named was left out.
    pub whole: bool,
}

impl From<String> for Said {
    fn from(text: String) -> Self {
        Self { text, whole: true }
    }
}

/// Lists the dead letters, or takes up those that were asked for.
pub async fn run(options: &cli::Dead, vars: &BTreeMap<String, String>) -> Result<Said, DeadError> {
    match &options.command {
        cli::DeadCommand::List(list) => {
            with_table(&list.store, vars, async |table: &Table| {
                let letters = table.dead_letters(RETRY_MAX).await?;
                Ok(Said::from(if list.json { as_json(&letters) } else { as_text(&letters) }))
            })
            .await
        }
        cli::DeadCommand::Retry(retry) => {
            let asked = if retry.all { Asked::All } else { Asked::read(&retry.works, vars)? };
            with_table(&retry.store, vars, async |table: &Table| take_up(table, &asked).await).await
        }
    }
}

/// Does something with the table that the options mean.
async fn with_table(
    options: &cli::Store,
    vars: &BTreeMap<String, String>,
    act: impl AsyncFnOnce(&Table) -> Result<Said, StoreError>,
) -> Result<Said, DeadError> {
    let (table, store) = open(options, vars).await?;
    let said = act(&table).await;
    if let Some(store) = store {
        store.close().await;
    }
    Ok(said?)
}

/// Which dead letters are meant.
enum Asked {
    All,
    These { numbers: BTreeSet<usize>, works: BTreeSet<WorkKey> },
}

impl Asked {
    fn read(said: &[String], vars: &BTreeMap<String, String>) -> Result<Self, DeadError> {
        let host = terraform(vars).map_err(ServeError::Config)?.host;
        let (mut numbers, mut works) = (BTreeSet::new(), BTreeSet::new());
        for text in said {
            if let Ok(number) = text.parse() {
                numbers.insert(number);
            } else if let Some(work) = crate::replay::work(text, &host) {
                works.insert(work);
            } else {
                return Err(DeadError::Unclear(text.clone()));
            }
        }
        Ok(Self::These { numbers, works })
    }

    fn means(&self, number: usize, letter: &DeadLetter) -> bool {
        match self {
            Self::All => true,
            Self::These { numbers, works } => numbers.contains(&number) || works.contains(&letter.key),
        }
    }
}

async fn take_up(table: &Table, asked: &Asked) -> Result<Said, StoreError> {
    let letters = table.dead_letters(RETRY_MAX).await?;
    let mut text = String::new();
    let mut left = 0;
    for (number, letter) in (1..).zip(&letters) {
        if asked.means(number, letter) {
            let taken = table.replay(&letter.key, now()).await?;
            left += usize::from(!taken);
            let said = if taken { "taken up again" } else { "no longer given up" };
            let _ = writeln!(text, "{}: {said}", letter.key);
        }
    }
    let Asked::These { numbers, works } = asked else {
        // Nothing was named that could be missing.
        return Ok(Said::from(if text.is_empty() { NOTHING.to_owned() } else { text }));
    };
    for number in numbers.iter().filter(|number| !(1..=letters.len()).contains(*number)) {
        let _ = writeln!(text, "{}; none has the number {number}", counted(letters.len()));
        left += 1;
    }
    for work in works.iter().filter(|work| letters.iter().all(|letter| letter.key != **work)) {
        let _ = writeln!(text, "{work}: was not given up");
        left += 1;
    }
    Ok(Said { text, whole: left == 0 })
}

const NOTHING: &str = "nothing was given up\n";

fn counted(letters: usize) -> String {
    match letters {
        0 => "nothing was given up".to_owned(),
        1 => "there is 1 dead letter".to_owned(),
        more => format!("there are {more} dead letters"),
    }
}

fn as_text(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return NOTHING.to_owned();
    }
    let mut text = String::new();
    for (number, letter) in (1..).zip(letters).take(LIST_MAX) {
        let _ = write!(text, "{number:3}  {}  {}\n     {}\n", letter.at, letter.key, letter.fault);
    }
    if letters.len() > LIST_MAX {
        let _ = writeln!(text, "and {} more", letters.len() - LIST_MAX);
    }
    text
}

fn as_json(letters: &[DeadLetter]) -> String {
    let letters: Vec<_> = (1..)
        .zip(letters)
        .map(|(number, letter): (usize, _)| {
            let [pk, sk] = item_key(&letter.key);
            json!({
                "number": number,
                "at": letter.at.to_string(),
                "work": letter.key.to_string(),
                "queue": letter.key.queue().as_str(),
                "fault": letter.fault,
                "pk": pk,
                "sk": sk,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "dead_letters": letters }))
}
