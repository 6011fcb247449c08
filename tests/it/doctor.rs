//! `sluice doctor` as its user meets it: what is wrong is told with what mends it, and what is well is not.

mod organization;
mod table;

use std::collections::BTreeMap;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use sluice_lambda::now;
use sluice_local::store::Embedded;
use sluice_tests::hcp::{Timings, TokenKind};

use crate::serve::program::{NOTIFICATION_TOKEN, Vars, run, vars};
use crate::serve::stage::Stage;

/// What doctor said, and its exit code.
struct Told {
    code: Option<i32>,
    report: Value,
}

impl Told {
    async fn by(arguments: &[&str], vars: &Vars) -> Self {
        let ended = run(&[&["doctor", "--json"], arguments].concat(), vars).await;
        assert_eq!(ended.stderr, "", "{}", ended.stdout);
        Self { code: ended.code, report: serde_json::from_str(&ended.stdout).unwrap() }
    }

    fn lines(&self) -> Vec<&Value> {
        let sections = self.report["sections"].as_array().unwrap();
        sections.iter().flat_map(|section| section["lines"].as_array().unwrap()).collect()
    }

    /// What was said at this level, as far as it begins like this.
    fn at(&self, level: &str) -> Vec<&str> {
        let lines = self.lines().into_iter().filter(|line| line["level"] == level);
        lines.map(|line| line["what"].as_str().unwrap()).collect()
    }

    /// The one line that says this; it has to have a remedy that says that, unless it is well.
    #[track_caller]
    fn says(&self, level: &str, what: &str, mend: &str) -> &Value {
        let found: Vec<&Value> =
            self.lines().into_iter().filter(|line| line["what"].as_str().unwrap().contains(what)).collect();
        assert_eq!(found.len(), 1, "{what}: {:#}", self.report);
        assert_eq!(found[0]["level"], level, "{:#}", found[0]);
        let mends = found[0]["mend"].as_str().unwrap_or_default();
        assert!(mends.contains(mend) && mend.is_empty() == mends.is_empty(), "{:#}", found[0]);
        found[0]
    }
}

/// A stranger's server, which answers everything alike. Returns its URL.
async fn stranger(status: u16, date: Option<&str>) -> String {
    let mut headers = HeaderMap::new();
    if let Some(date) = date {
        headers.insert(header::DATE, HeaderValue::from_str(date).unwrap());
    }
    let status = StatusCode::from_u16(status).unwrap();
    let router = Router::new().fallback(move || async move { (status, headers) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

impl Stage {
    /// What doctor says of it.
    async fn told(&self, arguments: &[&str]) -> Told {
        let data = self.data();
        Told::by(&[arguments, &["--data-dir", data.to_str().unwrap()]].concat(), &self.vars).await
    }
}

#[tokio::test]
async fn where_all_is_well_nothing_is_wrong() {
    let stage = Stage::of("network\n eks: network").await;
    let ended = stage.sluice(&["doctor", "--url", &stage.url]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    assert!(!ended.stdout.contains('✗') && !ended.stdout.contains('!'), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\x1b'), "no colours where there is no terminal");
    for line in [
        "  ✓ it can be read\n",
        "  – it is embedded in sluice serve, which needs no stream, schedule, time to live or backups: not looked at\n",
        "  ✓ sluice serve works on it\n",
        "  ✓ nothing was given up\n",
        "  ✓ it answers a signed verification, in ",
        "  ✓ it refuses a notification that is not signed\n",
        "  ✓ it refuses a notification that is signed with another token\n",
        "  ✓ the clock of the endpoint agrees with ours\n",
        "  ✓ HCP Terraform answers\n",
        "  ✓ the clock of HCP Terraform agrees with ours\n",
        "  ✓ API_TOKEN is a user token, of jo\n",
        "  ✓ API_TOKEN may read states and create runs in 2 workspaces\n",
        "  ✓ the completed runs of 2 workspaces are told to it\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}{}", ended.stdout);
    }
    assert!(ended.stdout.ends_with("\nAll is well.\n"), "{}", ended.stdout);
    // It has only looked: its verification is no news, and it has taken no turn of the functions'.
    let store = Embedded::open(Some(&stage.data())).await.unwrap();
    assert_eq!(sluice_sweeper::due(&store.table, now()).await.unwrap(), []);
    store.close().await;
}

#[tokio::test]
async fn a_server_that_was_stopped_or_stops_runs_or_takes_anything_is_told() {
    let mut stage =
        Stage::with("network\n eks: network", Timings::default(), vars([("SLUICE_ALLOW_UNSIGNED", "true")])).await;
    let paused = stage.sluice(&["pause", "--why", "a freeze"]).await;
    assert_eq!(paused.code, Some(0));
    let told = stage.told(&["--url", &stage.url]).await;
    assert_eq!(told.code, Some(1));
    told.says("wrong", "it takes a notification that is not signed", "unset SLUICE_ALLOW_UNSIGNED");
    told.says("well", "it refuses a notification that is signed with another token", "");
    told.says("warning", "SLUICE_ALLOW_UNSIGNED is true", "unset SLUICE_ALLOW_UNSIGNED");
    told.says("warning", "no run is created since", "sluice resume");
    assert_eq!((told.at("wrong").len(), told.at("warning").len()), (1, 2), "{:#}", told.report);

    stage.terminate().await;
    let told = stage.told(&["--url", &stage.url]).await;
    assert_eq!(told.code, Some(1));
    told.says("warning", "no sluice serve works on it", "sluice serve --data-dir");
    told.says("wrong", "it does not answer: there is no connection to it", "--url or SLUICE_PUBLIC_URL");
    // The endpoint that is silent keeps nobody from looking at the rest.
    told.says("well", "API_TOKEN is a user token, of jo", "");
}

#[tokio::test]
async fn what_was_given_up_is_told() {
    let stage = Stage::of("network\n eks: network").await;
    stage.hcp.unconfigure("eks");
    stage.change("network", "2");
    stage.rest().await;
    let told = stage.told(&[]).await;
    assert_eq!(told.code, Some(1));
    let line = told.says("wrong", "1 work was given up", "sluice dead list");
    assert!(line["what"].as_str().unwrap().contains("run in acme/eks: "), "{line}");
    told.says("aside", "not looked at: say with --url or SLUICE_PUBLIC_URL", "");
    assert_eq!(told.at("wrong").len(), 1, "{:#}", told.report);
}

#[tokio::test]
async fn a_token_that_is_none_or_may_too_little_is_told() {
    let stage = Stage::of("network\n eks: network").await;
    let with = async |token: &str| {
        let mut vars = stage.vars.clone();
        vars.insert("API_TOKEN".to_owned(), token.to_owned());
        Told::by(&["--data-dir", stage.data().to_str().unwrap()], &vars).await
    };
    let told = with("atlas-hush-unknown").await;
    assert_eq!(told.code, Some(1));
    told.says("wrong", "API_TOKEN is not taken: ", "make a token for a team");
    stage.hcp.add_token("atlas-hush-organization", TokenKind::Organization, "api-org-acme");
    let told = with("atlas-hush-organization").await;
    told.says("wrong", "API_TOKEN is an organization's", "a token of a team or of a user");
    stage.hcp.add_token("atlas-hush-team", TokenKind::Team, "api-team_17");
    let told = with("atlas-hush-team").await;
    assert_eq!(told.code, Some(0), "{:#}", told.report);
    told.says("well", "API_TOKEN is a team token", "");
    stage.hcp.set_rights("atlas-hush-team", sluice_tests::hcp::Rights::NONE);
    let told = with("atlas-hush-team").await;
    assert_eq!(told.code, Some(1));
    let states = told.says("wrong", "API_TOKEN may not read the states of 2 workspaces", "state versions");
    assert_eq!(states["names"], serde_json::json!(["acme/eks", "acme/network"]));
    told.says("wrong", "API_TOKEN may not create runs in 2 workspaces", "Plan or Write");
    for told in [with("atlas-hush-unknown").await, with("two words").await] {
        assert!(!told.report.to_string().contains("hush"), "{:#}", told.report);
    }
    let mut tokenless = stage.vars.clone();
    tokenless.remove("API_TOKEN");
    let told = Told::by(&["--data-dir", stage.data().to_str().unwrap()], &tokenless).await;
    assert_eq!(told.code, Some(1), "the table knows an organization to look at: {:#}", told.report);
    told.says("wrong", "API_TOKEN is not set here", "set API_TOKEN");
}

#[tokio::test]
async fn clocks_that_are_wrong_are_told() {
    let stage = Stage::of("network").await;
    stage.hcp.server(|server| server.seconds_ahead = 3_630);
    let endpoint = stranger(401, Some("Fri, 20 Nov 2020 10:00:00 GMT")).await;
    let told = stage.told(&["--url", &endpoint]).await;
    assert_eq!(told.code, Some(1));
    told.says("wrong", "the clock of HCP Terraform is 60 minutes ahead of ours", "NTP");
    told.says("wrong", "days behind ours", "NTP");
    stage.hcp.server(|server| server.seconds_ahead = -60);
    let told = stage.told(&[]).await;
    assert_eq!(told.code, Some(0), "{:#}", told.report);
    let seconds = told.at("warning");
    assert!(seconds.len() == 1 && seconds[0].ends_with("seconds behind ours"), "{seconds:?}");
}

#[tokio::test]
async fn each_answer_of_an_endpoint_that_is_not_ours_says_what_it_means() {
    let expected = BTreeMap::from([
        (200, "it takes a notification that is not signed: it answers 200"),
        (302, "with 302: it sends us elsewhere"),
        (401, "with 401: it has another token"),
        (403, "with 403: something before Sluice refuses it"),
        (404, "with 404: there is no POST /notifications"),
        (500, "with 500: the function fails, or does not start"),
        (503, "with 503: it cannot use its table"),
    ]);
    let directory = tempfile::tempdir().unwrap();
    Embedded::open(Some(directory.path())).await.unwrap().close().await;
    let data = directory.path().to_str().unwrap();
    let vars = vars([("NOTIFICATION_TOKEN", NOTIFICATION_TOKEN)]);
    for (status, what) in expected {
        let told = Told::by(&["--data-dir", data, "--url", &stranger(status, None).await], &vars).await;
        assert_eq!(told.code, Some(1), "{status}");
        assert!(told.at("wrong").iter().any(|line| line.contains(what)), "{status}: {:#}", told.report);
    }
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_ends_the_wait_and_nothing_else() {
    let stage = Stage::of("network").await;
    // Connections stand, and nobody ever reads what is said on them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let began = std::time::Instant::now();
    let told = stage.told(&["--url", &url]).await;
    assert_eq!(told.code, Some(1));
    told.says("wrong", "it does not answer: nobody answers within 10 seconds", "firewall");
    told.says("well", "API_TOKEN is a user token, of jo", "");
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
    // And an instance that cannot be reached.
    let mut elsewhere = stage.vars.clone();
    elsewhere.insert("TFE_ADDRESS".to_owned(), "http://127.0.0.1:9".to_owned());
    let told = Told::by(&["--data-dir", stage.data().to_str().unwrap(), "--url", &stage.url], &elsewhere).await;
    told.says("wrong", "it does not answer: ", "TFE_ADDRESS");
    told.says("well", "it answers a signed verification", "");
}

#[tokio::test]
async fn what_it_cannot_look_at_at_all_ends_with_code_2_and_no_store_is_made() {
    for (arguments, more, says) in [
        (&["--data-dir", "data"][..], ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"), "--data-dir means nothing"),
        (&[], ("TFE_ADDRESS", "ftp://nowhere"), "TFE_ADDRESS is none of an http or https URL"),
        (&["no/name"], ("SLUICE_LOG", "info"), "no/name is not the name of an organization"),
    ] {
        let ended = run(&[&["doctor"], arguments].concat(), &vars([more])).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(says) || says.starts_with("TFE_ADDRESS") && ended.stderr.contains("TFE_ADDRESS"),
            "{}",
            ended.stderr
        );
    }
    for url in ["nowhere", "https://jo:hush@sluice.example", "https://"] {
        let told = Told::by(&["--url", url, "--data-dir", "nothing"], &vars([])).await;
        assert_eq!(told.code, Some(1), "{url}");
        told.says("wrong", "its URL is no http:// or https:// URL", "https://host");
        assert!(!told.report.to_string().contains("hush"), "{:#}", told.report);
    }
    let directory = tempfile::tempdir().unwrap();
    let nothing = directory.path().join("nothing");
    let told = Told::by(&["--data-dir", nothing.to_str().unwrap()], &vars([])).await;
    assert_eq!(told.code, Some(1));
    told.says("wrong", "there is no store in ", "WORKSPACE_DEPENDENCIES_TABLE");
    assert!(!nothing.exists());
}
