//! The table, and what its errors mean.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Intercept;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use sluice_domain::ports::StoreError;

use crate::connect::{ConnectError, client};
use crate::keys::{Key, PK, SK};

pub(crate) type Item = HashMap<String, AttributeValue>;

/// Sluice's DynamoDB table behind the domain's ports.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Table {
    /// The table `name` by way of `client`.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// The table `name`, with region, credentials and endpoint from the SDK's own environment variables. Nothing is
    /// sent: a Lambda function's init makes no call.
    pub fn connect(vars: &BTreeMap<String, String>, name: &str) -> Result<Self, ConnectError> {
        Ok(Self::new(client(vars)?, name))
    }

    /// The same table, with `watcher` told of every request before it is sent and of every answer: how tests learn what
    /// a function really asks, and refuse what its role would not allow.
    #[must_use]
    pub fn watched(&self, watcher: impl Intercept + 'static) -> Self {
        let config = self.client.config().to_builder().interceptor(watcher).build();
        Self::new(Client::from_conf(config), self.name.clone())
    }

    /// Whether the table is there and answers, for health checks.
    pub async fn ready(&self) -> Result<(), StoreError> {
        const ACTION: &str = "a health check";
        let key = Key { pk: "HEALTH".into(), sk: "HEALTH".into() };
        let request = self.client.get_item().table_name(&self.name).set_key(Some(key.attributes().into()));
        request.send().await.map(drop).map_err(|error| store_error(ACTION, error))
    }

    /// One item, strongly consistent; None if there is none.
    pub(crate) async fn get(&self, key: &Key, action: &'static str) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true);
        let output = request.set_key(Some(key.attributes().into())).send().await;
        output.map(|output| output.item).map_err(|error| store_error(action, error))
    }
}

/// What an SDK error means to the caller.
pub(crate) fn store_error<E, R>(action: &'static str, error: SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let refused = match &error {
        SdkError::ServiceError(service) => !passes(service.err().code().unwrap_or_default()),
        SdkError::ConstructionFailure(_) => true,
        _ => false,
    };
    if refused {
        StoreError::Refused { action, source: Box::new(error) }
    } else {
        StoreError::Unavailable { action, source: Box::new(error) }
    }
}

/// Error codes that come good by themselves.
fn passes(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottlingException"
            | "LimitExceededException"
            | "TransactionInProgressException"
            | "TransactionConflictException"
            | "TransactionCanceledException"
            | "InternalServerError"
            | "ServiceUnavailable"
            | ""
    )
}

/// Reads typed attributes of an item, naming the item in every error.
pub(crate) struct Fields<'a> {
    item: &'a Item,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(item: &'a Item) -> Self {
        Self { item }
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str, StoreError> {
        self.maybe_text(name).ok_or_else(|| self.unreadable(format!("{name} is not a string")))
    }

    /// None where the attribute is missing, or no string.
    pub(crate) fn maybe_text(&self, name: &str) -> Option<&'a str> {
        self.item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
    }

    /// 0 where the attribute is missing.
    pub(crate) fn number(&self, name: &str) -> Result<u64, StoreError> {
        match self.item.get(name) {
            None => Ok(0),
            Some(value) => value
                .as_n()
                .ok()
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| self.unreadable(format!("{name} is not a whole number"))),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.item.get(name).and_then(|value| value.as_bool().ok()).copied().unwrap_or(false)
    }

    pub(crate) fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(self.text("body")?).map_err(|error| self.unreadable(format!("body: {error}")))
    }

    pub(crate) fn unreadable(&self, detail: String) -> StoreError {
        let part = |name| self.maybe_text(name).unwrap_or("?");
        StoreError::Unreadable { key: format!("{} {}", part(PK), part(SK)), detail }
    }
}

/// A stored value as JSON text.
pub(crate) fn body<T: serde::Serialize>(value: &T) -> AttributeValue {
    AttributeValue::S(serde_json::to_string(value).expect("domain values serialize: their map keys are strings"))
}
