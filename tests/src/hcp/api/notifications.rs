//! Notification configurations over the API: none is kept that its receiver does not acknowledge.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::hcp::clock::millis;
use crate::hcp::model::World;
use crate::hcp::notify::{Configuration, GRANULAR, RUN_TRIGGERS};

use super::reply::{Answer, Call, Reply, Verification};

/// How many configurations a workspace can have.
const MOST: usize = 20;

impl World {
    pub(super) fn create_configuration(&mut self, call: &Call) -> Answer {
        let subscriber = call.variable(0);
        if !self.has_subscriber(subscriber) {
            return Reply::not_found().into();
        }
        if self.configurations.values().filter(|it| it.subscriber == subscriber).count() >= MOST {
            return Reply::refusal(422, "invalid attribute", "there are 20 configurations already").into();
        }
        let configuration = self.new_configuration(subscriber, "", "", None);
        self.save_configuration(call, Configuration { enabled: false, triggers: BTreeSet::new(), ..configuration }, 201)
    }

    pub(super) fn update_configuration(&mut self, call: &Call) -> Answer {
        match self.configuration(call.variable(0)).cloned() {
            Some(configuration) => self.save_configuration(call, configuration, 200),
            None => Reply::not_found().into(),
        }
    }

    fn save_configuration(&mut self, call: &Call, mut configuration: Configuration, status: u16) -> Answer {
        let changed = call.data().and_then(|data| self.change(&mut configuration, &data["attributes"]));
        if let Err(refusal) = changed {
            return refusal.into();
        }
        if configuration.enabled {
            return self.verification(configuration, Some(status));
        }
        let reply = json!({ "data": render(&configuration) });
        self.configurations.insert(configuration.id.clone(), configuration);
        Reply::json(status, &reply).into()
    }

    pub(super) fn verify_configuration(&self, id: &str) -> Answer {
        match self.configuration(id).cloned() {
            Some(configuration) => self.verification(configuration, None),
            None => Reply::not_found().into(),
        }
    }

    fn verification(&self, configuration: Configuration, save: Option<u16>) -> Answer {
        let outgoing = configuration.verification(self.subscriber_name(&configuration.subscriber).unwrap_or_default());
        Answer::Verify(Box::new(Verification { configuration, outgoing, save }))
    }

    /// The receiver has answered the verification, or has not.
    pub(super) fn verified(&mut self, asked: Verification, status: Option<u16>) -> Reply {
        let Verification { mut configuration, save, .. } = asked;
        if !status.is_some_and(|status| (200..300).contains(&status)) {
            let answer = status.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
            return Reply::refusal(400, "bad request", &format!("the receiver answered {answer}"));
        }
        configuration.last = status.map(|status| (OffsetDateTime::now_utc(), status));
        let reply = json!({ "data": render(&configuration) });
        // The workspace may be gone by now.
        if save.is_some() && self.has_subscriber(&configuration.subscriber) {
            self.configurations.insert(configuration.id.clone(), configuration);
        }
        Reply::json(save.unwrap_or(200), &reply)
    }

    pub(super) fn list_configurations(&self, call: &Call) -> Reply {
        let subscriber = call.variable(0);
        if !self.has_subscriber(subscriber) {
            return Reply::not_found();
        }
        let found: Vec<_> = self.configurations.values().filter(|it| it.subscriber == subscriber).collect();
        call.page(&found, true, |configuration| render(configuration))
    }

    pub(super) fn show_configuration(&self, id: &str) -> Reply {
        self.configuration(id).map_or_else(Reply::not_found, |it| Reply::data(&render(it)))
    }

    pub(super) fn delete_configuration(&mut self, id: &str) -> Reply {
        if self.configuration(id).is_none() {
            return Reply::not_found();
        }
        self.configurations.remove(id).map_or_else(Reply::not_found, |_| Reply::empty(204))
    }

    fn change(&self, configuration: &mut Configuration, attributes: &Value) -> Result<(), Reply> {
        let text = |name: &str| attributes[name].as_str();
        if text("destination-type").is_some_and(|kind| kind != "generic") {
            return Err(Reply::refusal(422, "invalid attribute", "only generic destinations are simulated"));
        }
        text("name").unwrap_or(&configuration.name.clone()).clone_into(&mut configuration.name);
        text("url").unwrap_or(&configuration.url.clone()).clone_into(&mut configuration.url);
        if let Some(token) = attributes.get("token") {
            configuration.token = token.as_str().filter(|token| !token.is_empty()).map(str::to_owned);
        }
        configuration.enabled = attributes["enabled"].as_bool().unwrap_or(configuration.enabled);
        if let Some(triggers) = attributes["triggers"].as_array() {
            configuration.triggers = triggers.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        }
        if let Some(unknown) = configuration.triggers.iter().find(|it| !self.knows(it)) {
            return Err(Reply::refusal(
                422,
                "invalid attribute",
                &format!("Triggers {unknown} is not a valid trigger"),
            ));
        }
        let is_url = url::Url::parse(&configuration.url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if configuration.name.is_empty() || !is_url {
            return Err(Reply::refusal(422, "invalid attribute", "a name and a URL of http or https are required"));
        }
        Ok(())
    }

    fn knows(&self, trigger: &str) -> bool {
        let is_one = RUN_TRIGGERS.contains(&trigger) || GRANULAR.iter().any(|(granular, _)| *granular == trigger);
        is_one && !self.options.server.unknown_triggers.contains(trigger)
    }

    /// A configuration that can be managed.
    fn configuration(&self, id: &str) -> Option<&Configuration> {
        self.configurations.get(id).filter(|it| self.has_subscriber(&it.subscriber))
    }

    /// Whether there is a workspace or a project of this id whose configurations can be managed.
    fn has_subscriber(&self, id: &str) -> bool {
        let server = &self.options.server;
        let has_project = server.projects && server.project_notifications && self.projects.contains_key(id);
        has_project || self.workspaces.get(id).is_some_and(|workspace| !workspace.guarded)
    }

    /// The name of a workspace or a project.
    pub(in crate::hcp) fn subscriber_name(&self, id: &str) -> Option<&str> {
        let workspace = self.workspaces.get(id).map(|workspace| workspace.name.as_str());
        workspace.or_else(|| self.projects.get(id).map(|(_, name)| name.as_str()))
    }
}

/// The token is never told.
fn render(configuration: &Configuration) -> Value {
    let responses = configuration.last.iter().map(|(at, code)| {
        json!({
            "url": configuration.url,
            "code": code.to_string(),
            "body": "",
            "headers": {},
            "sent-at": millis(*at),
            "successful": (200..300).contains(code).to_string(),
        })
    });
    let subscriber = if configuration.subscriber.starts_with("prj-") { "projects" } else { "workspaces" };
    json!({
        "id": configuration.id,
        "type": "notification-configurations",
        "attributes": {
            "name": configuration.name,
            "destination-type": configuration.destination,
            "enabled": configuration.enabled,
            "url": configuration.url,
            "token": null,
            "triggers": configuration.triggers,
            "created-at": millis(configuration.created_at),
            "delivery-responses": responses.collect::<Vec<_>>(),
        },
        "relationships": {
            "subscribable": { "data": { "id": configuration.subscriber, "type": subscriber } },
        },
        "links": { "self": format!("/api/v2/notification-configurations/{}", configuration.id) },
    })
}
