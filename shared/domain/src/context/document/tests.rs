use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn document(text: &str) -> Document {
    Document::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// RFC 7396, section 2, as it is written there.
fn merge_patch(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = match target {
        Value::Object(target) => target,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let old = target.remove(name).unwrap_or_default();
            target.insert(name.clone(), merge_patch(old, value));
        }
    }
    Value::Object(target)
}

#[track_caller]
fn check_merge(original: &str, patch: &str, expect: &str) {
    let merged = document(original).merge(&document(patch)).unwrap();
    assert_eq!(merged.as_str(), expect, "{original} and {patch}");
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(value(expect), merge_patch(value(original), &value(patch)), "{original} and {patch}");
    assert_eq!(Document::parse(merged.as_str().as_bytes()), Ok(merged));
}

/// The examples of RFC 7396, appendix A, in its order. What is no object there is wrapped in one here, as a document is
/// one, and so is whatever is done to it.
#[test]
fn the_examples_of_the_rfc() {
    for (original, patch, expect) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, r"{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"{"x":["a","b"]}"#, r#"{"x":["c","d"]}"#, r#"{"x":["c","d"]}"#),
        (r#"{"x":{"a":"b"}}"#, r#"{"x":["c"]}"#, r#"{"x":["c"]}"#),
        (r#"{"x":{"a":"foo"}}"#, r#"{"x":null}"#, r"{}"),
        (r#"{"x":{"a":"foo"}}"#, r#"{"x":"bar"}"#, r#"{"x":"bar"}"#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        (r#"{"x":[1,2]}"#, r#"{"x":{"a":"b","c":null}}"#, r#"{"x":{"a":"b"}}"#),
        (r"{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        check_merge(original, patch, expect);
    }
}

#[test]
fn what_a_patch_does_not_speak_of_keeps_its_text() {
    check_merge(
        "{ \"n\" : 1.50E+2 , \"big\": 123456789012345678901234567890.0,\n \"o\": { \"k\" : [ 1 , 2 ] }, \"s\": \"\\u00e9\" }\n",
        " { \"o\" : { \"new\" : -0.0 } } ",
        "{\"n\":1.50E+2,\"big\":123456789012345678901234567890.0,\"o\":{\"k\":[ 1 , 2 ],\"new\":-0.0},\"s\":\"\\u00e9\"}",
    );
    check_merge(r#"{"b":1,"a":2,"c":3}"#, r#"{"a":{"z":1,"y":2},"0":0}"#, r#"{"b":1,"a":{"z":1,"y":2},"c":3,"0":0}"#);
}

#[test]
fn names_are_what_they_mean() {
    check_merge(r#"{"\u0061":1,"é":2}"#, r#"{"a":3,"\u00e9":null}"#, r#"{"\u0061":3}"#);
    check_merge(r#"{"":1,"\"":2}"#, r#"{"":{},"\u0022":3}"#, r#"{"":{},"\"":3}"#);
    // Of several of one name the last counts.
    check_merge(r#"{"a":1,"b":2,"a":3}"#, r#"{"c":1,"c":2}"#, r#"{"a":3,"b":2,"c":2}"#);
    check_merge(r#"{"a":{"b":1},"a":3}"#, r#"{"a":{"c":1}}"#, r#"{"a":{"c":1}}"#);
}

#[test]
fn members_that_are_put_take_the_place_of_others_whole() {
    for (original, members, expect) in [
        (r#"{"a":{"b":1},"c":2}"#, r#"{"a":{"d":null}}"#, r#"{"a":{"d":null},"c":2}"#),
        (r#"{"a":1}"#, r#"{"a":null,"b":{"c":null}}"#, r#"{"a":null,"b":{"c":null}}"#),
        (r"{}", r"{}", r"{}"),
    ] {
        assert_eq!(document(original).put(&document(members)).unwrap().as_str(), expect);
    }
}

#[test]
fn a_document_is_kept_as_it_was_sent() {
    for text in
        ["{}", " {\n} ", r#"{"a":1,"a":2}"#, "{\"a\": 1.0e300}\n", r#"{"\ud83d\ude00":"\uD83D\uDE00 \\ud800 ü"}"#]
    {
        assert_eq!(document(text).as_str(), text);
        assert_eq!(document(text).into_string(), text);
    }
    assert_eq!(Document::default().as_str(), "{}");
}

#[test]
fn what_is_no_document_is_told_apart() {
    let not_json = |line, column| DocumentError::NotJson { line, column };
    let too_large = |line, column| DocumentError::NumberTooLarge { line, column };
    let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let flat = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    for (text, expect) in [
        (String::new(), not_json(1, 0)),
        ("{".to_owned(), not_json(1, 1)),
        ("{}{}".to_owned(), not_json(1, 3)),
        ("\u{feff}{}".to_owned(), not_json(1, 1)),
        ("{\"a\": \"\n\"}".to_owned(), not_json(1, 7)),
        ("{\"a\": NaN}".to_owned(), not_json(1, 7)),
        ("{a: 1}".to_owned(), not_json(1, 2)),
        ("{\n \"\\ud800\": 1}".to_owned(), not_json(2, 3)),
        (r#"{"a": "\ud800\u0041"}"#.to_owned(), not_json(1, 8)),
        (r#"{"a": "\udc00"}"#.to_owned(), not_json(1, 8)),
        ("[]".to_owned(), DocumentError::NotAnObject),
        (" \"{}\"".to_owned(), DocumentError::NotAnObject),
        ("null".to_owned(), DocumentError::NotAnObject),
        (deep(DEPTH_MAX + 1), DocumentError::TooDeep),
        (format!(r#"{{"a":{}{}}}"#, "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX)), DocumentError::TooDeep),
        ("[".repeat(1 << 20) + &"]".repeat(1 << 20), DocumentError::TooDeep),
        (r#"{"a": 1e999}"#.to_owned(), too_large(1, 7)),
        ("{\"1e999\": [1e9,\n -0.1E+310 ]}".to_owned(), too_large(2, 2)),
        (format!(r#"{{"a": {}}}"#, "9".repeat(309)), too_large(1, 7)),
        (flat(CONTEXT_BYTES_MAX + 1), DocumentError::TooLarge),
    ] {
        let start: String = text.chars().take(40).collect();
        assert_eq!(Document::parse(text.as_bytes()), Err(expect), "{start}");
    }
    assert_eq!(Document::parse(b"{\"a\":\n \"\xff\"}"), Err(not_json(2, 3)));
    assert!(Document::parse(deep(DEPTH_MAX).as_bytes()).is_ok());
    assert!(Document::parse(flat(CONTEXT_BYTES_MAX).as_bytes()).is_ok());
    // What counts is what stands outside of strings.
    assert!(Document::parse(format!(r#"{{"{}\"{}":1}}"#, "[".repeat(200), "{".repeat(200)).as_bytes()).is_ok());
}

#[test]
fn numbers_are_kept_that_a_double_can_stand_for() {
    for number in ["123456789012345678901234567890", "1.7976931348623157e308", "-1e-999", "0e999", "-0.0E+999"] {
        assert_eq!(document(&format!(r#"{{"a":[{number}]}}"#)).as_str(), format!(r#"{{"a":[{number}]}}"#));
    }
    for long in ["9".repeat(308), format!("0.{}1e999", "0".repeat(900)), format!("{}e-900", "9".repeat(900))] {
        document(&format!(r#"{{"a":{long},"b":1}}"#));
    }
}

#[test]
fn what_is_put_in_is_there_as_it_is() {
    for (original, value, expect) in [
        (r"{}", r#"{"a":null}"#, r#"{"m":{"\"n":{"a":null}}}"#),
        (
            r#"{"m":{"o":{"a":1.50}},"z":0}"#,
            r#"{"b":{"c":null}}"#,
            r#"{"m":{"o":{"a":1.50},"\"n":{"b":{"c":null}}},"z":0}"#,
        ),
        (
            r#"{"m":{"\u0022n":{"a":1},"o":null}}"#,
            " {\n} ",
            r#"{"m":{"\u0022n":{
},"o":null}}"#,
        ),
        (r#"{"m":[1],"z":null}"#, r"{}", r#"{"m":{"\"n":{}},"z":null}"#),
        (r#"{"m":null}"#, r#"{"m":{"\"n":1}}"#, r#"{"m":{"\"n":{"m":{"\"n":1}}}}"#),
        (r#"{"m":{"o":1},"m":{"p":2}}"#, r"{}", r#"{"m":{"p":2,"\"n":{}}}"#),
    ] {
        let expect = expect.replace(r"{\n}", "{\n}");
        assert_eq!(document(original).put_in("m", "\"n", &document(value)).unwrap().as_str(), expect, "{original}");
    }
}

#[test]
fn what_is_put_in_has_the_bounds_of_a_document() {
    let deep = |depth: usize| document(&format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth)));
    let put = deep(3).put_in("m", "n", &deep(DEPTH_MAX - 2)).unwrap();
    assert_eq!(Document::parse(put.as_str().as_bytes()), Ok(put));
    assert_eq!(deep(3).put_in("m", "n", &deep(DEPTH_MAX - 1)), Err(DocumentError::TooDeep));
    let large = document(&format!(r#"{{"a":"{}"}}"#, "x".repeat(CONTEXT_BYTES_MAX - 8)));
    assert_eq!(document("{}").put_in("m", "n", &large), Err(DocumentError::TooLarge));
}

#[test]
fn the_result_of_a_merge_has_the_same_bounds() {
    let half = |name: &str| document(&format!(r#"{{"{name}":"{}"}}"#, "x".repeat(CONTEXT_BYTES_MAX / 2)));
    assert_eq!(half("a").merge(&half("b")), Err(DocumentError::TooLarge));
    assert_eq!(half("a").put(&half("b")), Err(DocumentError::TooLarge));
    assert_eq!(half("a").merge(&half("a")), Ok(half("a")));
    let deep = document(&format!("{}1{}", r#"{"a":"#.repeat(DEPTH_MAX), "}".repeat(DEPTH_MAX)));
    assert_eq!(deep.merge(&deep), Ok(deep.clone()));
}

#[test]
fn a_document_does_not_print() {
    let shown = format!("{:?} {:?}", document(r#"{"a":"secret"}"#), Document::parse(b"\"secret\""));
    assert_eq!(shown, "Document(14 bytes) Err(NotAnObject)");
}

/// Values with few names, so that objects meet.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        2 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i64>().prop_map(|number| json!(number)),
        1 => "[a\\\\\"é]{0,3}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            3 => objects(inner),
        ]
    })
}

fn objects(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let members = prop::collection::vec(("[abc\\\\\"é]{1,2}", inner), 0..4);
    members.prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    #[test]
    fn merging_is_what_the_rfc_says(original in objects(values()), patch in objects(values()), pretty: bool) {
        let text = |value: &Value| if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        let (first, second) = (document(&text(&original).unwrap()), document(&text(&patch).unwrap()));
        let merged = first.merge(&second).unwrap();
        let value: Value = serde_json::from_str(merged.as_str()).unwrap();
        prop_assert_eq!(&value, &merge_patch(original.clone(), &patch));
        prop_assert_eq!(merged.merge(&second).unwrap(), merged, "once more changes nothing");

        let put: Value = serde_json::from_str(first.put(&second).unwrap().as_str()).unwrap();
        let mut expect = original.clone();
        expect.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        prop_assert_eq!(put, expect);

        let put: Value = serde_json::from_str(first.put_in("a", "b", &second).unwrap().as_str()).unwrap();
        let mut expect = original;
        if !expect["a"].is_object() {
            expect["a"] = json!({});
        }
        expect["a"]["b"] = patch;
        prop_assert_eq!(put, expect);
    }

    #[test]
    fn no_text_panics(bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'u'), Just(b'{'), Just(b'd'), any::<u8>()], 0..40)) {
        if let Ok(document) = Document::parse(&bytes) {
            prop_assert_eq!(document.as_str().as_bytes(), &bytes[..]);
            prop_assert!(document.merge(&document).is_ok());
        }
    }

    #[test]
    fn every_number_that_is_taken_can_be_read(number in "-?(0|[1-9][0-9]{0,330})(\\.[0-9]{1,9})?([eE][-+]?(30[5-9]|[0-9]{1,3}))?") {
        let text = format!("{{\"a\":[{number},1]}}");
        if Document::parse(text.as_bytes()).is_ok() {
            let read = serde_json::from_str::<Value>(&text);
            prop_assert!(read.is_ok_and(|read| read["a"][0].as_f64().is_some_and(f64::is_finite)), "{}", text);
        }
    }

    #[test]
    fn no_string_panics(inside in "(\\\\u[dD][89a-fA-F][0-9a-f]{2}|\\\\\\\\|\\\\\"|a|é){0,5}") {
        let text = format!("{{\"{inside}\":\"{inside}\"}}");
        let read = serde_json::from_str::<Value>(&text);
        prop_assert_eq!(Document::parse(text.as_bytes()).is_ok(), read.is_ok(), "{}", text);
    }
}
