//! Why a plan could not be read. No error quotes what was in it.

use std::io;

use serde_json::error::Category;

use super::trimmed::TooDeep;

/// Why a plan could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The input failed.
    #[error("the plan could not be read to its end")]
    Read(#[source] io::Error),
    /// The input ended early.
    #[error("the plan ends in the middle")]
    Truncated,
    /// It is not JSON, or modules are in modules without end.
    #[error("the plan is not well-formed JSON, at line {line}, column {column}")]
    Malformed {
        /// The line, from 1, without what is stepped over.
        line: usize,
        /// The column.
        column: usize,
    },
    /// It is nested deeper than any plan is.
    #[error("the plan is nested too deep")]
    TooDeep,
    /// It is JSON, but no plan.
    #[error("the document is not a plan: it tells no format version")]
    NotAPlan,
    /// It is a plan of a format to come.
    #[error("the plan has a format that is not known")]
    UnknownFormat,
    /// There are more names in it than are kept.
    #[error("the plan names more than {limit_bytes} bytes of outputs, data sources and resource types")]
    TooMuch {
        /// How many are kept.
        limit_bytes: usize,
    },
}

impl PlanError {
    pub(super) fn of(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Io => {
                let error = io::Error::from(error);
                let too_deep = error.get_ref().and_then(|inner| inner.downcast_ref::<TooDeep>()).is_some();
                if too_deep { Self::TooDeep } else { Self::Read(error) }
            }
            Category::Eof => Self::Truncated,
            Category::Syntax | Category::Data => Self::Malformed { line: error.line(), column: error.column() },
        }
    }
}
