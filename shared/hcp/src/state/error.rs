//! What can be wrong with a state file, and where.

/// A state file that cannot be read. It never carries any of the file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the state file: {kind} at byte {offset}")]
pub struct ScanError {
    /// How many bytes precede the place where reading failed.
    pub offset: u64,
    /// What was wrong there.
    pub kind: ScanErrorKind,
}

/// What was wrong with a state file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanErrorKind {
    /// Nothing but white space.
    #[error("it is empty")]
    Empty,
    /// The file ended before its JSON did.
    #[error("it ends too early")]
    Truncated,
    /// Something other than white space follows the JSON.
    #[error("text follows the end of the state")]
    Trailing,
    /// JSON, perhaps, but a state file is an object.
    #[error("it does not begin with an object")]
    NotAnObject,
    /// Not JSON.
    #[error("expected {expected}")]
    Syntax {
        /// What the grammar asks for there.
        expected: &'static str,
    },
    /// A string that was looked into is not UTF-8, or has half a surrogate pair.
    #[error("a string is not valid Unicode")]
    NotUnicode,
    /// JSON, but of another type than Terraform writes.
    #[error("{what} is not {expected}")]
    WrongType {
        /// The member of the state file.
        what: &'static str,
        /// What Terraform writes there.
        expected: &'static str,
    },
    /// A value that has to be held is larger than the scanner is willing to hold.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// The member of the state file.
        what: &'static str,
        /// The limit it passed.
        limit: usize,
    },
    /// A value that has to be understood is nested too deeply.
    #[error("a value is nested deeper than {limit} levels")]
    TooDeep {
        /// The limit it passed.
        limit: usize,
    },
    /// A second `mode` or `type` contradicts the first one after the instances were read or skipped because of it.
    #[error("a repeated key changes what a resource is")]
    LateDuplicate,
    /// No `version`: not a state file, perhaps `terraform show -json`.
    #[error("it has no state version")]
    NoVersion,
    /// A state format that this scanner does not know.
    #[error("state version {0} is not supported")]
    UnsupportedVersion(u64),
}

impl ScanErrorKind {
    pub(super) fn at(self, offset: u64) -> ScanError {
        ScanError { offset, kind: self }
    }
}

pub(super) type Result<T, E = ScanError> = std::result::Result<T, E>;
