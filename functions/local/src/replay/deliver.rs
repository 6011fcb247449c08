//! An event is signed anew and handed over as if it had just come: to the functions in this process, or to an endpoint.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use secrecy::SecretString;
use sluice_aws::secrets::{KeyCache, resolve_lists};
use sluice_aws::{GateKeys, Table};
use sluice_domain::ports::{Definitions, GateStore, Inbox, Recorded, StoreError};
use sluice_domain::{RunReport, TaskName, TaskResultId, Timestamp, WorkKey};
use sluice_hcp::signature::{Keys, NOTIFICATION_HEADER, RUN_TASK_HEADER, sign, verify};
use sluice_hcp::wire::{Asked, Door, Heard, Malformed, MalformedRequest, Notification};
use sluice_hcp_client::{Knock, KnockError, Knocker, SettingsError, TaskClient, TaskLimits};
use sluice_lambda::{Env, TfeAddress, now};
use sluice_notification_receiver::Receiver;
use sluice_run_task_receiver::Receiver as GateReceiver;

use super::ReplayError;
use super::event::Event;
use crate::cli;
use crate::serve::{directory, open};
use crate::settings::table_name;
use crate::store::gate_key;

/// How long an endpoint may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// An event was not taken. Nothing was changed by it.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Nothing to sign with.
    #[error("NOTIFICATION_TOKEN is not set: a notification has to be signed with one of the tokens of {0}")]
    NoToken(&'static str),
    /// The notification is none.
    #[error("it is not a notification of HCP Terraform's")]
    Malformed(#[source] Malformed),
    /// The request is none.
    #[error("it is not a run task request of HCP Terraform's")]
    MalformedRequest(#[source] MalformedRequest),
    /// Nobody knows which run task it was for.
    #[error("the request does not say which run task it asks: say --task and one of {0}")]
    WhichTask(String),
    /// There is no such run task.
    #[error("there is no run task {0} in the table: store it with sluice tasks")]
    NoTask(TaskName),
    /// There are none at all.
    #[error("there are no run tasks in the table: store one with sluice tasks")]
    NoTasks,
    /// The key cannot be had.
    #[error("cannot sign a request to run task {task}: no key of its hmac_keys is to be had here")]
    NoKey {
        /// Which.
        task: TaskName,
        /// Why.
        #[source]
        source: Option<sluice_aws::secrets::SecretError>,
    },
    /// The client cannot be set up, for the URL is none, say.
    #[error("cannot reach --url")]
    Url(#[source] SettingsError),
    /// The certificates cannot be read.
    #[error("cannot read SLUICE_CA_BUNDLE")]
    CaBundle(#[source] std::io::Error),
    /// The endpoint does not answer.
    #[error("{0} did not take it")]
    Silent(String, #[source] KnockError),
    /// The endpoint or the function refused it.
    #[error("{by} answered {status}{hint}")]
    Refused {
        /// Who.
        by: String,
        /// The HTTP status.
        status: u16,
        /// What that means.
        hint: &'static str,
    },
}

/// Delivers an event. Returns what to print.
pub(super) async fn deliver(
    options: &cli::Replay,
    vars: &BTreeMap<String, String>,
    terraform: &TfeAddress,
    event: Event,
) -> Result<String, ReplayError> {
    let knocker = options.url.as_deref().map(|url| knocker(url, vars)).transpose()?;
    match (event, knocker) {
        (Event::Notification(body), Some(knocker)) => {
            let tokens = tokens(vars).await?;
            let token = tokens.first().ok_or(DeliverError::NoToken("that endpoint"))?;
            heard(&body, terraform)?;
            let signature = sign(token, &body);
            post(&knocker, "/notifications", &body, (NOTIFICATION_HEADER, &signature)).await
        }
        (Event::Notification(body), None) => {
            with_table(options, vars, async |table| notify(vars, terraform, table, body).await).await
        }
        (Event::RunTask(task, body), knocker) => {
            with_table(options, vars, async |table| {
                let asking = Asking::of(vars, table, task, body).await?;
                match &knocker {
                    Some(knocker) => {
                        let path = format!("/run-tasks/{}", asking.task);
                        post(knocker, &path, &asking.body, (RUN_TASK_HEADER, &asking.signature)).await
                    }
                    None => ask(options, vars, terraform, table, asking).await,
                }
            })
            .await
        }
    }
}

async fn with_table(
    options: &cli::Replay,
    vars: &BTreeMap<String, String>,
    act: impl AsyncFnOnce(&Table) -> Result<String, ReplayError>,
) -> Result<String, ReplayError> {
    let (table, store) = open(&options.store, vars).await?;
    let said = act(&table).await;
    if let Some(store) = store {
        store.close().await;
    }
    said
}

fn ca_bundle(vars: &BTreeMap<String, String>) -> Result<Option<Vec<u8>>, ReplayError> {
    let mut env = Env::new(vars);
    let path = env.optional::<String>("SLUICE_CA_BUNDLE");
    let path = env.finish(|| path)?;
    Ok(path.map(std::fs::read).transpose().map_err(DeliverError::CaBundle)?)
}

fn knocker(url: &str, vars: &BTreeMap<String, String>) -> Result<Knocker, ReplayError> {
    Ok(Knocker::new(url, ca_bundle(vars)?.as_deref(), PATIENCE).map_err(DeliverError::Url)?)
}

async fn tokens(vars: &BTreeMap<String, String>) -> Result<Vec<SecretString>, ReplayError> {
    let mut env = Env::new(vars);
    let tokens = env.optional_secrets("NOTIFICATION_TOKEN");
    Ok(resolve_lists(vars, env.finish(|| tokens)?).await?)
}

async fn post(
    knocker: &Knocker,
    path: &str,
    body: &[u8],
    signature: (&'static str, &str),
) -> Result<String, ReplayError> {
    let by = format!("POST {path}");
    let answered = knocker.knock(Knock { path, body: Some(body), signature: Some(signature) }).await;
    let answered = answered.map_err(|error| DeliverError::Silent(by.clone(), error))?;
    taken(&by, answered.status)?;
    Ok(format!("{by} answered {}\n", answered.status))
}

fn taken(by: &str, status: u16) -> Result<(), DeliverError> {
    let hint = match status {
        200..=299 => return Ok(()),
        401 => ": the token or key here is not one that it has",
        404 => ": it knows no such path or run task",
        503 => ": its table does not take it now",
        _ => "",
    };
    Err(DeliverError::Refused { by: by.to_owned(), status, hint })
}

/// What a notification says. Whatever it is signed with later, it is read here first, to say what is wrong with it.
fn heard(body: &Bytes, terraform: &TfeAddress) -> Result<Vec<Heard>, DeliverError> {
    let anyhow = Keys::new([]).allow_unsigned();
    let verified = verify(body, None, &anyhow).expect("unsigned bodies are let in");
    let parsed = Notification::parse(verified).map_err(DeliverError::Malformed)?;
    parsed.events(&terraform.host).map_err(DeliverError::Malformed)
}

/// Records in the table, and remembers what was news.
struct Noting<'a> {
    table: &'a Table,
    noted: Mutex<Vec<(WorkKey, Recorded)>>,
}

impl Inbox for &Noting<'_> {
    async fn record(&self, report: &RunReport, now: Timestamp) -> Result<Recorded, StoreError> {
        let recorded = self.table.record(report, now).await?;
        let key = WorkKey::Run(report.workspace.clone(), report.run.clone());
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).push((key, recorded));
        Ok(recorded)
    }
}

async fn notify(
    vars: &BTreeMap<String, String>,
    terraform: &TfeAddress,
    table: &Table,
    body: Bytes,
) -> Result<String, ReplayError> {
    let mut env = Env::new(vars);
    let unsigned = env.or("SLUICE_ALLOW_UNSIGNED", false);
    let unsigned = env.finish(|| unsigned)?;
    let tokens = tokens(vars).await?;
    let said = heard(&body, terraform)?;
    let mut request = Request::post("/notifications");
    let mut keys = Keys::new(&tokens);
    match tokens.first() {
        Some(token) => request = request.header(NOTIFICATION_HEADER, sign(token, &body)),
        None if unsigned => keys = keys.allow_unsigned(),
        None => return Err(DeliverError::NoToken("the notification configurations").into()),
    }
    let noting = Noting { table, noted: Mutex::default() };
    let receiver = Receiver::new(&noting, keys, terraform.host.clone());
    let request = request.body(body).expect("a path and a hexadecimal header");
    let answer = sluice_notification_receiver::handle(&receiver, request, now()).await;
    taken("notification-receiver", answer.status().as_u16())?;
    let noted = std::mem::take(&mut *noting.noted.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(told(answer.status(), &said, &noted))
}

fn told(status: StatusCode, said: &[Heard], noted: &[(WorkKey, Recorded)]) -> String {
    let mut text = String::new();
    for heard in said {
        match heard {
            Heard::Verification => {
                let _ = writeln!(text, "answered {}: a verification, in which there is no news", status.as_u16());
            }
            Heard::Ignored { trigger, why } => {
                let _ = writeln!(text, "answered {}: {trigger} is ignored: {why}", status.as_u16());
            }
            Heard::Run(_) => {}
        }
    }
    for (key, recorded) in noted {
        let outcome = match recorded {
            Recorded::New => "recorded, and due".to_owned(),
            Recorded::Known => {
                let WorkKey::Run(workspace, _) = key else { continue };
                let look = WorkKey::Look(workspace.clone());
                format!("known already, so nothing more happens; sluice replay \"{look}\" looks at it anew")
            }
        };
        let _ = writeln!(text, "answered {}: {key}: {outcome}", status.as_u16());
    }
    text
}

/// A request to a run task, signed.
struct Asking {
    task: TaskName,
    body: Bytes,
    signature: String,
}

impl Asking {
    async fn of(
        vars: &BTreeMap<String, String>,
        table: &Table,
        task: Option<TaskName>,
        body: Bytes,
    ) -> Result<Self, ReplayError> {
        let task = match task {
            Some(task) => task,
            None => only(table.tasks().await?)?,
        };
        let stored = table.task(&task).await?.ok_or_else(|| DeliverError::NoTask(task.clone()))?;
        let keyed = KeyCache::new(vars.clone()).get(&stored.keys, true, now()).await;
        match keyed.keys.first() {
            Some(key) => Ok(Self { signature: sign(key, &body), task, body }),
            None => Err(DeliverError::NoKey { task, source: keyed.missing }.into()),
        }
    }
}

fn only(mut tasks: Vec<TaskName>) -> Result<TaskName, DeliverError> {
    match (tasks.pop(), tasks.is_empty()) {
        (None, _) => Err(DeliverError::NoTasks),
        (Some(task), true) => Ok(task),
        (Some(last), false) => {
            let names: Vec<String> = tasks.iter().chain([&last]).map(ToString::to_string).collect();
            Err(DeliverError::WhichTask(names.join(", ")))
        }
    }
}

async fn ask(
    options: &cli::Replay,
    vars: &BTreeMap<String, String>,
    terraform: &TfeAddress,
    table: &Table,
    asking: Asking,
) -> Result<String, ReplayError> {
    let mut env = Env::new(vars);
    let gate_keys = if table_name(vars).is_some() {
        env.secrets("SLUICE_GATE_KEY")
    } else {
        env.optional_secrets("SLUICE_GATE_KEY")
    };
    let gate_keys = env.finish(|| gate_keys)?;
    let gate = if gate_keys.is_empty() {
        GateKeys::new(&gate_key(Some(&directory(&options.store)))?, &[])
    } else {
        GateKeys::resolve(vars, gate_keys).await?
    };
    let origin = terraform.url.parse().map_err(|_| DeliverError::Url(SettingsError::Address))?;
    let address = terraform.url.parse().map_err(|_| DeliverError::Url(SettingsError::Address))?;
    let bundle = ca_bundle(vars)?;
    let client = TaskClient::new(&address, bundle.as_deref(), TaskLimits::default()).map_err(DeliverError::Url)?;
    let Asking { task, body, signature } = asking;
    let now = now();
    let anyhow = Keys::new([]).allow_unsigned();
    let verified = verify(&body, None, &anyhow).expect("unsigned bodies are let in");
    let door = Door { task: &task, host: &terraform.host, origin: &origin, received_at: now };
    let result = match Asked::parse(verified, &door).map_err(DeliverError::MalformedRequest)? {
        Asked::Verification => None,
        Asked::Task { request, .. } => Some(request.result),
    };
    let known = match &result {
        Some(result) => table.gated(result).await?.is_some(),
        None => false,
    };
    let keyring = KeyCache::new(vars.clone());
    let receiver = GateReceiver { store: table.clone(), keyring, gate, host: terraform.host.clone(), origin, client };
    let request = Request::post(format!("/run-tasks/{task}")).header(RUN_TASK_HEADER, signature).body(body);
    let request = request.expect("a path of a name and a hexadecimal header");
    let answer = sluice_run_task_receiver::handle(&receiver, request, now).await;
    taken("run-task-receiver", answer.status().as_u16())?;
    Ok(answered(answer.status(), result.as_ref(), known))
}

fn answered(status: StatusCode, result: Option<&TaskResultId>, known: bool) -> String {
    let status = status.as_u16();
    match result {
        None => format!("answered {status}: a verification, in which nothing is asked\n"),
        Some(result) if known => format!(
            "answered {status}: {result} is known already, so nothing more happens; sluice replay \"answer to {result}\" \
             has its answer looked at anew\n"
        ),
        Some(result) => format!("answered {status}: {result} is recorded, and its checks are due\n"),
    }
}
