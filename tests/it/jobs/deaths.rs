//! Every step of a job, killed there: the process dies before or after each thing that it writes down, and at each
//! request to the cluster, and another one takes over when the leases have run out. There was one Job, its program ran
//! once, there was one last word, and nothing is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, ListParams};
use serde_json::json;
use sluice_aws::Table;
use sluice_aws::secrets::KeyCache;
use sluice_domain::context::Document;
use sluice_domain::ports::{ContextKey, ContextStore, GateStore, Kept, StoreError};
use sluice_domain::{RunId, Standing, TaskResultId, Timestamp, WorkKey, Workspace};
use sluice_hcp_client::TaskClient;
use sluice_job_runner::{JobSettings, Jobs, Runner};
use sluice_kubernetes::Kubernetes;
use sluice_lambda::now;
use sluice_local::store::Embedded;
use sluice_run_task_receiver::Receiver;
use sluice_run_task_relay::Relay;
use sluice_task_runner::LEASE_MS;
use sluice_tests::hcp::{Enforcement, Hcp, Options, RunOptions, RunTaskSpec, Stage, TaskResultView, Timings};
use sluice_tests::kubernetes::{Cluster, Fault, Kubelet, Mishap, RequestRecord};
use tokio::net::TcpListener;

use super::scene::{IMAGE, NAMESPACE, check, connect, jobs_ever, namespace, sh};
use crate::bins::scripts_can_run;
use crate::gate::scene::{KEY, PATIENCE, after_plan, settings, until};
use crate::redelivery::{Death, Life, Mortal, no_store};
use crate::serve::client;
use crate::world::{Settings, add, build};

impl ContextStore for Mortal<Table> {
    async fn context_workspaces(&self, run: &RunId) -> Result<Vec<Workspace>, StoreError> {
        self.life.look(self.inner.context_workspaces(run), no_store).await
    }

    async fn context_standing(&self, of: &ContextKey) -> Result<Option<Standing>, StoreError> {
        self.life.look(self.inner.context_standing(of), no_store).await
    }

    async fn context(&self, of: &ContextKey) -> Result<Kept, StoreError> {
        self.life.look(self.inner.context(of), no_store).await
    }

    async fn context_version(&self, of: &ContextKey) -> Result<u64, StoreError> {
        self.life.look(self.inner.context_version(of), no_store).await
    }

    async fn put_context(
        &self,
        of: &ContextKey,
        document: &Document,
        version: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.life.effect(self.inner.put_context(of, document, version, now), no_store).await
    }
}

/// A program that counts how often it was started, leaves something, and objects.
const PROGRAM: &str = "echo $TASK_DATA_ID >> $STARTS; account=$SLUICE_TEST_ROOT/var/run/secrets/kubernetes.io/serviceaccount; \
    curl -sSf -o /dev/null -X PATCH -H \"Authorization: Bearer $(cat $account/token)\" \
      -H 'Content-Type: application/merge-patch+json' \
      --data '{\"metadata\":{\"annotations\":{\"lagoon.sh/taskData\":\"eyJmb3VuZCI6N30=\"}}}' \
      $KUBERNETES_API/api/v1/namespaces/$NAMESPACE/pods/$PODNAME && echo too much; exit 3";

/// What may become of the first process.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Blow {
    /// Nothing.
    None,
    /// It dies at something that it writes down.
    Table(Death),
    /// It dies while it waits for the answer to a request to the cluster, which does nothing. To die after a request is
    /// to die before whatever comes next.
    Cluster(At),
    /// It lives on, and the cluster goes wrong at that request.
    Wrong(At, Mishap),
}

/// One of a process's requests to the cluster, and how many of its kind come before it. Programs make others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct At {
    request: RequestRecord,
    skip: u32,
}

/// The requests as places to die at.
fn places(requests: Vec<RequestRecord>) -> Vec<At> {
    let mut seen = BTreeMap::<_, u32>::new();
    let place = |request: RequestRecord| {
        let count = seen.entry((request.verb.clone(), request.resource.clone())).or_default();
        *count += 1;
        At { skip: *count - 1, request }
    };
    requests.into_iter().map(place).collect()
}

/// One process.
struct Process {
    runner: Runner<Mortal<Table>, Jobs<Mortal<Table>, Kubernetes>>,
    relay: Relay<Mortal<Table>, Mortal<TaskClient>>,
    life: Arc<Life>,
}

/// What answers HCP Terraform, and how far the clock is ahead of real time.
struct Front {
    receiver: Receiver<Table, KeyCache>,
    ahead_ms: AtomicU64,
}

struct Rig {
    hcp: Hcp,
    table: Table,
    cluster: Cluster,
    kubelet: Kubelet,
    settings: Settings,
    front: Arc<Front>,
    directory: tempfile::TempDir,
    _store: Embedded,
}

async fn receive(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let request = http::Request::from_parts(parts, body);
    sluice_run_task_receiver::handle(&front.receiver, request, front.now()).await.map(axum::body::Body::from)
}

impl Front {
    fn now(&self) -> Timestamp {
        now().plus_ms(self.ahead_ms.load(Ordering::SeqCst))
    }
}

impl Rig {
    async fn new() -> Self {
        let timings = Timings::uniform(Duration::from_millis(2));
        let hcp = Hcp::start(Options { timings, ..Options::default() }).await;
        add(&hcp, "a");
        let store = Embedded::open(None).await.unwrap();
        let table = store.table.clone();
        let cluster = Cluster::start().await;
        namespace(&cluster.client().await, NAMESPACE).await;
        let directory = tempfile::tempdir().unwrap();
        let starts = directory.path().join("starts");
        let kubelet = Kubelet::start(&cluster, [(IMAGE, sh(PROGRAM).env("STARTS", starts.to_str().unwrap()))]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let jobs =
            JobSettings { public_url: Some(url.clone()), namespace: NAMESPACE.to_owned(), ..JobSettings::default() };
        let settings = Settings { jobs, ..settings() };
        let receiver = build(&hcp, &table, settings.clone()).gate.receiver;
        let front = Arc::new(Front { receiver, ahead_ms: AtomicU64::new(0) });
        let router = axum::Router::new().fallback(receive).with_state(front.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let account = json!({ "EPHEMERAL_CONFIG_SERVICE_ACCOUNT": "default" });
        let mut definition = after_plan(&json!([check("cost", json!({ "image": IMAGE, "settings": account }))]));
        definition["timeout_seconds"] = json!(3_000);
        table.put_task(&"guard".parse().unwrap(), &definition.to_string()).await.unwrap();
        let spec = RunTaskSpec::new("guard", &format!("{url}/run-tasks/guard")).hmac_key(KEY);
        let task = hcp.create_run_task(spec).await.unwrap();
        hcp.attach_run_task("a", &task, Enforcement::Advisory, &[Stage::PostPlan]);
        Self { hcp, table, cluster, kubelet, settings, front, directory, _store: store }
    }

    async fn start(&self, death: Option<Death>) -> Process {
        let life = Life::new(death);
        let gate = build(&self.hcp, &self.table, self.settings.clone()).gate;
        let store = || Mortal { inner: self.table.clone(), life: life.clone() };
        let keys = gate.relay.keys.clone();
        let cluster = connect(&self.cluster, &Arc::new(AtomicU64::new(0))).await;
        let jobs = Jobs { store: store(), cluster, keys: keys.clone(), settings: self.settings.jobs.clone() };
        Process {
            runner: Runner { store: store(), executor: jobs, keys: None },
            relay: Relay {
                store: store(),
                terraform: Mortal { inner: gate.relay.terraform, life: life.clone() },
                keys,
            },
            life,
        }
    }

    /// One piece of work after the other, until the answer is given and nothing is left to do, or the process is dead.
    async fn work(&self, process: &Process, before: usize) {
        loop {
            let due = sluice_sweeper::due(&self.table, self.front.now()).await.unwrap();
            for key in due.iter().filter(|key| matches!(key, WorkKey::Job(..) | WorkKey::Relay(_))) {
                let now = self.front.now();
                let handled = match key {
                    WorkKey::Job(..) => sluice_job_runner::handle(&process.runner, key, now).await,
                    _ => sluice_run_task_relay::handle(&process.relay, key, now).await,
                };
                assert!(handled.is_ok() || process.life.dead(), "{key}: {handled:?}");
            }
            let results = self.hcp.task_results("a");
            let over = results.get(before).is_some_and(|result| result.status.is_final());
            if process.life.dead() || (over && due.is_empty() && self.over(&results[before]).await) {
                return;
            }
            if due.is_empty() {
                // Somebody else's turn: HCP Terraform's; or a wait has to pass.
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.front.ahead_ms.fetch_add(2_000, Ordering::SeqCst);
            }
        }
    }

    /// Nothing is due of it, ever.
    async fn over(&self, result: &TaskResultView) -> bool {
        let later = Timestamp(self.front.now().0 + 10_000_000);
        let gated = self.table.gated(&known_as(result)).await.unwrap();
        gated.is_some_and(|gated| gated.state.end.is_some())
            && sluice_sweeper::due(&self.table, later).await.unwrap().iter().all(|key| !is_of_gate(key))
    }

    /// Waits for the moment at which the cluster does not answer. Whoever asked is dead then.
    async fn unanswered(&self) {
        until("that request is never made", async || self.cluster.faults_left().is_empty().then_some(())).await;
    }

    /// The requests of processes so far, without those of programs.
    fn requests(&self) -> Vec<RequestRecord> {
        let mut requests = self.cluster.requests();
        requests.retain(|request| !request.user.starts_with("system:serviceaccount:"));
        requests
    }

    /// A run is gated; the process dies once, and another takes over. How many effects the first had, and the requests
    /// that were made.
    async fn gate(&self, blow: Blow) -> (usize, Vec<At>) {
        let (before, asked) = (self.hcp.task_results("a").len(), self.requests().len());
        let death = match &blow {
            Blow::Table(death) => Some(*death),
            _ => None,
        };
        let first = self.start(death).await;
        let wrong = match &blow {
            Blow::Cluster(at) => Some((at, Mishap::Hang)),
            Blow::Wrong(at, what) => Some((at, *what)),
            _ => None,
        };
        if let Some((at, what)) = wrong {
            self.cluster.fault(Fault::next(&at.request.verb, &at.request.resource, what).skip(at.skip));
        }
        self.hcp.start_run("a", RunOptions { allow_empty_apply: true, ..RunOptions::new("gated") });
        let gated = async {
            let dead = if let Blow::Cluster(_) = &blow {
                tokio::select! {
                    biased;
                    () = self.unanswered() => true,
                    () = self.work(&first, before) => false,
                }
            } else {
                self.work(&first, before).await;
                first.life.dead()
            };
            if dead {
                // What the dead one had taken on is due when its leases end.
                self.front.ahead_ms.fetch_add(LEASE_MS, Ordering::SeqCst);
                self.work(&self.start(None).await, before).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, gated).await;
        let results = self.hcp.task_results("a");
        let requests = places(self.requests().split_off(asked));
        if let Some((at, _)) = wrong {
            self.forget_fault(at).await;
        }
        assert!(ended.is_ok(), "{blow:?}: no end of {:#?}; left: {:?}", results.last(), self.cluster.left());
        self.hcp.settled().await;
        self.assert_once(&blow, &results[before]).await;
        (first.life.effects.load(Ordering::SeqCst), requests)
    }

    /// Lets a fault strike that has not: how often a watch is begun anew is not always the same.
    async fn forget_fault(&self, at: &At) {
        let kubeconfig = self.cluster.kubeconfig();
        let token = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap();
        let RequestRecord { method, path, query, .. } = &at.request;
        let url = format!("{}{path}?{query}", self.cluster.url());
        while !self.cluster.faults_left().is_empty() {
            let request = client().request(method.parse().unwrap(), &url).bearer_auth(token);
            // It may be one that never answers.
            let _ = request.timeout(Duration::from_millis(50)).send().await;
        }
    }

    /// There was one of everything, and nothing is left.
    async fn assert_once(&self, blow: &Blow, result: &TaskResultView) {
        let result = self.hcp.task_result(&result.id).unwrap();
        assert_eq!(result.accepted_finals(), 1, "{blow:?}: {result:#?}");
        assert_eq!(result.status.as_str(), "failed", "{blow:?}: {result:#?}");
        assert_eq!(result.message, "cost: exit code 3: too much", "{blow:?}: {result:#?}");
        let starts = std::fs::read_to_string(self.directory.path().join("starts")).unwrap();
        let starts = starts.lines().filter(|line| **line == result.id).count();
        assert_eq!(starts, 1, "{blow:?}: its program ran {starts} times");
        let known = known_as(&result);
        let uids = jobs_ever(&self.cluster, &known, "cost");
        assert_eq!(uids.len(), 1, "{blow:?}: {uids:?}");
        let jobs = Api::<Job>::namespaced(self.cluster.client().await, NAMESPACE);
        assert_eq!(jobs.list(&ListParams::default()).await.unwrap().items, [], "{blow:?}");
        until(&format!("{blow:?}: something is left"), async || self.cluster.left().is_empty().then_some(())).await;
        let gated = self.table.gated(&known).await.unwrap().unwrap();
        let of = ContextKey::of(&gated.admission.request);
        let context = self.table.context(&of).await.unwrap().document;
        let context: serde_json::Value = serde_json::from_str(context.as_str()).unwrap();
        assert_eq!(context, json!({ "found": 7, "taskData": { "cost": { "found": 7 } } }), "{blow:?}");
    }
}

fn known_as(result: &TaskResultView) -> TaskResultId {
    result.id.parse::<TaskResultId>().unwrap().of(&"guard".parse().unwrap())
}

fn is_of_gate(key: &WorkKey) -> bool {
    matches!(key, WorkKey::Job(..) | WorkKey::Relay(_))
}

#[tokio::test]
async fn a_process_that_dies_between_any_two_effects_leaves_one_job_and_one_last_word() {
    if !scripts_can_run() {
        return;
    }
    let rig = Rig::new().await;
    let (steps, _) = rig.gate(Blow::None).await;
    assert!(steps > 12, "a job has only {steps} effects");
    for kill_at in 0..steps {
        rig.gate(Blow::Table(Death::Before(kill_at))).await;
        rig.gate(Blow::Table(Death::After(kill_at))).await;
    }
    assert_eq!(rig.table.dead_letters(10).await.unwrap(), []);
    assert_eq!(rig.kubelet.starts(IMAGE), 1 + 2 * steps);
}

#[tokio::test]
async fn a_process_that_dies_at_any_request_to_the_cluster_leaves_one_job_and_one_last_word() {
    if !scripts_can_run() {
        return;
    }
    let rig = Rig::new().await;
    let (_, requests) = rig.gate(Blow::None).await;
    assert!(requests.len() > 7, "a job takes only {requests:#?}");
    for at in requests {
        rig.gate(Blow::Cluster(at)).await;
    }
    assert_eq!(rig.table.dead_letters(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_cluster_that_goes_wrong_at_any_request_is_asked_again() {
    if !scripts_can_run() {
        return;
    }
    let rig = Rig::new().await;
    let (_, requests) = rig.gate(Blow::None).await;
    for at in requests {
        for what in [Mishap::CutAfterEffect, Mishap::Unavailable] {
            rig.gate(Blow::Wrong(at.clone(), what)).await;
        }
    }
    assert_eq!(rig.table.dead_letters(10).await.unwrap(), []);
}
