//! The endpoint: knocked at as HCP Terraform does, and as it must not be let in.

use secrecy::SecretString;
use serde_json::json;
use sluice_aws::Table;
use sluice_aws::secrets::KeyCache;
use sluice_domain::TaskName;
use sluice_domain::chain;
use sluice_domain::ports::Definitions;
use sluice_hcp::signature::{NOTIFICATION_HEADER, RUN_TASK_HEADER, sign};
use sluice_hcp_client::{Answered, Knock, KnockError, Knocker};
use sluice_lambda::now;

use super::clock;
use super::probe::{PATIENCE, timely};
use super::report::{Line, Section};

/// What the endpoint is asked with.
pub(super) struct Doorway<'a> {
    /// Where HCP Terraform reaches Sluice, without a slash at its end.
    pub url: &'a str,
    pub tokens: &'a [SecretString],
    pub ca_bundle: Option<&'a [u8]>,
    /// Where run tasks are defined, if that is known.
    pub table: Option<&'a Table>,
    pub keyring: &'a KeyCache,
}

/// Knocks at every door.
pub(super) async fn look(doorway: &Doorway<'_>) -> Section {
    let title = format!("The endpoint {}", doorway.url);
    let knocker = match Knocker::new(doorway.url, doorway.ca_bundle, PATIENCE) {
        Ok(knocker) => knocker,
        Err(error) => {
            let what = format!("it is not the URL of an endpoint: {}", chain(&error));
            return Section::new(title, vec![Line::wrong(what, "give --url or SLUICE_PUBLIC_URL as https://host")]);
        }
    };
    let mut lines: Vec<Line> = plain_http(doorway.url).into_iter().collect();
    let unsigned = notify(&knocker, None).await;
    let answered = match unsigned {
        Err(error) => {
            lines.push(silent(&error));
            return Section::new(title, lines);
        }
        Ok(answered) => answered,
    };
    if let Some(theirs) = answered.date {
        lines.push(clock::compare("the endpoint", theirs, now()));
    }
    let wrong = SecretString::from("no-token-of-any-notification-configuration");
    let (wrongly, get) = tokio::join!(
        notify(&knocker, Some(&wrong)),
        knocker.knock(Knock { path: "/notifications", body: None, signature: None }),
    );
    lines.extend(signed(&knocker, doorway.tokens).await);
    lines.push(refuses("a notification that is not signed", Ok(answered), UNSIGNED));
    lines.push(refuses("a notification that is signed with another token", wrongly, FORGED));
    lines.extend(get.ok().and_then(|answered| other_program(&answered)));
    lines.extend(run_tasks(&knocker, doorway).await);
    Section::new(title, lines)
}

const UNSIGNED: &str = "unset SLUICE_ALLOW_UNSIGNED at notification-receiver: anybody can make Sluice believe in runs";
const FORGED: &str =
    "see that NOTIFICATION_TOKEN is set at notification-receiver, and that nothing before it answers instead";

fn plain_http(url: &str) -> Option<Line> {
    let host = url.strip_prefix("http://")?.split(['/', ':']).next().unwrap_or_default();
    if host == "localhost" || host.starts_with("127.") || host.starts_with('[') {
        return Some(Line::aside("it is on this machine: whether HCP Terraform reaches it is not looked at"));
    }
    let what = "it is reached without TLS: whoever is on the way reads what run tasks are asked, with their tokens";
    Some(Line::warning(what, "give it a certificate, and name it as https://"))
}

fn silent(error: &KnockError) -> Line {
    let mend = match error {
        KnockError::Silent(_) => "see that the host is up, and that no firewall or security group swallows what comes",
        KnockError::Unreachable(_) => {
            "see that --url or SLUICE_PUBLIC_URL is the output url of the module, that its name resolves, its certificate \
             is valid (SLUICE_CA_BUNDLE for one of your own) and something listens"
        }
    };
    Line::wrong(format!("it does not answer: {}", chain(error)), mend)
}

async fn notify(knocker: &Knocker, token: Option<&SecretString>) -> Result<Answered, KnockError> {
    let body = verification();
    let signature = token.map(|token| sign(token, &body));
    let signature = signature.as_deref().map(|signature| (NOTIFICATION_HEADER, signature));
    knocker.knock(Knock { path: "/notifications", body: Some(&body), signature }).await
}

/// What HCP Terraform sends to see whether a notification configuration works.
fn verification() -> Vec<u8> {
    let body = json!({
        "payload_version": 1, "notification_configuration_id": "nc-sluice-doctor", "run_url": null, "run_id": null,
        "run_message": null, "run_created_at": null, "run_created_by": null, "workspace_id": null,
        "workspace_name": null, "organization_name": null,
        "notifications": [{
            "message": "Verification of sluice doctor", "trigger": "verification", "run_status": null,
            "run_updated_at": null, "run_updated_by": null,
        }],
    });
    body.to_string().into_bytes()
}

/// The round trip of a verification, with each of the tokens.
async fn signed(knocker: &Knocker, tokens: &[SecretString]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (number, token) in (1..).zip(tokens) {
        let with =
            if tokens.len() == 1 { String::new() } else { format!(" with token {number} of NOTIFICATION_TOKEN") };
        lines.push(match notify(knocker, Some(token)).await {
            Ok(answered) if answered.status == 200 => {
                Line::well(format!("it answers a signed verification{with}, in {} ms", answered.took.as_millis()))
            }
            Ok(answered) => refused(&format!("a signed verification{with}"), &answered),
            Err(error) => silent(&error),
        });
    }
    lines
}

/// What it means that a signed verification is not answered with 200.
fn refused(what: &str, answered: &Answered) -> Line {
    let status = answered.status;
    let (means, mend) = match status {
        401 => (
            "it has another token",
            "set the same NOTIFICATION_TOKEN here, at notification-receiver and in the notification configurations; a \
             function keeps the one it started with",
        ),
        400 => ("it is let in and not understood", "see that SLUICE_PUBLIC_URL leads to this version of Sluice"),
        403 => ("something before Sluice refuses it", "let POST /notifications pass the firewall, gateway or proxy"),
        404 | 405 => (
            "there is no POST /notifications",
            "see that --url or SLUICE_PUBLIC_URL is the output url of the module, without /notifications",
        ),
        300..=399 => ("it sends us elsewhere", "name the endpoint by the address that it sends to"),
        429 => ("it is throttled", "raise the throttling of the API's route POST /notifications"),
        503 => ("it cannot use its table", "see that the table is there and its role may UpdateItem; look at its log"),
        500..=599 => (
            "the function fails, or does not start",
            "look at the log of notification-receiver: it names every setting that is missing or wrong",
        ),
        _ => ("that is no answer of Sluice's", "see what answers there: --url or SLUICE_PUBLIC_URL"),
    };
    let to = answered.location.as_ref().map(|location| format!(", to {location}")).unwrap_or_default();
    Line::wrong(format!("it answers {what} with {status}{to}: {means}"), mend)
}

/// Something that has to be answered with 401.
fn refuses(what: &str, answered: Result<Answered, KnockError>, mend: &str) -> Line {
    match answered {
        Ok(Answered { status: 401, .. }) => Line::well(format!("it refuses {what}")),
        Ok(Answered { status: status @ 200..=299, .. }) => {
            Line::wrong(format!("it takes {what}: it answers {status}"), mend)
        }
        Ok(answered) => Line::warning(
            format!("it answers {what} with {}, where Sluice says 401", answered.status),
            "see what answers there: --url or SLUICE_PUBLIC_URL, and what is before it",
        ),
        Err(error) => silent(&error),
    }
}

/// Sluice has nothing to GET at `/notifications`.
fn other_program(answered: &Answered) -> Option<Line> {
    matches!(answered.status, 200..=299).then(|| {
        Line::warning(
            format!("it answers GET /notifications with {}, where Sluice has nothing to show", answered.status),
            "see what answers there: --url or SLUICE_PUBLIC_URL, and what is before it",
        )
    })
}

/// The doors of the run tasks that are defined.
async fn run_tasks(knocker: &Knocker, doorway: &Doorway<'_>) -> Vec<Line> {
    let Some(table) = doorway.table else { return Vec::new() };
    // That it cannot be read is said elsewhere.
    let Ok(tasks) = timely(table.tasks()).await else { return Vec::new() };
    let mut lines = Vec::new();
    for task in &tasks {
        lines.push(run_task(knocker, doorway, table, task).await);
    }
    if let Some(task) = tasks.first() {
        let answered = ask(knocker, task, None).await;
        let mend = "see that what answers is run-task-receiver: it takes nothing that is not signed";
        lines.push(refuses("a run task request that is not signed", answered, mend));
    }
    lines
}

async fn run_task(knocker: &Knocker, doorway: &Doorway<'_>, table: &Table, task: &TaskName) -> Line {
    let stored = match timely(table.task(task)).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return Line::aside(format!("run task {task} has just been taken away")),
        Err(why) => return Line::wrong(format!("run task {task} cannot be read: {why}"), "mend the table first"),
    };
    if let Err(invalid) = &stored.definition {
        return Line::wrong(format!("run task {task} fails whatever it is asked: {invalid}"), "sluice tasks FILE");
    }
    let Ok(keyed) = tokio::time::timeout(PATIENCE, doorway.keyring.get(&stored.keys, false, now())).await else {
        return Line::aside(format!("run task {task} is not asked: its key is not to be had in time")).unseen();
    };
    let Some(key) = keyed.keys.first() else {
        let places: Vec<String> = stored.keys.iter().map(ToString::to_string).collect();
        let why = keyed.missing.map(|missing| chain(&missing)).unwrap_or_default();
        return Line::aside(format!(
            "run task {task} is not asked, as {} is not at hand here ({why})",
            places.join(", ")
        ))
        .unseen();
    };
    match ask(knocker, task, Some(key)).await {
        Ok(answered) if answered.status == 200 => Line::well(format!("run task {task} answers its verification")),
        Ok(answered) => task_refused(task, &answered),
        Err(error) => silent(&error),
    }
}

fn task_refused(task: &TaskName, answered: &Answered) -> Line {
    let (means, mend) = match answered.status {
        401 => ("it has another key", "have its hmac_keys lead to the same key here and at run-task-receiver"),
        404 => (
            "it knows no such run task",
            "see that the endpoint uses this table, and that its route POST /run-tasks/{task} leads to run-task-receiver",
        ),
        503 => (
            "it cannot fetch the key, or use its table",
            "give run-task-receiver's role ssm:GetParameter or secretsmanager:GetSecretValue on it; look at its log",
        ),
        500..=599 => ("the function fails, or does not start", "look at the log of run-task-receiver"),
        _ => ("HCP Terraform takes 200 only", "see what answers there, and what is before it"),
    };
    Line::wrong(format!("run task {task} is answered with {}: {means}", answered.status), mend)
}

async fn ask(knocker: &Knocker, task: &TaskName, key: Option<&SecretString>) -> Result<Answered, KnockError> {
    let body = json!({
        "payload_version": 1, "stage": "test", "access_token": "test-token",
        "task_result_id": "taskrs-xxxxxxxxxxxxxxxx", "task_result_enforcement_level": "test",
        "organization_name": "sluice-doctor", "workspace_name": "sluice-doctor",
    });
    let body = body.to_string().into_bytes();
    let signature = key.map(|key| sign(key, &body));
    let signature = signature.as_deref().map(|signature| (RUN_TASK_HEADER, signature));
    knocker.knock(Knock { path: &format!("/run-tasks/{task}"), body: Some(&body), signature }).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doctor::report::Level;

    fn answered(status: u16) -> Answered {
        Answered { status, date: None, location: None, took: Duration::ZERO }
    }

    #[test]
    fn whatever_else_is_answered_says_what_it_means() {
        for (status, means) in [
            (401, "it has another token"),
            (400, "let in and not understood"),
            (403, "something before Sluice refuses it"),
            (404, "there is no POST /notifications"),
            (302, "sends us elsewhere"),
            (429, "throttled"),
            (500, "the function fails"),
            (503, "cannot use its table"),
            (202, "no answer of Sluice's"),
        ] {
            let line = refused("a signed verification", &answered(status));
            assert!(line.level == Level::Wrong && line.what.contains(means) && line.mend.is_some(), "{line:?}");
            assert!(line.what.contains(&status.to_string()), "{line:?}");
        }
    }

    #[test]
    fn what_is_let_in_unsigned_is_wrong_and_what_is_refused_is_well() {
        for (status, level) in [(401, Level::Well), (200, Level::Wrong), (202, Level::Wrong), (403, Level::Warning)] {
            assert_eq!(refuses("it", Ok(answered(status)), "mend").level, level);
        }
    }

    #[test]
    fn only_a_public_address_needs_tls() {
        for (url, level) in [
            ("https://sluice.example", None),
            ("http://sluice.example", Some(Level::Warning)),
            ("http://127.0.0.1:8080", Some(Level::Aside)),
            ("http://localhost", Some(Level::Aside)),
            ("http://[::1]:8080", Some(Level::Aside)),
        ] {
            assert_eq!(plain_http(url).map(|line| line.level), level, "{url}");
        }
    }
}
