//! Plans that are cut off, damaged, enormous or none at all.

use std::io::{self, Read};

use super::*;

const PLAN: &str = include_str!("../../../fixtures/plan-no-changes.json");

fn read_bytes(plan: &[u8]) -> Result<PlanFindings, PlanError> {
    read(plan, &"app.terraform.io/acme/app".parse().unwrap())
}

#[test]
fn a_plan_that_is_cut_off_says_so_wherever_that_is() {
    let plan = PLAN.trim_end().as_bytes();
    for end in (1..plan.len()).step_by(7) {
        assert!(matches!(read_bytes(&plan[..end]), Err(PlanError::Truncated)), "{end}");
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_another_plan_and_never_shows_in_words() {
    for at in (0..PLAN.len()).step_by(3) {
        let mut bytes = PLAN.as_bytes().to_vec();
        bytes[at] ^= 1 << (at % 8);
        if let Err(error) = read_bytes(&bytes) {
            let words = format!("{error} {error:?}");
            assert!(!words.contains("terraform_remote_state") && !words.contains("hunter2"), "{words}");
        }
    }
}

#[test]
fn what_is_no_plan_says_so() {
    let name = |text: &str| format!("{:?}", told_by(text).unwrap_err()).split([' ', '(']).next().unwrap().to_owned();
    assert_eq!(name("{}"), "NotAPlan");
    assert_eq!(name("[]"), "NotAPlan");
    assert_eq!(name("\"hunter2\""), "NotAPlan");
    assert_eq!(name("hunter2"), "Malformed");
    assert_eq!(name(""), "Truncated");
    assert_eq!(name("{\"format_version\":\"2.0\"}"), "UnknownFormat");
    assert_eq!(name("{\"format_version\":\"1.2\"} {}"), "Malformed");
    assert_eq!(name(&"[".repeat(100_000)), "TooDeep");
    let modules =
        format!("{{\"configuration\":{{\"root_module\":{}", "{\"module_calls\":{\"a\":{\"module\":".repeat(99));
    assert_eq!(name(&modules), "Malformed");
    let broken = read(Broken, &"app.terraform.io/acme/app".parse().unwrap()).unwrap_err();
    assert_eq!(broken.to_string(), "the plan could not be read to its end");
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("reset by peer"))
    }
}

#[test]
fn a_value_of_another_type_than_expected_is_passed_over() {
    let mut value: serde_json::Value = serde_json::from_str(PLAN).unwrap();
    let whole = told_by(PLAN).unwrap();
    for key in ["output_changes", "resource_changes", "planned_values", "prior_state", "configuration", "applyable"] {
        for other in [serde_json::json!(7), serde_json::json!(null), serde_json::json!([[]]), serde_json::json!({})] {
            let kept = std::mem::replace(&mut value[key], other);
            assert_ne!(told_by(&value.to_string()).unwrap(), PlanFindings::default());
            value[key] = kept;
        }
    }
    assert_eq!(told_by(&value.to_string()).unwrap(), whole);
}

#[test]
fn the_order_of_members_does_not_matter() {
    // Sorted by name, which is another order than Terraform's.
    let value: serde_json::Value = serde_json::from_str(PLAN).unwrap();
    assert_eq!(told_by(&value.to_string()).unwrap(), told_by(PLAN).unwrap());
}

#[test]
fn the_end_of_a_long_string_is_left_out_without_cutting_a_letter_in_two() {
    for (letter, ahead) in [("x", ""), ("é", "x"), ("\\ud83d\\ude00", "xyz"), ("\\\\", "x"), ("\\\"", ""), ("😀", "xy")]
    {
        let long = format!("{ahead}{}", letter.repeat(40_000));
        let plan = format!(
            "{{\"format_version\":\"1.2\",\"{long}\":\"{long}\",\"output_changes\":{{\"{long}\":{{\"actions\":\
             [\"create\"]}},\"b\":{{\"actions\":[\"delete\"]}}}},\"terraform_version\":\"1.11.4\"}}"
        );
        let findings = told_by(&plan).unwrap();
        assert_eq!((findings.outputs.len(), findings.terraform_version.as_str()), (2, "1.11.4"), "{letter}");
        assert!(findings.outputs.keys().all(|name| name.len() < 20_000));
    }
}

#[test]
fn more_names_than_are_kept_is_an_error_with_a_name() {
    struct Outputs(u64);
    impl Read for Outputs {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let text = format!("\"{:>900}\":{{\"actions\":[\"create\"]}},", self.0);
            self.0 += 1;
            buffer[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        }
    }
    let plan = "{\"format_version\":\"1.2\",\"output_changes\":{".as_bytes().chain(Outputs(0));
    let error = read(plan, &"app.terraform.io/acme/app".parse().unwrap()).unwrap_err();
    assert!(matches!(error, PlanError::TooMuch { .. }), "{error:?}");
}
