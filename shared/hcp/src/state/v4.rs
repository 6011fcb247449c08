//! Root outputs and resources of state version 4.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sluice_domain::Digest;

use super::cursor::Cursor;
use super::error::{Result, ScanErrorKind};
use super::plan::{Frame, Plan, Raw, Slot};
use super::reference::Reference;
use super::source::{self, Found, Kind};
use crate::digest::Digester;

/// What has been read of a version 4 state.
#[derive(Default)]
pub(super) struct V4 {
    pub(super) outputs: BTreeMap<String, Digest>,
    pub(super) references: Vec<Reference>,
    /// Members of `outputs`, null ones too.
    pub(super) output_count: u64,
    pub(super) resource_count: u64,
    resource: Resource,
}

/// The resource being read. Its keys may come in any order.
#[derive(Default)]
struct Resource {
    module: Text,
    mode: Mode,
    kind: Type,
    name: Text,
    instances: Instances,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Mode {
    #[default]
    Unknown,
    Data,
    Other,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Type {
    #[default]
    Unknown,
    Candidate(Kind),
    Other,
}

#[derive(Default)]
enum Instances {
    #[default]
    Absent,
    /// Not looked into, because the resource could not matter.
    Skipped,
    /// Read as those of a resource of this type.
    Read(Kind, Vec<Found>),
    /// Held, because what the resource is was not known yet.
    Held { bytes: Vec<u8>, offset: u64 },
    /// Too many bytes to hold while what the resource is was not known.
    TooLarge { offset: u64 },
}

/// A value that is only needed, and then must be a string, if the resource matters. Its memory is reused.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    offset: u64,
}

impl Text {
    fn set(&mut self, raw: Raw<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(raw.bytes);
        self.offset = raw.offset;
    }

    /// `None` if there is no string.
    fn get(&self) -> Result<Option<Cow<'_, str>>> {
        let raw = Raw { bytes: &self.bytes, offset: self.offset };
        if raw.is_string() { raw.cursor().string().map(Some) } else { Ok(None) }
    }
}

impl Resource {
    /// Forgets all but the memory.
    fn clear(&mut self) {
        self.module.bytes.clear();
        self.name.bytes.clear();
        self.mode = Mode::Unknown;
        self.kind = Type::Unknown;
        self.instances = Instances::Absent;
    }

    fn plan_instances(&mut self) -> Plan {
        match (self.mode, self.kind) {
            (Mode::Data, Type::Candidate(kind)) => {
                self.instances = Instances::Read(kind, Vec::new());
                Plan::Enter(Frame::Instances)
            }
            (Mode::Other, _) | (_, Type::Other) => {
                self.instances = Instances::Skipped;
                Plan::Skip
            }
            (Mode::Unknown, _) | (_, Type::Unknown) => Plan::Keep(Slot::Instances),
        }
    }

    /// The address, less the instance's key; the resource ends at `offset`.
    fn address(&self, kind: Kind, offset: u64) -> Result<String> {
        let module = self.module.get()?.filter(|module| !module.is_empty());
        let Some(name) = self.name.get()? else {
            let kind = ScanErrorKind::WrongType { what: "a resource's `name`", expected: "a string" };
            return Err(kind.at(offset));
        };
        let module = module.map(|module| format!("{module}.")).unwrap_or_default();
        Ok(format!("{module}data.{}.{name}", kind.as_str()))
    }
}

impl V4 {
    pub(super) fn open(&mut self, frame: Frame) {
        match frame {
            Frame::Outputs => {
                self.outputs.clear();
                self.output_count = 0;
            }
            Frame::Resources => {
                self.references.clear();
                self.resource_count = 0;
            }
            Frame::Resource => self.resource.clear(),
            _ => {}
        }
    }

    /// A key of a resource.
    pub(super) fn key(&mut self, key: &[u8]) -> Plan {
        match key {
            b"module" => Plan::Keep(Slot::Module),
            b"mode" => Plan::Keep(Slot::Mode),
            b"type" => Plan::Keep(Slot::Type),
            b"name" => Plan::Keep(Slot::Name),
            b"instances" => self.resource.plan_instances(),
            _ => Plan::Skip,
        }
    }

    pub(super) fn output(&mut self, name: &str, raw: Raw<'_>, digester: &Digester) -> Result<()> {
        self.output_count += 1;
        match source::output(raw.cursor(), digester)? {
            Some(digest) => self.outputs.insert(name.to_owned(), digest),
            None => self.outputs.remove(name),
        };
        Ok(())
    }

    /// A value of a resource, or one of its instances.
    pub(super) fn value(&mut self, slot: Slot, raw: Raw<'_>, digester: &Digester) -> Result<()> {
        let resource = &mut self.resource;
        match slot {
            Slot::Module => resource.module.set(raw),
            Slot::Name => resource.name.set(raw),
            Slot::Mode if raw.is_string() && *raw.word()? == *b"data" => resource.mode = Mode::Data,
            Slot::Mode => resource.mode = Mode::Other,
            Slot::Type if raw.is_string() => {
                resource.kind = Kind::of(&raw.word()?).map_or(Type::Other, Type::Candidate);
            }
            Slot::Type => resource.kind = Type::Other,
            Slot::Instance => {
                if let Instances::Read(kind, found) = &mut resource.instances {
                    found.extend(source::instance(raw.cursor(), *kind, digester)?);
                }
            }
            _ => resource.instances = Instances::Held { bytes: raw.bytes.to_vec(), offset: raw.offset },
        }
        Ok(())
    }

    /// The instances of a resource that may matter are too large to hold.
    pub(super) fn instances_too_large(&mut self, offset: u64) {
        self.resource.instances = Instances::TooLarge { offset };
    }

    /// The resource ends at `offset`: now it is known what it is.
    pub(super) fn close_resource(&mut self, offset: u64, digester: &Digester) -> Result<()> {
        let resource = &mut self.resource;
        let (Mode::Data, Type::Candidate(kind)) = (resource.mode, resource.kind) else { return Ok(()) };
        let found = match std::mem::take(&mut resource.instances) {
            Instances::Absent => Vec::new(),
            Instances::Read(read_as, found) if read_as == kind => found,
            Instances::Skipped | Instances::Read(..) => return Err(ScanErrorKind::LateDuplicate.at(offset)),
            Instances::TooLarge { offset } => return Err(Slot::Instances.too_large().at(offset)),
            Instances::Held { bytes, offset } => held(Cursor::new(&bytes, offset), kind, digester)?,
        };
        let address = resource.address(kind, offset)?;
        self.references.extend(found.into_iter().map(|Found { index, source, observed }| Reference {
            address: format!("{address}{index}"),
            source,
            observed,
        }));
        Ok(())
    }
}

fn held(mut cursor: Cursor<'_>, kind: Kind, digester: &Digester) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    match cursor.peek() {
        b'n' => cursor.skip()?,
        b'[' => cursor.array(|cursor| {
            let here = *cursor;
            cursor.skip()?;
            found.extend(source::instance(here.until(cursor), kind, digester)?);
            Ok(())
        })?,
        _ => return cursor.fail(Frame::Instances.wrong_type()),
    }
    cursor.end()?;
    Ok(found)
}
