//! HCP Terraform: whether it answers, whose the token is and what that may do, and what it has been told about Sluice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sluice_domain::onboarding::{
    Endpoint, Instance, NotificationFound, Onboarding, Page, Subscriber, TokenKind, WorkspaceSeen,
};
use sluice_domain::pace::Paced;
use sluice_domain::ports::TerraformError;
use sluice_domain::{Organization, ProjectId, chain};
use sluice_hcp_client::Client;
use sluice_lambda::now;
use tokio::task::JoinSet;

use super::asking::{self, Defined, RunTasks};
use super::clock;
use super::listening::{self, Subscriptions};
use super::report::{Line, Section};
use super::turns::Turns;

/// Requests under way at once. More would not be quicker: they take turns.
const AT_ONCE: usize = 12;

/// How often one is repeated that HCP Terraform wants later.
const THROTTLED_MAX: u32 = 5;

/// After how many that came to nothing no more are sent.
const FAILURES_MAX: usize = 5;

/// Most pages of a list.
const PAGES_MAX: u32 = 1_000;

/// HCP Terraform, asked in turn.
pub(super) type Terraform = Arc<Paced<Client, Turns>>;

/// Looks at the instance itself, and whose the token is. With what is worth asking further.
pub(super) async fn look(terraform: &Terraform, address: &str) -> (Section, bool) {
    let title = format!("HCP Terraform at {address}");
    let instance = match patiently(async || terraform.instance().await).await {
        Ok(instance) => instance,
        Err(why) => return (Section::new(title, vec![unanswered(&why)]), false),
    };
    let mut lines = vec![Line::well(named(&instance))];
    lines.extend(instance.clock.map(|theirs| clock::compare("HCP Terraform", theirs, now())));
    let ours = match repeated(async || terraform.account().await).await {
        Ok(account) => {
            let (line, ours) = token(account.kind, &account.username);
            lines.push(line);
            ours
        }
        Err(error) => {
            let (line, ours) = untold(&error);
            lines.push(line);
            ours
        }
    };
    (Section::new(title, lines), ours)
}

/// What it means that it does not say whose the token is, and whether it may tell more all the same.
fn untold(error: &TerraformError) -> (Line, bool) {
    let why = why(error);
    if matches!(error, TerraformError::Unauthorized { .. }) {
        let mend = "make a token for a team (Settings, Teams) or a user, and set it in API_TOKEN here and at \
                    state-indexer and run-creator";
        return (Line::wrong(format!("API_TOKEN is not taken: {why}"), mend), false);
    }
    let what = format!("it does not say whose API_TOKEN is: {why}");
    (Line::wrong(what, "try again once HCP Terraform answers").unseen(), true)
}

fn unanswered(why: &str) -> Line {
    Line::wrong(
        format!("it does not answer: {why}"),
        "see that TFE_ADDRESS is the instance's and is reached from here, and that SLUICE_CA_BUNDLE has its certificate \
         authority if that is your own",
    )
}

fn named(instance: &Instance) -> String {
    let name = instance.app_name.as_deref().unwrap_or("it");
    let release = instance.release.as_ref().map(|release| format!(" {release}")).unwrap_or_default();
    format!("{name}{release} answers")
}

fn token(kind: Option<TokenKind>, username: &str) -> (Line, bool) {
    match kind {
        Some(TokenKind::Organization) => {
            let what =
                "API_TOKEN is an organization's: it can neither create runs nor manage notification configurations";
            (Line::wrong(what, "give Sluice a token of a team or of a user: Settings, Teams"), false)
        }
        Some(kind) => (Line::well(format!("API_TOKEN is a {kind} token, of {username}")), true),
        None => (Line::well(format!("API_TOKEN is taken, as one of {username}")), true),
    }
}

/// Looks at an organization. What is told about Sluice is only looked at where it is known where that is.
pub(super) async fn organization(
    terraform: &Terraform,
    organization: &Organization,
    endpoint: Option<&Endpoint>,
    defined: Option<&[Defined]>,
) -> Section {
    let title = format!("The organization {organization}");
    let none = BTreeSet::new();
    let workspaces = pages(async |page| terraform.workspaces_of(organization, &none, page).await).await;
    let workspaces = match workspaces {
        Ok(Some(workspaces)) if !workspaces.is_empty() => workspaces,
        Ok(_) => {
            let what = "API_TOKEN sees no workspaces in it";
            let mend = format!(
                "see that {organization} is its name, and give the token's team access to workspaces or projects"
            );
            return Section::new(title, vec![Line::wrong(what, mend)]);
        }
        Err(why) => {
            let what = format!("its workspaces cannot be listed: {why}");
            return Section::new(title, vec![Line::wrong(what, "try again once HCP Terraform answers")]);
        }
    };
    let mut lines = permissions(organization, &workspaces);
    match endpoint {
        None => lines.push(
            Line::aside(
            "who tells Sluice of runs, and asks it about them, is not looked at: say with --url where it is reached",
        )
        .unseen()),
        Some(endpoint) => {
            let ((found, unread), asked) = tokio::join!(
                subscriptions(terraform, organization, workspaces),
                run_tasks(terraform, organization, endpoint, defined),
            );
            lines.extend(listening::lines(organization, endpoint, &found));
            lines.extend(unread);
            lines.extend(asked);
        }
    }
    Section::new(title, lines)
}

/// What the token may not do where Sluice has to. What HCP Terraform does not say is not taken for a yes.
fn permissions(organization: &Organization, workspaces: &[WorkspaceSeen]) -> Vec<Line> {
    let with = |says: Option<bool>, may: fn(&WorkspaceSeen) -> Option<bool>| -> Vec<String> {
        let those = workspaces.iter().filter(|workspace| may(workspace) == says);
        those.map(|workspace| format!("{organization}/{}", workspace.name)).collect()
    };
    let mut lines = Vec::new();
    let states = with(Some(false), |it| it.may.read_state_versions);
    if !states.is_empty() {
        let what = format!("API_TOKEN may not read the states of {}", counted(states.len()));
        let mend = "give its team the permission Read in them, or one of its own to read state versions";
        lines.push(Line::wrong(what, mend).about(states));
    }
    let runs = with(Some(false), |it| it.may.queue_run);
    if !runs.is_empty() {
        let what = format!("API_TOKEN may not create runs in {}", counted(runs.len()));
        let mend =
            "give its team the permission Plan or Write in them, or a rule in SLUICE_AUTONOMY_RULES that says observe";
        lines.push(Line::wrong(what, mend).about(runs));
    }
    let untold = with(None, |it| it.may.read_state_versions.and(it.may.queue_run));
    if !untold.is_empty() {
        let many = counted(untold.len());
        let what = format!("HCP Terraform does not say whether API_TOKEN may read states and create runs in {many}");
        lines.push(Line::aside(what).about(untold).unseen());
    }
    if lines.is_empty() {
        lines.push(Line::well(format!("API_TOKEN may read states and create runs in {}", counted(workspaces.len()))));
    }
    lines
}

fn counted(workspaces: usize) -> String {
    if workspaces == 1 { "1 workspace".to_owned() } else { format!("{workspaces} workspaces") }
}

/// The notification configurations of an organization, and lines about those that could not be read.
async fn subscriptions(
    terraform: &Terraform,
    organization: &Organization,
    workspaces: Vec<WorkspaceSeen>,
) -> (Subscriptions, Vec<Line>) {
    let projects = match pages(async |page| terraform.projects(organization, page).await).await {
        Ok(projects) => projects.unwrap_or_default(),
        Err(why) => {
            // Without those of projects, a workspace that is told of by its project's seems not to be.
            let what = format!("its projects, and with them notification configurations, cannot be listed: {why}");
            let line = Line::wrong(what, "try again once HCP Terraform answers").unseen();
            return (Subscriptions::default(), vec![line]);
        }
    };
    let visible = |workspace: &&WorkspaceSeen| {
        workspace.may.update != Some(false) && workspace.execution_mode.as_deref() != Some("local")
    };
    let mut unread_projects: BTreeSet<ProjectId> = projects.iter().map(|project| project.id.clone()).collect();
    let mut asked: Vec<Subscriber> = projects.into_iter().map(|project| Subscriber::Project(project.id)).collect();
    asked.extend(workspaces.iter().filter(visible).map(|it| Subscriber::Workspace(it.id.clone())));
    let (read, failed) = read_all(terraform, asked).await;
    let (mut of_workspaces, mut of_projects) = (BTreeMap::new(), BTreeMap::new());
    for (subscriber, found) in read {
        if let Subscriber::Project(id) = &subscriber {
            unread_projects.remove(id);
        }
        match (subscriber, found) {
            (Subscriber::Workspace(id), Some(found)) => drop(of_workspaces.insert(id, found)),
            (Subscriber::Project(id), Some(found)) => drop(of_projects.insert(id, found)),
            (_, None) => {}
        }
    }
    for workspace in &workspaces {
        if workspace.project.as_ref().is_some_and(|project| unread_projects.contains(project)) {
            of_workspaces.remove(&workspace.id);
        }
    }
    let mut lines = Vec::new();
    let unread = |workspace: &&WorkspaceSeen| {
        workspace.execution_mode.as_deref() != Some("local") && !of_workspaces.contains_key(&workspace.id)
    };
    let names: Vec<String> = workspaces.iter().filter(unread).map(|it| format!("{organization}/{}", it.name)).collect();
    if let Some(why) = failed {
        let what = format!("notification configurations could not be read: {why}");
        lines.push(Line::wrong(what, "try again once HCP Terraform answers").about(names).unseen());
    } else if !names.is_empty() {
        let what =
            format!("the notification configurations of {} are not to be seen with API_TOKEN", counted(names.len()));
        let mend = "run sluice doctor with the token of an admin of them: only admins see notification configurations";
        lines.push(Line::warning(what, mend).about(names).unseen());
    }
    (Subscriptions { workspaces, of_workspaces, of_projects }, lines)
}

type Read = Vec<(Subscriber, Option<Vec<NotificationFound>>)>;

/// Reads those of all, some at a time, and tells why some could not be read. If too many fail, the others are not asked.
async fn read_all(terraform: &Terraform, asked: Vec<Subscriber>) -> (Read, Option<String>) {
    let failures = Arc::new(AtomicUsize::new(0));
    let (mut read, mut failed) = (Vec::new(), None);
    let mut tasks = JoinSet::new();
    let mut left = asked.into_iter();
    loop {
        while tasks.len() < AT_ONCE {
            let Some(subscriber) = left.next() else { break };
            let (terraform, failures) = (terraform.clone(), failures.clone());
            tasks.spawn(async move {
                if failures.load(Ordering::Relaxed) >= FAILURES_MAX {
                    return None;
                }
                let found = notifications(&terraform, &subscriber).await;
                if found.is_err() {
                    failures.fetch_add(1, Ordering::Relaxed);
                }
                Some((subscriber, found))
            });
        }
        match tasks.join_next().await {
            None => return (read, failed),
            Some(Ok(Some((subscriber, Ok(found))))) => read.push((subscriber, found)),
            Some(Ok(Some((_, Err(why))))) => failed = Some(why),
            // A panic is told where it happens.
            Some(Ok(None) | Err(_)) => {}
        }
    }
}

/// Lines about the run tasks of an organization. Without what is defined there is nothing to hold them against.
async fn run_tasks(
    terraform: &Terraform,
    organization: &Organization,
    endpoint: &Endpoint,
    defined: Option<&[Defined]>,
) -> Vec<Line> {
    let Some(defined) = defined else {
        let what = "its run tasks are not looked at: the table does not say which are defined";
        return vec![Line::aside(what).unseen()];
    };
    let failed =
        |why: String, mend: &str| vec![Line::wrong(format!("its run tasks cannot be listed: {why}"), mend).unseen()];
    let again = "try again once HCP Terraform answers";
    let entitlements = match patiently(async || terraform.entitlements(organization).await).await {
        Ok(entitlements) => entitlements.unwrap_or_default(),
        Err(why) => return failed(why, again),
    };
    match pages(async |page| terraform.run_tasks(organization, page).await).await {
        Ok(Some(found)) => asking::lines(organization, endpoint, &RunTasks { defined, found, entitlements }),
        Ok(None) if defined.is_empty() => Vec::new(),
        Ok(None) => failed(
            "they are not to be seen with API_TOKEN".to_owned(),
            "give the token's team the permission to read, or manage, run tasks",
        ),
        Err(why) => failed(why, again),
    }
}

/// All pages of a list.
async fn pages<T>(
    page: impl AsyncFn(u32) -> Result<Option<Page<T>>, TerraformError>,
) -> Result<Option<Vec<T>>, String> {
    let mut all = Vec::new();
    let mut number = 1;
    for _ in 0..PAGES_MAX {
        let Some(found) = patiently(async || page(number).await).await? else { return Ok(None) };
        all.extend(found.items);
        match found.next {
            Some(next) => number = next,
            None => break,
        }
    }
    Ok(Some(all))
}

/// Those of one workspace or project. In a function of its own, as a task has to own what it asks with.
async fn notifications(
    terraform: &Terraform,
    subscriber: &Subscriber,
) -> Result<Option<Vec<NotificationFound>>, String> {
    for _ in 1..THROTTLED_MAX {
        let answer = terraform.notifications(subscriber).await;
        if !throttled(&answer) {
            return answer.map_err(|error| why(&error));
        }
    }
    terraform.notifications(subscriber).await.map_err(|error| why(&error))
}

/// The same as [`repeated`], where in words why is enough.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, TerraformError>) -> Result<T, String> {
    repeated(ask).await.map_err(|error| why(&error))
}

/// What HCP Terraform answers, where it wants to be left alone a while later. The next turn is after the pause that it
/// asked for. The client gives up each request in time; the wait for a turn, which may be longer, does not count.
async fn repeated<T>(ask: impl AsyncFn() -> Result<T, TerraformError>) -> Result<T, TerraformError> {
    for _ in 1..THROTTLED_MAX {
        let answer = ask().await;
        if !throttled(&answer) {
            return answer;
        }
    }
    ask().await
}

fn throttled<T>(answer: &Result<T, TerraformError>) -> bool {
    matches!(answer, Err(TerraformError::RateLimited { .. }))
}

fn why(error: &TerraformError) -> String {
    match error {
        TerraformError::RateLimited { .. } => "it is asked too much by others: it keeps answering 429".to_owned(),
        error => chain(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Level;

    #[test]
    fn only_a_token_that_is_refused_is_not_taken() {
        let action = "to see whose the token is";
        let (line, ours) = untold(&TerraformError::Unauthorized { action });
        assert!(line.what.starts_with("API_TOKEN is not taken") && !ours, "{line:?}");
        for error in [
            TerraformError::ServerError { action, status: 503 },
            TerraformError::RateLimited { action, after_ms: 1_000 },
        ] {
            let (line, ours) = untold(&error);
            assert!(line.what.starts_with("it does not say whose API_TOKEN is") && ours, "{line:?}");
            assert_eq!((line.level, line.seen), (Level::Wrong, false));
        }
    }
}
