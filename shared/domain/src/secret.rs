//! Secrets as the environment names them: by value, or by where they are kept.

use std::fmt;

use secrecy::SecretString;

/// A secret, or where it is kept.
#[derive(Debug, Clone)]
pub enum SecretRef {
    /// The secret itself.
    Plain(SecretString),
    /// The name or ARN of a parameter in Systems Manager, `/sluice/api-token`.
    Ssm(String),
    /// The name or ARN of a secret in Secrets Manager.
    SecretsManager(String),
}

impl SecretRef {
    /// Reads `ssm:/path`, `secretsmanager:arn` or else a secret; None if it names no place.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let place = |name: &str| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        if let Some(path) = value.strip_prefix("ssm:") {
            place(path).map(Self::Ssm)
        } else if let Some(name) = value.strip_prefix("secretsmanager:") {
            place(name).map(Self::SecretsManager)
        } else {
            Some(Self::Plain(SecretString::from(value)))
        }
    }

    /// The secrets that a text lists, between commas or on lines of their own.
    pub fn list(text: &str) -> impl Iterator<Item = &str> {
        text.split([',', '\n']).map(str::trim).filter(|secret| !secret.is_empty())
    }
}

/// As the environment has it. A secret does not print itself.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("a secret"),
            Self::Ssm(name) => write!(f, "ssm:{name}"),
            Self::SecretsManager(name) => write!(f, "secretsmanager:{name}"),
        }
    }
}
