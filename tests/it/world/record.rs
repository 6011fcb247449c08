//! What each function really asks of the table, told as IAM would see it, and how much of the table that takes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemInput, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity, TransactWriteItem};
use sluice_aws::Table;

use crate::deployment::allowed;

/// What a role has to allow: an action, on the table itself or on an index of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub action: &'static str,
    pub index: Option<String>,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.index {
            None => f.write_str(self.action),
            Some(index) => write!(f, "{} on the index {index}", self.action),
        }
    }
}

/// How much of the table was used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Units {
    pub read: f64,
    pub write: f64,
    /// Writes that were not made, as their condition did not hold. They cost as others do, and no answer tells how much.
    pub in_vain: u32,
}

/// What the functions of this test have asked.
#[derive(Debug, Default)]
pub struct Record {
    /// How often, by function.
    pub asked: BTreeMap<&'static str, BTreeMap<Asked, u32>>,
    /// How much, by function, since [`meter`] was called.
    pub units: BTreeMap<&'static str, Units>,
    metered: bool,
}

thread_local! {
    // A test has a thread of its own, on which its runtime runs all of its tasks.
    static RECORD: RefCell<Arc<Mutex<Record>>> = RefCell::default();
}

/// What the functions that were built on this thread have asked, so far and from now on.
pub fn record() -> Arc<Mutex<Record>> {
    RECORD.with_borrow(Arc::clone)
}

/// Begins anew on this thread, for functions that are built from now on.
pub fn begin() -> Arc<Mutex<Record>> {
    RECORD.take();
    record()
}

/// Has every answer tell what it cost, from now on.
pub fn meter(record: &Mutex<Record>) {
    let mut record = record.lock().unwrap();
    record.units.clear();
    record.metered = true;
}

/// The table as `function` has it: what it asks is noted, and refused where its role does not allow it.
pub fn watched(table: &Table, function: &'static str) -> Table {
    table.watched(Watcher { function, record: record() })
}

#[derive(Debug)]
struct Watcher {
    function: &'static str,
    record: Arc<Mutex<Record>>,
}

impl Intercept for Watcher {
    fn name(&self) -> &'static str {
        "what a function asks of the table"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let asked = asked(context).ok_or("the record does not know this operation")?;
        let mut record = self.record.lock().unwrap();
        let counts = record.asked.entry(self.function).or_default();
        for asked in &asked {
            *counts.entry(asked.clone()).or_default() += 1;
        }
        if record.metered {
            ask_what_it_costs(context);
        }
        drop(record);
        for asked in asked {
            if !allowed(self.function, &asked) {
                eprintln!("the role of {} does not allow {asked}", self.function);
                return Err(format!("the role of {} does not allow {asked}", self.function).into());
            }
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut record = self.record.lock().unwrap();
        if record.metered {
            let cost = cost(context);
            let units = record.units.entry(self.function).or_default();
            units.read += cost.read;
            units.write += cost.write;
            units.in_vain += cost.in_vain;
        }
        Ok(())
    }
}

/// The actions that IAM asks for. A transaction is no action of its own: each of its items is what it would be alone,
/// and a condition on an item that is not written is `ConditionCheckItem`.
fn asked(context: &BeforeSerializationInterceptorContextMut<'_>) -> Option<Vec<Asked>> {
    let input = context.input();
    let on_table = |action| Some(vec![Asked { action, index: None }]);
    if let Some(query) = input.downcast_ref::<QueryInput>() {
        Some(vec![Asked { action: "Query", index: query.index_name.clone() }])
    } else if let Some(transaction) = input.downcast_ref::<TransactWriteItemsInput>() {
        let items = transaction.transact_items.iter().flatten();
        Some(items.map(|item| Asked { action: within(item), index: None }).collect())
    } else if input.downcast_ref::<GetItemInput>().is_some() {
        on_table("GetItem")
    } else if input.downcast_ref::<BatchGetItemInput>().is_some() {
        on_table("BatchGetItem")
    } else if input.downcast_ref::<PutItemInput>().is_some() {
        on_table("PutItem")
    } else if input.downcast_ref::<UpdateItemInput>().is_some() {
        on_table("UpdateItem")
    } else if input.downcast_ref::<DeleteItemInput>().is_some() {
        on_table("DeleteItem")
    } else {
        None
    }
}

fn within(item: &TransactWriteItem) -> &'static str {
    match item {
        TransactWriteItem { put: Some(_), .. } => "PutItem",
        TransactWriteItem { update: Some(_), .. } => "UpdateItem",
        TransactWriteItem { delete: Some(_), .. } => "DeleteItem",
        TransactWriteItem { condition_check: Some(_), .. } => "ConditionCheckItem",
        _ => unreachable!("an item of a transaction is one of four"),
    }
}

fn ask_what_it_costs(context: &mut BeforeSerializationInterceptorContextMut<'_>) {
    let input = context.input_mut();
    macro_rules! of {
        ($($input:ty),*) => {
            $(if let Some(input) = input.downcast_mut::<$input>() {
                input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
            })*
        };
    }
    of!(GetItemInput, BatchGetItemInput, QueryInput, PutItemInput, UpdateItemInput, DeleteItemInput);
    of!(TransactWriteItemsInput);
}

fn cost(context: &AfterDeserializationInterceptorContextRef<'_>) -> Units {
    let Ok(output) = context.output_or_error() else { return Units { in_vain: 1, ..Units::default() } };
    let sum = |all: &[ConsumedCapacity]| all.iter().filter_map(|one| one.capacity_units).sum::<f64>();
    macro_rules! units {
        ($output:ty) => {
            output.downcast_ref::<$output>().map(|it| sum(it.consumed_capacity.as_slice()))
        };
    }
    let read = units!(GetItemOutput).or(units!(QueryOutput));
    let read = read.or(output.downcast_ref::<BatchGetItemOutput>().map(|it| sum(it.consumed_capacity())));
    let write = units!(PutItemOutput).or(units!(UpdateItemOutput)).or(units!(DeleteItemOutput));
    let write = write.or(output.downcast_ref::<TransactWriteItemsOutput>().map(|it| sum(it.consumed_capacity())));
    Units { read: read.unwrap_or_default(), write: write.unwrap_or_default(), in_vain: 0 }
}
