//! Works by the words that logs and lists have for them, for people who come back with these.

use std::str::FromStr;

use crate::names::{Host, Workspace};
use crate::work::WorkKey;

impl WorkKey {
    /// The work that `text` says, as its `Display` says it: `run in acme/network`. What the words leave out, the host,
    /// is `host`, unless a workspace is named with its own.
    #[must_use]
    pub fn said(text: &str, host: &Host) -> Option<Self> {
        let text = text.trim();
        let workspace = |name: &str| named(name, host);
        if let Some((run, name)) = split(text, "news of ", " in ") {
            return Some(Self::Run(workspace(name)?, run.parse().ok()?));
        }
        if let Some((waiter, holder)) = split(text, "wait of ", " for ") {
            return Some(Self::Waiter { holder: workspace(holder)?, waiter: workspace(waiter)? });
        }
        if let Some((check, result)) = split(text, "check ", " of ") {
            return Some(Self::Check(result.parse().ok()?, check.parse().ok()?));
        }
        if let Some((check, result)) = split(text, "job ", " of ") {
            return Some(Self::Job(result.parse().ok()?, check.parse().ok()?));
        }
        if let Some(name) = text.strip_prefix("whether ").and_then(|rest| rest.strip_suffix(" is there")) {
            return Some(Self::Verify(workspace(name)?));
        }
        let after = |words: &str| text.strip_prefix(words);
        if let Some(organization) = after("list of the workspaces of ") {
            return Some(Self::Survey(host.clone(), organization.parse().ok()?));
        }
        if let Some(result) = after("answer to ") {
            return Some(Self::Relay(result.parse().ok()?));
        }
        if let Some(name) = after("look at ") {
            return Some(Self::Look(workspace(name)?));
        }
        if let Some(name) = after("state of ") {
            return Some(Self::Read(workspace(name)?));
        }
        Some(Self::Create(workspace(after("run in ")?)?))
    }
}

fn split<'a>(text: &'a str, before: &str, between: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(before)?.split_once(between)
}

fn named(name: &str, host: &Host) -> Option<Workspace> {
    let whole = if name.matches('/').count() > 1 { name.to_owned() } else { format!("{host}/{name}") };
    Workspace::from_str(&whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_work_is_understood_as_it_is_said() {
        let host: Host = "tfe.example.com:8443".parse().unwrap();
        let workspace = |name: &str| named(name, &host).unwrap();
        let (network, app) = (workspace("acme/network"), workspace("acme/app"));
        for work in [
            WorkKey::Run(network.clone(), "run-1".parse().unwrap()),
            WorkKey::Look(network.clone()),
            WorkKey::Waiter { holder: network.clone(), waiter: app },
            WorkKey::Verify(network.clone()),
            WorkKey::Read(network.clone()),
            WorkKey::Survey(network.host.clone(), network.organization.clone()),
            WorkKey::Create(network.clone()),
            WorkKey::Check("taskrs-1@guard".parse().unwrap(), "cost".parse().unwrap()),
            WorkKey::Job("taskrs-1@guard".parse().unwrap(), "scan".parse().unwrap()),
            WorkKey::Relay("taskrs-1@guard".parse().unwrap()),
        ] {
            assert_eq!(WorkKey::said(&format!(" {work}\n"), &host), Some(work));
        }
        let elsewhere = WorkKey::said("run in app.terraform.io/acme/network", &host);
        assert_eq!(elsewhere, Some(WorkKey::Create("app.terraform.io/acme/network".parse().unwrap())));
    }

    #[test]
    fn anything_else_is_no_work() {
        let host: Host = "app.terraform.io".parse().unwrap();
        for text in
            ["", "run in", "run in network", "news of run-1", "news of 1 in acme/network", "check of taskrs-1", "7"]
        {
            assert_eq!(WorkKey::said(text, &host), None, "{text}");
        }
    }
}
