//! A notification's JSON, read as leniently as can be: whoever sends it may add to it at any time.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sluice_domain::Trace;

use super::heard::Malformed;
use crate::signature::Verified;

/// The body of a notification. What is absent, null or of another type than documented is None.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Notification {
    /// `1` for runs, `2` for health assessments and auto-destroy; a number or a string.
    #[serde(deserialize_with = "text")]
    pub payload_version: Option<String>,
    /// The configuration that it was sent for, `nc-…`.
    #[serde(deserialize_with = "text")]
    pub notification_configuration_id: Option<String>,
    /// The run, `run-…`.
    #[serde(deserialize_with = "text")]
    pub run_id: Option<String>,
    /// The run's message.
    #[serde(deserialize_with = "text")]
    pub run_message: Option<String>,
    /// When the run was created.
    #[serde(deserialize_with = "text")]
    pub run_created_at: Option<String>,
    /// The workspace, `ws-…`.
    #[serde(deserialize_with = "text")]
    pub workspace_id: Option<String>,
    /// The workspace's name.
    #[serde(deserialize_with = "text")]
    pub workspace_name: Option<String>,
    /// The organization's name.
    #[serde(deserialize_with = "text")]
    pub organization_name: Option<String>,
    /// What happened, in payloads without `notifications`.
    #[serde(deserialize_with = "text")]
    pub trigger: Option<String>,
    /// What happened; at present always one.
    #[serde(deserialize_with = "list")]
    pub notifications: Vec<News>,
}

/// One thing that happened to the run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct News {
    /// What happened, `run:completed` and the like, or `verification`.
    #[serde(deserialize_with = "text")]
    pub trigger: Option<String>,
    /// What happened more precisely, where `trigger` is one of the older, coarser ones.
    #[serde(deserialize_with = "text")]
    pub trigger_type: Option<String>,
    /// The run's status.
    #[serde(deserialize_with = "text")]
    pub run_status: Option<String>,
    /// Since when the run has that status.
    #[serde(deserialize_with = "text")]
    pub run_updated_at: Option<String>,
}

impl Notification {
    /// Reads a signed body.
    pub fn parse(verified: Verified<'_>) -> Result<Self, Malformed> {
        // An array of the right values would pass for an object otherwise.
        if !verified.bytes().trim_ascii_start().starts_with(b"{") {
            return Err(Malformed::NotAnObject);
        }
        // The error itself may quote the body, which has no place in a log.
        verified.parse().map_err(|error| Malformed::NotJson { line: error.line(), column: error.column() })
    }

    /// The trace of the wave that the run is part of, if Sluice created it and said so in its message.
    #[must_use]
    pub fn trace(&self) -> Option<Trace> {
        self.run_message.as_deref().and_then(Trace::in_message)
    }
}

/// Text as it is, a number as text, anything else as None.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Lenient;

    impl<'de> Visitor<'de> for Lenient {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }

        fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
            Ok(Some(value.to_owned()))
        }

        fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
            Ok(Some(value))
        }

        fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
            Ok(Some(value.to_string()))
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(None)
        }
    }

    deserializer.deserialize_any(Lenient)
}

/// A list, or none for null.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<News>, D::Error> {
    Option::<Vec<News>>::deserialize(deserializer).map(Option::unwrap_or_default)
}
