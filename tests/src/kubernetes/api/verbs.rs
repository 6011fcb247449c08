//! What each verb does to the store.

use serde_json::{Value, json};

use super::call::{Call, DeleteOptions, Reply};
use super::patch::PatchType;
use super::refusal::{self, Refusal};
use super::resource::{Key, Resource};
use super::select::Selector;
use super::world::{Object, World, is_deleting, name_of, strip, uid_of};
use super::{clock, defaults, schema, validate};

impl World {
    /// Does what was asked; watches and logs are answered elsewhere.
    pub(super) fn answer(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let target = &call.target;
        match (call.verb, target.subresource.as_str()) {
            ("get", "" | "status") => {
                let object = self.get(&target.key()).map(|object| Value::clone(object));
                let object = object.ok_or_else(|| Refusal::not_found(target.resource, &target.name))?;
                Ok(Reply::new(200, object))
            }
            ("list", "") => self.list(call),
            ("create", "") => self.create(call),
            ("create", "token") => self.create_token(call),
            ("update" | "patch", "" | "status") => self.change(call),
            ("delete", "") => {
                let (object, gone) = self.delete(&target.key(), &call.delete_options())?;
                let pod = target.resource == Resource::Pods;
                if gone && !pod {
                    return Ok(Reply::new(200, refusal::deleted(target.resource, &target.name, uid_of(&object))));
                }
                Ok(Reply::new(200, Value::clone(&object)))
            }
            ("deletecollection", "") => self.delete_all(call),
            _ => Err(Refusal::method_not_allowed()),
        }
    }

    fn selected(&self, call: &Call) -> Result<Vec<(Key, Object)>, Refusal> {
        let selector = Selector::parse(&call.target, call.query("labelSelector"), call.query("fieldSelector"))?;
        let all = self.all(call.target.resource).filter(|(key, object)| selector.selects(key.resource, object));
        Ok(all.map(|(key, object)| (key.clone(), Object::clone(object))).collect())
    }

    fn list(&self, call: &Call) -> Result<Reply, Refusal> {
        let resource = call.target.resource;
        let items: Vec<Value> = self
            .selected(call)?
            .into_iter()
            .map(|(_, object)| {
                let mut item = Value::clone(&object);
                // Elements of a list do not say again what they are.
                if let Value::Object(fields) = &mut item {
                    fields.remove("kind");
                    fields.remove("apiVersion");
                }
                item
            })
            .collect();
        let list = json!({
            "kind": format!("{}List", resource.kind()),
            "apiVersion": resource.api_version(),
            "metadata": { "resourceVersion": self.revision.to_string() },
            "items": items,
        });
        Ok(Reply::new(200, list))
    }

    fn create(&mut self, call: &Call) -> Result<Reply, Refusal> {
        if !call.target.name.is_empty() {
            return Err(Refusal::method_not_allowed());
        }
        let (object, warnings) = decode(call, call.object()?)?;
        let object = self.make(call.target.resource, &call.target.namespace, object, call.query("dryRun") != "All")?;
        Ok(Reply { code: 201, body: Value::clone(&object), warnings })
    }

    /// Makes an object, with all that the server does to a new one.
    pub fn make(
        &mut self,
        resource: Resource,
        namespace: &str,
        mut object: Value,
        keep: bool,
    ) -> Result<Object, Refusal> {
        if resource.is_namespaced() && !self.has_namespace(namespace) {
            return Err(Refusal::not_found(Resource::Namespaces, namespace));
        }
        let said = object["metadata"]["namespace"].as_str().unwrap_or(namespace);
        if resource.is_namespaced() && said != namespace {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refusal::bad_request(why));
        }
        object["kind"] = resource.kind().into();
        object["apiVersion"] = resource.api_version().into();
        for field in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
            object["metadata"][field] = Value::Null;
        }
        if resource.has_status() && resource != Resource::Nodes {
            object["status"] = if resource == Resource::Namespaces { Value::Null } else { json!({}) };
        }
        if name_of(&object).is_empty() && object["metadata"]["generateName"].as_str().is_none_or(str::is_empty) {
            validate::check(resource, &object, None)?;
        }
        self.identify(resource, namespace, &mut object);
        defaults::apply(resource, &mut object);
        if resource == Resource::Pods {
            self.admit_pod(namespace, &mut object)?;
        }
        strip(&mut object);
        validate::check(resource, &object, None)?;
        defaults::label(resource, &mut object);
        let name = name_of(&object).to_owned();
        let key = Key::new(resource, namespace, &name);
        if self.get(&key).is_some() {
            return Err(Refusal::already_exists(resource, &name));
        }
        if !keep {
            return Ok(Object::new(object));
        }
        let object = self.insert(key, object);
        if resource == Resource::Namespaces {
            self.furnish(&name)?;
        }
        Ok(object)
    }

    /// What the control plane puts into a new namespace.
    fn furnish(&mut self, namespace: &str) -> Result<(), Refusal> {
        let account = json!({ "metadata": { "name": "default" } });
        self.make(Resource::ServiceAccounts, namespace, account, true)?;
        let certificate = json!({ "metadata": { "name": "kube-root-ca.crt" }, "data": { "ca.crt": "" } });
        self.make(Resource::ConfigMaps, namespace, certificate, true)?;
        Ok(())
    }

    /// A token of a service account, bound to nothing.
    fn create_token(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let target = &call.target;
        if self.get(&target.key()).is_none() {
            return Err(Refusal::not_found(target.resource, &target.name));
        }
        let token = format!("token-{}", self.new_uid());
        let user = format!("system:serviceaccount:{}:{}", target.namespace, target.name);
        self.tokens.insert(token.clone(), user);
        let mut request = call.object()?.clone();
        let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
        let expires = clock::text(self.clock.now() + time::Duration::seconds(seconds));
        request["metadata"] = json!({ "name": target.name, "namespace": target.namespace });
        request["status"] = json!({ "token": token, "expirationTimestamp": expires });
        Ok(Reply::new(201, request))
    }

    fn change(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let (key, resource) = (call.target.key(), call.target.resource);
        let stored = self.get(&key).cloned().ok_or_else(|| Refusal::not_found(resource, &key.name))?;
        let sent = call.object()?;
        let wanted = if call.verb == "update" {
            sent.clone()
        } else {
            let patch = PatchType::of(&call.content_type).ok_or_else(Refusal::unsupported_patch)?;
            let mut patched = Value::clone(&stored);
            patch.apply(&mut patched, sent);
            patched
        };
        let (mut wanted, warnings) = decode(call, &wanted)?;
        if name_of(&wanted) != key.name {
            let why = format!("the name of the object ({}) does not match the name on the URL", name_of(&wanted));
            return Err(Refusal::bad_request(why));
        }
        let metadata = &sent["metadata"];
        if metadata["resourceVersion"].as_str().is_some_and(|it| stored["metadata"]["resourceVersion"] != it) {
            return Err(Refusal::stale(resource, &key.name));
        }
        if metadata["uid"].as_str().is_some_and(|uid| uid != uid_of(&stored)) {
            return Err(precondition(resource, &stored, "UID", metadata["uid"].as_str().unwrap_or_default()));
        }
        if call.target.subresource == "status" {
            let status = wanted["status"].take();
            wanted = Value::clone(&stored);
            wanted["status"] = status;
        } else if resource.has_status() {
            wanted["status"] = stored["status"].clone();
        }
        keep_what_the_server_owns(&mut wanted, &stored);
        defaults::apply(resource, &mut wanted);
        strip(&mut wanted);
        validate::check(resource, &wanted, Some(&stored))?;
        let object =
            self.update(&key, |object| *object = wanted).ok_or_else(|| Refusal::not_found(resource, &key.name))?;
        Ok(Reply { code: 200, body: Value::clone(&object), warnings })
    }

    fn delete_all(&mut self, call: &Call) -> Result<Reply, Refusal> {
        let mut items = Vec::new();
        for (key, _) in self.selected(call)? {
            items.push(Value::clone(&self.delete(&key, &call.delete_options())?.0));
        }
        let resource = call.target.resource;
        let list = json!({
            "kind": format!("{}List", resource.kind()),
            "apiVersion": resource.api_version(),
            "metadata": { "resourceVersion": self.revision.to_string() },
            "items": items,
        });
        Ok(Reply::new(200, list))
    }

    /// Deletes an object, or marks it where something holds it. Says what it was last, and whether it is gone.
    pub fn delete(&mut self, key: &Key, options: &DeleteOptions) -> Result<(Object, bool), Refusal> {
        let resource = key.resource;
        let stored = self.get(key).cloned().ok_or_else(|| Refusal::not_found(resource, &key.name))?;
        if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != uid_of(&stored)) {
            return Err(precondition(resource, &stored, "UID", uid));
        }
        let version = options.resource_version.as_deref();
        if let Some(version) = version.filter(|version| stored["metadata"]["resourceVersion"] != *version) {
            return Err(precondition(resource, &stored, "ResourceVersion", version));
        }
        let finalizer = match options.propagation.as_str() {
            "" if resource == Resource::Jobs => Some("orphan"),
            "Orphan" => Some("orphan"),
            "Foreground" => Some("foregroundDeletion"),
            "" | "Background" => None,
            other => {
                let why = format!("DeletionPropagation \"{other}\" is not one of Orphan, Background, Foreground");
                return Err(Refusal::bad_request(why));
            }
        };
        let grace = grace(resource, &stored, options.grace);
        let now = clock::text(self.clock.now() + time::Duration::seconds(i64::try_from(grace).unwrap_or(i64::MAX / 2)));
        let object = self.update(key, |object| {
            let metadata = &mut object["metadata"];
            if let Some(finalizer) = finalizer {
                let held = metadata["finalizers"].as_array().cloned().unwrap_or_default();
                let mut held: Vec<_> = held.into_iter().filter(|one| !is_propagation(one)).collect();
                held.push(finalizer.into());
                metadata["finalizers"] = held.into();
            }
            let before = metadata["deletionGracePeriodSeconds"].as_u64();
            if before.is_none_or(|before| grace < before) {
                metadata["deletionTimestamp"] = now.into();
                metadata["deletionGracePeriodSeconds"] = grace.into();
            }
        });
        let object = object.ok_or_else(|| Refusal::not_found(resource, &key.name))?;
        let gone = self.get(key).is_none();
        Ok((object, gone))
    }
}

fn is_propagation(finalizer: &Value) -> bool {
    finalizer == "orphan" || finalizer == "foregroundDeletion"
}

/// How long a pod has from being told to being killed. What no kubelet runs has no time.
fn grace(resource: Resource, stored: &Value, asked: Option<u64>) -> u64 {
    let ended = matches!(stored["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if resource != Resource::Pods || stored["spec"]["nodeName"].is_null() || ended {
        return 0;
    }
    asked.or(stored["spec"]["terminationGracePeriodSeconds"].as_u64()).unwrap_or(30)
}

fn precondition(resource: Resource, stored: &Value, what: &str, wanted: &str) -> Refusal {
    let (found, then) = if what == "UID" {
        (uid_of(stored), "deleted and then recreated")
    } else {
        (stored["metadata"]["resourceVersion"].as_str().unwrap_or_default(), "modified")
    };
    let why = format!(
        "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have \
         been {then}"
    );
    Refusal::conflict(resource, name_of(stored), &why)
}

/// The object of a request as its schema knows it, and the warnings of what was left out.
fn decode(call: &Call, body: &Value) -> Result<(Value, Vec<String>), Refusal> {
    let resource = call.target.resource;
    let (object, unknown) = schema::prune(resource, body)?;
    match call.query("fieldValidation") {
        "Strict" if !unknown.is_empty() => Err(schema::strict(resource, &unknown)),
        "Ignore" => Ok((object, Vec::new())),
        _ => Ok((object, unknown.iter().map(|field| schema::unknown_field(field)).collect())),
    }
}

fn keep_what_the_server_owns(wanted: &mut Value, stored: &Value) {
    let fields = [
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "namespace",
    ];
    for field in fields {
        wanted["metadata"][field] = stored["metadata"][field].clone();
    }
    wanted["kind"] = stored["kind"].clone();
    wanted["apiVersion"] = stored["apiVersion"].clone();
    debug_assert_eq!(is_deleting(wanted), is_deleting(stored));
}
