//! Every function in one process: HTTP routes for those behind the gateway, a dispatcher for those that work.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use sluice_aws::secrets::KeyCache;
use sluice_aws::{Table, TablePace};
use sluice_context_api::ContextApi;
use sluice_domain::foresee::{ForeseeError, foresee};
use sluice_domain::pace::Paced;
use sluice_domain::picture::Picture;
use sluice_domain::ports::{FactStore, StoreError, Sweeps};
use sluice_domain::reach::ReachError;
use sluice_domain::{Host as TerraformHost, Queue, WorkKey, Workspace};
use sluice_hcp_client::{Client, TaskClient};
use sluice_job_runner::Jobs;
use sluice_lambda::now;
use sluice_notification_receiver::{BODY_BYTES_MAX, Receiver};
use sluice_run_creator::Creator;
use sluice_run_task_receiver::{REQUEST_BYTES_MAX, Receiver as GateReceiver};
use sluice_run_task_relay::Relay;
use sluice_state_indexer::Indexer;
use sluice_task_runner::{Checks, Runner};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{error, info, warn};

use crate::cluster::AnyCluster;

/// Most works of a queue under way at once: no queue can use up what another needs.
fn workers_max(queue: Queue) -> usize {
    match queue {
        Queue::Index => 6,
        Queue::Create => 4,
        Queue::Bulk => 3,
        Queue::Check => 8,
        Queue::Job => 32,
        Queue::Relay => 16,
        Queue::Dead => 0,
    }
}

/// Most due works of a queue that the dispatcher looks at: more than may be under way, so that those do not hide others.
const DUE_MAX: u16 = 50;

/// How long the dispatcher sleeps when nothing rings, in milliseconds.
const IDLE_MS: u64 = 200;

/// How often it leaves a pulse: as often as sweeper does, whose work it does here.
const PULSE: Duration = Duration::from_mins(1);

/// How long requests and work under way may take to end once the process was told to stop: Docker kills after ten
/// seconds.
const GRACE: Duration = Duration::from_secs(8);

/// The functions, built once.
pub struct Functions {
    /// The table they share.
    pub table: Table,
    /// The instance they stand beside.
    pub terraform: TerraformHost,
    /// `POST /notifications`.
    pub receiver: Receiver<Table>,
    /// Works of the index queue.
    pub indexer: Indexer<Table, Paced<Client, TablePace>>,
    /// Works of the create queue.
    pub creator: Creator<Table, Paced<Client, TablePace>>,
    /// Run tasks.
    pub gate: Gate,
    /// `GET|POST|PATCH /context/v1/{runId}`.
    pub context: ContextApi<Table>,
}

/// The functions of the gate.
pub struct Gate {
    /// `POST /run-tasks/{task}` and what other checkers ask.
    pub receiver: GateReceiver<Table, KeyCache>,
    /// Works of the check queue.
    pub runner: Runner<Table, Checks<Table>>,
    /// Works of the job queue.
    pub job_runner: Runner<Table, Jobs<Table, AnyCluster>>,
    /// Works of the relay queue.
    pub relay: Relay<Table, TaskClient>,
}

struct Host {
    functions: Functions,
    doorbell: Notify,
}

/// Serves until `shutdown`, then lets requests and work under way come to their end, for a while.
pub async fn serve(
    functions: Functions,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let host = Arc::new(Host { functions, doorbell: Notify::new() });
    let (stop, stopping) = watch::channel(false);
    let mut dispatcher = tokio::spawn(dispatch(host.clone(), stopping.clone()));
    let router = Router::new()
        .route("/notifications", any(notifications))
        .route("/run-tasks/{*rest}", any(gate))
        .route("/task-results/{*rest}", any(gate))
        .route("/context/{*rest}", any(context))
        .route("/healthz", get(healthz))
        .route("/plan/{organization}/{workspace}", get(plan))
        .route("/{graph}", get(graph))
        .with_state(host);
    let told = stop.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        told.send_replace(true);
    });
    let ending = async {
        let served = serving.await;
        stop.send_replace(true);
        // It only fails by a panic, which is logged where it happens.
        drop((&mut dispatcher).await);
        served
    };
    let ended = tokio::select! {
        served = ending => Some(served),
        () = grace(stopping) => None,
    };
    ended.unwrap_or_else(|| {
        dispatcher.abort();
        warn!("requests or work did not end in time: work that was under way will be done again");
        Ok(())
    })
}

/// Resolves when the time to end is over.
async fn grace(mut stopping: watch::Receiver<bool>) {
    // The sender outlives this, so it only ends by being told.
    drop(stopping.wait_for(|stopping| *stopping).await);
    tokio::time::sleep(GRACE).await;
}

async fn notifications(State(host): State<Arc<Host>>, request: Request) -> Response {
    let Some(request) = read(request, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let answer = sluice_notification_receiver::handle(&host.functions.receiver, request, now()).await;
    host.doorbell.notify_one();
    answer.map(axum::body::Body::from)
}

/// What HCP Terraform asks run tasks, and what other checkers answer or ask.
async fn gate(State(host): State<Arc<Host>>, request: Request) -> Response {
    let Some(request) = read(request, REQUEST_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let answer = sluice_run_task_receiver::handle(&host.functions.gate.receiver, request, now()).await;
    host.doorbell.notify_one();
    answer.map(axum::body::Body::from)
}

/// What the checks of a run leave for each other. It makes no work due.
async fn context(State(host): State<Arc<Host>>, request: Request) -> Response {
    let answer = match read(request, sluice_context_api::REQUEST_BYTES_MAX).await {
        Some(request) => sluice_context_api::handle(&host.functions.context, request, now()).await,
        None => sluice_context_api::too_large(),
    };
    answer.map(axum::body::Body::from)
}

/// A request as the functions take it. One byte more than is allowed tells them that there was more, without holding it.
async fn read(request: Request, bytes_max: usize) -> Option<http::Request<bytes::Bytes>> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, bytes_max + 1).await.ok()?;
    Some(http::Request::from_parts(parts, body))
}

async fn healthz(State(host): State<Arc<Host>>) -> Response {
    match host.functions.table.ready().await {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn graph(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Response {
    let Some(format) = name.strip_prefix("graph.").and_then(crate::graph::Format::of_extension) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match picture(&host.functions.table, &host.functions.terraform).await {
        Ok(picture) => ([(header::CONTENT_TYPE, format.content_type())], format.write(&picture)).into_response(),
        Err(error) => unavailable(&error),
    }
}

/// What would run if the outputs that the query names (`output=a&output=b`), or all of them, changed.
async fn plan(
    State(host): State<Arc<Host>>,
    Path((organization, name)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let functions = &host.functions;
    let Ok(root) = crate::plan::workspace(&functions.terraform, &format!("{organization}/{name}")) else {
        return (StatusCode::NOT_FOUND, "there is no such workspace\n").into_response();
    };
    let outputs = query.into_iter().filter(|(key, _)| key == "output").map(|(_, value)| value).collect();
    match foresee(&functions.table, &root, &outputs, &functions.indexer.policy, now()).await {
        Ok(foreseen) => ([(header::CONTENT_TYPE, "application/json")], crate::plan::json(&foreseen)).into_response(),
        Err(ForeseeError::Reach(ReachError::Store(error))) => unavailable(&error),
        Err(error @ ForeseeError::Reach(_)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
        Err(error) => (StatusCode::NOT_FOUND, format!("{error}\n")).into_response(),
    }
}

fn unavailable(error: &StoreError) -> Response {
    error!("{}", sluice_domain::chain(error));
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "the table does not answer\n").into_response()
}

/// Everything known of the workspaces of `terraform`, as a picture.
pub async fn picture(table: &Table, terraform: &TerraformHost) -> Result<Picture, StoreError> {
    let workspaces = table.workspaces(terraform).await?;
    let known = table.known(&workspaces).await?;
    let known: BTreeMap<Workspace, _> =
        known.into_iter().map(|(name, known)| (name, (known.facts, known.decision))).collect();
    Ok(Picture::new(&known))
}

/// Hands due work to its function. What sweeper does every minute in an account, this does at once.
async fn dispatch(host: Arc<Host>, mut stopping: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    let mut under_way: BTreeMap<Id, WorkKey> = BTreeMap::new();
    let mut pulse = Heart::default();
    loop {
        pulse.beat_in_time(&host.functions.table);
        if !*stopping.borrow() {
            let due =
                sluice_sweeper::due_at_most(&host.functions.table, now(), DUE_MAX).await.unwrap_or_else(|error| {
                    error!("{}", sluice_domain::chain(&error));
                    Vec::new()
                });
            for key in due {
                let queue = key.queue();
                let busy = under_way.values().filter(|other| other.queue() == queue).count();
                if busy < workers_max(queue) && !under_way.values().any(|other| *other == key) {
                    pulse.works += 1;
                    let task = tasks.spawn(work(host.clone(), key.clone()));
                    under_way.insert(task.id(), key);
                }
            }
        } else if under_way.is_empty() {
            return;
        }
        tokio::select! {
            Some(ended) = tasks.join_next_with_id() => {
                forget(&mut under_way, ended);
                // To look for what is due takes longer than many a work: whatever has ended makes room at once.
                while let Some(ended) = tasks.try_join_next_with_id() {
                    forget(&mut under_way, ended);
                }
            }
            () = host.doorbell.notified() => {}
            _ = stopping.changed() => info!("stopping: {} works under way", under_way.len()),
            () = tokio::time::sleep(Duration::from_millis(IDLE_MS)) => {}
        }
    }
}

/// Leaves pulses, beside the work.
#[derive(Default)]
struct Heart {
    last: Option<Instant>,
    /// How many works were begun since then.
    works: usize,
}

impl Heart {
    fn beat_in_time(&mut self, table: &Table) {
        if self.last.is_some_and(|last| last.elapsed() < PULSE) {
            return;
        }
        self.last = Some(Instant::now());
        let (table, works) = (table.clone(), std::mem::take(&mut self.works));
        tokio::spawn(async move { sluice_sweeper::beat(&table, Sweeps::Serve, &Ok(works), now()).await });
    }
}

/// Work is over, well or by a panic.
fn forget(under_way: &mut BTreeMap<Id, WorkKey>, ended: Result<(Id, ()), JoinError>) {
    let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
    let key = under_way.remove(&id);
    if let (Err(error), Some(key)) = (ended, key) {
        error!("{key} is left for when its lease runs out: {error}");
    }
}

async fn work(host: Arc<Host>, key: WorkKey) {
    let functions = &host.functions;
    let result = match &key {
        WorkKey::Create(_) => sluice_run_creator::handle(&functions.creator, &key, now()).await,
        WorkKey::Check(..) => sluice_task_runner::handle(&functions.gate.runner, &key, now()).await,
        WorkKey::Job(..) => sluice_job_runner::handle(&functions.gate.job_runner, &key, now()).await,
        WorkKey::Relay(_) => sluice_run_task_relay::handle(&functions.gate.relay, &key, now()).await,
        _ => sluice_state_indexer::handle(&functions.indexer, &key, now()).await,
    };
    if let Err(error) = result {
        error!(work = %key, "{key} is left for when its lease runs out: {}", sluice_domain::chain(&error));
    }
}
