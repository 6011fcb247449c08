//! What is deployed, held to what the code does: who may do what, what everybody is told, and what wakes whom.

mod actions;
mod costs;
mod metrics;
mod module;
mod permissions;
mod routes;
mod template;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::world::record::Asked;

/// A function as it is deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    pub timeout_seconds: u64,
    pub memory_mb: u64,
    /// The variables that are set, or can be.
    pub variables: BTreeSet<String>,
    /// What it may do with the table's items.
    pub table: BTreeSet<String>,
    /// What it may do with the index of due work.
    pub due_index: BTreeSet<String>,
    /// What its role allows besides, by what that is called there. Only actions: resources are each way's own.
    pub besides: BTreeMap<String, BTreeSet<String>>,
    /// The bells it listens to.
    pub bells: BTreeSet<String>,
    /// The requests it is handed, as `POST /notifications`.
    pub routes: BTreeSet<String>,
}

pub type Functions = BTreeMap<String, Function>;

/// What the Terraform module and the SAM template deploy.
static MODULE: LazyLock<Functions> = LazyLock::new(module::functions);
static TEMPLATE: LazyLock<Functions> = LazyLock::new(template::functions);

/// Both ways, by what they are called in messages.
fn ways() -> [(&'static str, &'static Functions); 2] {
    [("infra/functions.tf", &MODULE), ("infra/template.yaml", &TEMPLATE)]
}

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of)
}

fn read(of: &str) -> String {
    std::fs::read_to_string(path(of)).unwrap_or_else(|error| panic!("{of}: {error}"))
}

fn set<T: ToString>(all: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

/// Whether the role of `function` allows it, either way it may have been deployed.
pub fn allowed(function: &str, asked: &Asked) -> bool {
    ways().iter().all(|(_, functions)| {
        let Some(function) = functions.get(function) else { return false };
        match asked.index.as_deref() {
            None => function.table.contains(asked.action),
            Some("due") => function.due_index.contains(asked.action),
            Some(_) => false,
        }
    })
}

#[test]
fn both_ways_deploy_every_function_alike() {
    let folders = std::fs::read_dir(path("functions")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: BTreeSet<String> = folders.map(|name| name.into_string().unwrap()).collect();
    names.remove("local");
    for (way, functions) in ways() {
        assert_eq!(functions.keys().cloned().collect::<BTreeSet<_>>(), names, "{way}");
    }
    for name in names {
        let [module, template] = ways().map(|(_, functions)| Function {
            // Each way has its own statements for what is optional; which ones there are is told in docs/permissions.md.
            besides: BTreeMap::new(),
            ..functions[&name].clone()
        });
        assert_eq!(module, template, "{name}, by infra/functions.tf and by infra/template.yaml");
    }
}

#[test]
fn whoever_claims_work_has_as_long_as_the_claim_lasts() {
    let leases = [
        ("state-indexer", sluice_state_indexer::LEASE_MS),
        ("run-creator", sluice_run_creator::LEASE_MS),
        ("run-task-relay", sluice_run_task_relay::LEASE_MS),
        ("task-runner", sluice_task_runner::LEASE_MS),
        // job-runner takes its turns as task-runner does.
        ("job-runner", sluice_task_runner::LEASE_MS),
    ];
    for (way, functions) in ways() {
        for (name, lease_ms) in leases {
            assert_eq!(functions[name].timeout_seconds * 1_000, lease_ms, "{name}, {way}");
        }
        for (name, function) in functions.iter().filter(|(_, function)| !function.routes.is_empty()) {
            assert!(function.timeout_seconds < 30, "API Gateway waits for 30 seconds, {name} may take longer, {way}");
        }
        assert!(functions["sweeper"].timeout_seconds <= 60, "the next sweep begins after a minute, {way}");
    }
}
