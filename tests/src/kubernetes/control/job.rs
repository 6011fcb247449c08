//! The job controller: makes the pods of jobs, counts them, and says how jobs ended.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::kubernetes::api::{
    DeleteOptions, Key, Object, Resource, World, condition, is_deleting, name_of, parse, set_condition, text, uid_of,
};

use super::tally::{Tally, has_ended};

/// The pause before the pod that replaces the first that failed; it doubles with each.
const BACKOFF: Duration = Duration::seconds(10);

const MAX_BACKOFF: Duration = Duration::minutes(10);

/// A job, as the controller looks at it.
struct Round {
    key: Key,
    job: Object,
    pods: Vec<Object>,
    tally: Tally,
    now: OffsetDateTime,
}

/// How a job is about to end.
struct Ending {
    failed: bool,
    reason: String,
    message: String,
}

impl World {
    pub(super) fn run_jobs(&mut self) {
        for key in self.keys(Resource::Jobs) {
            self.run_job(key);
        }
    }

    fn run_job(&mut self, key: Key) {
        let Some(job) = self.get(&key).cloned() else { return };
        if is_finished(&job) {
            return;
        }
        let now = self.clock.now();
        let pods = self.pods_of(&job);
        let mut tally = self.tallies.get(uid_of(&job)).cloned().unwrap_or_default();
        tally.count(&pods, job["spec"]["podReplacementPolicy"] != "Failed", now);
        self.tallies.insert(uid_of(&job).to_owned(), tally.clone());
        let mut round = Round { key, job, pods, tally, now };
        if is_deleting(&round.job) {
            return;
        }
        let suspended = round.job["spec"]["suspend"] == true;
        let ending = round.ending();
        if ending.is_some() || suspended {
            self.stop_pods(&mut round, suspended && ending.is_none());
        }
        let created = ending.is_none() && !suspended && self.start_pods(&round);
        if !created {
            self.write_status(&round, ending.as_ref());
        }
    }

    fn pods_of(&self, job: &Value) -> Vec<Object> {
        let mine = |pod: &Object| {
            let owners = pod["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
            owners.iter().any(|owner| owner["controller"] == true && owner["uid"] == uid_of(job))
        };
        self.all(Resource::Pods).map(|(_, pod)| pod).filter(|pod| mine(pod)).cloned().collect()
    }

    /// Deletes the pods that still run.
    fn stop_pods(&mut self, round: &mut Round, suspended: bool) {
        for pod in round.pods.iter().filter(|pod| is_active(pod)) {
            if suspended {
                round.tally.suspended.insert(uid_of(pod).to_owned());
            }
            let key = Key::new(Resource::Pods, &round.key.namespace, name_of(pod));
            self.delete(&key, &DeleteOptions::default()).expect("the pod is there");
        }
        self.tallies.insert(uid_of(&round.job).to_owned(), round.tally.clone());
        round.pods = self.pods_of(&round.job);
    }

    /// Makes the pods that are missing. Says whether it made any.
    fn start_pods(&mut self, round: &Round) -> bool {
        let missing = round.missing();
        if missing == 0 || round.job["status"]["startTime"].is_null() {
            return false;
        }
        if let Some(last) = round.tally.last_failure {
            let doublings = u32::try_from(round.tally.failed.len().saturating_sub(1)).unwrap_or(u32::MAX).min(16);
            let ready = last + (BACKOFF * 2_i32.pow(doublings)).min(MAX_BACKOFF);
            if ready > round.now {
                self.wake_at(ready);
                return false;
            }
        }
        for made in 0..missing {
            match self.make(Resource::Pods, &round.key.namespace, pod_of(&round.job), true) {
                Ok(pod) => {
                    let message = format!("Created pod: {}", name_of(&pod));
                    self.tell(&round.job, Resource::Jobs, "Normal", "SuccessfulCreate", &message);
                }
                Err(refusal) => {
                    let message = format!("Error creating: {}", refusal.message);
                    self.tell(&round.job, Resource::Jobs, "Warning", "FailedCreate", &message);
                    return made > 0;
                }
            }
        }
        true
    }

    fn write_status(&mut self, round: &Round, ending: Option<&Ending>) {
        let now = text(round.now);
        let suspended = round.job["spec"]["suspend"] == true;
        let active = round.pods.iter().filter(|pod| is_active(pod)).count();
        let terminating = round.pods.iter().filter(|pod| is_deleting(pod) && !has_ended(pod)).count();
        let ready = round.pods.iter().filter(|pod| is_active(pod) && condition(pod, "Ready") == "True").count();
        let succeeded = round.tally.succeeded.len();
        let failed = round.tally.failed.len();
        self.update(&round.key, |job| {
            let status = &mut job["status"];
            for (field, count) in [("active", active), ("succeeded", succeeded), ("failed", failed)] {
                status[field] = if count == 0 { Value::Null } else { count.into() };
            }
            status["ready"] = ready.into();
            status["terminating"] = terminating.into();
            status["uncountedTerminatedPods"] = json!({});
            let said = condition(job, "Suspended").to_owned();
            if suspended && said != "True" {
                job["status"]["startTime"] = Value::Null;
                set_condition(job, &of_condition("Suspended", "True", "JobSuspended", "Job suspended"), &now);
            } else if !suspended {
                if job["status"]["startTime"].is_null() {
                    job["status"]["startTime"] = now.as_str().into();
                }
                if said == "True" {
                    set_condition(job, &of_condition("Suspended", "False", "JobResumed", "Job resumed"), &now);
                }
            }
            if let Some(ending) = ending {
                finish(job, ending, active + terminating == 0, &now);
            }
        });
        if let Some(deadline) = round.deadline().filter(|_| ending.is_none() && !suspended) {
            self.wake_at(deadline);
        }
        if let Some(ending) = ending {
            let kind = if ending.failed { "Warning" } else { "Normal" };
            let reason = if ending.failed { ending.reason.as_str() } else { "Completed" };
            let message = if ending.failed { ending.message.as_str() } else { "Job completed" };
            self.tell(&round.job, Resource::Jobs, kind, reason, message);
        }
    }
}

impl Round {
    fn number(&self, field: &str) -> Option<usize> {
        self.job["spec"][field].as_u64().and_then(|number| usize::try_from(number).ok())
    }

    /// When the job has been active for too long.
    fn deadline(&self) -> Option<OffsetDateTime> {
        let seconds = self.job["spec"]["activeDeadlineSeconds"].as_i64()?;
        Some(parse(self.job["status"]["startTime"].as_str()?)? + Duration::seconds(seconds))
    }

    /// Whether the job ends, and how. What was once said stays.
    fn ending(&self) -> Option<Ending> {
        let said = self.job["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(said) =
            said.iter().find(|one| one["type"] == "FailureTarget" || one["type"] == "SuccessCriteriaMet")
        {
            let text = |field: &str| said[field].as_str().unwrap_or_default().to_owned();
            return Some(Ending {
                failed: said["type"] == "FailureTarget",
                reason: text("reason"),
                message: text("message"),
            });
        }
        let ending = |failed: bool, reason: &str, message: &str| {
            Some(Ending { failed, reason: reason.to_owned(), message: message.to_owned() })
        };
        if self.tally.failed.len() > self.number("backoffLimit").unwrap_or(6) {
            return ending(true, "BackoffLimitExceeded", "Job has reached the specified backoff limit");
        }
        let suspended = self.job["spec"]["suspend"] == true;
        if !suspended && self.deadline().is_some_and(|deadline| deadline <= self.now) {
            return ending(true, "DeadlineExceeded", "Job was active longer than specified deadline");
        }
        if self.number("completions").is_some_and(|wanted| self.tally.succeeded.len() >= wanted) {
            return ending(false, "CompletionsReached", "Reached expected number of succeeded pods");
        }
        None
    }

    /// How many pods are to be made.
    fn missing(&self) -> usize {
        let left = self.number("completions").map_or(usize::MAX, |wanted| wanted - self.tally.succeeded.len());
        let wanted = self.number("parallelism").unwrap_or(1).min(left);
        let replaces_late = self.job["spec"]["podReplacementPolicy"] == "Failed";
        let there =
            self.pods.iter().filter(|pod| is_active(pod) || (replaces_late && is_deleting(pod) && !has_ended(pod)));
        wanted.saturating_sub(there.count())
    }
}

fn is_active(pod: &Value) -> bool {
    !has_ended(pod) && !is_deleting(pod)
}

pub(super) fn is_finished(job: &Value) -> bool {
    condition(job, "Complete") == "True" || condition(job, "Failed") == "True"
}

fn of_condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message })
}

/// Says that the job ends, and once no pod of it is left running, that it has.
fn finish(job: &mut Value, ending: &Ending, at_rest: bool, now: &str) {
    let (first, last) = if ending.failed { ("FailureTarget", "Failed") } else { ("SuccessCriteriaMet", "Complete") };
    set_condition(job, &of_condition(first, "True", &ending.reason, &ending.message), now);
    if at_rest {
        set_condition(job, &of_condition(last, "True", &ending.reason, &ending.message), now);
        if !ending.failed {
            job["status"]["completionTime"] = now.into();
        }
    }
}

/// A pod as the job's template has it.
fn pod_of(job: &Value) -> Value {
    let template = &job["spec"]["template"];
    json!({
        "metadata": {
            "generateName": format!("{}-", name_of(job)),
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [{
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": name_of(job),
                "uid": uid_of(job),
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": template["spec"],
    })
}
