//! The table as it really is, for those who wonder whether it is as it has to be; and its clock.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndexDescription, KeySchemaElement, PointInTimeRecoveryStatus,
    TableDescription, TimeToLiveStatus,
};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use sluice_domain::Timestamp;
use sluice_domain::ports::StoreError;

use crate::schema::DUE_INDEX;
use crate::table::{Table, store_error};

/// What a table is like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// `ACTIVE`, unless it is being made, changed or deleted.
    pub status: String,
    /// Its keys with their types, as `pk S, sk S`.
    pub keys: String,
    /// The index of due work, if there is one of its name.
    pub due: Option<DueIndex>,
    /// What its stream carries, as `NEW_IMAGE`, if it has one.
    pub stream: Option<String>,
}

/// What an index is like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DueIndex {
    /// `ACTIVE`, unless it is being filled or deleted.
    pub status: String,
    /// Its keys with their types.
    pub keys: String,
    /// What it holds besides them, as `KEYS_ONLY`.
    pub projection: String,
}

impl Table {
    /// The table's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the table is like.
    pub async fn describe(&self) -> Result<Description, StoreError> {
        let answer = self.client.describe_table().table_name(&self.name).send().await;
        let answer = answer.map_err(|error| store_error("to describe the table", error))?;
        Ok(answer.table.as_ref().map(description).unwrap_or_default())
    }

    /// The attribute by which items expire; None if none do.
    pub async fn time_to_live(&self) -> Result<Option<String>, StoreError> {
        let answer = self.client.describe_time_to_live().table_name(&self.name).send().await;
        let answer = answer.map_err(|error| store_error("to read which items expire", error))?;
        let on = |status: &TimeToLiveStatus| matches!(status, TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling);
        let found = answer.time_to_live_description.filter(|found| found.time_to_live_status.as_ref().is_some_and(on));
        Ok(found.and_then(|found| found.attribute_name))
    }

    /// Whether the table can be brought back to how it was at a point in time.
    pub async fn point_in_time_recovery(&self) -> Result<bool, StoreError> {
        let answer = self.client.describe_continuous_backups().table_name(&self.name).send().await;
        let answer = answer.map_err(|error| store_error("to read whether the table is backed up", error))?;
        let recovery = answer.continuous_backups_description.and_then(|it| it.point_in_time_recovery_description);
        Ok(recovery.and_then(|it| it.point_in_time_recovery_status) == Some(PointInTimeRecoveryStatus::Enabled))
    }

    /// What time it is for the table, to the second; None if it does not say.
    pub async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let heard = DateHeard::default();
        let request = self.client.describe_table().table_name(&self.name).customize().interceptor(heard.clone());
        request.send().await.map_err(|error| store_error("to read the table's clock", error))?;
        let heard = *heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(heard)
    }
}

fn description(table: &TableDescription) -> Description {
    let types = table.attribute_definitions();
    let due = table.global_secondary_indexes().iter().find(|index| index.index_name() == Some(DUE_INDEX));
    let stream = table.stream_specification().filter(|stream| stream.stream_enabled());
    Description {
        status: table.table_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        keys: keys(table.key_schema(), types),
        due: due.map(|index| due_index(index, types)),
        stream: stream.map(|stream| stream.stream_view_type().map(|view| view.as_str().to_owned()).unwrap_or_default()),
    }
}

fn due_index(index: &GlobalSecondaryIndexDescription, types: &[AttributeDefinition]) -> DueIndex {
    let projection = index.projection().and_then(|projection| projection.projection_type());
    DueIndex {
        status: index.index_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        keys: keys(index.key_schema(), types),
        projection: projection.map(|projection| projection.as_str().to_owned()).unwrap_or_default(),
    }
}

/// Keys with their types, the partition key first, as DynamoDB lists them.
fn keys(schema: &[KeySchemaElement], types: &[AttributeDefinition]) -> String {
    let key = |element: &KeySchemaElement| {
        let name = element.attribute_name();
        let found = types.iter().find(|attribute| attribute.attribute_name() == name);
        format!("{name} {}", found.map_or("?", |attribute| attribute.attribute_type().as_str()))
    };
    schema.iter().map(key).collect::<Vec<_>>().join(", ")
}

/// Hears the time in the header of an answer.
#[derive(Debug, Clone, Default)]
struct DateHeard(Arc<Mutex<Option<Timestamp>>>);

impl Intercept for DateHeard {
    fn name(&self) -> &'static str {
        "DateHeard"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        let date = date.and_then(|date| date.to_millis().ok()).and_then(|ms| u64::try_from(ms).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date.map(Timestamp);
        Ok(())
    }
}
