//! The SAM template, read as the text it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Function, Functions, module, read};

/// The whole template.
pub fn template() -> Value {
    yaml_serde::from_str(&read("infra/template.yaml")).unwrap()
}

/// The resources of a type, by name.
pub fn resources<'a>(template: &'a Value, kind: &str) -> BTreeMap<&'a str, &'a Value> {
    let all = template["Resources"].as_object().unwrap().iter();
    all.filter(|(_, it)| it["Type"] == kind).map(|(name, it)| (name.as_str(), &it["Properties"])).collect()
}

pub fn functions() -> Functions {
    let template = template();
    let functions = resources(&template, "AWS::Serverless::Function").into_values().map(|function| {
        let name = function["FunctionName"]["Fn::Sub"].as_str().and_then(|name| name.strip_prefix("${Name}-"));
        let name = name.unwrap_or_else(|| panic!("{function} has no name")).to_owned();
        let role = &function["Role"]["Fn::GetAtt"][0];
        let role = &template["Resources"][role.as_str().unwrap()]["Properties"];
        let mut statements = Vec::new();
        gather(&role["Policies"], &mut statements);
        let of = |resource: &Value| {
            let on = statements.iter().filter(|it| it["Resource"] == *resource && it["Sid"] != "TableKey");
            module::actions(&on.flat_map(|it| texts(&it["Action"])).collect())
        };
        let (table, due) = (json!({ "Fn::GetAtt": ["Table", "Arn"] }), json!({ "Fn::Sub": "${Table.Arn}/index/due" }));
        let besides = statements.iter().filter(|it| it["Resource"] != table && it["Resource"] != due);
        let events = function["Events"].as_object().cloned().unwrap_or_default();
        let deployed = Function {
            timeout_seconds: function["Timeout"].as_u64().unwrap(),
            memory_mb: function["MemorySize"].as_u64().unwrap(),
            variables: [&template["Globals"]["Function"], function]
                .into_iter()
                .filter_map(|it| it["Environment"]["Variables"].as_object())
                .flat_map(|variables| variables.keys().cloned())
                .collect(),
            table: of(&table),
            due_index: of(&due),
            besides: besides.map(|it| (it["Sid"].as_str().unwrap().to_owned(), texts(&it["Action"]))).collect(),
            bells: bells(&events),
            routes: routes(&events),
        };
        (name, deployed)
    });
    functions.collect()
}

/// All statements below `value`, whatever they depend on.
fn gather(value: &Value, statements: &mut Vec<Map<String, Value>>) {
    match value {
        Value::Object(object) if object.contains_key("Sid") => statements.push(object.clone()),
        Value::Object(object) => object.values().for_each(|value| gather(value, statements)),
        Value::Array(all) => all.iter().for_each(|value| gather(value, statements)),
        _ => {}
    }
}

/// One text or several.
fn texts(value: &Value) -> BTreeSet<String> {
    let all = value.as_array().map_or_else(|| vec![value], |all| all.iter().collect());
    all.into_iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn bells(events: &Map<String, Value>) -> BTreeSet<String> {
    let streams = events.values().filter(|event| event["Type"] == "DynamoDB");
    let filters = streams.flat_map(|it| it["Properties"]["FilterCriteria"]["Filters"].as_array().unwrap());
    let patterns = filters.map(|filter| serde_json::from_str::<Value>(filter["Pattern"].as_str().unwrap()).unwrap());
    patterns.flat_map(|pattern| texts(&pattern["dynamodb"]["NewImage"]["bell"]["S"])).collect()
}

fn routes(events: &Map<String, Value>) -> BTreeSet<String> {
    let requests = events.values().filter(|event| event["Type"] == "HttpApi").map(|event| &event["Properties"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    requests.map(|it| format!("{} {}", text(&it["Method"]).to_uppercase(), text(&it["Path"]))).collect()
}
