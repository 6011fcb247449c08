//! The document that policies see, built as the plan is read.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::{cell::RefCell, fmt};

use regorus::{Rc, Value};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The longest string that is held once however often it occurs. Keys, types, addresses and regions are shorter.
const SHARED_BYTES_MAX: usize = 64;

/// Reads one JSON document to its end. Equal keys and short strings are held once: a plan repeats both, and would else
/// need about twice the memory.
pub(crate) fn read(from: impl Read) -> Result<Value, serde_json::Error> {
    let strings = Strings::default();
    let mut deserializer = serde_json::Deserializer::from_reader(from);
    let value = Document(&strings).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// `input`: the plan, with itself, the run and the context in it. Values are counted references: the plan is there
/// once.
pub(crate) fn document(plan: Option<Value>, run: Value, context: Value) -> Option<Value> {
    let mut input = match &plan {
        Some(plan) => plan.clone(),
        None => Value::new_object(),
    };
    let fields = [plan.map(|plan| ("plan", plan)), Some(("run", run)), Some(("context", context))];
    let object = input.as_object_mut().ok()?;
    object.extend(fields.into_iter().flatten().map(|(name, value)| (Value::from(name), value)));
    Some(input)
}

#[derive(Default)]
struct Strings(RefCell<HashSet<Rc<str>>>);

impl Strings {
    fn share(&self, string: &str) -> Value {
        if string.len() > SHARED_BYTES_MAX {
            return Value::String(string.into());
        }
        let mut strings = self.0.borrow_mut();
        if let Some(held) = strings.get(string) {
            return Value::String(held.clone());
        }
        let held: Rc<str> = string.into();
        strings.insert(held.clone());
        Value::String(held)
    }
}

#[derive(Clone, Copy)]
struct Document<'a>(&'a Strings);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(self.0.share(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            all.push(element);
        }
        all.shrink_to_fit();
        Ok(Value::from(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((name, value)) = fields.next_entry_seed(self, self)? {
            all.insert(name, value);
        }
        Ok(Value::from(all))
    }
}
