//! `sluice replay`: the work that was given up, and how to take it up again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sluice_aws::DeadLetter;
use sluice_domain::ports::StoreError;
use sluice_lambda::now;

use crate::cli;
use crate::serve::{ServeError, open};

/// Most dead letters that are listed, and most that are taken up again.
const LIST_MAX: usize = 100;
const REPLAY_MAX: u16 = 10_000;

/// Lists the dead letters, or replays those that were asked for. Returns what to print.
pub async fn run(options: &cli::Replay, vars: &BTreeMap<String, String>) -> Result<String, ServeError> {
    let (table, store) = open(&options.store, vars).await?;
    let text = replay(options, &table).await.map_err(crate::store::OpenError::Table)?;
    if let Some(store) = store {
        store.close().await;
    }
    Ok(text)
}

async fn replay(options: &cli::Replay, table: &sluice_aws::Table) -> Result<String, StoreError> {
    let letters = table.dead_letters(REPLAY_MAX).await?;
    if letters.is_empty() {
        return Ok("nothing was given up\n".to_owned());
    }
    let mut text = String::new();
    for (number, letter) in (1..).zip(&letters) {
        if !options.all && !options.numbers.contains(&number) {
            if options.numbers.is_empty() && number <= LIST_MAX {
                text.push_str(&line(number, letter));
            }
            continue;
        }
        let said = if table.replay(&letter.key, now()).await? { "taken up again" } else { "no longer given up" };
        let _ = writeln!(text, "{}: {said}", letter.key);
    }
    if !options.all && options.numbers.is_empty() && letters.len() > LIST_MAX {
        let _ = writeln!(text, "and {} more", letters.len() - LIST_MAX);
    }
    if text.is_empty() {
        let _ = writeln!(text, "there are {} dead letters; none has such a number", letters.len());
    }
    Ok(text)
}

fn line(number: usize, letter: &DeadLetter) -> String {
    format!("{number:3}  {}  {}\n     {}\n", letter.at, letter.key, letter.fault)
}
