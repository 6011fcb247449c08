//! What the cluster stores, and every version of it that there ever was.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::kubernetes::control::Tally;
use crate::kubernetes::faults::Fault;
use crate::kubernetes::handle::RequestRecord;

use super::clock::{self, Clock};
use super::resource::{Key, Resource};

/// An object as it is stored: shared by the store, the history and whoever reads it.
pub(in crate::kubernetes) type Object = Arc<Value>;

/// One change of the store.
#[derive(Debug, Clone)]
pub(in crate::kubernetes) struct Change {
    pub revision: u64,
    pub resource: Resource,
    /// What it was before; nothing if it was made.
    pub before: Option<Object>,
    /// What it is after; if it was removed, what it was last.
    pub object: Object,
    pub removed: bool,
}

#[derive(Default)]
pub(in crate::kubernetes) struct World {
    pub clock: Clock,
    objects: BTreeMap<Key, Object>,
    pub history: Vec<Change>,
    pub revision: u64,
    /// Watches cannot start from before this.
    pub compacted: u64,
    /// How often all watches were cut.
    pub cuts: u64,
    /// How often all watches were to be sent a bookmark.
    pub bookmarks: u64,
    /// When the controllers have something to do although nothing changes.
    pub due: Option<OffsetDateTime>,
    pub faults: Vec<Fault>,
    pub requests: Vec<RequestRecord>,
    /// Who has which token.
    pub tokens: BTreeMap<String, String>,
    pub tallies: BTreeMap<String, Tally>,
    count: u64,
}

/// Where versions begin to be counted.
const FIRST: u64 = 1000;

/// The letters of generated names: those of which no words come.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl World {
    /// Nothing but what every cluster has.
    pub fn new() -> Self {
        let mut world = Self { revision: FIRST, ..Self::default() };
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let namespace = json!({ "metadata": { "name": name } });
            world.make(Resource::Namespaces, "", namespace, true).expect("the world is empty");
        }
        world
    }

    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// The objects of a resource, by namespace and name.
    pub fn all(&self, resource: Resource) -> impl Iterator<Item = (&Key, &Object)> {
        let first = Key::new(resource, "", "");
        self.objects.range(first..).take_while(move |(key, _)| key.resource == resource)
    }

    pub fn keys(&self, resource: Resource) -> Vec<Key> {
        self.all(resource).map(|(key, _)| key.clone()).collect()
    }

    pub fn everything(&self) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.iter()
    }

    pub fn has_namespace(&self, name: &str) -> bool {
        self.objects.contains_key(&Key::new(Resource::Namespaces, "", name))
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub fn new_uid(&mut self) -> String {
        let count = self.next();
        let mixed = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{:08x}-{:04x}-4{:03x}-8000-{count:012x}", mixed >> 32, (mixed >> 16) & 0xffff, mixed & 0xfff)
    }

    /// Five letters that were not handed out before.
    pub fn new_suffix(&mut self) -> String {
        let base = LETTERS.len() as u64;
        let mut mixed = self.next().wrapping_mul(7_368_787) % base.pow(5);
        let mut letters = String::new();
        for _ in 0..5 {
            letters.push(char::from(LETTERS[usize::try_from(mixed % base).unwrap_or_default()]));
            mixed /= base;
        }
        letters
    }

    /// Now, as objects say it.
    pub fn now_text(&self) -> String {
        clock::text(self.clock.now())
    }

    /// Reminds the controllers of a moment.
    pub fn wake_at(&mut self, at: OffsetDateTime) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Gives a new object what the server gives it, and which its defaults may need.
    pub fn identify(&mut self, resource: Resource, namespace: &str, object: &mut Value) {
        let uid = self.new_uid();
        let created = self.now_text();
        let metadata = &mut object["metadata"];
        metadata["uid"] = uid.into();
        metadata["creationTimestamp"] = created.into();
        if resource.is_namespaced() {
            metadata["namespace"] = namespace.into();
        }
        if resource.has_generation() {
            metadata["generation"] = 1.into();
        }
        if metadata["name"].as_str().is_none_or(str::is_empty) {
            let prefix: String = metadata["generateName"].as_str().unwrap_or_default().chars().take(58).collect();
            let name = format!("{prefix}{}", self.new_suffix());
            object["metadata"]["name"] = name.into();
        }
    }

    /// Stores a new object as it is.
    pub fn insert(&mut self, key: Key, mut object: Value) -> Object {
        strip(&mut object);
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let object = Arc::new(object);
        self.record(key.resource, None, &object, false);
        self.objects.insert(key, Arc::clone(&object));
        object
    }

    /// Changes an object. What changes nothing is no new version; what was to be deleted and is held by nobody goes.
    pub fn update(&mut self, key: &Key, change: impl FnOnce(&mut Value)) -> Option<Object> {
        let before = Arc::clone(self.objects.get(key)?);
        let mut object = Value::clone(&before);
        change(&mut object);
        strip(&mut object);
        if object == *before {
            return Some(before);
        }
        if key.resource.has_generation() && object["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_u64().unwrap_or(1);
            object["metadata"]["generation"] = (generation + 1).into();
        }
        if object["metadata"]["deletionTimestamp"].is_string() && !is_held(&object) {
            return Some(self.discard(key, object));
        }
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let object = Arc::new(object);
        self.record(key.resource, Some(before), &object, false);
        self.objects.insert(key.clone(), Arc::clone(&object));
        Some(object)
    }

    fn discard(&mut self, key: &Key, mut last: Value) -> Object {
        let before = self.objects.remove(key);
        self.revision += 1;
        last["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let last = Arc::new(last);
        self.record(key.resource, before, &last, true);
        last
    }

    fn record(&mut self, resource: Resource, before: Option<Object>, object: &Object, removed: bool) {
        let object = Arc::clone(object);
        self.history.push(Change { revision: self.revision, resource, before, object, removed });
    }

    /// Tells of something that happened to an object, once for each reason and text.
    pub fn tell(&mut self, about: &Object, resource: Resource, kind: &str, reason: &str, message: &str) {
        let uid = &about["metadata"]["uid"];
        let told = self.all(Resource::Events).any(|(_, event)| {
            event["involvedObject"]["uid"] == *uid && event["reason"] == reason && event["message"] == message
        });
        if told {
            return;
        }
        let namespace = about["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let now = self.now_text();
        let mut event = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": format!("{}.{:016x}", name_of(about), self.next()) },
            "involvedObject": {
                "apiVersion": resource.api_version(),
                "kind": resource.kind(),
                "namespace": namespace,
                "name": name_of(about),
                "uid": uid,
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
        });
        self.identify(Resource::Events, &namespace, &mut event);
        let key = Key::new(Resource::Events, &namespace, name_of(&event));
        self.insert(key, event);
    }
}

/// Whether something keeps an object that is to be deleted: a finalizer, or for a pod its kubelet.
fn is_held(object: &Value) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array().is_some_and(|held| !held.is_empty());
    let grace = object["metadata"]["deletionGracePeriodSeconds"].as_u64().is_some_and(|seconds| seconds > 0);
    finalizers || grace
}

/// Leaves out fields that are null: to look for one and to find none is not to set it.
pub(super) fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(strip);
        }
        Value::Array(elements) => elements.iter_mut().for_each(strip),
        _ => {}
    }
}

pub(in crate::kubernetes) fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(in crate::kubernetes) fn uid_of(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

pub(in crate::kubernetes) fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// The status of a condition; empty if there is none of this type.
pub(in crate::kubernetes) fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().find(|one| one["type"] == kind).and_then(|one| one["status"].as_str()).unwrap_or_default()
}

/// Sets a condition; the time of its transition stays while its status does.
pub(in crate::kubernetes) fn set_condition(object: &mut Value, wanted: &Value, now: &str) {
    if !object["status"]["conditions"].is_array() {
        object["status"]["conditions"] = json!([]);
    }
    let Value::Array(conditions) = &mut object["status"]["conditions"] else { return };
    let mut wanted = wanted.clone();
    wanted["lastTransitionTime"] = now.into();
    match conditions.iter_mut().find(|one| one["type"] == wanted["type"]) {
        None => conditions.push(wanted),
        Some(one) if one["status"] == wanted["status"] && one["reason"] == wanted["reason"] => {}
        Some(one) => *one = wanted,
    }
}
