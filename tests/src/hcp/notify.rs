//! Notification configurations, their payloads and signatures, and the order of deliveries.

use std::collections::BTreeSet;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha512;
use time::OffsetDateTime;

use super::clock::seconds;
use super::core::Job;
use super::faults::{Notice, NotificationMishap};
use super::model::{Run, World};
use super::view::{Delivery, Outcome, RunStatus};

/// The triggers of a run, all of which a configuration has unless told otherwise.
pub const RUN_TRIGGERS: [&str; 6] =
    ["run:created", "run:planning", "run:needs_attention", "run:applying", "run:completed", "run:errored"];

/// Triggers of 2026, each of which is a part of an older one. What is sent says the older one, as one of the two
/// documentations has it.
pub(super) const GRANULAR: [(&str, &str); 7] = [
    ("run:pending_apply_approval", "run:needs_attention"),
    ("run:cost_estimated", "run:needs_attention"),
    ("run:policy_override_required", "run:needs_attention"),
    ("run:policies_checked", "run:needs_attention"),
    ("run:run_errored", "run:errored"),
    ("run:run_canceled", "run:errored"),
    ("run:policy_soft_failed", "run:errored"),
];

/// How long a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a delivery is held back for another to overtake it.
const HELD_FOR: Duration = Duration::from_millis(150);

/// A notification configuration.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    pub id: String,
    /// The workspace or the project.
    pub subscriber: String,
    /// `generic` is a webhook; nothing else is ever sent.
    pub destination: String,
    pub name: String,
    pub url: String,
    pub token: Option<String>,
    pub enabled: bool,
    pub triggers: BTreeSet<String>,
    pub created_at: OffsetDateTime,
    /// The last answer of its receiver, and when.
    pub last: Option<(OffsetDateTime, u16)>,
}

/// A notification ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub configuration: String,
    pub url: String,
    pub body: Vec<u8>,
    /// The signature; empty without a token, but there.
    pub signature: String,
    pub workspace: String,
    pub trigger: String,
    pub run: Option<String>,
    pub status: Option<RunStatus>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "these are the names on the wire")]
struct Payload<'a> {
    payload_version: u8,
    notification_configuration_id: &'a str,
    run_url: Option<String>,
    run_id: Option<&'a str>,
    run_message: Option<&'a str>,
    run_created_at: Option<String>,
    run_created_by: Option<&'a str>,
    workspace_id: Option<&'a str>,
    workspace_name: Option<&'a str>,
    organization_name: Option<&'a str>,
    notifications: [Notification<'a>; 1],
}

#[derive(Serialize)]
struct Notification<'a> {
    message: String,
    trigger: &'a str,
    run_status: Option<&'static str>,
    run_updated_at: Option<String>,
    run_updated_by: Option<&'a str>,
}

/// Lower-case hexadecimal HMAC-SHA512 of the body, as `X-TFE-Notification-Signature` holds it.
#[must_use]
pub fn sign(token: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(token.as_bytes()).expect("an HMAC takes keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// The client that sends notifications.
pub(super) fn client() -> reqwest::Client {
    client_named("TFE/1.0 (+https://app.terraform.io; TFE)").build().expect("a client of fixed settings can be built")
}

/// What every client that HCP Terraform is has in common.
pub(crate) fn client_named(name: &str) -> reqwest::ClientBuilder {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(TIMEOUT)
        .user_agent(name)
        .http1_title_case_headers()
}

/// Sends a notification, once; `None` if nobody answered.
pub(super) async fn send(client: &reqwest::Client, outgoing: &Outgoing) -> Option<u16> {
    let request = client
        .post(&outgoing.url)
        .header("Content-Type", "application/json")
        .header("Accept", "application/json")
        .header("X-TFE-Notification-Signature", &outgoing.signature)
        .body(outgoing.body.clone());
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    // Read to the end, so that the connection serves the next one.
    let _ = response.bytes().await;
    Some(status)
}

impl Configuration {
    /// Whether one of its triggers is that of a run, or one of those that have replaced it.
    fn tells_of(&self, trigger: &str) -> bool {
        self.triggers.contains(trigger)
            || GRANULAR.iter().any(|(granular, coarse)| *coarse == trigger && self.triggers.contains(*granular))
    }

    fn outgoing(&self, workspace: &str, trigger: &str, payload: &Payload<'_>) -> Outgoing {
        let body = serde_json::to_vec(payload).expect("strings and numbers only");
        Outgoing {
            configuration: self.id.clone(),
            url: self.url.clone(),
            signature: self.token.as_deref().map(|token| sign(token, &body)).unwrap_or_default(),
            body,
            workspace: workspace.to_owned(),
            trigger: trigger.to_owned(),
            run: None,
            status: None,
        }
    }

    /// The notification that asks a receiver whether it is there.
    pub fn verification(&self, workspace: &str) -> Outgoing {
        let trigger = "verification";
        let notification = Notification {
            message: format!("Verification of {}", self.name),
            trigger,
            run_status: None,
            run_updated_at: None,
            run_updated_by: None,
        };
        let payload = Payload {
            payload_version: 1,
            notification_configuration_id: &self.id,
            run_url: None,
            run_id: None,
            run_message: None,
            run_created_at: None,
            run_created_by: None,
            workspace_id: None,
            workspace_name: None,
            organization_name: None,
            notifications: [notification],
        };
        self.outgoing(workspace, trigger, &payload)
    }
}

impl World {
    /// Tells the configurations of a run's workspace what it came to. Speculative runs tell nobody.
    pub fn notify_run(&mut self, id: &str, trigger: &str, message: &str, by: Option<&str>) {
        let run = &self.runs[id];
        if run.asked.plan_only {
            return;
        }
        let Some(workspace) = self.workspaces.get(&run.workspace).filter(|it| it.execution_mode != "local") else {
            return;
        };
        let subscribed = |it: &Configuration| it.subscriber == workspace.id || it.subscriber == workspace.project;
        let configurations = self.configurations.values();
        let concerned = configurations
            .filter(|it| subscribed(it) && it.destination == "generic" && it.enabled && it.tells_of(trigger));
        let outgoing: Vec<_> =
            concerned.map(|configuration| self.run_payload(configuration, run, trigger, message, by)).collect();
        for outgoing in outgoing {
            self.dispatch(outgoing);
        }
    }

    fn run_payload(
        &self,
        configuration: &Configuration,
        run: &Run,
        trigger: &str,
        message: &str,
        by: Option<&str>,
    ) -> Outgoing {
        let workspace = &self.workspaces[&run.workspace];
        let (organization, name) = (&workspace.organization, &workspace.name);
        let updated_at = run.statuses.last().map_or(run.created_at, |(_, at)| *at);
        let notification = Notification {
            message: message.to_owned(),
            trigger,
            run_status: Some(run.status.as_str()),
            run_updated_at: Some(seconds(updated_at)),
            run_updated_by: by,
        };
        let payload = Payload {
            payload_version: 1,
            notification_configuration_id: &configuration.id,
            run_url: Some(format!("{}/app/{organization}/{name}/runs/{}", self.address, run.id)),
            run_id: Some(&run.id),
            run_message: Some(&run.asked.message),
            run_created_at: Some(seconds(run.created_at)),
            run_created_by: Some(&run.asked.created_by),
            workspace_id: Some(&workspace.id),
            workspace_name: Some(name),
            organization_name: Some(organization),
            notifications: [notification],
        };
        let outgoing = configuration.outgoing(name, trigger, &payload);
        Outgoing { run: Some(run.id.clone()), status: Some(run.status), ..outgoing }
    }

    /// Sends a notification, or does to it what the faults say.
    fn dispatch(&mut self, outgoing: Outgoing) {
        let notice = Notice {
            workspace: outgoing.workspace.clone(),
            run: outgoing.run.clone().unwrap_or_default(),
            trigger: outgoing.trigger.clone(),
            status: outgoing.status.unwrap_or(RunStatus::Pending),
        };
        match self.faults.of_notification(&notice) {
            None => self.enqueue(outgoing),
            Some(NotificationMishap::Lose) => self.record(&outgoing, Outcome::Lost),
            Some(NotificationMishap::Duplicate(times)) => {
                for _ in 0..times {
                    self.enqueue(outgoing.clone());
                }
                self.enqueue(outgoing);
            }
            Some(NotificationMishap::Delay(after)) => self.push(Job::DeliverLater { after, outgoing }),
            Some(NotificationMishap::Reorder) => {
                let configuration = outgoing.configuration.clone();
                if self.held.contains_key(&configuration) {
                    self.enqueue(outgoing);
                } else {
                    self.held.insert(configuration.clone(), outgoing);
                    self.push(Job::Release { after: HELD_FOR, configuration });
                }
            }
        }
    }

    /// Deliveries of one run to one configuration keep their order; others overtake each other as they like.
    fn enqueue(&mut self, outgoing: Outgoing) {
        let configuration = outgoing.configuration.clone();
        let key = (configuration.clone(), outgoing.run.clone().unwrap_or_default());
        let overtaken = self.held.remove(&configuration);
        let idle = !self.queues.contains_key(&key);
        self.queues.entry(key.clone()).or_default().extend([outgoing].into_iter().chain(overtaken));
        if idle {
            self.push(Job::Deliver(key));
        }
    }

    /// The next delivery of a queue, which is gone once it is empty.
    pub fn next_delivery(&mut self, key: &(String, String)) -> Option<Outgoing> {
        let next = self.queues.get_mut(key).and_then(std::collections::VecDeque::pop_front);
        if next.is_none() {
            self.queues.remove(key);
        }
        next
    }

    /// Writes down what became of a delivery.
    pub fn delivered(&mut self, outgoing: &Outgoing, status: Option<u16>) {
        let at = OffsetDateTime::now_utc();
        if let (Some(configuration), Some(status)) = (self.configurations.get_mut(&outgoing.configuration), status) {
            configuration.last = Some((at, status));
        }
        self.record(outgoing, status.map_or(Outcome::Unreachable, Outcome::Answered));
    }

    fn record(&mut self, outgoing: &Outgoing, outcome: Outcome) {
        self.deliveries.push(Delivery {
            at: OffsetDateTime::now_utc(),
            configuration: outgoing.configuration.clone(),
            workspace: outgoing.workspace.clone(),
            trigger: outgoing.trigger.clone(),
            run: outgoing.run.clone(),
            run_status: outgoing.status,
            outcome,
        });
    }
}
