//! What HCP Terraform and the table have, as far as it is chosen, and what is to be done about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_aws::Table;
use sluice_domain::gate::{Enforcement, TaskDefinition};
use sluice_domain::onboarding::{
    Choice, Endpoint, NotificationAim, NotificationFound, NotificationPlan, Onboarding, ProjectFound, RunTaskAim,
    RunTaskFound, RunTaskStep, Subscriber, TokenKind, WorkspaceSeen, enforcement_of, plan_notifications, plan_run_task,
    plan_run_task_removal, tells,
};
use sluice_domain::ports::{Definitions, TerraformError};
use sluice_domain::{Host, Organization, ProjectId, Workspace, WorkspaceId, chain};

use super::ConnectError;
use super::ask::{Terraform, bar, each, patiently};
use super::options::{Connect, Level};
use super::plan::{NotificationRow, Plan, RunTaskRow, RunTaskTodo, Todo, name_taken};

/// Why a workspace whose runs are elsewhere is left out.
const LOCAL: &str = "its execution mode is local, and its runs tell nobody";

/// Why a project's is left as it is where only some of its workspaces are meant.
const OF_PROJECT: &str = "it tells of these workspaces; mend that with --project, without --workspace and --tag";

/// Why a workspace is left out whose project may tell of it: with one of its own it might be told of twice.
const UNSEEN: &str = "whether its project tells of it cannot be seen: try again, or say --per-workspace";

/// Why nothing can be seen.
pub const NO_ADMIN: &str =
    "API_TOKEN may not manage its notifications: it needs admin access to it, as a team's or a person's token";

/// Whoever looks, and for what.
pub struct Look<'a> {
    pub options: &'a Connect,
    pub terraform: Arc<Terraform>,
    pub table: &'a Table,
    pub host: &'a Host,
    pub organization: Organization,
    pub aim: NotificationAim,
}

/// What was found of the organization.
struct Seen {
    choice: Choice,
    /// By id, as far as there are projects.
    projects: BTreeMap<ProjectId, ProjectFound>,
    /// The chosen workspaces.
    workspaces: Vec<WorkspaceSeen>,
}

/// Whether a project tells of its workspaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// It does, or is made to.
    Surely,
    /// It does, and something is to be mended about it that is left as it is.
    AsItIs,
    /// That cannot be seen now.
    Perhaps,
}

impl Look<'_> {
    /// Looks at all of it. Nothing is written.
    pub async fn plan(&self) -> Result<Plan, ConnectError> {
        let account = patiently(|| self.terraform.account()).await?;
        if account.kind == Some(TokenKind::Organization) && self.options.notifications() {
            return Err(ConnectError::OrganizationToken);
        }
        let seen = self.see().await?;
        let mut plan = Plan {
            organization: self.organization.clone(),
            notifications: Vec::new(),
            run_tasks: Vec::new(),
            covered: 0,
        };
        if self.options.notifications() {
            self.notifications(&seen, &mut plan).await?;
        }
        if self.options.run_tasks() {
            plan.run_tasks = self.run_tasks(&seen).await?;
        }
        Ok(plan)
    }

    async fn see(&self) -> Result<Seen, ConnectError> {
        let all = self.projects().await?;
        let named = |name: &String| {
            let found = all.iter().flatten().find(|project| project.name == *name).map(|project| project.id.clone());
            found.ok_or_else(|| ConnectError::NoProject(name.clone()))
        };
        let chosen = &self.options.project;
        let projects = chosen.iter().map(named).collect::<Result<BTreeSet<_>, _>>()?;
        let choice = Choice {
            names: self.options.workspace.clone(),
            tags: self.options.tag.iter().cloned().collect(),
            projects: (!chosen.is_empty()).then_some(projects),
        };
        let workspaces = self.workspaces(&choice).await?;
        let projects = all.into_iter().flatten().map(|project| (project.id.clone(), project)).collect();
        Ok(Seen { choice, projects, workspaces })
    }

    async fn projects(&self) -> Result<Option<Vec<ProjectFound>>, ConnectError> {
        let (mut projects, mut next) = (Vec::new(), Some(1));
        while let Some(page) = next {
            let Some(found) = patiently(|| self.terraform.projects(&self.organization, page)).await? else {
                return Ok(None);
            };
            projects.extend(found.items);
            next = found.next;
        }
        Ok(Some(projects))
    }

    async fn workspaces(&self, choice: &Choice) -> Result<Vec<WorkspaceSeen>, ConnectError> {
        let (mut workspaces, mut next) = (Vec::new(), Some(1));
        while let Some(page) = next {
            let found = patiently(|| self.terraform.workspaces_of(&self.organization, &choice.tags, page)).await?;
            let found = found.ok_or_else(|| ConnectError::NoOrganization(self.organization.clone()))?;
            workspaces.extend(found.items.into_iter().filter(|workspace| choice.takes(workspace)));
            next = found.next;
        }
        Ok(workspaces)
    }

    /// Projects first: whom they tell of needs nothing of its own, and is not even looked at.
    async fn notifications(&self, seen: &Seen, plan: &mut Plan) -> Result<(), ConnectError> {
        let inhabited = seen.workspaces.iter().filter_map(|workspace| workspace.project.clone());
        let in_question: BTreeSet<ProjectId> = match &seen.choice.projects {
            Some(chosen) => chosen.clone(),
            None if seen.choice.is_everything() => seen.projects.keys().cloned().collect(),
            None => inhabited.collect(),
        };
        let known = in_question.into_iter().filter_map(|id| Some((id.clone(), seen.projects.get(&id)?.name.clone())));
        let asked = known.map(|(id, name)| (Subscriber::Project(id), name)).collect();
        let mut telling = BTreeMap::new();
        for (subscriber, name, found) in self.ask("projects", asked).await {
            let (todo, tells) = match found {
                Ok(found) => {
                    let Some(todo) = self.of_project(&seen.choice, found) else { continue };
                    let tells = match todo {
                        Todo::Right | Todo::Steps(_) => Some(Telling::Surely),
                        Todo::LeftOut(_) => Some(Telling::AsItIs),
                        Todo::Refused(_) => None,
                    };
                    (todo, tells)
                }
                Err(error @ TerraformError::Unauthorized { .. }) => return Err(error.into()),
                // Some workspaces alone are taken from nobody, so no project is in question.
                Err(_) if self.aim.none && !seen.choice.is_whole_projects() => continue,
                // Who asked for each workspace's own did not count on the project.
                Err(error) => (Todo::Refused(chain(&error)), (!self.options.per_workspace).then_some(Telling::Perhaps)),
            };
            if let (Subscriber::Project(id), Some(tells), false) = (&subscriber, tells, self.aim.none) {
                telling.insert(id.clone(), tells);
            }
            plan.notifications.push(NotificationRow { subscriber, name, todo, told_by: None });
        }
        self.workspaces_of(seen, &telling, plan).await
    }

    /// What workspaces need besides what their projects tell.
    async fn workspaces_of(
        &self,
        seen: &Seen,
        telling: &BTreeMap<ProjectId, Telling>,
        plan: &mut Plan,
    ) -> Result<(), ConnectError> {
        let mut asked = Vec::new();
        for workspace in &seen.workspaces {
            let by = workspace.project.as_ref().and_then(|project| telling.get_key_value(project));
            let tells = by.map(|(_, tells)| *tells);
            let told_by = by.filter(|(_, tells)| **tells != Telling::Perhaps).map(|(project, _)| project.clone());
            plan.covered += usize::from(told_by.is_some());
            if told_by.is_some() && !(self.options.prune && tells == Some(Telling::Surely)) {
                continue;
            }
            let (subscriber, name) = (Subscriber::Workspace(workspace.id.clone()), workspace.name.clone());
            let left_out = match (workspace.execution_mode.as_deref(), tells) {
                (Some("local"), _) if !self.aim.none => Some(LOCAL),
                (_, Some(Telling::Perhaps)) => Some(UNSEEN),
                _ => None,
            };
            if let Some(why) = left_out {
                let todo = Todo::LeftOut(why.to_owned());
                plan.notifications.push(NotificationRow { subscriber, name, todo, told_by });
            } else {
                asked.push((subscriber, (name, told_by)));
            }
        }
        for (subscriber, (name, told_by), found) in self.ask("workspaces", asked).await {
            let todo = match found {
                Ok(Some(found)) => self.of_workspace(told_by.is_some(), &found),
                Ok(None) => Todo::Refused(NO_ADMIN.to_owned()),
                Err(error @ TerraformError::Unauthorized { .. }) => return Err(error.into()),
                Err(error) => Todo::Refused(chain(&error)),
            };
            // What its project tells of is counted already.
            if !(told_by.is_some() && matches!(todo, Todo::Right)) {
                plan.notifications.push(NotificationRow { subscriber, name, todo, told_by });
            }
        }
        Ok(())
    }

    /// The notification configurations of each, with what else there is to know of it.
    async fn ask<N: Send + 'static>(
        &self,
        what: &'static str,
        asked: Vec<(Subscriber, N)>,
    ) -> Vec<(Subscriber, N, Result<Option<Vec<NotificationFound>>, TerraformError>)> {
        let bar = bar(asked.len(), what);
        let answers = each(&bar, asked, |(subscriber, name)| {
            let terraform = self.terraform.clone();
            async move {
                let found = patiently(|| terraform.notifications(&subscriber)).await;
                (subscriber, name, found)
            }
        });
        let answers = answers.await;
        bar.finish_and_clear();
        answers
    }

    /// What is to be done with a project; None if that is none that tells, and its workspaces do themselves.
    fn of_project(&self, choice: &Choice, found: Option<Vec<NotificationFound>>) -> Option<Todo<Vec<Step>>> {
        let found = found?;
        let planned = plan_notifications(&self.aim, &found);
        if self.aim.none && !choice.is_whole_projects() {
            return None;
        }
        let alone = self.options.per_workspace || !choice.is_whole_projects();
        match planned {
            NotificationPlan::Right => (!self.aim.none).then_some(Todo::Right),
            // One that is there is mended also where no other is wanted.
            NotificationPlan::Steps(steps) if choice.is_whole_projects() => {
                (!alone || !matches!(steps.as_slice(), [Step::Create { .. }])).then_some(Todo::Steps(steps))
            }
            // It is for more workspaces than are meant, and these would be told of twice.
            NotificationPlan::Steps(_) => tells(&self.aim, &found).then(|| Todo::LeftOut(OF_PROJECT.to_owned())),
            NotificationPlan::Refused(refusal) => (!alone).then(|| Todo::Refused(refusal.to_string())),
        }
    }

    fn of_workspace(&self, covered: bool, found: &[NotificationFound]) -> Todo<Vec<Step>> {
        let aim = NotificationAim { none: self.aim.none || covered, ..self.aim.clone() };
        match plan_notifications(&aim, found) {
            NotificationPlan::Right => Todo::Right,
            NotificationPlan::Steps(steps) => Todo::Steps(steps),
            NotificationPlan::Refused(refusal) => Todo::Refused(refusal.to_string()),
        }
    }

    async fn run_tasks(&self, seen: &Seen) -> Result<Vec<RunTaskRow>, ConnectError> {
        let names: BTreeMap<WorkspaceId, String> =
            seen.workspaces.iter().map(|workspace| (workspace.id.clone(), workspace.name.clone())).collect();
        if self.aim.none {
            let Some(found) = self.run_tasks_found().await? else { return Ok(Vec::new()) };
            let endpoints: Vec<&Endpoint> = std::iter::once(&self.aim.endpoint).chain(&self.aim.former).collect();
            let chosen: BTreeSet<WorkspaceId> = names.keys().cloned().collect();
            let only = (!seen.choice.is_everything()).then_some(&chosen);
            let planned = plan_run_task_removal(&endpoints, &found, only).into_iter();
            return Ok(planned
                .filter(|(_, plan)| !plan.is_right())
                .map(|(name, plan)| {
                    let todo = Todo::Steps(RunTaskTodo { aim: None, key: None, plan, names: names.clone() });
                    RunTaskRow { name, todo }
                })
                .collect());
        }
        let defined = self.table.tasks().await?;
        if defined.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.run_tasks_found().await?;
        let mut rows = Vec::new();
        for name in defined {
            let Some(stored) = self.table.task(&name).await? else { continue };
            let todo = match (stored.definition, &found) {
                (Err(invalid), _) => Todo::Refused(invalid.to_string()),
                (Ok(task), _) if !task.enabled => Todo::LeftOut("it is not enabled".to_owned()),
                (Ok(_), None) => Todo::Refused(
                    "API_TOKEN may not see run tasks: it needs the permission to manage run tasks".to_owned(),
                ),
                (Ok(task), Some(found)) => self.of_run_task(&task, seen, found, &names),
            };
            rows.push(RunTaskRow { name: name.to_string(), todo });
        }
        Ok(rows)
    }

    fn of_run_task(
        &self,
        task: &TaskDefinition,
        seen: &Seen,
        found: &[RunTaskFound],
        names: &BTreeMap<WorkspaceId, String>,
    ) -> Todo<RunTaskTodo> {
        let is_for = |workspace: &&WorkspaceSeen| {
            let known = Workspace::new(self.host.clone(), self.organization.clone(), &workspace.name);
            known.is_ok_and(|known| task.leaves_out(&known).is_none())
                && workspace.execution_mode.as_deref() != Some("local")
        };
        let workspaces: BTreeSet<_> = seen.workspaces.iter().filter(is_for).map(|it| it.id.clone()).collect();
        if workspaces.is_empty() {
            return Todo::LeftOut("it is for none of these workspaces".to_owned());
        }
        let level = self.options.enforcement_level;
        let aim = RunTaskAim {
            name: task.name.clone(),
            stages: task.checks.iter().flat_map(|check| check.stages.iter().copied()).collect(),
            enforcement: match level {
                Some(Level::Advisory) => Enforcement::Advisory,
                Some(Level::Mandatory) => Enforcement::Mandatory,
                None => enforcement_of(task),
            },
            enforce: level.is_some(),
            endpoint: self.aim.endpoint.clone(),
            former: self.aim.former.clone(),
            global: self.options.global,
            workspaces,
            rotate: self.options.rotate,
        };
        let plan = plan_run_task(&aim, found);
        if let RunTaskStep::NameTaken { url } = &plan.task {
            return Todo::Refused(name_taken(url));
        }
        if plan.is_right() {
            return Todo::Right;
        }
        Todo::Steps(RunTaskTodo { aim: Some(aim), key: task.hmac_keys.first().cloned(), plan, names: names.clone() })
    }

    async fn run_tasks_found(&self) -> Result<Option<Vec<RunTaskFound>>, ConnectError> {
        Ok(patient_run_tasks(&self.terraform, &self.organization).await?)
    }
}

type Step = sluice_domain::onboarding::NotificationStep;

/// All run tasks of an organization; None if they cannot be seen.
pub async fn patient_run_tasks(
    terraform: &Terraform,
    organization: &Organization,
) -> Result<Option<Vec<RunTaskFound>>, TerraformError> {
    let (mut tasks, mut next) = (Vec::new(), Some(1));
    while let Some(page) = next {
        let Some(found) = patiently(|| terraform.run_tasks(organization, page)).await? else { return Ok(None) };
        tasks.extend(found.items);
        next = found.next;
    }
    Ok(Some(tasks))
}
