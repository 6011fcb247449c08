//! Whether Sluice hears of the runs of every workspace.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::onboarding::{Endpoint, NotificationFound, TriggerWords, WorkspaceSeen};
use sluice_domain::{Organization, ProjectId, WorkspaceId};

use super::report::Line;

/// The one trigger that nothing goes without.
const COMPLETED: &str = "run:completed";

/// What was found in an organization.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    pub workspaces: Vec<WorkspaceSeen>,
    /// Those of workspaces, as far as they could be read.
    pub of_workspaces: BTreeMap<WorkspaceId, Vec<NotificationFound>>,
    /// Those of projects, where there are any.
    pub of_projects: BTreeMap<ProjectId, Vec<NotificationFound>>,
}

/// What is not as it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Missing,
    Elsewhere,
    Disabled,
    Deaf,
    Refused,
    Failed,
    HardOfHearing,
    Twice,
}

/// A line for each kind of fault, and one for what is well.
pub(super) fn lines(organization: &Organization, endpoint: &Endpoint, found: &Subscriptions) -> Vec<Line> {
    let mut faults: BTreeMap<Fault, Vec<String>> = BTreeMap::new();
    let (mut heard, mut local) = (0, 0);
    for workspace in &found.workspaces {
        if workspace.execution_mode.as_deref() == Some("local") {
            local += 1;
            continue;
        }
        // Whose own could not be read are told of elsewhere.
        let Some(own) = found.of_workspaces.get(&workspace.id) else { continue };
        let project = workspace.project.as_ref().and_then(|project| found.of_projects.get(project));
        let all: Vec<&NotificationFound> = own.iter().chain(project.into_iter().flatten()).collect();
        let found = faults_of(endpoint, &all);
        heard += usize::from(found.iter().all(|(fault, _)| *fault > Fault::Failed));
        for (fault, detail) in found {
            let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
            faults.entry(fault).or_default().push(format!("{organization}/{}{detail}", workspace.name));
        }
    }
    let mut lines = Vec::new();
    if heard > 0 {
        lines.push(Line::well(format!("the completed runs of {} are told to it", counted(heard))));
    }
    if local > 0 {
        lines.push(Line::aside(format!("{} run locally, of which HCP Terraform tells nobody", counted(local))));
    }
    lines.extend(faults.into_iter().map(|(fault, names)| line(organization, endpoint, fault, names)));
    lines
}

fn counted(workspaces: usize) -> String {
    if workspaces == 1 { "1 workspace".to_owned() } else { format!("{workspaces} workspaces") }
}

/// What is wrong with those of one workspace, its project's included, and more about it.
fn faults_of(endpoint: &Endpoint, all: &[&NotificationFound]) -> Vec<(Fault, String)> {
    let webhook = |it: &&NotificationFound| it.destination_type == "generic";
    let url = |it: &NotificationFound| it.url.clone().unwrap_or_default();
    let (ours, others): (Vec<&NotificationFound>, Vec<&NotificationFound>) =
        all.iter().copied().filter(webhook).partition(|it| endpoint.hears(&url(it)));
    if ours.is_empty() {
        let another = others.iter().map(|it| url(it)).find(|url| url.trim_end_matches('/').ends_with("/notifications"));
        return vec![another.map_or((Fault::Missing, String::new()), |url| (Fault::Elsewhere, host(&url)))];
    }
    let enabled: Vec<&NotificationFound> = ours.into_iter().filter(|it| it.enabled).collect();
    if enabled.is_empty() {
        return vec![(Fault::Disabled, String::new())];
    }
    let mut faults = Vec::new();
    let told: BTreeSet<String> = enabled.iter().flat_map(|it| it.triggers.iter().cloned()).collect();
    let missing: Vec<&str> = TriggerWords::missing(&told).collect();
    if missing.contains(&COMPLETED) {
        faults.push((Fault::Deaf, String::new()));
    } else if !missing.is_empty() {
        faults.push((Fault::HardOfHearing, missing.join(", ")));
    }
    // One that gets through is enough.
    let failing = |it: &&NotificationFound| it.last.as_ref().filter(|last| !last.successful).map(|last| last.code);
    let codes: Vec<Option<u16>> = enabled.iter().filter_map(failing).collect();
    if codes.len() == enabled.len() {
        faults.push(match codes[0] {
            Some(401) => (Fault::Refused, String::new()),
            Some(code) => (Fault::Failed, code.to_string()),
            None => (Fault::Failed, "nobody answered".to_owned()),
        });
    }
    if enabled.len() > 1 {
        faults.push((Fault::Twice, String::new()));
    }
    faults
}

/// Scheme and host of a URL: what comes after may be a secret.
fn host(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "another URL".to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

fn line(organization: &Organization, endpoint: &Endpoint, fault: Fault, names: Vec<String>) -> Line {
    let connect = connect(organization, endpoint);
    let many = counted(names.len());
    let have = if names.len() == 1 { "has" } else { "have" };
    let wrong = |what: String| Line::wrong(what, connect.clone());
    let line = match fault {
        Fault::Missing => {
            wrong(format!("{many} {have} no notification configuration for it, so their runs are not heard of"))
        }
        Fault::Elsewhere => Line::wrong(
            format!("{many} {have} notifications sent to another URL"),
            format!(
                "{connect} --replaces URL, with the URL that they are sent to now, if that was Sluice's; else {connect}"
            ),
        ),
        Fault::Disabled => wrong(format!("{many} {have} its notification configuration disabled")),
        Fault::Deaf => wrong(format!("{many} {have} a notification configuration without the trigger {COMPLETED}")),
        Fault::Refused => Line::wrong(
            format!("{many} {have} notifications signed with another token: the last one was answered with 401"),
            format!("{connect}, with the NOTIFICATION_TOKEN of the endpoint"),
        ),
        Fault::Failed => Line::wrong(
            format!("the last notification of {many} was not taken"),
            "mend the endpoint, as it is said about it; a survey finds what was not heard",
        ),
        Fault::HardOfHearing => Line::warning(
            format!("{many} {have} a notification configuration that lacks triggers: who is busy is told late"),
            connect,
        ),
        Fault::Twice => Line::warning(
            format!("{many} {have} two notification configurations for it, so everything is told twice"),
            format!("{connect} --prune"),
        ),
    };
    line.about(names)
}

/// The command that makes and repairs notification configurations.
pub(super) fn connect(organization: &Organization, endpoint: &Endpoint) -> String {
    format!("sluice connect {organization} --url {endpoint}")
}

#[cfg(test)]
mod tests {
    use sluice_domain::onboarding::DeliveryResponse;

    use super::*;

    const HERE: &str = "https://sluice.example/notifications";

    fn good() -> NotificationFound {
        NotificationFound {
            id: "nc-1".parse().unwrap(),
            name: "sluice".to_owned(),
            destination_type: "generic".to_owned(),
            url: Some(HERE.to_owned()),
            enabled: true,
            triggers: TriggerWords::Stable.all(),
            last: Some(DeliveryResponse { code: Some(202), successful: true, sent_at: None }),
        }
    }

    fn failed(code: Option<u16>) -> NotificationFound {
        NotificationFound { last: Some(DeliveryResponse { code, successful: false, sent_at: None }), ..good() }
    }

    #[track_caller]
    fn check(all: &[NotificationFound], expect: &[(Fault, &str)]) {
        let endpoint = Endpoint::parse("https://sluice.example").unwrap();
        let faults = faults_of(&endpoint, &all.iter().collect::<Vec<_>>());
        let faults: Vec<_> = faults.iter().map(|(fault, detail)| (*fault, detail.as_str())).collect();
        assert_eq!(faults, expect);
    }

    #[test]
    fn each_way_of_not_hearing_is_told_apart() {
        check(&[good()], &[]);
        check(&[], &[(Fault::Missing, "")]);
        let slack = NotificationFound { destination_type: "slack".to_owned(), ..good() };
        check(std::slice::from_ref(&slack), &[(Fault::Missing, "")]);
        let other = |url: &str| NotificationFound { url: Some(url.to_owned()), ..good() };
        check(&[slack, other("https://jo:hush@old.example/notifications/?a=hush")], &[(Fault::Missing, "")]);
        check(&[other("https://jo:hush@old.example/notifications/")], &[(Fault::Elsewhere, "https://old.example")]);
        check(&[other("https://pager.example/hook")], &[(Fault::Missing, "")]);
        let disabled = NotificationFound { enabled: false, ..good() };
        check(std::slice::from_ref(&disabled), &[(Fault::Disabled, "")]);
        check(&[disabled, good()], &[]);
        let hears = |triggers: &[&str]| NotificationFound {
            triggers: triggers.iter().map(|&trigger| trigger.to_owned()).collect(),
            ..good()
        };
        check(&[hears(&["run:errored"])], &[(Fault::Deaf, "")]);
        let rest = "run:planning, run:applying, run:errored, run:needs_attention";
        check(&[hears(&["run:completed"])], &[(Fault::HardOfHearing, rest)]);
        check(&[failed(Some(401))], &[(Fault::Refused, "")]);
        check(&[failed(Some(502))], &[(Fault::Failed, "502")]);
        check(&[failed(None)], &[(Fault::Failed, "nobody answered")]);
        check(&[NotificationFound { last: None, ..good() }], &[]);
        check(&[good(), good()], &[(Fault::Twice, "")]);
        check(&[good(), failed(Some(401))], &[(Fault::Twice, "")]);
    }
}
