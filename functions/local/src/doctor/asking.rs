//! Whether HCP Terraform asks the run tasks that are defined, and no others.

use sluice_domain::onboarding::{Endpoint, Entitlements, RunTaskFound};
use sluice_domain::{Organization, TaskName};

use super::report::Line;

/// A run task that is defined in the table.
#[derive(Debug)]
pub(super) struct Defined {
    pub name: TaskName,
    /// It is to be asked at all: `sluice connect` leaves out others.
    pub enabled: bool,
}

/// What was found in an organization.
#[derive(Debug)]
pub(super) struct RunTasks<'a> {
    /// Those that are defined in the table.
    pub defined: &'a [Defined],
    /// Those of the organization.
    pub found: Vec<RunTaskFound>,
    pub entitlements: Entitlements,
}

/// A line for each run task that is defined, and for each that is asked and is not.
pub(super) fn lines(organization: &Organization, endpoint: &Endpoint, tasks: &RunTasks<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    if tasks.defined.is_empty() && tasks.found.iter().all(|task| endpoint.run_task_at(&task.url).is_none()) {
        return lines;
    }
    if tasks.entitlements.run_tasks == Some(false) {
        let mend = "none but another edition of HCP Terraform: see its pricing";
        lines.push(Line::warning(format!("{organization} has an edition without run tasks"), mend));
        return lines;
    }
    lines.extend(tasks.defined.iter().map(|task| defined(organization, endpoint, task, &tasks.found)));
    for task in &tasks.found {
        let Some(name) = endpoint.run_task_at(&task.url) else { continue };
        if task.enabled && tasks.defined.iter().all(|task| task.name != name) {
            let what = format!("run task {} asks {name}, which is not defined: it is answered with 404", task.name);
            lines.push(Line::wrong(
                what,
                format!("sluice tasks FILE, with a definition of {name}; or delete the run task"),
            ));
        }
    }
    lines
}

fn defined(organization: &Organization, endpoint: &Endpoint, task: &Defined, found: &[RunTaskFound]) -> Line {
    let name = &task.name;
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
    if !task.enabled {
        return Line::aside(format!("run task {name} is defined as not enabled, so nobody has to ask it"));
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
    if let Some(former) = found.iter().find_map(|task| base(&task.url, name)) {
        let what =
            format!("run task {name} of {organization} is asked at another URL than {}", endpoint.run_task(name));
        return Line::wrong(what, format!("{connect} --replaces {former}, if that was Sluice's"));
    }
    if found.iter().any(|task| task.name == name.as_str()) {
        let what = format!("run task {name} is not registered: another run task of {organization} has its name");
        return Line::wrong(what, format!("give one of the two another name, then {connect}"));
    }
    Line::warning(format!("run task {name} is defined, and not registered in {organization}"), connect)
}

/// Below which URL a run task is asked that has our path, as `--replaces` takes it.
fn base(url: &str, name: &TaskName) -> Option<Endpoint> {
    Endpoint::parse(url.trim_end_matches('/').strip_suffix(&format!("/run-tasks/{name}"))?).ok()
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
        let defined: Vec<Defined> = defined
            .iter()
            .map(|name| match name.strip_prefix("not ") {
                Some(name) => Defined { name: name.parse().unwrap(), enabled: false },
                None => Defined { name: name.parse().unwrap(), enabled: true },
            })
            .collect();
        let tasks = RunTasks { defined: &defined, found, entitlements: Entitlements::default() };
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
        let named = task("guard", "https://other.example/check", 2);
        check(&["guard"], vec![named], &[(Level::Wrong, "run task guard is not registered: another run task of acme")]);
        check(&["not guard"], vec![], &[(Level::Aside, "run task guard is defined as not enabled")]);
        check(&["not guard"], vec![task("guard", url, 2)], &[(Level::Well, "run task guard is asked by 2")]);
        check(&[], vec![task("guard", url, 2)], &[(Level::Wrong, "run task guard asks guard, which is not defined")]);
    }

    #[test]
    fn what_a_moved_run_task_is_below_is_what_connect_replaces() {
        let guard = "guard".parse().unwrap();
        let of = |url| base(url, &guard).map(|base| base.to_string());
        assert_eq!(of("https://old.example/prod/run-tasks/guard/").unwrap(), "https://old.example/prod");
        for url in [
            "https://old.example/guard",
            "https://old.example/run-tasks/other",
            "https://jo:hush@old.example/run-tasks/guard",
        ] {
            assert_eq!(of(url), None, "{url}");
        }
    }
}
