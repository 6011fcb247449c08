//! A demo organization, small enough to see whole and with every shape that matters in it.

use serde_json::json;

use super::handle::Hcp;
use super::program::{Output, Read};
use super::spec::WorkspaceSpec;

/// Who plays which part in [`acme`]; all names are workspaces of the default organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acme {
    /// Where a change begins; everything is below it.
    pub root: &'static str,
    /// The output of the root that all others follow.
    pub root_output: &'static str,
    /// Two read the root, and the last reads both.
    pub diamond: [&'static str; 4],
    /// Each reads the one before it.
    pub chain: [&'static str; 4],
    /// Each reads the root alone, and nobody reads them.
    pub leaves: [&'static str; 3],
    /// It reads the root and applies again with it, but its outputs stay the same.
    pub cut_off: &'static str,
    /// It reads the cut-off alone: it must not run when the root changes.
    pub below_cut_off: &'static str,
    /// They read each other, and the first reads the root: it has to run once, the second must not.
    pub cycle: [&'static str; 2],
}

impl Acme {
    /// The workspaces that have to run, once each, after the root's output has changed.
    #[must_use]
    pub fn affected(&self) -> Vec<&'static str> {
        let mut affected = vec![self.cut_off];
        affected.extend(&self.diamond[1..]);
        affected.extend(&self.chain[1..]);
        affected.extend(self.leaves);
        affected.push(self.cycle[0]);
        affected.sort_unstable();
        affected
    }

    /// The workspaces that must not run then.
    #[must_use]
    pub fn unaffected(&self) -> Vec<&'static str> {
        vec![self.below_cut_off, self.cycle[1]]
    }
}

const ACME: Acme = Acme {
    root: "network",
    root_output: "vpc_id",
    diamond: ["network", "cluster-prod", "database", "storefront"],
    chain: ["network", "dns", "certificates", "edge"],
    leaves: ["billing", "reports", "search"],
    cut_off: "vault",
    below_cut_off: "secrets-sync",
    cycle: ["peering-east", "peering-west"],
};

/// Builds the organization and gives every workspace its first state.
#[expect(clippy::must_use_candidate, reason = "it is called for what it builds")]
pub fn acme(hcp: &Hcp) -> Acme {
    let reads = Reads { host: hcp.host(), organization: hcp.organization() };
    for spec in [root()].into_iter().chain(diamond(&reads)).chain(chain(&reads)).chain(leaves(&reads)) {
        add(hcp, spec);
    }
    for spec in cut_off(&reads) {
        add(hcp, spec);
    }
    cycle(hcp, &reads);
    ACME
}

/// How these workspaces read from each other: in every way there is.
struct Reads {
    host: String,
    organization: String,
}

impl Reads {
    fn remote(&self, workspace: &str) -> Read {
        Read::remote(&named(workspace), &self.organization, workspace).hostname(&self.host)
    }

    fn cloud(&self, workspace: &str) -> Read {
        Read::cloud(&named(workspace), &self.organization, workspace).hostname(&self.host)
    }

    fn prefix(&self, name: &str, prefix: &str, workspace: &str) -> Read {
        Read::prefix(name, &self.organization, prefix, workspace).hostname(&self.host)
    }

    fn outputs(&self, workspace: &str) -> Read {
        Read::tfe_outputs(&named(workspace), &self.organization, workspace)
    }
}

fn named(workspace: &str) -> String {
    workspace.replace('-', "_")
}

fn add(hcp: &Hcp, spec: WorkspaceSpec) {
    let id = hcp.add_workspace(spec);
    hcp.apply_now(&id);
}

fn workspace(name: &str) -> WorkspaceSpec {
    WorkspaceSpec::new(name).auto_apply(true)
}

fn root() -> WorkspaceSpec {
    workspace("network")
        .tag("core")
        .output("vpc_id", Output::fixed("vpc-0a1b2c"))
        .output("cidr", Output::fixed("10.0.0.0/16"))
        .output("subnets", Output::fixed(json!({ "private": ["subnet-1", "subnet-2"], "public": ["subnet-3"] })))
}

fn diamond(reads: &Reads) -> [WorkspaceSpec; 3] {
    let cluster = workspace("cluster-prod").tag("platform").reads(reads.remote("network"));
    let database = workspace("database").tag("platform").reads(reads.cloud("network"));
    let storefront = workspace("storefront").tag("product");
    [
        cluster.output("endpoint", Output::from_reads()).output("version", Output::fixed("1.34")),
        database
            .output("address", Output::from_reads())
            .output("password", Output::fixed("not-a-real-one").sensitive()),
        storefront
            .reads(reads.prefix("cluster", "cluster-", "prod"))
            .reads(reads.outputs("database"))
            .output("url", Output::from_reads()),
    ]
}

fn chain(reads: &Reads) -> [WorkspaceSpec; 3] {
    let link = |name: &str, before: Read, output: &str| {
        workspace(name).tag("edge").reads(before).output(output, Output::from_reads())
    };
    [
        link("dns", reads.remote("network"), "zone_id"),
        link("certificates", reads.cloud("dns"), "arn"),
        link("edge", reads.outputs("certificates"), "distribution_id"),
    ]
}

fn leaves(reads: &Reads) -> [WorkspaceSpec; 3] {
    let leaf = |name: &str, network: Read| workspace(name).tag("product").reads(network);
    [
        leaf("billing", reads.remote("network")),
        leaf("reports", reads.cloud("network")),
        leaf("search", reads.outputs("network")),
    ]
}

fn cut_off(reads: &Reads) -> [WorkspaceSpec; 2] {
    let address = Output::fixed("https://vault.acme.example");
    [
        workspace("vault").tag("platform").reads(reads.remote("network")).output("address", address),
        workspace("secrets-sync").tag("platform").reads(reads.remote("vault")),
    ]
}

/// A cycle cannot be applied as a whole: the first of the two is applied before it reads the second.
fn cycle(hcp: &Hcp, reads: &Reads) {
    let side = |name: &str| workspace(name).tag("core");
    let east = side("peering-east").reads(reads.remote("network"));
    add(hcp, east.output("peer_id", Output::copy("network", "vpc_id")));
    let west = side("peering-west").reads(reads.remote("peering-east"));
    add(hcp, west.output("peer_id", Output::fixed("pcx-west")));
    hcp.edit("peering-east", |program| program.reads.push(reads.remote("peering-west")));
    hcp.apply_now("peering-east");
}
