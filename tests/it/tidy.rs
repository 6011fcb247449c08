//! What the house style promises, held by a test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Files of the project below `folder`, without what is built or hidden.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_file_is_longer_than_four_hundred_lines() {
    let long: Vec<_> = files(&root(), "rs")
        .into_iter()
        .filter(|path| !path.components().any(|part| part.as_os_str() == "it") && !path.ends_with("tests.rs"))
        .filter_map(|path| {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            (lines > 400).then(|| format!("{}: {lines}", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Which of our crates each may depend on.
fn cuts() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let edge = ["aws", "domain", "hcp", "lambda"];
    let worker = ["aws", "domain", "hcp", "hcp-client", "lambda"];
    BTreeMap::from([
        ("shared/domain", BTreeSet::new()),
        ("shared/hcp", BTreeSet::from(["domain"])),
        ("shared/hcp-client", BTreeSet::from(["domain", "hcp"])),
        ("shared/aws", BTreeSet::from(["domain"])),
        ("shared/lambda", BTreeSet::from(["domain"])),
        ("shared/kubernetes", BTreeSet::from(["domain"])),
        ("shared/runner", BTreeSet::from(["aws", "domain", "lambda"])),
        ("functions/notification-receiver", BTreeSet::from(edge)),
        ("functions/context-api", BTreeSet::from(["aws", "domain", "lambda"])),
        ("functions/state-indexer", BTreeSet::from(worker)),
        ("functions/run-creator", BTreeSet::from(worker)),
        ("functions/run-task-receiver", BTreeSet::from(worker)),
        ("functions/task-runner", BTreeSet::from(["aws", "domain", "hcp", "hcp-client", "lambda", "runner"])),
        ("functions/job-runner", BTreeSet::from(["aws", "domain", "hcp", "kubernetes", "lambda", "runner"])),
        ("functions/run-task-relay", BTreeSet::from(worker)),
        ("functions/sweeper", BTreeSet::from(worker)),
        // The simulator knows the real thing's wire, and nothing of ours.
        ("tests", BTreeSet::new()),
    ])
}

/// Lines of one section of a manifest.
fn section(manifest: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(manifest).unwrap();
    let lines = text.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
    lines.take_while(|line| !line.starts_with('[')).map(str::to_owned).collect()
}

#[test]
fn crates_depend_only_on_what_the_architecture_allows() {
    for (package, allowed) in cuts() {
        let manifest = root().join(package).join("Cargo.toml");
        let lines = section(&manifest, "dependencies");
        let ours = lines.iter().filter_map(|line| line.strip_prefix("sluice-"));
        for dependency in ours.map(|line| line.split(['.', ' ', '=']).next().unwrap()) {
            assert!(allowed.contains(dependency), "{package} must not depend on sluice-{dependency}");
        }
    }
    for (dependency, only) in [
        ("aws-sdk-", &["shared/aws", "functions/local"][..]),
        ("reqwest", &["shared/hcp-client", "tests"]),
        ("kube", &["shared/kubernetes", "tests"]),
        ("k8s-openapi", &["shared/kubernetes", "tests"]),
        ("tokio", &["shared/aws", "shared/hcp-client", "shared/kubernetes", "shared/lambda", "functions", "tests"]),
    ] {
        for manifest in files(&root(), "toml").iter().filter(|path| path.ends_with("Cargo.toml")) {
            let folder = manifest.parent().unwrap().strip_prefix(root()).unwrap();
            let uses = section(manifest, "dependencies").iter().any(|line| line.starts_with(dependency));
            let may = only.iter().any(|only| folder.starts_with(only));
            assert!(!uses || may, "{} must not depend on {dependency}", folder.display());
        }
    }
}

#[test]
fn the_domain_has_no_clock_no_network_and_no_sdk() {
    let allowed = ["serde", "serde_json", "sha2", "secrecy", "thiserror", "wildmatch"];
    for line in section(&root().join("shared/domain/Cargo.toml"), "dependencies") {
        let name = line.split(['.', ' ', '=']).next().unwrap();
        assert!(name.is_empty() || allowed.contains(&name), "shared/domain must not depend on {name}");
    }
}

#[test]
fn no_path_scans_the_table() {
    for path in files(&root().join("shared/aws/src"), "rs").into_iter().chain(files(&root().join("functions"), "rs")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(".scan()"), "{} scans", path.display());
    }
}

#[test]
fn every_event_is_read_by_a_test() {
    let tests: String = ["tests", "shared", "functions"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for event in files(&root().join("events"), "json") {
        let folder = event.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let name = event.file_stem().unwrap().to_str().unwrap().to_owned();
        let read = tests.contains(&name) || tests.contains(&format!("\"{folder}\""));
        assert!(read, "no test reads {}", event.display());
    }
}

#[test]
fn every_variable_that_is_read_is_documented() {
    let documented = fs::read_to_string(root().join("functions/local/src/cli.rs")).unwrap()
        + &fs::read_to_string(root().join("README.md")).unwrap()
        + &fs::read_to_string(root().join("docs/configuration.md")).unwrap()
        + &fs::read_to_string(root().join("docs/jobs.md")).unwrap();
    for path in files(&root().join("functions"), "rs").into_iter().chain(files(&root().join("shared"), "rs")) {
        let text = fs::read_to_string(&path).unwrap();
        for word in text.split('"').filter(|word| word.starts_with("SLUICE_") && !word.contains(' ')) {
            assert!(documented.contains(word), "{word}, read in {}, is documented nowhere", path.display());
        }
    }
}
