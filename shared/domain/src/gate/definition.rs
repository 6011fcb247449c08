//! What a run task is made of, as a person writes it down, and what may be wrong with that.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::gate::JobWire;
use crate::gate::check::{Check, CheckKind, Enforcement, OnError, Stage, Unsettled};
use crate::names::{CheckName, Organization, PolicyName, TaskName, Workspace};
use crate::secret::SecretRef;

/// Longest that a task may take, in seconds: HCP Terraform gives up after sixty minutes (contract hcp-terraform,
/// section 2.4), and by then it must have the answer, though a process dies over it and two sweeps come late.
pub const TASK_SECONDS_MAX: u32 = 3_180;
/// How long a task may take unless told otherwise, in seconds: older instances wait for ten minutes, and access tokens
/// are said to last as long.
const TASK_SECONDS: u32 = 540;
/// Most checks of one task.
const CHECKS_MAX: usize = 20;
/// Where `http` checks and keys may lie.
const KEY_EXPECTED: &str = "is not where a key is kept: ssm:/path, secretsmanager:arn or env:NAME";

/// A run task: who may ask it, about what, and which checks answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDefinition {
    /// Its name, the last part of its URL.
    pub name: TaskName,
    /// A task that is not enabled lets everything pass.
    pub enabled: bool,
    /// Where the keys are kept that requests to it are signed with: several while one replaces another.
    pub hmac_keys: Vec<KeyPlace>,
    /// Patterns of organizations it is for; all if there are none.
    pub organizations: Vec<String>,
    /// Patterns of workspace names it is for; all if there are none.
    pub workspaces: Vec<String>,
    /// How long it may take in all, in seconds.
    pub timeout_seconds: u32,
    /// Its checks, in order.
    pub checks: Vec<Check>,
}

impl TaskDefinition {
    /// Why it has nothing to say about `workspace`, if it has not.
    #[must_use]
    pub fn leaves_out(&self, workspace: &Workspace) -> Option<String> {
        let none = |patterns: &[String], name: &str| {
            !patterns.is_empty() && !patterns.iter().any(|pattern| WildMatch::new(pattern).matches(name))
        };
        if !self.enabled {
            Some(format!("{} is not enabled", self.name))
        } else if none(&self.organizations, workspace.organization.as_str()) || none(&self.workspaces, &workspace.name)
        {
            Some(format!("{} is not for {}", self.name, workspace.short()))
        } else {
            None
        }
    }

    /// The checks that are asked at `stage`.
    pub fn checks_at(&self, stage: Stage) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.stages.contains(&stage))
    }
}

/// Where a key is kept; never the key itself, as definitions are no place for secrets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPlace {
    /// A variable of the function's environment.
    Env(String),
    /// A parameter in Systems Manager, or a secret in Secrets Manager, as written.
    Kept(String),
}

impl KeyPlace {
    /// Reads `ssm:/path`, `secretsmanager:arn` or `env:NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("env:") {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            // Not what is no key of a task's: it may be known to everybody, or for nobody to guess at.
            let another = ["AWS_", "SLUICE_", "API_TOKEN", "NOTIFICATION_TOKEN"].iter().any(|it| name.starts_with(it));
            return (!name.is_empty() && !another && name.bytes().all(plain)).then(|| Self::Env(name.to_owned()));
        }
        match SecretRef::parse(text)? {
            SecretRef::Plain(_) => None,
            SecretRef::Ssm(_) | SecretRef::SecretsManager(_) => Some(Self::Kept(text.to_owned())),
        }
    }
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Kept(place) => f.write_str(place),
        }
    }
}

/// A definition as it is written down, before it is looked at closely.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of TaskDefinition, as written")]
pub struct TaskWire {
    pub name: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub description: Option<String>,
    pub hmac_keys: Vec<String>,
    pub stages: Vec<Stage>,
    #[serde(default)]
    pub organizations: Vec<String>,
    #[serde(default)]
    pub workspaces: Vec<String>,
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    #[serde(default)]
    pub on_error: OnError,
    pub checks: Vec<CheckWire>,
}

/// A check as it is written down: `kind` says which of the last fields it has.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of Check and its kinds, as written")]
pub struct CheckWire {
    pub name: String,
    pub kind: String,
    #[serde(default)]
    pub enforcement: Enforcement,
    #[serde(default)]
    pub stages: Option<Vec<Stage>>,
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    #[serde(default)]
    pub on_error: Option<OnError>,
    #[serde(default)]
    pub unsettled: Option<Unsettled>,
    #[serde(default)]
    pub policy: Option<String>,
    #[serde(default)]
    pub namespaces: Option<Vec<String>>,
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub hmac_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobWire>,
}

fn yes() -> bool {
    true
}

/// One thing that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Which field, as `checks[1].url`.
    pub field: String,
    /// What is wrong with it, as a sentence of which it is the subject.
    pub is: String,
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.is)
    }
}

/// Everything that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the definition of a run task is not valid: {}", Self::list(faults))]
pub struct InvalidTask {
    /// What is wrong, field by field.
    pub faults: Vec<FieldFault>,
}

impl InvalidTask {
    fn list(faults: &[FieldFault]) -> String {
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

/// Gathers what is wrong.
struct Reader {
    faults: Vec<FieldFault>,
}

impl Reader {
    fn fault(&mut self, field: impl Into<String>, is: impl Into<String>) {
        self.faults.push(FieldFault { field: field.into(), is: is.into() });
    }

    fn parsed<T: std::str::FromStr<Err = crate::InvalidName>>(&mut self, field: &str, text: &str) -> Option<T> {
        text.parse().map_err(|error: crate::InvalidName| self.fault(field, format!("is wrong: {error}"))).ok()
    }

    fn seconds(&mut self, field: &str, given: Option<u32>, default: u32, most: u32) -> u32 {
        let seconds = given.unwrap_or(default);
        if seconds == 0 || seconds > most {
            self.fault(field, format!("is {seconds}, and has to be from 1 to {most}"));
        }
        // What follows from it is not wrong once more.
        seconds.clamp(1, most)
    }
}

impl TryFrom<TaskWire> for TaskDefinition {
    type Error = InvalidTask;

    fn try_from(wire: TaskWire) -> Result<Self, InvalidTask> {
        let mut reader = Reader { faults: Vec::new() };
        let name = reader.parsed("name", &wire.name);
        let hmac_keys = reader.keys(&wire.hmac_keys);
        let stages: BTreeSet<Stage> = wire.stages.iter().copied().collect();
        if stages.is_empty() {
            reader.fault("stages", "is empty: name at least one of pre_plan, post_plan, pre_apply, post_apply");
        }
        reader.patterns("organizations", &wire.organizations);
        reader.patterns("workspaces", &wire.workspaces);
        let timeout_seconds = reader.seconds("timeout_seconds", wire.timeout_seconds, TASK_SECONDS, TASK_SECONDS_MAX);
        if wire.checks.is_empty() || wire.checks.len() > CHECKS_MAX {
            reader.fault("checks", format!("has {} checks, and has to have from 1 to {CHECKS_MAX}", wire.checks.len()));
        }
        let mut checks: Vec<Check> = Vec::new();
        for (n, check) in wire.checks.iter().enumerate() {
            let whole = (&stages, timeout_seconds, wire.on_error);
            checks.extend(reader.check(&format!("checks[{n}]"), check, whole, &checks));
        }
        match name {
            Some(name) if reader.faults.is_empty() => Ok(Self {
                name,
                enabled: wire.enabled,
                hmac_keys,
                organizations: wire.organizations,
                workspaces: wire.workspaces,
                timeout_seconds,
                checks,
            }),
            _ => Err(InvalidTask { faults: reader.faults }),
        }
    }
}

impl Reader {
    /// A pattern is a name but for its wildcards; one that can match nothing would let everything pass.
    fn patterns(&mut self, field: &str, patterns: &[String]) {
        for (n, pattern) in patterns.iter().enumerate() {
            let name = pattern.replace(['*', '?'], "x");
            if name.parse::<Organization>().is_err() {
                self.fault(format!("{field}[{n}]"), "is no name, with * and ? for any text and any letter");
            }
        }
    }

    fn keys(&mut self, keys: &[String]) -> Vec<KeyPlace> {
        if keys.is_empty() {
            self.fault("hmac_keys", "is empty: anybody could ask this task without a key");
        }
        let mut places = Vec::new();
        for (n, key) in keys.iter().enumerate() {
            match KeyPlace::parse(key) {
                Some(place) => places.push(place),
                None => self.fault(format!("hmac_keys[{n}]"), KEY_EXPECTED),
            }
        }
        places
    }

    fn check(
        &mut self,
        at: &str,
        wire: &CheckWire,
        (stages, task_seconds, on_error): (&BTreeSet<Stage>, u32, OnError),
        before: &[Check],
    ) -> Option<Check> {
        let name: Option<CheckName> = self.parsed(&format!("{at}.name"), &wire.name);
        if before.iter().any(|check| Some(&check.name) == name.as_ref()) {
            self.fault(format!("{at}.name"), format!("is {}, as another check's is", wire.name));
        }
        let own: BTreeSet<Stage> =
            wire.stages.as_ref().map_or_else(|| stages.clone(), |own| own.iter().copied().collect());
        if own.is_empty() || !own.is_subset(stages) {
            self.fault(format!("{at}.stages"), "has to be some of the task's own stages");
        }
        let mut needs = BTreeSet::new();
        for (n, need) in wire.needs.iter().enumerate() {
            // Only what comes before: so nothing can wait for itself.
            match before.iter().find(|check| check.name.as_str() == need) {
                Some(check) => drop(needs.insert(check.name.clone())),
                None => self.fault(format!("{at}.needs[{n}]"), "names no check that comes before this one"),
            }
        }
        let seconds = format!("{at}.timeout_seconds");
        let timeout_seconds = self.seconds(&seconds, wire.timeout_seconds, task_seconds, TASK_SECONDS_MAX);
        let kind = self.kind(at, wire)?;
        let missing = kind.needs_plan().then(|| own.iter().find(|stage| **stage == Stage::PrePlan)).flatten();
        if let Some(stage) = missing {
            self.fault(
                format!("{at}.stages"),
                format!("has {stage}, when there is no plan for {} to read", kind.word()),
            );
        }
        let on_error = wire.on_error.unwrap_or(on_error);
        Some(Check { name: name?, kind, enforcement: wire.enforcement, stages: own, needs, timeout_seconds, on_error })
    }

    fn kind(&mut self, at: &str, wire: &CheckWire) -> Option<CheckKind> {
        let given = [
            ("unsettled", wire.unsettled.is_some(), "upstream"),
            ("policy", wire.policy.is_some(), "rego"),
            ("namespaces", wire.namespaces.is_some(), "rego"),
            ("url", wire.url.is_some(), "http"),
            ("hmac_key", wire.hmac_key.is_some(), "http"),
            ("job", wire.job.is_some(), "job"),
        ];
        for (field, _, kind) in given.into_iter().filter(|(_, given, kind)| *given && *kind != wire.kind) {
            self.fault(
                format!("{at}.{field}"),
                format!("means nothing to a check of the kind {}, but to {kind}", wire.kind),
            );
        }
        match wire.kind.as_str() {
            "upstream" => Some(CheckKind::Upstream { unsettled: wire.unsettled.unwrap_or_default() }),
            "preview" => Some(CheckKind::Preview),
            "consumers" => Some(CheckKind::Consumers),
            "rego" => self.rego(at, wire),
            "http" => self.http(at, wire),
            "job" => self.job(at, wire),
            _ => {
                self.fault(format!("{at}.kind"), "is none of upstream, preview, consumers, rego, http, job");
                None
            }
        }
    }

    fn rego(&mut self, at: &str, wire: &CheckWire) -> Option<CheckKind> {
        let field = format!("{at}.policy");
        let Some(policy) = &wire.policy else {
            self.fault(field, "is missing: name a stored policy");
            return None;
        };
        let policy: Option<PolicyName> = self.parsed(&field, policy);
        let namespaces: BTreeSet<String> = match &wire.namespaces {
            Some(namespaces) => namespaces.iter().cloned().collect(),
            None => BTreeSet::from(["main".to_owned()]),
        };
        let plain = |name: &String| {
            let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
            name == "*" || (!name.is_empty() && name.bytes().all(byte))
        };
        if namespaces.is_empty() || !namespaces.iter().all(plain) {
            self.fault(format!("{at}.namespaces"), "has to name packages, as main or terraform.aws, or * for all");
        }
        Some(CheckKind::Rego { policy: policy?, namespaces })
    }

    fn http(&mut self, at: &str, wire: &CheckWire) -> Option<CheckKind> {
        let Some(url) = &wire.url else {
            self.fault(format!("{at}.url"), "is missing: a check of the kind http needs it");
            return None;
        };
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(['@', ' '])) {
            self.fault(format!("{at}.url"), "is no http:// or https:// URL without a user name");
        }
        if wire.hmac_key.as_deref().is_some_and(|key| KeyPlace::parse(key).is_none()) {
            self.fault(format!("{at}.hmac_key"), KEY_EXPECTED);
        }
        Some(CheckKind::Http { url: url.clone(), hmac_key: wire.hmac_key.clone() })
    }
    fn job(&mut self, at: &str, wire: &CheckWire) -> Option<CheckKind> {
        let Some(job) = &wire.job else {
            self.fault(format!("{at}.job"), "is missing: say which image, or which service and command");
            return None;
        };
        match job.read() {
            Ok(spec) => Some(CheckKind::Job(Box::new(spec))),
            Err(faults) => {
                for fault in faults {
                    self.fault(format!("{at}.job.{}", fault.field), fault.is);
                }
                None
            }
        }
    }
}
