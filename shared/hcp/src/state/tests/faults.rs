//! What is not a state is refused, and the error says where.

use super::{FIXTURES, digester, fixture, scan, scan_by};
use crate::state::{Scan, ScanErrorKind, Scanner};

#[track_caller]
fn refused(state: impl AsRef<[u8]>) -> (u64, ScanErrorKind) {
    let error = scan(state.as_ref()).expect_err("not a state");
    assert_eq!(scan_by(state.as_ref(), 1), Err(error), "byte by byte");
    (error.offset, error.kind)
}

/// A state with one data source after `before`, whose instances are `instances`.
fn with_instances(instances: &str) -> String {
    let head = r#"{"version":4,"resources":[{"mode":"data","type":"tfe_outputs","name":"n","instances":"#;
    format!("{head}{instances}}}]}}")
}

#[test]
fn every_truncation_of_a_real_file_is_refused() {
    for name in FIXTURES {
        let whole = fixture(name);
        let state = whole.trim_ascii_end();
        let mut scanner = Scanner::new(digester());
        for (end, byte) in (1..state.len()).zip(state) {
            scanner.push(&[*byte]).expect("nothing wrong so far");
            let error = scanner.ended().expect_err("truncated");
            assert_eq!((error.offset, error.kind), (end as u64, ScanErrorKind::Truncated), "{name}");
        }
    }
    let state = fixture("handwritten-v3.tfstate");
    for end in 1..state.trim_ascii_end().len() {
        let error = scan(&state[..end]).expect_err("truncated");
        assert_eq!((error.offset, error.kind), (end as u64, ScanErrorKind::Truncated));
    }
}

#[test]
fn nothing_is_not_a_state() {
    assert_eq!(refused(""), (0, ScanErrorKind::Empty));
    assert_eq!(refused(" \n\t"), (3, ScanErrorKind::Empty));
}

#[test]
fn other_json_is_not_a_state() {
    for other in ["[]", "null", "\"version\"", "4", "\u{feff}{}", "<html>"] {
        assert_eq!(refused(other), (0, ScanErrorKind::NotAnObject), "{other}");
    }
    assert_eq!(refused("{}"), (2, ScanErrorKind::NoVersion));
    assert_eq!(refused(r#"{"version":null}"#).1, ScanErrorKind::NoVersion);
    assert_eq!(refused(r#"{"version":5}"#).1, ScanErrorKind::UnsupportedVersion(5));
    assert_eq!(refused(r#"{"version":1,"modules":[]}"#).1, ScanErrorKind::UnsupportedVersion(1));
}

#[test]
fn nothing_may_follow_the_state() {
    assert_eq!(refused(r#"{"version":4} {"#), (14, ScanErrorKind::Trailing));
    assert!(scan("{\"version\":4} \r\n\t ").is_ok());
}

#[test]
fn grammar_is_exact_where_it_looks() {
    for state in [
        r#"{"version" 4}"#,
        r#"{"version":4,}"#,
        r#"{,"version":4}"#,
        r#"{"version":4 "serial":1}"#,
        r#"{"version":4]"#,
        r#"{"version":04}"#,
        r#"{"version":4,"x":nul}"#,
        r#"{"version":4,"x":-}"#,
        r#"{"version":4,"x":1.}"#,
        r#"{"version":4,"x":}"#,
        "{version:4}",
        r#"{"version":4,"lineage":"\q"}"#,
        "{\"version\":4,\"lineage\":\"\n\"}",
        r#"{"version":4,"resources":[{},]}"#,
        r#"{"version":4,"resources":[,{}]}"#,
        r#"{"version":4,"resources":[{"mode":xyz}]}"#,
        r#"{"version":4,"outputs":{"a":{"value":[1,]}}}"#,
        r#"{"version":4,"outputs":{"a":{"value":1]}}}"#,
        &with_instances(r#"[{"attributes":{"values":}}]"#),
        &with_instances(r#"[{"attributes":{"values":{"value":{"a":01}}}}]"#),
    ] {
        let kind = refused(state).1;
        assert!(matches!(kind, ScanErrorKind::Syntax { .. }), "{state}: {kind}");
    }
}

#[test]
fn types_are_those_that_terraform_writes() {
    for state in [
        r#"{"version":"4"}"#,
        r#"{"version":4.0}"#,
        r#"{"version":-4}"#,
        r#"{"version":4,"serial":true}"#,
        r#"{"version":4,"lineage":7}"#,
        r#"{"version":4,"outputs":[]}"#,
        r#"{"version":4,"outputs":{"a":1}}"#,
        r#"{"version":4,"resources":{}}"#,
        r#"{"version":4,"resources":[null]}"#,
        r#"{"version":3,"modules":[{"path":["net"]}]}"#,
        r#"{"version":3,"modules":[{"outputs":{}}]}"#,
        r#"{"version":4,"resources":[{"mode":"data","type":"tfe_outputs","instances":[{}]}]}"#,
        &with_instances("{}"),
        &with_instances(r#"[{"attributes":[]}]"#),
        &with_instances(r#"[{"index_key":{}}]"#),
    ] {
        let kind = refused(state).1;
        assert!(matches!(kind, ScanErrorKind::WrongType { .. }), "{state}: {kind}");
    }
    assert!(scan(r#"{"version":4,"outputs":null,"resources":null,"serial":null}"#).is_ok_and(|scan| scan.empty));
}

#[test]
fn strings_that_are_looked_into_are_unicode() {
    let kinds = [
        refused(b"{\"version\":4,\"lineage\":\"\xff\"}").1,
        refused(b"{\"version\":4,\"outputs\":{\"a\":{\"value\":\"\xc3\"}}}").1,
        refused(r#"{"version":4,"lineage":"\ud800"}"#).1,
        refused(r#"{"version":4,"lineage":"\udc00\ud800"}"#).1,
    ];
    assert_eq!(kinds, [ScanErrorKind::NotUnicode; 4]);
    assert_eq!(scan(r#"{"version":4,"lineage":"\ud83d\ude80"}"#).expect("a state").lineage, "🚀");
}

#[test]
fn errors_say_where_and_never_what() {
    let state = r#"{"version":4,"outputs":{"a":{"value":"secret","type":secret}}}"#;
    let error = scan(state).expect_err("not JSON");
    assert_eq!(error.to_string(), "cannot read the state file: expected a value at byte 53");
    assert_eq!(scan_by(state.as_bytes(), 7), Err(error), "in a held value too");
}

#[test]
fn an_error_is_final() {
    let mut scanner = Scanner::new(digester());
    let error = scanner.push(b"{]").expect_err("not JSON");
    assert_eq!(scanner.push(b"{\"version\":4}"), Err(error));
    assert_eq!(scanner.finish(), Err(error));
}

#[test]
fn nesting_is_counted_where_it_is_skipped_and_bounded_where_it_is_read() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let skipped = format!(r#"{{"version":4,"x":{deep},"resources":[{{"instances":{deep},"type":"aws_instance"}}]}}"#);
    assert!(scan(&skipped).is_ok());
    for state in [
        format!(r#"{{"version":4,"outputs":{{"a":{{"value":{deep}}}}}}}"#),
        with_instances(&format!("[{{\"attributes\":{deep}}}]")),
    ] {
        let kind = scan(&state).expect_err("too deep").kind;
        assert!(matches!(kind, ScanErrorKind::TooDeep { .. }), "{kind}");
    }
    let fits = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert!(scan(format!(r#"{{"version":4,"outputs":{{"a":{{"value":{fits}}}}}}}"#)).is_ok());
}

/// Scans `head`, then spaces enough to pass every limit, then `tail`.
fn scan_bulky(head: &str, tail: &str) -> Result<Scan, ScanErrorKind> {
    let mut scanner = Scanner::new(digester());
    let spaces = vec![b' '; 1 << 20];
    let mut push = |chunk: &[u8]| scanner.push(chunk).map_err(|error| error.kind);
    push(head.as_bytes())?;
    (0..65).try_for_each(|_| push(&spaces))?;
    push(tail.as_bytes())?;
    scanner.finish().map_err(|error| error.kind)
}

#[test]
fn what_must_be_held_is_bounded() {
    let bulky = |head: &str, tail: &str| scan_bulky(head, tail).map(|scan| scan.references.len());
    let too_large = |kind: Result<usize, ScanErrorKind>| matches!(kind, Err(ScanErrorKind::TooLarge { .. }));
    assert!(too_large(bulky(r#"{"version":4,"outputs":{"a":{"#, r#""value":1}}}"#)));
    assert!(too_large(bulky(r#"{"version":4,"lineage":""#, r#""}"#)));
    assert!(too_large(bulky(r#"{"version":4,""#, r#"":1}"#)));
    let candidate = r#"{"version":4,"resources":[{"mode":"data","type":"tfe_outputs","name":"n","instances":[{"#;
    assert!(too_large(bulky(candidate, "}]}]}")));
    // It matters only if the resource does, which may be known last.
    let undecided = r#"{"version":4,"resources":[{"name":"n","instances":[{"#;
    assert!(too_large(bulky(undecided, r#"}],"mode":"data","type":"tfe_outputs"}]}"#)));
    assert_eq!(bulky(undecided, r#"}],"mode":"managed","type":"tfe_outputs"}]}"#), Ok(0));
    assert_eq!(bulky(r#"{"version":4,"resources":[{"type":"other","instances":[{"#, "}]}]}"), Ok(0));
}

#[test]
fn a_repeated_key_that_changes_the_verdict_too_late_is_refused() {
    let resource = |members: &str| scan(format!(r#"{{"version":4,"resources":[{{"name":"n",{members}}}]}}"#));
    let count = |members: &str| resource(members).map(|scan| scan.references.len()).map_err(|error| error.kind);
    let late = Err(ScanErrorKind::LateDuplicate);
    assert_eq!(count(r#""mode":"data","type":"x","instances":[{}],"type":"tfe_outputs""#), late);
    assert_eq!(count(r#""mode":"managed","type":"tfe_outputs","instances":[{}],"mode":"data""#), late);
    let changed = r#""mode":"data","type":"terraform_remote_state","instances":[{}],"type":"tfe_outputs""#;
    assert_eq!(count(changed), late);
    // These are read right.
    assert_eq!(count(r#""mode":"data","type":"tfe_outputs","instances":[{}],"type":"x""#), Ok(0));
    assert_eq!(count(r#""mode":"data","type":"x","type":"tfe_outputs","instances":[{}]"#), Ok(1));
    assert_eq!(count(r#""instances":[{}],"mode":"data","type":"x","type":"tfe_outputs""#), Ok(1));
    assert_eq!(count(r#""mode":"data","type":"tfe_outputs","instances":[{},{}],"instances":[{}]"#), Ok(1));
}
