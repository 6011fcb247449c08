//! Which workspace a data source reads: every rule and its boundary.

use expect_test::{Expect, expect};

use super::scan;

/// Resolves a `terraform_remote_state` with these attributes, in a state on `tfe.own.com` in the organization `own`.
#[track_caller]
fn check(backend: &str, config: &str, workspace: &str, expected: &Expect) {
    let attributes =
        format!(r#"{{"backend":"{backend}","config":{{"value":{config},"type":"dynamic"}},"workspace":{workspace}}}"#);
    check_attributes("terraform_remote_state", &attributes, expected);
}

#[track_caller]
fn check_attributes(kind: &str, attributes: &str, expected: &Expect) {
    let instances = format!(r#"[{{"attributes":{attributes}}}]"#);
    let resource = format!(r#"{{"mode":"data","type":"{kind}","name":"n","instances":{instances}}}"#);
    let scan = scan(format!(r#"{{"version":4,"resources":[{resource}]}}"#)).expect("a state");
    let (host, organization) = ("tfe.own.com".parse().expect("a host"), "own".parse().expect("an organization"));
    let actual = match scan.references[0].resolve(&host, &organization) {
        Ok(workspace) => workspace.to_string(),
        Err(error) => format!("? {error}"),
    };
    expected.assert_eq(&actual);
}

#[test]
fn the_host_is_what_the_backend_makes_of_none() {
    let config = r#"{"organization":"acme","workspaces":{"name":"net"}}"#;
    check("remote", config, "null", &expect!["app.terraform.io/acme/net"]);
    check("cloud", config, "null", &expect!["tfe.own.com/acme/net"]);
    check("atlas", r#"{"name":"acme/net"}"#, "null", &expect!["app.terraform.io/acme/net"]);
    let empty = r#"{"hostname":"","organization":"acme","workspaces":{"name":"net","prefix":""}}"#;
    check("remote", empty, "\"\"", &expect!["app.terraform.io/acme/net"]);
}

#[test]
fn a_host_is_lower_case_and_without_its_usual_port() {
    let config = |host: &str| format!(r#"{{"hostname":"{host}","organization":"acme","workspaces":{{"name":"net"}}}}"#);
    check("remote", &config("TFE.Example.com"), "null", &expect!["tfe.example.com/acme/net"]);
    check("remote", &config("tfe.example.com:443"), "null", &expect!["tfe.example.com/acme/net"]);
    check("remote", &config("tfe.example.com:8443"), "null", &expect!["tfe.example.com:8443/acme/net"]);
    check("remote", &config("LocalTerraform.com"), "null", &expect!["tfe.own.com/acme/net"]);
    check("cloud", &config("localterraform.com"), "null", &expect!["tfe.own.com/acme/net"]);
    check("remote", &config("not a host"), "null", &expect![[r#"? "not a host" is not a host name"#]]);
}

#[test]
fn only_the_cloud_backend_may_leave_out_the_organization() {
    let config = r#"{"workspaces":{"name":"net"}}"#;
    check("cloud", config, "\"net\"", &expect!["tfe.own.com/own/net"]);
    check("remote", config, "null", &expect!["? the data source has no organization"]);
}

#[test]
fn a_name_takes_no_other_workspace() {
    let config = r#"{"organization":"acme","workspaces":{"name":"net"}}"#;
    check("remote", config, "\"default\"", &expect!["app.terraform.io/acme/net"]);
    check("remote", config, "\"net\"", &expect![[r#"? `workspace` is "net" while the configuration names "net""#]]);
    check("remote", config, "\"other\"", &expect![[r#"? `workspace` is "other" while the configuration names "net""#]]);
    check("cloud", config, "\"net\"", &expect!["tfe.own.com/acme/net"]);
    check("cloud", config, "\"default\"", &expect!["tfe.own.com/acme/net"]);
    check("cloud", config, "\"other\"", &expect![[r#"? `workspace` is "other" while the configuration names "net""#]]);
}

#[test]
fn a_prefix_needs_a_workspace() {
    let config = r#"{"organization":"acme","workspaces":{"prefix":"app-"}}"#;
    check("remote", config, "\"prod\"", &expect!["app.terraform.io/acme/app-prod"]);
    check("remote", config, "\"app-prod\"", &expect!["app.terraform.io/acme/app-prod"]);
    check("remote", config, "null", &expect!["? the data source has a prefix but no `workspace`"]);
    let both = r#"{"organization":"acme","workspaces":{"prefix":"app-","name":"net"}}"#;
    check("remote", both, "null", &expect!["? the data source has both a workspace name and a prefix"]);
}

#[test]
fn no_selection_selects_nothing() {
    check("remote", r#"{"organization":"acme"}"#, "\"net\"", &expect!["? the data source selects no workspace"]);
    check(
        "remote",
        r#"{"organization":"acme","workspaces":[{"name":"net"}]}"#,
        "null",
        &expect!["? the data source selects no workspace"],
    );
    check(
        "cloud",
        r#"{"organization":"acme","workspaces":{"tags":["a"]}}"#,
        "\"net\"",
        &expect!["tfe.own.com/acme/net"],
    );
    check(
        "cloud",
        r#"{"organization":"acme","workspaces":{"tags":["a"]}}"#,
        "null",
        &expect!["? the data source selects no workspace"],
    );
    check("atlas", r#"{"name":"net"}"#, "null", &expect!["? the data source has no organization"]);
}

#[test]
fn the_atlas_backend_has_an_address() {
    check(
        "atlas",
        r#"{"name":"acme/net","address":"https://TFE.example.com/"}"#,
        "\"default\"",
        &expect!["tfe.example.com/acme/net"],
    );
    check(
        "atlas",
        r#"{"name":"acme/net","address":"https://tfe.example.com:8443"}"#,
        "null",
        &expect!["tfe.example.com:8443/acme/net"],
    );
}

#[test]
fn other_backends_are_elsewhere() {
    check(
        "s3",
        r#"{"organization":"acme","workspaces":{"name":"net"}}"#,
        "null",
        &expect![[r#"? backend "s3" does not read from HCP Terraform"#]],
    );
    check_attributes("terraform_remote_state", "{}", &expect!["? the data source has no backend"]);
    check_attributes("terraform_remote_state", "null", &expect!["? the data source has no backend"]);
}

#[test]
fn tfe_outputs_are_of_the_instance() {
    check_attributes("tfe_outputs", r#"{"organization":"acme","workspace":"net"}"#, &expect!["tfe.own.com/acme/net"]);
    check_attributes("tfe_outputs", r#"{"workspace":"net"}"#, &expect!["? the data source has no organization"]);
    check_attributes("tfe_outputs", r#"{"organization":"acme"}"#, &expect!["? the data source selects no workspace"]);
    check_attributes(
        "tfe_outputs",
        r#"{"organization":"acme","workspace":"not/one"}"#,
        &expect![[r#"? "not/one" is not a workspace name (letters, digits, - and _)"#]],
    );
}

#[test]
fn numbers_are_converted_as_terraform_does() {
    check(
        "remote",
        r#"{"organization":"acme","workspaces":{"name":42}}"#,
        "null",
        &expect!["app.terraform.io/acme/42"],
    );
}
