//! Prints the objects of an example of each kind of job, as a list in JSON: for whoever holds them to a schema.

use std::collections::BTreeMap;
use std::error::Error;

use k8s_openapi::api::apps::v1::Deployment;
use secrecy::SecretString;
use serde_json::{Value, json};
use sluice_domain::gate::{JobSpec, PodSettings, Program};
use sluice_domain::ports::{About, JobOrder, JobPlace};
use sluice_kubernetes::manifest::{job, secret};

const SETTINGS: [(&str, &str); 16] = [
    ("ExecutorEphemeralSecret", "tools,registry"),
    ("EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP", "defaults"),
    ("EPHEMERAL_JOB_ENV_VARS", "LEVEL=high;POD=$(PODNAME)"),
    ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "kubernetes.io/arch=arm64"),
    ("EPHEMERAL_CONFIG_ANNOTATIONS", "example.com/owner=platform"),
    ("EPHEMERAL_CONFIG_POD_ANNOTATIONS", "vault.hashicorp.com/agent-inject=true"),
    ("EPHEMERAL_CONFIG_LABELS", "team=platform"),
    ("EPHEMERAL_CONFIG_TOLERATIONS", "spot=yes;dedicated:Exists:NoSchedule"),
    ("EPHEMERAL_CONFIG_MAP_NAME", "tools"),
    ("TF_PLUGIN_CACHE_DIR", "/cache"),
    ("EPHEMERAL_CPU_REQUEST", "250m"),
    ("EPHEMERAL_CPU_LIMIT", "2"),
    ("EPHEMERAL_MEMORY_LIMIT", "1Gi"),
    ("EPHEMERAL_STORAGE_LIMIT", "3Gi"),
    ("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT", "fsGroup=1000;runAsUser=1000;runAsNonRoot=true"),
    ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "allowPrivilegeEscalation=false"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let image = || Program::Image { image: Some("ghcr.io/acme/check:1".to_owned()) };
    let service = Program::Service { service: "cli".to_owned(), container: None, command: "drush status".to_owned() };
    let mut items: Vec<Value> = Vec::new();
    for (check, program, settings) in
        [("plain", image(), &SETTINGS[..0]), ("settings", image(), &SETTINGS[..]), ("service", service, &SETTINGS[..])]
    {
        items.extend(objects(check, program, settings)?);
    }
    println!("{}", serde_json::to_string_pretty(&json!({"apiVersion": "v1", "kind": "List", "items": items}))?);
    Ok(())
}

fn objects(check: &str, program: Program, settings: &[(&str, &str)]) -> Result<[Value; 2], Box<dyn Error>> {
    let all = !settings.is_empty();
    let settings = settings.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let settings = PodSettings::read(&settings).map_err(|faults| format!("{faults:?}"))?;
    let (arguments, none) = (BTreeMap::new(), BTreeMap::new());
    let spec = JobSpec { program, arguments, settings: none, deployer_token: all, ssh_key: all, start_seconds: 300 };
    let about = About {
        result: "taskrs-1@guard".parse()?,
        check: check.parse()?,
        run: "run-1".to_owned(),
        organization: "acme".to_owned(),
        workspace: "network".to_owned(),
    };
    let order = JobOrder {
        place: JobPlace::of("jobs", &about.result, &about.check),
        spec: &spec,
        settings,
        about,
        env: [("LAGOON_PROJECT".to_owned(), "network".to_owned())].into(),
        secrets: [("JSON_PAYLOAD".to_owned(), SecretString::from("e30="))].into(),
        files: [("plan.json".to_owned(), SecretString::from("{}"))].into(),
        seconds: 540,
    };
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "cli"},
        "spec": {"selector": {}, "template": {"spec": {
            "volumes": [{"name": "files", "emptyDir": {}}],
            "containers": [{"name": "cli", "image": "uselagoon/php-8.3-cli",
                "volumeMounts": [{"name": "files", "mountPath": "/app/files"}]}]
        }}}
    }))?;
    let uid = "00000000-0000-0000-0000-000000000000";
    Ok([serde_json::to_value(job(&order, Some(&deployment))?)?, serde_json::to_value(secret(&order, uid)?)?])
}
