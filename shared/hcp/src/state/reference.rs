//! What a data source reads, and which workspace that is.

use std::collections::BTreeMap;

use sluice_domain::{Digest, Host, InvalidName, Organization, Workspace};

/// One instance of a data source that reads another workspace's outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its address as Terraform writes it: `module.a["x"].data.terraform_remote_state.net["k"]`.
    pub address: String,
    /// What it reads, as the configuration says it.
    pub source: Source,
    /// The digests of the outputs it copied when it was last read.
    pub observed: BTreeMap<String, Digest>,
}

/// What a data source reads, as the configuration says it. A backend's token is never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `data.terraform_remote_state`, whatever its backend.
    RemoteState {
        /// `remote`, `cloud` or `atlas`; every other backend stores state elsewhere. Empty if the state has none.
        backend: String,
        /// The instance, where the configuration names one.
        hostname: Option<String>,
        /// The organization, where the configuration names one.
        organization: Option<String>,
        /// How the configuration selects workspaces.
        workspaces: Selection,
        /// The data source's `workspace` argument, as the user wrote it.
        workspace: Option<String>,
    },
    /// `data.tfe_outputs`.
    TfeOutputs {
        /// The organization; always set in practice.
        organization: Option<String>,
        /// The workspace's name; always set in practice.
        workspace: Option<String>,
    },
}

/// How a backend's configuration selects workspaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// It does not: there is neither a name nor a prefix.
    Absent,
    /// `workspaces { name }`: one workspace.
    Name(String),
    /// `workspaces { prefix }`: all that begin so.
    Prefix(String),
    /// Both, which Terraform refuses.
    Both,
}

/// Why a data source's workspace is not one on HCP Terraform, or cannot be known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// A backend that keeps state elsewhere.
    #[error("backend {0:?} does not read from HCP Terraform")]
    OtherBackend(String),
    /// The state does not say which backend.
    #[error("the data source has no backend")]
    NoBackend,
    /// No organization where one is required.
    #[error("the data source has no organization")]
    NoOrganization,
    /// Neither a name nor a prefix.
    #[error("the data source selects no workspace")]
    NoWorkspace,
    /// Both a name and a prefix.
    #[error("the data source has both a workspace name and a prefix")]
    NameAndPrefix,
    /// A prefix alone names many workspaces.
    #[error("the data source has a prefix but no `workspace`")]
    PrefixAlone,
    /// A name, and a `workspace` that contradicts it.
    #[error("`workspace` is {workspace:?} while the configuration names {name:?}")]
    Contradiction {
        /// The configuration's `workspaces.name`.
        name: String,
        /// The data source's `workspace`.
        workspace: String,
    },
    /// A part that HCP Terraform could not have given out.
    #[error(transparent)]
    Invalid(#[from] InvalidName),
}

const DEFAULT: &str = "default";
/// The host of backends that do not name one.
const HCP_TERRAFORM: &str = "app.terraform.io";
/// An alias for whichever instance a run is on.
const THIS_INSTANCE: &str = "localterraform.com";

impl Reference {
    /// The workspace it reads.
    ///
    /// `instance` and `organization` are those of the workspace whose state this is: a configuration may leave them
    /// to its surroundings.
    pub fn resolve(&self, instance: &Host, organization: &Organization) -> Result<Workspace, Unresolved> {
        let (host, owner, name) = match &self.source {
            Source::TfeOutputs { organization, workspace } => {
                let owner = organization.as_deref().ok_or(Unresolved::NoOrganization)?.parse()?;
                (instance.clone(), owner, workspace.clone().ok_or(Unresolved::NoWorkspace)?)
            }
            Source::RemoteState { backend, hostname, organization: owner, workspaces, workspace } => {
                let (host, owner) = match (backend.as_str(), owner) {
                    ("remote" | "cloud" | "atlas", Some(owner)) => (hostname.as_deref(), owner.parse()?),
                    ("remote" | "atlas", None) => return Err(Unresolved::NoOrganization),
                    // The environment (TF_CLOUD_ORGANIZATION) may have given it; on HCP Terraform that is the run's own.
                    ("cloud", None) => (hostname.as_deref(), organization.clone()),
                    ("", _) => return Err(Unresolved::NoBackend),
                    (other, _) => return Err(Unresolved::OtherBackend(other.to_owned())),
                };
                let name = select(backend, workspaces, workspace.as_deref())?;
                (resolve_host(host, backend, instance)?, owner, name)
            }
        };
        Ok(Workspace::new(host, owner, &name)?)
    }
}

fn resolve_host(hostname: Option<&str>, backend: &str, instance: &Host) -> Result<Host, InvalidName> {
    let hostname = match hostname {
        Some(hostname) => hostname.to_ascii_lowercase(),
        None if backend == "cloud" => return Ok(instance.clone()),
        None => HCP_TERRAFORM.to_owned(),
    };
    if hostname == THIS_INSTANCE {
        return Ok(instance.clone());
    }
    hostname.strip_suffix(":443").unwrap_or(&hostname).parse()
}

fn select(backend: &str, workspaces: &Selection, workspace: Option<&str>) -> Result<String, Unresolved> {
    let chosen = workspace.filter(|&workspace| workspace != DEFAULT);
    match (workspaces, chosen) {
        (Selection::Both, _) => Err(Unresolved::NameAndPrefix),
        (Selection::Name(name), None) => Ok(name.clone()),
        (Selection::Name(name), Some(chosen)) if backend == "cloud" && chosen == name => Ok(name.clone()),
        (Selection::Name(name), Some(chosen)) => {
            Err(Unresolved::Contradiction { name: name.clone(), workspace: chosen.to_owned() })
        }
        (Selection::Prefix(_), None) => Err(Unresolved::PrefixAlone),
        (Selection::Prefix(prefix), Some(chosen)) if chosen.starts_with(prefix) => Ok(chosen.to_owned()),
        (Selection::Prefix(prefix), Some(chosen)) => Ok(format!("{prefix}{chosen}")),
        // `cloud` selects by tags or project too, and then reads the workspace of that name.
        (Selection::Absent, Some(chosen)) if backend == "cloud" => Ok(chosen.to_owned()),
        (Selection::Absent, _) => Err(Unresolved::NoWorkspace),
    }
}
