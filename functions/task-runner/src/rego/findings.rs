//! What a policy found, bounded.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The most findings that are told of denials, and again of warnings.
pub const FINDINGS_MAX: usize = 1000;
/// The most characters of a message.
const MSG_CHARS_MAX: usize = 4000;
/// The most bytes of a finding's metadata; over it there is none.
const METADATA_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of all that is told. The first finding always fits.
const BYTES_MAX: usize = 1 << 20;

/// What a policy found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// What `deny` and `violation` rules gave, in order of namespace, rule and message.
    pub denied: Vec<Finding>,
    /// What `warn` rules gave.
    pub warned: Vec<Finding>,
    /// How many rules gave nothing.
    pub passed: usize,
    /// How many rules gave something that an `exception` lets pass.
    pub excepted: usize,
    /// How many findings are not told because there are too many. Of denials at least one always is.
    pub left_out: usize,
}

/// One element of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's name, such as `deny_public_bucket`.
    pub rule: String,
    /// The package it is in, such as `main`.
    pub namespace: String,
    /// What it says.
    pub msg: String,
    /// The other fields of the object, whatever they are: `details`, `id`, `title`, `severity`, `url`, ….
    pub metadata: Map<String, Value>,
}

/// Findings as they come in: denials before warnings.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) findings: Findings,
    bytes: usize,
}

impl Gathered {
    pub(crate) fn deny(&mut self, finding: Finding) {
        let Some(finding) = self.fit(finding, self.findings.denied.len()) else { return };
        self.findings.denied.push(finding);
    }

    pub(crate) fn warn(&mut self, finding: Finding) {
        let Some(finding) = self.fit(finding, self.findings.warned.len()) else { return };
        self.findings.warned.push(finding);
    }

    fn fit(&mut self, mut finding: Finding, before: usize) -> Option<Finding> {
        if let Some((end, _)) = finding.msg.char_indices().nth(MSG_CHARS_MAX) {
            finding.msg.truncate(end);
            finding.msg.push('…');
        }
        let metadata = serde_json::to_vec(&finding.metadata).map_or(0, |bytes| bytes.len());
        if metadata > METADATA_BYTES_MAX {
            finding.metadata.clear();
        }
        let size = finding.msg.len() + metadata.min(METADATA_BYTES_MAX) + finding.rule.len() + finding.namespace.len();
        if before >= FINDINGS_MAX || self.bytes + size > BYTES_MAX {
            self.findings.left_out += 1;
            return None;
        }
        self.bytes += size;
        Some(finding)
    }
}
