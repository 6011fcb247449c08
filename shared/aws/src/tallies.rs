//! Counting runs against budgets, and the switch that stops them: a set of names each, changed by one conditional write.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use sluice_domain::Timestamp;
use sluice_domain::ports::{Pause, StoreError, Tallies, Tally};

use crate::keys::{Key, number, string};
use crate::table::{Fields, Table, body, store_error};
use crate::work::send;

/// How long the runs of a wave are kept after the last one joined, in seconds: thirty days, as news of runs is.
const WAVE_SECONDS: u64 = 30 * 24 * 3600;

/// How long those of an hour are kept after the last one joined, in seconds: two days, for people to read.
const HOUR_SECONDS: u64 = 2 * 24 * 3600;

/// The attribute that holds the runs, as a set of strings. `DynamoDB` drops it with its last member.
const RUNS: &str = "runs";

impl Tallies for Table {
    /// One write. `StoreError::Refused` if the item grows over 400 KB, `DynamoDB`'s limit: some thousands of runs.
    async fn join(&self, tally: &Tally, run: &str, most: u32, now: Timestamp) -> Result<bool, StoreError> {
        let update = self.runs(tally, run);
        let update = match kept_seconds(tally) {
            None => update.update_expression("ADD runs :runs"),
            Some(seconds) => update
                .update_expression("SET expires_at = :expires ADD runs :runs")
                .expression_attribute_values(":expires", number(now.seconds() + seconds)),
        };
        let update = if most == 0 {
            update.condition_expression("contains(runs, :run)")
        } else {
            // The size of a set is the number of its members.
            update
                .condition_expression("attribute_not_exists(runs) OR size(runs) < :most OR contains(runs, :run)")
                .expression_attribute_values(":most", number(most.into()))
        };
        Ok(send(update, "to count a run").await?.is_some())
    }

    async fn leave(&self, tally: &Tally, run: &str) -> Result<(), StoreError> {
        // The condition keeps a tally that is gone from coming back, empty and without an end.
        let update = self.runs(tally, run).update_expression("DELETE runs :runs");
        send(update.condition_expression("contains(runs, :run)"), "to count a run no longer").await.map(drop)
    }

    async fn counted(&self, tally: &Tally) -> Result<BTreeSet<String>, StoreError> {
        let Some(item) = self.get(&Key::tally(tally), "to read which runs count").await? else {
            return Ok(BTreeSet::new());
        };
        match item.get(RUNS).map(AttributeValue::as_ss) {
            None => Ok(BTreeSet::new()),
            Some(Ok(runs)) => Ok(runs.iter().cloned().collect()),
            Some(Err(_)) => Err(Fields::new(&item).unreadable(format!("{RUNS} is not a set of strings"))),
        }
    }

    async fn paused(&self) -> Result<Option<Pause>, StoreError> {
        let item = self.get(&Key::pause(), "to read whether runs are stopped").await?;
        item.map(|item| Fields::new(&item).body()).transpose()
    }

    async fn set_paused(&self, pause: Option<&Pause>) -> Result<(), StoreError> {
        const ACTION: &str = "to stop runs or let them go on";
        let key = Some(Key::pause().attributes().into());
        if let Some(pause) = pause {
            let put = self.client.put_item().table_name(&self.name).set_item(key).item("body", body(pause));
            put.send().await.map(drop).map_err(|error| store_error(ACTION, error))
        } else {
            let delete = self.client.delete_item().table_name(&self.name).set_key(key);
            delete.send().await.map(drop).map_err(|error| store_error(ACTION, error))
        }
    }
}

impl Table {
    /// An update of a tally that speaks of `run`, both as a member and as a set.
    fn runs(&self, tally: &Tally, run: &str) -> UpdateItemFluentBuilder {
        self.update_at(&Key::tally(tally))
            .expression_attribute_values(":run", string(run))
            .expression_attribute_values(":runs", AttributeValue::Ss(vec![run.to_owned()]))
    }
}

/// How long a tally is kept after the last run joined, in seconds; None if for good.
fn kept_seconds(tally: &Tally) -> Option<u64> {
    match tally {
        Tally::Wave(_) => Some(WAVE_SECONDS),
        Tally::Hour(_) => Some(HOUR_SECONDS),
        Tally::UnderWay => None,
    }
}
