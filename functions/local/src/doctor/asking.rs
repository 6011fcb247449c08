//! Whether HCP Terraform asks the run tasks that are defined, and no others.

use sluice_domain::onboarding::{Endpoint, Entitlements, RunTaskFound};
use sluice_domain::{Organization, TaskName};

use super::report::Line;

/// What was found in an organization.
#[derive(Debug, Default)]
pub(super) struct RunTasks {
    /// Those that are defined in the table.
    pub defined: Vec<TaskName>,
    /// Those of the organization.
    pub found: Vec<RunTaskFound>,
    pub entitlements: Entitlements,
}

/// A line for each run task that is defined, and for each that is asked and is not.
pub(super) fn lines(organization: &Organization, endpoint: &Endpoint, tasks: &RunTasks) -> Vec<Line> {
    let mut lines = Vec::new();
    if tasks.defined.is_empty() && tasks.found.iter().all(|task| endpoint.run_task_at(&task.url).is_none()) {
        return lines;
    }
    if tasks.entitlements.run_tasks == Some(false) {
        let mend = "none but another edition of HCP Terraform: see its pricing";
        lines.push(Line::warning(format!("{organization} has an edition without run tasks"), mend));
        return lines;
    }
    lines.extend(tasks.defined.iter().map(|name| defined(organization, endpoint, name, &tasks.found)));
    for task in &tasks.found {
        let Some(name) = endpoint.run_task_at(&task.url) else { continue };
        if task.enabled && !tasks.defined.contains(&name) {
            let what = format!("run task {} asks {name}, which is not defined: it is answered with 404", task.name);
            lines.push(Line::wrong(
                what,
                format!("sluice tasks FILE, with a definition of {name}; or delete the run task"),
            ));
        }
    }
    lines
}

fn defined(organization: &Organization, endpoint: &Endpoint, name: &TaskName, found: &[RunTaskFound]) -> Line {
    let connect = format!("sluice connect {organization} --url {endpoint} --only run-tasks");
    let here: Vec<&RunTaskFound> =
        found.iter().filter(|task| endpoint.run_task_at(&task.url).as_ref() == Some(name)).collect();
    let used = |task: &RunTaskFound| task.global.is_some() || !task.attachments.is_empty();
    if let Some(task) = here.iter().find(|task| task.enabled && used(task)) {
        let by = match (&task.global, task.attachments.len()) {
            (Some(_), _) => "every workspace".to_owned(),
            (None, 1) => "1 workspace".to_owned(),
            (None, workspaces) => format!("{workspaces} workspaces"),
        };
        return Line::well(format!("run task {name} is asked by {by}"));
    }
    if here.iter().any(|task| task.enabled) {
        return Line::warning(format!("run task {name} is attached to no workspace, so nobody asks it"), connect);
    }
    if !here.is_empty() {
        return Line::wrong(
            format!("run task {name} is disabled in {organization}: what it would stop is applied"),
            connect,
        );
    }
    let path = format!("/run-tasks/{name}");
    let elsewhere =
        |task: &&RunTaskFound| task.url.trim_end_matches('/').ends_with(&path) || task.name == name.as_str();
    if found.iter().any(|task| elsewhere(&task)) {
        let what =
            format!("run task {name} of {organization} is asked at another URL than {}", endpoint.run_task(name));
        return Line::wrong(what, format!("{connect} --replaces URL, with the one that is asked now"));
    }
    Line::warning(format!("run task {name} is defined, and not registered in {organization}"), connect)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sluice_domain::gate::Enforcement;
    use sluice_domain::onboarding::{AttachmentFound, GlobalTask};

    use super::*;
    use crate::doctor::report::Level;

    fn task(name: &str, url: &str, workspaces: usize) -> RunTaskFound {
        let attachment = |number: usize| AttachmentFound {
            id: format!("wstask-{number}").parse().unwrap(),
            workspace: format!("ws-{number}").parse().unwrap(),
            stages: BTreeSet::new(),
            enforcement: Enforcement::Advisory,
        };
        RunTaskFound {
            id: format!("task-{name}").parse().unwrap(),
            name: name.to_owned(),
            url: url.to_owned(),
            enabled: true,
            global: None,
            attachments: (0..workspaces).map(attachment).collect(),
        }
    }

    #[track_caller]
    fn check(defined: &[&str], found: Vec<RunTaskFound>, expect: &[(Level, &str)]) {
        let defined = defined.iter().map(|name| name.parse().unwrap()).collect();
        let tasks = RunTasks { defined, found, entitlements: Entitlements::default() };
        let endpoint = Endpoint::parse("https://sluice.example").unwrap();
        let lines = lines(&"acme".parse().unwrap(), &endpoint, &tasks);
        let told: Vec<_> = lines.iter().map(|line| (line.level, line.what.as_str())).collect();
        assert_eq!(told.len(), expect.len(), "{told:#?}");
        for ((level, what), (expected, starts)) in told.iter().zip(expect) {
            assert!(level == expected && what.starts_with(starts), "{what}");
        }
    }

    #[test]
    fn each_way_of_not_being_asked_is_told_apart() {
        let url = "https://sluice.example/run-tasks/guard";
        check(&[], vec![task("cost", "https://cost.example/", 3)], &[]);
        check(&["guard"], vec![task("guard", url, 2)], &[(Level::Well, "run task guard is asked by 2 workspaces")]);
        let global = GlobalTask { stages: BTreeSet::new(), enforcement: Enforcement::Advisory };
        let global = RunTaskFound { global: Some(global), ..task("guard", url, 0) };
        check(&["guard"], vec![global], &[(Level::Well, "run task guard is asked by every workspace")]);
        check(&["guard"], vec![], &[(Level::Warning, "run task guard is defined, and not registered")]);
        check(&["guard"], vec![task("guard", url, 0)], &[(Level::Warning, "run task guard is attached to no")]);
        let disabled = RunTaskFound { enabled: false, ..task("guard", url, 2) };
        check(&["guard"], vec![disabled], &[(Level::Wrong, "run task guard is disabled in acme")]);
        let old = task("sluice", "https://old.example/run-tasks/guard", 2);
        check(&["guard"], vec![old], &[(Level::Wrong, "run task guard of acme is asked at another URL")]);
        check(&[], vec![task("guard", url, 2)], &[(Level::Wrong, "run task guard asks guard, which is not defined")]);
    }
}
