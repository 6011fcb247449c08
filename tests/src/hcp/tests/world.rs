//! The demo organization is as it is described.

use super::*;

/// Runs what is outdated, wave by wave, until nothing is, and says how many waves there were.
async fn heal(hcp: &Hcp) -> usize {
    for waves in 0..10 {
        let outdated = hcp.outdated();
        if outdated.is_empty() {
            return waves;
        }
        for workspace in outdated.keys() {
            hcp.start_run(workspace, RunOptions::new("caught up"));
        }
        hcp.settled().await;
    }
    panic!("it never ends: {:?}", hcp.outdated());
}

#[tokio::test]
async fn a_change_of_the_root_concerns_all_but_what_is_cut_off() {
    let hcp = start().await;
    let acme = scenario::acme(&hcp);
    assert!(hcp.outdated().is_empty() && hcp.history().is_empty());
    assert_eq!(hcp.workspaces().len(), 14);

    hcp.change(acme.root, acme.root_output, "vpc-9z8y7x");
    hcp.start_run(acme.root, RunOptions::new("new vpc"));
    hcp.settled().await;
    assert_eq!(heal(&hcp).await, 3);
    let ran = |workspace: &&&str| !hcp.runs(workspace).is_empty();
    assert_eq!(acme.affected().iter().filter(ran).count(), acme.affected().len());
    // Whoever runs all that is outdated runs round the cycle too; nobody has a reason to run this one.
    assert!(hcp.runs(acme.below_cut_off).is_empty());
}

#[tokio::test]
async fn the_cycle_is_closed() {
    let hcp = start().await;
    let [east, west] = scenario::acme(&hcp).cycle;
    assert_eq!(hcp.copies(east)["peering_west"], hcp.outputs(west));
    assert_eq!(hcp.copies(west)["peering_east"], hcp.outputs(east));
}
