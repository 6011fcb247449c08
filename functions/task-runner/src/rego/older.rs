//! Built-in functions that policies call and the library lacks: those that OPA gave up with Rego v1 but still has for
//! older policies, and one for networks.

use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use regorus::{Engine, Value};

/// The largest compiled pattern.
const PATTERN_BYTES_MAX: usize = 10 << 20;

/// Their names.
pub(crate) const NAMES: [&str; 5] = ["all", "any", "net.cidr_intersects", "net.cidr_overlap", "re_match"];

/// Adds them. As with all others, what they cannot answer is undefined.
pub(crate) fn add(engine: &mut Engine) -> Result<(), impl std::fmt::Display + use<>> {
    let all = |of: Vec<Value>| Ok(elements(&of).map_or(Value::Undefined, |mut of| of.all(is_true).into()));
    let any = |of: Vec<Value>| Ok(elements(&of).map_or(Value::Undefined, |mut of| of.any(is_true).into()));
    let intersects = |of: Vec<Value>| Ok(intersects(&of).map_or(Value::Undefined, Value::from));
    let contains = |of: Vec<Value>| Ok(contains(&of).map_or(Value::Undefined, Value::from));
    let mut last = None;
    let matches = move |of: Vec<Value>| Ok(matches(&mut last, &of).map_or(Value::Undefined, Value::from));
    engine.add_extension("all".to_owned(), 1, Box::new(all))?;
    engine.add_extension("any".to_owned(), 1, Box::new(any))?;
    engine.add_extension("net.cidr_intersects".to_owned(), 2, Box::new(intersects))?;
    engine.add_extension("net.cidr_overlap".to_owned(), 2, Box::new(contains))?;
    engine.add_extension("re_match".to_owned(), 2, Box::new(matches))
}

fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true)
}

fn elements(of: &[Value]) -> Option<Box<dyn Iterator<Item = &Value> + '_>> {
    match of {
        [Value::Array(array)] => Some(Box::new(array.iter())),
        [Value::Set(set)] => Some(Box::new(set.iter())),
        _ => None,
    }
}

fn strings(of: &[Value]) -> Option<(&str, &str)> {
    match of {
        [Value::String(first), Value::String(second)] => Some((first, second)),
        _ => None,
    }
}

fn intersects(of: &[Value]) -> Option<bool> {
    let (one, other) = strings(of)?;
    let (one, other): (IpNet, IpNet) = (one.parse().ok()?, other.parse().ok()?);
    Some(one.contains(&other.network()) || other.contains(&one.network()))
}

/// Whether a network contains an address.
fn contains(of: &[Value]) -> Option<bool> {
    let (network, address) = strings(of)?;
    let network: IpNet = network.parse().ok()?;
    Some(network.contains(&address.parse::<std::net::IpAddr>().ok()?))
}

/// Whether a pattern matches. The last one is kept: it is asked of one value after the other.
fn matches(last: &mut Option<Regex>, of: &[Value]) -> Option<bool> {
    let (pattern, text) = strings(of)?;
    if last.as_ref().is_none_or(|last| last.as_str() != pattern) {
        *last = Some(RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().ok()?);
    }
    last.as_ref().map(|regex| regex.is_match(text))
}
