//! Rego policies as they are written for conftest, evaluated in a process of their own.
//!
//! A policy is somebody else's program over a document that may be large. It is therefore never evaluated where the
//! task is answered: [`Evaluator`] starts a child process, streams the plan into it and reads what it found. The child
//! limits its own memory and processor time before it reads anything, inherits no environment, and is killed when its
//! time is over or nobody waits for it any more. The evaluator itself (the `regorus` crate) has no built-in function
//! that reaches the network, a file or the environment.
//!
//! # What policies see
//!
//! `input` is the plan as Terraform writes it as JSON, so that `input.resource_changes` reads as it does with
//! `conftest test plan.json`. `input.plan` is the same plan, `input.run` the run's metadata and `input.context` what
//! its checks left for each other; a plan that had keys of these three names would have them hidden. At a stage without a plan
//! (`pre_plan`) only `input.run` and `input.context` are there. Data documents are below `data`. Integers are exact up
//! to 64 bits; beyond that, and for fractions, numbers are IEEE doubles.
//!
//! # Which rules count
//!
//! As with conftest: `deny`, `violation` and `warn`, and names that start with one of these and `_`, in the package
//! `main` or the [`Namespaces`] asked for. A rule's elements are messages, or objects with `msg` whose other fields are
//! metadata. `exception` rules name the rules (without `deny_`, `violation_` or `warn_`) that do not count. Modules
//! whose name ends in `_test.rego` are left out. Where conftest passes silently, this does not: a rule that is plainly
//! `true` or a string is a finding, an element that is neither string nor object is an error, and so is a policy none
//! of whose rules are in the namespaces.
//!
//! Modules are read as Rego v1 and, if they are not that, as Rego v0. As in OPA, a built-in function that fails makes
//! its expression undefined.

mod calls;
mod child;
mod evaluator;
mod files;
mod findings;
mod input;
mod module;
mod older;
mod policy;
mod wire;

pub use child::child_main;
pub use evaluator::{EVALUATE_POLICY, EvaluateError, Evaluator, Input, Limits, NoPlan};
pub use files::{FilesError, from_bundle, from_directory};
pub use findings::{FINDINGS_MAX, Finding, Findings};
pub use policy::{Namespaces, Policy, PolicyError, check};

/// The child's life, if this process was started for that: `main` asks before it does anything else.
#[must_use]
pub fn child() -> Option<std::process::ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments.next().is_some_and(|argument| argument == EVALUATE_POLICY) && arguments.next().is_none();
    asked.then(|| child_main(std::io::stdin().lock(), std::io::stdout().lock()))
}
