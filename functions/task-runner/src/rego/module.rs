//! Modules: how they are read, and which of their rules count.

use std::collections::BTreeSet;

use regorus::Engine;
use regorus::unstable::{Expr, Module, NodeRef, Rule as Written, RuleHead};

use super::policy::{Namespaces, PolicyError};

/// How the library says that a module is older than Rego v1.
const MISSES_KEYWORD: &str = "keyword is required before rule body";

/// What becomes of what a rule gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    Deny,
    Warn,
}

/// A rule that counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    /// Its package, by component.
    pub(crate) namespace: Vec<String>,
    pub(crate) name: String,
    pub(crate) effect: Effect,
}

impl Rule {
    /// What exceptions call it.
    pub(crate) fn short(&self) -> &str {
        ["deny_", "violation_", "warn_"].iter().find_map(|prefix| self.name.strip_prefix(prefix)).unwrap_or(&self.name)
    }
}

/// What of a policy is asked.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) rules: BTreeSet<Rule>,
    pub(crate) exceptions: BTreeSet<Vec<String>>,
}

/// Reads a module as Rego v1 and, unless it says that it is that, as v0. If it is neither, the error is that of v0 if
/// all that v1 misses is a keyword that v0 does not have or if v0 got further: a slip in an old module is not explained
/// by the newer grammar.
pub(crate) fn add(engine: &mut Engine, path: &str, source: &str) -> Result<(), PolicyError> {
    let mut read = |v0: bool| {
        engine.set_rego_v0(v0);
        let read = engine.add_policy(path.to_owned(), source.to_owned());
        read.map(drop).map_err(|error| unread(path, &error.to_string()))
    };
    let Err(as_v1) = read(false) else { return Ok(()) };
    if source.lines().any(|line| line.trim_start().starts_with("import rego.v1")) {
        return Err(as_v1);
    }
    let Err(as_v0) = read(true) else { return Ok(()) };
    let old = as_v1.to_string().ends_with(MISSES_KEYWORD) || reached(&as_v0) > reached(&as_v1);
    Err(if old { as_v0 } else { as_v1 })
}

fn reached(error: &PolicyError) -> (u32, u32) {
    match error {
        PolicyError::At { line, column, .. } => (*line, *column),
        _ => (0, 0),
    }
}

fn unread(path: &str, text: &str) -> PolicyError {
    match place(text) {
        PolicyError::Whole { wrong } => PolicyError::Module { module: path.to_owned(), wrong },
        placed => placed,
    }
}

/// What the library says, by its place: it writes `--> path:line:column`, the line, and `error: what is wrong`.
pub(crate) fn place(text: &str) -> PolicyError {
    let wrong = || PolicyError::Whole { wrong: text.trim().to_owned() };
    let Some((at, rest)) = text.split_once("--> ").and_then(|(_, after)| after.split_once('\n')) else {
        return wrong();
    };
    let mut parts = at.rsplitn(3, ':');
    let column = parts.next().and_then(|part| part.parse().ok());
    let line = parts.next().and_then(|part| part.parse().ok());
    let (Some(module), Some(line), Some(column)) = (parts.next(), line, column) else { return wrong() };
    let said = rest.split_once("\nerror: ").map_or(rest, |(_, said)| said);
    let said = said.split("\n--> ").next().unwrap_or(said);
    PolicyError::At { module: module.to_owned(), line, column, wrong: said.trim().to_owned() }
}

/// The package of each module, by component, in the order of the modules.
pub(crate) fn packages(engine: &Engine) -> Result<Vec<Vec<String>>, impl std::fmt::Display> {
    engine.get_policy_package_components().map(|all| all.into_iter().map(|of| of.components).collect())
}

/// The rules that count in `namespaces`.
pub(crate) fn counting(modules: &[NodeRef<Module>], packages: &[Vec<String>], namespaces: &Namespaces) -> Counting {
    let mut counting = Counting::default();
    for (module, package) in modules.iter().zip(packages) {
        if !namespaces.contain(&package.join(".")) {
            continue;
        }
        for name in module.policy.iter().filter_map(|rule| name(rule)) {
            if name == "exception" {
                counting.exceptions.insert(package.clone());
            } else if let Some(effect) = effect(name) {
                counting.rules.insert(Rule { namespace: package.clone(), name: name.to_owned(), effect });
            }
        }
    }
    counting
}

/// A rule's name, unless it is a function or names something inside of a document.
fn name(rule: &Written) -> Option<&str> {
    let mut head: &Expr = match rule {
        Written::Spec { head: RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. }, .. } => refr,
        Written::Default { refr, args, .. } if args.is_empty() => refr,
        Written::Spec { .. } | Written::Default { .. } => return None,
    };
    while let Expr::RefBrack { refr, .. } = head {
        head = refr;
    }
    match head {
        Expr::Var { span, .. } => Some(span.text()),
        _ => None,
    }
}

fn effect(name: &str) -> Option<Effect> {
    let is = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || (rest.starts_with('_') && rest.len() > 1))
    };
    match name {
        _ if is("deny") || is("violation") => Some(Effect::Deny),
        _ if is("warn") => Some(Effect::Warn),
        _ => None,
    }
}
