//! What the real files say, by eye.

use expect_test::{Expect, expect};

use super::{digester, fixture, scan};
use crate::state::Scanner;

fn describe(name: &str) -> String {
    let scan = match scan(fixture(name)) {
        Ok(scan) => scan,
        Err(error) => return error.to_string(),
    };
    let instance = "app.terraform.io".parse().expect("a host");
    let organization = "own".parse().expect("an organization");
    let mut lines = vec![format!("version {} serial {} empty {}", scan.version, scan.serial, scan.empty)];
    lines.extend(scan.outputs.keys().map(|name| format!("output {name}")));
    for reference in scan.references {
        let target = match reference.resolve(&instance, &organization) {
            Ok(workspace) => workspace.to_string(),
            Err(error) => format!("? {error}"),
        };
        let observed: Vec<&String> = reference.observed.keys().collect();
        lines.push(format!("{} -> {target} {observed:?}", reference.address));
    }
    lines.join("\n")
}

#[track_caller]
fn check(name: &str, expected: &Expect) {
    expected.assert_eq(&describe(name));
}

#[test]
fn what_a_destroy_leaves_is_empty() {
    check("after-destroy-v4.tfstate", &expect!["version 4 serial 6 empty true"]);
}

#[test]
fn the_cloud_backend_names_its_workspace_twice() {
    check(
        "cloud-backend-consumer-v4.tfstate",
        &expect![[r#"
        version 4 serial 1 empty false
        data.terraform_remote_state.cloud_named -> app.terraform.io/acme/network ["env_name"]"#]],
    );
}

#[test]
fn version_3_has_two_styles_of_configuration() {
    check(
        "handwritten-v3.tfstate",
        &expect![[r#"
            version 3 serial 7 empty false
            output lst
            output name
            data.terraform_remote_state.legacy_atlas -> app.terraform.io/acme/network ["subnets", "vpc_id"]
            data.terraform_remote_state.set_style[1] -> app.terraform.io/acme/network ["vpc_id"]
            module.net.module.inner.data.terraform_remote_state.this -> tfe.example.com/acme/dns []"#]],
    );
}

#[test]
fn an_upgrade_keeps_flat_attributes() {
    check(
        "v3-upgraded-attributes-flat-v4.tfstate",
        &expect![[r#"
            version 4 serial 8 empty false
            output lst
            output name
            data.terraform_remote_state.legacy_atlas -> app.terraform.io/acme/network ["subnets", "vpc_id"]
            data.terraform_remote_state.set_style[1] -> app.terraform.io/acme/network ["vpc_id"]
            module.network.module.inner.data.terraform_remote_state.this -> tfe.example.com/acme/dns []"#]],
    );
}

#[test]
fn local_state_is_no_workspace() {
    check(
        "local-consumer-v4.tfstate",
        &expect![[r#"
        version 4 serial 4 empty false
        output pw_leak
        data.terraform_remote_state.counted[0] -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]
        data.terraform_remote_state.counted[1] -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]
        data.terraform_remote_state.deferred -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]
        data.terraform_remote_state.each["prod"] -> ? backend "local" does not read from HCP Terraform ["env_name"]
        data.terraform_remote_state.each["staging"] -> ? backend "local" does not read from HCP Terraform ["env_name"]
        data.terraform_remote_state.map_config -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]
        data.terraform_remote_state.sensitive_config -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]
        data.terraform_remote_state.single -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]
        data.terraform_remote_state.with_defaults -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "missing_one", "partially_sensitive", "password", "unicode"]
        module.counted[0].data.terraform_remote_state.inner -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]
        module.counted[1].data.terraform_remote_state.inner -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]
        module.keyed["eu-west-1"].data.terraform_remote_state.inner -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]
        module.keyed["us.east\"1"].data.terraform_remote_state.inner -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]
        module.one.data.terraform_remote_state.inner -> ? backend "local" does not read from HCP Terraform ["a_big_number", "a_bool", "a_list", "a_map", "a_number", "a_set", "a_string", "a_tuple", "an_empty_object", "an_object", "any_mixed_map", "from_resource", "partially_sensitive", "password", "unicode"]"#]],
    );
}

#[test]
fn a_producer_has_outputs() {
    check(
        "producer-outputs-v4.tfstate",
        &expect![["
        version 4 serial 5 empty false
        output a_big_number
        output a_bool
        output a_list
        output a_map
        output a_number
        output a_set
        output a_string
        output a_tuple
        output an_empty_object
        output an_object
        output any_mixed_map
        output from_resource
        output partially_sensitive
        output password
        output unicode"]],
    );
}

#[test]
fn the_remote_backend_has_names_hosts_and_prefixes() {
    check(
        "remote-backend-consumer-v4.tfstate",
        &expect![[r#"
        version 4 serial 1 empty false
        data.terraform_remote_state.by_name -> app.terraform.io/acme/network ["env_name"]
        data.terraform_remote_state.by_name_host -> tfe.example.com/acme/dns ["env_name"]
        data.terraform_remote_state.by_prefix["app-prod"] -> app.terraform.io/acme/app-prod ["env_name"]
        data.terraform_remote_state.by_prefix["dev"] -> app.terraform.io/acme/app-dev ["env_name"]
        data.terraform_remote_state.null_attrs -> app.terraform.io/acme/network ["env_name"]
        data.terraform_remote_state.with_token -> app.terraform.io/acme/network ["env_name"]
        module.net.data.terraform_remote_state.this -> app.terraform.io/acme/network ["env_name"]"#]],
    );
}

#[test]
fn what_show_prints_is_no_state() {
    check(
        "remote-backend-consumer.show-json.json",
        &expect!["cannot read the state file: it has no state version at byte 6759"],
    );
}

#[test]
fn a_copy_has_the_digest_of_the_original() {
    let producer = scan(fixture("producer-outputs-v4.tfstate")).expect("a state");
    let consumer = scan(fixture("local-consumer-v4.tfstate")).expect("a state");
    let copies: Vec<_> = consumer.references.iter().filter(|one| one.observed.contains_key("unicode")).collect();
    assert!(copies.len() > 5, "most data sources read the producer");
    for copy in copies {
        let shared = copy.observed.iter().filter(|(name, _)| producer.outputs.contains_key(*name));
        for (name, digest) in shared {
            assert_eq!(producer.outputs[name], *digest, "{} {name}", copy.address);
        }
        assert!(producer.outputs.keys().all(|name| copy.observed.contains_key(name)), "{}", copy.address);
    }
}

#[test]
fn outputs_are_known_before_the_resources_come() {
    let state = fixture("producer-outputs-v4.tfstate");
    let whole = scan(&state).expect("a state");
    let mut scanner = Scanner::outputs_only(digester());
    let taken = state.iter().take_while(|byte| scanner.push(&[**byte]).is_ok() && !scanner.outputs_done()).count();
    assert!(taken < state.len() - 1000, "there is more behind the outputs");
    assert!(scanner.outputs_done());
    assert_eq!(scanner.finish_outputs().expect("its outputs").outputs, whole.outputs);

    let mut scanner = Scanner::outputs_only(digester());
    scanner.push(&state[..taken - 100]).expect("a state so far");
    assert!(scanner.finish_outputs().is_err(), "the outputs are not at their end");
}

#[test]
fn outputs_only_finds_no_references() {
    for name in ["remote-backend-consumer-v4.tfstate", "handwritten-v3.tfstate", "after-destroy-v4.tfstate"] {
        let whole = scan(fixture(name)).expect("a state");
        let mut scanner = Scanner::outputs_only(digester());
        scanner.push(&fixture(name)).expect("a state");
        let outputs = scanner.finish().expect("a state");
        assert!(outputs.references.is_empty());
        assert_eq!((outputs.outputs, outputs.empty), (whole.outputs, whole.empty));
    }
}
