//! Turns to ask HCP Terraform, dealt out by one item a lane, so that all functions together stay within its limits.
//!
//! HCP Terraform allows a user 30 requests a second and 30 lists of runs a minute (contract hcp-terraform, section
//! 3.1), however many functions share the token. The item holds the time of the next regular turn, and each turn is
//! a conditional write to it that gives exactly what [`Rhythm::take`] would.

use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use aws_smithy_async::time::{SystemTimeSource, TimeSource};
use futures_util::future::join_all;
use sluice_domain::chain;
use sluice_domain::pace::{Lane, Pace, Rhythm};
use sluice_domain::ports::{StoreError, TerraformError};
use tracing::warn;

use crate::keys::{Key, number};
use crate::table::{Fields, Table, store_error};

/// The attribute that holds the time of the next regular turn, in microseconds since the Unix epoch. The word is
/// reserved in expressions.
const NEXT: &str = "next";

/// Most rounds of trying to take a turn. Each but the first means that another took one in between.
const ROUNDS_MAX: usize = 4;

/// How long to wait where it cannot be told, in microseconds: a second.
const UNTOLD_US: u64 = 1_000_000;

/// Longest pause that HCP Terraform's word makes everybody keep, in milliseconds: five minutes, as long as any work
/// waits between attempts.
const SLOW_LONGEST_MS: u64 = 300_000;

/// The time beyond which nobody has honestly put a turn: a machine whose clock is far ahead has, and the others need not
/// wait until theirs gets there.
fn absurd_us(now_us: u64) -> u64 {
    now_us + (SLOW_LONGEST_MS + 60_000) * 1_000
}

/// Deals out turns by way of the table.
///
/// Every machine uses its own clock: one that is ahead by less than the horizon of a lane delays the others by as
/// much.
#[derive(Debug, Clone)]
pub struct TablePace {
    table: Table,
    per_second: u32,
}

impl TablePace {
    /// Turns for an instance that allows `per_second` requests in all (30 on HCP Terraform; an administrator of
    /// Terraform Enterprise may set another limit). Whoever shares the table has to say the same.
    #[must_use]
    pub fn new(table: Table, per_second: u32) -> Self {
        Self { table, per_second }
    }

    /// Takes a turn in `lane` at `now_us` and tells when it is; or, if it is too far off, how long to wait before
    /// asking again. All in microseconds, points in time since the Unix epoch.
    ///
    /// One write where turns follow each other or the turn is too far off, two after a silence, more only when others
    /// take theirs in between.
    pub async fn take(&self, lane: Lane, now_us: u64) -> Result<Result<u64, u64>, StoreError> {
        let rhythm = Rhythm::of(lane, self.per_second);
        for _ in 0..ROUNDS_MAX {
            let next_us = match self.take_behind(lane, rhythm, now_us).await? {
                Moved::From(next_us) => return Ok(rhythm.take(next_us, now_us).map(|(_, at_us)| at_us)),
                Moved::Not(next_us) => next_us,
            };
            if let Err(after_us) = rhythm.take(next_us, now_us)
                && next_us <= absurd_us(now_us)
            {
                return Ok(Err(after_us));
            }
            if let Moved::From(_) = self.take_idle(lane, rhythm, now_us).await? {
                return Ok(Ok(now_us));
            }
        }
        Ok(Err(UNTOLD_US))
    }

    /// Takes the turn behind those that are taken, if the next regular one lies ahead and near enough.
    async fn take_behind(&self, lane: Lane, rhythm: Rhythm, now_us: u64) -> Result<Moved, StoreError> {
        let latest_us = now_us + rhythm.horizon_us + rhythm.tolerance_us();
        let update = self
            .next_of(lane)
            .update_expression("SET #next = #next + :spacing")
            .condition_expression("#next > :now AND #next <= :latest")
            .expression_attribute_values(":spacing", number(rhythm.spacing_us))
            .expression_attribute_values(":now", number(now_us))
            .expression_attribute_values(":latest", number(latest_us));
        moved(update).await
    }

    /// Takes a turn at once, if nobody has taken one for a while.
    async fn take_idle(&self, lane: Lane, rhythm: Rhythm, now_us: u64) -> Result<Moved, StoreError> {
        let update = self
            .next_of(lane)
            .update_expression("SET #next = :next")
            .condition_expression("attribute_not_exists(#next) OR #next <= :now OR #next > :absurd")
            .expression_attribute_values(":next", number(now_us + rhythm.spacing_us))
            .expression_attribute_values(":now", number(now_us))
            .expression_attribute_values(":absurd", number(absurd_us(now_us)));
        moved(update).await
    }

    /// Moves the next regular turn of a lane so far that no turn lies before `until_us`.
    async fn hold(&self, lane: Lane, until_us: u64) -> Result<Moved, StoreError> {
        let next_us = until_us + Rhythm::of(lane, self.per_second).tolerance_us();
        let update = self
            .next_of(lane)
            .update_expression("SET #next = :next")
            .condition_expression("attribute_not_exists(#next) OR #next < :next")
            .expression_attribute_values(":next", number(next_us));
        moved(update).await
    }

    fn next_of(&self, lane: Lane) -> UpdateItemFluentBuilder {
        self.table.update_at(&Key::turns(lane)).expression_attribute_names("#next", NEXT)
    }
}

impl Pace for TablePace {
    /// `TerraformError::RateLimited` if the turn would lie too far ahead. The same, for a second, if the table fails:
    /// nobody asks without a turn.
    async fn turn(&self, lane: Lane) -> Result<(), TerraformError> {
        let after_us = match self.take(lane, now_us()).await {
            Ok(Ok(at_us)) => {
                tokio::time::sleep(Duration::from_micros(at_us.saturating_sub(now_us()))).await;
                return Ok(());
            }
            Ok(Err(after_us)) => after_us,
            Err(error) => {
                warn!(lane = ?lane, "no turn to ask HCP Terraform, as the table failed: {}", chain(&error));
                UNTOLD_US
            }
        };
        Err(TerraformError::RateLimited { action: "a turn to ask HCP Terraform", after_ms: after_us.div_ceil(1_000) })
    }

    /// One write a lane. Turns that were dealt out before stay as they are.
    async fn slow_down(&self, after_ms: u64) {
        let until_us = now_us() + after_ms.min(SLOW_LONGEST_MS) * 1_000;
        let hold = async |lane| {
            if let Err(error) = self.hold(lane, until_us).await {
                warn!(lane = ?lane, after_ms, "could not pass on HCP Terraform's wish for a pause: {}", chain(&error));
            }
        };
        join_all([Lane::Work, Lane::RunLists].map(hold)).await;
    }
}

/// Whether the next regular turn was moved, and where it was: 0 if it was nowhere.
#[derive(Debug, Clone, Copy)]
enum Moved {
    From(u64),
    Not(u64),
}

/// Sends an update of the next regular turn.
async fn moved(update: UpdateItemFluentBuilder) -> Result<Moved, StoreError> {
    let update = update
        .return_values(ReturnValue::UpdatedOld)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    match update.send().await {
        Ok(output) => Fields::new(&output.attributes.unwrap_or_default()).number(NEXT).map(Moved::From),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                failed.item().map_or(Ok(0), |item| Fields::new(item).number(NEXT)).map(Moved::Not)
            }
            _ => Err(store_error("to deal out a turn", error)),
        },
    }
}

/// Now, in microseconds since the Unix epoch.
fn now_us() -> u64 {
    let since = SystemTimeSource::new().now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
