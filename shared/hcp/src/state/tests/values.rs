//! Digests: equal values have equal ones, however they are written, and no others do.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sluice_domain::Digest;

use super::printer::{Json, Random, Style, object};
use super::{digester, hostile, scan};

fn output(value: &str) -> Digest {
    let scan = scan(format!(r#"{{"version":4,"outputs":{{"o":{{"value":{value}}}}}}}"#)).expect("a state");
    scan.outputs["o"]
}

/// The digest of canonical JSON, said independently.
fn of(canonical: &str) -> Digest {
    digester().digest(canonical.as_bytes())
}

fn observed(kind: &str, attributes: &str, key: &str) -> BTreeMap<String, Digest> {
    let instances = format!(r#"[{{"{key}":{attributes}}}]"#);
    let resource = format!(r#"{{"mode":"data","type":"{kind}","name":"n","instances":{instances}}}"#);
    let scan = scan(format!(r#"{{"version":4,"resources":[{resource}]}}"#)).expect("a state");
    scan.references.into_iter().next().expect("one reference").observed
}

#[test]
fn spelling_does_not_matter() {
    assert_eq!(output(r#""\u003cb\u003e""#), of(r#""<b>""#));
    assert_eq!(output(r#""\u0041\/\ud83d\ude80\u00e9""#), of("\"A/🚀é\""));
    assert_eq!(output(r#""\u000a\u0001\u0008\u007f\"\\""#), of("\"\\n\\u0001\\b\u{7f}\\\"\\\\\""));
    assert_eq!(output("[ 1 , {\"b\" : null, \"a\":[ ] } ]"), of(r#"[1,{"a":[],"b":null}]"#));
    assert_eq!(output(r#"{"\u00e9":1,"z":2,"\u0061":3,"":4}"#), of(r#"{"":4,"a":3,"z":2,"é":1}"#));
    assert_eq!(output(r#"{"a":1,"\u0061":2}"#), of(r#"{"a":2}"#), "the last of repeated keys");
}

#[test]
fn numbers_are_exact() {
    assert_eq!(output("12345678901234567890"), of("12345678901234567890"));
    assert_ne!(output("12345678901234567890"), output("12345678901234567891"));
    assert_ne!(output("0.1"), output("0.10000000000000000001"));
    assert_ne!(output("1"), output("\"1\""));
}

#[test]
fn the_sensitive_mark_and_the_type_do_not_count() {
    let marked = scan(r#"{"version":4,"outputs":{"o":{"sensitive":true,"type":["set","string"],"value":["a"]}}}"#);
    assert_eq!(marked.expect("a state").outputs["o"], output(r#"["a"]"#));
}

#[test]
fn a_null_is_no_output() {
    let outputs = r#"{"a":{"value":null},"b":{"type":"string"},"c":{"value":[null]}}"#;
    let scan = scan(format!(r#"{{"version":4,"outputs":{outputs}}}"#)).expect("a state");
    assert_eq!(scan.outputs.into_keys().collect::<Vec<_>>(), ["c"]);
    assert!(!scan.empty);
}

#[test]
fn tfe_outputs_copies_all_values_or_those_that_are_not_sensitive() {
    let both = r#"{"values":{"value":{"a":1,"b":2}},"nonsensitive_values":{"value":{"a":1}}}"#;
    assert_eq!(observed("tfe_outputs", both, "attributes"), [("a".into(), of("1")), ("b".into(), of("2"))].into());
    let old = r#"{"values":null,"nonsensitive_values":{"value":{"a":1}}}"#;
    assert_eq!(observed("tfe_outputs", old, "attributes"), [("a".into(), of("1"))].into());
}

#[test]
fn flat_attributes_are_rebuilt() {
    let flat = r#"{"backend":"remote","id":"x","workspace":"w","environment":"e","config.%":"1","config.name":"n",
        "defaults.%":"0","plain":"v","list.#":"11","list.0":"a","list.10":"c","list.2":"b","none.#":"0",
        "map.%":"2","map.k":"v","map.a.b":"dotted","deep.#":"1","deep.0.%":"1","deep.0.l.#":"1","deep.0.l.0":"x"}"#;
    let expected = [
        ("deep", r#"[{"l":["x"]}]"#),
        ("list", r#"["a","b","c"]"#),
        ("map", r#"{"a.b":"dotted","k":"v"}"#),
        ("none", "[]"),
        ("plain", r#""v""#),
    ];
    let expected = expected.into_iter().map(|(name, json)| (name.to_owned(), of(json))).collect();
    assert_eq!(observed("terraform_remote_state", flat, "attributes_flat"), expected);
}

#[test]
fn an_address_quotes_its_keys_as_terraform_does() {
    let address = |key: &str| {
        let resource = format!(
            r#"{{"module":"module.m[0]","mode":"data","type":"tfe_outputs","name":"n","instances":[{{"index_key":{key}}}]}}"#
        );
        scan(format!(r#"{{"version":4,"resources":[{resource}]}}"#)).expect("a state").references[0].address.clone()
    };
    assert_eq!(address("3"), "module.m[0].data.tfe_outputs.n[3]");
    assert_eq!(address("null"), "module.m[0].data.tfe_outputs.n");
    assert_eq!(address(r#""a\"b\\\n${x} $y""#), r#"module.m[0].data.tfe_outputs.n["a\"b\\\n$${x} $y"]"#);
    assert_eq!(address(r#""\u0001é""#), r#"module.m[0].data.tfe_outputs.n["\u0001é"]"#);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_has_the_digest_of_its_original_in_any_spelling(seed: u64) {
        let mut random = Random::new(seed);
        let Json::Object(values) = hostile::outputs(&mut random) else { unreachable!("members are an object") };
        let wrapped = values.iter().map(|(name, value)| (name.clone(), object([("value", value.clone())])));
        let (producer, copy) = (Json::Object(wrapped.collect()), Json::Object(values.clone()));
        let mut print = |json: &Json| {
            let style = Style { spaces: random.one_in(2), shuffled: true, escapes: random.below(5), repeats: 0 };
            let mut text = String::new();
            style.print(json, &mut random, &mut text);
            text
        };
        let produced = scan(format!(r#"{{"version":4,"outputs":{}}}"#, print(&producer))).expect("a state").outputs;
        let attributes = format!(r#"{{"outputs":{{"value":{}}}}}"#, print(&copy));
        prop_assert_eq!(produced, observed("terraform_remote_state", &attributes, "attributes"));
    }
}
