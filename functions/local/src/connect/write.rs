//! The steps, written. What fails is told at the end, and stops nobody else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use secrecy::SecretString;
use sluice_aws::secrets::KeyCache;
use sluice_domain::onboarding::{
    AttachmentStep, NotificationAim, NotificationPlan, NotificationSettings, NotificationStep, Onboarding,
    RunTaskSettings, RunTaskStep, Subscriber, TriggerWords, plan_notifications, plan_run_task,
};
use sluice_domain::ports::TerraformError;
use sluice_domain::{Organization, RunTaskId, WorkspaceId, chain};
use sluice_lambda::now;

use super::ask::{ATTEMPTS, Terraform, bar, each, is_passing, once, patiently, pause};
use super::look::{NO_ADMIN, patient_run_tasks};
use super::plan::{NotificationRow, Plan, RunTaskTodo, Todo, name_taken};

/// The name that notification configurations are given.
const NAME: &str = "Sluice";

/// Why what a workspace has of its own is not deleted.
const KEPT: &str = "kept, as its project does not tell";

/// After so many verifications that failed, and none that went well, no more are tried.
const REFUSED_MAX: usize = 5;

/// Whoever writes, and what.
#[derive(Clone)]
pub struct Writer {
    pub terraform: Arc<Terraform>,
    pub organization: Organization,
    pub aim: NotificationAim,
    /// What is written to notification configurations; None where none is written.
    pub token: Option<SecretString>,
    pub keys: Arc<KeyCache>,
    pub luck: Arc<Luck>,
}

/// What all have learned so far.
#[derive(Debug, Default)]
pub struct Luck {
    /// The instance does not know the deprecated triggers.
    granular: AtomicBool,
    accepted: AtomicUsize,
    refused: AtomicUsize,
}

/// What was not done, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub what: String,
    pub why: String,
}

/// What became of it all.
#[derive(Debug, Default)]
pub struct Written {
    pub writes: usize,
    pub failures: Vec<Failure>,
}

impl Writer {
    /// Does all that the plan says.
    pub async fn write(&self, plan: Plan) -> Written {
        let mut written = Written::default();
        let is_project = |row: &NotificationRow| matches!(row.subscriber, Subscriber::Project(_));
        let has_steps = |row: &NotificationRow| matches!(row.todo, Todo::Steps(_));
        let rows = plan.notifications.into_iter().filter(has_steps);
        let (projects, workspaces) = rows.partition::<Vec<_>, _>(is_project);
        // Projects first: what is told twice is deleted only when they tell.
        let silent = self.notifications(projects, "projects", &mut written).await;
        let is_kept = |row: &NotificationRow| {
            row.told_by.as_ref().is_some_and(|project| silent.contains(&Subscriber::Project(project.clone())))
        };
        let (kept, workspaces) = workspaces.into_iter().partition::<Vec<_>, _>(is_kept);
        let kept = kept.iter().map(|row| Failure { what: row.label(), why: KEPT.to_owned() });
        written.failures.extend(kept);
        self.notifications(workspaces, "workspaces", &mut written).await;
        for row in plan.run_tasks {
            if let Todo::Steps(todo) = row.todo {
                let (writes, failures) = self.run_task(&row.name, todo).await;
                written.writes += writes;
                written.failures.extend(failures);
            }
        }
        written
    }

    /// All of these. Those that failed.
    async fn notifications(
        &self,
        rows: Vec<NotificationRow>,
        what: &'static str,
        written: &mut Written,
    ) -> BTreeSet<Subscriber> {
        let bar = bar(rows.len(), what);
        let ends = each(&bar, rows, |row| {
            let writer = self.clone();
            async move { (row.subscriber.clone(), writer.notification(row).await) }
        });
        let mut failed = BTreeSet::new();
        for (subscriber, (writes, failure)) in ends.await {
            written.writes += writes;
            if let Some(failure) = failure {
                written.failures.push(failure);
                failed.insert(subscriber);
            }
        }
        bar.finish_and_clear();
        failed
    }

    /// One project or workspace. How many writes that took, and what failed.
    async fn notification(&self, row: NotificationRow) -> (usize, Option<Failure>) {
        let what = row.label();
        let Todo::Steps(steps) = row.todo else { return (0, None) };
        let mut writes = 0;
        let done = self.settled(&row.subscriber, steps, &mut writes).await;
        let failure = done.err().map(|why| match row.subscriber {
            Subscriber::Workspace(_) => Failure { what, why },
            Subscriber::Project(_) => {
                Failure { what, why: format!("{why}; or say --per-workspace, and its workspaces tell themselves") }
            }
        });
        (writes, failure)
    }

    /// From what is found now to what has to be, though answers get lost.
    async fn settled(
        &self,
        of: &Subscriber,
        mut steps: Vec<NotificationStep>,
        writes: &mut usize,
    ) -> Result<(), String> {
        // One that is to have none, because its project tells, has to have none when it is looked at again, too.
        let none = steps.iter().all(|step| matches!(step, NotificationStep::Delete { double: false, .. }));
        let (mut failed, mut reworded) = (0, false);
        loop {
            let Err(error) = self.steps(of, &steps, writes).await else { return Ok(()) };
            let words = !reworded && self.unknown_words(&error);
            reworded |= words;
            if !words {
                if !is_passing(&error) || failed + 1 >= ATTEMPTS {
                    return Err(self.explained(&error));
                }
                tokio::time::sleep(pause(failed)).await;
                failed += 1;
            }
            let aim = NotificationAim { none, words: self.words(), ..self.aim.clone() };
            let found = patiently(|| self.terraform.notifications(of)).await.map_err(|error| chain(&error))?;
            steps = match plan_notifications(&aim, &found.unwrap_or_default()) {
                NotificationPlan::Right => return Ok(()),
                NotificationPlan::Steps(steps) => steps,
                NotificationPlan::Refused(refusal) => return Err(refusal.to_string()),
            };
        }
    }

    async fn steps(
        &self,
        of: &Subscriber,
        steps: &[NotificationStep],
        writes: &mut usize,
    ) -> Result<(), TerraformError> {
        for step in steps {
            match step {
                NotificationStep::Create { .. } => {
                    let settings = self.settings(Some(NAME), self.words().all())?;
                    self.verified(once(|| self.terraform.create_notification(of, &settings)).await)?;
                }
                NotificationStep::Update { id, triggers, .. } => {
                    let settings = self.settings(None, self.words().added_to(triggers))?;
                    self.verified(once(|| self.terraform.update_notification(id, &settings)).await)?;
                }
                NotificationStep::Delete { id, .. } => {
                    patiently(|| self.terraform.delete_notification(id)).await?;
                }
            }
            *writes += 1;
        }
        Ok(())
    }

    fn settings(&self, name: Option<&str>, triggers: BTreeSet<String>) -> Result<NotificationSettings, TerraformError> {
        let hopeless =
            self.luck.accepted.load(Ordering::Relaxed) == 0 && self.luck.refused.load(Ordering::Relaxed) >= REFUSED_MAX;
        let token = self.token.clone().filter(|_| !hopeless).ok_or_else(|| TerraformError::Refused {
            action: NOT_TRIED,
            status: 400,
            detail: "as it was not verified for others either".to_owned(),
        })?;
        Ok(NotificationSettings {
            name: name.map(str::to_owned),
            url: self.aim.endpoint.notifications(),
            token,
            triggers,
        })
    }

    /// Remembers how a verification went.
    fn verified<T>(&self, result: Result<T, TerraformError>) -> Result<(), TerraformError> {
        match &result {
            Ok(_) => self.luck.accepted.fetch_add(1, Ordering::Relaxed),
            Err(TerraformError::Refused { status: 400, .. }) => self.luck.refused.fetch_add(1, Ordering::Relaxed),
            Err(_) => 0,
        };
        result.map(drop)
    }

    fn words(&self) -> TriggerWords {
        if self.luck.granular.load(Ordering::Relaxed) { TriggerWords::Granular } else { TriggerWords::Stable }
    }

    /// Whether the instance refused the words in which it was told what to tell of, and others are left to try.
    fn unknown_words(&self, error: &TerraformError) -> bool {
        let TerraformError::Refused { status: 400 | 422, detail, action } = error else { return false };
        let is_it = *action != NOT_TRIED && detail.to_lowercase().contains("trigger");
        self.luck.granular.fetch_or(is_it, Ordering::Relaxed);
        is_it
    }

    fn explained(&self, error: &TerraformError) -> String {
        match error {
            TerraformError::Refused { status: 400, detail, action } => {
                let url = self.aim.endpoint.notifications();
                let tried = if *action == NOT_TRIED { "was not tried" } else { "could not be verified" };
                format!(
                    "{url} {tried}: HCP Terraform has to reach it, and the first of NOTIFICATION_TOKEN has to be known \
                     there ({detail})"
                )
            }
            TerraformError::NotFound { .. } => NO_ADMIN.to_owned(),
            error => chain(error),
        }
    }

    /// One run task and the workspaces that ask it.
    async fn run_task(&self, name: &str, mut todo: RunTaskTodo) -> (usize, Vec<Failure>) {
        let (mut writes, mut failures, mut failed) = (0, Vec::new(), 0);
        loop {
            let id = match self.task_step(&todo).await {
                Ok((id, wrote)) => {
                    writes += usize::from(wrote);
                    id
                }
                Err(NotDone::Said(why)) => {
                    failures.push(Failure { what: format!("run task {name}"), why });
                    return (writes, failures);
                }
                Err(NotDone::Error(error)) if todo.aim.is_some() && is_passing(&error) && failed + 1 < ATTEMPTS => None,
                Err(NotDone::Error(error)) => {
                    failures.push(Failure { what: format!("run task {name}"), why: explained_task(&error, &todo) });
                    return (writes, failures);
                }
            };
            let mut again = id.is_none() && todo.aim.is_some();
            if let Some(id) = &id {
                for (workspace, result) in self.attachments(id, &todo).await {
                    match result {
                        Ok(()) => writes += 1,
                        Err(error) if todo.aim.is_some() && is_passing(&error) && failed + 1 < ATTEMPTS => again = true,
                        Err(error) => {
                            let known = todo.names.get(&workspace).map_or(workspace.as_str(), String::as_str);
                            failures
                                .push(Failure { what: format!("run task {name}, {known}"), why: attach_why(&error) });
                            // Nobody tries it once more.
                            if let Some(aim) = &mut todo.aim {
                                aim.workspaces.remove(&workspace);
                            }
                        }
                    }
                }
            }
            let (true, Some(aim)) = (again, &todo.aim) else { return (writes, failures) };
            tokio::time::sleep(pause(failed)).await;
            failed += 1;
            match patient_run_tasks(&self.terraform, &self.organization).await {
                // The key has been written by now, or is by what is missing.
                Ok(found) => todo.plan = plan_run_task(aim, &found.unwrap_or_default()),
                Err(error) => {
                    failures.push(Failure { what: format!("run task {name}"), why: chain(&error) });
                    return (writes, failures);
                }
            }
        }
    }

    /// The task itself, and its id if it is there now; whether that took a write.
    async fn task_step(&self, todo: &RunTaskTodo) -> Result<(Option<RunTaskId>, bool), NotDone> {
        match &todo.plan.task {
            RunTaskStep::Right(id) => Ok((Some(id.clone()), false)),
            RunTaskStep::Delete(id) => {
                patiently(|| self.terraform.delete_run_task(id)).await?;
                Ok((None, true))
            }
            RunTaskStep::NameTaken { url } => Err(NotDone::Said(name_taken(url))),
            RunTaskStep::Create { global } => {
                let settings = self.task_settings(todo, global.clone()).await?;
                let id = once(|| self.terraform.create_run_task(&self.organization, &settings)).await?;
                Ok((Some(id), true))
            }
            RunTaskStep::Update { id, global, .. } => {
                let settings = RunTaskSettings { name: None, ..self.task_settings(todo, global.clone()).await? };
                once(|| self.terraform.update_run_task(id, &settings)).await?;
                Ok((Some(id.clone()), true))
            }
        }
    }

    async fn task_settings(
        &self,
        todo: &RunTaskTodo,
        global: Option<sluice_domain::onboarding::GlobalTask>,
    ) -> Result<RunTaskSettings, NotDone> {
        let (Some(aim), Some(place)) = (&todo.aim, &todo.key) else {
            return Err(NotDone::Said("its definition names no key".to_owned()));
        };
        let mut keyed = self.keys.get(std::slice::from_ref(place), false, now()).await;
        let Some(hmac_key) = keyed.keys.pop() else {
            let why = keyed.missing.map_or_else(|| "there is none".to_owned(), |error| chain(&error));
            return Err(NotDone::Said(format!("its key cannot be had here: {why}")));
        };
        let url = aim.endpoint.run_task(&aim.name);
        Ok(RunTaskSettings { name: Some(aim.name.to_string()), url, hmac_key, global })
    }

    async fn attachments(
        &self,
        task: &RunTaskId,
        todo: &RunTaskTodo,
    ) -> Vec<(WorkspaceId, Result<(), TerraformError>)> {
        let bar = bar(todo.plan.attachments.len(), "run task");
        let ends = each(&bar, todo.plan.attachments.clone(), |step| {
            let (terraform, task) = (self.terraform.clone(), task.clone());
            async move {
                let result = attachment(&terraform, &task, &step).await;
                (step.workspace().clone(), result)
            }
        });
        let ends = ends.await;
        bar.finish_and_clear();
        ends
    }
}

/// What stands for an action where nothing was sent.
const NOT_TRIED: &str = "what was not tried";

/// Why a run task was not written.
enum NotDone {
    Error(TerraformError),
    Said(String),
}

impl From<TerraformError> for NotDone {
    fn from(error: TerraformError) -> Self {
        Self::Error(error)
    }
}

async fn attachment(terraform: &Terraform, task: &RunTaskId, step: &AttachmentStep) -> Result<(), TerraformError> {
    match step {
        AttachmentStep::Attach { workspace, settings } => {
            once(|| terraform.attach_run_task(workspace, task, settings)).await
        }
        AttachmentStep::Update { workspace, id, settings } => {
            once(|| terraform.update_attachment(workspace, id, settings)).await
        }
        AttachmentStep::Detach { workspace, id } => patiently(|| terraform.detach_run_task(workspace, id)).await,
    }
}

fn explained_task(error: &TerraformError, todo: &RunTaskTodo) -> String {
    match error {
        TerraformError::Refused { status: 400 | 422, detail, .. } => {
            let url = todo.aim.as_ref().map(|aim| aim.endpoint.run_task(&aim.name)).unwrap_or_default();
            format!("HCP Terraform refused it; {url} has to be reached from there and to answer 200 ({detail})")
        }
        TerraformError::NotFound { .. } => {
            "API_TOKEN may not manage run tasks: it needs that permission in the organization".to_owned()
        }
        error => chain(error),
    }
}

fn attach_why(error: &TerraformError) -> String {
    match error {
        TerraformError::NotFound { .. } => {
            "API_TOKEN may not attach run tasks to it: it needs that permission in the workspace".to_owned()
        }
        error => chain(error),
    }
}
