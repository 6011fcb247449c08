//! What the members of a state file mean: decides what to look at, and gathers what is found.

use super::Scan;
use super::error::{Result, ScanErrorKind};
use super::plan::{Frame, Plan, Raw, Slot};
use super::v3::V3;
use super::v4::V4;
use crate::digest::Digester;

/// Told what the scanner sees, in file order.
///
/// Both formats are read at once, as the keys of one do not occur in the other and `version` may come last.
pub(super) struct Reader {
    digester: Digester,
    outputs_only: bool,
    outputs_done: bool,
    version: Option<u64>,
    serial: u64,
    lineage: String,
    terraform_version: String,
    /// The key of the value being read, where keys are names.
    name: String,
    v4: V4,
    v3: V3,
}

impl Reader {
    pub(super) fn new(digester: Digester, outputs_only: bool) -> Self {
        Self {
            digester,
            outputs_only,
            outputs_done: false,
            version: None,
            serial: 0,
            lineage: String::new(),
            terraform_version: String::new(),
            name: String::new(),
            v4: V4::default(),
            v3: V3::default(),
        }
    }

    pub(super) fn outputs_done(&self) -> bool {
        self.outputs_done
    }

    /// What to do with the value of `key` within `frame`.
    pub(super) fn key(&mut self, frame: Frame, key: Raw<'_>) -> Result<Plan> {
        Ok(match frame {
            Frame::Root => match key.word()?.as_ref() {
                b"version" => Plan::Keep(Slot::Version),
                b"serial" => Plan::Keep(Slot::Serial),
                b"lineage" => Plan::Keep(Slot::Lineage),
                b"terraform_version" => Plan::Keep(Slot::TerraformVersion),
                b"outputs" => Plan::Enter(Frame::Outputs),
                b"resources" => Plan::Enter(Frame::Resources),
                b"modules" => Plan::Enter(Frame::Modules),
                _ => Plan::Skip,
            },
            Frame::Resource => self.v4.key(&key.word()?),
            Frame::Module => match key.word()?.as_ref() {
                b"path" => Plan::Keep(Slot::Path),
                b"outputs" => Plan::Enter(Frame::ModuleOutputs),
                b"resources" => Plan::Enter(Frame::ModuleResources),
                _ => Plan::Skip,
            },
            Frame::Outputs | Frame::ModuleOutputs | Frame::ModuleResources => {
                self.named(frame, &key.cursor().string()?)
            }
            Frame::Resources | Frame::Instances | Frame::Modules => Plan::Skip,
        })
    }

    /// What to do with the value of a key that may be any name.
    fn named(&mut self, frame: Frame, name: &str) -> Plan {
        self.name.clear();
        self.name.push_str(name);
        match frame {
            Frame::Outputs => Plan::Keep(Slot::Output),
            Frame::ModuleOutputs => Plan::Keep(Slot::ModuleOutput),
            _ => self.v3.resource(name, !self.outputs_only),
        }
    }

    /// What to do with the next element of `frame`.
    pub(super) fn element(&mut self, frame: Frame) -> Plan {
        match frame {
            Frame::Resources => {
                self.v4.resource_count += 1;
                if self.outputs_only { Plan::Skip } else { Plan::Enter(Frame::Resource) }
            }
            Frame::Instances => Plan::Keep(Slot::Instance),
            Frame::Modules => Plan::Enter(Frame::Module),
            _ => Plan::Skip,
        }
    }

    /// A container begins. If its key is repeated, what the earlier one held is forgotten.
    pub(super) fn open(&mut self, frame: Frame) {
        self.outputs_done &= frame != Frame::Outputs;
        self.v4.open(frame);
        self.v3.open(frame);
    }

    /// A container ended at `offset`.
    pub(super) fn close(&mut self, frame: Frame, offset: u64) -> Result<()> {
        match frame {
            Frame::Outputs => self.outputs_done = true,
            Frame::Resource => self.v4.close_resource(offset, &self.digester)?,
            Frame::Module => self.v3.close_module(offset)?,
            _ => {}
        }
        Ok(())
    }

    /// A value that was asked for.
    pub(super) fn value(&mut self, slot: Slot, raw: Raw<'_>) -> Result<()> {
        match slot {
            Slot::Version => self.version = raw.number("`version`")?,
            Slot::Serial => self.serial = raw.number("`serial`")?.unwrap_or(0),
            Slot::Lineage => self.lineage = raw.text("`lineage`")?,
            Slot::TerraformVersion => self.terraform_version = raw.text("`terraform_version`")?,
            Slot::Output => self.v4.output(&self.name, raw, &self.digester)?,
            Slot::Path | Slot::ModuleOutput | Slot::ModuleResource => {
                self.v3.value(slot, &self.name, raw, &self.digester)?;
            }
            Slot::Module | Slot::Mode | Slot::Type | Slot::Name | Slot::Instance | Slot::Instances => {
                self.v4.value(slot, raw, &self.digester)?;
            }
            Slot::Key | Slot::Word | Slot::Null(_) => {}
        }
        Ok(())
    }

    /// A value that was asked for begins at `offset` and is too large to hold.
    pub(super) fn too_large(&mut self, slot: Slot, offset: u64) -> Result<()> {
        if matches!(slot, Slot::Instances) {
            // It is an error only if the resource turns out to matter.
            self.v4.instances_too_large(offset);
            return Ok(());
        }
        Err(slot.too_large().at(offset))
    }

    /// What was found by `offset`; `whole` if that is the end of the file.
    pub(super) fn finish(self, offset: u64, whole: bool) -> Result<Scan> {
        let (outputs, references, count) = match self.version {
            Some(3) => (self.v3.outputs, self.v3.references, self.v3.output_count + self.v3.resource_count),
            Some(4) => (self.v4.outputs, self.v4.references, self.v4.output_count + self.v4.resource_count),
            Some(version) => return Err(ScanErrorKind::UnsupportedVersion(version).at(offset)),
            None => return Err(ScanErrorKind::NoVersion.at(offset)),
        };
        Ok(Scan {
            version: self.version.unwrap_or_default(),
            serial: self.serial,
            lineage: self.lineage,
            terraform_version: self.terraform_version,
            outputs,
            references,
            empty: whole && count == 0,
        })
    }
}
