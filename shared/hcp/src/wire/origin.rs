//! The one place that a token may be sent to.

use std::str::FromStr;

use url::Url;

/// Longest URL that is taken from a body, in bytes.
const URL_BYTES_MAX: usize = 4096;
/// Most characters of a foreign origin that are told.
const ORIGIN_CHARS_MAX: usize = 64;

/// A text that is not the address of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an http:// or https:// URL of a host")]
pub struct InvalidOrigin;

/// Scheme, host and port of HCP Terraform or Terraform Enterprise, however they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(url::Origin);

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(address: &str) -> Result<Self, InvalidOrigin> {
        match read(address) {
            Some(url) if !authority(address).contains('@') => Ok(Self(url.origin())),
            _ => Err(InvalidOrigin),
        }
    }
}

/// Why a URL is not one of an origin's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotOurs {
    /// Not a URL, or one that different readers may read differently, or with a user name in it.
    Unclear,
    /// It leads to another scheme, host or port.
    Foreign(String),
}

impl Origin {
    /// Checks that `url` leads nowhere but here.
    pub(super) fn check(&self, url: &str) -> Result<(), NotOurs> {
        let parsed = read(url).ok_or(NotOurs::Unclear)?;
        if parsed.origin() != self.0 {
            let told = parsed.origin().ascii_serialization();
            return Err(NotOurs::Foreign(told.chars().take(ORIGIN_CHARS_MAX).collect()));
        }
        if authority(url).contains('@') { Err(NotOurs::Unclear) } else { Ok(()) }
    }
}

/// A URL with nothing in it that one reader takes for another thing than the next: a backslash, a line end, three
/// slashes, an escaped host.
fn read(text: &str) -> Option<Url> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let web =
        ["http://", "https://"].iter().any(|web| text.get(..web.len()).is_some_and(|s| s.eq_ignore_ascii_case(web)));
    let host = authority(text);
    let usable =
        web && !host.is_empty() && !host.contains('%') && text.len() <= URL_BYTES_MAX && text.bytes().all(plain);
    if usable { Url::parse(text).ok() } else { None }
}

/// What stands between the slashes: a host, perhaps a port, and a user name where there should be none.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(address: &str, url: &str) -> String {
        match address.parse::<Origin>().unwrap().check(url) {
            Ok(()) => "ours".to_owned(),
            Err(NotOurs::Unclear) => "unclear".to_owned(),
            Err(NotOurs::Foreign(host)) => host,
        }
    }

    #[test]
    fn only_urls_of_the_very_origin_are_ours() {
        for (url, expect) in [
            ("https://app.terraform.io/api/v2/task-results/1/callback", "ours"),
            ("https://app.terraform.io/callback?url_code=a%20b", "ours"),
            ("https://app.terraform.io:443/callback", "ours"),
            ("HTTPS://App.Terraform.IO/callback", "ours"),
            ("https://app.terraform.io", "ours"),
            ("https://app.terraform.io/callback?next=@evil.example", "ours"),
            ("http://app.terraform.io/callback", "http://app.terraform.io"),
            ("https://app.terraform.io:8443/callback", "https://app.terraform.io:8443"),
            ("https://app.terraform.io./callback", "https://app.terraform.io."),
            ("https://evil.example/app.terraform.io", "https://evil.example"),
            ("https://app.terraform.io.evil.example/", "https://app.terraform.io.evil.example"),
            ("https://evilapp.terraform.io/", "https://evilapp.terraform.io"),
            ("https://app.terraform.io@evil.example/", "https://evil.example"),
            ("https://app.terraform.io:443@evil.example/", "https://evil.example"),
            ("https://evil.example@app.terraform.io/", "unclear"),
            ("https://@app.terraform.io/", "unclear"),
            ("https://:secret@app.terraform.io/", "unclear"),
            ("https://evil.example#@app.terraform.io/", "https://evil.example"),
            ("https://evil.example?@app.terraform.io/", "https://evil.example"),
            ("https://evil.example\\@app.terraform.io/", "unclear"),
            ("https://app.terraform.io\\@evil.example/", "unclear"),
            ("https:\\\\app.terraform.io/", "unclear"),
            ("https:///app.terraform.io/", "unclear"),
            ("https:app.terraform.io/", "unclear"),
            ("//app.terraform.io/callback", "unclear"),
            ("/callback", "unclear"),
            ("https://app.terraform.io/a\nb", "unclear"),
            (" https://app.terraform.io/", "unclear"),
            ("https://app.terraform.io/\u{e9}", "unclear"),
            ("https://\u{ff41}pp.terraform.io/", "unclear"),
            ("https://app%2eterraform.io/callback", "unclear"),
            ("ftp://app.terraform.io/", "unclear"),
            ("javascript://app.terraform.io/", "unclear"),
            ("https://", "unclear"),
            ("https://app.terraform.io:99999/", "unclear"),
            ("", "unclear"),
        ] {
            assert_eq!(judged("https://app.terraform.io", url), expect, "{url:?}");
        }
        let long = format!("https://app.terraform.io/{}", "x".repeat(URL_BYTES_MAX));
        assert_eq!(judged("https://app.terraform.io", &long), "unclear");
        let long = format!("https://{}.example/", "a.".repeat(100));
        assert_eq!(judged("https://app.terraform.io", &long).len(), ORIGIN_CHARS_MAX);
    }

    #[test]
    fn an_address_with_a_port_of_its_own_has_that_port() {
        for (url, expect) in [
            ("http://127.0.0.1:4000/callback", "ours"),
            ("http://127.1:4000/callback", "ours"),
            ("http://127.0.0.1/callback", "http://127.0.0.1"),
            ("http://localhost:4000/callback", "http://localhost:4000"),
        ] {
            assert_eq!(judged("http://127.0.0.1:4000", url), expect, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_has_no_origin() {
        for address in [
            "app.terraform.io",
            "file:///tmp",
            "",
            "https://jo@app.terraform.io",
            "https://@app.terraform.io",
            "data://x",
        ] {
            assert_eq!(address.parse::<Origin>(), Err(InvalidOrigin), "{address}");
        }
    }
}
