//! Policies from directories and bundles.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use sluice_task_runner::rego::{FilesError, from_bundle, from_directory};

use super::Test;

pub const TESTS: &[Test] = &[
    ("a_directory_is_a_policy", a_directory_is_a_policy),
    ("a_bundle_is_a_policy", a_bundle_is_a_policy),
    ("a_bundle_that_is_small_only_when_packed_is_refused", a_bundle_that_is_small_only_when_packed_is_refused),
    ("a_bundle_of_very_many_files_is_refused", a_bundle_of_very_many_files_is_refused),
    ("a_path_out_of_the_bundle_is_refused", a_path_out_of_the_bundle_is_refused),
    ("what_is_no_bundle_is_told", what_is_no_bundle_is_told),
    ("data_files_that_contradict_are_refused", data_files_that_contradict_are_refused),
];

const MODULE: &str = "package main\ndeny[\"x\"] { true }\n";

fn a_directory_is_a_policy() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("lib/regions")).unwrap();
    let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
    write("main.rego", MODULE);
    write("lib/aws.rego", "package lib.aws\n");
    write("lib/aws_test.rego", "package lib.aws\n");
    write("data.json", r#"{"a": 1, "lib": {"b": 2}}"#);
    write("lib/regions/data.yaml", "allowed:\n- eu-central-1\n");
    write("README.md", "no policy");
    let policy = from_directory(root.path()).unwrap();
    assert_eq!(policy.modules.keys().collect::<Vec<_>>(), ["lib/aws.rego", "main.rego"]);
    let expected = json!({"a": 1, "lib": {"b": 2, "regions": {"allowed": ["eu-central-1"]}}});
    assert_eq!(serde_json::Value::Object(policy.data), expected);
}

fn bundle(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, contents) in files {
        let mut header = tar::Header::new_gnu();
        // As raw bytes: the builder would refuse the paths that are to be refused.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, *contents).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn a_bundle_is_a_policy() {
    let bundle = bundle(&[
        ("/.manifest", br#"{"revision": "1", "roots": ["main"]}"#),
        ("./main/main.rego", MODULE.as_bytes()),
        ("main/limits/data.json", br#"{"most": 3}"#),
    ]);
    let policy = from_bundle(bundle.as_slice()).unwrap();
    assert_eq!(policy.modules["main/main.rego"], MODULE);
    assert_eq!(serde_json::Value::Object(policy.data), json!({"main": {"limits": {"most": 3}}}));
}

fn a_bundle_that_is_small_only_when_packed_is_refused() {
    let zeros = vec![b' '; 64 << 20];
    for name in ["main.rego", "skipped.bin"] {
        let bundle = bundle(&[(name, &zeros)]);
        assert!(bundle.len() < 1 << 20);
        assert!(matches!(from_bundle(bundle.as_slice()), Err(FilesError::TooLarge)), "{name}");
    }
}

fn a_bundle_of_very_many_files_is_refused() {
    let files: Vec<String> = (0..3000).map(|number| format!("{number}.txt")).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(matches!(from_bundle(bundle(&files).as_slice()), Err(FilesError::TooLarge)));
}

fn a_path_out_of_the_bundle_is_refused() {
    let bundle = bundle(&[("../../main.rego", MODULE.as_bytes())]);
    assert!(matches!(from_bundle(bundle.as_slice()), Err(FilesError::Outside { .. })));
}

fn what_is_no_bundle_is_told() {
    assert!(matches!(from_bundle(&b"plain"[..]), Err(FilesError::NotABundle(_))));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&[b'x'; 2000]).unwrap();
    assert!(matches!(from_bundle(packed.finish().unwrap().as_slice()), Err(FilesError::NotABundle(_))));
}

fn data_files_that_contradict_are_refused() {
    for (first, second) in [(r#"{"a": {"b": 1}}"#, r#"{"b": 2}"#), (r#"{"a": 1}"#, r#"{"b": 2}"#)] {
        let bundle = bundle(&[("data.json", first.as_bytes()), ("a/data.json", second.as_bytes())]);
        assert!(matches!(from_bundle(bundle.as_slice()), Err(FilesError::Data { .. })));
    }
    assert!(matches!(from_bundle(bundle(&[("data.json", b"[]")]).as_slice()), Err(FilesError::Data { .. })));
}
