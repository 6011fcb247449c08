//! Generates states that are legal and unkind.

use super::printer::{Json, Random, object, text};

const WORDS: [&str; 14] = [
    "",
    "acme",
    "network",
    "default",
    "app-",
    "app-prod",
    "terraform_remote_state",
    "tfe.example.com",
    "a\"b\\",
    "{[\"",
    "}]\\\"}",
    "héllo 日本語 🚀",
    "\u{1}\n\t\u{7f}",
    "\"type\":\"terraform_remote_state\",\"mode\":\"data\"",
];
const NUMBERS: [&str; 6] = ["0", "-1", "42.5", "12345678901234567890", "true", "false"];

pub(super) fn word(random: &mut Random) -> String {
    random.pick(&WORDS).to_owned()
}

fn long(random: &mut Random) -> String {
    let count = random.below(40);
    (0..count).map(|_| random.pick(&["\\", "\"", "{", "]", "x", "data", "\\\\\\", "é"])).collect()
}

/// Any value, at most `depth` levels deep.
fn value(random: &mut Random, depth: usize) -> Json {
    match random.below(if depth == 0 { 4 } else { 7 }) {
        0 => Json::Word(random.pick(&NUMBERS)),
        1 => Json::Word("null"),
        2 => text(word(random)),
        3 => text(long(random)),
        4 => Json::Array((0..random.below(4)).map(|_| value(random, depth - 1)).collect()),
        5 => {
            let names = ["type", "mode", "instances", "attributes", "deposed", "value", "tags"];
            let (from, count) = (random.below(names.len()), random.below(4));
            let name = |index: usize| names[(from + index) % names.len()].to_owned();
            Json::Object((0..count).map(|index| (name(index), value(random, depth - 1))).collect())
        }
        // Deep, but not deeper than the oracle goes.
        _ => (0..random.below(60)).fold(text("core"), |inner, level| {
            if level % 2 == 0 { Json::Array(vec![inner]) } else { object([("deeper", inner)]) }
        }),
    }
}

fn dynamic(random: &mut Random, value: Json) -> Json {
    if random.one_in(8) { Json::Word("null") } else { object([("value", value), ("type", text("dynamic"))]) }
}

/// Outputs and their values.
pub(super) fn outputs(random: &mut Random) -> Json {
    let names = ["vpc_id", "type", "value", "subnets", "é", "a\"b"];
    Json::Object((0..random.below(5)).map(|index| (names[index].to_owned(), value(random, 2))).collect())
}

fn maybe(random: &mut Random, members: &mut Vec<(String, Json)>, key: &str, value: Json) {
    match random.below(5) {
        0 => {}
        1 => members.push((key.to_owned(), Json::Word("null"))),
        _ => members.push((key.to_owned(), value)),
    }
}

fn config(random: &mut Random) -> Json {
    let mut workspaces = Vec::new();
    let (name, prefix) = (text(word(random)), text(word(random)));
    maybe(random, &mut workspaces, "name", name);
    maybe(random, &mut workspaces, "prefix", prefix);
    let mut config = vec![("token".to_owned(), text("not a token"))];
    for key in ["hostname", "organization", "name"] {
        let value = text(word(random));
        maybe(random, &mut config, key, value);
    }
    maybe(random, &mut config, "name", text("acme/network"));
    maybe(random, &mut config, "address", text("https://tfe.example.com/x"));
    maybe(random, &mut config, "workspaces", Json::Object(workspaces));
    config.dedup_by(|one, other| one.0 == other.0);
    Json::Object(config)
}

fn attributes(random: &mut Random, kind: &str) -> Json {
    let mut attributes = vec![("other".to_owned(), value(random, 3))];
    let workspace = text(word(random));
    maybe(random, &mut attributes, "workspace", workspace);
    if kind == "tfe_outputs" {
        maybe(random, &mut attributes, "organization", text("acme"));
        for key in ["values", "nonsensitive_values"] {
            let outputs = outputs(random);
            let outputs = dynamic(random, outputs);
            maybe(random, &mut attributes, key, outputs);
        }
    } else {
        let backend = text(random.pick(&["remote", "remote", "cloud", "atlas", "s3", "local"]));
        maybe(random, &mut attributes, "backend", backend);
        let (config, outputs) = (config(random), outputs(random));
        let (config, outputs) = (dynamic(random, config), dynamic(random, outputs));
        maybe(random, &mut attributes, "config", config);
        maybe(random, &mut attributes, "outputs", outputs);
        maybe(random, &mut attributes, "defaults", Json::Word("null"));
    }
    Json::Object(attributes)
}

fn flat(random: &mut Random) -> Json {
    let mut members = vec![("backend", text(random.pick(&["remote", "atlas", "s3"]))), ("id", text("2019"))];
    let styles: [&[(&str, &str)]; 3] = [
        &[("config.%", "2"), ("config.name", "acme/dns"), ("config.address", "https://tfe.example.com")],
        &[
            ("config.#", "1"),
            ("config.99.hostname", ""),
            ("config.99.organization", "acme"),
            ("config.99.workspaces.#", "1"),
            ("config.99.workspaces.0.%", "1"),
            ("config.99.workspaces.0.prefix", "app-"),
        ],
        &[("defaults.%", "0")],
    ];
    members.extend(random.pick(&styles).iter().map(|&(key, value)| (key, text(value))));
    if random.one_in(2) {
        members.extend([("workspace", text(random.pick(&["default", "prod", ""]))), ("environment", text("default"))]);
    }
    if random.one_in(2) {
        members.extend([("subnets.#", text("11")), ("subnets.0", text("a")), ("subnets.10", text("c"))]);
        members.extend([("subnets.2", text("b")), ("tags.%", text("1")), ("tags.a", text(word(random)))]);
        members.extend([("deep.#", text("1")), ("deep.0.%", text("1")), ("deep.0.k", text("v"))]);
    }
    Json::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn instance(random: &mut Random, kind: &str) -> Json {
    let mut members = vec![("schema_version".to_owned(), Json::Word("0"))];
    let index = if random.one_in(2) { text(random.pick(&["k", "a\"b", "é"])) } else { Json::Word("3") };
    maybe(random, &mut members, "index_key", index);
    if random.one_in(6) {
        members.push(("deposed".to_owned(), text(random.pick(&["", "0a1b2c3d"]))));
    }
    if random.one_in(5) && kind != "tfe_outputs" {
        members.push(("attributes_flat".to_owned(), flat(random)));
    } else {
        let attributes = attributes(random, kind);
        maybe(random, &mut members, "attributes", attributes);
    }
    maybe(random, &mut members, "private", text("bnVsbA=="));
    Json::Object(members)
}

fn resource(random: &mut Random) -> Json {
    let kind = random.pick(&["terraform_remote_state", "terraform_remote_state", "tfe_outputs", "aws_instance"]);
    let matters = kind != "aws_instance" && !random.one_in(3);
    let mut members = vec![
        ("mode".to_owned(), text(if matters || random.one_in(9) { "data" } else { "managed" })),
        ("type".to_owned(), text(kind)),
        ("name".to_owned(), text("net")),
        ("provider".to_owned(), text("provider[\"terraform.io/builtin/terraform\"]")),
    ];
    maybe(random, &mut members, "module", text("module.a[\"x\"].module.b"));
    let instances = (0..random.below(3)).map(|_| instance(random, kind)).collect();
    members.push(("instances".to_owned(), Json::Array(instances)));
    Json::Object(members)
}

fn root_outputs(random: &mut Random) -> Json {
    let Json::Object(values) = outputs(random) else { unreachable!("outputs are an object") };
    let wrap = |(name, value)| {
        (name, object([("value", value), ("type", text("dynamic")), ("sensitive", Json::Word("true"))]))
    };
    Json::Object(values.into_iter().map(wrap).collect())
}

fn module(random: &mut Random, path: &[&str]) -> Json {
    let mut resources = vec![("aws_instance.data.terraform_remote_state".to_owned(), value(random, 2))];
    let keys = ["data.terraform_remote_state.a", "data.terraform_remote_state.b.1", "data.terraform_remote_state.c"];
    for key in &keys[..random.below(4)] {
        let primary = object([("id", text("x")), ("attributes", flat(random)), ("meta", object([]))]);
        let primary = if random.one_in(8) { Json::Word("null") } else { primary };
        let deposed = Json::Array(vec![object([("attributes", flat(random))])]);
        resources.push(((*key).to_owned(), object([("type", text("x")), ("deposed", deposed), ("primary", primary)])));
    }
    let path = Json::Array(path.iter().copied().map(text).collect());
    object([("path", path), ("outputs", root_outputs(random)), ("resources", Json::Object(resources))])
}

/// A state of either format.
pub(super) fn state(random: &mut Random) -> Json {
    let mut members = vec![
        ("serial".to_owned(), Json::Word("7")),
        ("lineage".to_owned(), text(word(random))),
        ("terraform_version".to_owned(), text("1.11.4")),
        ("check_results".to_owned(), value(random, 3)),
    ];
    if random.one_in(4) {
        let mut modules = vec![module(random, &["root"])];
        if random.one_in(2) {
            modules.push(module(random, &["root", "net", "inner"]));
        }
        members.push(("version".to_owned(), Json::Word("3")));
        members.push(("modules".to_owned(), Json::Array(modules)));
    } else {
        members.insert(0, ("version".to_owned(), Json::Word("4")));
        let (outputs, count) = (root_outputs(random), random.below(5));
        maybe(random, &mut members, "outputs", outputs);
        let resources = (0..count).map(|_| resource(random)).collect();
        maybe(random, &mut members, "resources", Json::Array(resources));
    }
    Json::Object(members)
}
