//! The list of an organization's workspaces, a page at a time.
//!
//! From HCP Terraform's documentation of "List workspaces": it is sorted by `name`, `current-run.created-at` or
//! `latest-change-at`, `-` before one of them reverses it, and a page has at most 100. `latest-change-at` is when the
//! latest state version was created, or the workspace if it has none. Where workspaces without a run stand among the
//! others is not said.

use std::collections::BTreeMap;

use serde::Deserialize;
use sluice_domain::ports::{ListPage, RunListed, TerraformError, WorkspaceFound, WorkspaceListed};
use sluice_domain::{Host, Marker, Organization, SurveyScope, Workspace};
use sluice_hcp::wire::parse_timestamp;
use tracing::debug;

use crate::answers::{Identifier, Maybe, Relationship, Resource, RunAttributes, WorkspaceAttributes};
use crate::call::{Endpoint, unless_absent};
use crate::client::Client;

const LISTING_WORKSPACES: &str = "listing workspaces";

/// The most that HCP Terraform puts on a page.
const PAGE_SIZE: u32 = 100;

/// Most bytes of a page: some 80 KB for each workspace, with its permissions and its run.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// A page as it is sent.
#[derive(Debug, Deserialize)]
struct Page {
    data: Vec<Maybe<Resource<WorkspaceAttributes, Relationships>>>,
    included: Option<Vec<Maybe<Resource<RunAttributes>>>>,
    meta: Option<Maybe<Meta>>,
}

/// What a workspace has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Relationships {
    current_run: Option<Maybe<Relationship>>,
    current_state_version: Option<Maybe<Relationship>>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    pagination: Option<Pagination>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pagination {
    next_page: Option<u32>,
    total_count: Option<u32>,
}

impl Client {
    /// A page, from 1, of the workspaces of `organization`; None if that is not there or not to be seen.
    pub(crate) async fn list_workspaces(
        &self,
        organization: &Organization,
        scope: SurveyScope,
        page: u32,
    ) -> Result<Option<ListPage>, TerraformError> {
        let (number, size) = (page.to_string(), PAGE_SIZE.to_string());
        let query = [
            ("page[number]", number.as_str()),
            ("page[size]", size.as_str()),
            ("include", "current_run"),
            ("sort", order(scope)),
        ];
        let path = ["organizations", organization.as_str(), "workspaces"];
        let endpoint = Endpoint { path: &path, query: &query, answer_bytes_max: PAGE_BYTES_MAX };
        let answer = unless_absent(self.get(LISTING_WORKSPACES, endpoint).await)?;
        Ok(answer.map(|answer| listed(answer, self.host(), organization, page)))
    }
}

fn order(scope: SurveyScope) -> &'static str {
    match scope {
        SurveyScope::LatelyRun => "-current-run.created-at",
        SurveyScope::LatelyChanged => "-latest-change-at",
        SurveyScope::All => "name",
    }
}

fn listed(answer: Page, host: &Host, organization: &Organization, page: u32) -> ListPage {
    let pagination = answer.meta.and_then(Maybe::it).and_then(|meta| meta.pagination);
    // Where there is no word of others, these are the last.
    let seen = u32::try_from(answer.data.len())
        .unwrap_or(u32::MAX)
        .saturating_add(page.saturating_sub(1).saturating_mul(PAGE_SIZE));
    let total = pagination.as_ref().and_then(|pages| pages.total_count).unwrap_or(seen);
    // Only onwards: pages that lead back would never end.
    let next = pagination.and_then(|pages| pages.next_page).filter(|&next| next > page);
    // Whatever else comes along is no run, by its id.
    let runs = answer
        .included
        .into_iter()
        .flatten()
        .filter_map(Maybe::it)
        .filter_map(|run| Some((run.id.clone(), run_listed(run)?)));
    let mut runs: BTreeMap<String, RunListed> = runs.collect();
    let workspaces = answer.data.into_iter().filter_map(|item| {
        let Some(item) = item.it() else {
            debug!("a workspace of {organization} is left out of the list: it cannot be read");
            return None;
        };
        workspace_listed(item, host, organization, &mut runs)
    });
    ListPage { workspaces: workspaces.collect(), next, total }
}

fn workspace_listed(
    item: Resource<WorkspaceAttributes, Relationships>,
    host: &Host,
    organization: &Organization,
    runs: &mut BTreeMap<String, RunListed>,
) -> Option<WorkspaceListed> {
    let tagged = item.attributes.tagged();
    let name = item.attributes.name;
    let valid = Workspace::new(host.clone(), organization.clone(), &name).and_then(|_| item.id.parse());
    let id =
        valid.inspect_err(|error| debug!("a workspace of {organization} is left out of the list: {error}")).ok()?;
    let (run, state) = item.relationships.map_or((None, None), |to| (to.current_run, to.current_state_version));
    let run = related(run).and_then(|run| runs.remove(&run));
    let state = related(state).and_then(|state| state.parse().ok());
    Some(WorkspaceListed { found: WorkspaceFound { id, name, tagged }, state, run })
}

/// The id of what a relationship points to, if it points to anything.
fn related(relationship: Option<Maybe<Relationship>>) -> Option<String> {
    let Identifier { id } = relationship?.it()?.data?;
    Some(id)
}

/// A run, if it can be told which it is and where it stands.
fn run_listed(run: Resource<RunAttributes>) -> Option<RunListed> {
    let Resource { id, attributes, .. } = run;
    let created_at = parse_timestamp(&attributes.created_at).ok()?;
    Some(RunListed {
        run: id.parse().ok()?,
        created_at,
        standing: attributes.standing()?,
        at: attributes.latest().unwrap_or(created_at),
        marker: attributes.message.as_deref().and_then(Marker::in_message),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sluice_domain::{Autonomy, Standing};

    use super::*;

    fn read(page: u32, answer: Value) -> ListPage {
        let (host, organization) = ("app.terraform.io".parse().unwrap(), "acme".parse().unwrap());
        listed(serde_json::from_value(answer).unwrap(), &host, &organization, page)
    }

    fn workspace(id: &str, name: &str, related: &Value) -> Value {
        json!({ "id": id, "type": "workspaces", "attributes": { "name": name }, "relationships": related })
    }

    fn run(id: &str, attributes: &Value) -> Value {
        json!({ "id": id, "type": "runs", "attributes": attributes })
    }

    fn to(id: &str) -> Value {
        json!({ "data": { "id": id, "type": "any" } })
    }

    #[test]
    fn a_workspace_is_listed_with_its_state_and_its_current_run() {
        let page = read(
            1,
            json!({
                "data": [{
                    "id": "ws-1",
                    "attributes": { "name": "app", "tag-names": ["sluice:plan"], "permissions": { "can-lock": true } },
                    "relationships": { "current-run": to("run-1"), "current-state-version": to("sv-1"), "odd": 1 },
                }],
                "included": [run("run-1", &json!({
                    "created-at": "2026-11-20T10:00:00.500Z",
                    "status": "policy_checked",
                    "actions": { "is-confirmable": true },
                    "message": "Outputs changed in acme/net [sluice-0011223344556677]",
                    "status-timestamps": { "planned-at": "2026-11-20T10:00:09+00:00", "odd-at": null },
                }))],
                "meta": { "pagination": { "current-page": 1, "next-page": 2, "total-count": 101 } },
            }),
        );
        let [listed] = page.workspaces.try_into().unwrap();
        let found =
            WorkspaceFound { id: "ws-1".parse().unwrap(), name: "app".to_owned(), tagged: Some(Autonomy::Plan) };
        let created_at = parse_timestamp("2026-11-20T10:00:00.500Z").unwrap();
        let run = RunListed {
            run: "run-1".parse().unwrap(),
            created_at,
            standing: Standing::AwaitingPerson,
            at: parse_timestamp("2026-11-20T10:00:09Z").unwrap(),
            marker: Some(Marker("sluice-0011223344556677".to_owned())),
        };
        assert_eq!(listed, WorkspaceListed { found, state: Some("sv-1".parse().unwrap()), run: Some(run) });
        assert_eq!((page.next, page.total), (Some(2), 101));
    }

    #[test]
    fn what_cannot_be_read_leaves_the_rest_of_the_page_as_it_is() {
        let created = |status: Value| json!({ "created-at": "2026-11-20T10:00:00Z", "status": status });
        let page = read(
            1,
            json!({
                "data": [
                    workspace("ws-1", "bare", &Value::Null),
                    workspace("ws-2", "none", &json!({ "current-run": { "data": null }, "current-state-version": null })),
                    workspace("ws-3", "not-included", &json!({ "current-run": to("run-9") })),
                    workspace("ws-4", "new-status", &json!({ "current-run": to("run-4") })),
                    workspace("ws-5", "no-status", &json!({ "current-run": to("run-5") })),
                    workspace("ws-6", "no-time", &json!({ "current-run": to("run-6") })),
                    workspace("ws-7", "bad-ids", &json!({ "current-run": to("user-7"), "current-state-version": to("7") })),
                    workspace("ws-8", "odd", &json!({ "current-run": "run-8", "current-state-version": [] })),
                    workspace("ws-9", "whole", &json!({ "current-run": to("run-w"), "current-state-version": to("sv-9") })),
                    workspace("ws-10", "not a name", &json!({})),
                    workspace("10", "not-an-id", &json!({})),
                    json!({ "id": "ws-11", "attributes": { "name": null } }),
                    json!({ "id": "ws-12", "attributes": { "name": "tagged-oddly", "tag-names": 1 } }),
                    json!("ws-13"),
                ],
                "included": [
                    run("run-4", &created("a_new_one".into())),
                    run("run-5", &created(Value::Null)),
                    run("run-6", &json!({ "created-at": "yesterday", "status": "applied" })),
                    run("run-8", &created("applied".into())),
                    json!({ "id": "user-7", "type": "users", "attributes": { "username": "jo" } }),
                    run("run-w", &created("applied".into())),
                    json!(7),
                ],
            }),
        );
        let told = |listed: &WorkspaceListed| (listed.found.name.clone(), listed.state.is_some(), listed.run.is_some());
        let told: Vec<(String, bool, bool)> = page.workspaces.iter().map(told).collect();
        let nothing = ["bare", "none", "not-included", "new-status", "no-status", "no-time", "bad-ids", "odd"];
        let expect = nothing.map(|name| (name, false, false)).into_iter().chain([("whole", true, true)]);
        assert_eq!(told, expect.map(|(name, state, run)| (name.to_owned(), state, run)).collect::<Vec<_>>());
        let whole = page.workspaces.last().and_then(|listed| listed.run.as_ref()).unwrap();
        assert_eq!(whole.at, whole.created_at, "without other times it stands as it does since it was created");
        assert_eq!((page.next, page.total), (None, 14));
    }

    #[test]
    fn pages_lead_onwards_or_end() {
        for (meta, expect) in [
            (json!({ "pagination": { "next-page": 4, "total-count": 301 } }), (Some(4), 301)),
            (json!({ "pagination": { "next-page": null, "total-count": 201 } }), (None, 201)),
            (json!({ "pagination": { "next-page": 4 } }), (Some(4), 201)),
            (json!({ "pagination": { "next-page": 3 } }), (None, 201)),
            (json!({ "pagination": { "next-page": 1 } }), (None, 201)),
            (json!({ "pagination": { "next-page": "4" } }), (None, 201)),
            (json!({ "pagination": null }), (None, 201)),
            (json!({}), (None, 201)),
            (Value::Null, (None, 201)),
        ] {
            let page = read(3, json!({ "data": [workspace("ws-1", "a", &Value::Null)], "meta": meta }));
            assert_eq!((page.next, page.total), expect, "{meta}");
        }
        assert_eq!(read(1, json!({ "data": [] })), ListPage::default());
    }
}
