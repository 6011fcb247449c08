//! `sluice tasks`: run tasks and policies from a file into the table, looked at closely on the way.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_aws::{DefinitionError, Table, read_task};
use sluice_domain::gate::{CheckKind, TaskDefinition};
use sluice_domain::ports::{Definitions, StoreError};
use sluice_domain::{InvalidName, PolicyName};
use sluice_task_runner::rego::{self, FilesError, Namespaces, Policy, PolicyError};

use crate::cli;
use crate::serve::{ServeError, open};

/// Most bytes of a stored policy: an item of DynamoDB's holds 400 KB.
const POLICY_BYTES_MAX: usize = 380_000;

/// Run tasks or policies that cannot be stored. Says where.
#[derive(Debug, thiserror::Error)]
pub enum TasksError {
    /// The file cannot be read.
    #[error("cannot read {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// It is not of the right shape.
    #[error("{file} is not a file of run tasks: {error}")]
    Shape {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// A run task is not valid.
    #[error("tasks[{number}]: {error}")]
    Task {
        /// Which, from 0.
        number: usize,
        /// What is wrong with it.
        error: DefinitionError,
    },
    /// The name of a policy is not valid.
    #[error("policies")]
    Name(#[source] InvalidName),
    /// A policy cannot be read.
    #[error("policies.{name}")]
    Policy {
        /// Which.
        name: PolicyName,
        /// What is wrong with it.
        #[source]
        error: FilesError,
    },
    /// A policy that a task asks for is not valid.
    #[error("policies.{name}, as check {check} asks for it")]
    Rules {
        /// Which.
        name: PolicyName,
        /// Who asks for it.
        check: String,
        /// What is wrong with it.
        #[source]
        error: PolicyError,
    },
    /// A policy does not fit into the table.
    #[error("policies.{name} has {bytes} bytes, and the table holds {POLICY_BYTES_MAX}")]
    TooLarge {
        /// Which.
        name: PolicyName,
        /// How many it has.
        bytes: usize,
    },
}

/// Run tasks and policies, looked at and ready to be stored.
#[derive(Debug)]
pub struct Checked {
    tasks: Vec<(TaskDefinition, String)>,
    policies: BTreeMap<PolicyName, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    tasks: Vec<Box<RawValue>>,
    #[serde(default)]
    policies: BTreeMap<String, PathBuf>,
}

/// Stores what the file has, or lists what is stored. Returns what to print.
pub async fn run(options: &cli::Tasks, vars: &BTreeMap<String, String>) -> Result<String, ServeError> {
    let checked = options.file.as_deref().map(read).transpose()?;
    if let Some(checked) = checked.as_ref().filter(|_| options.check) {
        return Ok(format!("valid: {}\n", checked.counts()));
    }
    let (table, store) = open(&options.store, vars).await?;
    let text = match &checked {
        Some(checked) => checked.store(&table).await.map(|()| format!("stored {}\n", checked.counts())),
        None => list(&table).await,
    };
    if let Some(store) = store {
        store.close().await;
    }
    Ok(text?)
}

/// Reads a file of run tasks. Policies lie where it says, from its own directory.
pub fn read(path: &Path) -> Result<Checked, TasksError> {
    let text = std::fs::read_to_string(path).map_err(|error| TasksError::File(path.to_owned(), error))?;
    let file: File = serde_json::from_str(&text).map_err(|error| TasksError::Shape { file: path.to_owned(), error })?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut policies = BTreeMap::new();
    for (name, place) in file.policies {
        let name: PolicyName = name.parse().map_err(TasksError::Name)?;
        let policy =
            policy(&directory.join(place)).map_err(|error| TasksError::Policy { name: name.clone(), error })?;
        policies.insert(name, policy);
    }
    let mut tasks = Vec::new();
    for (number, task) in file.tasks.iter().enumerate() {
        let definition = read_task(task.get()).map_err(|error| TasksError::Task { number, error })?;
        check_policies(&definition, &policies)?;
        tasks.push((definition, task.get().to_owned()));
    }
    let policies = policies.into_iter().map(|(name, policy)| {
        let json = serde_json::to_string(&policy).expect("a policy is JSON");
        let bytes = json.len();
        if bytes > POLICY_BYTES_MAX { Err(TasksError::TooLarge { name, bytes }) } else { Ok((name, json)) }
    });
    Ok(Checked { tasks, policies: policies.collect::<Result<_, _>>()? })
}

fn policy(place: &Path) -> Result<Policy, FilesError> {
    if place.is_dir() {
        return rego::from_directory(place);
    }
    let unreadable = |source| FilesError::Unreadable { path: place.to_owned(), source };
    rego::from_bundle(std::fs::File::open(place).map_err(unreadable)?)
}

/// Policies that the file itself has are compiled as its tasks ask for them. Others may be in the table.
fn check_policies(task: &TaskDefinition, policies: &BTreeMap<PolicyName, Policy>) -> Result<(), TasksError> {
    for check in &task.checks {
        let CheckKind::Rego { policy: name, namespaces } = &check.kind else { continue };
        let Some(policy) = policies.get(name) else { continue };
        let namespaces = Namespaces(namespaces.iter().cloned().collect());
        rego::check(policy, &namespaces).map_err(|error| {
            let check = format!("{} of {}", check.name, task.name);
            TasksError::Rules { name: name.clone(), check, error }
        })?;
    }
    Ok(())
}

impl Checked {
    /// Stores all of it: policies first, so that no task asks for one that is not there.
    pub async fn store(&self, table: &Table) -> Result<(), StoreError> {
        for (name, policy) in &self.policies {
            table.put_policy(name, policy).await?;
        }
        for (task, definition) in &self.tasks {
            table.put_task(&task.name, definition).await?;
        }
        Ok(())
    }

    fn counts(&self) -> String {
        let counted = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let tasks = counted(self.tasks.len(), "run task", "run tasks");
        format!("{tasks} and {}", counted(self.policies.len(), "policy", "policies"))
    }
}

async fn list(table: &Table) -> Result<String, StoreError> {
    let mut text = String::new();
    for name in table.tasks().await? {
        let Some(task) = table.task(&name).await? else { continue };
        match task.definition {
            Ok(task) => {
                let checks: Vec<String> =
                    task.checks.iter().map(|check| format!("{} ({})", check.name, check.kind.word())).collect();
                let off = if task.enabled { "" } else { ", not enabled" };
                let _ = writeln!(text, "{name}: {}{off}", checks.join(", "));
            }
            Err(invalid) => {
                let _ = writeln!(text, "{name}: {invalid}");
            }
        }
    }
    Ok(if text.is_empty() { "no run tasks are stored\n".to_owned() } else { text })
}
