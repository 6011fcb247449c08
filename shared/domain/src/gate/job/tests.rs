//! Jobs as they are written down: one example or more for every setting, each valid and not.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{JobWire, PodSettings, Program};
use crate::gate::{FieldFault, TaskDefinition, TaskWire};

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn told(faults: &[FieldFault]) -> String {
    faults.iter().flat_map(|fault| [fault.to_string(), "\n".to_owned()]).collect()
}

/// What of the settings is not as it is without any.
fn shown(read: &PodSettings) -> String {
    let (read, none) = (format!("{read:#?}"), format!("{:#?}", PodSettings::default()));
    let known: Vec<&str> = none.lines().collect();
    let lines = read.lines().filter(|line| !known.contains(line)).map(str::trim);
    lines.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn reads(pairs: &[(&str, &str)], expect: &Expect) {
    expect.assert_eq(&shown(&PodSettings::read(&settings(pairs)).unwrap()));
}

#[track_caller]
fn fails(name: &str, texts: &[&str], expect: &Expect) {
    let faults: String = texts
        .iter()
        .map(|text| match PodSettings::read(&settings(&[(name, text)])) {
            Ok(_) => format!("{text:?} is taken\n"),
            Err(faults) => told(&faults),
        })
        .collect();
    expect.assert_eq(&faults);
}

#[test]
fn names_and_lists_of_names_are_read() {
    reads(
        &[
            ("ExecutorEphemeralNamespace", " jobs "),
            ("ExecutorEphemeralImage", "ghcr.io/acme/check:1"),
            ("ExecutorEphemeralSecret", "one, two,,"),
            ("EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP", "three"),
            ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "checker"),
            ("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "TRUE"),
        ],
        &expect![[
            r#"namespace: Some( "jobs", ), image: Some( "ghcr.io/acme/check:1", ), env_secrets: [ "one", "two", ], env_config_maps: [ "three", ], service_account: Some( "checker", ),"#
        ]],
    );
    fails(
        "ExecutorEphemeralNamespace",
        &["", "Jobs", "a.b"],
        &expect![[r"
        ExecutorEphemeralNamespace is no name of a namespace
        ExecutorEphemeralNamespace is no name of a namespace
        ExecutorEphemeralNamespace is no name of a namespace
    "]],
    );
    fails(
        "ExecutorEphemeralImage",
        &["", "a b"],
        &expect![[r"
        ExecutorEphemeralImage is no reference to an image
        ExecutorEphemeralImage is no reference to an image
    "]],
    );
    fails(
        "ExecutorEphemeralSecret",
        &["one;two"],
        &expect![[r"
        ExecutorEphemeralSecret has to list names
    "]],
    );
    fails(
        "EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP",
        &["One"],
        &expect![[r"
        EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP has to list names
    "]],
    );
    fails(
        "EPHEMERAL_CONFIG_SERVICE_ACCOUNT",
        &["system:admin"],
        &expect![[r"
        EPHEMERAL_CONFIG_SERVICE_ACCOUNT is no name of an account
    "]],
    );
    fails(
        "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR",
        &["0", "false", "maybe"],
        &expect![[r"
        TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR is off, and jobs have no other executor
        TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR is off, and jobs have no other executor
        TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR is neither true nor false
    "]],
    );
}

#[test]
fn pairs_are_read_as_terrakube_reads_them() {
    reads(
        &[("EPHEMERAL_JOB_ENV_VARS", " A = b=c ;; D ;E=; ")],
        &expect![[r#"env: { "A": "b=c", "D": "", "E": "", },"#]],
    );
    reads(
        &[("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "kubernetes.io/arch=arm64;spot=no")],
        &expect![[r#"node_selector: { "kubernetes.io/arch": "arm64", "spot": "no", },"#]],
    );
    reads(
        &[("EPHEMERAL_CONFIG_ANNOTATIONS", "example.com/a=b c/d")],
        &expect![[r#"annotations: { "example.com/a": "b c/d", },"#]],
    );
    reads(
        &[("EPHEMERAL_CONFIG_POD_ANNOTATIONS", "vault.hashicorp.com/agent-inject=true")],
        &expect![[r#"pod_annotations: { "vault.hashicorp.com/agent-inject": "true", },"#]],
    );
    reads(
        &[("EPHEMERAL_CONFIG_LABELS", "team=core;terrakube.io/organization=x")],
        &expect![[r#"labels: { "team": "core", "terrakube.io/organization": "x", },"#]],
    );
}

#[test]
fn pairs_that_no_object_can_have_are_told() {
    fails(
        "EPHEMERAL_JOB_ENV_VARS",
        &["=x", "A B=c", "JSON_PAYLOAD=x", "LAGOON_PROJECT=x"],
        &expect![[r#"
        EPHEMERAL_JOB_ENV_VARS has "", which no variable can be called
        EPHEMERAL_JOB_ENV_VARS has "A B", which no variable can be called
        EPHEMERAL_JOB_ENV_VARS sets JSON_PAYLOAD, which every job has from Sluice
        EPHEMERAL_JOB_ENV_VARS sets LAGOON_PROJECT, which every job has from Sluice
    "#]],
    );
    fails(
        "EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS",
        &["=x", "a=b c"],
        &expect![[r#"
        EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS has the key "", which no label can have
        EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS gives a a value that no label can have
    "#]],
    );
    fails(
        "EPHEMERAL_CONFIG_ANNOTATIONS",
        &["a b=c", "sluice/run=x"],
        &expect![[r#"
        EPHEMERAL_CONFIG_ANNOTATIONS has the key "a b", which no annotation can have
        EPHEMERAL_CONFIG_ANNOTATIONS has sluice/run, which others keep their books in
    "#]],
    );
    fails(
        "EPHEMERAL_CONFIG_POD_ANNOTATIONS",
        &["/a=c"],
        &expect![[r#"
        EPHEMERAL_CONFIG_POD_ANNOTATIONS has the key "/a", which no annotation can have
    "#]],
    );
    fails(
        "EPHEMERAL_CONFIG_LABELS",
        &["a=b/c", "job-name=x", "sluice/job=x"],
        &expect![[r"
        EPHEMERAL_CONFIG_LABELS gives a a value that no label can have
        EPHEMERAL_CONFIG_LABELS has job-name, which others keep their books in
        EPHEMERAL_CONFIG_LABELS has sluice/job, which others keep their books in
    "]],
    );
    let long = format!("a={}", "b".repeat(250_000));
    fails(
        "EPHEMERAL_CONFIG_ANNOTATIONS",
        &[&long],
        &expect![[r"
        EPHEMERAL_CONFIG_ANNOTATIONS has 250002 bytes, and may have 245760
    "]],
    );
    fails(
        "EPHEMERAL_JOB_ENV_VARS",
        &[&long],
        &expect![[r"
        EPHEMERAL_JOB_ENV_VARS has 250002 bytes, and may have 65536
    "]],
    );
}

#[test]
fn a_toleration_with_a_value_alone_has_to_be_equal() {
    reads(
        &[("EPHEMERAL_CONFIG_TOLERATIONS", "foo=bar")],
        &expect![[
            r#"tolerations: [ Toleration { key: "foo", operator: "Equal", value: Some( "bar", ), effect: None, }, ],"#
        ]],
    );
    reads(
        &[("EPHEMERAL_CONFIG_TOLERATIONS", "foo; foo=bar:Equal:NoSchedule")],
        &expect![[
            r#"tolerations: [ Toleration { key: "foo", operator: "Exists", value: None, effect: None, }, Toleration { key: "foo", operator: "Equal", value: Some( "bar", ), effect: Some( "NoSchedule", ), }, ],"#
        ]],
    );
    reads(
        &[("EPHEMERAL_CONFIG_TOLERATIONS", "foo::NoExecute;:Exists")],
        &expect![[
            r#"tolerations: [ Toleration { key: "foo", operator: "Exists", value: None, effect: Some( "NoExecute", ), }, Toleration { key: "", operator: "Exists", value: None, effect: None, }, ],"#
        ]],
    );
    fails(
        "EPHEMERAL_CONFIG_TOLERATIONS",
        &["foo=bar:Exists", "foo:In", "foo:Exists:Never", "a b", ":Equal", "a:b:c:d", "a=b c"],
        &expect![[r#"
            EPHEMERAL_CONFIG_TOLERATIONS has "foo=bar:Exists", where Exists cannot have a value
            EPHEMERAL_CONFIG_TOLERATIONS has "foo:In", whose operator is neither Exists nor Equal
            EPHEMERAL_CONFIG_TOLERATIONS has "foo:Exists:Never", whose effect is none of NoSchedule, PreferNoSchedule, NoExecute
            EPHEMERAL_CONFIG_TOLERATIONS has "a b", whose key no taint can have
            EPHEMERAL_CONFIG_TOLERATIONS has ":Equal", whose key no taint can have
            EPHEMERAL_CONFIG_TOLERATIONS has "a:b:c:d", which has more than key=value:operator:effect
            EPHEMERAL_CONFIG_TOLERATIONS has "a=b c", whose value no taint can have
        "#]],
    );
}

#[test]
fn volumes_are_mounted_where_nothing_else_is() {
    reads(
        &[("EPHEMERAL_CONFIG_MAP_NAME", "tools")],
        &expect![[r#"config_map: Some( Mount { name: "tools", path: "/data", }, ),"#]],
    );
    reads(
        &[
            ("EPHEMERAL_CONFIG_MAP_NAME", "tools"),
            ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "/opt/tools"),
            ("TF_PLUGIN_CACHE_DIR", "/cache"),
            ("PVC_CLAIM_NAME", "plugins"),
        ],
        &expect![[
            r#"config_map: Some( Mount { name: "tools", path: "/opt/tools", }, ), plugin_cache: Some( Mount { name: "plugins", path: "/cache", }, ),"#
        ]],
    );
    reads(
        &[("TF_PLUGIN_CACHE_DIR", "/cache")],
        &expect![[r#"plugin_cache: Some( Mount { name: "terrakube-plugin-pvc", path: "/cache", }, ),"#]],
    );
    // Half of two settings is nothing: the deployment may have the other.
    reads(&[("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "/opt")], &expect![[""]]);
    reads(&[("PVC_CLAIM_NAME", "plugins")], &expect![[""]]);
    fails(
        "EPHEMERAL_CONFIG_MAP_NAME",
        &["A"],
        &expect![[r"
        EPHEMERAL_CONFIG_MAP_NAME is no name of an object
    "]],
    );
    fails(
        "PVC_CLAIM_NAME",
        &["a/b"],
        &expect![[r"
        PVC_CLAIM_NAME is no name of an object
    "]],
    );
    let paths = ["data", "/", "/a/../b", "/a:b", "/workspace", "/var/run/secrets/sluice/x", ""];
    fails(
        "EPHEMERAL_CONFIG_MAP_MOUNT_PATH",
        &paths,
        &expect![[r"
        EPHEMERAL_CONFIG_MAP_MOUNT_PATH is no absolute path to mount a volume at
        EPHEMERAL_CONFIG_MAP_MOUNT_PATH is no absolute path to mount a volume at
        EPHEMERAL_CONFIG_MAP_MOUNT_PATH leads upwards
        EPHEMERAL_CONFIG_MAP_MOUNT_PATH is no absolute path to mount a volume at
        EPHEMERAL_CONFIG_MAP_MOUNT_PATH lies where every job has something else
        EPHEMERAL_CONFIG_MAP_MOUNT_PATH lies where every job has something else
        EPHEMERAL_CONFIG_MAP_MOUNT_PATH is no absolute path to mount a volume at
    "]],
    );
    fails(
        "TF_PLUGIN_CACHE_DIR",
        &["~/.cache"],
        &expect![[r"
        TF_PLUGIN_CACHE_DIR is no absolute path to mount a volume at
    "]],
    );
    let both = settings(&[("EPHEMERAL_CONFIG_MAP_NAME", "a"), ("TF_PLUGIN_CACHE_DIR", "/data/")]);
    expect![[r"
        TF_PLUGIN_CACHE_DIR lies where the config map is mounted
    "]]
    .assert_eq(&told(&PodSettings::read(&both).unwrap_err()));
}

#[test]
fn security_is_set_by_the_keys_that_terrakube_knows() {
    reads(
        &[
            ("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT", "fsGroup=0;runAsUser=10000;runAsNonRoot=true"),
            ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "allowPrivilegeEscalation=true"),
        ],
        &expect![
            "fs_group: Id( 0, ), run_as_user: Some( 10000, ), run_as_non_root: Some( true, ), allow_privilege_escalation: Some( true, ),"
        ],
    );
    reads(&[("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT", "fsGroup=")], &expect!["fs_group: None,"]);
    fails(
        "EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT",
        &[
            "fsGroup=-1",
            "runAsUser=",
            "runAsUser=root",
            "runAsNonRoot=yes",
            "runAsGroup=1",
            "runAsUser=0;runAsNonRoot=true",
        ],
        &expect![[r#"
            EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT gives fsGroup no number of a user or group
            EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT gives runAsUser no number of a user or group
            EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT gives runAsUser no number of a user or group
            EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT gives runAsNonRoot neither true nor false
            EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT has "runAsGroup", and knows fsGroup, runAsUser and runAsNonRoot
            EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT wants user 0, and none that is root
        "#]],
    );
    fails(
        "EPHEMERAL_CONFIG_SECURITY_CONTEXT",
        &["privileged=true", "allowPrivilegeEscalation="],
        &expect![[r#"
        EPHEMERAL_CONFIG_SECURITY_CONTEXT has "privileged", and knows allowPrivilegeEscalation
        EPHEMERAL_CONFIG_SECURITY_CONTEXT gives allowPrivilegeEscalation neither true nor false
    "#]],
    );
}

#[test]
fn amounts_are_written_as_kubernetes_writes_them_and_a_request_is_within_its_limit() {
    for word in ["CPU", "MEMORY", "STORAGE"] {
        let (request, limit) = (format!("EPHEMERAL_{word}_REQUEST"), format!("EPHEMERAL_{word}_LIMIT"));
        let read = PodSettings::read(&settings(&[(&request, "500m"), (&limit, " 1 ")])).unwrap();
        assert_eq!(read.requests.values().next().map(String::as_str), Some("500m"), "{word}");
        assert_eq!(read.limits.values().next().map(String::as_str), Some("1"), "{word}");
        let faults = PodSettings::read(&settings(&[(&request, "1.5Gi"), (&limit, "1Gi")])).unwrap_err();
        assert_eq!(told(&faults), format!("{request} is 1.5Gi, more than the limit of 1Gi\n"));
        let faults = PodSettings::read(&settings(&[(&limit, "1 GB")])).unwrap_err();
        assert_eq!(faults[0].field, limit);
        assert!(faults[0].is.starts_with("is no amount"), "{faults:?}");
    }
}

#[test]
fn an_image_has_requests_and_limits_that_fit_to_what_is_said() {
    let told = |pairs: &[(&str, &str)]| {
        let (requests, limits) = PodSettings::read(&settings(pairs)).unwrap().resources();
        format!("{requests:?} {limits:?}")
    };
    expect![[r#"{"cpu": "100m", "memory": "128Mi"} {"ephemeral-storage": "1Gi", "memory": "512Mi"}"#]]
        .assert_eq(&told(&[]));
    expect![[r#"{"cpu": "100m", "memory": "2Gi"} {"ephemeral-storage": "1Gi", "memory": "2Gi"}"#]]
        .assert_eq(&told(&[("EPHEMERAL_MEMORY_REQUEST", "2Gi")]));
    expect![[r#"{} {"cpu": "50m", "ephemeral-storage": "1Gi", "memory": "64Mi"}"#]]
        .assert_eq(&told(&[("EPHEMERAL_MEMORY_LIMIT", "64Mi"), ("EPHEMERAL_CPU_LIMIT", "50m")]));
}

#[test]
fn an_unknown_setting_is_told_with_what_is_near() {
    for (name, expect) in [
        (
            "EPHEMERAL_CONFIG_TOLERATION",
            expect![[r"
            EPHEMERAL_CONFIG_TOLERATION is no setting of a job; is EPHEMERAL_CONFIG_TOLERATIONS meant?
        "]],
        ),
        (
            "ephemeral_cpu_limit",
            expect![[r"
                ephemeral_cpu_limit is no setting of a job; is EPHEMERAL_CPU_LIMIT meant?
            "]],
        ),
        (
            "ExecutorEphemeralNamspace",
            expect![[r"
            ExecutorEphemeralNamspace is no setting of a job; is ExecutorEphemeralNamespace meant?
        "]],
        ),
        (
            "EPHEMERAL_GPU_LIMIT",
            expect![[r"
            EPHEMERAL_GPU_LIMIT is no setting of a job; is EPHEMERAL_CPU_LIMIT meant?
        "]],
        ),
        (
            "FOO",
            expect![[r"
            FOO is no setting of a job
        "]],
        ),
    ] {
        expect.assert_eq(&told(&PodSettings::read(&settings(&[(name, "1")])).unwrap_err()));
    }
}

#[test]
fn a_checks_own_setting_replaces_the_deployments_as_a_whole() {
    let deployment = settings(&[("EPHEMERAL_CONFIG_LABELS", "a=1;b=2"), ("EPHEMERAL_CPU_LIMIT", "1")]);
    let own = settings(&[("EPHEMERAL_CONFIG_LABELS", "c=3")]);
    let read = PodSettings::read(&PodSettings::merged(&deployment, &own)).unwrap();
    assert_eq!(read.labels, settings(&[("c", "3")]));
    assert_eq!(read.limits, settings(&[("cpu", "1")]));
}

#[test]
fn the_kind_and_the_fields_of_a_job_belong_together() {
    let told = |checks: &str| {
        let json = format!(r#"{{"name": "t", "hmac_keys": ["env:K"], "stages": ["pre_plan"], "checks": [{checks}]}}"#);
        let wire: TaskWire = serde_json::from_str(&json).unwrap();
        TaskDefinition::try_from(wire)
            .map_or_else(|error| told(&error.faults), |task| format!("{:?}", task.checks[0].kind))
    };
    expect![[r#"Job(JobSpec { program: Image { image: Some("x") }, arguments: {}, settings: {}, deployer_token: false, ssh_key: false, start_seconds: 300 })"#]].assert_eq(&told(r#"{"name": "a", "kind": "job", "job": {"image": "x"}}"#));
    let others = r#"{"name": "a", "kind": "preview", "stages": ["post_plan"], "job": {}},
        {"name": "b", "kind": "job", "url": "https://example.com"},
        {"name": "c", "kind": "job", "job": {"settings": {"EPHEMERAL_CPU_LIMIT": "x"}, "start_seconds": 0}},
        {"name": "d", "kind": "jobs"}"#;
    expect![[r"
        checks[0].stages has to be some of the task's own stages
        checks[0].job means nothing to a check of the kind preview, but to job
        checks[1].url means nothing to a check of the kind job, but to http
        checks[1].job is missing: say which image, or which service and command
        checks[2].job.settings.EPHEMERAL_CPU_LIMIT is no amount as Kubernetes writes it, as 500m, 0.5, 512Mi or 2G
        checks[2].job.start_seconds is 0, and has to be from 1 to 3000
        checks[3].kind is none of upstream, preview, consumers, rego, http, job
    "]]
    .assert_eq(&told(others));
}

#[track_caller]
fn wrong(json: &str, expect: &Expect) {
    let wire: JobWire = serde_json::from_str(json).unwrap();
    expect.assert_eq(&wire.read().map_or_else(|faults| told(&faults), |spec| format!("{spec:?}")));
}

#[test]
fn a_job_is_an_image_or_a_command_in_a_copy_of_a_service() {
    let read = |json: &str| serde_json::from_str::<JobWire>(json).unwrap().read().unwrap();
    let job = read(r#"{"image": "acme/check:1", "arguments": {"level": "high", "a b": "c"}}"#);
    assert_eq!(job.program, Program::Image { image: Some("acme/check:1".to_owned()) });
    assert_eq!((job.start_seconds, job.deployer_token, job.ssh_key), (300, false, false));
    assert_eq!(read("{}").program, Program::Image { image: None });
    let job = read(r#"{"service": "cli", "command": "drush status", "arguments": {"LEVEL": "$(rm -rf /)"}}"#);
    let (service, command) = ("cli".to_owned(), "drush status".to_owned());
    assert_eq!(job.program, Program::Service { service, container: None, command });
}

#[test]
fn a_wrong_job_is_told_field_by_field() {
    wrong(
        r#"{"image": "a b", "command": "x", "container": "y", "start_seconds": 3001}"#,
        &expect![[r"
        command means nothing without a service: an image knows by itself what to do
        container means nothing without a service: an image knows by itself what to do
        image is no reference to an image, as registry.example.com/team/check:1.2
        start_seconds is 3001, and has to be from 1 to 3000
    "]],
    );
    wrong(
        r#"{"image": "a", "service": "B", "container": "c_d", "command": " "}"#,
        &expect![[r"
        image is given beside a service: a job runs one of them
        service is no name of a Deployment
        container is no name of a container
        command is empty
    "]],
    );
    wrong(
        r#"{"service": "b", "settings": {"ExecutorEphemeralImage": "x"}}"#,
        &expect![[r"
        settings.ExecutorEphemeralImage is given beside a service: a job runs one of them
        command is missing: say what is to be run in a copy of the service
    "]],
    );
    wrong(
        r#"{"service": "b", "command": "a\u0000"}"#,
        &expect![[r"
        command has a character that no shell takes
    "]],
    );
    wrong(
        r#"{"image": "a", "arguments": {"run": "x", "": "y", "PATH": "z"}, "start_seconds": 0}"#,
        &expect![[r"
        arguments. has no name
        start_seconds is 0, and has to be from 1 to 3000
    "]],
    );
    wrong(
        r#"{"service": "b", "command": "c", "arguments": {"1A": "", "PATH": "", "LD_PRELOAD": "", "TASK_X": "",
            "terrakubeToken": "", "jobId": "", "FINE": "\u0000"}}"#,
        &expect![[r"
            arguments.1A is no name of a variable
            arguments.FINE has a character that no variable can have
            arguments.LD_PRELOAD is a variable that decides which programs run
            arguments.PATH is a variable that decides which programs run
            arguments.TASK_X is a variable that every job has from Sluice
            arguments.jobId is a variable that every job has from Sluice
            arguments.terrakubeToken is a variable that every job has from Sluice
        "]],
    );
    let long = "x".repeat(70_000);
    wrong(
        &format!(r#"{{"service": "b", "command": "{long}", "arguments": {{"A": "{long}"}}}}"#),
        &expect![[r"
        command has 70000 bytes, and may have 32768
        arguments have 70001 bytes, and may have 65536
    "]],
    );
}

#[test]
fn the_arguments_of_an_image_fit_into_one_variable() {
    let read = |value: String| {
        let arguments = settings(&[("a", &value)]);
        let image = JobWire { image: Some("x".to_owned()), arguments, ..JobWire::default() };
        let service =
            JobWire { image: None, service: Some("x".to_owned()), command: Some("y".to_owned()), ..image.clone() };
        // A service has each of them as a variable.
        assert!(service.read().is_ok());
        image.read()
    };
    // {"a":""} are 8 bytes, and 92160 become 122880.
    assert!(read("\"".repeat(46_076)).is_ok());
    expect![[r"
        arguments have 122884 bytes as JSON_PAYLOAD, and may have 122880
    "]]
    .assert_eq(&told(&read("\"".repeat(46_077)).unwrap_err()));
    assert!(read("\u{1}".repeat(60_000)).is_err() && read("x".repeat(65_000)).is_ok());
}

proptest! {
    #[test]
    fn reading_settings_never_panics(
        name in prop_oneof![
            Just("EPHEMERAL_CONFIG_TOLERATIONS".to_owned()),
            Just("EPHEMERAL_JOB_ENV_VARS".to_owned()),
            Just("EPHEMERAL_CONFIG_LABELS".to_owned()),
            Just("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT".to_owned()),
            Just("EPHEMERAL_CONFIG_MAP_MOUNT_PATH".to_owned()),
            Just("EPHEMERAL_MEMORY_LIMIT".to_owned()),
            Just("ExecutorEphemeralImage".to_owned()),
            ".{0,40}",
        ],
        text in prop_oneof![".{0,60}", "[0-9.eE+mkMGiE-]{0,40}", "[a-z:=;/@.\\[\\]]{0,40}"],
    ) {
        if let Ok(read) = PodSettings::read(&settings(&[(&name, &text)])) {
            let (requests, limits) = read.resources();
            prop_assert!(requests.len() <= 3 && limits.len() <= 3);
        }
        let wire = JobWire { image: Some(text.clone()), ..JobWire::default() };
        let _ = wire.read();
        let arguments = settings(&[(&name, &text)]);
        let wire = JobWire { service: Some(name), command: Some(text), arguments, ..JobWire::default() };
        let _ = wire.read();
    }
}
