//! A JSON object as it was sent: what is passed on keeps its order, and numbers keep their digits.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// The members of an object in their order, each value as it was written.
#[derive(Clone, Default)]
pub(super) struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// The value of `name`. Where a name stands twice the last one counts, as with most readers.
    pub(super) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().rev().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// The value of `name` as a `T`; None if it is missing, null or anything else.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// The text at `name`, unless it is empty: senders made of Go's types send that for nothing.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.read::<String>(name).filter(|text| !text.is_empty())
    }

    /// Takes away every member of that name.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(found, _)| found != name);
    }

    /// Puts `value` where `name` stands, else after `before`, else at the end.
    pub(super) fn set(&mut self, name: &str, before: &str, value: &impl Serialize) {
        let value = to_raw_value(value).expect("texts and flags are JSON");
        let place = |wanted: &str| self.0.iter().position(|(found, _)| found == wanted);
        let at = place(name).or_else(|| place(before).map(|at| at + 1)).unwrap_or(self.0.len());
        self.remove(name);
        self.0.insert(at.min(self.0.len()), (name.to_owned(), value));
    }

    /// The object again.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("members are JSON already")
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members, A::Error> {
                let mut found = Vec::new();
                while let Some(member) = members.next_entry()? {
                    found.push(member);
                }
                Ok(Members(found))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
