//! The garbage collector, and the end of jobs that have been over for long enough.

use serde_json::Value;
use time::Duration;

use crate::kubernetes::api::{DeleteOptions, Key, Resource, World, is_deleting, parse, uid_of};

use super::job::is_finished;

impl World {
    /// Deletes what nobody owns any more, and frees what waited for that.
    pub(super) fn collect_garbage(&mut self) {
        let owned: Vec<_> = self.everything().filter(|(_, object)| !owners(object).is_empty()).collect();
        let mut lost = Vec::new();
        let mut orphaned = Vec::new();
        for (key, object) in owned {
            let (present, absent): (Vec<_>, Vec<_>) =
                owners(object).iter().partition(|owner| self.is_there(key, owner));
            let held_by = |finalizer: &str| {
                let held = |owner: &&&Value| self.owner_is_held(key, owner, finalizer);
                present.iter().find(held).map(|owner| (**owner).clone())
            };
            if let Some(owner) = held_by("orphan") {
                orphaned.push((key.clone(), uid_of_reference(&owner)));
                continue;
            }
            let unowned = present.is_empty() && !absent.is_empty();
            if !is_deleting(object) && (unowned || held_by("foregroundDeletion").is_some()) {
                lost.push(key.clone());
            }
        }
        for (key, owner) in orphaned {
            self.update(&key, |object| {
                if let Some(Value::Array(owners)) = object["metadata"].get_mut("ownerReferences") {
                    owners.retain(|reference| reference["uid"] != owner);
                }
            });
        }
        for key in lost {
            // Gone already is gone.
            let _ = self.delete(&key, &DeleteOptions::propagating("Background"));
        }
        self.free_owners();
    }

    fn owner(&self, dependent: &Key, reference: &Value) -> Option<&Value> {
        let resource = Resource::of_reference(reference)?;
        let key = Key::new(resource, &dependent.namespace, reference["name"].as_str().unwrap_or_default());
        self.get(&key).map(|owner| &**owner).filter(|owner| reference["uid"] == uid_of(owner))
    }

    /// What is not served here is taken to be there.
    fn is_there(&self, dependent: &Key, reference: &Value) -> bool {
        Resource::of_reference(reference).is_none() || self.owner(dependent, reference).is_some()
    }

    fn owner_is_held(&self, dependent: &Key, reference: &Value, finalizer: &str) -> bool {
        self.owner(dependent, reference).is_some_and(|owner| is_deleting(owner) && has_finalizer(owner, finalizer))
    }

    /// Takes away the finalizers of what has no dependents left to wait for.
    fn free_owners(&mut self) {
        let held: Vec<_> = self.everything().filter(|(_, object)| is_deleting(object)).collect();
        let mut free = Vec::new();
        for (key, object) in held {
            let waits = self.everything().any(|(_, other)| {
                let mut owners = owners(other).iter().filter(|owner| owner["uid"] == uid_of(object));
                let blocks = |owner: &Value| has_finalizer(object, "orphan") || owner["blockOwnerDeletion"] == true;
                owners.any(blocks)
            });
            if !waits {
                free.push(key.clone());
            }
        }
        for key in free {
            self.update(&key, |object| {
                if let Some(Value::Array(held)) = object["metadata"].get_mut("finalizers") {
                    held.retain(|finalizer| finalizer != "orphan" && finalizer != "foregroundDeletion");
                }
            });
        }
    }

    /// Deletes the jobs whose time after the end is over.
    pub(super) fn expire_jobs(&mut self) {
        for key in self.keys(Resource::Jobs) {
            let Some(job) = self.get(&key).filter(|job| is_finished(job) && !is_deleting(job)) else { continue };
            let Some(seconds) = job["spec"]["ttlSecondsAfterFinished"].as_i64() else { continue };
            let conditions = job["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
            let last = conditions.iter().find(|one| one["type"] == "Complete" || one["type"] == "Failed");
            let ended = last.and_then(|one| parse(one["lastTransitionTime"].as_str()?));
            let Some(expires) = ended.map(|ended| ended + Duration::seconds(seconds)) else { continue };
            if expires > self.clock.now() {
                self.wake_at(expires);
            } else {
                self.delete(&key, &DeleteOptions::propagating("Foreground")).expect("the job is there");
            }
        }
    }
}

fn owners(object: &Value) -> &[Value] {
    object["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn uid_of_reference(reference: &Value) -> String {
    reference["uid"].as_str().unwrap_or_default().to_owned()
}

fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|held| held.iter().any(|one| one == finalizer))
}
