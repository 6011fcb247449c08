//! The resources that are served, and how a path names one.

use serde_json::Value;

/// A resource: a kind of object, as its path names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::kubernetes) enum Resource {
    Jobs,
    Pods,
    Secrets,
    ConfigMaps,
    ServiceAccounts,
    Deployments,
    Events,
    Namespaces,
    Nodes,
}

/// Group, plural and kind of each.
const TABLE: [(Resource, &str, &str, &str); 9] = [
    (Resource::Jobs, "batch", "jobs", "Job"),
    (Resource::Pods, "", "pods", "Pod"),
    (Resource::Secrets, "", "secrets", "Secret"),
    (Resource::ConfigMaps, "", "configmaps", "ConfigMap"),
    (Resource::ServiceAccounts, "", "serviceaccounts", "ServiceAccount"),
    (Resource::Deployments, "apps", "deployments", "Deployment"),
    (Resource::Events, "", "events", "Event"),
    (Resource::Namespaces, "", "namespaces", "Namespace"),
    (Resource::Nodes, "", "nodes", "Node"),
];

impl Resource {
    fn row(self) -> (&'static str, &'static str, &'static str) {
        let row = TABLE.iter().find(|row| row.0 == self).expect("every resource has its row");
        (row.1, row.2, row.3)
    }

    /// `batch`; empty for the core group.
    pub fn group(self) -> &'static str {
        self.row().0
    }

    /// `jobs`.
    pub fn plural(self) -> &'static str {
        self.row().1
    }

    /// `Job`.
    pub fn kind(self) -> &'static str {
        self.row().2
    }

    /// `batch/v1`.
    pub fn api_version(self) -> String {
        if self.group().is_empty() { "v1".to_owned() } else { format!("{}/v1", self.group()) }
    }

    /// `jobs.batch`, as messages name it.
    pub fn qualified(self) -> String {
        qualified(self.plural(), self.group())
    }

    /// `Job.batch`, as messages about invalid objects name it.
    pub fn qualified_kind(self) -> String {
        qualified(self.kind(), self.group())
    }

    pub fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespaces | Self::Nodes)
    }

    /// Whether the status has an endpoint of its own, and other requests cannot change it.
    pub fn has_status(self) -> bool {
        matches!(self, Self::Jobs | Self::Pods | Self::Deployments | Self::Nodes | Self::Namespaces)
    }

    /// Whether `metadata.generation` counts changes of the spec.
    pub fn has_generation(self) -> bool {
        matches!(self, Self::Jobs | Self::Deployments)
    }

    /// The fields, besides the name and the namespace, that a field selector may name.
    pub fn selectable(self) -> &'static [&'static str] {
        match self {
            Self::Pods => &["spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase"],
            Self::Jobs => &["status.successful"],
            Self::Secrets => &["type"],
            Self::Nodes => &["spec.unschedulable"],
            Self::Namespaces => &["status.phase"],
            Self::Events => &["involvedObject.kind", "involvedObject.name", "involvedObject.uid", "reason", "type"],
            _ => &[],
        }
    }

    /// The resource that an owner reference means.
    pub fn of_reference(reference: &Value) -> Option<Self> {
        let row = TABLE.iter().find(|row| reference["kind"] == row.3)?;
        (reference["apiVersion"] == row.0.api_version()).then_some(row.0)
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// Where an object stands in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::kubernetes) struct Key {
    pub resource: Resource,
    /// Empty where there are none.
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(resource: Resource, namespace: &str, name: &str) -> Self {
        let namespace = if resource.is_namespaced() { namespace } else { "" };
        Self { resource, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kubernetes) struct Target {
    pub resource: Resource,
    /// Empty is all of them.
    pub namespace: String,
    /// Empty is the collection.
    pub name: String,
    /// `status`, `log`, `token`; empty is the object.
    pub subresource: String,
}

impl Target {
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_start_matches('/').trim_end_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, "v1", rest @ ..] => (*group, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() && !matches!(rest[0], "status" | "finalize") => {
                (*namespace, rest)
            }
            rest => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (plural, "", ""),
            [plural, name] => (plural, *name, ""),
            [plural, name, subresource] => (plural, *name, *subresource),
            _ => return None,
        };
        let resource = TABLE.iter().find(|row| row.1 == group && row.2 == *plural)?.0;
        let fits = resource.is_namespaced() || namespace.is_empty();
        let complete = !resource.is_namespaced() || name.is_empty() || !namespace.is_empty();
        let known = match subresource {
            "" => true,
            "status" => resource.has_status(),
            "log" => resource == Resource::Pods,
            "token" => resource == Resource::ServiceAccounts,
            _ => false,
        };
        let target = || Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        };
        (fits && complete && known).then(target)
    }

    pub fn key(&self) -> Key {
        Key::new(self.resource, &self.namespace, &self.name)
    }

    /// `pods/log`, as roles name it.
    pub fn in_roles(&self) -> String {
        let plural = self.resource.plural();
        if self.subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{}", self.subresource) }
    }
}
