//! Where Sluice is reached, and what is known by that to be its own.

use std::fmt;

use crate::names::TaskName;

/// The last part of the URL of notifications.
const NOTIFICATIONS: &str = "/notifications";

/// What is before the name in the URL of a run task.
const RUN_TASKS: &str = "/run-tasks";

/// Sluice's address for HCP Terraform, `https://host/stage`: what is below it is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

/// It is no URL that could be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no http:// or https:// URL without a user name, a query or a fragment")]
pub struct InvalidEndpoint;

impl Endpoint {
    /// Reads an address. That of notifications or of a run task stands for the one it is below.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let url = normal(text.trim());
        let (scheme, rest) = url.split_once("://").ok_or(InvalidEndpoint)?;
        let rest = base(rest);
        let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '?' | '#' | '\\');
        if !matches!(scheme, "https" | "http") || rest.is_empty() || rest.starts_with(['/', ':']) || rest.contains(bad)
        {
            return Err(InvalidEndpoint);
        }
        Ok(Self(format!("{scheme}://{rest}")))
    }

    /// Where notifications are sent to.
    #[must_use]
    pub fn notifications(&self) -> String {
        format!("{}{NOTIFICATIONS}", self.0)
    }

    /// Where a run task is asked.
    #[must_use]
    pub fn run_task(&self, name: &TaskName) -> String {
        format!("{}{RUN_TASKS}/{name}", self.0)
    }

    /// The name of the run task that is asked at `url`, if that is one of ours.
    #[must_use]
    pub fn run_task_at(&self, url: &str) -> Option<TaskName> {
        normal(url).strip_prefix(&self.0)?.strip_prefix(RUN_TASKS)?.strip_prefix('/')?.parse().ok()
    }

    /// Whether `url` is where notifications are sent to, however it is written.
    #[must_use]
    pub fn hears(&self, url: &str) -> bool {
        normal(url) == self.notifications()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As much of a URL as may be printed, whoever wrote it: the scheme and the host. Names, passwords, paths and queries may
/// be secrets.
#[must_use]
pub fn host_of(url: &str) -> String {
    let (scheme, rest) = url.trim().split_once("://").map_or(("", url.trim()), |(scheme, rest)| (scheme, rest));
    let end = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '?' | '#' | '\\');
    let (host, path) = rest.split_at(rest.find(end).unwrap_or(rest.len()));
    // A password may hold what ends a host, and then it is not to be told where it ends itself.
    let host = if path.contains('@') { "…" } else { host.rsplit('@').next().unwrap_or_default() };
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

/// The host and path that `rest` is below, as someone copies it from a notification configuration or a run task.
fn base(rest: &str) -> &str {
    let task = rest.rsplit_once('/').filter(|(_, name)| name.parse::<TaskName>().is_ok());
    let task = task.and_then(|(above, _)| above.strip_suffix(RUN_TASKS));
    task.or_else(|| rest.strip_suffix(NOTIFICATIONS)).or_else(|| rest.strip_suffix(RUN_TASKS)).unwrap_or(rest)
}

/// A URL as others would write the same: scheme and host in lower case, no port that goes without saying, no slash at
/// the end.
fn normal(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let scheme = scheme.to_ascii_lowercase();
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let host = host.strip_suffix(usual).unwrap_or(&host);
    format!("{scheme}://{host}{}", path.trim_end_matches('/'))
}
