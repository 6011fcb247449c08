//! One object put into another, member by member, as text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::DocumentError;

/// How far down one object is put into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// As far as it has objects: RFC 7396.
    All,
    /// Not at all: its members take the place of others as they are.
    Top,
    /// One object down: the members of its members take the place of others as they are.
    Second,
}

impl Depth {
    /// How far down the objects below are put into each other, if at all.
    fn below(self) -> Option<Self> {
        match self {
            Self::All => Some(Self::All),
            Self::Second => Some(Self::Top),
            Self::Top => None,
        }
    }
}

/// Writes `target` with `with` put into it. Without a target the object is made of `with` alone. As deep as `with` at the
/// most, so never deeper than a document may be.
pub(super) fn combine(target: Option<&str>, with: &str, depth: Depth, text: &mut String) -> Result<(), DocumentError> {
    let mut members = Members::default();
    for (name, value) in target.map(pairs).transpose()?.unwrap_or_default() {
        members.of(name)?.old = Some(value);
    }
    for (name, value) in pairs(with)? {
        members.of(name)?.new = Some(value);
    }
    text.push('{');
    let mut first = true;
    for Member { name, old, new } in members.all {
        let goes = depth == Depth::All && new == Some("null");
        let Some(value) = new.or(old).filter(|_| !goes) else { continue };
        if !std::mem::take(&mut first) {
            text.push(',');
        }
        text.push_str(name);
        text.push(':');
        match (new.filter(|new| is_object(new)), depth.below()) {
            (Some(new), Some(below)) => combine(old.filter(|old| is_object(old)), new, below, text)?,
            _ => text.push_str(value),
        }
    }
    text.push('}');
    Ok(())
}

fn is_object(value: &str) -> bool {
    value.starts_with('{')
}

/// A member of either object or both. All of it is JSON text.
struct Member<'a> {
    name: &'a str,
    old: Option<&'a str>,
    new: Option<&'a str>,
}

/// Members in the order in which their names first came, to be found by the names that are meant: `"\u0061"` is `"a"`. Of
/// several of one name the last counts, as for nearly every reader.
#[derive(Default)]
struct Members<'a> {
    all: Vec<Member<'a>>,
    places: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Members<'a> {
    fn of(&mut self, name: &'a str) -> Result<&mut Member<'a>, DocumentError> {
        let meant = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
            Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
            _ => Cow::Owned(serde_json::from_str(name).map_err(|error| unreadable(&error))?),
        };
        let place = *self.places.entry(meant).or_insert_with(|| {
            self.all.push(Member { name, old: None, new: None });
            self.all.len() - 1
        });
        Ok(&mut self.all[place])
    }
}

/// The members of an object as text, names and values.
fn pairs(object: &str) -> Result<Vec<(&str, &str)>, DocumentError> {
    let Pairs(pairs) = serde_json::from_str(object).map_err(|error| unreadable(&error))?;
    Ok(pairs)
}

/// A document was looked at when it was sent; only one that was kept badly comes here.
fn unreadable(error: &serde_json::Error) -> DocumentError {
    DocumentError::NotJson { line: error.line(), column: error.column() }
}

struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Pairs<'de>, A::Error> {
        let mut all = Vec::new();
        while let Some((name, value)) = members.next_entry::<&RawValue, &RawValue>()? {
            all.push((name.get(), value.get()));
        }
        Ok(Pairs(all))
    }
}
