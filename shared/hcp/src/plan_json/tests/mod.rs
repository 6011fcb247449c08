//! Plans as Terraform writes them, in whatever shape they arrive.

mod files;
mod hostile;
mod uses;

use sluice_domain::{PlanFindings, TaughtRead};

use super::{PlanError, read};

fn told_by(plan: &str) -> Result<PlanFindings, PlanError> {
    read(plan.as_bytes(), &"app.terraform.io/acme/app".parse().unwrap())
}

/// `net data.a,data.b: id zone`, one workspace to a line; `*` is whatever there is.
fn reads(findings: &PlanFindings) -> String {
    let line = |(name, read): (&sluice_domain::Workspace, &TaughtRead)| {
        let addresses: Vec<&str> = read.addresses.iter().map(String::as_str).collect();
        let uses = read.uses.as_ref().map(|uses| uses.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
        format!("{} {}: {}\n", name.name, addresses.join(","), uses.as_deref().unwrap_or("*"))
    };
    findings.reads.iter().map(line).collect()
}
