//! Workspaces.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::hcp::clock::millis;
use crate::hcp::model::{Workspace, World};
use crate::hcp::options::Rights;
use crate::hcp::render_state::TERRAFORM_VERSION;

use super::reply::{Call, Reply};
use super::runs::{configuration_version, render_run};

impl World {
    pub(super) fn list_workspaces(&self, call: &Call) -> Reply {
        let organization = call.variable(0);
        if !self.organizations.contains(organization) {
            return Reply::not_found();
        }
        let named =
            |workspace: &Workspace| call.parameter("search[name]").is_none_or(|text| workspace.name.contains(text));
        let tagged = |workspace: &Workspace| {
            let tags = call.parameter("search[tags]");
            tags.is_none_or(|tags| tags.split(',').all(|tag| workspace.tags.contains(tag)))
        };
        let project = call.parameter("filter[project][id]");
        let of_project = |workspace: &Workspace| project.is_none_or(|project| workspace.project == project);
        let of_organization = self.names.iter().filter(|((it, _), _)| it == organization);
        let workspaces = of_organization.filter_map(|(_, id)| self.workspaces.get(id));
        let mut wanted: Vec<_> = workspaces.filter(|it| named(it) && tagged(it) && of_project(it)).collect();
        if let Some(order) = call.parameter("sort")
            && !self.sort(&mut wanted, order)
        {
            return Reply::refusal(400, "bad request", "workspaces cannot be sorted by that");
        }
        let rights = self.rights_of(call);
        let run = |workspace: &&Workspace| self.current_run(workspace).and_then(|run| self.runs.get(run));
        let included = |workspace: &&Workspace| run(workspace).filter(|_| call.includes("current_run")).map(render_run);
        call.page_including(&wanted, true, |workspace| self.render_workspace(workspace, rights), included)
    }

    /// Sorts as documented, `-` in front for the other way round; false if it is by anything else. Where workspaces
    /// without a run stand is not documented: here they come after the others if the latest run is first.
    fn sort(&self, workspaces: &mut [&Workspace], order: &str) -> bool {
        let run_created_at = |workspace: &&Workspace| {
            self.current_run(workspace).and_then(|run| self.runs.get(run)).map(|run| run.created_at)
        };
        match order.trim_start_matches('-') {
            "name" => workspaces.sort_by(|one, other| one.name.cmp(&other.name)),
            "current-run.created-at" => workspaces.sort_by_key(run_created_at),
            "latest-change-at" => workspaces.sort_by_key(|workspace| self.latest_change_at(workspace)),
            _ => return false,
        }
        if order.starts_with('-') {
            workspaces.reverse();
        }
        true
    }

    /// When the latest state version was created, or else the workspace.
    fn latest_change_at(&self, workspace: &Workspace) -> OffsetDateTime {
        self.current_state(workspace).map_or(workspace.created_at, |version| version.created_at)
    }

    pub(super) fn show_workspace(&self, workspace: Option<&Workspace>, call: &Call) -> Reply {
        let Some(workspace) = workspace else { return Reply::not_found() };
        let current = self.current_run(workspace).filter(|_| call.includes("current_run"));
        let included = current.and_then(|run| self.runs.get(run)).map(render_run);
        Reply::including(&self.render_workspace(workspace, self.rights_of(call)), included.as_slice())
    }

    pub(super) fn update_workspace(&mut self, call: &Call) -> Reply {
        let attributes = match call.data() {
            Ok(mut data) => data["attributes"].take(),
            Err(refusal) => return refusal,
        };
        let id = call.variable(0);
        if let Some(name) = attributes["name"].as_str().filter(|_| self.workspaces.contains_key(id))
            && !self.rename_workspace(id, name)
        {
            return Reply::refusal(422, "invalid attribute", "Name has already been taken");
        }
        let Some(workspace) = self.workspaces.get_mut(id) else { return Reply::not_found() };
        if let Some(auto_apply) = attributes["auto-apply"].as_bool() {
            workspace.auto_apply = auto_apply;
        }
        self.show_workspace(self.workspaces.get(id), call)
    }

    pub(super) fn remove_workspace(&mut self, id: &str) -> Reply {
        if !self.workspaces.contains_key(id) {
            return Reply::not_found();
        }
        self.delete_workspace(id);
        Reply::empty(204)
    }

    pub(super) fn lock(&mut self, id: &str, call: &Call) -> Reply {
        let Some(workspace) = self.workspaces.get_mut(id) else { return Reply::not_found() };
        if workspace.locked || workspace.active.is_some() {
            return Reply::refusal(409, "conflict", "Unable to lock workspace. The workspace is already locked.");
        }
        workspace.locked = true;
        self.show_workspace(self.workspaces.get(id), call)
    }

    pub(super) fn unlock(&mut self, id: &str, call: &Call) -> Reply {
        let Some(workspace) = self.workspaces.get_mut(id) else { return Reply::not_found() };
        if !workspace.locked {
            let detail = "Unable to unlock workspace. The workspace is not locked, or locked by a run.";
            return Reply::refusal(409, "conflict", detail);
        }
        workspace.locked = false;
        self.advance(id);
        self.show_workspace(self.workspaces.get(id), call)
    }

    /// The run whose turn it is, else the last that was not speculative.
    fn current_run<'a>(&'a self, workspace: &'a Workspace) -> Option<&'a String> {
        let speculative = |id: &&String| self.runs.get(*id).is_none_or(|run| run.asked.plan_only);
        workspace.active.as_ref().or_else(|| workspace.runs.iter().rev().find(|id| !speculative(id)))
    }

    pub(super) fn render_workspace(&self, workspace: &Workspace, rights: Rights) -> Value {
        let one = |kind: &str, id: Option<&String>| json!({ "data": id.map(|id| json!({ "id": id, "type": kind })) });
        let configuration = workspace.configured.then(|| configuration_version(&workspace.id, workspace.revision));
        let state = self.current_state(workspace).map(|version| &version.id);
        let project = if self.options.server.projects {
            json!({ "data": { "id": workspace.project, "type": "projects" } })
        } else {
            Value::Null
        };
        // A run that has its turn holds the lock, as a person would.
        let person = format!("user-{}", self.options.user);
        let holder = workspace.locked.then_some(("users", person.as_str()));
        let holder = holder.or(workspace.active.as_deref().map(|run| ("runs", run)));
        json!({
            "id": workspace.id,
            "type": "workspaces",
            "attributes": {
                "name": workspace.name,
                "created-at": millis(workspace.created_at),
                "latest-change-at": millis(self.latest_change_at(workspace)),
                "locked": holder.is_some(),
                "auto-apply": workspace.auto_apply,
                "auto-apply-run-trigger": false,
                "execution-mode": workspace.execution_mode,
                "global-remote-state": true,
                "terraform-version": TERRAFORM_VERSION,
                "vcs-repo": null,
                "tag-names": workspace.tags,
                "permissions": permissions(workspace, rights),
            },
            "relationships": {
                "project": project,
                "organization": { "data": { "id": workspace.organization, "type": "organizations" } },
                "current-run": one("runs", self.current_run(workspace)),
                "latest-run": one("runs", workspace.runs.last()),
                "current-state-version": one("state-versions", state),
                "current-configuration-version": one("configuration-versions", configuration.as_ref()),
                "locked-by": { "data": holder.map(|(kind, id)| json!({ "id": id, "type": kind })) },
            },
            "links": {
                "self": format!("/api/v2/organizations/{}/workspaces/{}", workspace.organization, workspace.name),
            },
        })
    }
}

fn permissions(workspace: &Workspace, rights: Rights) -> Value {
    let admin = rights.admin && !workspace.guarded;
    json!({
        "can-queue-run": rights.runs,
        "can-queue-apply": rights.runs,
        "can-queue-destroy": rights.runs,
        "can-read-state-versions": rights.states,
        "can-read-state-outputs": rights.states,
        "can-lock": rights.runs,
        "can-unlock": rights.runs,
        "can-update": admin,
        "can-manage-run-tasks": rights.run_tasks,
    })
}
