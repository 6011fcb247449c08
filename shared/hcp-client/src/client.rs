//! The client and what it is set up with.

use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sluice_domain::Host;
use sluice_hcp::digest::Digester;
use url::Url;

use crate::tls;

/// What a [`Client`] is set up with.
#[derive(Clone)]
pub struct Settings {
    /// Where the instance is reached: `TFE_ADDRESS`, a scheme and a host and nothing after them.
    pub address: Url,
    /// The instance's name in configurations, where it is not the host of `address`: a tunnel, or a stand-in for
    /// `app.terraform.io`.
    pub host: Option<Host>,
    /// The API token.
    pub token: SecretString,
    /// Makes the digests of output values.
    pub digester: Digester,
    /// PEM certificates to trust beside the public roots: Terraform Enterprise often has a private authority.
    pub ca_bundle: Option<Vec<u8>>,
    /// How long and how much.
    pub limits: Limits,
}

impl Settings {
    /// Settings for an instance whose certificate a public authority signed.
    #[must_use]
    pub fn new(address: Url, token: SecretString, digester: Digester) -> Self {
        Self { address, host: None, token, digester, ca_bundle: None, limits: Limits::default() }
    }
}

/// How long a client waits and how much it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands.
    pub connect: Duration,
    /// For a whole call of the API, answer included.
    pub call: Duration,
    /// For the next bytes of a download, which as a whole may take any time.
    pub idle: Duration,
    /// Bytes of a state file.
    pub state_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(20),
            idle: Duration::from_secs(30),
            state_bytes: 2 << 30,
        }
    }
}

/// How long a connection is kept for the next call.
const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(20);

/// Settings that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The address is not a scheme and a host alone.
    #[error("the address of HCP Terraform must be https:// (or http://) and a host, with nothing after it")]
    Address,
    /// The token is empty or has characters that no header may carry, such as a line end.
    #[error("the API token is empty or contains a space or a line end")]
    Token,
    /// The bundle has no certificates, or something in it is not one.
    #[error("the CA bundle has no readable PEM certificate")]
    CaBundle(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The TLS or HTTP library refused.
    #[error("cannot set up the HTTP client")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// HCP Terraform or Terraform Enterprise, as one token sees it. Build one per process: it keeps connections.
pub struct Client {
    /// `https://host/api/v2/`.
    pub(crate) api: Url,
    pub(crate) http: reqwest::Client,
    pub(crate) token: SecretString,
    pub(crate) digester: Digester,
    pub(crate) limits: Limits,
    host: Host,
}

impl Client {
    /// A client. Nothing is sent yet.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let Settings { address, host, token, digester, ca_bundle, limits } = settings;
        let api = api_of(&address)?;
        let host = host.map_or_else(|| host_of(&address), Ok)?;
        check_token(&token)?;
        let http = http(&address, ca_bundle.as_deref(), limits.connect, limits.idle)?;
        Ok(Self { api, http, token, digester, limits, host })
    }

    /// The instance's name in configurations.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }
}

/// A client of the instance at `address` that waits so long for a connection, and so long for each next bytes.
pub(crate) fn http(
    address: &Url,
    ca_bundle: Option<&[u8]>,
    connect: Duration,
    idle: Duration,
) -> Result<reqwest::Client, SettingsError> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(ca_bundle)?)
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
        // A redirect may leave the API's host, and the token must not.
        .redirect(reqwest::redirect::Policy::none())
        // Shorter than the far side's: a call on a connection it is just closing leaves open whether it was heard.
        .pool_idle_timeout(CONNECTION_IDLE_MAX)
        .connect_timeout(connect)
        .read_timeout(idle);
    // HTTPS_PROXY and its like are for the world outside.
    let builder = if is_loopback(address) { builder.no_proxy() } else { builder };
    builder.build().map_err(|source| SettingsError::Http(source.into()))
}

/// The root of the API at `address`.
pub(crate) fn api_of(address: &Url) -> Result<Url, SettingsError> {
    let bare = address.username().is_empty()
        && address.password().is_none()
        && address.path() == "/"
        && address.query().is_none()
        && address.fragment().is_none();
    if !bare || !matches!(address.scheme(), "http" | "https") {
        return Err(SettingsError::Address);
    }
    address.join("/api/v2/").map_err(|_| SettingsError::Address)
}

fn host_of(address: &Url) -> Result<Host, SettingsError> {
    let name = address.host_str().ok_or(SettingsError::Address)?;
    let host = address.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    host.parse().map_err(|_| SettingsError::Address)
}

fn check_token(token: &SecretString) -> Result<(), SettingsError> {
    let token = token.expose_secret();
    let usable = !token.is_empty() && !token.contains(char::is_whitespace) && HeaderValue::from_str(token).is_ok();
    if usable { Ok(()) } else { Err(SettingsError::Token) }
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str, token: &str) -> Settings {
        let digester = Digester::new(&vec![7; 32].into());
        Settings::new(address.parse().unwrap(), token.to_owned().into(), digester)
    }

    fn host(address: &str) -> Option<String> {
        Client::new(settings(address, "t")).ok().map(|client| client.host().to_string())
    }

    #[test]
    fn the_host_is_the_addresss_with_a_port_where_it_is_not_the_usual_one() {
        for (address, expect) in [
            ("https://app.terraform.io", Some("app.terraform.io")),
            ("https://TFE.acme.example:443/", Some("tfe.acme.example")),
            ("https://tfe.acme.example:8443", Some("tfe.acme.example:8443")),
            ("http://127.0.0.1:4000", Some("127.0.0.1:4000")),
            ("http://[::1]:4000", Some("[::1]:4000")),
            ("https://app.terraform.io/api/v2", None),
            ("https://app.terraform.io/?a=b", None),
            ("https://jo:secret@app.terraform.io/", None),
            ("ftp://app.terraform.io/", None),
            ("data:text/plain,hi", None),
        ] {
            assert_eq!(host(address).as_deref(), expect, "{address}");
        }
    }

    #[test]
    fn a_stand_in_keeps_the_name_that_configurations_know() {
        let stand_in =
            Settings { host: Some("app.terraform.io".parse().unwrap()), ..settings("http://127.0.0.1:4000", "t") };
        assert_eq!(Client::new(stand_in).unwrap().host().as_str(), "app.terraform.io");
    }

    #[test]
    fn a_token_with_a_line_end_is_refused_before_it_is_sent() {
        for token in ["", "abc\n", "abc def", "abc\u{7f}", " abc"] {
            let refused = Client::new(settings("https://app.terraform.io", token)).err();
            assert!(matches!(refused, Some(SettingsError::Token)), "{token:?}");
        }
    }

    #[test]
    fn a_bundle_without_certificates_is_refused() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for bundle in ["", "no PEM at all", "-----BEGIN CERTIFICATE-----\nhm", broken] {
            let ca_bundle = Some(bundle.as_bytes().to_vec());
            let refused = Client::new(Settings { ca_bundle, ..settings("https://tfe.acme.example", "t") }).err();
            assert!(matches!(refused, Some(SettingsError::CaBundle(_))), "{bundle:?}");
        }
    }
}
