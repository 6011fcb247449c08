//! What a run task reads: its run's plan as JSON, and the files of its configuration. Both are redirects to the
//! archivist, which are good for a minute and must be followed without the token.

use serde_json::json;

use crate::hcp::model::{Run, World};
use crate::hcp::render_plan::render_plan;
use crate::hcp::tasks::Content;
use crate::hcp::view::RunStatus;

use super::configuration_version;
use super::reply::Reply;

/// Whether the plan has ended, and well.
fn planned(run: &Run) -> bool {
    let ended = |status| matches!(status, RunStatus::Planned | RunStatus::PlannedAndFinished);
    matches!(run.plan, Some(Ok(_))) && run.statuses.iter().any(|(status, _)| ended(*status))
}

impl World {
    pub(super) fn redirect_to_plan(&mut self, plan: &str) -> Reply {
        let id = plan.replacen("plan", "run", 1);
        match self.runs.get(&id).filter(|_| plan.starts_with("plan-")) {
            None => Reply::not_found(),
            Some(run) if !planned(run) => Reply::empty(204),
            Some(_) => self.redirect(307, Content::Plan(id)),
        }
    }

    pub(super) fn redirect_to_configuration(&mut self, id: &str) -> Reply {
        if self.runs.values().any(|run| configuration_version(&run.workspace, run.revision) == id) {
            self.redirect(302, Content::Configuration(id.to_owned()))
        } else {
            Reply::not_found()
        }
    }

    fn redirect(&mut self, status: u16, content: Content) -> Reply {
        let key = self.tasks.publish(content);
        Reply::empty(status).header("location", format!("{}/v1/object/{key}", self.archivist))
    }

    pub(super) fn download_content(&self, content: &Content) -> Reply {
        match content {
            Content::Plan(run) => match self.runs.get(run).and_then(|run| render_plan(self, run)) {
                None => Reply::not_found(),
                Some((body, filler)) => {
                    Reply { body, filler, content_type: "application/json", ..Reply::json(200, &json!(null)) }
                }
            },
            Content::Configuration(id) => Reply {
                body: format!("the files of {id}\n").into_bytes(),
                content_type: "application/octet-stream",
                ..Reply::empty(200)
            },
        }
    }
}
