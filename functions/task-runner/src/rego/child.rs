//! The process that evaluates: it bounds itself, reads, evaluates, answers once and ends.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{LimitError, Value};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Map;

use super::findings::{Finding, Findings, Gathered};
use super::input;
use super::module::{self, Effect, Rule};
use super::policy::{Compiled, PolicyError, compile};
use super::wire::{Answer, Bounds, Header};

/// The most bytes of the first line.
const BOUNDS_BYTES_MAX: u64 = 4096;
/// The most bytes of the second line.
const HEADER_BYTES_MAX: u64 = 64 << 20;
/// How much of the plan is read at once.
const READ_BYTES: usize = 64 * 1024;
/// Steps of evaluation between two looks at the clock.
const STEPS: NonZeroU32 = NonZeroU32::new(256).expect("not zero");

/// The child's whole life. `main` calls this first thing when its only argument is
/// [`EVALUATE_POLICY`](super::EVALUATE_POLICY), before it reads its environment or starts a runtime.
///
/// Memory is bounded as address space (`RLIMIT_AS`), which macOS does not hold to: there only time is bounded. Nothing
/// is ever written to standard error but where a panic was; the message of one could quote the plan.
#[must_use]
pub fn child_main(stdin: impl Read, mut stdout: impl Write) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        // If even this cannot be written, the exit status still tells.
        let _ = writeln!(io::stderr(), "panicked at {place}");
    }));
    let started = Instant::now();
    let answered = answer(stdin, started).and_then(|answer| {
        serde_json::to_writer(&mut stdout, &answer)?;
        stdout.flush()
    });
    if answered.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn answer(stdin: impl Read, started: Instant) -> io::Result<Answer> {
    let mut stdin = BufReader::with_capacity(READ_BYTES, stdin);
    let bounds: Bounds = serde_json::from_slice(&line(&mut stdin, BOUNDS_BYTES_MAX)?)?;
    limit(&bounds)?;
    let header: Header<'static> = serde_json::from_slice(&line(&mut stdin, HEADER_BYTES_MAX)?)?;
    let mut compiled = match compile(&header.policy, &header.namespaces) {
        Ok(compiled) => compiled,
        Err(error) => return Ok(Answer::Policy(error)),
    };
    let plan = match header.plan.then(|| input::read(stdin)).transpose() {
        Ok(plan) => plan,
        Err(error) => return Ok(Answer::Plan { wrong: error.to_string() }),
    };
    let (run, context) = (header.run.into_owned(), header.context.into_owned());
    let Some(document) = input::document(plan, Value::from(run), Value::from(context)) else {
        return Ok(Answer::Plan { wrong: "it is not an object".to_owned() });
    };
    compiled.engine.set_input(document);
    let left = Duration::from_millis(bounds.wall_ms).saturating_sub(started.elapsed());
    let answer = evaluate(&mut compiled, left);
    // The process ends: taking a large document apart first would only take time.
    std::mem::forget(compiled);
    Ok(answer)
}

/// A line without its end.
fn line(from: &mut impl BufRead, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(bytes_max).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(line),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Holds this process to the bounds. The kernel ends it at the soft limit of processor time, and again a second later.
fn limit(bounds: &Bounds) -> io::Result<()> {
    let set = |resource, soft: u64, hard: u64| {
        let within = |wanted: u64| getrlimit(resource).maximum.map_or(wanted, |most| most.min(wanted));
        setrlimit(resource, Rlimit { current: Some(within(soft)), maximum: Some(within(hard)) })
    };
    set(Resource::Core, 0, 0)?;
    set(Resource::Cpu, bounds.cpu_seconds, bounds.cpu_seconds.saturating_add(1))?;
    let memory = set(Resource::As, bounds.memory_bytes, bounds.memory_bytes);
    if cfg!(target_os = "macos") { Ok(()) } else { Ok(memory?) }
}

fn evaluate(compiled: &mut Compiled, limit: Duration) -> Answer {
    compiled.engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: STEPS });
    let query = query(&compiled.rules, &compiled.exceptions);
    let started = Instant::now();
    let evaluated = compiled.engine.eval_query(query, false);
    if started.elapsed() >= limit {
        // Whatever came of it: the library may have taken a stop inside a function for an undefined value.
        return Answer::TimedOut;
    }
    let values = match evaluated {
        Ok(results) => results.result.into_iter().next().and_then(|row| row.expressions.into_iter().next()),
        Err(error) if out_of_time(error.downcast_ref(), &error) => return Answer::TimedOut,
        Err(error) => return Answer::Policy(failed(&error)),
    };
    let values = values.map_or(Value::Undefined, |expression| expression.value);
    match findings(compiled, &values) {
        Ok(findings) => Answer::Findings(findings),
        Err(error) => Answer::Policy(error),
    }
}

/// All rules in one query, so that what they share is evaluated once: a list of one list per rule, empty if the rule
/// is undefined; the exceptions come last.
fn query(rules: &BTreeSet<Rule>, exceptions: &BTreeSet<Vec<String>>) -> String {
    let one = |package: &[String], name: &str| {
        let quoted: Vec<_> = package.iter().map(|part| serde_json::Value::from(part.as_str()).to_string()).collect();
        let path = quoted.join("][");
        format!("[value | value := data[{path}][\"{name}\"]]")
    };
    let rules = rules.iter().map(|rule| one(&rule.namespace, &rule.name));
    let all = rules.chain(exceptions.iter().map(|package| one(package, "exception")));
    format!("[{}]", all.collect::<Vec<_>>().join(",\n"))
}

/// The library's own word for it is lost where an error passes through a function's body.
fn out_of_time(error: Option<&LimitError>, text: &impl Display) -> bool {
    matches!(error, Some(LimitError::TimeLimitExceeded { .. })) || text.to_string().contains("exceeded time limit")
}

/// What went wrong during evaluation, in our words: the library's may quote values, and values are the plan's.
fn failed(error: &impl Display) -> PolicyError {
    let ours = |wrong: &str| {
        let told = [
            ("multiple outputs", "it gives more than one value; a complete rule or a function may give only one"),
            ("regex exceeded size limit", "a regular expression is too large"),
            ("recursion", "it refers to itself"),
            ("could not find function", "it calls a function that does not exist"),
            ("mismatch in number of arguments", "a function is called with the wrong number of arguments"),
            ("previous value is not", "it is defined both as a set and as something else"),
        ];
        told.iter().find(|(theirs, _)| wrong.contains(theirs)).map_or("it cannot be evaluated", |(_, ours)| ours)
    };
    match module::place(&error.to_string()) {
        PolicyError::At { module, line, column, wrong } if module != "<query.rego>" => {
            PolicyError::At { module, line, column, wrong: ours(&wrong).to_owned() }
        }
        PolicyError::At { wrong, .. } | PolicyError::Whole { wrong } => {
            PolicyError::Whole { wrong: ours(&wrong).to_owned() }
        }
        other => other,
    }
}

fn findings(compiled: &Compiled, values: &Value) -> Result<Findings, PolicyError> {
    let given = |index: usize| match &values[index] {
        Value::Array(value) => value.first(),
        _ => None,
    };
    let counted = compiled.rules.len();
    let exceptions = compiled.exceptions.iter().enumerate();
    let excepted: BTreeSet<(&[String], &str)> = exceptions
        .flat_map(|(index, package)| named(given(counted + index)).into_iter().map(|name| (package.as_slice(), name)))
        .collect();
    let mut gathered = Gathered::default();
    for effect in [Effect::Deny, Effect::Warn] {
        for (index, rule) in compiled.rules.iter().enumerate().filter(|(_, rule)| rule.effect == effect) {
            let found = given(index).map_or(Ok(Vec::new()), |value| found(rule, value))?;
            if found.is_empty() {
                gathered.findings.passed += 1;
            } else if excepted.contains(&(rule.namespace.as_slice(), rule.short())) {
                gathered.findings.excepted += 1;
            } else {
                for finding in found {
                    match effect {
                        Effect::Deny => gathered.deny(finding),
                        Effect::Warn => gathered.warn(finding),
                    }
                }
            }
        }
    }
    Ok(gathered.findings)
}

/// The names in a set of lists of names.
fn named(exceptions: Option<&Value>) -> Vec<&str> {
    let lists = exceptions.map_or_else(Vec::new, elements);
    let names = lists.into_iter().flat_map(elements);
    names.filter_map(|name| name.as_string().ok().map(AsRef::as_ref)).collect()
}

fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Set(set) => set.iter().collect(),
        Value::Array(array) => array.iter().collect(),
        _ => Vec::new(),
    }
}

/// What a rule's value says. In Rego v1 `deny[msg] if …` is an object with `msg` as key and `true` as value: what its
/// author meant are the keys.
fn found(rule: &Rule, value: &Value) -> Result<Vec<Finding>, PolicyError> {
    match value {
        Value::Bool(false) | Value::Null | Value::Undefined => Ok(Vec::new()),
        Value::Bool(true) => Ok(vec![finding(rule, format!("rule {} is true", rule.name), Map::new())]),
        Value::Set(_) | Value::Array(_) => elements(value).into_iter().map(|element| said(rule, element)).collect(),
        Value::Object(object) if object.values().all(|value| *value == Value::Bool(true)) => {
            object.keys_sorted().map(|key| said(rule, key)).collect()
        }
        Value::String(_) | Value::Object(_) | Value::Number(_) => Ok(vec![said(rule, value)?]),
    }
}

fn said(rule: &Rule, element: &Value) -> Result<Finding, PolicyError> {
    let nothing = |gave: &str| PolicyError::NoFinding {
        rule: rule.name.clone(),
        namespace: rule.namespace.join("."),
        gave: gave.to_owned(),
    };
    match element {
        Value::String(msg) => Ok(finding(rule, msg.to_string(), Map::new())),
        Value::Object(_) => {
            let Ok(serde_json::Value::Object(mut metadata)) = serde_json::to_value(element) else {
                return Err(nothing("an object that is not JSON"));
            };
            match metadata.remove("msg") {
                Some(serde_json::Value::String(msg)) => Ok(finding(rule, msg, metadata)),
                _ => Err(nothing("an object without a string msg")),
            }
        }
        Value::Number(_) => Err(nothing("a number")),
        Value::Bool(_) => Err(nothing("a boolean in a set")),
        Value::Set(_) | Value::Array(_) => Err(nothing("a collection in a collection")),
        Value::Null | Value::Undefined => Err(nothing("null")),
    }
}

fn finding(rule: &Rule, msg: String, metadata: Map<String, serde_json::Value>) -> Finding {
    Finding { rule: rule.name.clone(), namespace: rule.namespace.join("."), msg, metadata }
}
