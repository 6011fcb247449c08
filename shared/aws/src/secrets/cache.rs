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
    kept: Mutex<BTreeMap<KeyPlace, Kept>>,
}

/// What became of the last attempt to fetch a key.
#[derive(Clone, Default)]
struct Kept {
    /// The key, from then or from before.
    key: Option<SecretString>,
    at: Timestamp,
    failed: bool,
}

/// Keys that were asked for.
#[derive(Debug, Default)]
pub struct Keyed {
    /// Those that are at hand.
    pub keys: Vec<SecretString>,
    /// Why not all of them are.
    pub missing: Option<SecretError>,
}

impl KeyCache {
    /// Nothing is fetched yet. `vars` is the environment: some keys may be in it, and it says how to reach the others.
    #[must_use]
    pub fn new(vars: BTreeMap<String, String>) -> Self {
        Self { vars, kept: Mutex::default() }
    }

    /// The keys at `places`; those fetched before, unless they are to be fetched `anew`. Of those that cannot be
    /// fetched, the ones from before are as good as they were.
    pub async fn get(&self, places: &[KeyPlace], anew: bool, now: Timestamp) -> Keyed {
        let good_ms = if anew { KEPT_AT_LEAST_MS } else { KEPT_MS };
        let mut keyed = Keyed::default();
        for place in places {
            match self.one(place, good_ms, now).await {
                Ok(key) => keyed.keys.push(key),
                Err(error) => {
                    keyed.keys.extend(self.kept(place).key);
                    keyed.missing = Some(error);
                }
            }
        }
        keyed
    }

    fn kept(&self, place: &KeyPlace) -> Kept {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned().unwrap_or_default()
    }

    fn keep(&self, place: &KeyPlace, kept: Kept) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone(), kept);
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
        let kept = self.kept(place);
        match kept.key {
            Some(key) if !kept.failed && now.since_ms(kept.at) < good_ms => Ok(key),
            _ if kept.failed && now.since_ms(kept.at) < KEPT_AT_LEAST_MS => Err(SecretError::Lately(place.to_string())),
            ref key => {
                let fetched = resolve(&self.vars, vec![reference]).await;
                let fetched = fetched.and_then(|mut keys| keys.pop().ok_or_else(missing));
                let key = fetched.as_ref().ok().or(key.as_ref()).cloned();
                self.keep(place, Kept { key, at: now, failed: fetched.is_err() });
                fetched
            }
        }
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyCache(…)")
    }
}
