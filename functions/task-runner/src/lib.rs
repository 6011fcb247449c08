//! task-runner: the checks of a run task, and the one answer that becomes of them.

pub mod rego;
