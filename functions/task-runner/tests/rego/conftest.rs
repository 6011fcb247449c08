//! Policies as they are written for conftest.

use serde_json::{Map, Value, json};
use sluice_task_runner::rego::{Input, Namespaces, NoPlan, Policy};

use super::{Test, evaluate, evaluator, now, plan, policies, policy, run, told};

pub const TESTS: &[Test] = &[
    ("a_public_bucket_is_denied", a_public_bucket_is_denied),
    ("old_syntax_says_the_same", old_syntax_says_the_same),
    ("both_syntaxes_stand_side_by_side", both_syntaxes_stand_side_by_side),
    ("warnings_are_no_denials", warnings_are_no_denials),
    ("metadata_is_carried_along", metadata_is_carried_along),
    ("only_the_namespaces_asked_for_count", only_the_namespaces_asked_for_count),
    ("data_documents_are_below_data", data_documents_are_below_data),
    ("the_run_the_context_and_the_plan_resolve", the_run_the_context_and_the_plan_resolve),
    ("a_stage_without_a_plan_still_has_its_run", a_stage_without_a_plan_still_has_its_run),
    ("built_in_functions_that_people_use", built_in_functions_that_people_use),
    ("built_in_functions_of_older_policies", built_in_functions_of_older_policies),
    ("a_plain_rule_that_is_true_is_a_denial", a_plain_rule_that_is_true_is_a_denial),
    ("brackets_in_v1_mean_what_their_author_meant", brackets_in_v1_mean_what_their_author_meant),
    ("exceptions_let_rules_pass", exceptions_let_rules_pass),
    ("rules_without_result_have_passed", rules_without_result_have_passed),
    ("a_rule_that_gives_a_number_is_an_error", a_rule_that_gives_a_number_is_an_error),
    ("integers_are_exact_up_to_64_bits", integers_are_exact_up_to_64_bits),
    ("findings_are_bounded_and_say_so", findings_are_bounded_and_say_so),
    ("a_builtin_that_fails_is_undefined", a_builtin_that_fails_is_undefined),
    ("a_conflict_is_told_by_place_and_without_values", a_conflict_is_told_by_place_and_without_values),
    ("print_says_nothing", print_says_nothing),
];

const PUBLIC: &str = r#"
package main

import rego.v1

buckets contains change if {
    some change in input.resource_changes
    change.type == "aws_s3_bucket"
    some action in change.change.actions
    action in {"create", "update"}
}

deny contains msg if {
    some bucket in buckets
    startswith(bucket.change.after.acl, "public-")
    msg := sprintf("%s is public (%s)", [bucket.address, bucket.change.after.acl])
}
"#;

const PUBLIC_V0: &str = r#"
package main

deny[msg] {
    bucket := input.resource_changes[_]
    bucket.type == "aws_s3_bucket"
    startswith(bucket.change.after.acl, "public-")
    msg = sprintf("%s is public (%s)", [bucket.address, bucket.change.after.acl])
}
"#;

#[track_caller]
fn check(policy: &Policy, plan: &Value, expected: &[&str]) {
    let findings = evaluate(policy, plan).unwrap();
    assert_eq!(told(&findings), expected);
}

fn a_public_bucket_is_denied() {
    check(&policy(PUBLIC), &plan(), &["denied main.deny: aws_s3_bucket.logs is public (public-read)"]);
    let mut private = plan();
    private["resource_changes"][0]["change"]["after"]["acl"] = json!("private");
    check(&policy(PUBLIC), &private, &[]);
}

fn old_syntax_says_the_same() {
    check(&policy(PUBLIC_V0), &plan(), &["denied main.deny: aws_s3_bucket.logs is public (public-read)"]);
}

fn both_syntaxes_stand_side_by_side() {
    let new = "package main\nimport rego.v1\nwarn contains \"new\" if helper(input)\nhelper(x) if x.applyable\n";
    let old = "package main\nviolation[{\"msg\": msg}] { input.complete; msg := \"old\" }\n";
    let policy = policies(&[("new.rego", new), ("old.rego", old)]);
    check(&policy, &plan(), &["denied main.violation: old", "warned main.warn: new"]);
}

fn warnings_are_no_denials() {
    let tags = r#"
        package main
        import rego.v1
        warn_untagged contains msg if {
            some change in input.resource_changes
            not change.change.after.tags.owner
            msg := sprintf("%v has no owner", [change.address])
        }
        warned contains "no rule that counts" if true
        denylist := ["no rule that counts"]
        deny_message(address) := sprintf("%v", [address])
    "#;
    check(&policy(tags), &plan(), &["warned main.warn_untagged: aws_s3_bucket.backups has no owner"]);
}

fn metadata_is_carried_along() {
    let replaced = r#"
        package main
        import rego.v1
        deny_replaced contains result if {
            some change in input.resource_changes
            change.change.actions == ["delete", "create"]
            result := {
                "msg": sprintf("%s is replaced", [change.address]),
                "id": "DB-1", "severity": "high", "url": "https://policies.example/DB-1",
                "details": {"storage": change.change.after.allocated_storage},
            }
        }
    "#;
    let findings = evaluate(&policy(replaced), &plan()).unwrap();
    assert_eq!(told(&findings), ["denied main.deny_replaced: aws_db_instance.main is replaced"]);
    let expected = json!({"id": "DB-1", "severity": "high", "url": "https://policies.example/DB-1",
        "details": {"storage": 20}});
    assert_eq!(Value::Object(findings.denied[0].metadata.clone()), expected);
}

fn only_the_namespaces_asked_for_count() {
    let policy = policies(&[
        ("main.rego", "package main\nimport rego.v1\ndeny contains \"m\" if true\n"),
        ("tags.rego", "package terraform.tags\nimport rego.v1\ndeny contains \"t\" if true\n"),
        ("tags_test.rego", "package terraform.tags\nthis is no rego\n"),
    ]);
    let asked = |namespaces: &[&str]| {
        let namespaces = Namespaces(namespaces.iter().map(|name| (*name).to_owned()).collect());
        let input = Input { run: run(), context: json!({}), plan: None::<NoPlan> };
        told(&now(evaluator().evaluate(&policy, &namespaces, input)).unwrap())
    };
    assert_eq!(asked(&["main"]), ["denied main.deny: m"]);
    assert_eq!(asked(&["terraform.tags"]), ["denied terraform.tags.deny: t"]);
    assert_eq!(asked(&["*"]), ["denied main.deny: m", "denied terraform.tags.deny: t"]);
}

fn data_documents_are_below_data() {
    let source = r#"
        package main
        import rego.v1
        import data.allowed.engines
        deny contains msg if {
            some change in input.resource_changes
            engine := change.change.after.engine
            not engine in engines
            msg := sprintf("%s is not allowed", [engine])
        }
    "#;
    let mut policy = policy(source);
    policy.data = Map::from_iter([("allowed".to_owned(), json!({"engines": ["mysql"]}))]);
    check(&policy, &plan(), &["denied main.deny: postgres is not allowed"]);
    policy.data = Map::from_iter([("allowed".to_owned(), json!({"engines": ["mysql", "postgres"]}))]);
    check(&policy, &plan(), &[]);
}

fn the_run_the_context_and_the_plan_resolve() {
    let source = r#"
        package main
        deny[msg] {
            input.plan.resource_changes == input.resource_changes
            msg := sprintf("%s sets off %v", [input.run.workspace_name, input.context.consumers])
        }
    "#;
    check(&policy(source), &plan(), &[r#"denied main.deny: network sets off ["ws-2"]"#]);
    let mut hiding = plan();
    hiding["run"] = json!("the plan's own");
    check(&policy(source), &hiding, &[r#"denied main.deny: network sets off ["ws-2"]"#]);
}

fn a_stage_without_a_plan_still_has_its_run() {
    let source = "package main\ndeny[msg] { not input.plan; msg := input.run.run_id }\n";
    let input = Input { run: run(), context: Value::Null, plan: None::<NoPlan> };
    let findings = now(evaluator().evaluate(&policy(source), &Namespaces::default(), input)).unwrap();
    assert_eq!(told(&findings), ["denied main.deny: run-1"]);
}

fn built_in_functions_that_people_use() {
    let source = r#"
        package main
        import rego.v1
        ok contains "regex" if regex.match(`^acme-[a-z]+$`, "acme-logs")
        ok contains "glob" if glob.match("aws_*.main", [], "aws_db_instance.main")
        ok contains "json" if json.unmarshal(`{"a": [1]}`).a[0] == 1
        ok contains "marshal" if json.marshal({"a": 1}) == `{"a":1}`
        ok contains "yaml" if yaml.unmarshal("a: 1").a == 1
        ok contains "base64" if base64.decode("YQ==") == "a"
        ok contains "time" if time.parse_rfc3339_ns("2026-11-20T10:00:00Z") == 1795168800000000000
        ok contains "now" if time.now_ns() > time.parse_rfc3339_ns(input.timestamp) - 1000000000000000000
        ok contains "weekday" if time.weekday(time.parse_rfc3339_ns(input.timestamp)) == "Friday"
        ok contains "semver" if semver.compare("1.9.8", "1.10.0") == -1
        ok contains "units" if units.parse_bytes("1KiB") == 1024
        ok contains "net" if net.cidr_contains("10.0.0.0/8", "10.1.2.3")
        ok contains "object" if object.get({"a": 1}, "b", 2) == 2
        ok contains "walk" if {
            some path, value
            walk(input, [path, value])
            value == "acme-logs"
        }
        ok contains "every" if { every change in input.resource_changes { change.mode == "managed" } }
        deny contains name if {
            some name in {"regex", "glob", "json", "marshal", "yaml", "base64", "time", "now", "weekday", "semver",
                "units", "net", "object", "walk", "every"}
            not name in ok
        }
    "#;
    check(&policy(source), &plan(), &[]);
}

fn built_in_functions_of_older_policies() {
    let source = r#"
        package main
        ok["re_match"] { re_match("^a+$", "aa"); not re_match("^a+$", "ab"); not re_match("(", "(") }
        ok["any"] { any([false, true]); not any([]) }
        ok["all"] { all({true}); all([]); not all([true, false]) }
        ok["intersects"] { net.cidr_intersects("10.0.0.0/8", "10.1.0.0/16") }
        ok["apart"] { not net.cidr_intersects("10.0.0.0/8", "11.0.0.0/8") }
        ok["overlap"] { net.cidr_overlap("10.0.0.0/8", "10.1.2.3") }
        deny[name] { name := {"re_match", "any", "all", "intersects", "apart", "overlap"}[_]; not ok[name] }
    "#;
    check(&policy(source), &plan(), &[]);
}

fn a_plain_rule_that_is_true_is_a_denial() {
    let source = "package main\nimport rego.v1\ndeny if input.complete\ndeny_text := \"no\" if input.complete\n\
        default warn := false\nwarn if input.errored\n";
    check(&policy(source), &plan(), &["denied main.deny: rule deny is true", "denied main.deny_text: no"]);
}

fn brackets_in_v1_mean_what_their_author_meant() {
    let source = "package main\nimport rego.v1\ndeny[msg] if { some msg in [\"b\", \"a\"] }\n";
    check(&policy(source), &plan(), &["denied main.deny: a", "denied main.deny: b"]);
}

fn exceptions_let_rules_pass() {
    let source = r#"
        package main
        deny_public[msg] { msg := "public" }
        deny_tags[msg] { msg := "tags" }
        exception[rules] { input.run.workspace_name == "network"; rules := ["public"] }
    "#;
    let findings = evaluate(&policy(source), &plan()).unwrap();
    assert_eq!(told(&findings), ["denied main.deny_tags: tags"]);
    assert_eq!(findings.excepted, 1);
}

fn rules_without_result_have_passed() {
    let source = "package main\ndeny[\"a\"] { input.no }\ndeny_b[\"b\"] { input.no }\nwarn[\"c\"] { true }\n";
    let findings = evaluate(&policy(source), &plan()).unwrap();
    assert_eq!((findings.passed, findings.warned.len()), (2, 1));
}

fn a_rule_that_gives_a_number_is_an_error() {
    let error = evaluate(&policy("package main\ndeny[x] { x := 7 }\n"), &plan()).unwrap_err();
    let expected = "the policy is wrong: rule deny in namespace main gave a number; \
        it must give strings, or objects whose msg is a string";
    assert_eq!(error.to_string(), expected);
    let error = evaluate(&policy("package main\ndeny[x] { x := {\"message\": \"m\"} }\n"), &plan()).unwrap_err();
    assert!(error.to_string().contains("gave an object without a string msg"), "{error}");
}

fn integers_are_exact_up_to_64_bits() {
    let source = "package main\ndeny[msg] { msg := sprintf(\"%v %v %v %v\", input.numbers) }\n";
    let numbers = r#"{"numbers": [18446744073709551615, -9223372036854775808, 1.0, 36893488147419103232]}"#;
    let findings = super::evaluate_by(&evaluator(), &policy(source), super::chunks(numbers.as_bytes())).unwrap();
    assert_eq!(findings.denied[0].msg, "18446744073709551615 -9223372036854775808 1 36893488147419103000");
}

fn findings_are_bounded_and_say_so() {
    let source = "package main\nimport rego.v1\n\
        deny contains sprintf(\"%05d\", [n]) if some n in numbers.range(1, 1500)\n\
        warn contains concat(\"\", [\"é\" | some n in numbers.range(1, 5000)]) if true\n";
    let findings = evaluate(&policy(source), &plan()).unwrap();
    assert_eq!((findings.denied.len(), findings.left_out), (1000, 500));
    assert_eq!((findings.denied[0].msg.as_str(), findings.denied[999].msg.as_str()), ("00001", "01000"));
    assert_eq!(findings.warned[0].msg.chars().count(), 4001);
}

fn a_builtin_that_fails_is_undefined() {
    let source = "package main\nimport rego.v1\ndeny contains \"n\" if to_number(\"x\") > 1\n\
        warn contains \"u\" if not json.unmarshal(\"{\")\n";
    check(&policy(source), &plan(), &["warned main.warn: u"]);
}

fn a_conflict_is_told_by_place_and_without_values() {
    let source = "package main\n\nname := input.resource_changes[_].address\n\ndeny[name] { true }\n";
    let error = evaluate(&policy(source), &plan()).unwrap_err().to_string();
    let expected = "the policy is wrong: policy/main.rego:3:1: \
        it gives more than one value; a complete rule or a function may give only one";
    assert_eq!(error, expected);
}

fn print_says_nothing() {
    let source = "package main\nimport rego.v1\ndeny contains \"d\" if { print(input.timestamp) }\n";
    check(&policy(source), &plan(), &["denied main.deny: d"]);
}
