//! Secrets as the environment names them.

pub use sluice_domain::SecretRef;
