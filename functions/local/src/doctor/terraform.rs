//! HCP Terraform: whether it answers, whose the token is and what that may do, and what it has been told about Sluice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sluice_domain::onboarding::{
    Endpoint, Instance, NotificationFound, Onboarding, Page, Subscriber, TokenKind, WorkspaceSeen,
};
use sluice_domain::pace::Paced;
use sluice_domain::ports::TerraformError;
use sluice_domain::{Classify, Fault, Organization, TaskName, chain};
use sluice_hcp_client::Client;
use sluice_lambda::now;
use tokio::task::JoinSet;

use super::asking::{self, RunTasks};
use super::clock;
use super::listening::{self, Subscriptions};
use super::probe::{PATIENCE, timely};
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
    let instance = match timely(terraform.instance()).await {
        Ok(instance) => instance,
        Err(why) => return (Section::new(title, vec![unanswered(&why)]), false),
    };
    let mut lines = vec![Line::well(named(&instance))];
    lines.extend(instance.clock.map(|theirs| clock::compare("HCP Terraform", theirs, now())));
    let ours = match timely(terraform.account()).await {
        Ok(account) => {
            let (line, ours) = token(account.kind, &account.username);
            lines.push(line);
            ours
        }
        Err(why) => {
            let mend = "make a token for a team (Settings, Teams) or a user, and set it in API_TOKEN here and at \
                        state-indexer and run-creator";
            lines.push(Line::wrong(format!("API_TOKEN is not taken: {why}"), mend));
            false
        }
    };
    (Section::new(title, lines), ours)
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
    defined: Vec<TaskName>,
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
        None => lines.push(Line::aside(
            "who tells Sluice of runs, and asks it about them, is not looked at: say with --url where it is reached",
        )),
        Some(endpoint) => {
            let (heard, asked) = tokio::join!(
                subscriptions(terraform, organization, workspaces),
                run_tasks(terraform, organization, defined),
            );
            let (found, unread) = heard;
            lines.extend(listening::lines(organization, endpoint, &found));
            lines.extend(unread);
            match asked {
                Ok(tasks) => lines.extend(asking::lines(organization, endpoint, &tasks)),
                Err(why) => lines.push(Line::warning(
                    format!("its run tasks cannot be listed: {why}"),
                    "give the token's team the permission to read, or manage, run tasks",
                )),
            }
        }
    }
    Section::new(title, lines)
}

/// What the token may not do where Sluice has to.
fn permissions(organization: &Organization, workspaces: &[WorkspaceSeen]) -> Vec<Line> {
    let without = |may: fn(&WorkspaceSeen) -> Option<bool>| -> Vec<String> {
        let forbidden = workspaces.iter().filter(|workspace| may(workspace) == Some(false));
        forbidden.map(|workspace| format!("{organization}/{}", workspace.name)).collect()
    };
    let mut lines = Vec::new();
    let states = without(|it| it.may.read_state_versions);
    if !states.is_empty() {
        let what = format!("API_TOKEN may not read the states of {}", counted(states.len()));
        let mend = "give its team the permission Read in them, or one of its own to read state versions";
        lines.push(Line::wrong(what, mend).about(states));
    }
    let runs = without(|it| it.may.queue_run);
    if !runs.is_empty() {
        let what = format!("API_TOKEN may not create runs in {}", counted(runs.len()));
        let mend =
            "give its team the permission Plan or Write in them, or a rule in SLUICE_AUTONOMY_RULES that says observe";
        lines.push(Line::wrong(what, mend).about(runs));
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
    let projects = pages(async |page| terraform.projects(organization, page).await).await;
    let projects = projects.ok().flatten().unwrap_or_default();
    let visible = |workspace: &&WorkspaceSeen| {
        workspace.may.update != Some(false) && workspace.execution_mode.as_deref() != Some("local")
    };
    let mut asked: Vec<Subscriber> = projects.into_iter().map(|project| Subscriber::Project(project.id)).collect();
    asked.extend(workspaces.iter().filter(visible).map(|it| Subscriber::Workspace(it.id.clone())));
    let (read, failed) = read_all(terraform, asked).await;
    let (mut of_workspaces, mut of_projects) = (BTreeMap::new(), BTreeMap::new());
    for (subscriber, found) in read {
        match (subscriber, found) {
            (Subscriber::Workspace(id), Some(found)) => drop(of_workspaces.insert(id, found)),
            (Subscriber::Project(id), Some(found)) => drop(of_projects.insert(id, found)),
            (_, None) => {}
        }
    }
    let mut lines = Vec::new();
    let unread = |workspace: &&WorkspaceSeen| {
        workspace.execution_mode.as_deref() != Some("local") && !of_workspaces.contains_key(&workspace.id)
    };
    let names: Vec<String> = workspaces.iter().filter(unread).map(|it| format!("{organization}/{}", it.name)).collect();
    if let Some(why) = failed {
        let what = format!("notification configurations could not be read: {why}");
        lines.push(Line::warning(what, "try again once HCP Terraform answers").about(names));
    } else if !names.is_empty() {
        let what =
            format!("the notification configurations of {} are not to be seen with API_TOKEN", counted(names.len()));
        let mend = "run sluice doctor with the token of an admin of them: only admins see notification configurations";
        lines.push(Line::warning(what, mend).about(names));
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

async fn run_tasks(
    terraform: &Terraform,
    organization: &Organization,
    defined: Vec<TaskName>,
) -> Result<RunTasks, String> {
    let entitlements = patiently(async || terraform.entitlements(organization).await).await?.unwrap_or_default();
    let found = pages(async |page| terraform.run_tasks(organization, page).await).await?;
    match found {
        Some(found) => Ok(RunTasks { defined, found, entitlements }),
        None if defined.is_empty() => Ok(RunTasks::default()),
        None => Err("they are not to be seen with API_TOKEN".to_owned()),
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
    for _ in 0..THROTTLED_MAX {
        if let Some(answer) = once(terraform.notifications(subscriber)).await {
            return answer;
        }
    }
    Err(THROTTLED.to_owned())
}

/// What HCP Terraform answers, where it wants to be left alone a while later.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, TerraformError>) -> Result<T, String> {
    for _ in 0..THROTTLED_MAX {
        if let Some(answer) = once(ask()).await {
            return answer;
        }
    }
    Err(THROTTLED.to_owned())
}

const THROTTLED: &str = "it is asked too much by others: it keeps answering 429";

/// What it answers in time; None if it wants to be asked again. The turn that comes next is after the pause that it
/// asked for.
async fn once<T>(answer: impl Future<Output = Result<T, TerraformError>>) -> Option<Result<T, String>> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Err(error)) if matches!(error.fault(), Fault::Throttled { .. }) => None,
        Ok(answer) => Some(answer.map_err(|error| chain(&error))),
        Err(_) => Some(Err(format!("there is no answer within {} seconds", PATIENCE.as_secs()))),
    }
}
