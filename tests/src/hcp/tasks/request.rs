//! Requests to tasks: what they say, and how often they are sent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::Instant;

use super::{RunTask, Stage, TaskRequest, TaskResult, TaskResultStatus};
use crate::hcp::api::configuration_version;
use crate::hcp::clock::millis;
use crate::hcp::core::{Core, Job};
use crate::hcp::faults::TaskRequestMishap;
use crate::hcp::model::World;
use crate::hcp::notify::{client_named, sign};

/// A request ready to be sent.
#[derive(Debug, Clone)]
pub(in crate::hcp) struct Post {
    url: String,
    body: Vec<u8>,
    /// Empty without a key, but there.
    signature: String,
    timeout: Duration,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "these are the names on the wire")]
struct Payload<'a> {
    payload_version: u8,
    stage: &'a str,
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Capabilities>,
    configuration_version_download_url: Option<String>,
    configuration_version_id: &'a str,
    is_speculative: bool,
    organization_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_json_api_url: Option<String>,
    project_id: &'a str,
    project_name: &'a str,
    run_app_url: String,
    run_created_at: String,
    run_created_by: &'a str,
    run_id: &'a str,
    run_message: &'a str,
    task_result_callback_url: String,
    task_result_enforcement_level: &'a str,
    task_result_id: &'a str,
    vcs_branch: Option<&'a str>,
    vcs_commit_url: Option<&'a str>,
    vcs_commit_hash: Option<&'a str>,
    vcs_pull_request_url: Option<&'a str>,
    vcs_repo_url: Option<&'a str>,
    workspace_app_url: String,
    workspace_id: &'a str,
    workspace_name: &'a str,
    workspace_working_directory: Option<&'a str>,
}

#[derive(Serialize)]
struct Capabilities {
    outcomes: bool,
}

/// The client that asks tasks. A redirect is an answer that is not 200.
pub(in crate::hcp) fn client() -> reqwest::Client {
    let client = client_named("TFC/1.0 (+https://app.terraform.io; TFC)");
    client.redirect(reqwest::redirect::Policy::none()).build().expect("a client of fixed settings can be built")
}

/// Sends a request, once; `None` if nobody answered.
pub(in crate::hcp) async fn send(client: &reqwest::Client, post: &Post) -> Option<u16> {
    let request = client
        .post(&post.url)
        .header("Content-Type", "application/json")
        .header("X-TFC-Task-Signature", &post.signature)
        .timeout(post.timeout)
        .body(post.body.clone());
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    // Read to the end, so that the connection serves the next one.
    let _ = response.bytes().await;
    Some(status)
}

impl World {
    /// The request that a task has to answer before it is kept.
    pub fn verification_of(&self, task: &RunTask) -> Post {
        let id = |prefix: &str| format!("{prefix}-{}", "x".repeat(16));
        let at = |path: &str| format!("{}{path}", self.address);
        let (configuration, run, result, workspace) = (id("cv"), id("run"), id("taskrs"), id("ws"));
        let payload = Payload {
            stage: "test",
            access_token: "test-token",
            configuration_version_download_url: Some(at(&format!(
                "/api/v2/configuration-versions/{configuration}/download"
            ))),
            configuration_version_id: &configuration,
            is_speculative: false,
            organization_name: "test-org",
            plan_json_api_url: Some(at(&format!("/api/v2/plans/{}/json-output", id("plan")))),
            run_app_url: at(&format!("/app/test-org/test-workspace/runs/{run}")),
            run_created_at: "2021-01-01T00:00:00.000Z".to_owned(),
            run_created_by: "test-user",
            run_id: &run,
            run_message: "This is a test.",
            task_result_callback_url: at("/api/v2/task-results/xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx/callback"),
            task_result_enforcement_level: "test",
            task_result_id: &result,
            workspace_app_url: at("/app/test-org/test-workspace"),
            workspace_id: &workspace,
            workspace_name: "test-workspace",
            ..self.payload()
        };
        self.post(task, &payload)
    }

    /// The request of a result, as it is sent each time.
    fn request_of(&self, result: &TaskResult) -> Option<Post> {
        let run = self.runs.get(&result.run)?;
        let workspace = self.workspaces.get(&result.workspace)?;
        let at = |path: &str| format!("{}{path}", self.address);
        let configuration = configuration_version(&run.workspace, run.revision);
        let code: String = url::form_urlencoded::byte_serialize(result.code.as_bytes()).collect();
        let page = at(&format!("/app/{}/{}", workspace.organization, workspace.name));
        let plan = run.id.replacen("run", "plan", 1);
        let payload = Payload {
            stage: result.stage.as_str(),
            access_token: &result.access_token,
            configuration_version_download_url: Some(at(&format!(
                "/api/v2/configuration-versions/{configuration}/download"
            ))),
            configuration_version_id: &configuration,
            is_speculative: run.asked.plan_only,
            organization_name: &workspace.organization,
            plan_json_api_url: (result.stage != Stage::PrePlan)
                .then(|| at(&format!("/api/v2/plans/{plan}/json-output"))),
            run_app_url: format!("{page}/runs/{}", run.id),
            run_created_at: millis(run.created_at),
            run_created_by: &run.asked.created_by,
            run_id: &run.id,
            run_message: &run.asked.message,
            task_result_callback_url: at(&format!("/api/v2/task-results/{}/callback?url_code={code}", result.callback)),
            task_result_enforcement_level: result.enforcement.as_str(),
            task_result_id: &result.id,
            workspace_app_url: page.clone(),
            workspace_id: &workspace.id,
            workspace_name: &workspace.name,
            ..self.payload()
        };
        Some(self.post(&result.task, &payload))
    }

    /// What all of them have in common.
    fn payload(&self) -> Payload<'static> {
        Payload {
            payload_version: 1,
            stage: "",
            access_token: "",
            capabilities: self.options.tasks.capabilities.then_some(Capabilities { outcomes: true }),
            configuration_version_download_url: None,
            configuration_version_id: "",
            is_speculative: false,
            organization_name: "",
            plan_json_api_url: None,
            project_id: "prj-0000000000000001",
            project_name: "Default Project",
            run_app_url: String::new(),
            run_created_at: String::new(),
            run_created_by: "",
            run_id: "",
            run_message: "",
            task_result_callback_url: String::new(),
            task_result_enforcement_level: "",
            task_result_id: "",
            vcs_branch: None,
            vcs_commit_url: None,
            vcs_commit_hash: None,
            vcs_pull_request_url: None,
            vcs_repo_url: None,
            workspace_app_url: String::new(),
            workspace_id: "",
            workspace_name: "",
            workspace_working_directory: None,
        }
    }

    fn post(&self, task: &RunTask, payload: &Payload<'_>) -> Post {
        let body = serde_json::to_vec(payload).expect("strings and numbers only");
        Post {
            url: task.spec.url.clone(),
            signature: task.spec.hmac_key.as_deref().map(|key| sign(key, &body)).unwrap_or_default(),
            body,
            timeout: self.options.tasks.answer_within,
        }
    }

    /// Has a result's request sent after a while.
    pub(super) fn ask(&mut self, result: &str, after: Duration) {
        self.push(Job::Ask { after, result: result.to_owned() });
    }

    /// The request to send now, and what goes wrong with it; `None` if nobody waits for an answer any more.
    fn next_request(&mut self, id: &str) -> Option<(Post, Option<TaskRequestMishap>)> {
        let now = self.tasks.now();
        let result = self.tasks.results.get_mut(id).filter(|result| !result.status.is_final())?;
        result.attempts += 1;
        result.progress = now;
        let (task, stage) = (result.task.spec.name.clone(), result.stage);
        let mishap = self.faults.of_task_request(&task, stage);
        Some((self.request_of(&self.tasks.results[id])?, mishap))
    }

    fn requested(&mut self, result: &str, request: TaskRequest) {
        if let Some(result) = self.tasks.results.get_mut(result) {
            result.requests.push(request);
        }
    }

    /// An attempt is over.
    fn attempted(&mut self, id: &str, acknowledged: bool) {
        let Some(result) = self.tasks.results.get(id) else { return };
        if acknowledged || result.status.is_final() {
            return;
        }
        if result.attempts < self.options.tasks.attempts {
            self.ask(id, self.options.tasks.spacing);
        } else if result.status == TaskResultStatus::Pending {
            self.end_result(id, TaskResultStatus::Unreachable, "No request was answered with 200.");
        }
    }
}

/// Sends the request of a result, with what goes wrong on the way.
pub(in crate::hcp) async fn ask(core: &Arc<Core>, result: &str) {
    let Some((post, mishap)) = core.with(|world| world.next_request(result)) else { return };
    let once = || attempt(core, result, &post);
    let acknowledged = match mishap {
        None => once().await,
        Some(TaskRequestMishap::Lose) => {
            let at = core.look(|world| world.tasks.date());
            core.with(|world| world.requested(result, TaskRequest { at, answer: None, took: Duration::ZERO }));
            false
        }
        Some(TaskRequestMishap::Delay(after)) => {
            tokio::time::sleep(after).await;
            once().await
        }
        Some(TaskRequestMishap::Duplicate(times)) => {
            let mut acknowledged = once().await;
            for _ in 0..times {
                acknowledged |= once().await;
            }
            acknowledged
        }
        Some(TaskRequestMishap::Concurrent(times)) => join_all((0..=times).map(|_| once())).await.contains(&true),
    };
    core.with(|world| world.attempted(result, acknowledged));
}

async fn attempt(core: &Arc<Core>, result: &str, post: &Post) -> bool {
    let (at, begin) = (core.look(|world| world.tasks.date()), Instant::now());
    let answer = core.ask(post).await;
    core.with(|world| world.requested(result, TaskRequest { at, answer, took: begin.elapsed() }));
    answer == Some(200)
}
