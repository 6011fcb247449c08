//! A workspace's "program": what its configuration reads and puts out, as data.

use std::collections::BTreeMap;

use serde_json::Value;

/// A data source that reads another workspace's outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The data source's name.
    pub name: String,
    /// The module it stands in, as `module.a["x"]`; `None` is the root.
    pub module: Option<String>,
    /// Which data source, and how it names the workspace.
    pub kind: ReadKind,
    /// The organization read from.
    pub organization: String,
    /// The full name of the workspace read.
    pub workspace: String,
}

/// The data sources there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadKind {
    /// `terraform_remote_state`.
    RemoteState {
        /// Its `backend`.
        backend: Backend,
        /// How the workspace is named.
        by: By,
        /// The `hostname` in its `config`. Without one the default host is meant, which the simulator stands in for.
        hostname: Option<String>,
    },
    /// `tfe_outputs`; its host is its provider's.
    TfeOutputs,
}

/// A `terraform_remote_state` backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// `remote`.
    Remote,
    /// `cloud`.
    Cloud,
}

/// How a `terraform_remote_state` names its workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// `workspaces = { name = … }`.
    Name,
    /// `workspaces = { prefix = … }` and `workspace`, which may repeat the prefix.
    Prefix {
        /// The prefix.
        prefix: String,
        /// The `workspace` argument as written.
        workspace: String,
    },
}

impl Read {
    /// `terraform_remote_state` with backend `remote` and `workspaces.name`.
    #[must_use]
    pub fn remote(name: &str, organization: &str, workspace: &str) -> Self {
        Self::new(name, organization, workspace, remote_state(Backend::Remote, By::Name))
    }

    /// `terraform_remote_state` with backend `cloud`.
    #[must_use]
    pub fn cloud(name: &str, organization: &str, workspace: &str) -> Self {
        Self::new(name, organization, workspace, remote_state(Backend::Cloud, By::Name))
    }

    /// `terraform_remote_state` with backend `remote`, `workspaces.prefix` and `workspace`.
    #[must_use]
    pub fn prefix(name: &str, organization: &str, prefix: &str, workspace: &str) -> Self {
        let full = if workspace.starts_with(prefix) { workspace.to_owned() } else { format!("{prefix}{workspace}") };
        let by = By::Prefix { prefix: prefix.to_owned(), workspace: workspace.to_owned() };
        Self::new(name, organization, &full, remote_state(Backend::Remote, by))
    }

    /// `tfe_outputs`.
    #[must_use]
    pub fn tfe_outputs(name: &str, organization: &str, workspace: &str) -> Self {
        Self::new(name, organization, workspace, ReadKind::TfeOutputs)
    }

    /// Writes a `hostname` into the configuration; `tfe_outputs` has none, and stays as it is.
    #[must_use]
    pub fn hostname(mut self, host: &str) -> Self {
        if let ReadKind::RemoteState { hostname, .. } = &mut self.kind {
            *hostname = Some(host.to_owned());
        }
        self
    }

    /// Puts the data source into a module.
    #[must_use]
    pub fn in_module(mut self, module: &str) -> Self {
        self.module = Some(module.to_owned());
        self
    }

    /// The data source's address, as `data.terraform_remote_state.network`.
    #[must_use]
    pub fn address(&self) -> String {
        let module = self.module.as_ref().map(|module| format!("{module}."));
        let kind = match self.kind {
            ReadKind::RemoteState { .. } => "terraform_remote_state",
            ReadKind::TfeOutputs => "tfe_outputs",
        };
        format!("{}data.{kind}.{}", module.unwrap_or_default(), self.name)
    }

    fn new(name: &str, organization: &str, workspace: &str, kind: ReadKind) -> Self {
        Self {
            name: name.to_owned(),
            module: None,
            kind,
            organization: organization.to_owned(),
            workspace: workspace.to_owned(),
        }
    }
}

fn remote_state(backend: Backend, by: By) -> ReadKind {
    ReadKind::RemoteState { backend, by, hostname: None }
}

/// A root output.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Where its value comes from.
    pub source: OutputSource,
    /// Whether it is marked `sensitive`.
    pub sensitive: bool,
    /// Its type where the configuration converts, as `["list","string"]`; else what the value alone says.
    pub declared: Option<Value>,
}

/// Where an output's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputSource {
    /// This value, until [`Hcp::change`](super::Hcp::change) puts another in its place.
    Fixed(Value),
    /// A fingerprint of everything read, so that any change upstream flows on.
    FromReads,
    /// One output of one data source, passed on.
    Copy {
        /// The data source's name.
        read: String,
        /// The output of the workspace it reads.
        output: String,
    },
}

impl Output {
    /// An output with this value.
    #[must_use]
    pub fn fixed(value: impl Into<Value>) -> Self {
        Self::new(OutputSource::Fixed(value.into()))
    }

    /// An output that changes with anything read.
    #[must_use]
    pub fn from_reads() -> Self {
        Self::new(OutputSource::FromReads)
    }

    /// An output that passes on what the data source `read` says of `output`.
    #[must_use]
    pub fn copy(read: &str, output: &str) -> Self {
        Self::new(OutputSource::Copy { read: read.to_owned(), output: output.to_owned() })
    }

    /// The same, marked `sensitive`.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// The same, converted to a type, as `json!(["list", "string"])`.
    #[must_use]
    pub fn typed(mut self, declared: Value) -> Self {
        self.declared = Some(declared);
        self
    }

    fn new(source: OutputSource) -> Self {
        Self { source, sensitive: false, declared: None }
    }
}

/// What a workspace's configuration does.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// What it reads.
    pub reads: Vec<Read>,
    /// What it puts out.
    pub outputs: BTreeMap<String, Output>,
    /// Whether its managed resource depends on what it reads. Without, a run whose only news is a data source has no
    /// changes, and writes no state.
    pub depends_on_reads: bool,
    /// What its plans' JSON has in `resource_changes` besides its managed resource, as they are: for policies to look
    /// at. Nothing else follows from them.
    pub resource_changes: Vec<Value>,
}
