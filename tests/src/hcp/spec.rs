//! What a workspace is made from.

use std::collections::{BTreeMap, BTreeSet};

use super::program::{Output, Program, Read};

/// The project that workspaces are in unless they say otherwise.
pub(super) const DEFAULT_PROJECT: &str = "Default Project";

/// A workspace to add.
#[derive(Debug, Clone)]
pub struct WorkspaceSpec {
    pub(super) name: String,
    pub(super) organization: Option<String>,
    pub(super) auto_apply: bool,
    pub(super) configured: bool,
    pub(super) tags: BTreeSet<String>,
    pub(super) project: String,
    pub(super) execution_mode: String,
    pub(super) program: Program,
}

impl WorkspaceSpec {
    /// A configured workspace without reads or outputs, whose runs wait for confirmation.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            organization: None,
            auto_apply: false,
            configured: true,
            tags: BTreeSet::new(),
            project: DEFAULT_PROJECT.to_owned(),
            execution_mode: "remote".to_owned(),
            program: Program {
                reads: Vec::new(),
                outputs: BTreeMap::new(),
                depends_on_reads: true,
                resource_changes: Vec::new(),
            },
        }
    }

    /// In another organization than the simulator's own.
    #[must_use]
    pub fn organization(mut self, organization: &str) -> Self {
        self.organization = Some(organization.to_owned());
        self
    }

    /// Whether its runs apply without confirmation.
    #[must_use]
    pub fn auto_apply(mut self, auto_apply: bool) -> Self {
        self.auto_apply = auto_apply;
        self
    }

    /// Without any configuration version: a run cannot be created.
    #[must_use]
    pub fn unconfigured(mut self) -> Self {
        self.configured = false;
        self
    }

    /// With a tag.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.insert(tag.to_owned());
        self
    }

    /// In the project of this name.
    #[must_use]
    pub fn project(mut self, name: &str) -> Self {
        name.clone_into(&mut self.project);
        self
    }

    /// `remote`, `agent` or `local`. One whose runs are local has none to tell of.
    #[must_use]
    pub fn execution_mode(mut self, mode: &str) -> Self {
        mode.clone_into(&mut self.execution_mode);
        self
    }

    /// With a root output.
    #[must_use]
    pub fn output(mut self, name: &str, output: Output) -> Self {
        self.program.outputs.insert(name.to_owned(), output);
        self
    }

    /// With a data source.
    #[must_use]
    pub fn reads(mut self, read: Read) -> Self {
        self.program.reads.push(read);
        self
    }

    /// With an entry in its plans' `resource_changes`.
    #[must_use]
    pub fn resource_change(mut self, change: serde_json::Value) -> Self {
        self.program.resource_changes.push(change);
        self
    }

    /// Whether its managed resource depends on what it reads; it does unless told otherwise.
    #[must_use]
    pub fn depends_on_reads(mut self, depends: bool) -> Self {
        self.program.depends_on_reads = depends;
        self
    }
}
