//! The list of an organization's workspaces: its orders, its pages, and what comes along with it.

use serde_json::json;

use super::*;

/// The names on the first page of the list that `query` asks for.
async fn names(hcp: &Hcp, query: &str) -> Vec<String> {
    let answer = get(hcp, &format!("/organizations/acme/workspaces?{query}")).await;
    assert_eq!(answer.status, 200, "{query}");
    let name = |item: &Value| item["attributes"]["name"].as_str().unwrap().to_owned();
    answer.body["data"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn workspaces_are_listed_in_the_order_that_is_asked_for() {
    let hcp = start().await;
    for name in ["b", "c", "a", "d"] {
        hcp.add_workspace(WorkspaceSpec::new(name).auto_apply(true));
    }
    for name in ["a", "c", "b"] {
        hcp.start_run(name, RunOptions::default());
    }
    hcp.settled().await;
    hcp.start_run("d", RunOptions::plan_only("no current run"));
    hcp.start_run("a", RunOptions::default());
    hcp.settled().await;
    hcp.push_state("c", "vpc", "vpc-2");

    for (sort, ascending) in [
        ("name", ["a", "b", "c", "d"]),
        ("current-run.created-at", ["d", "c", "b", "a"]),
        ("latest-change-at", ["d", "a", "b", "c"]),
    ] {
        assert_eq!(names(&hcp, &format!("sort={sort}")).await, ascending, "{sort}");
        let descending: Vec<_> = ascending.into_iter().rev().collect();
        assert_eq!(names(&hcp, &format!("sort=-{sort}")).await, descending, "-{sort}");
    }
    assert_eq!(get(&hcp, "/organizations/acme/workspaces?sort=size").await.status, 400);
}

#[tokio::test]
async fn the_latest_change_is_that_of_the_state_or_else_the_workspace() {
    let hcp = start().await;
    let id = hcp.add_workspace(WorkspaceSpec::new("network"));
    let attributes = async || get(&hcp, &format!("/workspaces/{id}")).await.body["data"]["attributes"].take();
    let bare = attributes().await;
    assert_eq!(bare["latest-change-at"], bare["created-at"]);
    hcp.push_state("network", "vpc", "vpc-1");
    let state = get(&hcp, &format!("/workspaces/{id}/current-state-version")).await.body;
    assert_eq!(attributes().await["latest-change-at"], state["data"]["attributes"]["created-at"]);
}

#[tokio::test]
async fn current_runs_come_along_with_their_page_if_they_are_asked_for() {
    let hcp = start().await;
    for name in ["a", "b", "c"] {
        hcp.add_workspace(WorkspaceSpec::new(name));
    }
    let (current, other) = (hcp.start_run("a", RunOptions::default()), hcp.start_run("c", RunOptions::default()));
    hcp.start_run("b", RunOptions::plan_only("no current run"));
    hcp.settled().await;
    let list = async |query: &str| get(&hcp, &format!("/organizations/acme/workspaces?sort=name&{query}")).await.body;
    assert_eq!(list("").await["included"], Value::Null);
    let page = list("include=current_run&page[size]=2").await;
    assert_eq!(page["included"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!((&page["included"][0]["id"], &page["included"][0]["type"]), (&json!(current), &json!("runs")));
    assert_eq!(page["included"][0]["attributes"]["status"], "planned");
    assert_eq!(page["data"][0]["relationships"]["current-run"]["data"]["id"], current.as_str());
    assert_eq!(page["data"][1]["relationships"]["current-run"]["data"], Value::Null);
    let next = list("include=current_run&page[size]=2&page[number]=2").await;
    assert_eq!(next["included"][0]["id"], other.as_str());
}

#[tokio::test]
async fn a_page_has_a_hundred_workspaces_at_most() {
    let hcp = start().await;
    for number in 0..103 {
        hcp.add_workspace(WorkspaceSpec::new(&format!("w-{number:03}")));
    }
    let list = "/organizations/acme/workspaces?page[size]=1000";
    let first = get(&hcp, list).await.body;
    let expected = json!({ "current-page": 1, "page-size": 100, "prev-page": null, "next-page": 2, "total-pages": 2,
        "total-count": 103 });
    assert_eq!((first["data"].as_array().unwrap().len(), &first["meta"]["pagination"]), (100, &expected));
    assert_eq!(names(&hcp, "sort=-name&page[size]=100&page[number]=2").await, ["w-002", "w-001", "w-000"]);
}

#[tokio::test]
async fn tags_are_set_all_together() {
    let hcp = start().await;
    let id = hcp.add_workspace(WorkspaceSpec::new("network").tag("old"));
    hcp.set_tags("network", &["prod", "sluice:plan"]);
    let shown = get(&hcp, &format!("/workspaces/{id}")).await.body;
    assert_eq!(shown["data"]["attributes"]["tag-names"], json!(["prod", "sluice:plan"]));
    assert_eq!(names(&hcp, "search[tags]=old").await.len(), 0);
    hcp.set_tags("network", &[]);
    assert_eq!(names(&hcp, "search[tags]=prod").await.len(), 0);
}
