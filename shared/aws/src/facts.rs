//! Reading facts: one workspace with its neighbours, or many by name.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use sluice_domain::ports::{Around, FactStore, Known, StoreError, Write};
use sluice_domain::{Host, Organization, Survey, WorkKey, Workspace};

use crate::keys::{CONSUMER, CREATE, DECISION, FACTS, Key, PK, SK, WAITER, listing, partition, string};
use crate::table::{Fields, Item, Table, store_error};

/// Items in one `BatchGetItem`, which DynamoDB limits to 100.
pub(crate) const BATCH_MAX: usize = 100;

/// Most rounds of asking for what a batch read left over.
const ROUNDS_MAX: usize = 20;

impl FactStore for Table {
    async fn around(&self, workspace: &Workspace) -> Result<Around, StoreError> {
        let mut around = Around::default();
        for item in self.partition(&partition(workspace)).await? {
            let fields = Fields::new(&item);
            let sk = fields.text(SK)?;
            if let Some(name) = sk.strip_prefix(CONSUMER) {
                around.consumers.insert(parse(&fields, name)?);
            } else if let Some(name) = sk.strip_prefix(WAITER) {
                around.waiters.insert(parse(&fields, name)?);
            } else {
                take(&mut around.known, sk, &fields)?;
            }
        }
        Ok(around)
    }

    async fn known(&self, workspaces: &BTreeSet<Workspace>) -> Result<BTreeMap<Workspace, Known>, StoreError> {
        self.read(workspaces, &[FACTS, DECISION, CREATE]).await
    }

    async fn facts(&self, workspaces: &BTreeSet<Workspace>) -> Result<BTreeMap<Workspace, Known>, StoreError> {
        self.read(workspaces, &[FACTS]).await
    }

    async fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.transact(writes).await
    }
}

impl Table {
    /// Every workspace of `host` that something is known of.
    pub async fn workspaces(&self, host: &Host) -> Result<BTreeSet<Workspace>, StoreError> {
        let items = self.partition(&listing(host)).await?;
        items
            .iter()
            .map(|item| {
                let fields = Fields::new(item);
                parse(&fields, &format!("{host}/{}", fields.text(SK)?))
            })
            .collect()
    }

    /// The organizations of `host` with a workspace that something is known of.
    pub async fn organizations(&self, host: &Host) -> Result<BTreeSet<Organization>, StoreError> {
        Ok(self.workspaces(host).await?.into_iter().map(|workspace| workspace.organization).collect())
    }

    /// How far the workspaces of `organization` have been listed, and whether that was given up; None if it never began.
    pub async fn survey(&self, host: &Host, organization: &Organization) -> Result<Option<(Survey, bool)>, StoreError> {
        let key = Key::work(&WorkKey::Survey(host.clone(), organization.clone()));
        let item = self.get(&key, "to read how far a survey is").await?;
        let Some(item) = item else { return Ok(None) };
        let fields = Fields::new(&item);
        let given_up = fields.number("due_at")? > 0 && fields.text("queue")? == "dead";
        Ok(Some((fields.body()?, given_up)))
    }

    /// These kinds of item of each of `workspaces`.
    async fn read(
        &self,
        workspaces: &BTreeSet<Workspace>,
        kinds: &[&str],
    ) -> Result<BTreeMap<Workspace, Known>, StoreError> {
        let keys: Vec<Key> =
            workspaces.iter().flat_map(|workspace| kinds.iter().map(|sk| Key::of(workspace, sk))).collect();
        let mut known: BTreeMap<Workspace, Known> = BTreeMap::new();
        for chunk in keys.chunks(BATCH_MAX) {
            for item in self.batch(chunk).await? {
                let fields = Fields::new(&item);
                let workspace = parse(&fields, fields.text(PK)?.strip_prefix("WS#").unwrap_or_default())?;
                take(known.entry(workspace).or_default(), fields.text(SK)?, &fields)?;
            }
        }
        Ok(known)
    }

    /// All items of a partition, strongly consistent.
    pub(crate) async fn partition(&self, pk: &str) -> Result<Vec<Item>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", string(pk));
        let mut items = Vec::new();
        let mut pages = query.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| store_error("to read a workspace", error))?;
            items.extend(page.items.unwrap_or_default());
        }
        Ok(items)
    }

    /// The items of `keys` that exist, strongly consistent, in no order.
    pub(crate) async fn batch(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        const ACTION: &str = "to read workspaces";
        let mut wanted: Vec<Item> = keys.iter().map(|key| key.attributes().into()).collect();
        let mut items = Vec::new();
        for _ in 0..ROUNDS_MAX {
            if wanted.is_empty() {
                return Ok(items);
            }
            let keys = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true).build();
            let keys = keys.expect("keys are set");
            let output = self.client.batch_get_item().request_items(&self.name, keys).send().await;
            let output = output.map_err(|error| store_error(ACTION, error))?;
            items.extend(output.responses.unwrap_or_default().remove(&self.name).unwrap_or_default());
            let left = output.unprocessed_keys.unwrap_or_default().remove(&self.name);
            wanted = left.map(|left| left.keys).unwrap_or_default();
        }
        Err(StoreError::Unavailable { action: ACTION, source: "it kept leaving items over".into() })
    }
}

fn parse(fields: &Fields<'_>, name: &str) -> Result<Workspace, StoreError> {
    name.parse().map_err(|error| fields.unreadable(format!("{error}")))
}

/// Takes one item of a workspace's own into what is known of it; other kinds of item are passed over.
fn take(known: &mut Known, sk: &str, fields: &Fields<'_>) -> Result<(), StoreError> {
    match sk {
        FACTS => {
            known.facts = fields.body()?;
            known.version = fields.number("version")?;
        }
        DECISION => known.decision = Some(fields.body()?),
        CREATE => {
            known.order = Some(fields.body()?);
            known.ordered = fields.number("due_at")? > 0 && fields.text("queue")? != "dead";
            known.held = if known.ordered { fields.maybe_text("fault").map(str::to_owned) } else { None };
        }
        _ => {}
    }
    Ok(())
}
