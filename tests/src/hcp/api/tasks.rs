//! Run tasks over the API: none is kept that does not answer its test request with exactly 200.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::hcp::model::World;
use crate::hcp::tasks::{Enforcement, Link, RunTask, RunTaskSpec, Stage};

use super::reply::{Answer, Asked, Call, Reply};
use super::route::Route;

impl World {
    pub(super) fn manage_tasks(&mut self, call: &Call) -> Answer {
        let id = call.variable(0);
        match call.route {
            Route::CreateRunTask => return self.create_task(call).unwrap_or_else(Answer::from),
            Route::UpdateRunTask => return self.update_task(call).unwrap_or_else(Answer::from),
            Route::ListRunTasks => self.list_tasks(call),
            Route::ShowRunTask => {
                self.tasks.tasks.get(id).map_or_else(Reply::not_found, |task| Reply::data(&render_task(task)))
            }
            Route::DeleteRunTask if self.delete_task(id) => Reply::empty(204),
            Route::CreateWorkspaceRunTask => self.create_link(call).unwrap_or_else(|refusal| refusal),
            Route::ListWorkspaceRunTasks => self.list_links(call),
            Route::UpdateWorkspaceRunTask => self.update_link(call).unwrap_or_else(|refusal| refusal),
            Route::DeleteWorkspaceRunTask => self.delete_link(id, call.variable(1)),
            _ => Reply::not_found(),
        }
        .into()
    }

    fn create_task(&mut self, call: &Call) -> Result<Answer, Reply> {
        let organization = call.variable(0);
        if !self.organizations.contains(organization) {
            return Err(Reply::not_found());
        }
        let data = call.data()?;
        if data["attributes"]["category"] != "task" {
            return Err(invalid("the category must be task"));
        }
        let others = self.tasks.tasks.values().filter(|other| other.organization == organization).count();
        if self.options.server.run_task_limit.is_some_and(|limit| others >= limit as usize) {
            return Err(invalid("Organization has reached its limit of run tasks"));
        }
        let spec = change(RunTaskSpec::new("", "").organization(organization), &data["attributes"])?;
        let task = self.new_task(spec);
        self.verify_task(task, 201)
    }

    fn update_task(&self, call: &Call) -> Result<Answer, Reply> {
        let task = self.tasks.tasks.get(call.variable(0)).cloned().ok_or_else(Reply::not_found)?;
        let spec = change(task.spec, &call.data()?["attributes"])?;
        self.verify_task(RunTask { spec, ..task }, 200)
    }

    fn verify_task(&self, task: RunTask, status: u16) -> Result<Answer, Reply> {
        let others = self.tasks.tasks.values().filter(|other| other.id != task.id);
        let mut others = others.filter(|other| other.organization == task.organization);
        if others.any(|other| other.spec.name == task.spec.name) {
            return Err(invalid("Name has already been taken"));
        }
        let post = self.verification_of(&task);
        Ok(Answer::Ask(Box::new(Asked { task, post, status })))
    }

    /// The task has answered its test request, or has not.
    pub(super) fn task_asked(&mut self, asked: Asked, answer: Option<u16>) -> Reply {
        if answer != Some(200) {
            let answer = answer.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
            return invalid(&format!("URL answered {answer} where only 200 will do"));
        }
        let reply = json!({ "data": render_task(&asked.task) });
        self.tasks.tasks.insert(asked.task.id.clone(), asked.task);
        Reply::json(asked.status, &reply)
    }

    fn list_tasks(&self, call: &Call) -> Reply {
        let organization = call.variable(0);
        if !self.organizations.contains(organization) {
            return Reply::not_found();
        }
        let found: Vec<_> = self.tasks.tasks.values().filter(|task| task.organization == organization).collect();
        let included = |task: &&RunTask| {
            let links = self.tasks.links.values().filter(|link| link.task == task.id);
            let wanted = call.includes("workspace_tasks");
            links.filter(move |_| wanted).map(render_link).collect::<Vec<_>>()
        };
        call.page_including(&found, true, |task| render_task(task), included)
    }

    fn create_link(&mut self, call: &Call) -> Result<Reply, Reply> {
        let workspace = self.workspaces.get(call.variable(0)).ok_or_else(Reply::not_found)?;
        let (id, organization) = (workspace.id.clone(), workspace.organization.clone());
        let data = call.data()?;
        let task = data.pointer("/relationships/task/data/id").and_then(Value::as_str).unwrap_or_default();
        let known = self.tasks.tasks.get(task).filter(|task| task.organization == organization);
        let task = known.ok_or_else(|| invalid("Task must exist"))?.id.clone();
        if self.tasks.links.values().any(|link| link.task == task && link.workspace == id) {
            return Err(invalid("Task has already been taken"));
        }
        let (enforcement, stages) = asked(&data["attributes"])?;
        let stages: Vec<_> = stages.into_iter().collect();
        let link = self.link_task(&id, &task, enforcement, &stages);
        Ok(Reply::json(201, &json!({ "data": render_link(&self.tasks.links[&link]) })))
    }

    fn update_link(&mut self, call: &Call) -> Result<Reply, Reply> {
        let (enforcement, stages) = asked(&call.data()?["attributes"])?;
        let link = self.tasks.links.get_mut(call.variable(1)).filter(|link| link.workspace == call.variable(0));
        let link = link.ok_or_else(Reply::not_found)?;
        (link.enforcement, link.stages) = (enforcement, stages);
        Ok(Reply::data(&render_link(link)))
    }

    fn list_links(&self, call: &Call) -> Reply {
        let workspace = call.variable(0);
        if !self.workspaces.contains_key(workspace) {
            return Reply::not_found();
        }
        let found: Vec<_> = self.tasks.links.values().filter(|link| link.workspace == workspace).collect();
        call.page(&found, true, |link| render_link(link))
    }

    fn delete_link(&mut self, workspace: &str, id: &str) -> Reply {
        if self.tasks.links.get(id).is_none_or(|link| link.workspace != workspace) {
            return Reply::not_found();
        }
        self.tasks.links.remove(id);
        Reply::empty(204)
    }
}

fn invalid(detail: &str) -> Reply {
    Reply::refusal(422, "invalid attribute", detail)
}

fn change(mut spec: RunTaskSpec, attributes: &Value) -> Result<RunTaskSpec, Reply> {
    let text = |name: &str| attributes[name].as_str().map(str::to_owned);
    spec.name = text("name").unwrap_or(spec.name);
    spec.url = text("url").unwrap_or(spec.url);
    spec.description = text("description").unwrap_or(spec.description);
    spec.enabled = attributes["enabled"].as_bool().unwrap_or(spec.enabled);
    if let Some(key) = attributes.get("hmac-key") {
        spec.hmac_key = key.as_str().filter(|key| !key.is_empty()).map(str::to_owned);
    }
    let global = &attributes["global-configuration"];
    if let Some(enabled) = global["enabled"].as_bool() {
        spec.global = None;
        if enabled {
            spec.global = Some((enforcement(&global["enforcement-level"])?, stages(&global["stages"])?));
        }
    }
    let is_url = url::Url::parse(&spec.url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if spec.name.is_empty() || !is_url {
        return Err(invalid("a name and a URL of http or https are required"));
    }
    Ok(spec)
}

/// How a workspace is to ask a task.
fn asked(attributes: &Value) -> Result<(Enforcement, BTreeSet<Stage>), Reply> {
    let enforcement = enforcement(&attributes["enforcement-level"])?;
    // The singular is what there was at first; alone it is still understood.
    let named = match (&attributes["stages"], &attributes["stage"]) {
        (Value::Null, Value::Null) => json!(["post_plan"]),
        (Value::Null, stage) => json!([stage]),
        (stages, _) => stages.clone(),
    };
    Ok((enforcement, stages(&named)?))
}

fn enforcement(value: &Value) -> Result<Enforcement, Reply> {
    let enforcement = value.as_str().and_then(Enforcement::named);
    enforcement.ok_or_else(|| invalid("Enforcement level must be advisory or mandatory"))
}

fn stages(value: &Value) -> Result<BTreeSet<Stage>, Reply> {
    let named = |stage: &Value| stage.as_str().and_then(Stage::named);
    let stages = value.as_array().and_then(|stages| stages.iter().map(named).collect::<Option<BTreeSet<_>>>());
    stages.filter(|stages| !stages.is_empty()).ok_or_else(|| invalid("Stages must be of those that there are"))
}

/// The key is never told.
fn render_task(task: &RunTask) -> Value {
    let spec = &task.spec;
    let global = spec.global.as_ref().map(|(enforcement, stages)| {
        let stages: Vec<_> = stages.iter().map(|stage| stage.as_str()).collect();
        json!({ "enabled": true, "stages": stages, "enforcement-level": enforcement.as_str() })
    });
    json!({
        "id": task.id,
        "type": "tasks",
        "attributes": {
            "category": "task",
            "name": spec.name,
            "url": spec.url,
            "description": spec.description,
            "enabled": spec.enabled,
            "hmac-key": null,
            "global-configuration": global.unwrap_or_else(|| json!({ "enabled": false })),
        },
        "relationships": { "organization": { "data": { "id": task.organization, "type": "organizations" } } },
        "links": { "self": format!("/api/v2/tasks/{}", task.id) },
    })
}

fn render_link(link: &Link) -> Value {
    let stages: Vec<_> = link.stages.iter().map(|stage| stage.as_str()).collect();
    json!({
        "id": link.id,
        "type": "workspace-tasks",
        "attributes": {
            "enforcement-level": link.enforcement.as_str(),
            "stage": stages.first(),
            "stages": stages,
        },
        "relationships": {
            "task": { "data": { "id": link.task, "type": "tasks" } },
            "workspace": { "data": { "id": link.workspace, "type": "workspaces" } },
        },
        "links": { "self": format!("/api/v2/workspaces/{}/tasks/{}", link.workspace, link.id) },
    })
}
