//! Which HCP Terraform or Terraform Enterprise Sluice stands beside.

use http::Uri;
use sluice_domain::Host;

use crate::env::Setting;

/// The instance that Sluice is configured for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TfeAddress {
    /// Its URL without a path, `https://app.terraform.io`.
    pub url: String,
    /// Its host as workspaces are named by it: lower case, with the port if it is not the scheme's own.
    pub host: Host,
}

impl TfeAddress {
    /// HCP Terraform.
    pub const DEFAULT: &str = "https://app.terraform.io";
}

impl Setting for TfeAddress {
    const EXPECTED: &str = "an http or https URL of a host, without path or user";

    fn parse(value: &str) -> Option<Self> {
        let uri: Uri = value.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let own_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let authority = uri.authority()?;
        let bare = !authority.as_str().contains('@') && matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !bare || authority.host().is_empty() {
            return None;
        }
        let name = authority.host().to_ascii_lowercase();
        let host = match port(authority)? {
            Some(port) if port != own_port => format!("{name}:{port}"),
            _ => name,
        };
        Some(Self { url: format!("{scheme}://{host}"), host: host.parse().ok()? })
    }
}

/// The port, if one is given; None if it is no port.
#[expect(clippy::option_option, reason = "one for a fault, one for a port that is not given")]
fn port(authority: &http::uri::Authority) -> Option<Option<u16>> {
    match authority.as_str().strip_prefix(authority.host())? {
        "" => Some(None),
        colon_port => colon_port.strip_prefix(':')?.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url_of_a_host() {
        for (address, url, host) in [
            ("https://app.terraform.io", "https://app.terraform.io", "app.terraform.io"),
            ("https://TFE.Example.com/", "https://tfe.example.com", "tfe.example.com"),
            ("https://tfe.example.com:443", "https://tfe.example.com", "tfe.example.com"),
            ("https://tfe.example.com:8443", "https://tfe.example.com:8443", "tfe.example.com:8443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost:80", "http://localhost", "localhost"),
            ("http://[::1]:8080", "http://[::1]:8080", "[::1]:8080"),
        ] {
            let expect = TfeAddress { url: url.to_owned(), host: host.parse().unwrap() };
            assert_eq!(TfeAddress::parse(address), Some(expect), "{address}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for address in [
            "",
            "app.terraform.io",
            "ftp://app.terraform.io",
            "https://",
            "https:///x",
            "https://jo:hunter2@tfe.example.com",
            "https://tfe.example.com/api/v2",
            "https://tfe.example.com?x=1",
            "https://tfe.example.com:port",
            "https://tfe.example.com:99999",
            "https://exa mple.com",
        ] {
            assert_eq!(TfeAddress::parse(address), None, "{address}");
        }
    }
}
