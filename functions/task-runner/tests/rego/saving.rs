//! What is found when a policy is saved.

use sluice_task_runner::rego::{Namespaces, Policy, PolicyError, check};

use super::{Test, policies, policy};

pub const TESTS: &[Test] = &[
    ("a_slip_is_told_by_module_and_line", a_slip_is_told_by_module_and_line),
    ("a_slip_in_an_old_module_is_told_in_its_own_grammar", a_slip_in_an_old_module_is_told_in_its_own_grammar),
    ("an_unsafe_variable_is_found", an_unsafe_variable_is_found),
    ("a_function_that_does_not_exist_is_found", a_function_that_does_not_exist_is_found),
    ("functions_of_modules_and_imports_exist", functions_of_modules_and_imports_exist),
    ("nothing_that_reaches_out_can_be_called", nothing_that_reaches_out_can_be_called),
    ("a_policy_without_rules_is_refused", a_policy_without_rules_is_refused),
    ("rules_that_refer_to_themselves_are_told", rules_that_refer_to_themselves_are_told),
    ("a_stored_policy_reads_as_it_was_written", a_stored_policy_reads_as_it_was_written),
];

#[track_caller]
fn refused(policy: &Policy) -> String {
    check(policy, &Namespaces::default()).unwrap_err().to_string()
}

#[track_caller]
fn starts(told: &str, expected: &str) {
    assert!(told.starts_with(expected), "{told}");
}

fn a_slip_is_told_by_module_and_line() {
    let told = refused(&policies(&[
        ("good.rego", "package main\nimport rego.v1\ndeny contains \"x\" if true\n"),
        ("tags.rego", "package main\nimport rego.v1\n\ndeny contains msg if {\n    msg := \"a\" +\n}\n"),
    ]));
    starts(&told, "tags.rego:5:9: expecting");
}

fn a_slip_in_an_old_module_is_told_in_its_own_grammar() {
    let told = refused(&policy("package main\n\ndeny[msg] {\n    msg := )\n}\n"));
    starts(&told, "policy/main.rego:3:11: expecting");
}

fn an_unsafe_variable_is_found() {
    let told = refused(&policy("package main\nimport rego.v1\ndeny contains msg if input.a == other\n"));
    starts(&told, "policy/main.rego:3:");
    assert!(told.contains("unsafe"), "{told}");
}

fn a_function_that_does_not_exist_is_found() {
    let source = "package main\nimport rego.v1\ndeny contains \"m\" if {\n    input.rare\n    [x | x := lenght(input)] != []\n}\n";
    assert_eq!(refused(&policy(source)), "policy/main.rego:5:21: there is no function lenght");
}

fn functions_of_modules_and_imports_exist() {
    let policy = policies(&[
        ("lib.rego", "package lib.aws\nimport rego.v1\npublic(x) if x.acl == \"public\"\ndefault size(_) := 0\n"),
        (
            "main.rego",
            "package main\nimport rego.v1\nimport data.lib.aws\nimport data.lib.aws as a\nimport data.lib.aws.public\n\
            deny contains \"m\" if {\n aws.public(input)\n a.public(input)\n public(input)\n data.lib.aws.public(input)\n\
             own(input)\n a.size(input) > 1\n}\nown(x) if x\n",
        ),
    ]);
    check(&policy, &Namespaces::default()).unwrap();
}

fn nothing_that_reaches_out_can_be_called() {
    for call in ["http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"})", "opa.runtime()"] {
        let told = refused(&policy(&format!("package main\ndeny[x] {{ x := {call} }}\n")));
        assert!(told.contains("cannot be called here"), "{told}");
    }
}

fn a_policy_without_rules_is_refused() {
    let elsewhere = policy("package terraform\ndeny[\"x\"] { true }\n");
    let error = check(&elsewhere, &Namespaces::default()).unwrap_err();
    assert!(matches!(error, PolicyError::NoRules { .. }), "{error}");
    check(&elsewhere, &Namespaces(vec!["terraform".to_owned()])).unwrap();
    assert!(check(&Policy::default(), &Namespaces(vec!["*".to_owned()])).is_err());
}

fn rules_that_refer_to_themselves_are_told() {
    let functions =
        "package main\nimport rego.v1\ndeny contains msg if { msg := f(input) }\nf(x) := g(x)\ng(x) := f(x)\n";
    assert_eq!(refused(&policy(functions)), "policy/main.rego:4:10: function data.main.f calls itself");
    let rules = "package main\nimport rego.v1\ndeny contains msg if { msg := a }\na := b\nb := a\n";
    let error = super::evaluate(&policy(rules), &super::plan()).unwrap_err().to_string();
    assert_eq!(error, "the policy is wrong: policy/main.rego:4:1: it refers to itself");
}

fn a_stored_policy_reads_as_it_was_written() {
    let stored = r#"{"modules":{"main.rego":"package main\n"},"data":{"a":1}}"#;
    let policy: Policy = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&policy).unwrap(), stored);
    assert!(serde_json::from_str::<Policy>(r#"{"modules":{},"modles":{}}"#).is_err());
}
