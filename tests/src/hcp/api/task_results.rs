//! Task results: shown, and called back; and what their access tokens are good for.

use serde_json::{Value, json};

use crate::hcp::clock::millis;
use crate::hcp::model::World;
use crate::hcp::options::TokenKind;
use crate::hcp::tasks::{AccessToken, Callback, Heard, Stage, TaskResult, TaskResultStatus, TaskStage};
use crate::hcp::view::Leak;

use super::reply::{Call, Caller, Reply};
use super::route::Route;
use super::socket::Line;

/// What every access token has in it.
const MARK: &str = ".atlasv1.";

impl World {
    /// A task, if a request bears an access token that was ever handed out.
    pub(super) fn task_caller(&self, call: &Call) -> Option<Caller> {
        let result = self.tasks.tokens.get(call.bearer.as_ref()?)?.result.clone();
        Some(Caller { user: result.clone(), kind: TokenKind::User, result: Some(result) })
    }

    /// The refusal of an access token that is used for what it is not good for, or no longer.
    pub(super) fn misused(&mut self, call: &Call, caller: &Caller, line: &Line) -> Option<Reply> {
        let result = caller.result.as_ref()?;
        let token = &self.tasks.tokens[call.bearer.as_ref()?];
        if !is_for(token, call) {
            self.leaks.push(Leak { result: Some(result.clone()), path: call.path.clone(), peer: line.peer });
            return Some(Reply::unauthorized());
        }
        let age = self.tasks.now().duration_since(token.issued);
        let expired = self.options.tasks.token_lifetime.is_some_and(|lifetime| age >= lifetime);
        expired.then(Reply::unauthorized)
    }

    /// Access tokens belong into the header that is made for them, and nowhere else.
    pub(super) fn find_leaks(&mut self, call: &Call, line: &Line) {
        let texts = [call.path.clone(), String::from_utf8_lossy(&call.body).into_owned()];
        for text in texts.iter().filter(|text| text.contains(MARK)) {
            let found = self.tasks.tokens.iter().filter(|(token, _)| text.contains(*token));
            let leaks: Vec<_> = found
                .map(|(_, token)| Leak { result: Some(token.result.clone()), path: call.path.clone(), peer: line.peer })
                .collect();
            self.leaks.extend(leaks);
        }
    }

    /// Writes down a callback, whatever comes of it.
    pub(super) fn hear(&mut self, call: &Call, request: usize) {
        if call.route != Route::TaskResultCallback {
            return;
        }
        let (at, now) = (self.tasks.date(), self.tasks.now());
        if let Some(result) = self.tasks.called_back(call.variable(0)) {
            let status = call.data().ok().and_then(|data| data["attributes"]["status"].as_str().map(str::to_owned));
            let after = now.duration_since(result.created);
            result.heard.push(Heard { request, at, after, status, accepted: false });
        }
    }

    pub(super) fn callback(&mut self, call: &Call, caller: &Caller) -> Reply {
        let Some(result) = self.tasks.called_back(call.variable(0)) else { return Reply::not_found() };
        if call.query.get("url_code") != Some(&result.code) {
            return Reply::not_found();
        }
        if caller.result.as_ref() != Some(&result.id) {
            return Reply::unauthorized();
        }
        if result.status.is_final() {
            return Reply::refusal(409, "conflict", "the task result is final");
        }
        let id = result.id.clone();
        let read = |data: Value| Callback::read(&data).map_err(|why| Reply::refusal(422, "invalid attribute", &why));
        match call.data().and_then(read) {
            Err(refusal) => return refusal,
            Ok(callback) => self.take_callback(&id, callback, call.number),
        }
        self.show_task_result(&id)
    }

    pub(super) fn show_task_result(&self, id: &str) -> Reply {
        self.tasks.results.get(id).map_or_else(Reply::not_found, |result| Reply::data(&render_result(result)))
    }

    pub(super) fn list_task_stages(&self, call: &Call) -> Reply {
        let run = call.variable(0);
        if !self.runs.contains_key(run) {
            return Reply::not_found();
        }
        let stages: Vec<_> = self.tasks.stages.values().filter(|stage| stage.run == run).collect();
        let results = |stage: &TaskStage| -> Vec<&TaskResult> {
            stage.results.iter().filter_map(|id| self.tasks.results.get(id)).collect()
        };
        let include = |stage: &&TaskStage| -> Vec<Value> {
            let wanted = call.includes("task_results");
            results(stage).into_iter().filter(|_| wanted).map(render_result).collect()
        };
        call.page_including(&stages, true, |stage| render_stage(stage, &results(stage)), include)
    }
}

fn is_for(token: &AccessToken, call: &Call) -> bool {
    match call.route {
        Route::TaskResultCallback => token.callback == call.variable(0),
        Route::PlanJson => token.stage != Stage::PrePlan && token.run.replacen("run", "plan", 1) == call.variable(0),
        Route::DownloadConfiguration => token.configuration == call.variable(0),
        _ => false,
    }
}

fn render_stage(stage: &TaskStage, results: &[&TaskResult]) -> Value {
    let worst = results.iter().map(|result| result.status).filter(|status| *status != TaskResultStatus::Passed).max();
    let open = results.iter().any(|result| !result.status.is_final());
    let status = if open { TaskResultStatus::Running } else { worst.unwrap_or(TaskResultStatus::Passed) };
    let results = stage.results.iter().map(|id| json!({ "id": id, "type": "task-results" }));
    json!({
        "id": stage.id,
        "type": "task-stages",
        "attributes": {
            "stage": stage.stage.as_str(),
            "status": status.as_str(),
            "created-at": millis(stage.created_at),
        },
        "relationships": {
            "run": { "data": { "id": stage.run, "type": "runs" } },
            "task-results": { "data": results.collect::<Vec<_>>() },
        },
    })
}

fn render_result(result: &TaskResult) -> Value {
    json!({
        "id": result.id,
        "type": "task-results",
        "attributes": {
            "status": result.status.as_str(),
            "message": result.message,
            "url": result.url,
            "stage": result.stage.as_str(),
            "task-id": result.task.id,
            "task-name": result.task.spec.name,
            "task-url": result.task.spec.url,
            "workspace-task-id": result.link,
            "workspace-task-enforcement-level": result.enforcement.as_str(),
            "created-at": millis(result.created_at),
            "updated-at": millis(result.updated_at),
        },
        "relationships": {
            "task-stage": { "data": { "id": result.task_stage, "type": "task-stages" } },
        },
        "links": { "self": format!("/api/v2/task-results/{}", result.id) },
    })
}
