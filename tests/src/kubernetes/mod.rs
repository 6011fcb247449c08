//! Kubernetes, as far as job checks see it, where no real cluster is there: an API server with its controllers, and a
//! kubelet that runs containers as local processes.
//!
//! [`Cluster`] is the control plane: Jobs, Pods and their logs, Secrets and a few more, stored as JSON, with the
//! defaults, the refusals, the watches and the controllers of the real one. After each change the controllers run to
//! their end before the next request is served, and the clock can be moved, so no test waits for either. [`Kubelet`]
//! speaks to any API server, also to a real one.
//!
//! What is left out: server-side apply and JSON patches (415), lists in pages, roles other than that of a pod's own
//! account, init containers, probes, restarts of containers, affinity, indexed jobs, success and failure policies.

mod api;
mod control;
mod core;
mod faults;
mod handle;
mod kubelet;
mod quantity;
mod real;

#[cfg(test)]
mod tests;

pub use faults::{Fault, Mishap};
pub use handle::{Cluster, RequestRecord};
pub use kubelet::{Ending, Image, Kubelet, KubeletOptions};
