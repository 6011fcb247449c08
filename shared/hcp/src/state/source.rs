//! Reads the instances of data sources that read another workspace's outputs.

use std::collections::BTreeMap;
use std::fmt::Write;

use sluice_domain::Digest;

use super::canonical;
use super::cursor::Cursor;
use super::error::{Result, ScanErrorKind};
use super::flat::Flat;
use super::members::Members;
use super::reference::{Selection, Source};
use crate::digest::Digester;

/// The data sources that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    RemoteState,
    TfeOutputs,
}

impl Kind {
    pub(crate) fn of(resource_type: &[u8]) -> Option<Self> {
        match resource_type {
            b"terraform_remote_state" => Some(Self::RemoteState),
            b"tfe_outputs" => Some(Self::TfeOutputs),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RemoteState => "terraform_remote_state",
            Self::TfeOutputs => "tfe_outputs",
        }
    }
}

/// A reference less the part of its address that its surroundings give.
#[derive(Debug)]
pub(super) struct Found {
    /// `["k"]`, `[0]` or nothing.
    pub(super) index: String,
    pub(super) source: Source,
    pub(super) observed: BTreeMap<String, Digest>,
}

/// Reads one v4 instance; `None` if it is deposed.
pub(super) fn instance(mut cursor: Cursor<'_>, kind: Kind, digester: &Digester) -> Result<Option<Found>> {
    let mut index = String::new();
    let mut deposed = false;
    let mut attributes = None;
    let mut flat = None;
    cursor.object(|key, cursor| {
        match key.as_ref() {
            "index_key" => index = index_key(cursor)?,
            "deposed" => deposed = cursor.text()?.is_some_and(|key| !key.is_empty()),
            "attributes" => attributes = cursor.bookmark()?,
            "attributes_flat" => flat = cursor.bookmark()?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    cursor.end()?;
    if deposed {
        return Ok(None);
    }
    let (source, observed) = match (attributes, flat) {
        (None, Some(flat)) => Flat::read(flat)?.into_source(kind, digester),
        (attributes, _) => Members::read(attributes, "an instance's `attributes`")?.source(kind, digester)?,
    };
    Ok(Some(Found { index, source, observed }))
}

fn index_key(cursor: &mut Cursor<'_>) -> Result<String> {
    match cursor.peek() {
        b'"' => Ok(format!("[{}]", quoted(&cursor.string()?))),
        b'{' | b'[' | b't' | b'f' => cursor
            .fail(ScanErrorKind::WrongType { what: "an instance's `index_key`", expected: "a string or a number" }),
        _ => Ok(match cursor.word()? {
            "null" => String::new(),
            number => format!("[{number}]"),
        }),
    }
}

/// An instance key as Terraform quotes it.
fn quoted(key: &str) -> String {
    let mut quoted = String::from("\"");
    let mut letters = key.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '"' | '\\' => quoted.extend(['\\', letter]),
            // Doubled, or it would begin a template.
            '$' | '%' if letters.peek() == Some(&'{') => quoted.extend([letter, letter]),
            ' ' => quoted.push(' '),
            _ if letter.is_control() || letter.is_whitespace() => {
                let code = u32::from(letter);
                let written =
                    if code < 0x1_0000 { write!(quoted, "\\u{code:04x}") } else { write!(quoted, "\\U{code:08x}") };
                written.expect("a string takes every write");
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

impl Members<'_> {
    fn source(&self, kind: Kind, digester: &Digester) -> Result<(Source, BTreeMap<String, Digest>)> {
        let workspace = self.text("workspace")?;
        let (source, copied) = match kind {
            Kind::RemoteState => {
                let config = Config::read(self.dynamic("config", "`config`")?)?;
                let backend = self.text("backend")?.unwrap_or_default();
                (config.into_source(backend, workspace), self.dynamic("outputs", "`outputs`")?)
            }
            Kind::TfeOutputs => {
                // Older versions of the provider have `values` alone.
                let copied = match self.dynamic("values", "`values`")? {
                    None => self.dynamic("nonsensitive_values", "`nonsensitive_values`")?,
                    values => values,
                };
                (tfe_outputs(self.text("organization")?, workspace), copied)
            }
        };
        Ok((source, digests(copied, digester)?))
    }
}

/// The digests of an object's members. A null is no output: Terraform keeps none in the producer's state.
fn digests(object: Option<Cursor<'_>>, digester: &Digester) -> Result<BTreeMap<String, Digest>> {
    let mut digests = BTreeMap::new();
    let mut canonical = Vec::new();
    for (name, mut member) in Members::read(object, "what holds the copied outputs")?.into_iter() {
        canonical.clear();
        canonical::write(&mut member, &mut canonical)?;
        digests.insert(name.into_owned(), digester.digest(&canonical));
    }
    Ok(digests)
}

/// The digest of a root output's value, `None` if it is null or absent.
pub(super) fn output(mut cursor: Cursor<'_>, digester: &Digester) -> Result<Option<Digest>> {
    let output = cursor.bookmark()?;
    cursor.end()?;
    let value = Members::read(output, "an output")?.get("value");
    let Some(mut value) = value else { return Ok(None) };
    let mut canonical = Vec::new();
    canonical::write(&mut value, &mut canonical)?;
    Ok(Some(digester.digest(&canonical)))
}

/// The parts of a backend's configuration that say which workspace it reads.
#[derive(Default)]
pub(crate) struct Config {
    pub(crate) hostname: Option<String>,
    pub(crate) organization: Option<String>,
    /// `workspaces.name`.
    pub(crate) workspace: Option<String>,
    /// `workspaces.prefix`.
    pub(crate) prefix: Option<String>,
    /// `name`, of `atlas`: `organization/workspace`.
    pub(crate) name: Option<String>,
    /// `address`, of `atlas`.
    pub(crate) address: Option<String>,
}

impl Config {
    fn read(config: Option<Cursor<'_>>) -> Result<Self> {
        let config = Members::read(config, "`config`")?;
        // Terraform refuses a list of workspaces; other backends may mean anything by the word.
        let workspaces = config.get("workspaces").filter(|workspaces| workspaces.clone().peek() == b'{');
        let workspaces = Members::read(workspaces, "`workspaces`")?;
        Ok(Self {
            hostname: config.text("hostname")?,
            organization: config.text("organization")?,
            workspace: workspaces.text("name")?,
            prefix: workspaces.text("prefix")?,
            name: config.text("name")?,
            address: config.text("address")?,
        })
    }

    pub(crate) fn into_source(self, backend: String, workspace: Option<String>) -> Source {
        let mut hostname = given(self.hostname);
        let mut organization = given(self.organization);
        let mut selection = match (given(self.workspace), given(self.prefix)) {
            (None, None) => Selection::Absent,
            (Some(name), None) => Selection::Name(name),
            (None, Some(prefix)) => Selection::Prefix(prefix),
            (Some(_), Some(_)) => Selection::Both,
        };
        // States of 0.11 hold `remote` in the manner of `atlas` too: an address and `organization/workspace`.
        let like_atlas = backend == "remote" && organization.is_none() && given(self.name.clone()).is_some();
        if backend == "atlas" || like_atlas {
            let (owner, name) = self.name.as_deref().and_then(|name| name.split_once('/')).unzip();
            organization = owner.map(str::to_owned);
            selection = name.map_or(Selection::Absent, |name| Selection::Name(name.to_owned()));
            hostname = given(self.address).map(|address| host_of(&address).to_owned());
        }
        Source::RemoteState { backend, hostname, organization, workspaces: selection, workspace: given(workspace) }
    }
}

pub(crate) fn tfe_outputs(organization: Option<String>, workspace: Option<String>) -> Source {
    Source::TfeOutputs { organization: given(organization), workspace: given(workspace) }
}

/// Terraform 0.11 wrote an empty string for what was not given.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}
