//! What a scan says, in the domain's words: references gathered by the workspace they read.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::{Findings, Found, Read, Workspace};
use sluice_hcp::state::{Reference, Scan, Source};
use tracing::debug;

use crate::download::Wanted;

/// What the state of `workspace` says.
pub(crate) fn findings(scan: Scan, workspace: &Workspace, wanted: Wanted) -> Findings {
    let producers = (wanted == Wanted::All).then(|| producers(scan.references, workspace));
    Findings { lineage: scan.lineage, outputs: scan.outputs, producers, empty: scan.empty }
}

/// What is read of one workspace, and the outputs that two copies disagree about.
#[derive(Default)]
struct Gathered {
    read: Read,
    disputed: BTreeSet<String>,
}

fn producers(references: Vec<Reference>, workspace: &Workspace) -> BTreeMap<Workspace, Read> {
    let mut gathered: BTreeMap<Workspace, Gathered> = BTreeMap::new();
    for reference in references {
        if let Ok(producer) = reference.resolve(&workspace.host, &workspace.organization) {
            gathered.entry(producer).or_default().take(reference);
        } else {
            // Why may quote the configuration, so it is not logged.
            debug!("skipped {}: it reads no workspace that can be named", reference.address);
        }
    }
    gathered.into_iter().map(|(producer, gathered)| (producer, gathered.read())).collect()
}

impl Gathered {
    fn take(&mut self, Reference { address, source, observed }: Reference) {
        self.read.found.insert(match source {
            Source::RemoteState { .. } => Found::RemoteState,
            Source::TfeOutputs { .. } => Found::TfeOutputs,
        });
        self.read.addresses.insert(address);
        for (output, digest) in observed {
            if self.read.observed.get(&output).is_some_and(|other| *other != digest) {
                self.disputed.insert(output);
            } else {
                self.read.observed.insert(output, digest);
            }
        }
    }

    fn read(self) -> Read {
        let Self { mut read, disputed } = self;
        read.observed.retain(|output, _| !disputed.contains(output));
        read
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::Digest;
    use sluice_hcp::state::Selection;

    use super::*;

    fn remote(address: &str, workspace: &str, observed: &[(&str, u8)]) -> Reference {
        let source = Source::RemoteState {
            backend: "remote".to_owned(),
            hostname: None,
            organization: Some("acme".to_owned()),
            workspaces: Selection::Name(workspace.to_owned()),
            workspace: None,
        };
        reference(address, source, observed)
    }

    fn reference(address: &str, source: Source, observed: &[(&str, u8)]) -> Reference {
        let observed = observed.iter().map(|(output, digest)| ((*output).to_owned(), Digest([*digest; 16])));
        Reference { address: address.to_owned(), source, observed: observed.collect() }
    }

    /// `workspace: addresses: outputs=first byte of the digest`, one line each.
    fn told(references: Vec<Reference>) -> String {
        let workspace = "app.terraform.io/acme/app".parse().unwrap();
        let lines = producers(references, &workspace).into_iter().map(|(producer, read)| {
            let addresses: Vec<_> = read.addresses.into_iter().collect();
            let observed: Vec<_> =
                read.observed.iter().map(|(name, digest)| format!("{name}={}", digest.0[0])).collect();
            format!("{producer} {:?} {}: {}\n", read.found, addresses.join(","), observed.join(","))
        });
        lines.collect()
    }

    #[test]
    fn references_to_one_workspace_become_one() {
        let tfe = Source::TfeOutputs { organization: Some("acme".to_owned()), workspace: Some("net".to_owned()) };
        let references = vec![
            remote("a", "net", &[("vpc", 1), ("zone", 2)]),
            remote("b", "dns", &[("zone", 9)]),
            reference("c", tfe, &[("vpc", 1), ("cidr", 3)]),
        ];
        assert_eq!(
            told(references),
            "app.terraform.io/acme/dns {RemoteState} b: zone=9\n\
             app.terraform.io/acme/net {RemoteState, TfeOutputs} a,c: cidr=3,vpc=1,zone=2\n"
        );
    }

    #[test]
    fn an_output_that_copies_disagree_about_is_left_out_whatever_a_third_says() {
        for order in [[1, 2, 1], [1, 1, 2], [2, 1, 1], [1, 2, 3]] {
            let copies = ["a", "b", "c"].into_iter().zip(order);
            let references = copies.map(|(address, digest)| remote(address, "net", &[("vpc", digest), ("ok", 5)]));
            assert_eq!(told(references.collect()), "app.terraform.io/acme/net {RemoteState} a,b,c: ok=5\n");
        }
    }

    #[test]
    fn a_workspace_may_read_itself_and_what_cannot_be_named_is_skipped() {
        let elsewhere = Source::RemoteState {
            backend: "s3".to_owned(),
            hostname: None,
            organization: None,
            workspaces: Selection::Absent,
            workspace: None,
        };
        let references = vec![remote("a", "app", &[]), reference("b", elsewhere, &[]), remote("c", "not a name", &[])];
        assert_eq!(told(references), "app.terraform.io/acme/app {RemoteState} a: \n");
    }
}
