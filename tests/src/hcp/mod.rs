//! A simulated HCP Terraform: stateful, over real HTTP on the loopback, with faults as data.
//!
//! It knows organizations, workspaces with their programs, runs and their queues, state versions in Terraform's own
//! format, plans as JSON, signed notifications, and run tasks. Tests run whole waves against it, and the demo shows one.
//!
//! It is deterministic but for the clock: ids are counted, faults are counted, nothing is random.

mod api;
mod clock;
mod control;
mod core;
mod evaluate;
mod faults;
mod handle;
mod limits;
mod model;
pub(crate) mod notify;
mod onboarding;
mod options;
mod plan;
mod program;
mod render_configuration;
mod render_plan;
mod render_state;
mod runs;
pub mod scenario;
mod spec;
mod summary;
mod tasks;
mod view;

#[cfg(test)]
mod tests;

pub use api::Route;
pub use faults::{
    ApiFault, ApiMishap, Faults, Notice, NotificationFault, NotificationMishap, Predicate, TaskRequestFault,
    TaskRequestMishap, When,
};
pub use handle::Hcp;
pub use model::{Failures, RunOptions};
pub use notify::{RUN_TRIGGERS, sign};
pub use onboarding::{AttachmentView, NotificationView, RunTaskView};
pub use options::{Downloads, Limits, Options, Plans, Rights, Server, Timings, TokenKind};
pub use program::{Backend, By, Output, OutputSource, Program, Read, ReadKind};
pub use spec::WorkspaceSpec;
pub use tasks::{
    Enforcement, RunTaskSpec, Stage, TaskCallback, TaskOptions, TaskRequest, TaskResultStatus, TaskResultView,
};
pub use view::{Delivery, Event, Exceeded, Leak, Outcome, RequestRecord, RunStatus, RunView};
