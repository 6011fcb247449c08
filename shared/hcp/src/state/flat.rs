//! The flat attributes of Terraform 0.11 and earlier: `subnets.#`, `subnets.0`, `tags.%`, `tags.Name`.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::Digest;

use super::canonical;
use super::cursor::Cursor;
use super::error::{Result, ScanErrorKind};
use super::reference::Source;
use super::source::{Config, Kind, tfe_outputs};
use crate::digest::Digester;

/// Deeper values are taken as text: no version of Terraform wrote any.
const NESTING_MAX: usize = 64;

/// Attributes as a flat map.
#[derive(Default)]
pub(super) struct Flat(BTreeMap<String, String>);

impl Flat {
    pub(super) fn read(mut cursor: Cursor<'_>) -> Result<Self> {
        let mut attributes = BTreeMap::new();
        if cursor.peek() != b'{' {
            return cursor.fail(ScanErrorKind::WrongType { what: "flat attributes", expected: "an object" });
        }
        cursor.object(|key, cursor| {
            if matches!(cursor.peek(), b'{' | b'[') {
                return cursor.fail(ScanErrorKind::WrongType { what: "a flat attribute", expected: "a string" });
            }
            let text = cursor.text()?.unwrap_or_default();
            attributes.insert(key.into_owned(), text);
            Ok(())
        })?;
        Ok(Self(attributes))
    }

    pub(super) fn into_source(self, kind: Kind, digester: &Digester) -> (Source, BTreeMap<String, Digest>) {
        let text = |key: &str| self.0.get(key).cloned();
        let source = match kind {
            Kind::TfeOutputs => tfe_outputs(text("organization"), text("workspace")),
            Kind::RemoteState => {
                // `environment` is what `workspace` was called before 0.10; both are written, with their defaults.
                let given = ["workspace", "environment"].into_iter().filter_map(text);
                let given: Vec<String> = given.filter(|name| !name.is_empty()).collect();
                let workspace = given.iter().find(|name| *name != "default").or(given.first()).cloned();
                self.config().into_source(text("backend").unwrap_or_default(), workspace)
            }
        };
        (source, self.digests(digester))
    }

    /// `config.name` is `config.<hash>.name` where the configuration was a set, and members of lists have a number.
    fn config(&self) -> Config {
        let mut config = Config::default();
        for (key, value) in self.under("config.") {
            let words = key.split('.').filter(|word| word.bytes().any(|byte| !byte.is_ascii_digit()));
            let slot = match words.collect::<Vec<_>>().as_slice() {
                ["hostname"] => &mut config.hostname,
                ["organization"] => &mut config.organization,
                ["workspaces", "name"] => &mut config.workspace,
                ["workspaces", "prefix"] => &mut config.prefix,
                ["name"] => &mut config.name,
                ["address"] => &mut config.address,
                _ => continue,
            };
            *slot = Some(value.to_owned());
        }
        config
    }

    fn digests(&self, digester: &Digester) -> BTreeMap<String, Digest> {
        let own = ["backend", "workspace", "environment", "id", "config", "defaults"];
        let names = self.0.keys().map(|key| first(key)).filter(|name| !own.contains(name));
        let names: BTreeSet<&str> = names.collect();
        let mut canonical = Vec::new();
        let digest = |name: &str| {
            canonical.clear();
            self.write(name, 0, &mut canonical);
            (name.to_owned(), digester.digest(&canonical))
        };
        names.into_iter().map(digest).collect()
    }

    /// The attributes whose key begins with `prefix`, without it.
    fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from = self.0.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.map_while(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    fn has(&self, key: &str, marker: &str) -> bool {
        self.0.contains_key(&format!("{key}.{marker}"))
    }

    fn write(&self, key: &str, depth: usize, out: &mut Vec<u8>) {
        let prefix = format!("{key}.");
        let nested = depth < NESTING_MAX;
        if nested && self.has(key, "#") {
            let numbered = self.under(&prefix).map(|(rest, _)| first(rest)).filter(|&index| index != "#");
            // Indices in their order as numbers; of sets, whose hashes are the indices, the same.
            let members: BTreeSet<(usize, &str)> = numbered.map(|index| (index.len(), index)).collect();
            self.write_list(&prefix, members.into_iter().map(|(_, index)| index), depth, out);
        } else if nested && self.has(key, "%") {
            let names = self.under(&prefix).map(|(rest, _)| rest).filter(|&rest| rest != "%");
            // A map's own keys may have dots: only what is marked as a value of its own is one.
            let member = |rest| match first(rest) {
                name if self.has(&format!("{prefix}{name}"), "#") || self.has(&format!("{prefix}{name}"), "%") => name,
                _ => rest,
            };
            let members: BTreeSet<&str> = names.map(member).collect();
            self.write_map(&prefix, &members, depth, out);
        } else {
            let text = self.0.get(key).map_or("", String::as_str);
            canonical::string(text, out);
        }
    }

    fn write_list<'a>(&self, prefix: &str, members: impl Iterator<Item = &'a str>, depth: usize, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, member) in members.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.write(&format!("{prefix}{member}"), depth + 1, out);
        }
        out.push(b']');
    }

    fn write_map(&self, prefix: &str, members: &BTreeSet<&str>, depth: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            canonical::string(member, out);
            out.push(b':');
            self.write(&format!("{prefix}{member}"), depth + 1, out);
        }
        out.push(b'}');
    }
}

fn first(key: &str) -> &str {
    key.split_once('.').map_or(key, |(first, _)| first)
}
