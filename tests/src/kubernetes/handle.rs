//! What a test holds of a cluster.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::api::{self, DeleteOptions, Key, Resource, World, set_condition};
use super::core::Core;
use super::faults::Fault;
use super::real::Program;

/// Whom the token of kubelets belongs to.
pub(super) const NODE_USER: &str = "system:node";

const USER: &str = "test";
const TOKEN: &str = "token-of-the-test";
const NODE_TOKEN: &str = "token-of-the-kubelet";

/// One request that the API was sent, by anybody but a kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// Who sent it; empty if it had no valid token.
    pub user: String,
    /// As roles name it: `create`, `watch`, `deletecollection`.
    pub verb: String,
    /// As roles name it: `jobs`, `pods/log`.
    pub resource: String,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// Whether it had a body.
    pub has_body: bool,
    /// The status that it was answered with, if it was.
    pub status: Option<u16>,
}

/// A Kubernetes cluster: the double, or a real control plane.
///
/// The methods that look at a request, a fault or the clock are the double's, and panic on a real one.
#[derive(Clone)]
pub struct Cluster {
    url: String,
    kubeconfig: String,
    plane: Plane,
}

#[derive(Clone)]
enum Plane {
    Double(Arc<Stop>),
    Real { _program: Arc<Program> },
}

/// Ends the double when the last handle is dropped.
struct Stop(Arc<Core>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Cluster {
    /// Starts the double on a port of the loopback, with the namespaces that every cluster has.
    ///
    /// # Panics
    ///
    /// If the loopback gives no port.
    pub async fn start() -> Self {
        install_ring();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("the loopback gives a port");
        let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        let mut world = World::new();
        world.tokens = [(TOKEN, USER), (NODE_TOKEN, NODE_USER)].map(|(token, user)| (token.into(), user.into())).into();
        let core = Core::new(world);
        let router = Router::new().fallback(api::serve).with_state(Arc::clone(&core));
        let service = router.into_make_service_with_connect_info::<api::Line>();
        core.spawn(async move {
            // It only ends with the task.
            let _ = axum::serve(api::Sockets(listener), service).await;
        });
        Self { kubeconfig: kubeconfig(&url, TOKEN), url, plane: Plane::Double(Arc::new(Stop(core))) }
    }

    /// Starts a real control plane: a program that is given `--dir DIR`, writes `DIR/kubeconfig`, prints `ready`, and
    /// ends when its standard input does.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub async fn real(binary: &Path) -> Self {
        install_ring();
        let program = Program::start(binary).await.expect("the control plane comes up");
        let kubeconfig = program.kubeconfig().expect("the control plane writes its kubeconfig");
        let parsed = Kubeconfig::from_yaml(&kubeconfig).expect("a kubeconfig is written");
        let url = parsed.clusters.first().and_then(|one| one.cluster.as_ref()?.server.clone()).unwrap_or_default();
        Self { url, kubeconfig, plane: Plane::Real { _program: Arc::new(program) } }
    }

    /// The API's base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig with a token that may do everything.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig.clone()
    }

    /// The same for kubelets, whose requests meet no faults and are not logged.
    #[must_use]
    pub fn node_kubeconfig(&self) -> String {
        match self.plane {
            Plane::Double(_) => kubeconfig(&self.url, NODE_TOKEN),
            Plane::Real { .. } => self.kubeconfig(),
        }
    }

    /// A client with the kubeconfig, which does not try again by itself.
    ///
    /// # Panics
    ///
    /// If the kubeconfig is none.
    pub async fn client(&self) -> kube::Client {
        client(&self.kubeconfig).await
    }

    /// Whether this is a real control plane.
    #[must_use]
    pub fn is_real(&self) -> bool {
        matches!(self.plane, Plane::Real { .. })
    }

    #[track_caller]
    fn core(&self) -> &Arc<Core> {
        match &self.plane {
            Plane::Double(stop) => &stop.0,
            Plane::Real { .. } => panic!("a real control plane cannot be asked for this"),
        }
    }

    /// Moves the clock on: deadlines and times to live pass.
    pub fn advance(&self, by: Duration) {
        self.core().with(|world| world.clock.advance(by));
    }

    /// Has the API do something wrong. Faults are tried in the order in which they were given.
    pub fn fault(&self, fault: Fault) {
        self.core().with(|world| world.faults.push(fault));
    }

    /// The faults that have not struck as often as they were to.
    #[must_use]
    pub fn faults_left(&self) -> Vec<Fault> {
        self.core().look(|world| world.faults.iter().filter(|fault| fault.times > 0).cloned().collect())
    }

    /// Cuts every watch.
    pub fn cut_watches(&self) {
        self.core().with(|world| world.cuts += 1);
    }

    /// Forgets the past: no watch can start from a version before now.
    pub fn compact(&self) {
        self.core().with(|world| {
            // Whoever has the latest version has one that is too old, as after changes that it was not told of.
            world.revision += 1;
            world.compacted = world.revision;
        });
    }

    /// Sends a bookmark to every watch that takes one.
    pub fn bookmark(&self) {
        self.core().with(|world| world.bookmarks += 1);
    }

    /// The requests so far, without those of kubelets.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.core().look(|world| world.requests.iter().filter(|one| one.user != NODE_USER).cloned().collect())
    }

    /// How many requests there were of a verb for a resource.
    #[must_use]
    pub fn count(&self, verb: &str, resource: &str) -> usize {
        self.requests().iter().filter(|one| one.verb == verb && one.resource == resource).count()
    }

    /// Every version of every object that there is or ever was, one JSON object in each line; without what Secrets hold.
    #[must_use]
    pub fn everything(&self) -> String {
        let mut text = String::new();
        self.core().look(|world| {
            for change in &world.history {
                let mut object = Value::clone(&change.object);
                if change.resource == Resource::Secrets {
                    object["data"] = Value::Null;
                    object["stringData"] = Value::Null;
                }
                let _ = writeln!(text, "{object}");
            }
        });
        text
    }

    /// Every Secret that there is or ever was, as its last version: `namespace/name` and its data, decoded.
    #[must_use]
    pub fn secrets(&self) -> BTreeMap<String, BTreeMap<String, Vec<u8>>> {
        use base64::Engine as _;
        let decode = |text: &Value| {
            let text = text.as_str().unwrap_or_default();
            base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
        };
        let mut secrets = BTreeMap::new();
        self.core().look(|world| {
            for change in world.history.iter().filter(|change| change.resource == Resource::Secrets) {
                let metadata = &change.object["metadata"];
                let text = |field: &str| metadata[field].as_str().unwrap_or_default();
                let data = change.object["data"].as_object().into_iter().flatten();
                let data = data.map(|(key, value)| (key.clone(), decode(value))).collect();
                secrets.insert(format!("{}/{}", text("namespace"), text("name")), data);
            }
        });
        secrets
    }

    /// The objects that are there now, as `jobs/namespace/name`: Jobs, Pods, Secrets and `ConfigMaps` that no control
    /// plane makes by itself.
    #[must_use]
    pub fn left(&self) -> Vec<String> {
        let ours = [Resource::Jobs, Resource::Pods, Resource::Secrets, Resource::ConfigMaps];
        self.core().look(|world| {
            let keys = world.everything().map(|(key, _)| key);
            let keys = keys.filter(|key| ours.contains(&key.resource) && key.name != "kube-root-ca.crt");
            keys.map(|key| format!("{}/{}/{}", key.resource.plural(), key.namespace, key.name)).collect()
        })
    }

    /// A node is not heard of any more: its `Ready` condition is `Unknown`, it is tainted, and its pods are evicted once
    /// they tolerate that no longer. Its kubelet has to be stopped first, or it says that it is ready again.
    pub fn lose_node(&self, name: &str) {
        self.core().with(|world| {
            let now = world.now_text();
            let said = json!({
                "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
            });
            world.update(&Key::new(Resource::Nodes, "", name), |node| set_condition(node, &said, &now));
        });
    }

    /// A node is taken away: its pods are failed and removed.
    pub fn delete_node(&self, name: &str) {
        let key = Key::new(Resource::Nodes, "", name);
        let _ = self.core().with(|world| world.delete(&key, &DeleteOptions::default()));
    }
}

/// A client of a kubeconfig.
pub(super) async fn client(kubeconfig: &str) -> kube::Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig of our own is one");
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.expect("a kubeconfig of our own is one");
    // A test sees each answer, also one that asks to come again.
    config.default_retry = false;
    kube::Client::try_from(config).expect("it makes a client")
}

/// Names the implementation of TLS for clients that are built without one.
fn install_ring() {
    // A second time is refused, and nothing is lost.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn kubeconfig(url: &str, token: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: double\nclusters:\n- name: double\n  cluster:\n    server: {url}\n\
         contexts:\n- name: double\n  context:\n    cluster: double\n    user: test\n    namespace: default\nusers:\n\
         - name: test\n  user:\n    token: {token}\n"
    )
}
