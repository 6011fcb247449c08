//! Onboarding: what HCP Terraform must have for Sluice to hear of runs and to be asked about them, and the steps from
//! what it has to that.
//!
//! The steps are plain functions over what was found ([`plan_notifications`], [`plan_run_task`]): the same things found
//! give the same steps, and what is right already gives none. So whoever is stopped in the middle begins again.

mod choice;
mod endpoint;
mod found;
mod notifications;
mod paced;
mod port;
mod run_tasks;
#[cfg(test)]
mod tests;
mod triggers;

pub use choice::Choice;
pub use endpoint::{Endpoint, InvalidEndpoint, host_of};
pub use found::{
    Account, AttachmentFound, DeliveryResponse, Entitlements, GlobalTask, Instance, NotificationFound,
    OrganizationFound, Page, ProjectFound, RunTaskFound, Subscriber, TokenKind, WorkspaceMay, WorkspaceSeen,
};
pub use notifications::{
    CONFIGURATIONS_MAX, NotificationAim, NotificationPlan, NotificationStep, Refusal, Repair, plan_notifications, tells,
};
pub use port::{AttachmentSettings, NotificationSettings, Onboarding, RunTaskSettings};
pub use run_tasks::{
    AttachmentStep, RunTaskAim, RunTaskPlan, RunTaskStep, TaskRepair, enforcement_of, plan_run_task,
    plan_run_task_removal,
};
pub use triggers::TriggerWords;
