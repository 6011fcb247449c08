//! `docs/permissions.md`: which role may do what, with what, in a table that is made from the module.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::Value;

use super::module::{Statement, local, statements};
use super::{MODULE, TEMPLATE, path, read, set, ways};

/// Where the table begins. What stands before it was written by a person.
const BEGINS: &str = "<!-- What follows is made from infra/roles.tf and infra/functions.tf by a test. -->\n";

/// What the module's text means: of a statement, when it is there, on what, and under which condition.
struct Meaning {
    sid: &'static str,
    unless: &'static str,
    resources: &'static str,
    condition: &'static str,
    in_words: [&'static str; 3],
}

const MEANINGS: [Meaning; 12] = [
    Meaning {
        sid: "Logs",
        unless: "",
        resources: r#"[ "${aws_cloudwatch_log_group.function[name].arn}:*" ]"#,
        condition: "",
        in_words: ["", "its own log group", ""],
    },
    Meaning {
        sid: "Table",
        unless: "length(function.table) == 0",
        resources: "[ aws_dynamodb_table.this.arn ]",
        condition: "",
        in_words: ["", "the table", ""],
    },
    Meaning {
        sid: "DueIndex",
        unless: "length(function.due_index) == 0",
        resources: r#"[ "${aws_dynamodb_table.this.arn}/index/due" ]"#,
        condition: "",
        in_words: ["", "the table's index `due`", ""],
    },
    Meaning {
        sid: "Stream",
        unless: "length(function.bells) == 0",
        resources: "[ aws_dynamodb_table.this.stream_arn ]",
        condition: "",
        in_words: ["", "the table's stream", ""],
    },
    Meaning {
        sid: "ListStreams",
        unless: "length(function.bells) == 0",
        resources: r#"[ "*" ]"#,
        condition: "",
        in_words: ["", "`*`, as AWS has none", ""],
    },
    Meaning {
        sid: "TableKey",
        unless: "var.table_kms_key_arn == null || length(concat(function.table, function.due_index)) == 0",
        resources: "[ var.table_kms_key_arn ]",
        condition: r#"{ StringEquals = { "kms:ViaService" = [ "dynamodb.${local.region}.${local.dns_suffix}" ] } }"#,
        in_words: ["`table_kms_key_arn`", "that key", "by way of DynamoDB"],
    },
    Meaning {
        sid: "Parameters",
        unless: "length(local.parameters[name]) == 0",
        resources: "local.parameters[name]",
        condition: "",
        in_words: ["a secret that is `ssm:`", "the parameters of its secrets", ""],
    },
    Meaning {
        sid: "Secrets",
        unless: "length(local.secrets[name]) == 0",
        resources: "local.secrets[name]",
        condition: "",
        in_words: ["a secret that is `secretsmanager:`", "its secrets", ""],
    },
    Meaning {
        sid: "SecretsKeys",
        unless: "length(local.references[name]) == 0 || length(var.secrets_kms_key_arns) == 0",
        resources: "var.secrets_kms_key_arns",
        condition: concat!(
            r#"{ StringEquals = { "kms:ViaService" = flatten([for region in distinct([for arn in "#,
            r#"var.secrets_kms_key_arns : split(":", arn)[3]]) : [ "ssm.${region}.${local.dns_suffix}", "#,
            r#""secretsmanager.${region}.${local.dns_suffix}" ]]) } }"#
        ),
        in_words: ["`secrets_kms_key_arns`", "these keys", "by way of Parameter Store and Secrets Manager"],
    },
    Meaning {
        sid: "Network",
        unless: "local.networks[name] == null",
        resources: r#"[ "*" ]"#,
        condition: "",
        in_words: ["a network of its own", "`*`, as Lambda asks for it", ""],
    },
    Meaning {
        sid: "NetworkForLambdaOnly",
        unless: "local.networks[name] == null",
        resources: r#"[ "*" ]"#,
        condition: r#"{ ArnEquals = { "lambda:SourceFunctionArn" = [ local.function_arns[name] ] } }"#,
        in_words: ["a network of its own", "`*`", "denied to the function's own code: only Lambda may, for it"],
    },
    Meaning {
        sid: "Traces",
        unless: "!var.tracing",
        resources: r#"[ "*" ]"#,
        condition: "",
        in_words: ["`tracing`", "`*`, as AWS has none", ""],
    },
];

/// The same text, however it is laid out.
fn plain(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace() && *character != ',').collect()
}

/// What `statement` is in words; it must be what is known here, to the letter.
fn meaning(statement: &Statement) -> [&'static str; 3] {
    let meaning = MEANINGS.iter().find(|meaning| meaning.sid == statement.sid);
    let meaning = meaning.unwrap_or_else(|| panic!("say here what {statement:#?} means"));
    let Meaning { sid, unless, resources, condition, in_words } = meaning;
    let found = [&statement.unless, &statement.resources, &statement.condition].map(|text| plain(text));
    assert_eq!(found, [unless, resources, condition].map(|text| plain(text)), "{sid} means something else now");
    *in_words
}

/// What each role allows with the table and with secrets, and then what else there is, by who has it.
fn table() -> String {
    let (statements, rows) = (statements(), local("infra/functions.tf", "functions"));
    let rows = rows.as_object().unwrap();
    let mut text = "| role | on the table | on its index `due` | secrets |\n|---|---|---|---|\n".to_owned();
    for (name, row) in rows {
        let keys = texts(&row["keys"]).into_iter().map(|keys| format!("keys of {keys}"));
        let secrets = texts(&row["secrets"]).into_iter().map(|secret| format!("`{secret}`")).chain(keys);
        let secrets = secrets.collect::<Vec<_>>().join(", ");
        let [table, due] = ["table", "due_index"].map(|field| quoted(&texts(&row[field])));
        writeln!(text, "| {name} | {table} | {due} | {secrets} |").unwrap();
    }
    text += "\n| roles | actions | on | only with |\n|---|---|---|---|\n";
    for statement in &statements {
        let [with, on, condition] = meaning(statement);
        let having: Vec<&str> =
            rows.iter().filter(|(_, row)| statement.applies(row)).map(|(name, _)| name.as_str()).collect();
        let roles = if having.len() == rows.len() { "all".to_owned() } else { having.join(", ") };
        let actions = if statement.is_of_the_table() { "as above".to_owned() } else { quoted(&statement.actions) };
        let condition = if condition.is_empty() { String::new() } else { format!("; {condition}") };
        writeln!(text, "| {roles} | {actions} | {on}{condition} | {with} |").unwrap();
    }
    text
}

fn quoted(actions: &BTreeSet<String>) -> String {
    actions.iter().map(|action| format!("`{action}`")).collect::<Vec<_>>().join(", ")
}

fn texts(list: &Value) -> BTreeSet<String> {
    set(list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()))
}

#[test]
fn the_documented_permissions_are_those_of_the_module() {
    let before = read("docs/permissions.md");
    let (head, _) = before.split_once(BEGINS).expect("docs/permissions.md says where its table begins");
    expect_file![path("docs/permissions.md")].assert_eq(&format!("{head}{BEGINS}\n{}", table()));
}

#[test]
fn a_star_is_a_resource_only_where_it_is_documented_as_one() {
    for statement in statements() {
        let [_, on, _] = meaning(&statement);
        assert_eq!(statement.resources.contains("\"*\""), on.contains("`*`"), "{statement:#?}");
        assert!(statement.actions.iter().all(|action| !action.contains('*')), "{statement:#?}");
        assert_eq!(statement.effect == "Deny", statement.sid == "NetworkForLambdaOnly", "{statement:#?}");
    }
    for (way, functions) in ways() {
        for (name, function) in functions {
            let all = [&function.table, &function.due_index].into_iter().chain(function.besides.values()).flatten();
            assert!(all.into_iter().all(|action| !action.contains('*')), "{name}, {way}");
        }
    }
}

#[test]
fn the_template_allows_nothing_that_the_module_does_not() {
    for (name, function) in TEMPLATE.iter() {
        let module = &MODULE[name];
        for (sid, actions) in &function.besides {
            // The keys of run tasks lie in either place, and the template has one list of both.
            let expect = match sid.as_str() {
                "RunTaskKeys" => &module.besides["Parameters"] | &module.besides["Secrets"],
                sid => module.besides[sid].clone(),
            };
            assert_eq!(*actions, expect, "{sid} of {name}");
        }
    }
}

/// What `docs/configuration.md` says that each function does with the table.
#[test]
fn the_documented_needs_are_those_of_the_module() {
    let text = read("docs/configuration.md");
    let (_, needs) = text.split_once("| function | invoked by | table |").unwrap();
    let rows = needs.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut documented = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, invoked, needs] = cells.as_slice() else { panic!("{row}") };
        let function = &MODULE[*name];
        let (on_index, on_table): (Vec<&str>, Vec<&str>) =
            needs.split(", ").partition(|need| need.ends_with(" on the index `due`"));
        let actions = |needs: Vec<&str>| set(needs.iter().map(|need| need.split('`').nth(1).unwrap()));
        assert_eq!(actions(on_table), function.table, "{name}");
        assert_eq!(actions(on_index), function.due_index, "{name}");
        let pattern = invoked.split('`').find(|part| part.starts_with('{')).unwrap_or("{}");
        let pattern: Value = serde_json::from_str(pattern).unwrap();
        let bells = pattern["dynamodb"]["NewImage"]["bell"]["S"].as_array().cloned().unwrap_or_default();
        assert_eq!(set(bells.iter().map(|bell| bell.as_str().unwrap())), function.bells, "{name}");
        documented.insert((*name).to_owned());
    }
    assert_eq!(documented, MODULE.keys().cloned().collect());
}
