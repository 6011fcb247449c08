//! What a plan's JSON says: `terraform show -json` of a plan, or HCP Terraform's `json-output`.
//!
//! A plan may be a hundred megabytes and is full of secrets, and is needed for the names in it. So [`read`] takes it as
//! it comes, keeps names and counts, and never a value. What is kept is bounded; what is stepped over costs no memory,
//! neither by its length nor by how deep it is nested.
//!
//! # What a configuration uses
//!
//! The configuration in a plan lists what each of its expressions refers to, but not everything is in it. Where that may
//! hide the use of an output, all outputs are taken for used:
//!
//! - Local values are left out: in a module where anything refers to one, nothing is known.
//! - `dynamic` blocks are left out, with all they refer to. In a module with a resource that has, or could have, nested
//!   blocks, nothing is known. Whether it could shows in its values: a list without plain elements, which is not given
//!   as an argument. Many of the larger resource types have such lists.
//!
//! What else is left out is not made up for: preconditions and postconditions, `check` and `import` blocks, conditions of
//! variables, `connection` blocks; dynamic blocks in providers; and dynamic blocks that are one object rather than a list.

mod address;
mod changes;
mod configuration;
mod error;
mod gathered;
mod sink;
#[cfg(test)]
mod tests;
mod trimmed;
mod values;

use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, MapAccess};
use sluice_domain::{PlanFindings, Workspace};

pub use error::PlanError;

use changes::{OutputChanges, ResourceChanges};
use configuration::Configuration;
use gathered::Gathered;
use sink::{Feed, Flag, Sink, Text, skip, take};
use trimmed::Trimmed;
use values::State;

/// Most bytes of names that are kept while a plan is read.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// How many bytes are asked of the input at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Reads the plan of a run of `workspace` to its end.
pub fn read(plan: impl Read, workspace: &Workspace) -> Result<PlanFindings, PlanError> {
    let mut gathered = Gathered::default();
    let input = BufReader::with_capacity(CHUNK_BYTES, Trimmed::new(plan));
    let mut json = serde_json::Deserializer::from_reader(input);
    let result = Feed(Plan(&mut gathered)).deserialize(&mut json).and_then(|()| json.end());
    if gathered.is_over() {
        return Err(PlanError::TooMuch { limit_bytes: KEPT_BYTES_MAX });
    }
    result.map_err(PlanError::of)?;
    match gathered.format.as_deref().map(|format| format.split('.').next().unwrap_or_default()) {
        Some("0" | "1") => Ok(gathered.finish(workspace)),
        Some(_) => Err(PlanError::UnknownFormat),
        None => Err(PlanError::NotAPlan),
    }
}

/// The whole document.
struct Plan<'a>(&'a mut Gathered);

impl<'de> Sink<'de> for Plan<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let gathered = self.0;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "format_version" => take(&mut map, Text(&mut gathered.format))?,
                "terraform_version" => take(&mut map, Text(&mut gathered.terraform_version))?,
                "applyable" => take(&mut map, Flag(&mut gathered.applyable))?,
                "complete" => take(&mut map, Flag(&mut gathered.complete))?,
                "errored" => take(&mut map, Flag(&mut gathered.errored))?,
                "output_changes" => take(&mut map, OutputChanges(gathered))?,
                "resource_changes" => take(&mut map, ResourceChanges(gathered))?,
                "planned_values" => take(&mut map, State { gathered, nested: false })?,
                "prior_state" => take(&mut map, State { gathered, nested: true })?,
                "configuration" => take(&mut map, Configuration(gathered))?,
                _ => skip(&mut map)?,
            }
        }
        Ok(())
    }
}
