//! Configuration from the environment: typed, read once, with all of its faults told together.

use std::collections::BTreeMap;
use std::fmt;

use crate::address::TfeAddress;
use crate::logs::LogLevel;
use crate::metrics;
use crate::secret::SecretRef;

/// The process's environment. Variables that are not Unicode are left out.
#[must_use]
pub fn vars() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// A type that a variable may have.
pub trait Setting: Sized {
    /// What a value must be, as in "is not …". An error says this and never the value, which may be a secret.
    const EXPECTED: &str;

    /// The value, if it is one.
    fn parse(value: &str) -> Option<Self>;
}

macro_rules! settings {
    ($($type:ty: $expected:literal),* $(,)?) => {
        $(impl Setting for $type {
            const EXPECTED: &str = $expected;

            fn parse(value: &str) -> Option<Self> {
                value.parse().ok()
            }
        })*
    };
}

settings! {
    String: "text",
    bool: "true or false",
    u16: "a whole number up to 65535",
    u32: "a whole number",
    u64: "a whole number",
    sluice_domain::Organization: "an organization name",
    sluice_domain::Workspace: "a workspace (host/organization/name)",
}

/// Everything that is wrong with the environment.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid configuration: {}", faults.join("; "))]
pub struct InvalidConfig {
    faults: Vec<String>,
}

impl fmt::Debug for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads variables and gathers their faults. What is empty counts as not set.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use sluice_lambda::Env;
/// let vars = BTreeMap::from([("KEEP_DAYS".to_owned(), "soon".to_owned())]);
/// let mut env = Env::new(&vars);
/// let table = env.required::<String>("TABLE");
/// let keep_days = env.or("KEEP_DAYS", 7_u32);
/// let config = env.finish(|| Some((table?, keep_days?)));
/// assert_eq!(
///     config.unwrap_err().to_string(),
///     "invalid configuration: TABLE is not set; KEEP_DAYS is not a whole number"
/// );
/// ```
#[derive(Debug)]
pub struct Env<'a> {
    vars: &'a BTreeMap<String, String>,
    faults: Vec<String>,
}

impl<'a> Env<'a> {
    /// A reader of `vars`. It checks `SLUICE_LOG` and `SLUICE_METRICS`, which every function has.
    #[must_use]
    pub fn new(vars: &'a BTreeMap<String, String>) -> Self {
        let mut env = Self { vars, faults: Vec::new() };
        env.optional::<LogLevel>(LogLevel::VARIABLE);
        env.optional::<bool>(metrics::VARIABLE);
        env
    }

    /// A variable that must be set.
    pub fn required<T: Setting>(&mut self, name: &'static str) -> Option<T> {
        let value = self.set(name);
        self.parsed(name, value)
    }

    /// A variable that need not be set.
    pub fn or<T: Setting>(&mut self, name: &'static str, default: T) -> Option<T> {
        self.optional(name).map(|value| value.unwrap_or(default))
    }

    /// A variable that need not be set and means something only if it is. None if it is not valid.
    pub fn optional<T: Setting>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.get(name) {
            None => Some(None),
            value => self.parsed(name, value).map(Some),
        }
    }

    /// A secret that must be set: itself, `ssm:/path` or `secretsmanager:arn`.
    pub fn secret(&mut self, name: &'static str) -> Option<SecretRef> {
        let value = self.set(name)?;
        self.secret_ref(name, value)
    }

    /// Secrets of which one must be set, between commas or on lines of their own: several while one is being rotated.
    pub fn secrets(&mut self, name: &'static str) -> Option<Vec<SecretRef>> {
        self.set(name)?;
        let secrets = self.optional_secrets(name)?;
        if secrets.is_empty() {
            self.fault(name, "holds no secret");
        }
        Some(secrets)
    }

    /// Secrets of which none need be set.
    pub fn optional_secrets(&mut self, name: &'static str) -> Option<Vec<SecretRef>> {
        let list = self.get(name).unwrap_or_default();
        let values: Vec<&str> = SecretRef::list(list).collect();
        values.into_iter().map(|value| self.secret_ref(name, value)).collect()
    }

    /// The instance of HCP Terraform or Terraform Enterprise: `TFE_ADDRESS`, or else HCP Terraform.
    pub fn tfe_address(&mut self) -> Option<TfeAddress> {
        let value = self.get("TFE_ADDRESS").unwrap_or(TfeAddress::DEFAULT);
        self.parsed("TFE_ADDRESS", Some(value))
    }

    /// Notes a fault of `name`: "is not …". It must not quote the value.
    pub fn fault(&mut self, name: &'static str, is: &str) {
        self.faults.push(format!("{name} {is}"));
    }

    /// The configuration, or all faults. `build` may give None only where a variable did.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, InvalidConfig> {
        match build() {
            Some(config) if self.faults.is_empty() => Ok(config),
            _ => Err(InvalidConfig { faults: self.faults }),
        }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.vars.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn set(&mut self, name: &'static str) -> Option<&'a str> {
        let value = self.get(name);
        if value.is_none() {
            self.fault(name, "is not set");
        }
        value
    }

    fn parsed<T: Setting>(&mut self, name: &'static str, value: Option<&str>) -> Option<T> {
        let parsed = T::parse(value?);
        if parsed.is_none() {
            self.fault(name, &format!("is not {}", T::EXPECTED));
        }
        parsed
    }

    fn secret_ref(&mut self, name: &'static str, value: &str) -> Option<SecretRef> {
        let secret = SecretRef::parse(value);
        if secret.is_none() {
            self.fault(name, "names no place after ssm: or secretsmanager:");
        }
        secret
    }
}

#[cfg(test)]
mod tests;
