//! The search for what must be nowhere: access tokens of HCP Terraform's and keys.

use std::fmt::Write;
use std::path::Path;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use sluice_tests::hcp::Hcp;

use super::checker::Checker;
use super::scene::{CHECKER_KEY, KEY};
use crate::lambda::aws;

/// Every item of the table, as text.
pub async fn dump(endpoint: &str) -> String {
    let client: Client = sluice_aws::client(&aws(endpoint)).unwrap();
    let mut pages = client.scan().table_name("sluice").into_paginator().send();
    let mut text = String::new();
    while let Some(page) = pages.next().await {
        for item in page.unwrap().items() {
            writeln!(text, "{item:?}").unwrap();
        }
    }
    assert!(text.contains("GATE#") || text.contains("TASK"), "nothing of the gate is in the table:\n{text}");
    text
}

/// The keys of all items of task results, in order.
pub async fn recorded(endpoint: &str) -> Vec<String> {
    let client: Client = sluice_aws::client(&aws(endpoint)).unwrap();
    let mut pages = client.scan().table_name("sluice").into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let text = |it: &AttributeValue| it.as_s().unwrap().clone();
        keys.extend(page.unwrap().items().iter().map(|item| format!("{} {}", text(&item["pk"]), text(&item["sk"]))));
    }
    keys.retain(|key| key.starts_with("GATE#"));
    keys.sort();
    keys
}

/// All files of a directory, as text.
pub fn files_of(directory: &Path) -> String {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

/// No access token went where it must not go, and neither the table nor another checker has seen any.
#[track_caller]
pub fn assert_none(hcp: &Hcp, table: &str, checkers: &[Checker]) {
    assert_eq!(hcp.leaks(), []);
    assert_absent(hcp, "the table", table);
    for request in checkers.iter().flat_map(Checker::requests) {
        let text = format!("{:?} {}", request.headers, String::from_utf8_lossy(&request.body));
        assert_absent(hcp, "what a checker was sent", &text);
    }
}

/// None of HCP Terraform's access tokens nor of the tests' keys is in this text, whole or without its beginning.
#[track_caller]
pub fn assert_absent(hcp: &Hcp, place: &str, text: &str) {
    for token in hcp.access_tokens() {
        let (_, secret) = token.split_once(".atlasv1.").unwrap();
        assert!(!text.contains(secret), "an access token is in {place}");
        assert!(!text.contains(&hex::encode(&token)), "an access token is in {place}, as hexadecimal");
    }
    for key in [KEY, CHECKER_KEY] {
        assert!(!text.contains(key), "a key is in {place}");
    }
}
