//! The members of an object that is held whole.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::error::{Result, ScanErrorKind};

/// Bookmarks of an object's members, the last of repeated ones. Null members are as good as absent.
pub(super) struct Members<'a>(BTreeMap<Cow<'a, str>, Option<Cursor<'a>>>);

impl<'a> Members<'a> {
    /// Reads an object; none at all has no members. `what` names it in the error if it is something else.
    pub(super) fn read(object: Option<Cursor<'a>>, what: &'static str) -> Result<Self> {
        let mut members = BTreeMap::new();
        let Some(mut cursor) = object else { return Ok(Self(members)) };
        if cursor.peek() != b'{' {
            return cursor.fail(ScanErrorKind::WrongType { what, expected: "an object" });
        }
        cursor.object(|key, cursor| {
            members.insert(key, cursor.bookmark()?);
            Ok(())
        })?;
        Ok(Self(members))
    }

    pub(super) fn get(&self, key: &str) -> Option<Cursor<'a>> {
        self.0.get(key).copied().flatten()
    }

    /// A string, or a number or boolean as one.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>> {
        self.get(key).map_or(Ok(None), |mut cursor| cursor.text())
    }

    /// A value whose type is part of it: `{"value": …, "type": …}`.
    pub(super) fn dynamic(&self, key: &str, what: &'static str) -> Result<Option<Cursor<'a>>> {
        Ok(Self::read(self.get(key), what)?.get("value"))
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Cow<'a, str>, Cursor<'a>)> {
        self.0.into_iter().filter_map(|(key, member)| Some((key, member?)))
    }
}
