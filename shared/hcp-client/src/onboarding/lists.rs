//! Projects and workspaces, a page at a time.

use std::collections::BTreeSet;

use sluice_domain::Organization;
use sluice_domain::onboarding::{Page, ProjectFound, WorkspaceMay, WorkspaceSeen};
use sluice_domain::ports::TerraformError;

use super::{Item, Items, PAGE_BYTES_MAX, PAGE_SIZE};
use crate::call::{Endpoint, unless_absent};
use crate::client::Client;

const LISTING_PROJECTS: &str = "listing projects";
const LISTING_WORKSPACES: &str = "listing workspaces";

impl Client {
    pub(super) async fn list_projects(
        &self,
        organization: &Organization,
        page: u32,
    ) -> Result<Option<Page<ProjectFound>>, TerraformError> {
        let number = page.to_string();
        let query = [("page[number]", number.as_str()), ("page[size]", PAGE_SIZE)];
        let path = ["organizations", organization.as_str(), "projects"];
        let endpoint = Endpoint { query: &query, ..Endpoint::new(&path) };
        let answer: Option<Items> = unless_absent(self.get(LISTING_PROJECTS, endpoint).await)?;
        Ok(answer.map(|items| items.page(page, "project", project)))
    }

    pub(super) async fn list_workspaces_seen(
        &self,
        organization: &Organization,
        tags: &BTreeSet<String>,
        page: u32,
    ) -> Result<Option<Page<WorkspaceSeen>>, TerraformError> {
        let (number, tags) = (page.to_string(), tags.iter().map(String::as_str).collect::<Vec<_>>().join(","));
        let mut query = vec![("page[number]", number.as_str()), ("page[size]", PAGE_SIZE), ("sort", "name")];
        if !tags.is_empty() {
            query.push(("search[tags]", &tags));
        }
        let path = ["organizations", organization.as_str(), "workspaces"];
        let endpoint = Endpoint { path: &path, query: &query, answer_bytes_max: PAGE_BYTES_MAX };
        let answer: Option<Items> = unless_absent(self.get(LISTING_WORKSPACES, endpoint).await)?;
        Ok(answer.map(|items| items.page(page, "workspace", workspace)))
    }
}

fn project(item: &Item) -> Option<ProjectFound> {
    Some(ProjectFound { id: item.id.parse().ok()?, name: item.text("name")? })
}

fn workspace(item: &Item) -> Option<WorkspaceSeen> {
    Some(WorkspaceSeen {
        id: item.id.parse().ok()?,
        name: item.text("name")?,
        project: item.related("project").and_then(|id| id.parse().ok()),
        execution_mode: item.text("execution-mode"),
        tags: item.words("tag-names"),
        may: WorkspaceMay {
            queue_run: item.may("can-queue-run"),
            queue_apply: item.may("can-queue-apply"),
            read_state_versions: item.may("can-read-state-versions"),
            update: item.may("can-update"),
            manage_run_tasks: item.may("can-manage-run-tasks"),
        },
    })
}
