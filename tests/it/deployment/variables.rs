//! What each function is told. What it reads is found out by telling it something else.

use std::collections::{BTreeMap, BTreeSet};

use sluice_lambda::InvalidConfig;

use super::{read, set, ways};

type Vars = BTreeMap<String, String>;

/// What comes of an environment: the settings, or what is wrong with it.
type Told = Result<String, String>;

/// What a function makes of its environment.
type Config = fn(&Vars) -> Told;

/// Values that no variable takes like another: for each kind of setting one differs from what was there, or is wrong.
const VALUES: [&str; 5] = ["ssm:", "no such value", "7", "true", "https://elsewhere.example"];

/// What is not for a function in an account: it has no such files, and its cluster is one of EKS.
const NOT_DEPLOYED: [&str; 2] = ["SLUICE_KUBECONFIG", "SLUICE_KUBE_CONTEXT"];

fn told<C: std::fmt::Debug>(config: Result<C, InvalidConfig>) -> Told {
    config.map(|config| format!("{config:?}")).map_err(|invalid| invalid.to_string())
}

fn configs() -> BTreeMap<&'static str, Config> {
    let all: [(_, Config); 9] = [
        ("notification-receiver", |vars| told(sluice_notification_receiver::Config::from_env(vars))),
        ("state-indexer", |vars| told(sluice_state_indexer::Config::from_env(vars))),
        ("run-creator", |vars| told(sluice_run_creator::Config::from_env(vars))),
        ("sweeper", |vars| told(sluice_sweeper::Config::from_env(vars))),
        ("run-task-receiver", |vars| told(sluice_run_task_receiver::Config::from_env(vars))),
        ("task-runner", |vars| told(sluice_task_runner::Config::from_env(vars))),
        ("run-task-relay", |vars| told(sluice_run_task_relay::Config::from_env(vars))),
        ("context-api", |vars| told(sluice_context_api::Config::from_env(vars))),
        ("job-runner", |vars| told(sluice_job_runner::Config::from_env(vars))),
    ];
    all.into()
}

/// Every variable there is. `docs/configuration.md` has them all, which tidy.rs sees to.
fn documented() -> BTreeSet<String> {
    let text = read("docs/configuration.md");
    let name = |word: &&str| {
        word.contains('_')
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let all = text.split('`').filter(name).filter(|name| !name.starts_with("AWS_"));
    set(all)
}

/// Environments that every function starts in: its cluster is one of EKS, or where a kubeconfig says.
fn environments() -> [Vars; 2] {
    let vars = |of: &[(&str, &str)]| of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let all: Vars = vars(&[
        ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"),
        ("API_TOKEN", "a token"),
        ("NOTIFICATION_TOKEN", "another token"),
        ("SLUICE_DIGEST_KEY", "a key"),
        ("SLUICE_GATE_KEY", "another key"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ]);
    let eks: Vars = vars(&[
        ("SLUICE_EKS_CLUSTER", "a cluster"),
        ("SLUICE_KUBERNETES_URL", "https://cluster.example"),
        ("SLUICE_KUBERNETES_CA", "Y2E="),
    ]);
    let kubeconfig: Vars = vars(&[("SLUICE_KUBECONFIG", "a file")]);
    [eks, kubeconfig].map(|more| all.clone().into_iter().chain(more).collect())
}

/// The variables that make a difference.
fn read_by(config: Config) -> BTreeSet<String> {
    let differs = |vars: &Vars, name: &String| {
        let before = config(vars);
        let without: Vars = vars.clone().into_iter().filter(|(other, _)| other != name).collect();
        let with = |value: &str| without.clone().into_iter().chain([(name.clone(), value.to_owned())]).collect();
        config(&without) != before || VALUES.iter().any(|value| config(&with(value)) != before)
    };
    let environments = environments();
    documented().into_iter().filter(|name| environments.iter().any(|vars| differs(vars, name))).collect()
}

#[test]
fn every_function_is_told_what_it_reads_and_nothing_else() {
    let configs = configs();
    let mut anywhere = BTreeSet::new();
    for (name, config) in &configs {
        for vars in environments() {
            assert_eq!(config(&vars).err(), None, "{name} starts");
        }
        let mut read = read_by(*config);
        anywhere.extend(read.clone());
        read.retain(|name| !NOT_DEPLOYED.contains(&name.as_str()));
        assert!(read.contains("WORKSPACE_DEPENDENCIES_TABLE") && read.contains("SLUICE_LOG"), "{name}: {read:?}");
        for (way, functions) in ways() {
            let set = &functions[*name].variables;
            let missing: Vec<_> = read.difference(set).collect();
            assert!(missing.is_empty(), "{name} reads {missing:?}, which {way} does not set");
            let needless: Vec<_> = set.difference(&read).collect();
            assert!(needless.is_empty(), "{way} sets {needless:?} for {name}, which does not read that");
        }
    }
    assert!(NOT_DEPLOYED.iter().all(|name| anywhere.contains(*name)), "{anywhere:?}");
    for (way, functions) in ways() {
        assert_eq!(functions.len(), configs.len(), "{way} has a function of which this does not know what it reads");
    }
}

#[test]
fn what_a_function_cannot_do_without_is_always_set() {
    let table = super::module::local("infra/functions.tf", "functions");
    for (name, config) in configs() {
        let wrong = config(&Vars::new()).unwrap_err();
        let required: Vec<&str> = wrong.split(' ').filter(|word| documented().contains(*word)).collect();
        assert!(required.contains(&"WORKSPACE_DEPENDENCIES_TABLE"), "{name}: {wrong}");
        for variable in required {
            let value = table[name]["environment"][variable].as_str().unwrap_or_default();
            // What settings have is only set where they have it. job-runner is only there where `jobs` says of its cluster.
            let optional = value.contains("lookup(") || (value.contains("try(") && !value.contains("var.jobs"));
            assert!(!optional, "{name} does not start without {variable}, which is {value}");
        }
    }
}
