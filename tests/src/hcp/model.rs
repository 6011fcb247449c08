//! Everything the simulator knows, in one struct behind one lock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::clock::Clock;
use super::core::Job;
use super::evaluate::{Outputs, ReadState};
use super::faults::Faults;
use super::limits::Limiter;
use super::notify::{Configuration, Outgoing};
use super::options::{Options, Rights, TokenKind};
use super::program::Program;
use super::spec::WorkspaceSpec;
use super::tasks::RunTasks;
use super::view::{Delivery, Event, Leak, RequestRecord, RunStatus};

/// How many events a slow subscriber may fall behind.
const EVENTS_KEPT: usize = 4096;

pub(super) struct World {
    pub options: Options,
    /// `http://127.0.0.1:port` of the API.
    pub address: String,
    /// The same of the archivist.
    pub archivist: String,
    pub clock: Clock,
    ids: BTreeMap<&'static str, u64>,
    pub workspaces: BTreeMap<String, Workspace>,
    /// Ids by organization and name.
    pub names: BTreeMap<(String, String), String>,
    pub organizations: BTreeSet<String>,
    /// By id: the organization and the name of each.
    pub projects: BTreeMap<String, (String, String)>,
    pub runs: BTreeMap<String, Run>,
    pub state_versions: BTreeMap<String, StateVersion>,
    pub configurations: BTreeMap<String, Configuration>,
    pub tokens: BTreeMap<String, Token>,
    pub tasks: RunTasks,
    pub faults: Faults,
    pub limiter: Limiter,
    /// What is to be done once the lock is released.
    pub outbox: Vec<Job>,
    /// How many jobs are not done yet. None: nothing moves unless somebody moves it.
    pub jobs: usize,
    /// Deliveries to send in this order, by configuration and run. An entry means that a worker is at it.
    pub queues: BTreeMap<QueueKey, VecDeque<Outgoing>>,
    /// Deliveries that a fault holds back until the next one of their configuration has been sent.
    pub held: BTreeMap<String, Outgoing>,
    pub history: Vec<Event>,
    pub events: broadcast::Sender<Event>,
    pub deliveries: Vec<Delivery>,
    pub requests: Vec<RequestRecord>,
    pub leaks: Vec<Leak>,
}

/// A configuration's id and a run's.
pub(super) type QueueKey = (String, String);

pub(super) struct Token {
    pub kind: TokenKind,
    pub user: String,
    pub rights: Rights,
}

pub(super) struct Workspace {
    pub id: String,
    pub organization: String,
    pub name: String,
    pub created_at: OffsetDateTime,
    pub auto_apply: bool,
    pub tags: BTreeSet<String>,
    /// The id of its project.
    pub project: String,
    pub execution_mode: String,
    /// No token may change its settings.
    pub guarded: bool,
    pub program: Program,
    /// Counts configuration versions, also those that are gone.
    pub revision: u32,
    /// Without any configuration version, runs are refused.
    pub configured: bool,
    /// Locked by a person.
    pub locked: bool,
    /// The run whose turn it is.
    pub active: Option<String>,
    /// All of them, the oldest first.
    pub runs: Vec<String>,
    /// All of them, the oldest first.
    pub state_versions: Vec<String>,
    pub lineage: String,
    pub failures: Failures,
}

/// How a workspace's runs fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// This many plans fail.
    pub next_plans: u32,
    /// This many applies fail.
    pub next_applies: u32,
    /// Plans fail while this is set.
    pub plans: bool,
    /// Applies fail while this is set.
    pub applies: bool,
    /// A failing apply writes its state all the same, as Terraform does when one resource of several fails.
    pub keep_state: bool,
}

pub(super) struct Run {
    pub id: String,
    pub workspace: String,
    pub status: RunStatus,
    /// With the workspace's setting where it left auto-apply open.
    pub asked: RunOptions,
    pub program: Program,
    pub revision: u32,
    pub created_at: OffsetDateTime,
    /// Every status it had, and since when.
    pub statuses: Vec<(RunStatus, OffsetDateTime)>,
    /// What the plan came to, from its start on.
    pub plan: Option<Result<Plan, String>>,
    pub error: Option<String>,
    pub has_changes: bool,
    pub cancel_asked: bool,
    /// Made together with the workspace's first state, not by anything that happened.
    pub day_one: bool,
}

/// What a run is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "these are HCP Terraform's own attributes of a run")]
pub struct RunOptions {
    /// Its message.
    pub message: String,
    /// Who asks.
    pub created_by: String,
    /// `tfe-configuration-version`, `tfe-api` or `tfe-ui`.
    pub source: String,
    /// Apply without confirmation; `None` is the workspace's setting.
    pub auto_apply: Option<bool>,
    /// Destroy everything.
    pub is_destroy: bool,
    /// Speculative: a plan and no more.
    pub plan_only: bool,
    /// Apply even when there is nothing to change.
    pub allow_empty_apply: bool,
    /// Only take over what changed outside.
    pub refresh_only: bool,
}

impl RunOptions {
    /// A run as a pushed commit makes it, with this message.
    #[must_use]
    pub fn new(message: &str) -> Self {
        Self {
            message: message.to_owned(),
            created_by: "jo".to_owned(),
            source: "tfe-configuration-version".to_owned(),
            auto_apply: None,
            is_destroy: false,
            plan_only: false,
            allow_empty_apply: false,
            refresh_only: false,
        }
    }

    /// A run that destroys everything.
    #[must_use]
    pub fn destroy(message: &str) -> Self {
        Self { is_destroy: true, ..Self::new(message) }
    }

    /// A speculative run.
    #[must_use]
    pub fn plan_only(message: &str) -> Self {
        Self { plan_only: true, ..Self::new(message) }
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self::new("Triggered via UI")
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub reads: Vec<ReadState>,
    pub outputs: Outputs,
    /// What the managed resource is to look like.
    pub mark: String,
    /// The state version it was compared with.
    pub before: Option<String>,
    pub has_changes: bool,
}

pub(super) struct StateVersion {
    pub id: String,
    pub workspace: String,
    pub run: Option<String>,
    pub serial: u64,
    pub created_at: OffsetDateTime,
    pub current_from: Instant,
    pub processed_from: Instant,
    pub body: Vec<u8>,
    pub terraform_version: String,
    pub outputs: Outputs,
    pub reads: Vec<ReadState>,
    /// What its managed resource looks like; none after a destroy, and unknown of a state that a test wrote.
    pub mark: Option<String>,
    pub destroyed: bool,
    /// `resources[]` of the API.
    pub resources: Vec<Value>,
}

impl World {
    pub fn new(options: Options, address: String, archivist: String) -> Self {
        let organizations = BTreeSet::from([options.organization.clone()]);
        let token = Token { kind: TokenKind::User, user: options.user.clone(), rights: Rights::ALL };
        Self {
            tokens: BTreeMap::from([(options.token.clone(), token)]),
            options,
            address,
            archivist,
            clock: Clock::new(),
            ids: BTreeMap::new(),
            workspaces: BTreeMap::new(),
            names: BTreeMap::new(),
            organizations,
            projects: BTreeMap::new(),
            runs: BTreeMap::new(),
            state_versions: BTreeMap::new(),
            configurations: BTreeMap::new(),
            tasks: RunTasks::default(),
            faults: Faults::default(),
            limiter: Limiter::default(),
            outbox: Vec::new(),
            jobs: 0,
            queues: BTreeMap::new(),
            held: BTreeMap::new(),
            history: Vec::new(),
            events: broadcast::Sender::new(EVENTS_KEPT),
            deliveries: Vec::new(),
            requests: Vec::new(),
            leaks: Vec::new(),
        }
    }

    /// `ws-0000000000000001` and so on, for each prefix.
    pub fn next_id(&mut self, prefix: &'static str) -> String {
        let last = self.ids.entry(prefix).or_default();
        *last += 1;
        format!("{prefix}-{last:016}")
    }

    /// Has something done once the lock is released.
    pub fn push(&mut self, job: Job) {
        self.jobs += 1;
        self.outbox.push(job);
    }

    pub fn add_workspace(&mut self, spec: WorkspaceSpec) -> String {
        let id = self.next_id("ws");
        let organization = spec.organization.unwrap_or_else(|| self.options.organization.clone());
        let key = (organization.clone(), spec.name.clone());
        assert!(!self.names.contains_key(&key), "there is a workspace {}/{} already", key.0, key.1);
        self.names.insert(key, id.clone());
        self.organizations.insert(organization.clone());
        let project = self.project_named(&organization, &spec.project);
        let workspace = Workspace {
            id: id.clone(),
            organization,
            name: spec.name,
            created_at: self.clock.day_one(),
            auto_apply: spec.auto_apply,
            tags: spec.tags,
            project,
            execution_mode: spec.execution_mode,
            guarded: false,
            program: spec.program,
            revision: u32::from(spec.configured),
            configured: spec.configured,
            locked: false,
            active: None,
            runs: Vec::new(),
            state_versions: Vec::new(),
            lineage: format!("00000000-0000-4000-8000-{:0>12}", &id[id.len() - 12..]),
            failures: Failures::default(),
        };
        self.workspaces.insert(id.clone(), workspace);
        id
    }

    /// The id of a project, which is made if there is none of that name.
    pub fn project_named(&mut self, organization: &str, name: &str) -> String {
        let wanted = (organization.to_owned(), name.to_owned());
        if let Some((id, _)) = self.projects.iter().find(|(_, project)| **project == wanted) {
            return id.clone();
        }
        let id = self.next_id("prj");
        self.projects.insert(id.clone(), wanted);
        id
    }

    /// The workspace and all that belongs to it are gone; what is under way in it comes to nothing.
    pub fn delete_workspace(&mut self, id: &str) {
        if let Some(workspace) = self.workspaces.remove(id) {
            self.names.remove(&(workspace.organization, workspace.name));
            self.runs.retain(|_, run| run.workspace != id);
            self.state_versions.retain(|_, version| version.workspace != id);
            self.configurations.retain(|_, configuration| configuration.subscriber != id);
            self.forget_tasks_of(id);
        }
    }

    /// Whether the name was free.
    pub fn rename_workspace(&mut self, id: &str, name: &str) -> bool {
        let Some(workspace) = self.workspaces.get_mut(id) else { return false };
        let old = (workspace.organization.clone(), workspace.name.clone());
        let new = (workspace.organization.clone(), name.to_owned());
        if self.names.contains_key(&new) {
            return old == new;
        }
        self.names.remove(&old);
        name.clone_into(&mut workspace.name);
        self.names.insert(new, id.to_owned());
        true
    }

    /// The workspace by id, by name, or by `organization/name`.
    pub fn find(&self, workspace: &str) -> Option<&Workspace> {
        let default = (self.options.organization.as_str(), workspace);
        let (organization, name) = workspace.split_once('/').unwrap_or(default);
        let named = self.names.get(&(organization.to_owned(), name.to_owned()));
        self.workspaces.get(named.map_or(workspace, String::as_str))
    }

    /// The newest state version that is visible yet.
    pub fn current_state(&self, workspace: &Workspace) -> Option<&StateVersion> {
        let now = Instant::now();
        let versions = workspace.state_versions.iter().rev().filter_map(|id| self.state_versions.get(id));
        versions.into_iter().find(|version| version.current_from <= now)
    }
}
