//! Notification configurations.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sluice_domain::NotificationId;
use sluice_domain::onboarding::{DeliveryResponse, NotificationFound, NotificationSettings, Subscriber};
use sluice_domain::ports::TerraformError;
use sluice_hcp::wire::parse_timestamp;

use super::{Item, Items, PAGE_BYTES_MAX, PAGE_SIZE};
use crate::answers::Document;
use crate::call::{Endpoint, unless_absent};
use crate::client::Client;
use crate::failure::bad_answer;

const LISTING: &str = "listing notification configurations";
const CREATING: &str = "creating a notification configuration";
const UPDATING: &str = "updating a notification configuration";
const DELETING: &str = "deleting a notification configuration";
const VERIFYING: &str = "verifying a notification configuration";

/// As requests and answers call it.
const KIND: &str = "notification-configurations";

impl Client {
    pub(super) async fn list_notifications(
        &self,
        of: &Subscriber,
    ) -> Result<Option<Vec<NotificationFound>>, TerraformError> {
        // There are at most twenty.
        let endpoint =
            Endpoint { path: &path(of), query: &[("page[size]", PAGE_SIZE)], answer_bytes_max: PAGE_BYTES_MAX };
        let answer: Option<Items> = unless_absent(self.get(LISTING, endpoint).await)?;
        Ok(answer.map(|items| items.page(1, "notification configuration", found).items))
    }

    pub(super) async fn post_notification(
        &self,
        of: &Subscriber,
        settings: &NotificationSettings,
    ) -> Result<NotificationFound, TerraformError> {
        let path = path(of);
        let endpoint = Endpoint { answer_bytes_max: PAGE_BYTES_MAX, ..Endpoint::new(&path) };
        let answer = self.post(CREATING, endpoint, body(settings, true)).await?;
        one(CREATING, &answer)
    }

    pub(super) async fn patch_notification(
        &self,
        id: &NotificationId,
        settings: &NotificationSettings,
    ) -> Result<NotificationFound, TerraformError> {
        let answer = self.patch(UPDATING, Endpoint::new(&[KIND, id.as_str()]), body(settings, false)).await?;
        one(UPDATING, &answer)
    }

    pub(super) async fn remove_notification(&self, id: &NotificationId) -> Result<(), TerraformError> {
        self.delete(DELETING, Endpoint::new(&[KIND, id.as_str()])).await
    }

    pub(super) async fn ask_to_verify(&self, id: &NotificationId) -> Result<NotificationFound, TerraformError> {
        let path = [KIND, id.as_str(), "actions", "verify"];
        let answer = self.post(VERIFYING, Endpoint::new(&path), String::new()).await?;
        one(VERIFYING, &answer)
    }
}

fn path(of: &Subscriber) -> [&str; 3] {
    match of {
        Subscriber::Workspace(id) => ["workspaces", id.as_str(), KIND],
        Subscriber::Project(id) => ["projects", id.as_str(), KIND],
    }
}

fn body(settings: &NotificationSettings, new: bool) -> String {
    let NotificationSettings { name, url, token, triggers } = settings;
    let mut attributes = json!({ "enabled": true, "url": url, "token": token.expose_secret(), "triggers": triggers });
    if let Some(name) = name {
        attributes["name"] = name.as_str().into();
    }
    if new {
        attributes["destination-type"] = "generic".into();
    }
    json!({ "data": { "type": KIND, "attributes": attributes } }).to_string()
}

fn one(action: &'static str, answer: &Document<Item>) -> Result<NotificationFound, TerraformError> {
    found(&answer.data).ok_or_else(|| bad_answer(action, "it is no notification configuration"))
}

fn found(item: &Item) -> Option<NotificationFound> {
    Some(NotificationFound {
        id: item.id.parse().ok()?,
        name: item.text("name").unwrap_or_default(),
        destination_type: item.text("destination-type")?,
        url: item.text("url"),
        enabled: item.attributes["enabled"].as_bool().unwrap_or_default(),
        triggers: item.words("triggers"),
        last: last(&item.attributes["delivery-responses"]),
    })
}

/// The latest of the answers that are told. One is, as far as the documentation shows.
fn last(responses: &Value) -> Option<DeliveryResponse> {
    let read = |response: &Value| {
        let code = &response["code"];
        let code = code.as_str().and_then(|code| code.parse().ok()).or_else(|| u16::try_from(code.as_u64()?).ok());
        let said = &response["successful"];
        DeliveryResponse {
            code,
            successful: said.as_bool().unwrap_or_else(|| said.as_str() == Some("true")),
            sent_at: response["sent-at"].as_str().and_then(|at| parse_timestamp(at).ok()),
        }
    };
    responses.as_array()?.iter().map(read).max_by_key(|response| response.sent_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_delivery_is_read_however_its_fields_are_written() {
        let check = |json: &str, code, successful| {
            let last = last(&serde_json::from_str(json).unwrap());
            assert_eq!(last.map(|last| (last.code, last.successful)), Some((code, successful)), "{json}");
        };
        check(r#"[{"code":"401","successful":"false","sent-at":"2026-11-20T10:00:00.000Z"}]"#, Some(401), false);
        check(r#"[{"code":202,"successful":true}]"#, Some(202), true);
        check(r#"[{"code":null,"successful":"false"}]"#, None, false);
        check(
            r#"[{"code":"200","successful":"true","sent-at":"2026-11-20T10:00:01.000Z"},
                {"code":"401","successful":"false","sent-at":"2026-11-20T10:00:00.000Z"}]"#,
            Some(200),
            true,
        );
        assert_eq!(last(&Value::Null), None);
        assert_eq!(last(&json!([])), None);
    }
}
