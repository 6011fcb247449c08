//! Plans that terraform 1.11.4 made; where their data sources read was changed to an organization afterwards.

use std::fmt::Write;

use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check(plan: &str, expected: &Expect) {
    let findings = told_by(plan).unwrap();
    let mut text = reads(&findings);
    for (name, change) in &findings.outputs {
        let unknown = if change.after_unknown { ", not known before apply" } else { "" };
        let _ = writeln!(text, "output {name}: {:?}{unknown}", change.action);
    }
    for address in &findings.unresolved {
        let _ = writeln!(text, "unresolved {address}");
    }
    let counts = findings.actions;
    let _ = writeln!(text, "create {} read {} no-op {}", counts.create, counts.read, counts.no_op);
    let flags = (findings.applyable, findings.complete, findings.errored);
    let _ = writeln!(text, "{} {flags:?}", findings.terraform_version);
    expected.assert_eq(&text);
    assert!(!format!("{findings:?}").contains("hunter2"), "it keeps no value");
}

#[test]
fn a_first_plan() {
    check(
        include_str!("../../../fixtures/plan-first-apply.json"),
        &expect![[r#"
        counted data.terraform_remote_state.counted[0]: *
        dns module.plain.data.terraform_remote_state.dns: *
        each-a data.terraform_remote_state.each["a"]: *
        each-b data.terraform_remote_state.each["b"]: *
        later module.zone["x"].data.terraform_remote_state.later: *
        net data.terraform_remote_state.net: *
        unused data.terraform_remote_state.unused: *
        zone module.zone["x"].data.terraform_remote_state.dns: *
        output id: Created
        output later: Created, not known before apply
        output secret: Created
        create 5 read 1 no-op 0
        1.11.4 (Some(true), Some(true), false)
    "#]],
    );
}

#[test]
fn a_plan_without_changes() {
    check(
        include_str!("../../../fixtures/plan-no-changes.json"),
        &expect![[r#"
        counted data.terraform_remote_state.counted[0]: id unused
        dns module.plain.data.terraform_remote_state.dns: id zone
        each-a data.terraform_remote_state.each["a"]: *
        each-b data.terraform_remote_state.each["b"]: *
        later module.zone["x"].data.terraform_remote_state.later: *
        net data.terraform_remote_state.net: cidrs id secret zone
        unused data.terraform_remote_state.unused: 
        zone module.zone["x"].data.terraform_remote_state.dns: *
        create 0 read 0 no-op 5
        1.11.4 (Some(false), Some(true), false)
    "#]],
    );
}

#[test]
fn what_is_only_left_in_the_state_is_not_read() {
    let before = told_by(include_str!("../../../fixtures/plan-no-changes.json")).unwrap();
    let after = told_by(include_str!("../../../fixtures/plan-data-source-removed.json")).unwrap();
    let gone: Vec<_> = before.reads.keys().filter(|name| !after.reads.contains_key(name)).collect();
    assert_eq!(gone.iter().map(|name| name.name.as_str()).collect::<Vec<_>>(), ["unused"]);
}

#[test]
fn a_dynamic_block_may_use_anything() {
    let plan = include_str!("../../../fixtures/plan-dynamic-block.json");
    assert!(!plan.contains("outputs.cidrs"), "terraform leaves out what a dynamic block refers to");
    check(
        plan,
        &expect![[r"
        net data.terraform_remote_state.net: *
        create 1 read 0 no-op 0
        1.11.4 (Some(true), Some(true), false)
    "]],
    );
}
