//! Where a download may go, and where the token may go with it.

use sluice_domain::ports::DownloadUrl;
use url::Url;

/// One request of a download. It does not print: its URL may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hop {
    /// Where to.
    pub(crate) url: Url,
    /// Whether the token goes along.
    pub(crate) with_token: bool,
}

/// A URL that is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadUrl {
    #[error("the URL of the file cannot be read")]
    Unreadable,
    #[error("the URL of the file is not an https:// one")]
    Scheme,
    #[error("the URL of the file leads from https:// to http://")]
    Downgrade,
    #[error("the URL of the file has a user name in it")]
    UserName,
}

impl Hop {
    /// The first request. A relative URL is one of the API's.
    pub(crate) fn first(api: &Url, download: &DownloadUrl) -> Result<Self, BadUrl> {
        let url = next(api, &download.0)?;
        Ok(Self { with_token: url.origin() == api.origin(), url })
    }

    /// The request that a redirect asks for. Once the token stayed behind it is not taken up again: it is not for
    /// another host to say when it is sent.
    pub(crate) fn follow(&self, location: &str) -> Result<Self, BadUrl> {
        let url = next(&self.url, location)?;
        Ok(Self { with_token: self.with_token && url.origin() == self.url.origin(), url })
    }
}

fn next(from: &Url, to: &str) -> Result<Url, BadUrl> {
    let url = from.join(to).map_err(|_| BadUrl::Unreadable)?;
    match (from.scheme(), url.scheme()) {
        ("https", "http") => return Err(BadUrl::Downgrade),
        (_, "http" | "https") => {}
        _ => return Err(BadUrl::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadUrl::UserName);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests that `urls` lead to one after another, `+` for those with the token.
    fn path(api: &str, urls: &[&str]) -> String {
        let api = api.parse().unwrap();
        let mut hop = Hop::first(&api, &DownloadUrl(urls[0].to_owned()));
        let mut told = Vec::new();
        for location in urls[1..].iter().map(Some).chain([None]) {
            match &hop {
                Ok(hop) => told.push(format!("{}{}", if hop.with_token { "+" } else { "-" }, hop.url)),
                Err(bad) => told.push(format!("{bad:?}")),
            }
            if let (Ok(from), Some(location)) = (&hop, location) {
                hop = from.follow(location);
            }
        }
        told.join(" ")
    }

    const API: &str = "https://tfe.example/api/v2/";

    #[test]
    fn the_token_goes_to_the_apis_own_origin_only() {
        for (url, expect) in [
            ("/state/1", "+https://tfe.example/state/1"),
            ("state-versions/sv-1/download", "+https://tfe.example/api/v2/state-versions/sv-1/download"),
            ("https://tfe.example:443/state", "+https://tfe.example/state"),
            ("https://TFE.example/state", "+https://tfe.example/state"),
            ("https://tfe.example:444/state", "-https://tfe.example:444/state"),
            ("https://archivist.example/o?sig=1", "-https://archivist.example/o?sig=1"),
            ("https://tfe.example.evil.example/", "-https://tfe.example.evil.example/"),
            ("//evil.example/x", "-https://evil.example/x"),
            (r"\\evil.example\x", "-https://evil.example/x"),
            ("http://tfe.example/state", "Downgrade"),
            ("file:///etc/passwd", "Scheme"),
            ("https://tfe.example@evil.example/", "UserName"),
            ("https://", "Unreadable"),
        ] {
            assert_eq!(path(API, &[url]), expect, "{url}");
        }
    }

    #[test]
    fn a_redirect_elsewhere_leaves_the_token_behind_for_good() {
        for (urls, expect) in [
            (["/a", "/b"], "+https://tfe.example/a +https://tfe.example/b"),
            (["/a", "https://o.example/b"], "+https://tfe.example/a -https://o.example/b"),
            (["https://o.example/a", "https://tfe.example/b"], "-https://o.example/a -https://tfe.example/b"),
            (["/a", "http://tfe.example/a"], "+https://tfe.example/a Downgrade"),
            (["/a", "https://tfe.example:8443/a"], "+https://tfe.example/a -https://tfe.example:8443/a"),
        ] {
            assert_eq!(path(API, &urls), expect);
        }
        let back = path(API, &["/a", "https://o.example/b", "https://tfe.example/c"]);
        assert!(back.ends_with("-https://tfe.example/c"), "{back}");
    }

    #[test]
    fn over_http_a_step_up_is_taken_and_the_step_back_is_not() {
        let path =
            path("http://127.0.0.1:4000/api/v2/", &["/a", "https://127.0.0.1:4000/b", "http://127.0.0.1:4000/c"]);
        assert_eq!(path, "+http://127.0.0.1:4000/a -https://127.0.0.1:4000/b Downgrade");
    }
}
