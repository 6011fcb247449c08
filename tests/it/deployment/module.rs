//! The Terraform module, read as the text it is: no provider is asked, and nothing is planned.

use std::collections::{BTreeMap, BTreeSet};

use hcl::expr::{Conditional, Expression, ForExpr, Object, ObjectKey};
use serde_json::Value;

use super::{Function, Functions, read};

/// The value of `local.<name>` in a file, with expressions as `${…}`.
pub fn local(file: &str, name: &str) -> Value {
    let body: Value = hcl::from_str(&read(file)).unwrap();
    let found = each(&body["locals"]).into_iter().find_map(|locals| locals.get(name).cloned());
    found.unwrap_or_else(|| panic!("{file} has no local {name}"))
}

/// A block that may be there more than once.
pub fn each(block: &Value) -> Vec<&Value> {
    match block {
        Value::Array(blocks) => blocks.iter().collect(),
        Value::Null => Vec::new(),
        block => vec![block],
    }
}

/// The table of what each function is.
pub fn functions() -> Functions {
    let table = local("infra/functions.tf", "functions");
    let statements = statements();
    let functions = table.as_object().unwrap().iter().map(|(name, row)| {
        let texts = |field: &str| -> BTreeSet<String> {
            let all = row[field].as_array().unwrap_or_else(|| panic!("{name} has no list {field}"));
            all.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let applies = statements.iter().filter(|statement| !statement.is_of_the_table() && statement.applies(row));
        let function = Function {
            timeout_seconds: row["timeout_seconds"].as_u64().unwrap(),
            memory_mb: row["memory_mb"].as_u64().unwrap(),
            variables: row["environment"].as_object().unwrap().keys().cloned().collect(),
            table: actions(&texts("table")),
            due_index: actions(&texts("due_index")),
            besides: applies.map(|it| (it.sid.clone(), it.actions.clone())).collect(),
            bells: texts("bells"),
            routes: texts("routes"),
        };
        (name.clone(), function)
    });
    functions.collect()
}

/// Actions on the table, without the name of the service.
pub fn actions(all: &BTreeSet<String>) -> BTreeSet<String> {
    let name = |action: &String| action.strip_prefix("dynamodb:").expect("an action of DynamoDB's").to_owned();
    all.iter().map(name).collect()
}

/// A statement of the policy that every role is made with, unless what it is for is missing.
#[derive(Debug)]
pub struct Statement {
    pub sid: String,
    pub effect: String,
    /// The actions, if they are the same for every function.
    pub actions: BTreeSet<String>,
    /// The resources, as they are written.
    pub resources: String,
    /// The condition, as it is written; empty for none.
    pub condition: String,
    /// When it is left out, as it is written; empty for never.
    pub unless: String,
}

impl Statement {
    /// Its actions are in the table of functions.
    pub fn is_of_the_table(&self) -> bool {
        matches!(self.sid.as_str(), "Table" | "DueIndex")
    }

    /// Whether a function like `row` may come to have it, by what it is and not by how it is set up.
    pub fn applies(&self, row: &Value) -> bool {
        let some = |field: &str| row[field].as_array().is_some_and(|all| !all.is_empty());
        match self.sid.as_str() {
            "Table" => some("table"),
            "DueIndex" => some("due_index"),
            "Stream" | "ListStreams" => some("bells"),
            "TableKey" => some("table") || some("due_index"),
            "Parameters" | "Secrets" | "SecretsKeys" => some("secrets") || some("keys"),
            "Logs" | "Network" | "NetworkForLambdaOnly" | "Traces" => true,
            other => panic!("infra/roles.tf has a statement {other}: say here who has it, and in permissions.rs why"),
        }
    }
}

/// The statements in `infra/roles.tf`.
pub fn statements() -> Vec<Statement> {
    let body = hcl::parse(&read("infra/roles.tf")).unwrap();
    let locals =
        body.blocks().filter(|block| block.identifier() == "locals").flat_map(|block| block.body().attributes());
    let statements = locals.into_iter().find(|attribute| attribute.key() == "statements").unwrap();
    // For each function, of each statement in a list, those that are not null.
    let Expression::Array(all) = &inner(inner_value(statements.expr())).collection_expr else {
        panic!("infra/roles.tf has no list of statements")
    };
    all.iter().map(statement).collect()
}

fn inner(expression: &Expression) -> &ForExpr {
    match expression {
        Expression::ForExpr(each) => each,
        other => panic!("{} is no for expression", text(other)),
    }
}

fn inner_value(expression: &Expression) -> &Expression {
    &inner(expression).value_expr
}

fn statement(expression: &Expression) -> Statement {
    let (unless, object) = match expression {
        Expression::Object(object) => (String::new(), object),
        Expression::Conditional(conditional) => match &**conditional {
            Conditional { cond_expr, true_expr: Expression::Null, false_expr: Expression::Object(object) } => {
                (text(cond_expr), object)
            }
            other => panic!("{other:?} is not unless … : a statement"),
        },
        other => panic!("{} is no statement", text(other)),
    };
    let fields: BTreeMap<String, &Expression> = fields(object);
    let literal = |name: &str| match fields[name] {
        Expression::String(text) => text.clone(),
        other => panic!("{name} is {}", text(other)),
    };
    let actions = match fields["Action"] {
        Expression::Array(all) => all.iter().map(|action| text(action).trim_matches('"').to_owned()).collect(),
        _ => BTreeSet::new(),
    };
    Statement {
        sid: literal("Sid"),
        effect: literal("Effect"),
        actions,
        resources: text(fields["Resource"]),
        condition: fields.get("Condition").map(|condition| text(condition)).unwrap_or_default(),
        unless,
    }
}

fn fields(object: &Object<ObjectKey, Expression>) -> BTreeMap<String, &Expression> {
    let name = |key: &ObjectKey| match key {
        ObjectKey::Identifier(name) => name.to_string(),
        ObjectKey::Expression(expression) => text(expression).trim_matches('"').to_owned(),
        other => panic!("{other:?} is no name"),
    };
    object.iter().map(|(key, value)| (name(key), value)).collect()
}

/// An expression as it is written, on one line.
pub fn text(expression: &Expression) -> String {
    let text = hcl::format::to_string(expression).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
