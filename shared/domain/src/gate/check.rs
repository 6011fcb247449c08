//! A check: one question that a run task asks of a run.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::gate::job::JobSpec;
use crate::names::{CheckName, PolicyName};

/// When in a run's life a run task is asked (contract hcp-terraform, section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before the plan.
    PrePlan,
    /// After the plan, which can be read from here on.
    PostPlan,
    /// After the plan was confirmed, before it is applied.
    PreApply,
    /// After the apply.
    PostApply,
}

impl Stage {
    /// All of them, in the order in which a run passes through them.
    pub const ALL: [Self; 4] = [Self::PrePlan, Self::PostPlan, Self::PreApply, Self::PostApply];

    /// As HCP Terraform writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrePlan => "pre_plan",
            Self::PostPlan => "post_plan",
            Self::PreApply => "pre_apply",
            Self::PostApply => "post_apply",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a check that fails fails its task result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// It does.
    #[default]
    Mandatory,
    /// It is told, and the result passes.
    Advisory,
}

/// What it counts as when a check comes to no verdict: it crashed, timed out, or cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// As failed.
    #[default]
    Fail,
    /// As passed, with a warning.
    Pass,
}

/// What an `upstream` check does while a workspace above is unsettled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Unsettled {
    /// Fails.
    #[default]
    Fail,
    /// Passes, and says so.
    Warn,
    /// Waits until it is settled, or the time is over.
    Wait,
}

/// One question, and how much the answer counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, unique in its task.
    pub name: CheckName,
    /// What it asks.
    pub kind: CheckKind,
    /// Whether it can fail the result.
    pub enforcement: Enforcement,
    /// The stages at which it is asked: those of its task, or some of them.
    pub stages: BTreeSet<Stage>,
    /// The checks that have to be over before this one begins.
    pub needs: BTreeSet<CheckName>,
    /// How long it may take, in seconds.
    pub timeout_seconds: u32,
    /// What it counts as when it comes to no verdict.
    pub on_error: OnError,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CheckKind {
    /// Is everything above this workspace settled, and was the plan made on what is true now?
    Upstream {
        /// What if not.
        unsettled: Unsettled,
    },
    /// Which workspaces will run after this one, and because of which outputs?
    Preview,
    /// Who still reads the outputs that this plan deletes?
    Consumers,
    /// What do Rego policies say?
    Rego {
        /// The stored policy.
        policy: PolicyName,
        /// The packages whose rules are asked; `*` for all.
        namespaces: BTreeSet<String>,
    },
    /// What does another run task say?
    Http {
        /// Its URL.
        url: String,
        /// Where the key is kept that requests to it are signed with; none sends them unsigned.
        hmac_key: Option<String>,
    },
    /// What does a program say?
    Job(Box<JobSpec>),
}

impl CheckKind {
    /// The word for it in a definition.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Upstream { .. } => "upstream",
            Self::Preview => "preview",
            Self::Consumers => "consumers",
            Self::Rego { .. } => "rego",
            Self::Http { .. } => "http",
            Self::Job(_) => "job",
        }
    }

    /// Whether it can be asked only where there is a plan.
    #[must_use]
    pub fn needs_plan(&self) -> bool {
        matches!(self, Self::Preview | Self::Consumers)
    }
}
