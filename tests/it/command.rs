//! The other `sluice` commands as their user meets them: demo, graph, dead, help.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sluice_tests::hcp::Timings;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::serve::client;
use crate::serve::program::{Vars, run, run_in, vars};
use crate::serve::stage::Stage;
use crate::world::DIAMOND;

#[tokio::test]
async fn the_demo_ends_well_and_shows_that_each_ran_once() {
    let ended = run(&["demo", "--once"], &vars([])).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    let (_, table) = ended.stdout.split_once("3. At rest").expect(&ended.stdout);
    let row = |name: &str| -> String {
        let rows: Vec<&str> = table.lines().filter(|line| line.split_whitespace().nth(1) == Some(name)).collect();
        assert_eq!(rows.len(), 1, "{name}: {rows:?}\n{table}");
        rows[0].split_whitespace().take(4).collect::<Vec<_>>().join(" ")
    };
    for name in [
        "network",
        "cluster-prod",
        "database",
        "storefront",
        "dns",
        "certificates",
        "edge",
        "billing",
        "reports",
        "search",
        "vault",
        "peering-east",
    ] {
        assert_eq!(row(name), format!("✓ {name} 1 run"));
    }
    for name in ["secrets-sync", "peering-west"] {
        assert_eq!(row(name), format!("✓ {name} no run"));
    }
    assert!(ended.stdout.contains("is in a cycle with acme/peering-east, and cycles never trigger"));
    assert!(ended.stdout.contains("Every affected workspace ran once, after its parents; nothing else ran.\n"));
    let gate = "The denied plan was stopped, the other one applied, and what it foretold has run.\n";
    assert!(ended.stdout.ends_with(gate), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\x1b'), "no colours where there is no terminal");
}

/// What `sluice graph` prints, and what `GET /graph` answers.
async fn graph(stage: &Stage, format: &str, extension: &str) -> [String; 2] {
    let printed = stage.sluice(&["graph", "--format", format]).await;
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    let answer = client().get(format!("{}/graph.{extension}", stage.url)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    [printed.stdout, answer.text().await.unwrap()]
}

#[tokio::test]
async fn the_graph_is_the_same_printed_and_served_in_every_format() {
    let mut stage = Stage::of(DIAMOND).await;
    stage.change("network", "2");
    stage.rest().await;
    let mut printed = Vec::new();
    for (format, extension) in [("dot", "dot"), ("mermaid", "mmd"), ("json", "json")] {
        let [one, other] = graph(&stage, format, extension).await;
        assert_eq!(one, other);
        printed.push(one);
    }
    let [dot, mermaid, json] = printed.try_into().unwrap();
    let host = stage.hcp.host();
    for (producer, consumer) in
        [("network", "eks"), ("network", "rds"), ("eks", "app"), ("rds", "app"), ("network", "app")]
    {
        assert!(dot.contains(&format!("\"{host}/acme/{producer}\" -> \"{host}/acme/{consumer}\";")), "{dot}");
    }
    assert_eq!(dot.matches("->").count(), 5, "{dot}");
    assert!(mermaid.starts_with("flowchart LR\n") && mermaid.matches("-->").count() == 5, "{mermaid}");
    let json: Value = serde_json::from_str(&json).unwrap();
    let workspaces = json["workspaces"].as_array().unwrap();
    assert!(workspaces.iter().all(|node| node["verdict"] == "settled"), "{json:#}");

    // Without a server it is the same; and the default is DOT.
    assert_eq!(stage.terminate().await.0, Some(0));
    assert_eq!(stage.sluice(&["graph"]).await.stdout, dot);
    let elsewhere = vars([]);
    let data = stage.data();
    let ended = run(&["graph", "--data-dir", data.to_str().unwrap()], &elsewhere).await;
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stdout.contains("->"), "another instance has another graph: {}", ended.stdout);
}

#[tokio::test]
async fn printing_the_graph_in_the_middle_of_a_wave_disturbs_nobody() {
    let timings = Timings::uniform(std::time::Duration::from_millis(40));
    let stage = Stage::with(DIAMOND, timings, vars([])).await;
    let before = stage.sluice(&["graph"]).await.stdout;
    stage.change("network", "2");
    let mut prints = JoinSet::new();
    let data = stage.data();
    for _ in 0..3 {
        let (data, vars) = (data.clone(), stage.vars.clone());
        prints.spawn(async move {
            let mut printed = Vec::new();
            for _ in 0..4 {
                printed.push(run(&["graph", "--data-dir", data.to_str().unwrap()], &vars).await);
            }
            printed
        });
    }
    let edges = |dot: &str| dot.lines().filter(|line| line.contains("->")).map(str::to_owned).collect::<Vec<_>>();
    for printed in prints.join_all().await.into_iter().flatten() {
        assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
        assert_eq!(edges(&printed.stdout), edges(&before));
    }
    stage.rest().await;
    assert_eq!(stage.counts(), "app 1, eks 1, network 1, rds 1");
    let log = stage.server.as_ref().unwrap().log();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn a_dead_letter_is_listed_and_replayed_beside_the_server() {
    let stage = Stage::of("network\n eks: network\n rds: network").await;
    assert_eq!(stage.sluice(&["dead", "list"]).await.stdout, "nothing was given up\n");
    stage.hcp.unconfigure("eks");
    stage.hcp.unconfigure("rds");
    stage.change("network", "2");
    stage.rest().await;
    assert_eq!(stage.counts(), "network 1");
    let log = stage.server.as_ref().unwrap().log();
    assert!(log.contains("gave up"), "{log}");

    let list = stage.sluice(&["dead", "list"]).await;
    assert_eq!(list.code, Some(0));
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", list.stdout);
    for number in [1, 2] {
        assert!(lines[number * 2 - 2].trim_start().starts_with(&format!("{number}  ")), "{}", list.stdout);
        assert!(lines[number * 2 - 1].contains("no configuration version"), "{}", list.stdout);
    }
    let which = |name: &str| lines.iter().position(|line| line.contains(name)).unwrap() / 2 + 1;

    let none = stage.sluice(&["dead", "retry", "7"]).await;
    assert_eq!(none.stdout, "there are 2 dead letters; none has the number 7\n");
    stage.hcp.touch("eks");
    let eks = which("acme/eks").to_string();
    let one = stage.sluice(&["dead", "retry", &eks]).await;
    assert!(one.stdout.contains("acme/eks") && one.stdout.ends_with(": taken up again\n"), "{}", one.stdout);
    assert_eq!(one.stdout.lines().count(), 1);
    stage.rest().await;
    assert_eq!(stage.counts(), "eks 1, network 1");

    stage.hcp.touch("rds");
    let all = stage.sluice(&["dead", "retry", "--all"]).await;
    assert!(all.stdout.contains("acme/rds") && all.stdout.lines().count() == 1, "{}", all.stdout);
    stage.rest().await;
    assert_eq!(stage.counts(), "eks 1, network 1, rds 1");
    assert!(stage.hcp.outdated().is_empty());
    assert_eq!(stage.sluice(&["dead", "retry", "--all"]).await.stdout, "nothing was given up\n");
}

#[tokio::test]
async fn what_is_replayed_while_no_server_runs_waits_for_it() {
    let mut stage = Stage::of("network\n eks: network").await;
    stage.hcp.unconfigure("eks");
    stage.change("network", "2");
    stage.rest().await;
    assert_eq!(stage.terminate().await.0, Some(0));
    stage.hcp.touch("eks");
    assert!(stage.sluice(&["dead", "retry", "1"]).await.stdout.ends_with(": taken up again\n"));
    stage.restart().await;
    stage.rest().await;
    assert_eq!(stage.counts(), "eks 1, network 1");
}

#[tokio::test]
async fn looking_makes_no_store() {
    for command in [
        &["graph"][..],
        &["dead", "list"],
        &["replay"],
        &["plan", "acme/net"],
        &["decisions", "acme/net"],
        &["pause"],
        &["resume"],
    ] {
        let directory = TempDir::new().unwrap();
        let ended = run_in(Some(directory.path()), command, &vars([])).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert_eq!(
            ended.stderr,
            "sluice: there is no store in sluice-data: say with --data-dir where sluice serve keeps it\n"
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_reader_that_goes_away_is_no_fault() {
    use std::process::{Command, Stdio};
    let stage = Stage::of(DIAMOND).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut graph = Command::new(crate::bins::bin("sluice"));
    graph.args(["graph", "--data-dir"]).arg(stage.data()).env_clear().envs(&stage.vars);
    let child = graph.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(0), ""));
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The names of variables among the string literals of `text`.
fn variables(text: &str) -> BTreeSet<String> {
    let name = |part: &&str| {
        part.contains('_')
            && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.split('"').filter(name).map(str::to_owned).collect()
}

/// Every variable that the command reads itself; the AWS SDK's are its own.
fn read_by_the_command() -> BTreeSet<String> {
    let mut read = BTreeSet::from(["TFE_ADDRESS".to_owned(), "SLUICE_LOG".to_owned()]);
    for file in std::fs::read_dir(source("functions/local/src")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            read.extend(variables(&std::fs::read_to_string(path).unwrap()));
        }
    }
    for shared in [
        "shared/lambda/src/policy.rs",
        "functions/state-indexer/src/config.rs",
        "functions/task-runner/src/config.rs",
        "functions/job-runner/src/config.rs",
    ] {
        let text = std::fs::read_to_string(source(shared)).unwrap();
        read.extend(variables(text.split("#[cfg(test)]").next().unwrap()));
    }
    // What AWS and Kubernetes set themselves is not for a person to set.
    read.retain(|name| !name.starts_with("AWS_") && name != "KUBERNETES_SERVICE_HOST");
    read
}

async fn help(arguments: &[&str]) -> String {
    let ended = run(arguments, &vars([])).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout
}

#[tokio::test]
async fn help_names_every_variable_that_is_read() {
    let read = read_by_the_command();
    assert!(read.len() >= 10, "{read:?}");
    for arguments in [["--help"].as_slice(), &["serve", "--help"]] {
        let help = help(arguments).await;
        for name in &read {
            assert!(help.contains(&format!("\n  {name} ")), "{arguments:?} does not tell of {name}:\n{help}");
        }
        for word in help.split_whitespace().filter(|word| variables(&format!("\"{word}\"")).len() == 1) {
            assert!(read.contains(word), "{arguments:?} tells of {word}, which nothing reads");
        }
    }
    for command in ["graph", "dead", "replay", "doctor", "plan", "decisions", "backfill", "pause", "resume"] {
        let help = help(&[command, "--help"]).await;
        for name in ["TFE_ADDRESS", "WORKSPACE_DEPENDENCIES_TABLE"] {
            let one_table = ["pause", "resume"].contains(&command) && name == "TFE_ADDRESS";
            assert!(one_table || help.contains(name), "{help}");
        }
    }
    for line in help(&["--help"]).await.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[tokio::test]
async fn what_is_not_understood_ends_with_code_2() {
    let none = Vars::new();
    for arguments in [
        ["sevre"].as_slice(),
        &["serve", "--listen", "nowhere"],
        &["graph", "--format", "svg"],
        &["replay", "--all", "1"],
        &["dead", "retry"],
        &["dead", "retry", "--all", "1"],
        &["dead", "list", "1"],
        &["replay", "--url", "https://sluice.example"],
        &["--what"],
    ] {
        let ended = run(arguments, &none).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.starts_with("error: "), "{arguments:?}: {}", ended.stderr);
    }
    let version = run(&["--version"], &none).await;
    assert_eq!((version.code, version.stdout.starts_with("sluice ")), (Some(0), true));
}
