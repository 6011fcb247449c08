//! Names and ids, parsed at the door and trusted inside.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name or id that is not what HCP Terraform would accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct InvalidName {
    value: String,
    expected: &'static str,
}

impl InvalidName {
    fn new(value: &str, expected: &'static str) -> Self {
        // Names come from outside: keep the message short whatever was sent.
        let value = value.chars().take(64).collect();
        Self { value, expected }
    }
}

/// Longest name or id accepted, in bytes. HCP Terraform's own limit for workspace names is 90 characters.
pub const NAME_BYTES_MAX: usize = 200;

fn is_word(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= NAME_BYTES_MAX
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(value: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> bool = $check;
                if check(value) { Ok(Self(value.to_owned())) } else { Err(InvalidName::new(value, $expected)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(value: String) -> Result<Self, InvalidName> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

text!(
    /// A workspace's id, `ws-…`.
    WorkspaceId, "a workspace id (ws-…)", |v| v.starts_with("ws-") && is_word(v)
);
text!(
    /// A run's id, `run-…`.
    RunId, "a run id (run-…)", |v| v.starts_with("run-") && is_word(v)
);
text!(
    /// A state version's id, `sv-…`.
    StateVersionId, "a state version id (sv-…)", |v| v.starts_with("sv-") && is_word(v)
);
text!(
    /// A task result's id: HCP Terraform's `taskrs-…`, and after an `@` the run task that was asked. Whoever has the key
    /// of one task could else take the place of another's results.
    TaskResultId, "a task result id (taskrs-…)", |v| {
        let (id, task) = v.split_once('@').unwrap_or((v, "x"));
        id.starts_with("taskrs-") && is_word(id) && is_word(task)
    }
);
text!(
    /// The name of a run task as Sluice knows it: the last part of its URL.
    TaskName, "a task name (letters, digits, - and _)", is_word
);
text!(
    /// The name of a check among those of its run task.
    CheckName, "a check name (letters, digits, - and _)", is_word
);
text!(
    /// The name of a stored policy.
    PolicyName, "a policy name (letters, digits, - and _)", is_word
);
text!(
    /// A project's id, `prj-…`.
    ProjectId, "a project id (prj-…)", |v| v.starts_with("prj-") && is_word(v)
);
text!(
    /// A notification configuration's id, `nc-…`.
    NotificationId, "a notification configuration id (nc-…)", |v| v.starts_with("nc-") && is_word(v)
);
text!(
    /// The id of a run task of an organization, `task-…`.
    RunTaskId, "a run task id (task-…)", |v| v.starts_with("task-") && is_word(v)
);
text!(
    /// The id by which a workspace has a run task attached, `wstask-…`.
    AttachmentId, "a workspace task id (wstask-…)", |v| v.starts_with("wstask-") && is_word(v)
);
text!(
    /// An organization's name.
    Organization, "an organization name (letters, digits, - and _)", is_word
);
text!(
    /// The host of an HCP Terraform or Terraform Enterprise instance, lower case, with a port where it is not 443.
    Host, "a host name", |v| {
        !v.is_empty()
            && v.len() <= NAME_BYTES_MAX
            && v.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b':' | b'[' | b']'))
    }
);

impl TaskResultId {
    /// The same as it is known among the results of `task`.
    #[must_use]
    pub fn of(&self, task: &TaskName) -> Self {
        let id = self.0.split('@').next().unwrap_or_default();
        Self(format!("{id}@{task}"))
    }

    /// The id that HCP Terraform knows it by.
    #[must_use]
    pub fn of_hcp(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

/// A workspace as Terraform configurations refer to it: by host, organization and name. Its id may change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Workspace {
    /// The instance it lives on.
    pub host: Host,
    /// The organization that owns it.
    pub organization: Organization,
    /// Its name within the organization.
    pub name: String,
}

impl Workspace {
    /// A workspace, if `name` is one HCP Terraform could have given out.
    pub fn new(host: Host, organization: Organization, name: &str) -> Result<Self, InvalidName> {
        if is_word(name) {
            Ok(Self { host, organization, name: name.to_owned() })
        } else {
            Err(InvalidName::new(name, "a workspace name (letters, digits, - and _)"))
        }
    }

    /// `organization/name`, for people who have one instance.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}/{}", self.organization, self.name)
    }
}

impl fmt::Display for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.host, self.organization, self.name)
    }
}

impl FromStr for Workspace {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName::new(value, "a workspace (host/organization/name)");
        let mut parts = value.splitn(3, '/');
        let (Some(host), Some(organization), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(invalid());
        };
        Self::new(host.parse()?, organization.parse()?, name)
    }
}

impl TryFrom<String> for Workspace {
    type Error = InvalidName;

    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}

impl From<Workspace> for String {
    fn from(value: Workspace) -> Self {
        value.to_string()
    }
}
