//! Who is told of runs and asked about them: what a person does with that by hand, and what a test sees of it.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::handle::Hcp;
use super::model::World;
use super::notify::Configuration;
use super::options::{Rights, Server};
use super::tasks::{Enforcement, Stage};

/// A notification configuration as it stands, with what nobody is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotificationView {
    /// Its id.
    pub id: String,
    /// The name of the workspace or the project.
    pub subscriber: String,
    /// Its name.
    pub name: String,
    /// Where it sends to.
    pub url: String,
    /// What it signs with.
    pub token: Option<String>,
    /// Whether it sends.
    pub enabled: bool,
    /// What it tells of.
    pub triggers: BTreeSet<String>,
    /// The status that its receiver answered last.
    pub answered: Option<u16>,
}

/// A run task as it stands, with what nobody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunTaskView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is asked.
    pub url: String,
    /// What requests are signed with.
    pub hmac_key: Option<String>,
    /// Whether it is asked.
    pub enabled: bool,
    /// How every workspace asks it, if they do.
    pub global: Option<(Enforcement, BTreeSet<Stage>)>,
    /// How workspaces ask it, by their names.
    pub attachments: Vec<AttachmentView>,
}

/// How a workspace asks a run task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachmentView {
    /// The workspace's name.
    pub workspace: String,
    /// Whether a run that does not pass goes on.
    pub enforcement: Enforcement,
    /// When it asks.
    pub stages: BTreeSet<Stage>,
}

impl Hcp {
    /// Every notification configuration, of workspaces and of projects.
    #[must_use]
    pub fn notifications(&self) -> Vec<NotificationView> {
        self.core.look(|world| world.configurations.values().map(|it| world.notification_view(it)).collect())
    }

    /// Every run task.
    #[must_use]
    pub fn run_tasks(&self) -> Vec<RunTaskView> {
        self.core.look(World::run_task_views)
    }

    /// Edits a notification configuration by hand: nothing is verified. `edit` must not ask the simulator; the name of
    /// the subscriber stays.
    ///
    /// # Panics
    ///
    /// If there is no such configuration.
    #[track_caller]
    pub fn edit_notification(&self, id: &str, edit: impl FnOnce(&mut NotificationView)) {
        let found = self.core.with(|world| {
            let mut view = world.notification_view(world.configurations.get(id)?);
            edit(&mut view);
            let configuration = world.configurations.get_mut(id)?;
            configuration.last = view.answered.map(|code| (OffsetDateTime::now_utc(), code));
            configuration.name = view.name;
            configuration.url = view.url;
            configuration.token = view.token;
            configuration.enabled = view.enabled;
            configuration.triggers = view.triggers;
            Some(())
        });
        assert!(found.is_some(), "there is no notification configuration {id}");
    }

    /// Has a workspace tell a channel of Slack, or whatever else is no webhook. Nothing is ever sent.
    #[track_caller]
    pub fn notify_elsewhere(&self, workspace: &str, destination: &str, url: &str) -> String {
        let id = self.notify(workspace, url, "");
        self.core.with(|world| {
            let configuration = world.configurations.get_mut(&id).expect("it has just been made");
            destination.clone_into(&mut configuration.destination);
        });
        id
    }

    /// Has every workspace of a project tell `url` of everything, signed with `token`. Returns the id of the
    /// notification configuration.
    pub fn notify_project(&self, project: &str, url: &str, token: &str) -> String {
        self.core.with(|world| {
            let organization = world.options.organization.clone();
            let project = world.project_named(&organization, project);
            let configuration = world.new_configuration(&project, "sluice", url, Some(token));
            let id = configuration.id.clone();
            world.configurations.insert(id.clone(), configuration);
            id
        })
    }

    /// Makes a project, or finds it, and returns its id.
    pub fn add_project(&self, name: &str) -> String {
        self.core.with(|world| {
            let organization = world.options.organization.clone();
            world.project_named(&organization, name)
        })
    }

    /// Nobody is an admin of a workspace any more: no token may change its settings or manage its notifications.
    #[track_caller]
    pub fn guard(&self, workspace: &str) {
        self.settings(workspace, |workspace| workspace.guarded = true);
    }

    /// Sets what whoever a token belongs to has been given.
    ///
    /// # Panics
    ///
    /// If the token is not valid.
    #[track_caller]
    pub fn set_rights(&self, token: &str, rights: Rights) {
        let known = self.core.with(|world| world.tokens.get_mut(token).map(|token| token.rights = rights));
        assert!(known.is_some(), "there is no such token");
    }

    /// Sets which instance it is, from now on. `set` must not ask the simulator.
    pub fn server(&self, set: impl FnOnce(&mut Server)) {
        self.core.with(|world| set(&mut world.options.server));
    }
}

impl World {
    fn notification_view(&self, configuration: &Configuration) -> NotificationView {
        NotificationView {
            id: configuration.id.clone(),
            subscriber: self.subscriber_name(&configuration.subscriber).unwrap_or_default().to_owned(),
            name: configuration.name.clone(),
            url: configuration.url.clone(),
            token: configuration.token.clone(),
            enabled: configuration.enabled,
            triggers: configuration.triggers.clone(),
            answered: configuration.last.map(|(_, code)| code),
        }
    }

    fn run_task_views(&self) -> Vec<RunTaskView> {
        let view = |task: &super::tasks::RunTask| {
            let links = self.tasks.links.values().filter(|link| link.task == task.id);
            let attachments = links.map(|link| AttachmentView {
                workspace: self.workspaces.get(&link.workspace).map(|it| it.name.clone()).unwrap_or_default(),
                enforcement: link.enforcement,
                stages: link.stages.clone(),
            });
            RunTaskView {
                id: task.id.clone(),
                name: task.spec.name.clone(),
                url: task.spec.url.clone(),
                hmac_key: task.spec.hmac_key.clone(),
                enabled: task.spec.enabled,
                global: task.spec.global.clone(),
                attachments: attachments.collect(),
            }
        };
        self.tasks.tasks.values().map(view).collect()
    }
}
