//! Secrets as the environment names them: by value, or by where they are kept.

use secrecy::SecretString;

/// A secret, or where it is kept.
#[derive(Debug, Clone)]
pub enum SecretRef {
    /// The secret itself.
    Plain(SecretString),
    /// The path of a parameter in Systems Manager, `/sluice/api-token`.
    Ssm(String),
    /// The name or ARN of a secret in Secrets Manager.
    SecretsManager(String),
}

impl SecretRef {
    /// Reads `ssm:/path`, `secretsmanager:arn` or else a secret; None if it names no place.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let place = |name: &str| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        if let Some(path) = value.strip_prefix("ssm:") {
            place(path).map(Self::Ssm)
        } else if let Some(name) = value.strip_prefix("secretsmanager:") {
            place(name).map(Self::SecretsManager)
        } else {
            Some(Self::Plain(SecretString::from(value)))
        }
    }
}

/// A secret that would have to be fetched first.
#[derive(Debug, thiserror::Error)]
#[error("the secret at {0} has to be fetched, and nothing here does that")]
pub struct Reference(String);

/// The secrets among `secrets`, if none of them has to be fetched.
pub fn plain(secrets: Vec<SecretRef>) -> Result<Vec<SecretString>, Reference> {
    let secrets = secrets.into_iter().map(|secret| match secret {
        SecretRef::Plain(secret) => Ok(secret),
        SecretRef::Ssm(path) => Err(Reference(format!("ssm:{path}"))),
        SecretRef::SecretsManager(name) => Err(Reference(format!("secretsmanager:{name}"))),
    });
    secrets.collect()
}
