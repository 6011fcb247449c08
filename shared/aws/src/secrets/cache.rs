//! Keys that a definition names, fetched when they are first needed and kept for a while.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;
use sluice_domain::gate::KeyPlace;
use sluice_domain::{SecretRef, Timestamp};

use super::{SecretError, resolve};

/// How long a fetched key is good enough, in milliseconds.
const KEPT_MS: u64 = 300_000;

/// How long it is good enough even for somebody whose signature it does not fit, in milliseconds: wrong signatures
/// must not become requests to where the keys are kept.
const KEPT_AT_LEAST_MS: u64 = 10_000;

/// Keys, each fetched once in a while. It does not print them.
pub struct KeyCache {
    vars: BTreeMap<String, String>,
    kept: Mutex<BTreeMap<KeyPlace, (SecretString, Timestamp)>>,
}

impl KeyCache {
    /// Nothing is fetched yet. `vars` is the environment: some keys may be in it, and it says how to reach the others.
    #[must_use]
    pub fn new(vars: BTreeMap<String, String>) -> Self {
        Self { vars, kept: Mutex::default() }
    }

    /// The keys at `places`; those fetched before, unless they are to be fetched `anew`.
    pub async fn get(&self, places: &[KeyPlace], anew: bool, now: Timestamp) -> Result<Vec<SecretString>, SecretError> {
        let good_ms = if anew { KEPT_AT_LEAST_MS } else { KEPT_MS };
        let mut keys = Vec::new();
        for place in places {
            keys.push(self.one(place, good_ms, now).await?);
        }
        Ok(keys)
    }

    async fn one(&self, place: &KeyPlace, good_ms: u64, now: Timestamp) -> Result<SecretString, SecretError> {
        let missing = || SecretError::NoText(place.to_string());
        let reference = match place {
            KeyPlace::Env(name) => {
                let value = self.vars.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
                return value.map(SecretString::from).ok_or_else(missing);
            }
            KeyPlace::Kept(reference) => SecretRef::parse(reference).ok_or_else(missing)?,
        };
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned();
        if let Some((key, at)) = kept
            && now.since_ms(at) < good_ms
        {
            return Ok(key);
        }
        let key = resolve(&self.vars, vec![reference]).await?.pop().ok_or_else(missing)?;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone(), (key.clone(), now));
        Ok(key)
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyCache(…)")
    }
}
