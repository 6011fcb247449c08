//! The table as it is made on a laptop and in tests. In an account, the deployment makes it, alike.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use sluice_domain::ports::StoreError;

use crate::keys::{PK, SK};
use crate::table::{Table, store_error};

/// The sparse index of work: only items with both `queue` and `due_at` are in it.
pub(crate) const DUE_INDEX: &str = "due";

/// The keys of the table, of that index, and what the index holds besides, as [`Description`] writes them.
///
/// [`Description`]: crate::Description
pub const TABLE_KEYS: &str = "pk S, sk S";
/// Those of the index `due`.
pub const DUE_KEYS: &str = "queue S, due_at N";
/// What the index `due` holds besides its keys.
pub const DUE_PROJECTION: &str = "KEYS_ONLY";
/// The attribute that says when an item may go.
pub const TTL_ATTRIBUTE: &str = "expires_at";

impl Table {
    /// Makes the table, unless it is there.
    pub async fn create(&self) -> Result<(), StoreError> {
        const ACTION: &str = "to create the table";
        let create = self
            .client
            .create_table()
            .table_name(&self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(vec![
                attribute(PK, ScalarAttributeType::S),
                attribute(SK, ScalarAttributeType::S),
                attribute("queue", ScalarAttributeType::S),
                attribute("due_at", ScalarAttributeType::N),
            ]))
            .set_key_schema(Some(schema(PK, SK)))
            .global_secondary_indexes(
                GlobalSecondaryIndex::builder()
                    .index_name(DUE_INDEX)
                    .set_key_schema(Some(schema("queue", "due_at")))
                    .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
                    .build()
                    .expect("name and schema are set"),
            )
            .stream_specification(
                StreamSpecification::builder()
                    .stream_enabled(true)
                    .stream_view_type(StreamViewType::NewImage)
                    .build()
                    .expect("stream_enabled is set"),
            );
        if let Err(error) = create.send().await {
            return if error
                .as_service_error()
                .is_some_and(aws_sdk_dynamodb::operation::create_table::CreateTableError::is_resource_in_use_exception)
            {
                Ok(())
            } else {
                Err(store_error(ACTION, error))
            };
        }
        let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL_ATTRIBUTE).build();
        let ttl = ttl.expect("both fields are set");
        let update = self.client.update_time_to_live().table_name(&self.name).time_to_live_specification(ttl);
        update.send().await.map(drop).map_err(|error| store_error(ACTION, error))
    }
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().expect("name and type are set")
}

fn schema(hash: &str, range: &str) -> Vec<KeySchemaElement> {
    [(hash, KeyType::Hash), (range, KeyType::Range)]
        .map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("name and type are set")
        })
        .into()
}
