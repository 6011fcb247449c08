//! Keyed digests of output values.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use sluice_domain::Digest;

/// Turns canonical JSON into digests with the installation's key.
#[derive(Clone)]
pub struct Digester {
    keyed: Hmac<Sha256>,
}

impl Digester {
    /// A digester for `key`, which may have any length.
    #[must_use]
    pub fn new(key: &SecretSlice<u8>) -> Self {
        let keyed = Hmac::new_from_slice(key.expose_secret()).expect("HMAC takes a key of any length");
        Self { keyed }
    }

    /// The digest of `canonical`: JSON without white space, object keys sorted by their bytes, strings with the
    /// fewest escapes, numbers as they were written.
    #[must_use]
    pub fn digest(&self, canonical: &[u8]) -> Digest {
        let mut mac = self.keyed.clone();
        mac.update(canonical);
        let full = mac.finalize().into_bytes();
        let mut digest = [0; 16];
        digest.copy_from_slice(&full[..16]);
        Digest(digest)
    }
}
