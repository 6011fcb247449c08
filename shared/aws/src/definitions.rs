//! Run tasks and policies: items that a person or Terraform writes, as JSON, and that are looked at closely when read.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize;
use sluice_domain::gate::{FieldFault, InvalidTask, KeyPlace, TaskDefinition, TaskWire};
use sluice_domain::ports::{Definitions, StoreError, StoredTask};
use sluice_domain::{PolicyName, TaskName};

use crate::keys::{Key, POLICIES, SK, TASKS, string};
use crate::table::{Fields, Table, store_error};

impl Definitions for Table {
    async fn task(&self, name: &TaskName) -> Result<Option<StoredTask>, StoreError> {
        let item = self.get(&Key::defined(TASKS, name.as_str()), "to read a run task").await?;
        item.map(|item| Ok(stored(name, Fields::new(&item).text("body")?))).transpose()
    }

    async fn policy(&self, name: &PolicyName) -> Result<Option<String>, StoreError> {
        let item = self.get(&Key::defined(POLICIES, name.as_str()), "to read a policy").await?;
        item.map(|item| Ok(Fields::new(&item).text("body")?.to_owned())).transpose()
    }
}

impl Table {
    /// Stores a run task, in place of one of the same name.
    pub async fn put_task(&self, name: &TaskName, definition: &str) -> Result<(), StoreError> {
        self.define(&Key::defined(TASKS, name.as_str()), definition, "to store a run task").await
    }

    /// Stores a policy, in place of one of the same name.
    pub async fn put_policy(&self, name: &PolicyName, policy: &str) -> Result<(), StoreError> {
        self.define(&Key::defined(POLICIES, name.as_str()), policy, "to store a policy").await
    }

    /// Names of all run tasks.
    pub async fn tasks(&self) -> Result<Vec<TaskName>, StoreError> {
        let items = self.partition(TASKS).await?;
        items
            .iter()
            .map(|item| Fields::new(item).text(SK).map(str::parse).map(Result::ok))
            .filter_map(Result::transpose)
            .collect()
    }

    async fn define(&self, key: &Key, body: &str, action: &'static str) -> Result<(), StoreError> {
        let mut item: std::collections::HashMap<String, AttributeValue> = key.attributes().into();
        item.insert("body".to_owned(), string(body));
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await;
        put.map(drop).map_err(|error| store_error(action, error))
    }
}

/// A definition that is not JSON, or not that of a run task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// It cannot be read as a definition at all.
    #[error("{field}: {is}")]
    Json {
        /// Where, as `checks[1].kind`.
        field: String,
        /// What is wrong there.
        is: String,
    },
    /// It can, and is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidTask),
}

/// Reads the definition of a run task. An error points at the field.
pub fn read_task(json: &str) -> Result<TaskDefinition, DefinitionError> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let wire: TaskWire = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| DefinitionError::Json { field: error.path().to_string(), is: error.inner().to_string() })?;
    reader.end().map_err(|error| DefinitionError::Json { field: ".".to_owned(), is: error.to_string() })?;
    Ok(TaskDefinition::try_from(wire)?)
}

/// A definition as it is stored under `name`. Whatever is wrong with the rest of it, the keys are read if they can be:
/// so those who may ask the task are told what is wrong.
fn stored(name: &TaskName, json: &str) -> StoredTask {
    let definition = match read_task(json) {
        Ok(task) if task.name != *name => {
            let is = format!("is {}, but it is stored as {name}", task.name);
            Err(InvalidTask { faults: vec![FieldFault { field: "name".to_owned(), is }] })
        }
        Ok(task) => Ok(task),
        Err(DefinitionError::Invalid(invalid)) => Err(invalid),
        Err(DefinitionError::Json { field, is }) => {
            Err(InvalidTask { faults: vec![FieldFault { field, is: format!("cannot be read: {is}") }] })
        }
    };
    let keys = serde_json::from_str(json).map(|OnlyKeys { hmac_keys }| hmac_keys).unwrap_or_default();
    StoredTask { keys: keys.iter().filter_map(|key| KeyPlace::parse(key)).collect(), definition }
}

#[derive(Deserialize)]
struct OnlyKeys {
    hmac_keys: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: (&str, &str), expect: &str) {
        let json = r#"{"name":"guard","hmac_keys":["ssm:/k"],"stages":["post_plan"],
            "checks":[{"name":"wave","kind":"preview"},{"name":"cost","kind":"http","url":"https://cost.example"}]}"#;
        let changed = json.replacen(change.0, change.1, 1);
        let told =
            read_task(&changed).map_or_else(|error| error.to_string(), |task| format!("{} checks", task.checks.len()));
        assert_eq!(told, expect);
    }

    #[test]
    fn a_definition_is_read_or_its_fault_is_pointed_at() {
        check(("x", "x"), "2 checks");
        let invalid = "the definition of a run task is not valid: ";
        for (change, fault) in [
            (
                ("\"ssm:/k\"", "\"hunter2\""),
                "hmac_keys[0] is not where a key is kept: ssm:/path, secretsmanager:arn or env:NAME",
            ),
            (("[\"ssm:/k\"]", "[]"), "hmac_keys is empty: anybody could ask this task without a key"),
            (
                ("\"post_plan\"", "\"pre_plan\""),
                "checks[0].stages has pre_plan, when there is no plan for preview to read",
            ),
            (
                ("\"preview\"", "\"previews\""),
                "checks[0].kind is none of upstream, preview, consumers, rego, http, job",
            ),
            (
                ("\"url\":\"https://cost.example\"", "\"timeout_seconds\":9"),
                "checks[1].url is missing: a check of the kind http needs it",
            ),
            (("https://cost", "ftp://cost"), "checks[1].url is no http:// or https:// URL without a user name"),
            (("\"cost\"", "\"wave\""), "checks[1].name is wave, as another check's is"),
            (
                ("\"preview\"", "\"preview\",\"policy\":\"p\""),
                "checks[0].policy means nothing to a check of the kind preview, but to rego",
            ),
            (
                ("\"preview\"", "\"preview\",\"needs\":[\"cost\"]"),
                "checks[0].needs[0] names no check that comes before this one",
            ),
            (
                ("\"preview\"", "\"preview\",\"stages\":[\"pre_apply\"]"),
                "checks[0].stages has to be some of the task's own stages",
            ),
            (
                ("\"stages\"", "\"timeout_seconds\":3600,\"stages\""),
                "timeout_seconds is 3600, and has to be from 1 to 3180",
            ),
            (("guard", "gu/ard"), "name is wrong: \"gu/ard\" is not a task name (letters, digits, - and _)"),
        ] {
            check(change, &format!("{invalid}{fault}"));
        }
    }

    #[test]
    fn json_of_another_shape_is_pointed_at_too() {
        for (change, start) in [
            (("\"preview\"", "7"), "checks[0].kind: invalid type: integer `7`, expected a string"),
            (("\"stages\"", "\"stage\""), "stage: unknown field `stage`, expected one of"),
            (("\"post_plan\"", "\"after\""), "stages[0]: unknown variant `after`, expected one of"),
            (("{", ""), ".: "),
        ] {
            let json = r#"{"name":"guard","hmac_keys":["ssm:/k"],"stages":["post_plan"],"checks":[{"name":"wave","kind":"preview"}]}"#;
            let error = read_task(&json.replacen(change.0, change.1, 1)).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn whoever_may_ask_a_broken_task_is_told_what_is_wrong_with_it() {
        let name = "guard".parse().unwrap();
        let task = stored(&name, r#"{"name":"guard","hmac_keys":["env:KEY","hunter2"],"stages":[],"checks":[]}"#);
        assert_eq!(task.keys, [KeyPlace::Env("KEY".to_owned())]);
        assert_eq!(task.definition.unwrap_err().faults.len(), 3);
        assert!(stored(&name, "{").keys.is_empty());
    }
}
