//! The routes of the API, by name.

/// What a request asks for; faults and the request log go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it; the table in `matching` says the rest")]
pub enum Route {
    /// In a fault: every route.
    Any,
    /// No route at all.
    Unknown,
    Ping,
    ShowAccount,
    ListOrganizations,
    ShowOrganization,
    ShowEntitlements,
    ListProjects,
    ListWorkspaces,
    ShowWorkspaceByName,
    ShowWorkspace,
    UpdateWorkspace,
    DeleteWorkspace,
    LockWorkspace,
    UnlockWorkspace,
    CurrentStateVersion,
    CurrentOutputs,
    ListStateVersions,
    ShowStateVersion,
    ListOutputs,
    /// A state file, on the API's host.
    DownloadState,
    /// A state file, on the archivist.
    Archivist,
    CreateRun,
    ShowRun,
    ListRuns,
    ListOrganizationRuns,
    ApplyRun,
    DiscardRun,
    CancelRun,
    ForceCancelRun,
    CreateNotificationConfiguration,
    ListNotificationConfigurations,
    CreateProjectNotificationConfiguration,
    ListProjectNotificationConfigurations,
    ShowNotificationConfiguration,
    UpdateNotificationConfiguration,
    DeleteNotificationConfiguration,
    VerifyNotificationConfiguration,
    CreateRunTask,
    ListRunTasks,
    ShowRunTask,
    UpdateRunTask,
    DeleteRunTask,
    CreateWorkspaceRunTask,
    ListWorkspaceRunTasks,
    UpdateWorkspaceRunTask,
    DeleteWorkspaceRunTask,
    ListTaskStages,
    ShowTaskResult,
    TaskResultCallback,
    /// A plan as JSON, which is a redirect to the archivist.
    PlanJson,
    /// The files of a configuration version, which is a redirect to the archivist.
    DownloadConfiguration,
}

impl Route {
    /// The route of a request and the variable segments of its path.
    pub(in crate::hcp) fn matching(method: &str, path: &str) -> (Self, Vec<String>) {
        let decoded = path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect::<Vec<_>>();
        let segments: Vec<_> = decoded.iter().map(String::as_str).collect();
        let (route, variables) = match (method, segments.as_slice()) {
            ("GET", ["api", "v2", rest @ ..]) => Self::get(rest),
            ("POST", ["api", "v2", rest @ ..]) => Self::post(rest),
            ("PATCH", ["api", "v2", "task-results", id, "callback"]) => (Self::TaskResultCallback, vec![*id]),
            ("PATCH", ["api", "v2", "workspaces", id, "tasks", link]) => {
                (Self::UpdateWorkspaceRunTask, vec![*id, *link])
            }
            ("DELETE", ["api", "v2", "workspaces", id, "tasks", link]) => {
                (Self::DeleteWorkspaceRunTask, vec![*id, *link])
            }
            ("PATCH" | "DELETE", ["api", "v2", kind, id]) => Self::change(method, kind, id),
            ("GET", ["api", "state-versions", id, "hosted_state"]) => (Self::DownloadState, vec![*id]),
            ("GET", ["v1", "object", key]) => (Self::Archivist, vec![*key]),
            _ => (Self::Unknown, vec![]),
        };
        (route, variables.into_iter().map(str::to_owned).collect())
    }

    fn change<'a>(method: &str, kind: &str, id: &'a str) -> (Self, Vec<&'a str>) {
        match (method, kind) {
            ("PATCH", "workspaces") => (Self::UpdateWorkspace, vec![id]),
            ("DELETE", "workspaces") => (Self::DeleteWorkspace, vec![id]),
            ("PATCH", "notification-configurations") => (Self::UpdateNotificationConfiguration, vec![id]),
            ("DELETE", "notification-configurations") => (Self::DeleteNotificationConfiguration, vec![id]),
            ("PATCH", "tasks") => (Self::UpdateRunTask, vec![id]),
            ("DELETE", "tasks") => (Self::DeleteRunTask, vec![id]),
            _ => (Self::Unknown, vec![]),
        }
    }

    fn get<'a>(path: &[&'a str]) -> (Self, Vec<&'a str>) {
        match path {
            ["ping"] => (Self::Ping, vec![]),
            ["account", "details"] => (Self::ShowAccount, vec![]),
            ["organizations"] => (Self::ListOrganizations, vec![]),
            ["organizations", name] => (Self::ShowOrganization, vec![name]),
            ["organizations", name, "entitlement-set"] => (Self::ShowEntitlements, vec![name]),
            ["organizations", name, "projects"] => (Self::ListProjects, vec![name]),
            ["organizations", name, "workspaces"] => (Self::ListWorkspaces, vec![name]),
            ["organizations", name, "workspaces", workspace] => (Self::ShowWorkspaceByName, vec![name, workspace]),
            ["organizations", name, "runs"] => (Self::ListOrganizationRuns, vec![name]),
            ["workspaces", id] => (Self::ShowWorkspace, vec![id]),
            ["workspaces", id, "runs"] => (Self::ListRuns, vec![id]),
            ["workspaces", id, "current-state-version"] => (Self::CurrentStateVersion, vec![id]),
            ["workspaces", id, "current-state-version-outputs"] => (Self::CurrentOutputs, vec![id]),
            ["workspaces", id, "notification-configurations"] => (Self::ListNotificationConfigurations, vec![id]),
            ["projects", id, "notification-configurations"] => (Self::ListProjectNotificationConfigurations, vec![id]),
            ["notification-configurations", id] => (Self::ShowNotificationConfiguration, vec![id]),
            ["state-versions"] => (Self::ListStateVersions, vec![]),
            ["state-versions", id] => (Self::ShowStateVersion, vec![id]),
            ["state-versions", id, "outputs"] => (Self::ListOutputs, vec![id]),
            ["state-versions", id, "download"] => (Self::DownloadState, vec![id]),
            ["runs", id] => (Self::ShowRun, vec![id]),
            ["organizations", name, "tasks"] => (Self::ListRunTasks, vec![name]),
            ["tasks", id] => (Self::ShowRunTask, vec![id]),
            ["workspaces", id, "tasks"] => (Self::ListWorkspaceRunTasks, vec![id]),
            ["runs", id, "task-stages"] => (Self::ListTaskStages, vec![id]),
            ["task-results", id] => (Self::ShowTaskResult, vec![id]),
            ["plans", id, "json-output"] => (Self::PlanJson, vec![id]),
            ["configuration-versions", id, "download"] => (Self::DownloadConfiguration, vec![id]),
            _ => (Self::Unknown, vec![]),
        }
    }

    fn post<'a>(path: &[&'a str]) -> (Self, Vec<&'a str>) {
        match path {
            ["runs"] => (Self::CreateRun, vec![]),
            ["organizations", name, "tasks"] => (Self::CreateRunTask, vec![name]),
            ["workspaces", id, "tasks"] => (Self::CreateWorkspaceRunTask, vec![id]),
            ["runs", id, "actions", "apply"] => (Self::ApplyRun, vec![id]),
            ["runs", id, "actions", "discard"] => (Self::DiscardRun, vec![id]),
            ["runs", id, "actions", "cancel"] => (Self::CancelRun, vec![id]),
            ["runs", id, "actions", "force-cancel"] => (Self::ForceCancelRun, vec![id]),
            ["workspaces", id, "actions", "lock"] => (Self::LockWorkspace, vec![id]),
            ["workspaces", id, "actions", "unlock"] => (Self::UnlockWorkspace, vec![id]),
            ["workspaces", id, "notification-configurations"] => (Self::CreateNotificationConfiguration, vec![id]),
            ["projects", id, "notification-configurations"] => (Self::CreateProjectNotificationConfiguration, vec![id]),
            ["notification-configurations", id, "actions", "verify"] => {
                (Self::VerifyNotificationConfiguration, vec![id])
            }
            _ => (Self::Unknown, vec![]),
        }
    }

    /// Whether the route needs no token.
    pub(in crate::hcp) fn is_open(self) -> bool {
        matches!(self, Self::Ping | Self::Archivist)
    }

    /// Whether an organization's own token is refused.
    pub(in crate::hcp) fn needs_person(self) -> bool {
        self.is_of_runs() || self == Self::PlanJson || self.is_of_notifications()
    }

    /// Whether it creates or steers a run.
    pub(in crate::hcp) fn is_of_runs(self) -> bool {
        matches!(self, Self::CreateRun | Self::ApplyRun | Self::DiscardRun | Self::CancelRun | Self::ForceCancelRun)
    }

    /// Whether it is about notification configurations, which are for admins alone.
    pub(in crate::hcp) fn is_of_notifications(self) -> bool {
        matches!(
            self,
            Self::CreateNotificationConfiguration
                | Self::ListNotificationConfigurations
                | Self::CreateProjectNotificationConfiguration
                | Self::ListProjectNotificationConfigurations
                | Self::ShowNotificationConfiguration
                | Self::UpdateNotificationConfiguration
                | Self::DeleteNotificationConfiguration
                | Self::VerifyNotificationConfiguration
        )
    }

    /// Whether it is about run tasks of an organization, or attaches them.
    pub(in crate::hcp) fn is_of_run_tasks(self) -> bool {
        matches!(
            self,
            Self::CreateRunTask
                | Self::ListRunTasks
                | Self::ShowRunTask
                | Self::UpdateRunTask
                | Self::DeleteRunTask
                | Self::CreateWorkspaceRunTask
                | Self::UpdateWorkspaceRunTask
                | Self::DeleteWorkspaceRunTask
        )
    }

    /// Whether it gives a state away.
    pub(in crate::hcp) fn is_of_states(self) -> bool {
        matches!(
            self,
            Self::CurrentStateVersion | Self::ShowStateVersion | Self::ListStateVersions | Self::DownloadState
        )
    }

    /// Which kind of run list this is, each of which has a limit of its own.
    pub(in crate::hcp) fn run_list(self) -> Option<&'static str> {
        match self {
            Self::ListRuns => Some("workspace"),
            Self::ListOrganizationRuns => Some("organization"),
            _ => None,
        }
    }
}

fn decode(segment: &str) -> String {
    // A form decoder reads `+` as a space, which it is not in a path.
    let query = segment.replace('+', "%2B");
    url::form_urlencoded::parse(query.as_bytes()).next().map_or_else(String::new, |(name, _)| name.into_owned())
}
