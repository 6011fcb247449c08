//! The HTTP side: every request is logged, counted, struck by faults, checked and answered, in this order.

mod archive;
mod notifications;
mod organizations;
mod plans;
mod reply;
mod route;
mod runs;
mod serve;
mod socket;
mod state;
mod task_results;
mod tasks;
mod workspaces;

pub use route::Route;
pub(super) use runs::configuration_version;
pub(super) use serve::serve;
pub(super) use socket::{Line, Sockets};

use reply::{Answer, Call, Caller, Reply};

use super::model::World;

impl World {
    /// Does what a request asks for, as far as it can be done at once.
    fn answer(&mut self, call: &Call, caller: &Caller) -> Answer {
        let id = call.variable(0);
        match call.route {
            Route::Ping => Reply::empty(204).into(),
            Route::ShowAccount => self.show_account(caller).into(),
            Route::ListOrganizations => self.list_organizations(call, caller).into(),
            Route::ShowOrganization => self.show_organization(call, caller).into(),
            Route::ShowEntitlements => self.show_entitlements(id).into(),
            Route::ListProjects => self.list_projects(call).into(),
            Route::ListWorkspaces => self.list_workspaces(call).into(),
            Route::ShowWorkspaceByName => {
                let name = format!("{id}/{}", call.variable(1));
                self.show_workspace(self.find(&name), call).into()
            }
            Route::ShowWorkspace => self.show_workspace(self.workspaces.get(id), call).into(),
            Route::UpdateWorkspace => self.update_workspace(call).into(),
            Route::DeleteWorkspace => self.remove_workspace(id).into(),
            Route::LockWorkspace => self.lock(id, call).into(),
            Route::UnlockWorkspace => self.unlock(id, call).into(),
            Route::CurrentStateVersion => self.show_current_state_version(call).into(),
            Route::CurrentOutputs => self.list_current_outputs(call).into(),
            Route::ListStateVersions => self.list_state_versions(call).into(),
            Route::ShowStateVersion => self.show_state_version(self.state_versions.get(id), call).into(),
            Route::ListOutputs => self.list_outputs(self.state_versions.get(id), call).into(),
            Route::DownloadState => self.download_state(id).into(),
            Route::Archivist => self.download_object(id).into(),
            Route::CreateRun => self.create_run_asked(call, caller).into(),
            Route::ShowRun => self.show_run(call).into(),
            Route::ListRuns => self.list_runs(call).into(),
            Route::ListOrganizationRuns => self.list_organization_runs(call).into(),
            Route::ApplyRun | Route::DiscardRun | Route::CancelRun | Route::ForceCancelRun => {
                self.steer_run(call, caller).into()
            }
            Route::CreateNotificationConfiguration | Route::CreateProjectNotificationConfiguration => {
                self.create_configuration(call)
            }
            Route::ListNotificationConfigurations | Route::ListProjectNotificationConfigurations => {
                self.list_configurations(call).into()
            }
            Route::ShowNotificationConfiguration => self.show_configuration(id).into(),
            Route::UpdateNotificationConfiguration => self.update_configuration(call),
            Route::DeleteNotificationConfiguration => self.delete_configuration(id).into(),
            Route::VerifyNotificationConfiguration => self.verify_configuration(id),
            Route::PlanJson => self.redirect_to_plan(id).into(),
            Route::DownloadConfiguration => self.redirect_to_configuration(id).into(),
            Route::ListTaskStages => self.list_task_stages(call).into(),
            Route::ShowTaskResult => self.show_task_result(id).into(),
            Route::TaskResultCallback => self.callback(call, caller).into(),
            Route::CreateRunTask
            | Route::ListRunTasks
            | Route::ShowRunTask
            | Route::UpdateRunTask
            | Route::DeleteRunTask
            | Route::CreateWorkspaceRunTask
            | Route::ListWorkspaceRunTasks
            | Route::UpdateWorkspaceRunTask
            | Route::DeleteWorkspaceRunTask => self.manage_tasks(call),
            Route::Any | Route::Unknown => Reply::not_found().into(),
        }
    }
}
