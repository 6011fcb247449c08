//! What a configuration reads and uses, expression by expression.

use serde_json::{Value, json};

use super::*;

/// References as Terraform lists them: each in full, and then all that it begins with.
fn listed(references: &[&str]) -> Value {
    let mut list = Vec::new();
    for reference in references {
        let mut rest = *reference;
        list.push(rest.to_owned());
        while let Some(at) = rest.rfind(['.', '[']).filter(|at| rest[..*at].matches('.').count() >= 2) {
            rest = &rest[..at];
            list.push(rest.to_owned());
        }
    }
    json!({ "references": list })
}

fn data(kind: &str, name: &str) -> Value {
    let (remote, workspace) = (json!({"organization": "acme", "workspaces": {"name": name}}), json!(name));
    let expressions = if kind == "tfe_outputs" {
        json!({"organization": {"constant_value": "acme"}, "workspace": {"constant_value": workspace}})
    } else {
        json!({"backend": {"constant_value": "remote"}, "config": {"constant_value": remote}})
    };
    let address = format!("data.{kind}.{name}");
    json!({"address": address, "mode": "data", "type": kind, "name": name, "expressions": expressions})
}

fn plan(root: &Value) -> String {
    json!({"format_version": "1.2", "terraform_version": "1.11.4", "configuration": {"root_module": root}}).to_string()
}

/// What is used by a root module with the data source `net` and outputs that refer so.
#[track_caller]
fn check(kind: &str, references: &[&str], expected: &str) {
    let root = json!({"resources": [data(kind, "net")], "outputs": {"o": {"expression": listed(references)}}});
    let findings = told_by(&plan(&root)).unwrap();
    assert_eq!(reads(&findings), format!("net data.{kind}.net: {expected}\n"), "{references:?}");
}

const NET: &str = "data.terraform_remote_state.net";

#[test]
fn a_reference_in_full_counts_and_what_it_begins_with_does_not() {
    let one = |tail: &str| format!("{NET}{tail}");
    let cases: [(&[&str], &str); 11] = [
        (&[".outputs.id"], "id"),
        (&[".outputs.zone.name"], "zone"),
        (&[".outputs[\"zone\"].name", ".outputs.id"], "id zone"),
        (&["[0].outputs.id[0]"], "id"),
        (&["[\"a.b]\\\"\"].outputs.id"], "id"),
        (&[".outputs.id", ".outputs"], "*"),
        (&[".outputs.id", ""], "*"),
        (&["", ".outputs.id"], "*"),
        (&[".outputs[0]"], "*"),
        (&[".outputs[\"a\\\"b\"]"], "*"),
        (&[".config.path"], "*"),
    ];
    for (tails, expected) in cases {
        let references: Vec<String> = tails.iter().map(|tail| one(tail)).collect();
        check("terraform_remote_state", &references.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
    check("terraform_remote_state", &["data.terraform_remote_state.network.outputs.id"], "");
    check("terraform_remote_state", &[], "");
}

#[test]
fn the_same_reference_twice_is_not_its_own_beginning() {
    let twice = json!({"references": [format!("{NET}.outputs.id"), format!("{NET}.outputs"), NET, NET]});
    let root = json!({"resources": [data("terraform_remote_state", "net")], "outputs": {"o": {"expression": twice}}});
    assert_eq!(reads(&told_by(&plan(&root)).unwrap()), format!("net {NET}: *\n"));
}

#[test]
fn tfe_outputs_has_two_names_for_them() {
    check(
        "tfe_outputs",
        &["data.tfe_outputs.net.values.id", "data.tfe_outputs.net.nonsensitive_values.zone"],
        "id zone",
    );
    check("tfe_outputs", &["data.tfe_outputs.net.values"], "*");
    check("tfe_outputs", &["data.tfe_outputs.net.outputs.id"], "*");
}

#[test]
fn expressions_are_found_wherever_they_are() {
    let uses = |output: &str| listed(&[&format!("{NET}.outputs.{output}")]);
    let resource = json!({
        "address": "t.a", "mode": "managed", "type": "t", "name": "a",
        "expressions": {"a": uses("argument"), "block": [{"b": [{"references": uses("nested")}]}]},
        "provisioners": [{"type": "local-exec", "expressions": {"command": uses("provisioner")}}],
        "count_expression": uses("count"), "for_each_expression": uses("for_each"),
        "depends_on": [NET],
    });
    let call = json!({"source": "./m", "expressions": {"x": uses("call")}, "for_each_expression": uses("called"),
                      "depends_on": [NET], "module": {"outputs": {"o": {"expression": uses("another_module")}}}});
    let root = json!({"resources": [data("terraform_remote_state", "net"), resource], "module_calls": {"m": call}});
    let provider = json!({"aws": {"name": "aws", "expressions": {"region": uses("provider")}}});
    let plan = json!({"format_version": "1.2", "configuration": {"provider_config": provider, "root_module": root}});
    let findings = told_by(&plan.to_string()).unwrap();
    let expected = "argument call called count for_each nested provider provisioner";
    assert_eq!(reads(&findings), format!("net {NET}: {expected}\n"));
}

#[test]
fn a_module_with_local_values_may_use_anything() {
    let local = json!({"o": {"expression": {"references": ["local.id"]}}});
    let plain = json!({"o": {"expression": listed(&[&format!("{NET}.outputs.id")])}});
    let data = [data("terraform_remote_state", "net")];
    let child = json!({"resources": data, "outputs": plain});
    let root = json!({"resources": data, "outputs": local, "module_calls": {"m": {"module": child}}});
    assert_eq!(reads(&told_by(&plan(&root)).unwrap()), format!("net {NET},module.m.{NET}: *\n"));
    let root = json!({"outputs": local, "module_calls": {"m": {"module": child}}});
    assert_eq!(reads(&told_by(&plan(&root)).unwrap()), format!("net module.m.{NET}: id\n"));
}

#[test]
fn a_list_that_no_argument_gives_may_be_dynamic_blocks() {
    let told = |values: Value, expressions: Value| {
        let resource = json!({"address": "t.a", "mode": "managed", "type": "t", "name": "a"});
        let with = |key: &str, value: Value| {
            let mut resource = resource.clone();
            resource[key] = value;
            resource
        };
        let root = json!({"resources": [data("terraform_remote_state", "net"), with("expressions", expressions)]});
        let state = json!({"root_module": {"resources": [with("values", values)]}});
        let plan = json!({"format_version": "1.2", "planned_values": state, "configuration": {"root_module": root}});
        reads(&told_by(&plan.to_string()).unwrap()).trim_end().rsplit_once(": ").map_or(String::new(), |it| it.1.into())
    };
    let argument = json!({"l": {"constant_value": []}});
    let block = json!({"l": [{"a": {"constant_value": 1}}]});
    assert_eq!(told(json!({"l": []}), json!({})), "*");
    assert_eq!(told(json!({"l": [{"a": 1}]}), json!({})), "*");
    assert_eq!(told(json!({"l": [{"a": 1}]}), block), "*", "another one beside it may be dynamic");
    assert_eq!(told(json!({"l": [{"a": 1}]}), argument), "");
    assert_eq!(told(json!({"l": ["a"], "m": {}, "s": "a", "n": null}), json!({})), "");
}

#[test]
fn what_is_read_is_found_in_the_state_or_where_it_is_planned() {
    let root = json!({"resources": [data("terraform_remote_state", "net")]});
    let instance = |name: &str| {
        let config = json!({"organization": "acme", "token": "hunter2", "workspaces": {"name": name}});
        json!({"backend": "remote", "config": config, "workspace": null, "outputs": {"secret": "hunter2"}})
    };
    let resource = |key: &str, value: Value| {
        let mut it = json!({"address": NET, "mode": "data", "type": "terraform_remote_state", "name": "net"});
        it[key] = value;
        it
    };
    let told = |changes: Value| {
        let prior = json!({"values": {"root_module": {"resources": [resource("values", instance("before"))]}}});
        let plan = json!({"format_version": "1.2", "prior_state": prior, "resource_changes": [changes],
                          "configuration": {"root_module": root}});
        let findings = told_by(&plan.to_string()).unwrap();
        assert!(!format!("{findings:?}").contains("hunter2"));
        (reads(&findings), findings.lesson().is_some())
    };
    let change = |after: Value, unknown: Value| {
        resource("change", json!({"actions": ["read"], "after": after, "after_unknown": unknown}))
    };
    let both = format!("after {NET}: \nbefore {NET}: \n");
    assert_eq!(told(change(instance("after"), json!({"outputs": true, "config": {"workspaces": {}}}))), (both, true));
    let unknown = json!({"config": {"workspaces": {"name": true}}, "outputs": true});
    assert_eq!(told(change(json!({}), unknown)), (String::new(), false), "what it reads is not known yet");
}

#[test]
fn what_cannot_be_resolved_keeps_a_plan_from_teaching() {
    let mut follows = data("terraform_remote_state", "net");
    follows["expressions"]["config"] = json!({"references": ["var.net"]});
    let findings = told_by(&plan(&json!({"resources": [follows.clone()]}))).unwrap();
    assert_eq!((findings.unresolved.len(), findings.lesson()), (1, None));
    follows["count_expression"] = json!({"references": ["var.many"]});
    let findings = told_by(&plan(&json!({"resources": [follows]}))).unwrap();
    assert!(findings.unresolved.is_empty() && findings.lesson().is_some(), "there may be none of it");
    let mut elsewhere = data("terraform_remote_state", "net");
    elsewhere["expressions"]["backend"] = json!({"constant_value": "s3"});
    let findings = told_by(&plan(&json!({"resources": [elsewhere]}))).unwrap();
    assert!(findings.reads.is_empty() && findings.lesson().is_some());
}

#[test]
fn a_plan_that_failed_or_has_a_target_teaches_nothing() {
    for flag in [json!({"errored": true}), json!({"complete": false})] {
        let mut plan = json!({"format_version": "1.2"});
        plan.as_object_mut().unwrap().extend(flag.as_object().unwrap().clone());
        assert_eq!(told_by(&plan.to_string()).unwrap().lesson(), None);
    }
}

#[test]
fn changes_are_counted_and_outputs_told() {
    let change = |actions: Value| json!({"address": "t.a", "mode": "managed", "type": "t", "change": actions});
    let changes = [
        change(json!({"actions": ["delete", "create"]})),
        change(json!({"actions": ["create", "delete"], "importing": {"id": "i"}})),
        change(json!({"actions": ["update"]})),
        change(json!({"actions": ["delete"]})),
        change(json!({"actions": ["forget"]})),
        change(json!({"actions": ["invoke"]})),
    ];
    let outputs = json!({
        "same": {"actions": ["no-op"], "after_unknown": false}, "new": {"actions": ["create"], "after": "hunter2"},
        "gone": {"actions": ["delete"]}, "other": {"actions": ["update"], "after_unknown": {"a": [false, true]}},
    });
    let plan = json!({"format_version": "1.2", "resource_changes": changes, "output_changes": outputs});
    let findings = told_by(&plan.to_string()).unwrap();
    let text = serde_json::to_string(&(findings.actions, findings.outputs)).unwrap();
    let expected = concat!(
        r#"[{"create":0,"update":1,"delete":1,"replace":2,"no_op":0,"read":0,"forget":1,"import":1,"other":1},"#,
        r#"{"gone":{"action":"deleted","after_unknown":false},"new":{"action":"created","after_unknown":false},"#,
        r#""other":{"action":"updated","after_unknown":true}}]"#
    );
    assert_eq!(text, expected);
}
