use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Value, json};
use sluice_domain::gate::{JobSpec, PodSettings, Program};
use sluice_domain::ports::{About, JobOrder, JobPlace};

use super::*;

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn spec(program: Program) -> JobSpec {
    let (arguments, settings) = (BTreeMap::new(), BTreeMap::new());
    JobSpec { program, arguments, settings, deployer_token: false, ssh_key: false, start_seconds: 300 }
}

fn image() -> Program {
    Program::Image { image: Some("ghcr.io/acme/check:1".to_owned()) }
}

fn service(container: Option<&str>, command: &str) -> Program {
    let container = container.map(str::to_owned);
    Program::Service { service: "cli".to_owned(), container, command: command.to_owned() }
}

fn order<'a>(spec: &'a JobSpec, settings: &[(&str, &str)]) -> JobOrder<'a> {
    let about = About {
        result: "taskrs-1@guard".parse().unwrap(),
        check: "cost".parse().unwrap(),
        run: "run-1".to_owned(),
        organization: "acme".to_owned(),
        workspace: "network".to_owned(),
    };
    JobOrder {
        place: JobPlace::of("jobs", &about.result, &about.check),
        spec,
        settings: PodSettings::read(&texts(settings)).unwrap(),
        about,
        env: texts(&[("LAGOON_PROJECT", "network"), ("TASK_API_HOST", "https://x/$(HOME)")]),
        secrets: [("JSON_PAYLOAD", "c2VjcmV0LXBheWxvYWQ="), ("terrakubeToken", "hush-token")]
            .map(|(name, value)| (name.to_owned(), SecretString::from(value)))
            .into(),
        files: [("plan.json".to_owned(), SecretString::from("{\"hush-plan\": 1}"))].into(),
        seconds: 900,
    }
}

fn deployment() -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "cli", "namespace": "jobs"},
        "spec": {"selector": {}, "template": {
            "metadata": {"labels": {"app": "cli"}, "annotations": {"lagoon.sh/configMapSha": "1"}},
            "spec": {
                "serviceAccountName": "cli",
                "imagePullSecrets": [{"name": "pull"}],
                "securityContext": {"fsGroup": 10001},
                "tolerations": [{"key": "lagoon", "operator": "Exists"}],
                "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": "files"}}],
                "initContainers": [{"name": "fix", "image": "busybox"}],
                "containers": [
                    {"name": "nginx", "image": "nginx"},
                    {"name": "cli", "image": "acme/cli:3", "args": ["serve"], "tty": true,
                     "ports": [{"containerPort": 9000}], "livenessProbe": {"tcpSocket": {"port": 9000}},
                     "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
                     "env": [{"name": "CRONJOBS", "value": "* * * * * x"}, {"name": "DB", "value": "mariadb"},
                             {"name": "LAGOON_PROJECT", "value": "other"}],
                     "envFrom": [{"configMapRef": {"name": "lagoon-env"}}],
                     "volumeMounts": [{"name": "files", "mountPath": "/app/files"},
                                      {"name": "files", "mountPath": "/workspace"}]}
                ]
            }
        }}
    }))
    .unwrap()
}

fn written(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(&written(value)).unwrap()
}

#[test]
fn the_job_of_an_image() {
    let spec = spec(image());
    expect_test::expect_file!["snapshots/image.json"].assert_eq(&pretty(&job(&order(&spec, &[]), None).unwrap()));
}

#[test]
fn the_job_of_an_image_with_every_setting() {
    let mut spec = spec(Program::Image { image: None });
    (spec.deployer_token, spec.ssh_key) = (true, true);
    let order = order(
        &spec,
        &[
            ("ExecutorEphemeralImage", "acme/executor:2"),
            ("ExecutorEphemeralSecret", "one,two"),
            ("EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP", "three"),
            ("EPHEMERAL_JOB_ENV_VARS", "A=b;HOST=$(PODNAME)"),
            ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "checker"),
            ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "spot=no"),
            ("EPHEMERAL_CONFIG_ANNOTATIONS", "example.com/a=b"),
            ("EPHEMERAL_CONFIG_POD_ANNOTATIONS", "vault.hashicorp.com/agent-inject=true"),
            ("EPHEMERAL_CONFIG_LABELS", "team=core;terrakube.io/workspace=other"),
            ("EPHEMERAL_CONFIG_TOLERATIONS", "spot=yes"),
            ("EPHEMERAL_CONFIG_MAP_NAME", "tools"),
            ("TF_PLUGIN_CACHE_DIR", "/cache"),
            ("EPHEMERAL_CPU_LIMIT", "2"),
            ("EPHEMERAL_MEMORY_REQUEST", "1Gi"),
            ("EPHEMERAL_STORAGE_LIMIT", "3Gi"),
            ("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT", "fsGroup=0;runAsUser=10000;runAsNonRoot=true"),
            ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "allowPrivilegeEscalation=true"),
        ],
    );
    expect_test::expect_file!["snapshots/settings.json"].assert_eq(&pretty(&job(&order, None).unwrap()));
}

#[test]
fn an_image_that_is_not_to_be_root_is_what_restricted_namespaces_take() {
    let spec = spec(image());
    let security = |text: &str| {
        let settings = [("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT", text)];
        let mut pod = pod_of(&job(&order(&spec, &settings), None).unwrap());
        (pod["securityContext"].take(), pod["containers"][0]["securityContext"].take())
    };
    let (pod, container) = security("runAsNonRoot=true");
    assert_eq!((&pod["runAsNonRoot"], &pod["seccompProfile"]["type"]), (&json!(true), &json!("RuntimeDefault")));
    assert_eq!(container, json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}));
    for text in ["runAsNonRoot=false", "runAsUser=1000"] {
        assert_eq!(security(text).1, json!({"allowPrivilegeEscalation": false}), "{text}");
    }
}

#[test]
fn a_group_that_is_empty_is_none() {
    for (program, silent) in [(image(), 1000), (service(None, "true"), 10001)] {
        let spec = spec(program);
        let group = |text: &str| {
            let settings = [("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT", text)];
            pod_of(&job(&order(&spec, &settings), Some(&deployment())).unwrap())["securityContext"]["fsGroup"].take()
        };
        assert_eq!(["", "fsGroup=7", "fsGroup="].map(group), [json!(silent), json!(7), Value::Null]);
    }
}

#[test]
fn the_job_of_a_command_in_a_copy_of_a_service() {
    let spec = spec(service(None, "echo \"$LEVEL\" $$ $(date)"));
    let order = order(&spec, &[("EPHEMERAL_CONFIG_TOLERATIONS", "spot"), ("EPHEMERAL_MEMORY_LIMIT", "1Gi")]);
    let job = job(&order, Some(&deployment())).unwrap();
    expect_test::expect_file!["snapshots/service.json"].assert_eq(&pretty(&job));
}

/// The pod of a job, as it is written.
fn pod_of(job: &Job) -> Value {
    written(job)["spec"]["template"]["spec"].take()
}

/// A Deployment whose one container, `cli`, also has this.
fn deployment_with(container: &Value, more: &Value) -> Deployment {
    let mut deployment = written(&deployment());
    let pod = &mut deployment["spec"]["template"]["spec"];
    let cli = &mut pod["containers"][1];
    cli.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    pod.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(deployment).unwrap()
}

#[test]
fn a_service_that_has_lagoons_volumes_keeps_them() {
    let mut spec = spec(service(None, "true"));
    (spec.deployer_token, spec.ssh_key) = (true, true);
    let volume = |name: &str| json!({"name": name, "secret": {"secretName": "other"}});
    let deployment = deployment_with(
        &json!({"volumeMounts": [{"name": "lagoon-sshkey", "mountPath": "/var/run/secrets/lagoon/ssh/"},
                                {"name": "lagoon-deployer", "mountPath": "/elsewhere"}]}),
        &json!({"volumes": [volume("lagoon-sshkey"), volume("lagoon-deployer")]}),
    );
    let settings = [("EPHEMERAL_CONFIG_MAP_NAME", "tools"), ("TF_PLUGIN_CACHE_DIR", "/cache")];
    let pod = pod_of(&job(&order(&spec, &settings), Some(&deployment)).unwrap());
    let texts = |list: &Value, field: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
    };
    let names = texts(&pod["volumes"], "name");
    let own = ["workspace", "files", "deployer", "config-map", "plugin-cache"].map(|name| format!("sluice-{name}"));
    assert_eq!(names, [&["lagoon-sshkey", "lagoon-deployer"].map(str::to_owned)[..], &own[..]].concat());
    assert_eq!(texts(&pod["containers"][0]["volumeMounts"], "name"), names);
}

#[test]
fn a_service_that_knows_its_project_is_told_no_other() {
    let spec = spec(service(None, "true"));
    let mut order = order(&spec, &[]);
    order.env.insert("LAGOON_GIT_BRANCH".to_owned(), "trunk".to_owned());
    let project = json!([{"name": "LAGOON_PROJECT", "value": "other"}, {"name": "TASK_API_HOST", "value": "theirs"}]);
    let from = json!([{"configMapRef": {"name": "lagoon-env"}}]);
    for (env, env_from, expected) in [
        (json!([]), json!([]), [Some("network"), Some("trunk")]),
        (project.clone(), json!([]), [Some("other"), Some("trunk")]),
        (json!([]), from.clone(), [None, None]),
        (project, from, [Some("other"), None]),
    ] {
        let copied = deployment_with(&json!({"env": env, "envFrom": env_from}), &json!({}));
        let pod = pod_of(&job(&order, Some(&copied)).unwrap());
        let env = pod["containers"][0]["env"].as_array().unwrap();
        let found = |name: &str| env.iter().find(|one| one["name"] == name).and_then(|one| one["value"].as_str());
        assert_eq!(["LAGOON_PROJECT", "LAGOON_GIT_BRANCH"].map(found), expected, "{env:?}");
        // All others are Sluice's.
        assert_eq!(found("TASK_API_HOST"), Some("https://x/$$(HOME)"));
        assert_eq!(env.iter().filter(|one| one["name"] == "TASK_API_HOST").count(), 1);
    }
}

#[test]
fn nothing_that_a_copied_container_writes_is_its_termination_message() {
    let spec = spec(service(None, "true"));
    let tells = json!({"terminationMessagePolicy": "FallbackToLogsOnError", "terminationMessagePath": "/log"});
    let mut first = tells.clone();
    first["name"] = "first".into();
    let deployment = deployment_with(&tells, &json!({"initContainers": [first]}));
    let pod = pod_of(&job(&order(&spec, &[]), Some(&deployment)).unwrap());
    assert_eq!(pod["initContainers"][0]["name"], "first");
    assert!(!pod.to_string().contains("terminationMessage"), "{pod}");
}

#[test]
fn a_service_without_the_container_that_is_named_is_no_job() {
    let named = spec(service(Some("php"), "true"));
    let error = job(&order(&named, &[]), Some(&deployment())).unwrap_err();
    assert_eq!(error.to_string(), "the Deployment cli has no container php");
    let other = spec(service(Some("nginx"), "true"));
    let job = job(&order(&other, &[]), Some(&deployment())).unwrap();
    assert_eq!(crate::standing::container_of(&job), "nginx");
    let missing = super::job(&order(&other, &[]), None).unwrap_err();
    assert!(missing.to_string().starts_with("there is no Deployment cli in the namespace jobs"), "{missing}");
}

#[test]
fn an_image_has_to_be_named_somewhere() {
    let spec = spec(Program::Image { image: None });
    assert!(matches!(job(&order(&spec, &[]), None), Err(ClusterError::NoImage)));
}

#[test]
fn no_secret_is_in_the_job_and_all_are_in_its_secret() {
    for program in [image(), service(None, "true")] {
        let spec = spec(program);
        let order = order(&spec, &[]);
        let told = pretty(&job(&order, Some(&deployment())).unwrap());
        let kept = written(&secret(&order, "uid-1").unwrap());
        for (name, value) in order.secrets.iter().chain(&order.files) {
            let value = value.expose_secret();
            assert!(!told.contains(value), "{name} is in the Job");
            assert!(!format!("{order:?}").contains(value), "{name} is in what is printed of the order");
        }
        assert!(!told.contains("hush") && !told.contains("c2VjcmV0"), "{told}");
        let keys: Vec<_> = kept["data"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["env.JSON_PAYLOAD", "env.terrakubeToken", "file.plan.json"]);
        assert_eq!(kept["metadata"]["ownerReferences"][0]["uid"], "uid-1");
        assert_eq!((&kept["immutable"], &kept["type"]), (&json!(true), &json!("Opaque")));
    }
}

#[test]
fn what_does_not_fit_into_a_secret_is_told_before_it_is_sent() {
    let spec = spec(image());
    let mut order = order(&spec, &[]);
    order.files.insert("large".to_owned(), SecretString::from("x".repeat(1_000_001)));
    assert!(matches!(secret(&order, "uid-1"), Err(ClusterError::TooLarge { .. })));
}

#[test]
fn a_job_is_known_again_by_what_it_is_for() {
    let spec = spec(image());
    let mut order = order(&spec, &[]);
    let job = job(&order, None).unwrap();
    assert!(is_of(&job, &order));
    order.about.check = "other".parse().unwrap();
    assert!(!is_of(&job, &order));
    assert!(!is_of(&Job::default(), &order));
}
