//! Asking HCP Terraform with patience, and for many things a few at a time.

use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sluice_aws::TablePace;
use sluice_domain::pace::Paced;
use sluice_domain::ports::TerraformError;
use sluice_hcp_client::Client;
use std::io::IsTerminal;
use tokio::task::JoinSet;

/// HCP Terraform, asked in turn.
pub type Terraform = Paced<Client, TablePace>;

/// What is under way at once. More would not be quicker: they take turns at the API.
const WORKERS: usize = 6;

/// How many times it is tried to get an answer.
pub const ATTEMPTS: u32 = 4;

/// How long a rate limit is obeyed before it is given up, in milliseconds: ten minutes in which others had every turn.
const LIMITED_LONGEST_MS: u64 = 600_000;

/// What one rate limit counts for at least, in milliseconds.
const LIMITED_SHORTEST_MS: u64 = 1_000;

/// Reads something, as often as it takes for an answer to come.
pub async fn patiently<R, F>(mut ask: impl FnMut() -> F) -> Result<R, TerraformError>
where
    F: Future<Output = Result<R, TerraformError>>,
{
    let (mut failed, mut limited_ms) = (0, 0);
    loop {
        let error = match ask().await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        match &error {
            TerraformError::RateLimited { after_ms, .. } if limited_ms < LIMITED_LONGEST_MS => {
                limited_ms += obey(*after_ms).await;
            }
            error if is_passing(error) && failed + 1 < ATTEMPTS => {
                tokio::time::sleep(pause(failed)).await;
                failed += 1;
            }
            _ => return Err(error),
        }
    }
}

/// Writes something once, however long a turn has to be waited for. Whether it was done cannot be told if there is no
/// answer, so it is for the caller to look.
pub async fn once<R, F>(mut ask: impl FnMut() -> F) -> Result<R, TerraformError>
where
    F: Future<Output = Result<R, TerraformError>>,
{
    let mut limited_ms = 0;
    loop {
        match ask().await {
            Err(TerraformError::RateLimited { after_ms, .. }) if limited_ms < LIMITED_LONGEST_MS => {
                limited_ms += obey(after_ms).await;
            }
            result => return result,
        }
    }
}

/// Waits as a rate limit asks for, and says for how much of [`LIMITED_LONGEST_MS`] that counts: for something also where
/// it asks for no wait at all, as it would be obeyed without an end otherwise.
async fn obey(after_ms: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    after_ms.max(LIMITED_SHORTEST_MS)
}

/// Whether the same may go well a little later.
pub fn is_passing(error: &TerraformError) -> bool {
    error.may_have_had_effect() || matches!(error, TerraformError::Busy { .. })
}

/// How long to wait after so many failures.
pub fn pause(failed: u32) -> Duration {
    Duration::from_millis(250 << failed.min(4))
}

/// What became of each of `items`, in their order.
pub async fn each<I, R, F>(bar: &ProgressBar, items: Vec<I>, act: impl Fn(I) -> F) -> Vec<R>
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let mut items = items.into_iter().enumerate();
    let mut under_way = JoinSet::new();
    let mut done = Vec::new();
    loop {
        while under_way.len() < WORKERS
            && let Some((number, item)) = items.next()
        {
            let act = act(item);
            under_way.spawn(async move { (number, act.await) });
        }
        match under_way.join_next().await {
            Some(Ok(one)) => done.push(one),
            Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            None => break,
        }
        bar.inc(1);
    }
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A bar for `count` things, where there is a terminal.
pub fn bar(count: usize, doing: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len}").expect("the template is valid");
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    ProgressBar::new(count).with_style(style).with_prefix(doing)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_rate_limit_that_asks_for_no_wait_is_given_up_too() {
        let asked = Cell::new(0);
        let limited = || {
            asked.set(asked.get() + 1);
            async { Err::<(), _>(TerraformError::RateLimited { action: "to ask", after_ms: 0 }) }
        };
        assert!(patiently(limited).await.is_err());
        assert_eq!(asked.replace(0), 601);
        assert!(once(limited).await.is_err());
        assert_eq!(asked.get(), 601);
    }
}
