//! The contexts of runs: a head each, with the document in it or, where that is too large for one item, with the name of
//! the parts that it was cut into.
//!
//! Parts are written under a name that was never used, then the head is swapped, on condition that it is what was read.
//! So whoever dies in between, or comes too late, changes nothing, and two writers never share a part.

mod change;

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use futures_util::future::{join_all, try_join_all};
use ring::rand::{SecureRandom, SystemRandom};
use sluice_domain::context::Document;
use sluice_domain::ports::{ContextKey, ContextStore, Kept, StoreError};
use sluice_domain::{RunId, RunReport, Standing, Timestamp, WorkKey, Workspace, chain};
use tracing::warn;

use crate::commit::at_version;
use crate::keys::{CLAIM, Key, PART, SK, beyond_claims_of, claims, context, number, string};
use crate::table::{Fields, Item, Table, store_error};

pub use change::{PATIENCE, Patience, change_context};

/// How long a context is kept after it was last written, and a run after a task of it was last asked, in seconds: ninety
/// days.
pub(crate) const CONTEXT_SECONDS: u64 = 90 * 24 * 3600;

/// How long parts are kept, in seconds: a month longer than the head that names them, as expired items go when DynamoDB
/// comes around to them, in any order. Those that a crash left without a head go by this, too: they do not get a shorter
/// life that would have to be made longer once they count, as a crash in between would cost the document.
const PART_SECONDS: u64 = CONTEXT_SECONDS + 30 * 24 * 3600;

/// Longest document that is part of its head, in bytes. An item holds 400 KB.
const INLINE_BYTES_MAX: usize = 300_000;

/// Longest part, in bytes.
const PART_BYTES_MAX: usize = 350_000;

/// How often a head is read whose parts are gone by the time they are asked for.
const ROUNDS_MAX: usize = 8;

/// How many claims to a run are read at a time: those of a stage or of a few.
const CLAIMS_PAGE: i32 = 50;

/// How many workspaces that claim a run are looked for, roughly. Two are one too many already.
const CLAIMS_MAX: usize = 32;

const LOOK_UP: &str = "to look a run up";
const READ: &str = "to read a run's context";
const WRITE: &str = "to write a run's context";

impl ContextStore for Table {
    async fn context_workspaces(&self, run: &RunId) -> Result<Vec<Workspace>, StoreError> {
        let mut found: Vec<Workspace> = Vec::new();
        let mut after = CLAIM.to_owned();
        // One page has them all, unless somebody says more than there is to say.
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND sk > :after")
                .expression_attribute_values(":pk", string(claims(run)))
                .expression_attribute_values(":after", string(&after))
                .limit(CLAIMS_PAGE);
            let page = query.send().await.map_err(|error| store_error(LOOK_UP, error))?;
            for item in page.items() {
                let workspace = Fields::new(item).body()?;
                if found.last() != Some(&workspace) {
                    found.push(workspace);
                }
            }
            match found.last() {
                Some(last) if page.last_evaluated_key().is_some() && found.len() < CLAIMS_MAX => {
                    after = beyond_claims_of(last);
                }
                _ => return Ok(found),
            }
        }
    }

    async fn context_standing(&self, of: &ContextKey) -> Result<Option<Standing>, StoreError> {
        let news = Key::work(&WorkKey::Run(of.workspace.clone(), of.run.clone()));
        let Some(item) = self.get(&news, LOOK_UP).await? else { return Ok(None) };
        let report: RunReport = Fields::new(&item).body()?;
        Ok(Some(report.standing))
    }

    async fn context(&self, of: &ContextKey) -> Result<Kept, StoreError> {
        let key = Key::context_head(of);
        let mut without_parts = None;
        for _ in 0..ROUNDS_MAX {
            let Some(item) = self.get(&key, READ).await? else { return Ok(Kept::default()) };
            let head = Head::of(&item)?;
            if let Some(text) = self.text(of, &head, &item).await? {
                return Ok(Kept { document: Document::kept(text), version: head.version });
            }
            // Another write may have taken their place. If none has, they are lost.
            if without_parts.replace(head.generation) == without_parts {
                return Err(Fields::new(&item).unreadable("parts of it are gone".to_owned()));
            }
        }
        Err(StoreError::Conflict)
    }

    async fn context_version(&self, of: &ContextKey) -> Result<u64, StoreError> {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true);
        let request = request.set_key(Some(Key::context_head(of).attributes().into()));
        let output = request.projection_expression("version").send().await.map_err(|error| store_error(READ, error))?;
        output.item().map_or(Ok(0), |item| Fields::new(item).number("version"))
    }

    async fn put_context(
        &self,
        of: &ContextKey,
        document: &Document,
        version: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let text = document.as_str();
        let generation = generation(version + 1);
        let parts = if text.len() > INLINE_BYTES_MAX { cut(text) } else { Vec::new() };
        let writes = parts.iter().enumerate().map(|(part, text)| {
            let put = self.put_item(&Key::context_part(of, &generation, part)).item("body", string(*text));
            put.item("expires_at", number(now.seconds() + PART_SECONDS)).send()
        });
        try_join_all(writes).await.map_err(|error| store_error(WRITE, error))?;

        let head = self
            .put_item(&Key::context_head(of))
            .item("version", number(version + 1))
            .item("generation", string(&generation))
            .item("parts", number(parts.len() as u64))
            .item("bytes", number(text.len() as u64))
            .item("expires_at", number(now.seconds() + CONTEXT_SECONDS))
            .condition_expression(at_version(version))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let head = if parts.is_empty() { head.item("body", string(text)) } else { head };
        let head = if version == 0 { head } else { head.expression_attribute_values(":version", number(version)) };
        match head.send().await {
            Ok(output) => self.drop_items(of, keys_before(of, output.attributes())).await,
            Err(error) => {
                let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
                    // It may have been written: its parts may be those that count.
                    return Err(store_error(WRITE, error));
                };
                // The SDK tries again where an answer was lost, and then meets its own write.
                let winner = failed.item().and_then(|head| Fields::new(head).maybe_text("generation"));
                if winner != Some(&generation) {
                    self.drop_items(of, keys(of, &generation, parts.len())).await;
                    return Err(StoreError::Conflict);
                }
                // What the head was before went with the answer.
                self.drop_parts_before(of, version + 1).await;
            }
        }
        Ok(version + 1)
    }
}

impl Table {
    /// The text of a document; None if parts of it are gone.
    async fn text(&self, of: &ContextKey, head: &Head, item: &Item) -> Result<Option<String>, StoreError> {
        let fields = Fields::new(item);
        let text = if head.parts == 0 {
            fields.text("body")?.to_owned()
        } else {
            let items =
                try_join_all(keys(of, &head.generation, head.parts).iter().map(|key| self.get(key, READ))).await?;
            let Some(items) = items.into_iter().collect::<Option<Vec<Item>>>() else { return Ok(None) };
            let mut text = String::with_capacity(head.bytes);
            for item in &items {
                text.push_str(Fields::new(item).text("body")?);
            }
            text
        };
        if text.len() == head.bytes {
            Ok(Some(text))
        } else {
            Err(fields.unreadable(format!("it has {} bytes instead of {}", text.len(), head.bytes)))
        }
    }

    /// Deletes the parts that were written for versions before `version`, which is there: none of them can count again,
    /// whoever wrote them.
    async fn drop_parts_before(&self, of: &ContextKey, version: u64) {
        let mut start = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :version")
                .expression_attribute_values(":pk", string(context(of)))
                .expression_attribute_values(":first", string(PART))
                .expression_attribute_values(":version", string(format!("{PART}{}", versioned(version))))
                .projection_expression(SK)
                .set_exclusive_start_key(start);
            let page = match query.send().await {
                Ok(page) => page,
                Err(error) => return stays(of, &store_error("to find parts of a context", error)),
            };
            let sorted = page.items().iter().filter_map(|item| Fields::new(item).maybe_text(SK));
            let keys = sorted.map(|sk| Key { pk: context(of), sk: sk.to_owned() }).collect();
            self.drop_items(of, keys).await;
            start = page.last_evaluated_key;
            if start.is_none() {
                return;
            }
        }
    }

    /// Deletes what does not count. What cannot be deleted goes when its time is over.
    async fn drop_items(&self, of: &ContextKey, keys: Vec<Key>) {
        let deletes = keys
            .into_iter()
            .map(|key| self.client.delete_item().table_name(&self.name).set_key(Some(key.attributes().into())).send());
        if let Some(Err(error)) = join_all(deletes).await.into_iter().find(Result::is_err) {
            stays(of, &store_error("to delete parts of a context", error));
        }
    }

    fn put_item(&self, key: &Key) -> PutItemFluentBuilder {
        self.client.put_item().table_name(&self.name).set_item(Some(key.attributes().into()))
    }
}

/// What a head says of its document.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Head {
    version: u64,
    generation: String,
    parts: usize,
    bytes: usize,
}

impl Head {
    fn of(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields::new(item);
        let count =
            |name| usize::try_from(fields.number(name)?).map_err(|_| fields.unreadable(format!("{name} is too large")));
        Ok(Self {
            version: fields.number("version")?,
            generation: fields.text("generation")?.to_owned(),
            parts: count("parts")?,
            bytes: count("bytes")?,
        })
    }
}

/// The keys of the parts of one generation.
fn keys(of: &ContextKey, generation: &str, parts: usize) -> Vec<Key> {
    (0..parts).map(|part| Key::context_part(of, generation, part)).collect()
}

/// The keys of the parts that a head had which is no more.
fn keys_before(of: &ContextKey, head: Option<&HashMap<String, AttributeValue>>) -> Vec<Key> {
    let head = head.filter(|head| !head.is_empty()).and_then(|head| Head::of(head).ok());
    head.map(|head| keys(of, &head.generation, head.parts)).unwrap_or_default()
}

fn stays(of: &ContextKey, error: &StoreError) {
    let ContextKey { workspace, run } = of;
    let why = chain(error);
    warn!(run.id = %run, "parts of an older context of {run} in {workspace} stay for a while: {why}");
}

/// A name for parts that nobody else has used or will use, in the order of the versions that they are for.
fn generation(version: u64) -> String {
    format!("{}-{}", versioned(version), u128::from_be_bytes(random()))
}

/// A version as text that sorts like it.
fn versioned(version: u64) -> String {
    format!("{version:020}")
}

fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    bytes
}

/// Cuts a text into parts between characters.
fn cut(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while !text.is_empty() {
        let (part, rest) = text.split_at(text.floor_char_boundary(PART_BYTES_MAX));
        parts.push(part);
        text = rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        for text in [String::new(), "x".repeat(PART_BYTES_MAX), "é".repeat(PART_BYTES_MAX), "x€".repeat(PART_BYTES_MAX)]
        {
            let parts = cut(&text);
            assert_eq!(parts.concat(), text);
            assert_eq!(parts.len(), text.len().div_ceil(PART_BYTES_MAX));
            assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= PART_BYTES_MAX));
        }
    }
}
