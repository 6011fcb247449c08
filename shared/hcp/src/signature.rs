//! Signatures as a type: only a verified body can be parsed.
//!
//! HCP Terraform signs notifications and run task requests alike: the lower-case hex of HMAC-SHA512 over the raw
//! body, keyed with the configured token. There is no timestamp and no nonce, so a signature does not stop a replay.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha512;
use subtle::{Choice, ConstantTimeEq};

/// The header that carries a notification's signature.
pub const NOTIFICATION_HEADER: &str = "x-tfe-notification-signature";
/// The header that carries a run task request's signature.
pub const RUN_TASK_HEADER: &str = "x-tfc-task-signature";

const DIGEST_BYTES: usize = 64;

/// Why a body was not let in. It never says what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No signature, or an empty one: HCP Terraform sends it empty where no token is configured.
    #[error("it carries no signature")]
    Missing,
    /// Not the hex of an HMAC-SHA512.
    #[error("its signature is not 128 hex digits")]
    NotHex,
    /// Made with another key, or over another body.
    #[error("its signature was made with another key or over another body")]
    Wrong,
    /// There is no key to check with.
    #[error("no key is configured to check its signature with")]
    NoKey,
}

/// The keys that a signature may be made with: several while a token is being rotated.
#[derive(Clone)]
pub struct Keys {
    // Keyed once: a clone saves two of the compressions of every short body.
    keyed: Vec<Hmac<Sha512>>,
    unsigned_allowed: bool,
}

impl Keys {
    /// The keys made of `secrets`. An empty secret is no key: anybody could sign with it.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let secrets = secrets.into_iter().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty());
        Self { keyed: secrets.map(|secret| keyed(secret.as_bytes())).collect(), unsigned_allowed: false }
    }

    /// The same keys, which also let in what is not signed at all. With no key, everything is let in.
    #[must_use]
    pub fn allow_unsigned(mut self) -> Self {
        self.unsigned_allowed = true;
        self
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("count", &self.keyed.len())
            .field("unsigned_allowed", &self.unsigned_allowed)
            .finish()
    }
}

/// A body that its sender is known to have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'a> {
    body: &'a [u8],
}

impl<'a> Verified<'a> {
    /// The bytes that were signed.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.body
    }

    /// The body as JSON. The error may quote the body: do not log it.
    pub fn parse<T: Deserialize<'a>>(self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.body)
    }
}

/// Checks that `header`, the signature as it was sent, was made over `body` with one of `keys`.
pub fn verify<'a>(body: &'a [u8], header: Option<&[u8]>, keys: &Keys) -> Result<Verified<'a>, Rejected> {
    let header = header.map(<[u8]>::trim_ascii).filter(|header| !header.is_empty());
    match header {
        None if keys.unsigned_allowed => Ok(Verified { body }),
        None => Err(Rejected::Missing),
        Some(_) if keys.keyed.is_empty() && keys.unsigned_allowed => Ok(Verified { body }),
        Some(_) if keys.keyed.is_empty() => Err(Rejected::NoKey),
        Some(header) => check(body, header, &keys.keyed),
    }
}

fn check<'a>(body: &'a [u8], header: &[u8], keyed: &[Hmac<Sha512>]) -> Result<Verified<'a>, Rejected> {
    let mut claimed = [0; DIGEST_BYTES];
    hex::decode_to_slice(header, &mut claimed).map_err(|_| Rejected::NotHex)?;
    // Every key is tried, whichever fits: the time it takes does not tell which.
    let fits = keyed.iter().fold(Choice::from(0), |fits, mac| {
        let digest = mac.clone().chain_update(body).finalize().into_bytes();
        fits | digest.as_slice().ct_eq(&claimed)
    });
    if bool::from(fits) { Ok(Verified { body }) } else { Err(Rejected::Wrong) }
}

/// The signature of `body`, as HCP Terraform would send it.
#[must_use]
pub fn sign(key: &SecretString, body: &[u8]) -> String {
    hex::encode(keyed(key.expose_secret().as_bytes()).chain_update(body).finalize().into_bytes())
}

fn keyed(key: &[u8]) -> Hmac<Sha512> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFICATION: &str = r#"{"payload_version":1,"notification_configuration_id":"nc-EXAMPLE0000000001","run_url":null,"run_id":null,"run_message":null,"run_created_at":null,"run_created_by":null,"workspace_id":null,"workspace_name":null,"organization_name":null,"notifications":[{"message":"Verification of demo","trigger":"verification","run_status":null,"run_updated_at":null,"run_updated_by":null}]}"#;
    const VERIFICATION_SIGNATURE: &str = "19e47a9a77cfabfda6960b734b929e333b12f25cc87022eafad06aaf154f575e0567a49ae9f58a1c37cd829d9fd47f46431575895c78f9cd41b6a3693436400a";
    const NON_ASCII: &str = r#"{"message":"héllo"}"#;
    const NON_ASCII_SIGNATURE: &str = "b20437bfcde5659f2addeccb4ec4fef14d5dd81b74132c907d7e35d6866bf7fd0f3bfe4a54a90e0617fdf37a6957dbccd81cc5d5a67156eb9c11fcb8d37a5e4b";

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn keys(secrets: &[&str]) -> Keys {
        let secrets: Vec<SecretString> = secrets.iter().map(|text| secret(text)).collect();
        Keys::new(&secrets)
    }

    #[track_caller]
    fn check(secrets: &[&str], body: &str, header: Option<&str>, expect: Result<(), Rejected>) {
        let verified = verify(body.as_bytes(), header.map(str::as_bytes), &keys(secrets));
        assert_eq!(verified.map(|verified| assert_eq!(verified.bytes(), body.as_bytes())), expect);
    }

    #[test]
    fn known_bodies_have_known_signatures() {
        assert_eq!(VERIFICATION.len(), 375);
        assert_eq!(sign(&secret("demo-token"), VERIFICATION.as_bytes()), VERIFICATION_SIGNATURE);
        assert_eq!(sign(&secret("demo-token"), NON_ASCII.as_bytes()), NON_ASCII_SIGNATURE);
        check(&["demo-token"], VERIFICATION, Some(VERIFICATION_SIGNATURE), Ok(()));
        check(&["demo-token"], NON_ASCII, Some(NON_ASCII_SIGNATURE), Ok(()));
    }

    #[test]
    fn the_case_of_the_hex_and_space_around_it_do_not_matter() {
        check(&["demo-token"], NON_ASCII, Some(&NON_ASCII_SIGNATURE.to_uppercase()), Ok(()));
        check(&["demo-token"], NON_ASCII, Some(&format!(" {NON_ASCII_SIGNATURE} ")), Ok(()));
    }

    #[test]
    fn a_missing_or_empty_signature_is_refused() {
        for header in [None, Some(""), Some("  ")] {
            check(&["demo-token"], NON_ASCII, header, Err(Rejected::Missing));
        }
    }

    #[test]
    fn a_signature_that_is_not_one_is_refused() {
        let long = format!("{NON_ASCII_SIGNATURE}00");
        let twice = format!("{NON_ASCII_SIGNATURE},{NON_ASCII_SIGNATURE}");
        let prefixed = format!("sha512={NON_ASCII_SIGNATURE}");
        for header in ["00", "zz", &NON_ASCII_SIGNATURE[1..], &long, &twice, &prefixed, "é"] {
            check(&["demo-token"], NON_ASCII, Some(header), Err(Rejected::NotHex));
        }
    }

    #[test]
    fn a_changed_body_or_signature_is_refused() {
        let key = secret("demo-token");
        for at in 0..NON_ASCII.len() {
            let mut body = NON_ASCII.as_bytes().to_vec();
            body[at] ^= 1;
            let header = Some(NON_ASCII_SIGNATURE.as_bytes());
            assert_eq!(verify(&body, header, &Keys::new([&key])).unwrap_err(), Rejected::Wrong);
        }
        for at in 0..DIGEST_BYTES {
            let mut signature = hex::decode(NON_ASCII_SIGNATURE).unwrap();
            signature[at] ^= 0x80;
            check(&["demo-token"], NON_ASCII, Some(&hex::encode(signature)), Err(Rejected::Wrong));
        }
    }

    #[test]
    fn each_of_several_keys_fits() {
        for secrets in [&["demo-token", "next-token"][..], &["old-token", "demo-token"], &["a", "b", "demo-token"]] {
            check(secrets, NON_ASCII, Some(NON_ASCII_SIGNATURE), Ok(()));
        }
        check(&["old-token", "next-token"], NON_ASCII, Some(NON_ASCII_SIGNATURE), Err(Rejected::Wrong));
    }

    #[test]
    fn without_a_key_nothing_is_let_in() {
        let signed_with_nothing = sign(&secret(""), NON_ASCII.as_bytes());
        for secrets in [&[][..], &[""]] {
            check(secrets, NON_ASCII, Some(&signed_with_nothing), Err(Rejected::NoKey));
            check(secrets, NON_ASCII, None, Err(Rejected::Missing));
        }
    }

    #[test]
    fn unsigned_bodies_are_let_in_only_on_request_and_signatures_are_still_checked() {
        let open = keys(&[]).allow_unsigned();
        assert!(verify(b"{}", None, &open).is_ok());
        assert!(verify(b"{}", Some(b"anything"), &open).is_ok());
        let half_open = keys(&["demo-token"]).allow_unsigned();
        assert!(verify(b"{}", Some(b""), &half_open).is_ok());
        let header = Some(NON_ASCII_SIGNATURE.as_bytes());
        assert_eq!(verify(b"{}", header, &half_open).unwrap_err(), Rejected::Wrong);
    }

    #[test]
    fn keys_do_not_print_themselves() {
        assert_eq!(format!("{:?}", keys(&["demo-token"])), "Keys { count: 1, unsigned_allowed: false }");
    }
}
