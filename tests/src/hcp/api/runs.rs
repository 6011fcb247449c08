//! Runs: created, shown, listed, confirmed, discarded, canceled.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::hcp::clock::{millis, offset};
use crate::hcp::model::{Run, RunOptions, Workspace, World};
use crate::hcp::view::RunStatus;

use super::reply::{Call, Caller, Reply};
use super::route::Route;

impl World {
    pub(super) fn create_run_asked(&mut self, call: &Call, caller: &Caller) -> Reply {
        let data = match call.data() {
            Ok(data) => data,
            Err(refusal) => return refusal,
        };
        let Some(id) = data.pointer("/relationships/workspace/data/id").and_then(Value::as_str) else {
            return Reply::refusal(422, "invalid attribute", "Workspace can't be blank");
        };
        let Some(workspace) = self.workspaces.get(id) else { return Reply::not_found() };
        if !workspace.configured {
            return Reply::refusal(422, "invalid attribute", "Configuration version is missing");
        }
        let asked = match run_options(&data["attributes"], &caller.user) {
            Ok(asked) => asked,
            Err(name) => return Reply::refusal(422, "invalid attribute", &format!("invalid run parameters: {name}")),
        };
        let run = self.create_run(id, asked).and_then(|run| self.runs.get(&run));
        run.map_or_else(Reply::not_found, |run| Reply::json(201, &json!({ "data": render_run(run) })))
    }

    pub(super) fn show_run(&self, call: &Call) -> Reply {
        let Some(run) = self.runs.get(call.variable(0)) else { return Reply::not_found() };
        let workspace = self.workspaces.get(&run.workspace).filter(|_| call.includes("workspace"));
        let included = workspace.map(|workspace| self.render_workspace(workspace, self.rights_of(call)));
        Reply::including(&render_run(run), included.as_slice())
    }

    pub(super) fn list_runs(&self, call: &Call) -> Reply {
        let Some(workspace) = self.workspaces.get(call.variable(0)) else { return Reply::not_found() };
        let runs = workspace.runs.iter().rev().filter_map(|id| self.runs.get(id));
        let wanted: Vec<_> = runs.filter(|run| wanted(run, call)).collect();
        call.page(&wanted, true, |run| render_run(run))
    }

    /// Here nobody counts how many there are in all.
    pub(super) fn list_organization_runs(&self, call: &Call) -> Reply {
        let organization = call.variable(0);
        if !self.organizations.contains(organization) {
            return Reply::not_found();
        }
        let names = call.parameter("filter[workspace_names]").map(|names| names.split(',').collect::<BTreeSet<_>>());
        let visible = |workspace: &Workspace| {
            workspace.organization == organization
                && names.as_ref().is_none_or(|names| names.contains(workspace.name.as_str()))
        };
        let runs = self.runs.values().rev().filter(|run| self.workspaces.get(&run.workspace).is_some_and(visible));
        let wanted: Vec<_> = runs.filter(|run| wanted(run, call)).collect();
        call.page(&wanted, false, |run| render_run(run))
    }

    pub(super) fn steer_run(&mut self, call: &Call, caller: &Caller) -> Reply {
        let id = call.variable(0);
        if !self.runs.contains_key(id) {
            return Reply::not_found();
        }
        let done = match call.route {
            Route::ApplyRun => self.confirm(id, &caller.user),
            Route::DiscardRun => self.discard(id),
            Route::CancelRun => self.cancel(id),
            _ => self.force_cancel(id),
        };
        let conflict = |_| Reply::refusal(409, "transition not allowed", "the run is in another status");
        done.map_or_else(conflict, |()| Reply::empty(202))
    }
}

pub(super) fn render_run(run: &Run) -> Value {
    let asked = &run.asked;
    let reached = |status: &RunStatus| format!("{}-at", status.as_str().replace('_', "-"));
    let timestamps: Map<_, _> =
        run.statuses.iter().map(|(status, at)| (reached(status), Value::from(offset(*at)))).collect();
    let works = matches!(run.status, RunStatus::Planning | RunStatus::Applying);
    let pending = run.status == RunStatus::Pending;
    let (planned, asking) = (run.status.is_confirmable(), run.status.awaits_tasks());
    let same = |prefix: &str, id: &str| id.replacen("run", prefix, 1);
    let configuration = configuration_version(&run.workspace, run.revision);
    json!({
        "id": run.id,
        "type": "runs",
        "attributes": {
            "status": run.status.as_str(),
            "status-timestamps": timestamps,
            "has-changes": run.has_changes,
            "is-destroy": asked.is_destroy,
            "plan-only": asked.plan_only,
            "save-plan": false,
            "refresh": true,
            "refresh-only": asked.refresh_only,
            "allow-empty-apply": asked.allow_empty_apply,
            "auto-apply": asked.auto_apply,
            "message": asked.message,
            "source": asked.source,
            "trigger-reason": "manual",
            "created-at": millis(run.created_at),
            "actions": {
                "is-confirmable": planned,
                "is-discardable": planned || pending,
                "is-cancelable": pending || asking || (works && !run.cancel_asked),
                "is-force-cancelable": works && run.cancel_asked,
            },
            "permissions": { "can-apply": true, "can-cancel": true, "can-discard": true, "can-force-cancel": true },
        },
        "relationships": {
            "workspace": { "data": { "id": run.workspace, "type": "workspaces" } },
            "configuration-version": { "data": { "id": configuration, "type": "configuration-versions" } },
            "created-by": { "data": { "id": format!("user-{}", asked.created_by), "type": "users" } },
            "plan": { "data": { "id": same("plan", &run.id), "type": "plans" } },
            "apply": { "data": { "id": same("apply", &run.id), "type": "applies" } },
            "task-stages": { "links": { "related": format!("/api/v2/runs/{}/task-stages", run.id) } },
        },
        "links": { "self": format!("/api/v2/runs/{}", run.id) },
    })
}

/// Each workspace counts its own.
pub(in crate::hcp) fn configuration_version(workspace: &str, revision: u32) -> String {
    format!("cv-{}{revision:04}", &workspace[workspace.len() - 12..])
}

/// What a request asks of a run, or the name of an attribute of the wrong type.
fn run_options(attributes: &Value, user: &str) -> Result<RunOptions, &'static str> {
    let flag = |name: &'static str| match &attributes[name] {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        _ => Err(name),
    };
    let message = match &attributes["message"] {
        Value::Null => "Triggered via API",
        Value::String(message) => message,
        _ => return Err("message"),
    };
    Ok(RunOptions {
        message: message.to_owned(),
        created_by: user.to_owned(),
        source: "tfe-api".to_owned(),
        auto_apply: flag("auto-apply")?,
        is_destroy: flag("is-destroy")?.unwrap_or(false),
        plan_only: flag("plan-only")?.unwrap_or(false),
        allow_empty_apply: flag("allow-empty-apply")?.unwrap_or(false),
        refresh_only: flag("refresh-only")?.unwrap_or(false),
    })
}

/// Whether a list's filters let this run through. Speculative runs only come if they are asked for.
fn wanted(run: &Run, call: &Call) -> bool {
    let status = run.status;
    let among =
        |name: &str, value: &str| call.parameter(name).is_none_or(|list| list.split(',').any(|it| it.trim() == value));
    let group = call.parameter("filter[status_group]").is_none_or(|group| match group {
        "final" => status.is_final(),
        "non_final" => !status.is_final(),
        "discardable" => status == RunStatus::Pending || status.is_confirmable(),
        _ => false,
    });
    let found = call
        .parameter("search[basic]")
        .is_none_or(|text| run.asked.message.contains(text) || run.id == text || run.asked.created_by == text);
    let speculative = !run.asked.plan_only || call.parameter("filter[operation]").is_some();
    group
        && found
        && speculative
        && among("filter[status]", status.as_str())
        && among("filter[operation]", operation(run))
        && among("filter[source]", &run.asked.source)
}

fn operation(run: &Run) -> &'static str {
    match &run.asked {
        asked if asked.plan_only => "plan_only",
        asked if asked.is_destroy => "destroy",
        asked if asked.refresh_only => "refresh_only",
        asked if asked.allow_empty_apply => "empty_apply",
        _ => "plan_and_apply",
    }
}
