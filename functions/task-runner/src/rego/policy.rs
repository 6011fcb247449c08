//! What is stored, and whether it can be evaluated at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};

use regorus::{Engine, PolicyLengthConfig, Value};
use serde::{Deserialize, Serialize};

use super::calls;
use super::module::{self, Counting, Rule};
use super::older;

/// The longest line a module may have. The library's own default is less than generated tables need.
const COLUMNS_MAX: NonZeroU32 = NonZeroU32::new(65_536).expect("not zero");
/// The largest module.
const MODULE_BYTES_MAX: NonZeroUsize = NonZeroUsize::new(1 << 20).expect("not zero");
/// The most lines of a module.
const LINES_MAX: NonZeroUsize = NonZeroUsize::new(20_000).expect("not zero");

/// A policy as it is stored: its modules, and the documents below `data`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The source of each module by its path, which ends in `.rego`.
    pub modules: BTreeMap<String, String>,
    /// What policies read as `data`.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub data: serde_json::Map<String, serde_json::Value>,
}

/// The packages whose rules count, as dotted names; `*` is all of them. By default `main`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Namespaces(pub Vec<String>);

impl Namespaces {
    /// Whether the rules of `package` count.
    pub(crate) fn contain(&self, package: &str) -> bool {
        self.0.iter().any(|namespace| namespace == "*" || namespace == package)
    }
}

impl Default for Namespaces {
    fn default() -> Self {
        Self(vec!["main".to_owned()])
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// What is wrong with a policy. Whoever wrote it must act. It never has anything of a plan in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyError {
    /// Something at a place in a module.
    #[error("{module}:{line}:{column}: {wrong}")]
    At {
        /// The module's path.
        module: String,
        /// Counted from 1.
        line: u32,
        /// Counted from 1.
        column: u32,
        /// What is wrong there.
        wrong: String,
    },
    /// A module as a whole.
    #[error("{module}: {wrong}")]
    Module {
        /// The module's path.
        module: String,
        /// What is wrong with it.
        wrong: String,
    },
    /// The policy as a whole.
    #[error("the policy cannot be evaluated: {wrong}")]
    Whole {
        /// What is wrong with it.
        wrong: String,
    },
    /// It would pass whatever it is asked.
    #[error(
        "no rule named deny, violation or warn is in namespace {namespaces}; the policy has the packages {packages}"
    )]
    NoRules {
        /// Where rules were looked for.
        namespaces: Namespaces,
        /// What there is.
        packages: String,
    },
    /// A rule gave what is no finding.
    #[error("rule {rule} in namespace {namespace} gave {gave}; it must give strings, or objects whose msg is a string")]
    NoFinding {
        /// The rule.
        rule: String,
        /// The package it is in.
        namespace: String,
        /// The kind of value.
        gave: String,
    },
}

/// Whether `policy` can be evaluated: for when it is saved. The sources are read, references and calls resolved;
/// nothing is evaluated.
pub fn check(policy: &Policy, namespaces: &Namespaces) -> Result<(), PolicyError> {
    compile(policy, namespaces).map(drop)
}

/// A policy that is ready to be asked.
pub(crate) struct Compiled {
    pub(crate) engine: Engine,
    /// In order of namespace and name.
    pub(crate) rules: BTreeSet<Rule>,
    /// The namespaces that have exceptions.
    pub(crate) exceptions: BTreeSet<Vec<String>>,
}

pub(crate) fn compile(policy: &Policy, namespaces: &Namespaces) -> Result<Compiled, PolicyError> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(false);
    engine.set_gather_prints(true);
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: COLUMNS_MAX,
        max_file_bytes: MODULE_BYTES_MAX,
        max_lines: LINES_MAX,
    });
    older::add(&mut engine).map_err(|error| whole(&error))?;
    for (path, source) in &policy.modules {
        if !path.ends_with("_test.rego") {
            module::add(&mut engine, path, source)?;
        }
    }
    let data = Value::from(serde_json::Value::Object(policy.data.clone()));
    engine.add_data(data).map_err(|error| whole(&error))?;
    // Nothing is asked: this is how the library is made to schedule every rule, which finds unsafe variables.
    engine.eval_query("true".to_owned(), false).map_err(|error| module::place(&error.to_string()))?;
    let packages = module::packages(&engine).map_err(|error| whole(&error))?;
    let modules = engine.get_modules().clone();
    calls::check(&modules, &packages)?;
    let counting = module::counting(&modules, &packages, namespaces);
    if counting.rules.is_empty() {
        let packages: BTreeSet<_> = packages.iter().map(|package| package.join(".")).collect();
        let packages = packages.into_iter().collect::<Vec<_>>().join(", ");
        return Err(PolicyError::NoRules { namespaces: namespaces.clone(), packages });
    }
    let Counting { rules, exceptions } = counting;
    Ok(Compiled { engine, rules, exceptions })
}

fn whole(error: &impl fmt::Display) -> PolicyError {
    PolicyError::Whole { wrong: error.to_string().trim().to_owned() }
}
