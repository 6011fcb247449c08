//! Access tokens at rest, and the tokens that other checkers are given: both made with the installation's gate key.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use sluice_domain::gate::Sealed;
use sluice_domain::{CheckName, Classify, Fault, RunId, SecretRef, TaskResultId};

use crate::secrets::{SecretError, resolve_lists};

/// The gate's keys: the first seals, all of them open, so that one can replace another.
#[derive(Clone)]
pub struct GateKeys {
    first: hmac::Key,
    older: Vec<hmac::Key>,
}

/// A sealed token does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the access token cannot be opened: SLUICE_GATE_KEY is another than the one it was sealed with")]
pub struct OpenError;

impl Classify for OpenError {
    // A key that is being replaced comes good when all functions have it.
    fn fault(&self) -> Fault {
        Fault::TRANSIENT
    }
}

/// What the token of a check says: whose it is, and for the context of which run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextClaims {
    /// The run.
    pub run: RunId,
    /// The task result.
    pub result: TaskResultId,
    /// The check.
    pub check: CheckName,
}

impl GateKeys {
    /// The key that seals, and those before it.
    #[must_use]
    pub fn new(first: &SecretString, older: &[SecretString]) -> Self {
        let key = |secret: &SecretString| hmac::Key::new(HMAC_SHA256, secret.expose_secret().as_bytes());
        Self { first: key(first), older: older.iter().map(key).collect() }
    }

    /// The keys that `SLUICE_GATE_KEY` names, fetched if need be.
    pub async fn resolve(vars: &BTreeMap<String, String>, secrets: Vec<SecretRef>) -> Result<Self, SecretError> {
        let secrets = resolve_lists(vars, secrets).await?;
        let (first, older) = secrets.split_first().ok_or_else(|| SecretError::NoText("SLUICE_GATE_KEY".to_owned()))?;
        Ok(Self::new(first, older))
    }

    fn all(&self) -> impl Iterator<Item = &hmac::Key> {
        std::iter::once(&self.first).chain(&self.older)
    }

    /// `token`, encrypted with AES-256-GCM under a key that is derived for `result` alone, and bound to it: sealed for
    /// one result, it opens for no other.
    #[must_use]
    pub fn seal(&self, result: &TaskResultId, token: &SecretString) -> Sealed {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the system has random numbers");
        let key = sealing(&self.first, result);
        let mut bytes = token.expose_secret().as_bytes().to_vec();
        let aad = Aad::from(result.as_str().as_bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).expect("a token is short");
        Sealed(STANDARD_NO_PAD.encode([&nonce[..], &bytes].concat()))
    }

    /// The token that was sealed for `result`.
    pub fn open(&self, result: &TaskResultId, sealed: &Sealed) -> Result<SecretString, OpenError> {
        let bytes = STANDARD_NO_PAD.decode(&sealed.0).map_err(|_| OpenError)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(OpenError)?;
        self.all()
            .find_map(|key| {
                let mut sealed = sealed.to_vec();
                let aad = Aad::from(result.as_str().as_bytes());
                let nonce = Nonce::assume_unique_for_key(*nonce);
                let opened = sealing(key, result).open_in_place(nonce, aad, &mut sealed).ok()?;
                Some(SecretString::from(std::str::from_utf8(opened).ok()?))
            })
            .ok_or(OpenError)
    }

    /// The token with which another checker answers for one check of one task result. It is derived, so it is the same
    /// however often the checker is asked, and stored nowhere.
    #[must_use]
    pub fn checker_token(&self, result: &TaskResultId, check: &CheckName) -> SecretString {
        SecretString::from(URL_SAFE_NO_PAD.encode(hmac::sign(&self.first, &checker(result, check))))
    }

    /// The token with which one check of one task result reads and writes the context of its run. It is derived like that
    /// of another checker, and says itself whose it is.
    #[must_use]
    pub fn context_token(&self, run: &RunId, result: &TaskResultId, check: &CheckName) -> SecretString {
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&self.first, &of_context(run, result, check)));
        // Only what RFC 6750 has in a bearer token, and no name has the character between them.
        let result = result.as_str().replace('@', "~");
        SecretString::from([CONTEXT_TOKEN, run.as_str(), &result, check.as_str(), &mac].join("~"))
    }

    /// What a token for a context says, if it is genuine, compared in constant time. Whether its check still runs is for
    /// the table to say.
    #[must_use]
    pub fn context_claims(&self, token: &str) -> Option<ContextClaims> {
        let (run, rest) = token.strip_prefix(CONTEXT_TOKEN)?.strip_prefix('~')?.split_once('~')?;
        let (rest, mac) = rest.rsplit_once('~')?;
        let (result, check) = rest.rsplit_once('~')?;
        let (run, check) = (run.parse().ok()?, check.parse().ok()?);
        let claims = ContextClaims { run, result: result.replace('~', "@").parse().ok()?, check };
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        let message = of_context(&claims.run, &claims.result, &claims.check);
        self.all().any(|key| hmac::verify(key, &message, &mac).is_ok()).then_some(claims)
    }

    /// Letters and digits that stand for one check of one task result. Nobody can tell which from them.
    #[must_use]
    pub fn alias(&self, result: &TaskResultId, check: &CheckName) -> String {
        let alias = hmac::sign(&self.first, format!("alias {result} {check}").as_bytes());
        let (first, _) = alias.as_ref().split_first_chunk().expect("it has 32 bytes");
        format!("{:016x}", u64::from_be_bytes(*first))
    }

    /// Whether `token` is that of the check, in constant time.
    #[must_use]
    pub fn is_checker_token(&self, result: &TaskResultId, check: &CheckName, token: &str) -> bool {
        let Ok(token) = URL_SAFE_NO_PAD.decode(token) else { return false };
        let message = checker(result, check);
        self.all().any(|key| hmac::verify(key, &message, &token).is_ok())
    }
}

impl fmt::Debug for GateKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateKeys").field("count", &self.all().count()).finish()
    }
}

/// The key that tokens of `result` are sealed with.
fn sealing(key: &hmac::Key, result: &TaskResultId) -> LessSafeKey {
    let derived = hmac::sign(key, format!("seal {result}").as_bytes());
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, derived.as_ref()).expect("both have 256 bits"))
}

fn checker(result: &TaskResultId, check: &CheckName) -> Vec<u8> {
    format!("checker {result} {check}").into_bytes()
}

/// What tokens for contexts begin with: whoever finds one somewhere knows what it is.
const CONTEXT_TOKEN: &str = "sluice-context";

fn of_context(run: &RunId, result: &TaskResultId, check: &CheckName) -> Vec<u8> {
    format!("context {run} {result} {check}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> GateKeys {
        let secrets: Vec<_> = secrets.iter().copied().map(SecretString::from).collect();
        GateKeys::new(&secrets[0], &secrets[1..])
    }

    fn opened(keys: &GateKeys, result: &str, sealed: &Sealed) -> Option<String> {
        keys.open(&result.parse().unwrap(), sealed).ok().map(|token| token.expose_secret().to_owned())
    }

    #[test]
    fn a_token_opens_with_its_key_and_for_its_result_only() {
        let result: TaskResultId = "taskrs-1".parse().unwrap();
        let sealed = keys(&["old"]).seal(&result, &SecretString::from("a token"));
        assert!(!sealed.0.contains("token"));
        assert_ne!(sealed, keys(&["old"]).seal(&result, &SecretString::from("a token")));
        assert_eq!(opened(&keys(&["old"]), "taskrs-1", &sealed).as_deref(), Some("a token"));
        assert_eq!(opened(&keys(&["new", "old"]), "taskrs-1", &sealed).as_deref(), Some("a token"));
        assert_eq!(opened(&keys(&["new"]), "taskrs-1", &sealed), None);
        assert_eq!(opened(&keys(&["old"]), "taskrs-2", &sealed), None);
        let flipped = Sealed(sealed.0.replacen(&sealed.0[20..21], if &sealed.0[20..21] == "A" { "B" } else { "A" }, 1));
        assert_eq!(opened(&keys(&["old"]), "taskrs-1", &flipped), None);
        for short in ["", "AA", "not base64 at all"] {
            assert_eq!(opened(&keys(&["old"]), "taskrs-1", &Sealed(short.to_owned())), None);
        }
    }

    #[test]
    fn a_checkers_token_is_good_for_its_check_only() {
        let (result, cost) = ("taskrs-1".parse().unwrap(), "cost".parse().unwrap());
        let token = keys(&["old"]).checker_token(&result, &cost);
        let token = token.expose_secret();
        assert!(keys(&["new", "old"]).is_checker_token(&result, &cost, token));
        assert!(!keys(&["new"]).is_checker_token(&result, &cost, token));
        assert!(!keys(&["old"]).is_checker_token(&result, &"lint".parse().unwrap(), token));
        assert!(!keys(&["old"]).is_checker_token(&"taskrs-2".parse().unwrap(), &cost, token));
        assert!(!keys(&["old"]).is_checker_token(&result, &cost, ""));
    }

    #[test]
    fn a_token_for_a_context_says_whose_it_is_and_nothing_in_it_can_be_changed() {
        for (result, check) in [("taskrs-1@guard", "cost"), ("taskrs-1", "cost"), ("taskrs-1_x@a.b-c", "d.e")] {
            let claims = ContextClaims {
                run: "run-1".parse().unwrap(),
                result: result.parse().unwrap(),
                check: check.parse().unwrap(),
            };
            let token = keys(&["old"]).context_token(&claims.run, &claims.result, &claims.check);
            let token = token.expose_secret();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            assert!(token.starts_with("sluice-context~run-1~taskrs-1") && token.bytes().all(plain), "{token}");
            assert_eq!(keys(&["new", "old"]).context_claims(token), Some(claims));
            assert_eq!(keys(&["new"]).context_claims(token), None);
            for (from, to) in
                [("run-1", "run-2"), ("taskrs-1", "taskrs-2"), ("cost~", "lint~"), ("~", "."), ("sluice-", "")]
            {
                let other = token.replacen(from, to, 1);
                assert!(other == token || keys(&["old"]).context_claims(&other).is_none(), "{other}");
            }
            assert_eq!(keys(&["old"]).context_claims(&token[..token.len() - 1]), None);
        }
        let (result, check) = ("taskrs-1@guard".parse().unwrap(), "cost".parse().unwrap());
        let checker = keys(&["old"]).checker_token(&result, &check);
        for token in [
            "",
            "sluice-context",
            "sluice-context~~~~~",
            "sluice-context~run-1~taskrs-1~guard~cost~",
            checker.expose_secret(),
        ] {
            assert_eq!(keys(&["old"]).context_claims(token), None, "{token}");
        }
        let forged = format!("sluice-context~run-1~taskrs-1~guard~cost~{}", checker.expose_secret());
        assert_eq!(keys(&["old"]).context_claims(&forged), None, "each is for one thing");
    }
}
