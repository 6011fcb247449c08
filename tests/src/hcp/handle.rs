//! The handle: starts and stops the simulator, and tells what it has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use axum::Router;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use super::api::{self, Sockets};
use super::core::Core;
use super::model::{Run, Workspace, World};
use super::options::Options;
use super::view::{Delivery, Event, Exceeded, Leak, RequestRecord, RunStatus, RunView};

/// A running simulator. Clones are handles to the same one; it stops when the last of them is dropped.
#[derive(Clone)]
pub struct Hcp {
    pub(super) core: Arc<Core>,
    _stop: Arc<Stop>,
}

/// Background tasks hold the core as well, so that it is not its own drop that tells them to end.
struct Stop(Arc<Core>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Hcp {
    /// Starts a simulator on a port of the loopback.
    ///
    /// # Panics
    ///
    /// If the port is taken.
    pub async fn start(options: Options) -> Self {
        Self::try_start(options).await.expect("the port on the loopback is free")
    }

    /// Starts a simulator, unless the port is taken.
    pub async fn try_start(options: Options) -> io::Result<Self> {
        let api = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let archivist = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = |listener: &TcpListener| listener.local_addr().map(|address| format!("http://{address}"));
        let core = Core::new(World::new(options, address(&api)?, address(&archivist)?));
        serve(&core, api);
        serve(&core, archivist);
        Ok(Self { _stop: Arc::new(Stop(Arc::clone(&core))), core })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.core.look(|world| world.address.clone())
    }

    /// `127.0.0.1:port`: the `hostname` in configurations that read from here.
    #[must_use]
    pub fn host(&self) -> String {
        self.address().trim_start_matches("http://").to_owned()
    }

    /// The user token that is valid from the start.
    #[must_use]
    pub fn token(&self) -> String {
        self.core.look(|world| world.options.token.clone())
    }

    /// The default organization.
    #[must_use]
    pub fn organization(&self) -> String {
        self.core.look(|world| world.options.organization.clone())
    }

    /// Waits until nothing moves unless somebody moves it: every run is final, waits for confirmation, or stands in the
    /// queue behind one that does or in a locked workspace, or waits for run tasks that have been asked; and no delivery
    /// is under way. A receiver may still be at work on what it was told.
    pub async fn settled(&self) {
        self.core.settled().await;
    }

    /// What has happened to runs so far.
    #[must_use]
    pub fn history(&self) -> Vec<Event> {
        self.core.look(|world| world.history.clone())
    }

    /// What happens to runs from now on. A receiver more than a few thousand events behind misses some.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.core.look(|world| world.events.subscribe())
    }

    /// Every notification that was sent or lost, in the order of their ends.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.core.look(|world| world.deliveries.clone())
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.core.look(|world| world.requests.clone())
    }

    /// How many requests of a route there were, whatever came of them.
    #[must_use]
    pub fn count(&self, route: api::Route) -> usize {
        let counted = |request: &&RequestRecord| route == api::Route::Any || request.route == route;
        self.core.look(|world| world.requests.iter().filter(counted).count())
    }

    /// How often the request limits were exceeded.
    #[must_use]
    pub fn exceeded(&self) -> Exceeded {
        self.core.look(|world| world.limiter.exceeded)
    }

    /// Tokens that were sent where they must not go: bearer tokens to the archivist, and access tokens of task results
    /// anywhere but to their own callback, the plan and the configuration of their run.
    #[must_use]
    pub fn leaks(&self) -> Vec<Leak> {
        self.core.look(|world| world.leaks.clone())
    }

    /// The workspaces' names, as `organization/name`.
    #[must_use]
    pub fn workspaces(&self) -> Vec<String> {
        let full = |(organization, name): &(String, String)| format!("{organization}/{name}");
        self.core.look(|world| world.names.keys().map(full).collect())
    }

    /// The id of a workspace, here and below by its name, by `organization/name` or by its id.
    ///
    /// # Panics
    ///
    /// This and every other method that takes a workspace: if there is none like this.
    #[must_use]
    #[track_caller]
    pub fn workspace_id(&self, workspace: &str) -> String {
        self.of(workspace, |_, workspace| workspace.id.clone())
    }

    /// Whether there is such a workspace.
    #[must_use]
    pub fn has_workspace(&self, workspace: &str) -> bool {
        self.core.look(|world| world.find(workspace).is_some())
    }

    /// A workspace's runs in the order of creation, without those of [`apply_now`](Self::apply_now).
    #[must_use]
    #[track_caller]
    pub fn runs(&self, workspace: &str) -> Vec<RunView> {
        self.of(workspace, |world, workspace| {
            let runs = workspace.runs.iter().filter_map(|id| world.runs.get(id));
            runs.filter(|run| !run.day_one).map(|run| view(run, &workspace.name)).collect()
        })
    }

    /// A run, if it is there (still).
    #[must_use]
    pub fn run(&self, id: &str) -> Option<RunView> {
        self.core.look(|world| {
            let run = world.runs.get(id)?;
            world.workspaces.get(&run.workspace).map(|workspace| view(run, &workspace.name))
        })
    }

    /// The root outputs of a workspace's current state; none without a state.
    #[must_use]
    #[track_caller]
    pub fn outputs(&self, workspace: &str) -> BTreeMap<String, Value> {
        self.of(workspace, |world, workspace| {
            let outputs = world.current_state(workspace).map(|version| &version.outputs);
            let values = outputs.into_iter().flatten().map(|(name, output)| (name.clone(), output.value.clone()));
            values.collect()
        })
    }

    /// What a workspace's current state says it read, by the data sources' names.
    #[must_use]
    #[track_caller]
    pub fn copies(&self, workspace: &str) -> BTreeMap<String, BTreeMap<String, Value>> {
        self.of(workspace, |world, workspace| {
            let reads = world.current_state(workspace).map(|version| &version.reads);
            let values = |outputs: &super::evaluate::Outputs| {
                outputs.iter().map(|(name, output)| (name.clone(), output.value.clone())).collect()
            };
            reads.into_iter().flatten().map(|it| (it.read.name.clone(), values(&it.outputs))).collect()
        })
    }

    /// The workspaces whose current state holds other values than those of the workspaces they read, and which these
    /// are, all as `organization/name`.
    #[must_use]
    pub fn outdated(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.core.look(|world| {
            let mut outdated: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for workspace in world.workspaces.values() {
                let reads = world.current_state(workspace).map(|version| version.reads.as_slice());
                for read in reads.unwrap_or_default() {
                    let producer = format!("{}/{}", read.read.organization, read.read.workspace);
                    let current = world.find(&producer).and_then(|workspace| world.current_state(workspace));
                    if current.is_some_and(|version| version.outputs != read.outputs) {
                        let consumer = format!("{}/{}", workspace.organization, workspace.name);
                        outdated.entry(consumer).or_default().insert(producer);
                    }
                }
            }
            outdated
        })
    }

    /// A workspace's current state file.
    #[must_use]
    #[track_caller]
    pub fn state_body(&self, workspace: &str) -> Option<Vec<u8>> {
        self.of(workspace, |world, workspace| world.current_state(workspace).map(|version| version.body.clone()))
    }

    /// The serial of a workspace's current state; 0 without a state.
    #[must_use]
    #[track_caller]
    pub fn serial(&self, workspace: &str) -> u64 {
        self.of(workspace, |world, workspace| world.current_state(workspace).map_or(0, |version| version.serial))
    }

    #[track_caller]
    pub(super) fn of<R>(&self, workspace: &str, look: impl FnOnce(&World, &Workspace) -> R) -> R {
        let found = self.core.look(|world| world.find(workspace).map(|workspace| look(world, workspace)));
        found.unwrap_or_else(|| panic!("there is no workspace {workspace}"))
    }
}

fn serve(core: &Arc<Core>, listener: TcpListener) {
    let router = Router::new().fallback(api::serve).with_state(Arc::clone(core));
    let service = router.into_make_service_with_connect_info::<api::Line>();
    core.spawn(async move {
        // It only ends with the task.
        let _ = axum::serve(Sockets(listener), service).await;
    });
}

fn view(run: &Run, workspace: &str) -> RunView {
    let since = |wanted: fn(RunStatus) -> bool| {
        let mut statuses = run.statuses.iter();
        statuses.find(|(status, _)| wanted(*status)).map(|(_, at)| *at)
    };
    RunView {
        id: run.id.clone(),
        workspace: workspace.to_owned(),
        status: run.status,
        message: run.asked.message.clone(),
        created_by: run.asked.created_by.clone(),
        source: run.asked.source.clone(),
        created_at: run.created_at,
        planning_at: since(|status| status == RunStatus::Planning),
        finished_at: since(RunStatus::is_final),
        has_changes: run.has_changes,
        plan_only: run.asked.plan_only,
        is_destroy: run.asked.is_destroy,
        error: run.error.clone(),
    }
}
