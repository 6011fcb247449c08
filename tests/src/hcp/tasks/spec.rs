//! What run tasks are made from.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// A stage of a run at which tasks are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "HCP Terraform's own words")]
pub enum Stage {
    PrePlan,
    PostPlan,
    PreApply,
    PostApply,
}

impl Stage {
    /// All of them, in the order of a run.
    pub const ALL: [Self; 4] = [Self::PrePlan, Self::PostPlan, Self::PreApply, Self::PostApply];

    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrePlan => "pre_plan",
            Self::PostPlan => "post_plan",
            Self::PreApply => "pre_apply",
            Self::PostApply => "post_apply",
        }
    }

    pub(in crate::hcp) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a task that did not pass means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Enforcement {
    /// It goes on.
    Advisory,
    /// It ends in `errored`.
    Mandatory,
}

impl Enforcement {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Advisory => "advisory",
            Self::Mandatory => "mandatory",
        }
    }

    pub(in crate::hcp) fn named(name: &str) -> Option<Self> {
        [Self::Advisory, Self::Mandatory].into_iter().find(|it| it.as_str() == name)
    }
}

/// A run task to create.
#[derive(Debug, Clone)]
pub struct RunTaskSpec {
    pub(in crate::hcp) name: String,
    pub(in crate::hcp) url: String,
    pub(in crate::hcp) hmac_key: Option<String>,
    pub(in crate::hcp) description: String,
    pub(in crate::hcp) enabled: bool,
    pub(in crate::hcp) organization: Option<String>,
    /// For every workspace of the organization.
    pub(in crate::hcp) global: Option<(Enforcement, BTreeSet<Stage>)>,
}

impl RunTaskSpec {
    /// An enabled task without a key, which no workspace has attached.
    #[must_use]
    pub fn new(name: &str, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            hmac_key: None,
            description: String::new(),
            enabled: true,
            organization: None,
            global: None,
        }
    }

    /// Whose requests are signed with this key.
    #[must_use]
    pub fn hmac_key(mut self, key: &str) -> Self {
        self.hmac_key = Some(key.to_owned()).filter(|key| !key.is_empty());
        self
    }

    /// Which nobody asks.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    /// In another organization than the simulator's own.
    #[must_use]
    pub fn organization(mut self, organization: &str) -> Self {
        self.organization = Some(organization.to_owned());
        self
    }

    /// Which every run of the organization asks at these stages.
    #[must_use]
    pub fn global(mut self, enforcement: Enforcement, stages: &[Stage]) -> Self {
        self.global = Some((enforcement, stages.iter().copied().collect()));
        self
    }
}

/// How run tasks are asked. What HCP Terraform does not document is here to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskOptions {
    /// How many times a request is sent that is not answered with 200, the first time included.
    pub attempts: u32,
    /// From an answer that is not 200 to the next attempt.
    pub spacing: Duration,
    /// How long a task may take to answer a request.
    pub answer_within: Duration,
    /// How long nothing may move before a result is `errored`.
    pub silence: Duration,
    /// How long a result may take in all.
    pub total: Duration,
    /// How long an access token is good for; `None` is for ever.
    pub token_lifetime: Option<Duration>,
    /// Whether requests say `capabilities`, and outcomes are kept; an old Terraform Enterprise does neither.
    pub capabilities: bool,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            attempts: 5,
            spacing: Duration::from_millis(50),
            answer_within: Duration::from_secs(10),
            silence: Duration::from_mins(10),
            total: Duration::from_hours(1),
            token_lifetime: None,
            capabilities: true,
        }
    }
}
