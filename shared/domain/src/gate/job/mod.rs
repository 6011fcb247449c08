//! A program that is run as a check, in an ephemeral job of a cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a `job` check runs, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The program.
    pub program: Program,
    /// Arguments by name: of an image, members of `JSON_PAYLOAD`; of a service's command, variables of its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// Settings of the pod, by Terrakube's names and in its formats (contract terrakube-lagoon, section 2.2): looked at
    /// when they were saved, and read with those of the deployment beneath them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// The token of the service account `lagoon-deployer` is mounted where Lagoon's images look for it.
    #[serde(default)]
    pub deployer_token: bool,
    /// The key in the secret `lagoon-sshkey` is mounted where Lagoon's images look for it.
    #[serde(default)]
    pub ssh_key: bool,
    /// How long it may take until the program runs, in seconds: a node may have to be made first.
    pub start_seconds: u32,
}

/// The program of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Program {
    /// An image, which knows by itself what to do: Lagoon's advanced task.
    Image {
        /// The image; where there is none, that of its settings or of the deployment's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
    },
    /// A command in a copy of a service's pod: Lagoon's standard task.
    Service {
        /// The service: the name of a Deployment.
        service: String,
        /// The container of it; the first, unless one is called as the service is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        container: Option<String>,
        /// The command, for the shell. Nothing is put into it.
        command: String,
    },
}

mod quantity;
mod read;
mod settings;
mod syntax;
#[cfg(test)]
mod tests;
mod wire;

pub use settings::{FsGroup, Mount, PodSettings, Toleration};
pub use wire::JobWire;
