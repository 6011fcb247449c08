//! What the server fills in: defaults, and what its admission plugins add.

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::resource::{Key, Resource};
use super::world::{World, name_of, uid_of};

/// Sets a field that is not set.
fn default(object: &mut Value, field: &str, value: impl Into<Value>) {
    if object[field].is_null() {
        object[field] = value.into();
    }
}

/// The defaults of a new or a changed object.
pub(super) fn apply(resource: Resource, object: &mut Value) {
    match resource {
        Resource::Jobs => job(object),
        Resource::Pods => pod(object),
        Resource::Secrets => secret(object),
        Resource::Deployments => {
            let spec = &mut object["spec"];
            default(spec, "replicas", 1);
            pod_spec(&mut spec["template"]["spec"]);
        }
        Resource::Namespaces => object["status"] = json!({ "phase": "Active" }),
        _ => {}
    }
}

fn job(job: &mut Value) {
    let (name, uid) = (name_of(job).to_owned(), uid_of(job).to_owned());
    label(Resource::Jobs, job);
    let spec = &mut job["spec"];
    if spec["parallelism"].is_null() && spec["completions"].is_null() {
        spec["completions"] = 1.into();
    }
    default(spec, "parallelism", 1);
    default(spec, "backoffLimit", 6);
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "manualSelector", false);
    if spec["podReplacementPolicy"].is_null() {
        let policy = if spec["podFailurePolicy"].is_null() { "TerminatingOrFailed" } else { "Failed" };
        spec["podReplacementPolicy"] = policy.into();
    }
    pod_spec(&mut spec["template"]["spec"]);
    if spec["manualSelector"] == false {
        spec["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = uid.as_str().into();
        for (label, value) in [("controller-uid", &uid), ("job-name", &name)] {
            let labels = &mut spec["template"]["metadata"]["labels"];
            default(labels, label, value.as_str());
            default(labels, &format!("batch.kubernetes.io/{label}"), value.as_str());
        }
    }
}

/// A job without labels has those of its template, also the generated ones.
pub(super) fn label(resource: Resource, job: &mut Value) {
    if resource == Resource::Jobs {
        let labels = job["spec"]["template"]["metadata"]["labels"].clone();
        default(&mut job["metadata"], "labels", labels);
    }
}

fn pod(pod: &mut Value) {
    let spec = &mut pod["spec"];
    pod_spec(spec);
    default(spec, "enableServiceLinks", true);
    default(spec, "serviceAccountName", "default");
    let account = spec["serviceAccountName"].clone();
    default(spec, "serviceAccount", account);
    default(spec, "preemptionPolicy", "PreemptLowerPriority");
    default(spec, "priority", 0);
    default(spec, "tolerations", json!([]));
    if let Value::Array(tolerations) = &mut spec["tolerations"] {
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let tolerated = |one: &Value| {
                (one["key"] == key || one["key"].is_null()) && (one["effect"] == "NoExecute" || one["effect"].is_null())
            };
            if !tolerations.iter().any(tolerated) {
                let toleration = json!({
                    "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
                });
                tolerations.push(toleration);
            }
        }
    }
    default(&mut pod["status"], "phase", "Pending");
}

fn pod_spec(spec: &mut Value) {
    default(spec, "restartPolicy", "Always");
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "schedulerName", "default-scheduler");
    default(spec, "securityContext", json!({}));
    default(spec, "terminationGracePeriodSeconds", 30);
    for list in ["containers", "initContainers"] {
        spec[list].as_array_mut().into_iter().flatten().for_each(container);
    }
    for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
        for source in ["secret", "configMap", "projected", "downwardAPI"] {
            if volume[source].is_object() {
                default(&mut volume[source], "defaultMode", 0o644);
            }
        }
    }
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    let latest = !image.contains('@') && (!name.contains(':') || name.ends_with(":latest"));
    default(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    default(container, "resources", json!({}));
    for port in container["ports"].as_array_mut().into_iter().flatten() {
        default(port, "protocol", "TCP");
    }
    for variable in container["env"].as_array_mut().into_iter().flatten() {
        if variable["valueFrom"]["fieldRef"].is_object() {
            default(&mut variable["valueFrom"]["fieldRef"], "apiVersion", "v1");
        }
    }
    let limits = container["resources"]["limits"].as_object().cloned().unwrap_or_default();
    for (name, limit) in limits {
        default(&mut container["resources"]["requests"], &name, limit);
    }
}

fn secret(secret: &mut Value) {
    use base64::Engine as _;
    default(secret, "type", "Opaque");
    let Some(fields) = secret.as_object_mut() else { return };
    if let Some(Value::Object(texts)) = fields.remove("stringData") {
        for (name, text) in texts {
            let encoded = base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap_or_default());
            fields.entry("data").or_insert_with(|| json!({}))[name] = encoded.into();
        }
    }
}

impl World {
    /// What admission does to a new pod: a service account that is there, and its token.
    pub(super) fn admit_pod(&mut self, namespace: &str, pod: &mut Value) -> Result<(), Refusal> {
        // It is not named yet when it is looked at.
        let name = pod["metadata"]["generateName"].as_str().unwrap_or(name_of(pod)).to_owned();
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default().to_owned();
        let Some(stored) = self.get(&Key::new(Resource::ServiceAccounts, namespace, &account)).cloned() else {
            let why = format!(
                "error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found"
            );
            return Err(Refusal::forbidden(Resource::Pods, &name, &why));
        };
        let spec = &mut pod["spec"];
        let wanted = spec["automountServiceAccountToken"].as_bool();
        if !wanted.or(stored["automountServiceAccountToken"].as_bool()).unwrap_or(true) {
            return Ok(());
        }
        let volume = format!("kube-api-access-{}", self.new_suffix());
        let path = "/var/run/secrets/kubernetes.io/serviceaccount";
        let mut mounted = false;
        for container in spec["containers"].as_array_mut().into_iter().flatten() {
            default(container, "volumeMounts", json!([]));
            let Value::Array(mounts) = &mut container["volumeMounts"] else { continue };
            if !mounts.iter().any(|mount| mount["mountPath"] == path) {
                mounts.push(json!({ "name": volume, "mountPath": path, "readOnly": true }));
                mounted = true;
            }
        }
        if mounted {
            default(spec, "volumes", json!([]));
            if let Value::Array(volumes) = &mut spec["volumes"] {
                volumes.push(token_volume(&volume));
            }
        }
        Ok(())
    }
}

/// The volume that every pod gets that does not decline it.
fn token_volume(name: &str) -> Value {
    let namespace =
        json!({ "path": "namespace", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } });
    json!({
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
                { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
                { "downwardAPI": { "items": [namespace] } },
            ],
        },
    })
}
