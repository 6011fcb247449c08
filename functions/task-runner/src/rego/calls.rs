//! Calls of functions that do not exist: the library finds them only when they are reached, which for a rule about
//! something rare is long after the policy was saved.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{BUILTINS, Expr, Literal, Module, NodeRef, Query, Rule, RuleAssign, RuleHead, Span};

use super::older;
use super::policy::PolicyError;

/// Whether every function that is called exists, and none calls itself: the library would do so until its stack ends.
pub(crate) fn check(modules: &[NodeRef<Module>], packages: &[Vec<String>]) -> Result<(), PolicyError> {
    let mut known = BTreeSet::new();
    for (module, package) in modules.iter().zip(packages) {
        let functions = module.policy.iter().filter_map(|rule| function(rule));
        known.extend(functions.map(|name| format!("{}.{name}", path(package))));
    }
    let mut graph: BTreeMap<String, Vec<(String, &Span)>> = BTreeMap::new();
    for (module, package) in modules.iter().zip(packages) {
        let imports = imports(module);
        for rule in &module.policy {
            let mut calls = Calls::default();
            calls.rule(rule);
            let within = function(rule).map(|name| format!("{}.{name}", path(package)));
            for (span, name) in calls.0 {
                match callee(&name, package, &imports, &known) {
                    Callee::Ours(callee) => {
                        graph.entry(within.clone().unwrap_or_default()).or_default().push((callee, span));
                    }
                    Callee::BuiltIn => {}
                    Callee::Missing => return Err(missing(span, &name)),
                }
            }
        }
    }
    circle(&graph).map_or(Ok(()), |(span, name)| Err(at(span, format!("function {name} calls itself"))))
}

/// A call that leads back to its caller.
fn circle<'a>(graph: &'a BTreeMap<String, Vec<(String, &'a Span)>>) -> Option<(&'a Span, &'a str)> {
    let calls = |name: &str| graph.get(name).map_or(&[][..], Vec::as_slice);
    let leads_to = |from: &'a str, to: &str| {
        let mut seen = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(name) = next.pop() {
            if name == to {
                return true;
            }
            next.extend(calls(name).iter().map(|(callee, _)| callee.as_str()).filter(|callee| seen.insert(callee)));
        }
        false
    };
    let mut edges = graph.iter().flat_map(|(caller, calls)| calls.iter().map(move |call| (caller, call)));
    edges.find(|(caller, (callee, _))| leads_to(callee, caller)).map(|(caller, (_, span))| (*span, caller.as_str()))
}

fn path(package: &[String]) -> String {
    format!("data.{}", package.join("."))
}

fn missing(span: &Span, name: &str) -> PolicyError {
    let wrong = if ["http.", "opa.", "rego."].iter().any(|family| name.starts_with(family)) {
        format!("function {name} cannot be called here: policies reach nothing but their input and data")
    } else {
        format!("there is no function {name}")
    };
    at(span, wrong)
}

fn at(span: &Span, wrong: String) -> PolicyError {
    PolicyError::At { module: span.source.get_path().clone(), line: span.line, column: span.col, wrong }
}

enum Callee {
    /// By its whole path.
    Ours(String),
    BuiltIn,
    Missing,
}

fn callee(name: &str, package: &[String], imports: &BTreeMap<String, String>, known: &BTreeSet<String>) -> Callee {
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let imported = imports.get(first).map(|import| rest.map_or(import.clone(), |rest| format!("{import}.{rest}")));
    let own = format!("{}.{name}", path(package));
    match [imported, Some(own), Some(name.to_owned())].into_iter().flatten().find(|path| known.contains(path)) {
        Some(path) => Callee::Ours(path),
        None if name == "print" || BUILTINS.contains_key(name) || older::NAMES.contains(&name) => Callee::BuiltIn,
        None => Callee::Missing,
    }
}

/// What imported names stand for.
fn imports(module: &Module) -> BTreeMap<String, String> {
    let import = |import: &regorus::unstable::Import| {
        let stands_for = dotted(&import.refr)?;
        let last = stands_for.rsplit('.').next().unwrap_or(&stands_for);
        let name = import.r#as.as_ref().map_or(last, Span::text).to_owned();
        stands_for.starts_with("data.").then_some((name, stands_for))
    };
    module.imports.iter().filter_map(import).collect()
}

fn function(rule: &Rule) -> Option<String> {
    match rule {
        Rule::Spec { head: RuleHead::Func { refr, .. }, .. } => dotted(refr),
        Rule::Default { refr, args, .. } if !args.is_empty() => dotted(refr),
        _ => None,
    }
}

/// A name with dots, if that is all it is.
fn dotted(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Var { span, .. } => Some(span.text().to_owned()),
        Expr::RefDot { refr, field, .. } => Some(format!("{}.{}", dotted(refr)?, field.0.text())),
        Expr::RefBrack { refr, index, .. } => match &**index {
            Expr::String { span, .. } => Some(format!("{}.{}", dotted(refr)?, span.text().trim_matches('"'))),
            _ => None,
        },
        _ => None,
    }
}

/// Every call below a rule. The library bounds how deep expressions are.
#[derive(Default)]
struct Calls<'a>(Vec<(&'a Span, String)>);

impl<'a> Calls<'a> {
    fn rule(&mut self, rule: &'a Rule) {
        match rule {
            Rule::Default { value, .. } => self.expr(value),
            Rule::Spec { head, bodies, .. } => {
                self.head(head);
                for body in bodies {
                    self.assign(body.assign.as_ref());
                    self.query(&body.query);
                }
            }
        }
    }

    fn head(&mut self, head: &'a RuleHead) {
        match head {
            RuleHead::Compr { refr, assign, .. } => {
                self.expr(refr);
                self.assign(assign.as_ref());
            }
            RuleHead::Set { key, .. } => self.all(key),
            RuleHead::Func { args, assign, .. } => {
                self.all(args);
                self.assign(assign.as_ref());
            }
        }
    }

    fn assign(&mut self, assign: Option<&'a RuleAssign>) {
        if let Some(assign) = assign {
            self.expr(&assign.value);
        }
    }

    fn query(&mut self, query: &'a Query) {
        for stmt in &query.stmts {
            match &stmt.literal {
                Literal::SomeVars { .. } => {}
                Literal::SomeIn { key, value, collection, .. } => {
                    self.all(key);
                    self.all([value, collection]);
                }
                Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expr(expr),
                Literal::Every { domain, query, .. } => {
                    self.expr(domain);
                    self.query(query);
                }
            }
            self.all(stmt.with_mods.iter().map(|with| &with.r#as));
        }
    }

    fn all(&mut self, exprs: impl IntoIterator<Item = &'a NodeRef<Expr>>) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Call { span, fcn, params, .. } => {
                self.0.extend(dotted(fcn).map(|name| (span, name)));
                self.all(params);
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.all(items),
            Expr::Object { fields, .. } => self.all(fields.iter().flat_map(|(_, key, value)| [key, value])),
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.expr(term);
                self.query(query);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.all([key, value]);
                self.query(query);
            }
            Expr::UnaryExpr { expr, .. } => self.expr(expr),
            Expr::RefDot { refr, .. } => self.expr(refr),
            Expr::RefBrack { refr, index, .. } => self.all([refr, index]),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => self.all([lhs, rhs]),
            Expr::Membership { key, value, collection, .. } => {
                self.all(key);
                self.all([value, collection]);
            }
            _ => {}
        }
    }
}
