//! What was found, and what is to be done about it, row by row.

use std::collections::BTreeMap;
use std::fmt;

use sluice_domain::gate::KeyPlace;
use sluice_domain::onboarding::{
    AttachmentStep, NotificationStep, Repair, RunTaskAim, RunTaskPlan, RunTaskStep, Subscriber, TaskRepair, host_of,
};
use sluice_domain::{Organization, ProjectId, WorkspaceId};

/// All of it.
#[derive(Debug)]
pub struct Plan {
    /// Of which organization.
    pub organization: Organization,
    /// Projects and workspaces that are to tell, the projects first.
    pub notifications: Vec<NotificationRow>,
    /// Run tasks that are to be asked.
    pub run_tasks: Vec<RunTaskRow>,
    /// Workspaces whose project tells of them.
    pub covered: usize,
}

/// A project or a workspace.
#[derive(Debug, Clone)]
pub struct NotificationRow {
    /// Which.
    pub subscriber: Subscriber,
    /// Its name.
    pub name: String,
    /// What is to be done.
    pub todo: Todo<Vec<NotificationStep>>,
    /// The project that tells of it, so that it needs nothing of its own.
    pub told_by: Option<ProjectId>,
}

impl NotificationRow {
    /// What it is, and its name.
    #[must_use]
    pub fn label(&self) -> String {
        let what = match self.subscriber {
            Subscriber::Project(_) => "project",
            Subscriber::Workspace(_) => "workspace",
        };
        format!("{what} {}", self.name)
    }
}

/// A run task.
#[derive(Debug)]
pub struct RunTaskRow {
    /// Its name.
    pub name: String,
    /// What is to be done.
    pub todo: Todo<RunTaskTodo>,
}

/// What is to be done for a run task, and what is needed for that.
#[derive(Debug, Clone)]
pub struct RunTaskTodo {
    /// What is to be true of it; None if it is to go.
    pub aim: Option<RunTaskAim>,
    /// Where its key is kept; None if it is to go.
    pub key: Option<KeyPlace>,
    /// The steps.
    pub plan: RunTaskPlan,
    /// Names of workspaces.
    pub names: BTreeMap<WorkspaceId, String>,
}

/// What is to be done about one thing.
#[derive(Debug, Clone)]
pub enum Todo<T> {
    /// Nothing: it is right.
    Right,
    /// Nothing, for this reason.
    LeftOut(String),
    /// It cannot be done, for this reason.
    Refused(String),
    /// This.
    Steps(T),
}

/// How many things are to be done, and are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Created.
    pub create: usize,
    /// Changed.
    pub update: usize,
    /// Deleted.
    pub delete: usize,
    /// As they have to be.
    pub right: usize,
    /// Left out.
    pub left_out: usize,
    /// Impossible.
    pub refused: usize,
}

impl Counts {
    /// How many writes these are.
    #[must_use]
    pub fn writes(self) -> usize {
        self.create + self.update + self.delete
    }
}

impl Plan {
    /// How many things are to be done.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { right: self.covered, ..Counts::default() };
        for row in &self.notifications {
            counts.add(&row.todo, |counts, steps| steps.iter().for_each(|step| counts.notification(step)));
        }
        for row in &self.run_tasks {
            counts.add(&row.todo, |counts, todo| counts.run_task(&todo.plan));
        }
        counts
    }
}

impl Counts {
    fn add<T>(&mut self, todo: &Todo<T>, steps: impl FnOnce(&mut Self, &T)) {
        match todo {
            Todo::Right => self.right += 1,
            Todo::LeftOut(_) => self.left_out += 1,
            Todo::Refused(_) => self.refused += 1,
            Todo::Steps(todo) => steps(self, todo),
        }
    }

    fn notification(&mut self, step: &NotificationStep) {
        match step {
            NotificationStep::Create { .. } => self.create += 1,
            NotificationStep::Update { .. } => self.update += 1,
            NotificationStep::Delete { .. } => self.delete += 1,
        }
    }

    fn run_task(&mut self, plan: &RunTaskPlan) {
        match plan.task {
            RunTaskStep::Create { .. } => self.create += 1,
            RunTaskStep::Update { .. } => self.update += 1,
            RunTaskStep::Delete(_) => self.delete += 1,
            RunTaskStep::Right(_) => self.right += 1,
            RunTaskStep::NameTaken { .. } => self.refused += 1,
        }
        for step in &plan.attachments {
            match step {
                AttachmentStep::Attach { .. } => self.create += 1,
                AttachmentStep::Update { .. } => self.update += 1,
                AttachmentStep::Detach { .. } => self.delete += 1,
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { create, update, delete, right, left_out, refused } = self;
        write!(f, "{create} to create, {update} to change, {delete} to delete; {right} right, {left_out} left out")?;
        if *refused > 0 { write!(f, ", {refused} impossible") } else { Ok(()) }
    }
}

/// Every row but those that are right, and how many there are.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.notifications {
            let name = row.label();
            match &row.todo {
                Todo::Steps(steps) => steps.iter().try_for_each(|step| notification_line(f, &name, step))?,
                todo => other_line(f, &name, todo)?,
            }
        }
        if self.covered > 0 {
            writeln!(f, "  . {} workspaces need nothing of their own: their projects tell of them", self.covered)?;
        }
        for row in &self.run_tasks {
            let name = format!("run task {}", row.name);
            match &row.todo {
                Todo::Steps(todo) => run_task_lines(f, &name, todo)?,
                todo => other_line(f, &name, todo)?,
            }
        }
        writeln!(f, "{}: {}", self.organization, self.counts())
    }
}

fn other_line<T>(f: &mut fmt::Formatter<'_>, name: &str, todo: &Todo<T>) -> fmt::Result {
    match todo {
        Todo::LeftOut(why) => writeln!(f, "  . {name}: {why}"),
        Todo::Refused(why) => writeln!(f, "  ! {name}: {why}"),
        Todo::Right | Todo::Steps(_) => Ok(()),
    }
}

fn notification_line(f: &mut fmt::Formatter<'_>, name: &str, step: &NotificationStep) -> fmt::Result {
    match step {
        NotificationStep::Create { .. } => writeln!(f, "  + {name}: create a notification configuration"),
        NotificationStep::Update { id, repairs, .. } => {
            let why: Vec<_> = repairs.iter().map(Repair::to_string).collect();
            writeln!(f, "  ~ {name}: mend {id}, as {}", why.join(" and "))
        }
        NotificationStep::Delete { id, double: true } => {
            writeln!(f, "  - {name}: delete {id}, as another tells the same")
        }
        NotificationStep::Delete { id, double: false } => writeln!(f, "  - {name}: delete {id}"),
    }
}

fn run_task_lines(f: &mut fmt::Formatter<'_>, name: &str, todo: &RunTaskTodo) -> fmt::Result {
    match &todo.plan.task {
        RunTaskStep::Create { global: None } => writeln!(f, "  + {name}: create it")?,
        RunTaskStep::Create { global: Some(_) } => writeln!(f, "  + {name}: create it for every workspace")?,
        RunTaskStep::Update { id, repairs, .. } => {
            let why: Vec<_> = repairs.iter().map(TaskRepair::to_string).collect();
            writeln!(f, "  ~ {name}: mend {id}, as {}", why.join(" and "))?;
        }
        RunTaskStep::Delete(id) => writeln!(f, "  - {name}: delete {id}, whoever asks it")?,
        RunTaskStep::NameTaken { url } => writeln!(f, "  ! {name}: {}", name_taken(url))?,
        RunTaskStep::Right(_) => {}
    }
    for step in &todo.plan.attachments {
        let workspace = todo.names.get(step.workspace()).map_or(step.workspace().as_str(), String::as_str);
        match step {
            AttachmentStep::Attach { settings, .. } => {
                writeln!(f, "  + {name}: attach it to {workspace}, {}", told(settings))?;
            }
            AttachmentStep::Update { settings, .. } => {
                writeln!(f, "  ~ {name}: have {workspace} ask it {}", told(settings))?;
            }
            AttachmentStep::Detach { .. } => writeln!(f, "  - {name}: take it from {workspace}")?,
        }
    }
    Ok(())
}

fn told(settings: &sluice_domain::onboarding::AttachmentSettings) -> String {
    let stages: Vec<_> = settings.stages.iter().map(ToString::to_string).collect();
    let level = match settings.enforcement {
        sluice_domain::gate::Enforcement::Mandatory => "mandatory",
        sluice_domain::gate::Enforcement::Advisory => "advisory",
    };
    format!("{} at {}", level, stages.join(", "))
}

/// Why a run task cannot be had. Of the URL, which is another's, only the host is told.
pub fn name_taken(url: &str) -> String {
    format!("the organization has a run task of this name, which asks {}: rename that or delete it", host_of(url))
}
