//! On what condition a request is to be carried out: `If-Match` and `If-None-Match` (RFC 9110, section 13.1).

use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

/// The tag of a version of a document.
pub(crate) fn etag(version: u64) -> HeaderValue {
    HeaderValue::try_from(tag(version)).expect("digits between quotes")
}

fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// What a request says of the versions it wants or does not want to meet.
#[derive(Debug)]
pub(crate) struct Conditions<'a> {
    matches: Option<Tags<'a>>,
    none_matches: Option<Tags<'a>>,
}

#[derive(Debug)]
struct Tags<'a>(Vec<&'a str>);

impl<'a> Conditions<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        Self { matches: Tags::of(headers, IF_MATCH), none_matches: Tags::of(headers, IF_NONE_MATCH) }
    }

    /// Whether `If-Match` allows it. Weak tags never match: what they stand for may have been changed by a proxy.
    pub(crate) fn met_by(&self, version: u64) -> bool {
        self.matches.as_ref().is_none_or(|tags| tags.have(version, |sent| sent))
    }

    /// Whether `If-None-Match` names this version: to whoever has it, it is no news.
    pub(crate) fn known(&self, version: u64) -> bool {
        let strong = |sent: &'a str| sent.strip_prefix("W/").unwrap_or(sent);
        self.none_matches.as_ref().is_some_and(|tags| tags.have(version, strong))
    }
}

impl<'a> Tags<'a> {
    /// What is no text stands for no version.
    fn of(headers: &'a HeaderMap, name: HeaderName) -> Option<Self> {
        if !headers.contains_key(&name) {
            return None;
        }
        let lines = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
        Some(Self(lines.flat_map(|line| line.split(',')).map(str::trim).collect()))
    }

    /// `*` stands for whatever was written, and for nothing where nothing was.
    fn have(&self, version: u64, tag_of: impl Fn(&'a str) -> &'a str) -> bool {
        let tag = tag(version);
        self.0.iter().any(|sent| (*sent == "*" && version > 0) || tag_of(sent) == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn only_a_strong_tag_of_this_version_matches() {
        for (lines, version, expect) in [
            (&[][..], 3, true),
            (&["\"3\""], 3, true),
            (&["\"2\", \"3\""], 3, true),
            (&["\"2\"", "\"3\""], 3, true),
            (&["*"], 3, true),
            (&["*"], 0, false),
            (&["\"0\""], 0, true),
            (&["\"2\""], 3, false),
            (&["W/\"3\""], 3, false),
            (&["3"], 3, false),
            (&[""], 3, false),
            (&["\"3"], 3, false),
            (&["ü"], 3, false),
        ] {
            let headers = headers(&IF_MATCH, lines);
            assert_eq!(Conditions::of(&headers).met_by(version), expect, "{lines:?} {version}");
            assert!(!Conditions::of(&headers).known(version));
        }
    }

    #[test]
    fn any_tag_of_this_version_says_that_it_is_known() {
        for (lines, version, expect) in [
            (&[][..], 3, false),
            (&["\"3\""], 3, true),
            (&["\"2\", W/\"3\""], 3, true),
            (&["*"], 3, true),
            (&["*"], 0, false),
            (&["\"2\""], 3, false),
            (&["ü"], 3, false),
        ] {
            let headers = headers(&IF_NONE_MATCH, lines);
            assert_eq!(Conditions::of(&headers).known(version), expect, "{lines:?} {version}");
            assert!(Conditions::of(&headers).met_by(version));
        }
    }
}
