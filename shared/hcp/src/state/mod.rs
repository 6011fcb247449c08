//! The state scanner: which workspaces a state file reads from, and digests of the outputs that cross.
//!
//! A state file may be hundreds of megabytes, is full of secrets, and is needed for a few hundred bytes of it. So
//! [`Scanner`] takes it in chunks of any size, looks into the few places that matter, steps over the rest at memory
//! speed and keeps digests instead of values. Text that is stepped over is not checked beyond its strings and brackets.

mod canonical;
mod cursor;
mod error;
mod flat;
mod members;
mod plan;
mod reader;
mod reference;
mod scanner;
mod skip;
mod source;
#[cfg(test)]
mod tests;
mod v3;
mod v4;

use std::collections::BTreeMap;

use sluice_domain::Digest;

pub(crate) use source::{Config, Kind, tfe_outputs};

pub use error::{ScanError, ScanErrorKind};
pub use reference::{Reference, Selection, Source, Unresolved};
pub use scanner::Scanner;

/// What a state file says about its workspace's place among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The state format: 3 or 4.
    pub version: u64,
    /// Counts the changes within one lineage.
    pub serial: u64,
    /// Tells unrelated histories apart.
    pub lineage: String,
    /// The version of Terraform that wrote the file.
    pub terraform_version: String,
    /// Digests of the root outputs, null ones left out.
    ///
    /// Only the value goes into a digest: the copy in a consumer's state has lost the sensitive mark, and with
    /// `tfe_outputs` the exact type.
    pub outputs: BTreeMap<String, Digest>,
    /// The data sources that read other workspaces, one per instance, in file order.
    pub references: Vec<Reference>,
    /// Neither outputs nor resources, which is what a destroy leaves. Never said of a file not read to its end.
    pub empty: bool,
}
