//! Where the scanner looks: the containers it enters and the values it keeps.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::error::{Result, ScanErrorKind};

/// Longest key, and longest value that is kept for its text.
const TEXT_MAX: usize = 1 << 20;
/// Largest value that is kept to be looked into: an instance, or an output.
const VALUE_MAX: usize = 64 << 20;

/// A container whose members are looked at one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    Root,
    /// v4: the root outputs.
    Outputs,
    /// v4: all resources.
    Resources,
    Resource,
    /// v4: the instances of a resource that matters.
    Instances,
    /// v3: all modules.
    Modules,
    Module,
    ModuleOutputs,
    ModuleResources,
}

impl Frame {
    pub(super) fn is_object(self) -> bool {
        !matches!(self, Self::Resources | Self::Instances | Self::Modules)
    }

    /// Whether null is as good as empty.
    pub(super) fn may_be_null(self) -> bool {
        !matches!(self, Self::Root | Self::Resource | Self::Module)
    }

    pub(super) fn wrong_type(self) -> ScanErrorKind {
        let what = match self {
            Self::Root => return ScanErrorKind::NotAnObject,
            Self::Outputs | Self::ModuleOutputs => "`outputs`",
            Self::Resources | Self::ModuleResources => "`resources`",
            Self::Resource => "a resource",
            Self::Instances => "`instances`",
            Self::Modules => "`modules`",
            Self::Module => "a module",
        };
        ScanErrorKind::WrongType { what, expected: if self.is_object() { "an object" } else { "an array" } }
    }
}

/// What to do with the value that comes next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plan {
    Skip,
    /// Hold it whole and hand it over.
    Keep(Slot),
    /// Look at its members.
    Enter(Frame),
}

/// What a kept value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Any key.
    Key,
    /// A number, boolean or null that is checked, and else of no interest.
    Word,
    /// Whether a container is null instead.
    Null(Frame),
    Version,
    Serial,
    Lineage,
    TerraformVersion,
    /// v4: a root output.
    Output,
    Module,
    Mode,
    Type,
    Name,
    /// v4: one instance of a resource that matters.
    Instance,
    /// v4: all instances of a resource of which it is not known yet whether it matters.
    Instances,
    /// v3: a module's path.
    Path,
    /// v3: a module's output.
    ModuleOutput,
    /// v3: a resource that matters.
    ModuleResource,
}

impl Slot {
    pub(super) fn limit(self) -> usize {
        match self {
            Self::Output | Self::Instance | Self::Instances | Self::ModuleOutput | Self::ModuleResource => VALUE_MAX,
            _ => TEXT_MAX,
        }
    }

    pub(super) fn too_large(self) -> ScanErrorKind {
        let what = match self {
            Self::Key => "a key",
            Self::Output | Self::ModuleOutput => "an output",
            Self::Instance => "an instance of a data source",
            Self::Instances | Self::ModuleResource => "a data source",
            _ => "a value that should be short",
        };
        ScanErrorKind::TooLarge { what, limit: self.limit() }
    }
}

/// A kept value, as it stands in the file.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) bytes: &'a [u8],
    /// Its place in the file.
    pub(super) offset: u64,
}

impl<'a> Raw<'a> {
    pub(super) fn cursor(self) -> Cursor<'a> {
        Cursor::new(self.bytes, self.offset)
    }

    /// A string's bytes, its escapes resolved. Where there are none they are not checked: this is for comparing.
    pub(super) fn word(self) -> Result<Cow<'a, [u8]>> {
        match self.bytes {
            [b'"', word @ .., b'"'] if !word.contains(&b'\\') => Ok(Cow::Borrowed(word)),
            _ => Ok(match self.cursor().string()? {
                Cow::Borrowed(word) => Cow::Borrowed(word.as_bytes()),
                Cow::Owned(word) => Cow::Owned(word.into_bytes()),
            }),
        }
    }

    pub(super) fn is_string(self) -> bool {
        self.bytes.first() == Some(&b'"')
    }

    /// A string, empty if it is null.
    pub(super) fn text(self, what: &'static str) -> Result<String> {
        match self.bytes.first() {
            Some(b'"') => Ok(self.cursor().string()?.into_owned()),
            _ if self.is_null() => Ok(String::new()),
            _ => self.cursor().fail(ScanErrorKind::WrongType { what, expected: "a string" }),
        }
    }

    /// A whole number, `None` if it is null.
    pub(super) fn number(self, what: &'static str) -> Result<Option<u64>> {
        if self.is_null() {
            return Ok(None);
        }
        let number = std::str::from_utf8(self.bytes).ok().and_then(|text| text.parse().ok());
        let digits = self.bytes.first().is_some_and(u8::is_ascii_digit);
        match number.filter(|_| digits) {
            Some(number) => Ok(Some(number)),
            None => self.cursor().fail(ScanErrorKind::WrongType { what, expected: "a whole number" }),
        }
    }

    pub(super) fn is_null(self) -> bool {
        self.bytes == b"null"
    }
}
