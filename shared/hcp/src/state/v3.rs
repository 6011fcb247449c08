//! Root outputs and resources of state version 3, Terraform 0.11 and earlier.

use std::collections::BTreeMap;

use sluice_domain::Digest;

use super::error::{Result, ScanErrorKind};
use super::flat::Flat;
use super::members::Members;
use super::plan::{Frame, Plan, Raw, Slot};
use super::reference::Reference;
use super::source::{self, Kind};
use crate::digest::Digester;

const PREFIX: &str = "data.terraform_remote_state.";

/// What has been read of a version 3 state.
#[derive(Default)]
pub(super) struct V3 {
    pub(super) outputs: BTreeMap<String, Digest>,
    pub(super) references: Vec<Reference>,
    /// Members of the root module's `outputs`, null ones too.
    pub(super) output_count: u64,
    pub(super) resource_count: u64,
    module: Module,
}

/// The module being read. Its path may come last.
#[derive(Default)]
struct Module {
    path: Option<Vec<String>>,
    outputs: BTreeMap<String, Digest>,
    output_count: u64,
    resource_count: u64,
    /// Under the keys they have in the file; their addresses lack the module.
    found: Vec<(String, Reference)>,
}

impl V3 {
    pub(super) fn open(&mut self, frame: Frame) {
        match frame {
            Frame::Modules => *self = Self::default(),
            Frame::Module => self.module = Module::default(),
            Frame::ModuleOutputs => {
                self.module.outputs.clear();
                self.module.output_count = 0;
            }
            Frame::ModuleResources => {
                self.module.found.clear();
                self.module.resource_count = 0;
            }
            _ => {}
        }
    }

    /// A key of a module's `resources`.
    pub(super) fn resource(&mut self, key: &str, look: bool) -> Plan {
        self.module.resource_count += 1;
        if look && key.starts_with(PREFIX) { Plan::Keep(Slot::ModuleResource) } else { Plan::Skip }
    }

    /// A value of a module, or one of its outputs or resources, which has this name.
    pub(super) fn value(&mut self, slot: Slot, name: &str, raw: Raw<'_>, digester: &Digester) -> Result<()> {
        let module = &mut self.module;
        match slot {
            Slot::Path => module.path = path(raw)?,
            Slot::ModuleOutput => {
                module.output_count += 1;
                match source::output(raw.cursor(), digester)? {
                    Some(digest) => module.outputs.insert(name.to_owned(), digest),
                    None => module.outputs.remove(name),
                };
            }
            Slot::ModuleResource => {
                let reference = resource(name, raw, digester)?;
                module.found.retain(|(key, _)| key != name);
                module.found.extend(reference.map(|reference| (name.to_owned(), reference)));
            }
            _ => {}
        }
        Ok(())
    }

    /// The module ends at `offset`: now its path is known.
    pub(super) fn close_module(&mut self, offset: u64) -> Result<()> {
        let module = std::mem::take(&mut self.module);
        let path = module.path.unwrap_or_default();
        let Some((_, path)) = path.split_first().filter(|(root, _)| *root == "root") else {
            let kind = ScanErrorKind::WrongType { what: "a module's `path`", expected: "a path from the root" };
            return Err(kind.at(offset));
        };
        self.resource_count += module.resource_count;
        if path.is_empty() {
            self.outputs.extend(module.outputs);
            self.output_count += module.output_count;
        }
        let prefix: String = path.iter().flat_map(|name| ["module.", name, "."]).collect();
        self.references.extend(
            module
                .found
                .into_iter()
                .map(|(_, reference)| Reference { address: format!("{prefix}{}", reference.address), ..reference }),
        );
        Ok(())
    }
}

fn path(raw: Raw<'_>) -> Result<Option<Vec<String>>> {
    let mut cursor = raw.cursor();
    if cursor.peek() != b'[' {
        return Ok(None);
    }
    let mut path = Vec::new();
    cursor.array(|cursor| {
        path.push(cursor.string()?.into_owned());
        Ok(())
    })?;
    cursor.end()?;
    Ok(Some(path))
}

/// Reads one resource; `None` if it has no primary instance.
fn resource(key: &str, raw: Raw<'_>, digester: &Digester) -> Result<Option<Reference>> {
    let mut cursor = raw.cursor();
    let whole = cursor.bookmark()?;
    cursor.end()?;
    let whole = Members::read(whole, "a resource")?;
    let Some(primary) = whole.get("primary") else { return Ok(None) };
    let attributes = Members::read(Some(primary), "`primary`")?.get("attributes");
    let flat = attributes.map_or_else(|| Ok(Flat::default()), Flat::read)?;
    let (source, observed) = flat.into_source(Kind::RemoteState, digester);
    Ok(Some(Reference { address: address(key), source, observed }))
}

/// `data.terraform_remote_state.net.1` is `data.terraform_remote_state.net[1]` today.
fn address(key: &str) -> String {
    match key[PREFIX.len()..].split_once('.') {
        Some((name, index)) if index.bytes().all(|byte| byte.is_ascii_digit()) => format!("{PREFIX}{name}[{index}]"),
        _ => key.to_owned(),
    }
}
