//! The instance, and who asks it.

use reqwest::header::HeaderMap;
use sluice_domain::onboarding::{Account, Entitlements, Instance, OrganizationFound, TokenKind};
use sluice_domain::ports::TerraformError;
use sluice_domain::{Organization, Timestamp};

use super::Item;
use crate::answers::Document;
use crate::call::{Endpoint, unless_absent};
use crate::client::Client;

const ASKING_VERSION: &str = "asking for its version";
const READING_ACCOUNT: &str = "reading the token's account";
const READING_ORGANIZATION: &str = "reading an organization";
const READING_ENTITLEMENTS: &str = "reading an organization's entitlements";

impl Client {
    pub(super) async fn read_instance(&self) -> Result<Instance, TerraformError> {
        let headers = self.headers(ASKING_VERSION, Endpoint::new(&["ping"])).await?;
        let text = |name| Some(headers.get(name)?.to_str().ok()?.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(Instance {
            app_name: text("tfp-appname"),
            api_version: text("tfp-api-version"),
            release: text("x-tfe-version"),
            clock: clock(&headers),
        })
    }

    pub(super) async fn read_account(&self) -> Result<Account, TerraformError> {
        let answer: Document<Item> = self.get(READING_ACCOUNT, Endpoint::new(&["account", "details"])).await?;
        let kind = kind_of(&answer.data);
        Ok(Account { username: answer.data.text("username").unwrap_or_default(), kind })
    }

    pub(super) async fn read_organization(
        &self,
        organization: &Organization,
    ) -> Result<Option<OrganizationFound>, TerraformError> {
        let path = ["organizations", organization.as_str()];
        let answer = unless_absent(self.get(READING_ORGANIZATION, Endpoint::new(&path)).await)?;
        Ok(answer.map(|Document::<Item> { data }| OrganizationFound {
            may_manage_run_tasks: data.may("can-manage-run-tasks"),
            may_read_run_tasks: data.may("can-read-run-tasks"),
            may_update: data.may("can-update"),
        }))
    }

    pub(super) async fn read_entitlements(
        &self,
        organization: &Organization,
    ) -> Result<Option<Entitlements>, TerraformError> {
        let path = ["organizations", organization.as_str(), "entitlement-set"];
        let answer = unless_absent(self.get(READING_ENTITLEMENTS, Endpoint::new(&path)).await)?;
        Ok(answer.map(|Document::<Item> { data }| {
            let limit = |name: &str| {
                let limit = data.attributes[name].as_u64().and_then(|limit| u32::try_from(limit).ok());
                // Some instances write 0 for no limit.
                limit.filter(|limit| *limit > 0)
            };
            Entitlements {
                run_tasks: data.attributes["run-tasks"].as_bool(),
                run_task_limit: limit("run-task-limit"),
                run_task_workspace_limit: limit("run-task-workspace-limit"),
            }
        }))
    }
}

/// Whose the token is. Teams and organizations have a user made up for them; older instances do not say for whom, but
/// name it after that.
fn kind_of(account: &Item) -> Option<TokenKind> {
    match account.relationships["authenticated-resource"]["data"]["type"].as_str() {
        Some("users") => return Some(TokenKind::User),
        Some("teams") => return Some(TokenKind::Team),
        Some("organizations") => return Some(TokenKind::Organization),
        _ => {}
    }
    let username = account.text("username").unwrap_or_default();
    match account.attributes["is-service-account"].as_bool() {
        Some(false) => Some(TokenKind::User),
        Some(true) if username.starts_with("api-team") => Some(TokenKind::Team),
        Some(true) if username.starts_with("api-org") => Some(TokenKind::Organization),
        _ => None,
    }
}

/// The clock of whoever answered.
fn clock(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::of_http_date(headers.get("date")?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whose_a_token_is_can_be_told_from_new_instances_and_old_ones() {
        let account = |attributes, resource| -> Option<TokenKind> {
            let relationships = json!({ "authenticated-resource": { "data": resource } });
            kind_of(&Item { id: "user-1".into(), attributes, relationships })
        };
        let service = |name: &str| json!({ "username": name, "is-service-account": true });
        let of = |kind: &str| json!({ "id": "x", "type": kind });
        assert_eq!(account(service("x"), of("teams")), Some(TokenKind::Team));
        assert_eq!(account(service("x"), of("organizations")), Some(TokenKind::Organization));
        assert_eq!(account(json!({ "username": "jo" }), of("users")), Some(TokenKind::User));
        assert_eq!(
            account(json!({ "username": "jo", "is-service-account": false }), json!(null)),
            Some(TokenKind::User)
        );
        assert_eq!(account(service("api-team_17"), json!(null)), Some(TokenKind::Team));
        assert_eq!(account(service("api-org-acme"), json!(null)), Some(TokenKind::Organization));
        assert_eq!(account(service("robot"), json!(null)), None);
        assert_eq!(account(json!({}), json!(null)), None);
    }
}
