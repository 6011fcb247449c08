//! `sluice demo`: a change runs through a simulated organization, before your eyes.

mod cluster;
mod gate;
mod outcome;
mod screen;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use secrecy::SecretString;
use sluice_aws::{GateKeys, Table};
use sluice_context_api::Operators;
use sluice_domain::ports::{FactStore, StoreError};
use sluice_domain::{Decision, Host, Policy, Timestamp, Verdict, Workspace};
use sluice_hcp::signature::Keys;
use sluice_job_runner::JobSettings;
use sluice_lambda::{API_REQUESTS_PER_SECOND, TfeAddress, now};
use sluice_state_indexer::{SURVEY_MS, WATCH_MS};
use sluice_task_runner::Settings as ChecksSettings;
use sluice_tests::hcp::scenario::{Acme, acme};
use sluice_tests::hcp::{Hcp, Options, RunOptions, Timings};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};

pub use self::cluster::{InProcess, NoImage};
use self::screen::Screen;
use crate::cli;
use crate::cluster::AnyCluster;
use crate::functions::{FunctionsError, GateParts, Parts, functions};
use crate::host;
use crate::store::{Embedded, OpenError, digest_key, gate_key};

/// The token that the simulated notifications are signed with. It opens nothing but the demo.
const NOTIFICATION_TOKEN: &str = "demo-token";

/// How long each phase of a simulated run takes.
const PHASE: Duration = Duration::from_millis(250);

/// Time to read what was found, before something happens.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the demo waits for the wave to come to rest.
const PATIENCE: Duration = Duration::from_secs(90);

/// The demo cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The port is taken, say.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The simulated HCP Terraform did not start.
    #[error("cannot start the simulated HCP Terraform")]
    Simulator(#[source] std::io::Error),
    /// The embedded store did not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The table did not answer.
    #[error(transparent)]
    Table(#[from] StoreError),
    /// The functions could not be built.
    #[error(transparent)]
    Functions(#[from] FunctionsError),
    /// The simulated HCP Terraform did not take the run task.
    #[error("the run task was refused: {0}")]
    RunTask(String),
    /// The wave did not come to rest in time.
    #[error("the wave did not come to rest within {} seconds", PATIENCE.as_secs())]
    Restless,
}

/// Shows the demo. The exit code tells whether the wave came out right.
pub async fn run(options: &cli::Demo, no_color: bool) -> Result<ExitCode, DemoError> {
    let mut stage = Stage::set(options, no_color).await?;
    stage.learn().await?;
    let right = stage.wave().await? & stage.gate().await?;
    if !options.once {
        stage.stay().await;
    }
    stage.close().await;
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Stage {
    screen: Screen,
    hcp: Hcp,
    roles: Acme,
    store: Embedded,
    terraform: Host,
    url: String,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Stage {
    async fn set(options: &cli::Demo, no_color: bool) -> Result<Self, DemoError> {
        let simulator = Options { timings: Timings::uniform(PHASE), ..Options::default() };
        let hcp = Hcp::try_start(simulator).await.map_err(DemoError::Simulator)?;
        let roles = acme(&hcp);
        let store = Embedded::open(None).await?;
        let mut parts = Parts {
            table: store.table.clone(),
            digest_key: digest_key(None)?,
            terraform: TfeAddress { url: hcp.address(), host: hcp.host().parse().expect("an address is a host") },
            api_token: SecretString::from(hcp.token()),
            ca_bundle: None,
            keys: Keys::new(&[SecretString::from(NOTIFICATION_TOKEN)]),
            policy: Policy::default(),
            watch_ms: WATCH_MS,
            survey_ms: SURVEY_MS,
            api_requests_per_second: API_REQUESTS_PER_SECOND,
            gate: GateParts {
                keys: GateKeys::new(&gate_key(None)?, &[]),
                keyring: gate::keyring(),
                checks: ChecksSettings::default(),
                jobs: JobSettings::default(),
                cluster: AnyCluster::InProcess(gate::cluster()),
            },
            operators: Operators::default(),
        };
        let address = options.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = TcpListener::bind(address).await.map_err(|error| DemoError::Listen(address, error))?;
        let address = listener.local_addr().map_err(|error| DemoError::Listen(address, error))?;
        let url = format!("http://{address}");
        parts.gate.jobs.public_url = Some(url.clone());
        let functions = functions(parts)?;
        let terraform = functions.terraform.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(host::serve(functions, listener, async move { drop(stopped.await) }));
        hcp.notify_all(&format!("{url}/notifications"), NOTIFICATION_TOKEN);
        Ok(Self { screen: Screen::new(no_color), hcp, roles, store, terraform, url, stop, served })
    }

    fn table(&self) -> &Table {
        &self.store.table
    }

    /// Every workspace runs once, so that Sluice hears of it.
    async fn learn(&self) -> Result<(), DemoError> {
        let screen = &self.screen;
        screen.heading("Sluice beside a simulated HCP Terraform");
        screen.line(&format!("  HCP Terraform (simulated)  {}", self.hcp.address()));
        screen.line(&format!("  Sluice                     {}", self.url));
        screen.heading(
            "1. Each workspace runs once. Nobody tells Sluice who depends on whom: it reads that in the states.",
        );
        for workspace in self.hcp.workspaces() {
            self.hcp.start_run(&workspace, RunOptions::new("First run that Sluice hears of"));
        }
        self.rest().await?;
        let picture = host::picture(self.table(), &self.terraform).await?;
        screen.line(&format!(
            "  found {} workspaces and {} dependencies:",
            picture.workspaces.len(),
            picture.edges.len()
        ));
        let mut producers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for edge in &picture.edges {
            producers.entry(&edge.producer.name).or_default().push(&edge.consumer.name);
        }
        for (producer, consumers) in producers {
            screen.line(&format!("    {producer:16}→ {}", consumers.join(", ")));
        }
        Ok(())
    }

    /// An output of the root changes, and everything that is shown follows from that.
    async fn wave(&mut self) -> Result<bool, DemoError> {
        let Acme { root, root_output, .. } = self.roles;
        let runs_before: BTreeMap<String, usize> =
            self.names().into_iter().map(|name| (name.clone(), self.hcp.runs(&name).len())).collect();
        tokio::time::sleep(PAUSE).await;
        self.screen.heading(&format!("2. Somebody changes the output {root_output} of {root}."));
        self.screen.restart();
        let events = self.hcp.subscribe();
        self.hcp.change(root, root_output, "vpc-0d4e5f");
        self.hcp.start_run(root, RunOptions::new("Move to another network"));
        self.show_until_rest(events).await?;
        self.screen
            .heading(&format!("3. At rest after {:.1} s. What ran, and why:", self.screen.elapsed().as_secs_f32()));
        let known = self.decisions().await?;
        let rows = outcome::judge(&self.hcp, &self.roles, |name| runs_before.get(name).copied().unwrap_or_default());
        for row in &rows {
            let runs = match row.runs {
                0 => "no run".to_owned(),
                1 => "1 run".to_owned(),
                more => format!("{more} runs"),
            };
            let why = row.wrong.clone().unwrap_or_else(|| self.why(&row.workspace, row.runs, &known));
            self.screen.row(row.wrong.is_none(), &row.workspace, &runs, &why);
        }
        let right = rows.iter().all(|row| row.wrong.is_none());
        self.screen.verdict(
            right,
            if right {
                "Every affected workspace ran once, after its parents; nothing else ran."
            } else {
                "The wave is not right."
            },
        );
        Ok(right)
    }

    /// Why a workspace ran: the message of its run. Why it did not: the last decision.
    fn why(&self, name: &str, runs: usize, known: &BTreeMap<String, Decision>) -> String {
        if runs > 0 {
            let message = self.hcp.runs(name).pop().map(|run| run.message).unwrap_or_default();
            return message;
        }
        known.get(name).map_or_else(|| "nothing was decided".to_owned(), ToString::to_string)
    }

    /// Prints what happens to runs, and what is decided, until nothing moves.
    async fn show_until_rest(
        &self,
        mut events: broadcast::Receiver<sluice_tests::hcp::Event>,
    ) -> Result<(), DemoError> {
        let mut shown = self.decisions().await?;
        let rest = self.rest();
        tokio::pin!(rest);
        loop {
            let ended = tokio::select! {
                result = &mut rest => { result?; true }
                () = tokio::time::sleep(Duration::from_millis(50)) => false,
            };
            while let Ok(event) = events.try_recv() {
                self.screen.run(&event.workspace, &event.run, event.status);
            }
            for (name, decision) in self.decisions().await? {
                // That a workspace came to rest shows in its run.
                if shown.get(&name) != Some(&decision) && decision.verdict != Verdict::Settled {
                    self.screen.decision(&name, &decision);
                }
                shown.insert(name, decision);
            }
            if ended {
                return Ok(());
            }
        }
    }

    async fn decisions(&self) -> Result<BTreeMap<String, Decision>, StoreError> {
        let workspaces: BTreeSet<Workspace> = self.table().workspaces(&self.terraform).await?;
        let known = self.table().known(&workspaces).await?;
        Ok(known.into_iter().filter_map(|(name, known)| Some((name.name, known.decision?))).collect())
    }

    fn names(&self) -> Vec<String> {
        let whole = self.hcp.workspaces();
        whole.into_iter().map(|name| name.rsplit('/').next().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until no run moves and no work is due soon.
    async fn rest(&self) -> Result<(), DemoError> {
        tokio::time::timeout(PATIENCE, async {
            let mut quiet = 0;
            while quiet < 3 {
                self.hcp.settled().await;
                // Leases end within two minutes; waits and watches are due later.
                let soon = Timestamp(now().0 + 150_000);
                let due = sluice_sweeper::due(self.table(), soon).await?;
                quiet = if due.is_empty() { quiet + 1 } else { 0 };
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            Ok(())
        })
        .await
        .unwrap_or(Err(DemoError::Restless))
    }

    async fn stay(&self) {
        let (screen, url) = (&self.screen, &self.url);
        screen.heading("6. Look around; end with Ctrl-C.");
        screen.line(&format!("  {url}/graph.mmd     the graph for Mermaid, also graph.dot and graph.json"));
        screen.line(&format!("  {url}/healthz"));
        screen.line(&format!(
            "  {}/api/v2/…   the simulated API, bearer token {}",
            self.hcp.address(),
            self.hcp.token()
        ));
        screen.aside("  Point it at your own organization: sluice serve --help");
        crate::signal::told_to_stop().await;
    }

    async fn close(self) {
        drop(self.stop);
        drop(self.served.await);
        self.store.close().await;
    }
}
