//! Accounts and organizations: who asks, and what for.

use serde_json::{Value, json};

use crate::hcp::model::World;
use crate::hcp::options::{Rights, TokenKind};

use super::reply::{Call, Caller, Reply};
use super::route::Route;

impl Rights {
    /// Whether they are enough for a request of this route.
    pub(super) fn allow(self, route: Route) -> bool {
        (self.admin || !route.is_of_notifications())
            && (self.run_tasks || !route.is_of_run_tasks())
            && (self.runs || !route.is_of_runs())
            && (self.states || !route.is_of_states())
    }
}

impl World {
    /// What the token of a request has been given.
    pub(super) fn rights_of(&self, call: &Call) -> Rights {
        let token = call.bearer.as_ref().and_then(|bearer| self.tokens.get(bearer));
        token.map_or(Rights::ALL, |token| match token.kind {
            // It is no admin of any workspace, whatever else it may do.
            TokenKind::Organization => Rights { admin: false, runs: false, ..token.rights },
            TokenKind::User | TokenKind::Team => token.rights,
        })
    }

    /// Teams and organizations have a user made up for them.
    pub(super) fn show_account(&self, caller: &Caller) -> Reply {
        let id = format!("user-{}", caller.user);
        let organization = &self.options.organization;
        let (username, resource) = match caller.kind {
            TokenKind::User => (caller.user.clone(), json!({ "id": id, "type": "users" })),
            TokenKind::Team => ("api-team_1".to_owned(), json!({ "id": "team-1", "type": "teams" })),
            TokenKind::Organization => {
                (format!("api-org-{organization}"), json!({ "id": organization, "type": "organizations" }))
            }
        };
        let service = caller.kind != TokenKind::User;
        Reply::data(&json!({
            "id": id,
            "type": "users",
            "attributes": { "username": username, "is-service-account": service },
            "relationships": { "authenticated-resource": { "data": resource } },
        }))
    }

    pub(super) fn list_organizations(&self, call: &Call, caller: &Caller) -> Reply {
        let names: Vec<_> = self.organizations.iter().collect();
        let rights = self.rights_of(call);
        call.page(&names, true, |name| render(name, rights, caller))
    }

    pub(super) fn show_organization(&self, call: &Call, caller: &Caller) -> Reply {
        let name = call.variable(0);
        if !self.organizations.contains(name) {
            return Reply::not_found();
        }
        Reply::data(&render(name, self.rights_of(call), caller))
    }

    pub(super) fn show_entitlements(&self, name: &str) -> Reply {
        if !self.organizations.contains(name) {
            return Reply::not_found();
        }
        let limit = self.options.server.run_task_limit;
        let attributes = json!({
            "operations": true,
            "run-tasks": true,
            "run-task-limit": limit,
            "run-task-workspace-limit": limit.map(|_| 10),
            "state-storage": true,
            "teams": true,
        });
        Reply::data(&json!({ "id": format!("org-{name}"), "type": "entitlement-sets", "attributes": attributes }))
    }

    pub(super) fn list_projects(&self, call: &Call) -> Reply {
        let organization = call.variable(0);
        if !self.organizations.contains(organization) || !self.options.server.projects {
            return Reply::not_found();
        }
        let of_organization = self.projects.iter().filter(|(_, (it, _))| it == organization);
        let found: Vec<_> = of_organization.map(|(id, (_, name))| (id, name)).collect();
        call.page(&found, true, |(id, name)| {
            json!({
                "id": id,
                "type": "projects",
                "attributes": { "name": name },
                "relationships": { "organization": { "data": { "id": organization, "type": "organizations" } } },
            })
        })
    }
}

fn render(name: &str, rights: Rights, caller: &Caller) -> Value {
    let person = caller.kind != TokenKind::Organization;
    let permissions = json!({
        "can-update": rights.admin && person,
        "can-manage-run-tasks": rights.run_tasks,
        "can-read-run-tasks": rights.run_tasks,
        "can-traverse": true,
    });
    json!({ "id": name, "type": "organizations", "attributes": { "name": name, "permissions": permissions } })
}
