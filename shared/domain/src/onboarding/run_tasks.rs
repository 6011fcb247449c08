//! From the run tasks of an organization to the one that it has to have for a definition of ours.

use std::collections::BTreeSet;
use std::fmt;

use crate::gate::{Enforcement, Stage, TaskDefinition};
use crate::names::{AttachmentId, RunTaskId, TaskName, WorkspaceId};
use crate::onboarding::{AttachmentFound, AttachmentSettings, Endpoint, GlobalTask, RunTaskFound};

/// What is to be true of a run task.
#[derive(Debug, Clone)]
pub struct RunTaskAim {
    /// Its name.
    pub name: TaskName,
    /// When it has something to say.
    pub stages: BTreeSet<Stage>,
    /// Whether a run that does not pass goes on, where it is attached anew.
    pub enforcement: Enforcement,
    /// Also where it is attached already: a person asked for it.
    pub enforce: bool,
    /// Where Sluice is.
    pub endpoint: Endpoint,
    /// Where it was before.
    pub former: Vec<Endpoint>,
    /// Every workspace of the organization asks it.
    pub global: bool,
    /// The workspaces that have to ask it.
    pub workspaces: BTreeSet<WorkspaceId>,
    /// The key is written also if all is right: it is a new one.
    pub rotate: bool,
}

/// Whether a run that does not pass a task goes on: not if any of its checks is mandatory.
#[must_use]
pub fn enforcement_of(task: &TaskDefinition) -> Enforcement {
    let mandatory = task.checks.iter().any(|check| check.enforcement == Enforcement::Mandatory);
    if mandatory { Enforcement::Mandatory } else { Enforcement::Advisory }
}

/// What is to be done for a run task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunTaskPlan {
    /// With the task itself, first.
    pub task: RunTaskStep,
    /// With the workspaces, once it is there.
    pub attachments: Vec<AttachmentStep>,
}

impl RunTaskPlan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_right(&self) -> bool {
        matches!(self.task, RunTaskStep::Right(_)) && self.attachments.is_empty()
    }
}

/// What is to be done with a run task itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunTaskStep {
    /// Nothing.
    Right(RunTaskId),
    /// It is created.
    Create {
        /// How every workspace asks it.
        global: Option<GlobalTask>,
    },
    /// It is made what it has to be.
    Update {
        /// Which.
        id: RunTaskId,
        /// How every workspace asks it; None leaves that as it is.
        global: Option<GlobalTask>,
        /// What is mended by that.
        repairs: Vec<TaskRepair>,
    },
    /// It is deleted, whoever has it attached.
    Delete(RunTaskId),
    /// Nothing can be done: a run task of this name asks somebody else.
    NameTaken {
        /// Whom.
        url: String,
    },
}

/// What is not as it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskRepair {
    /// It asks where Sluice was before.
    Moved,
    /// It is switched off.
    Disabled,
    /// Not every workspace asks it, or not as it has to.
    Global,
    /// The key is a new one.
    Rotated,
}

impl fmt::Display for TaskRepair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Moved => "its URL is a former one",
            Self::Disabled => "it is disabled",
            Self::Global => "not every workspace asks it as it has to",
            Self::Rotated => "its key is to be replaced",
        })
    }
}

/// What is to be done with one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachmentStep {
    /// It has the task attached.
    Attach {
        /// Which.
        workspace: WorkspaceId,
        /// How.
        settings: AttachmentSettings,
    },
    /// It asks as it has to.
    Update {
        /// Which.
        workspace: WorkspaceId,
        /// The attachment.
        id: AttachmentId,
        /// How.
        settings: AttachmentSettings,
    },
    /// It asks no more.
    Detach {
        /// Which.
        workspace: WorkspaceId,
        /// The attachment.
        id: AttachmentId,
    },
}

impl AttachmentStep {
    /// The workspace.
    #[must_use]
    pub fn workspace(&self) -> &WorkspaceId {
        match self {
            Self::Attach { workspace, .. } | Self::Update { workspace, .. } | Self::Detach { workspace, .. } => {
                workspace
            }
        }
    }
}

/// The steps from what was `found` to a run task that all who have to do ask, at the stages at which it has something
/// to say.
///
/// Ours is the one with our URL, now or formerly. Where it is attached already, a person's choice between advisory and
/// mandatory stands unless another was asked for. Nobody is made to ask it no more.
#[must_use]
pub fn plan_run_task(aim: &RunTaskAim, found: &[RunTaskFound]) -> RunTaskPlan {
    let at = |endpoint: &Endpoint| {
        let ours = |task: &&RunTaskFound| endpoint.run_task_at(&task.url).as_ref() == Some(&aim.name);
        // Of several the one that is used most.
        found.iter().filter(ours).max_by_key(|task| task.attachments.len())
    };
    let ours = at(&aim.endpoint).map(|task| (task, false));
    let ours = ours.or_else(|| aim.former.iter().find_map(at).map(|task| (task, true)));
    let Some((task, moved)) = ours else {
        if let Some(other) = found.iter().find(|task| task.name == aim.name.as_str()) {
            return RunTaskPlan { task: RunTaskStep::NameTaken { url: other.url.clone() }, attachments: Vec::new() };
        }
        return RunTaskPlan {
            attachments: attachments(aim, &[]),
            task: RunTaskStep::Create { global: global(aim, None) },
        };
    };
    let repairs = repairs(aim, task, moved);
    let step = if repairs.is_empty() {
        RunTaskStep::Right(task.id.clone())
    } else {
        RunTaskStep::Update { id: task.id.clone(), global: global(aim, task.global.as_ref()), repairs }
    };
    // Who asks it because everybody does needs no attachment.
    let asked_by_all = task.global.as_ref().is_some_and(|global| global.stages.is_superset(&aim.stages));
    let attachments = if asked_by_all { Vec::new() } else { attachments(aim, &task.attachments) };
    RunTaskPlan { task: step, attachments }
}

/// The steps from what was `found` to nobody asking Sluice: whatever is asked at one of `endpoints` is deleted, or, if
/// only some workspaces are meant, taken from these. By the tasks' names.
#[must_use]
pub fn plan_run_task_removal(
    endpoints: &[&Endpoint],
    found: &[RunTaskFound],
    only: Option<&BTreeSet<WorkspaceId>>,
) -> Vec<(String, RunTaskPlan)> {
    let ours = found.iter().filter(|task| endpoints.iter().any(|it| it.run_task_at(&task.url).is_some()));
    let plan = |task: &RunTaskFound| match only {
        None => RunTaskPlan { task: RunTaskStep::Delete(task.id.clone()), attachments: Vec::new() },
        Some(only) => {
            let taken = task.attachments.iter().filter(|attachment| only.contains(&attachment.workspace));
            let detach =
                |it: &AttachmentFound| AttachmentStep::Detach { workspace: it.workspace.clone(), id: it.id.clone() };
            RunTaskPlan { task: RunTaskStep::Right(task.id.clone()), attachments: taken.map(detach).collect() }
        }
    };
    ours.map(|task| (task.name.clone(), plan(task))).collect()
}

fn repairs(aim: &RunTaskAim, task: &RunTaskFound, moved: bool) -> Vec<TaskRepair> {
    let global = global(aim, task.global.as_ref()).is_some_and(|global| task.global != Some(global));
    let faults = [
        (moved, TaskRepair::Moved),
        (!task.enabled, TaskRepair::Disabled),
        (global, TaskRepair::Global),
        (aim.rotate, TaskRepair::Rotated),
    ];
    faults.into_iter().filter_map(|(is, repair)| is.then_some(repair)).collect()
}

/// How every workspace has to ask it; None leaves that as it is `known`.
fn global(aim: &RunTaskAim, known: Option<&GlobalTask>) -> Option<GlobalTask> {
    let stands = known.filter(|_| !aim.enforce);
    // A person's choice between advisory and mandatory stands here, too.
    let enforcement = stands.map_or(aim.enforcement, |known| known.enforcement);
    if aim.global {
        return Some(GlobalTask { stages: aim.stages.clone(), enforcement });
    }
    // The level was asked for, and nothing else about all the others.
    known.filter(|_| aim.enforce).map(|known| GlobalTask { stages: known.stages.clone(), enforcement })
}

fn attachments(aim: &RunTaskAim, found: &[AttachmentFound]) -> Vec<AttachmentStep> {
    if aim.global {
        return Vec::new();
    }
    let step = |workspace: &WorkspaceId| {
        let known = found.iter().find(|attachment| attachment.workspace == *workspace);
        let Some(known) = known else {
            let settings = AttachmentSettings { stages: aim.stages.clone(), enforcement: aim.enforcement };
            return Some(AttachmentStep::Attach { workspace: workspace.clone(), settings });
        };
        let enforcement = if aim.enforce { aim.enforcement } else { known.enforcement };
        let right = known.stages == aim.stages && known.enforcement == enforcement;
        let settings = AttachmentSettings { stages: aim.stages.clone(), enforcement };
        (!right).then(|| AttachmentStep::Update { workspace: workspace.clone(), id: known.id.clone(), settings })
    };
    aim.workspaces.iter().filter_map(step).collect()
}
