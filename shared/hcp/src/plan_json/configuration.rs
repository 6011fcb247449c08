//! `configuration`: what every expression refers to, module by module.

use std::collections::BTreeSet;

use serde::de::{MapAccess, SeqAccess};

use super::address::{Reached, References, reached};
use super::gathered::{Constant, Gathered, Module, Read, type_key};
use super::sink::{Feed, Sink, Text, skip, take};
use super::values::BackendConfig;
use crate::state::Kind;

/// The whole configuration.
pub(super) struct Configuration<'a>(pub(super) &'a mut Gathered);

impl<'de> Sink<'de> for Configuration<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "root_module" => take(&mut map, InModule { gathered: self.0, path: String::new() })?,
                "provider_config" => take(&mut map, Providers(self.0))?,
                _ => skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// The configurations of providers, each of which belongs to a module.
struct Providers<'a>(&'a mut Gathered);

impl<'de> Sink<'de> for Providers<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key::<String>()?.is_some() {
            take(&mut map, Provider(self.0))?;
        }
        Ok(())
    }
}

struct Provider<'a>(&'a mut Gathered);

impl<'de> Sink<'de> for Provider<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Which module it belongs to may come behind what it refers to.
        let (mut address, mut own) = (None, Module::default());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "module_address" => take(&mut map, Text(&mut address))?,
                _ => take(&mut map, Expressions { gathered: self.0, module: &mut own })?,
            }
        }
        let path = address.map(|address| super::address::declared(&format!("{address}.x")).module);
        let module = self.0.modules.entry(path.unwrap_or_default()).or_default();
        module.refers_to_locals |= own.refers_to_locals;
        for (resource, uses) in own.uses {
            module.use_outputs(&resource, uses);
        }
        Ok(())
    }
}

/// A module, entered by the calls of `path`.
struct InModule<'a> {
    gathered: &'a mut Gathered,
    path: String,
}

impl<'de> Sink<'de> for InModule<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { gathered, path } = self;
        gathered.keep::<A::Error>(path.len())?;
        let mut module = gathered.modules.remove(&path).unwrap_or_default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "resources" => take(&mut map, Resources { gathered, module: &mut module })?,
                "module_calls" => take(&mut map, Calls { gathered, module: &mut module, path: &path })?,
                // Their defaults refer to nothing.
                "variables" => skip(&mut map)?,
                _ => take(&mut map, Expressions { gathered, module: &mut module })?,
            }
        }
        gathered.modules.insert(path, module);
        Ok(())
    }
}

struct Calls<'a> {
    gathered: &'a mut Gathered,
    module: &'a mut Module,
    path: &'a str,
}

impl<'de> Sink<'de> for Calls<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { name } else { format!("{}.{name}", self.path) };
            take(&mut map, Call { gathered: self.gathered, module: self.module, path })?;
        }
        Ok(())
    }
}

struct Call<'a> {
    gathered: &'a mut Gathered,
    /// The module that calls.
    module: &'a mut Module,
    path: String,
}

impl<'de> Sink<'de> for Call<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { gathered, module, path } = self;
        let mut repeated = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "module" => take(&mut map, InModule { gathered, path: path.clone() })?,
                "depends_on" => skip(&mut map)?,
                key => {
                    repeated |= repeats(key);
                    take(&mut map, Expressions { gathered, module })?;
                }
            }
        }
        if repeated {
            let below = format!("{path}.");
            let mut modules = gathered.modules.iter_mut();
            modules.by_ref().filter(|(it, _)| **it == path || it.starts_with(&below)).for_each(|(_, it)| {
                it.repeated = true;
            });
        }
        Ok(())
    }
}

fn repeats(key: &str) -> bool {
    matches!(key, "count_expression" | "for_each_expression")
}

struct Resources<'a> {
    gathered: &'a mut Gathered,
    module: &'a mut Module,
}

impl<'de> Sink<'de> for Resources<'_> {
    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let resource = Resource { gathered: &mut *self.gathered, module: &mut *self.module };
            if seq.next_element_seed(Feed(resource))?.is_none() {
                return Ok(());
            }
        }
    }
}

struct Resource<'a> {
    gathered: &'a mut Gathered,
    module: &'a mut Module,
}

impl<'de> Sink<'de> for Resource<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { gathered, module } = self;
        let (mut address, mut mode, mut resource_type) = (None, None, None);
        let mut arguments = Arguments::default();
        let mut repeated = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "address" => take(&mut map, Text(&mut address))?,
                "mode" => take(&mut map, Text(&mut mode))?,
                "type" => take(&mut map, Text(&mut resource_type))?,
                "expressions" => {
                    take(&mut map, Attributes { gathered, module, arguments: &mut arguments })?;
                }
                // What it has to wait for is not what it uses.
                "depends_on" => skip(&mut map)?,
                key => {
                    repeated |= repeats(key);
                    take(&mut map, Expressions { gathered, module })?;
                }
            }
        }
        let kind = resource_type.as_ref().and_then(|it: &String| Kind::of(it.as_bytes()));
        if let Some((kind, address)) = kind.zip(address).filter(|_| mode.as_deref() == Some("data")) {
            gathered.keep::<A::Error>(address.len())?;
            let Arguments { read, follows, .. } = arguments;
            module.data.insert(address, Constant { kind, read, repeated, follows });
            return Ok(());
        }
        let key = type_key(mode.as_deref(), resource_type.as_deref());
        if let Some(given) = module.given.get_mut(&key) {
            given.retain(|attribute| arguments.given.contains(attribute));
        } else {
            let bytes = arguments.given.iter().map(|attribute| attribute.len() + 32).sum::<usize>();
            gathered.keep::<A::Error>(key.len() + bytes)?;
            module.given.insert(key, arguments.given);
        }
        Ok(())
    }
}

/// The arguments of one resource or data source.
#[derive(Default)]
struct Arguments {
    /// Those that are expressions, rather than blocks.
    given: BTreeSet<String>,
    read: Read,
    /// What it reads, if it is a data source, follows from something else.
    follows: bool,
}

struct Attributes<'a> {
    gathered: &'a mut Gathered,
    module: &'a mut Module,
    arguments: &'a mut Arguments,
}

impl<'de> Sink<'de> for Attributes<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { gathered, module, arguments } = self;
        while let Some(name) = map.next_key::<String>()? {
            let mut is_expression = false;
            let says_which = matches!(name.as_str(), "backend" | "workspace" | "organization" | "config");
            let argument = Argument {
                gathered,
                module,
                name: &name,
                is_expression: &mut is_expression,
                read: &mut arguments.read,
                follows: if says_which { Some(&mut arguments.follows) } else { None },
            };
            take(&mut map, argument)?;
            if is_expression {
                arguments.given.insert(name);
            }
        }
        Ok(())
    }
}

struct Argument<'a> {
    gathered: &'a mut Gathered,
    module: &'a mut Module,
    name: &'a str,
    is_expression: &'a mut bool,
    read: &'a mut Read,
    follows: Option<&'a mut bool>,
}

impl<'de> Sink<'de> for Argument<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { gathered, module, name, is_expression, read, mut follows } = self;
        *is_expression = true;
        while let Some(key) = map.next_key::<String>()? {
            if let ("constant_value", Some(_)) = (key.as_str(), &follows) {
                take(&mut map, ConstantValue { name, read })?;
                continue;
            }
            if let Some(follows) = follows.as_deref_mut() {
                *follows = true;
            }
            match key.as_str() {
                "references" => take(&mut map, List { gathered, module })?,
                _ => take(&mut map, Expressions { gathered, module })?,
            }
        }
        Ok(())
    }

    fn array<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Expressions { gathered: self.gathered, module: self.module }.array(seq)
    }
}

struct ConstantValue<'a> {
    name: &'a str,
    read: &'a mut Read,
}

impl<'de> Sink<'de> for ConstantValue<'_> {
    fn text(self, text: &str) {
        if let Some(wanted) = self.read.text(self.name) {
            *wanted = Some(text.to_owned());
        }
    }

    fn object<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        BackendConfig(self.read).object(map)
    }
}

/// Anything that has expressions in it, at whatever depth.
struct Expressions<'a> {
    gathered: &'a mut Gathered,
    module: &'a mut Module,
}

impl<'de> Sink<'de> for Expressions<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { gathered, module } = self;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "references" => take(&mut map, List { gathered, module })?,
                _ => take(&mut map, Expressions { gathered, module })?,
            }
        }
        Ok(())
    }

    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let each = Expressions { gathered: &mut *self.gathered, module: &mut *self.module };
            if seq.next_element_seed(Feed(each))?.is_none() {
                return Ok(());
            }
        }
    }
}

/// The references of one expression; or, where an argument or a block is called so, that.
struct List<'a> {
    gathered: &'a mut Gathered,
    module: &'a mut Module,
}

impl<'de> Sink<'de> for List<'_> {
    fn object<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Expressions { gathered: self.gathered, module: self.module }.object(map)
    }

    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut references = References::default();
        let mut over = false;
        loop {
            let (gathered, module) = (&mut *self.gathered, &mut *self.module);
            let element = Element { gathered, module, references: &mut references, over: &mut over };
            if seq.next_element_seed(Feed(element))?.is_none() {
                return Ok(());
            }
            if over {
                return Err(serde::de::Error::custom("too many names"));
            }
        }
    }
}

struct Element<'a> {
    gathered: &'a mut Gathered,
    module: &'a mut Module,
    references: &'a mut References,
    over: &'a mut bool,
}

impl<'de> Sink<'de> for Element<'_> {
    fn text(self, element: &str) {
        if !self.references.begins(element) {
            return;
        }
        match reached(element) {
            Reached::Local => self.module.refers_to_locals = true,
            Reached::Data { resource, output } => {
                let bytes = self.module.use_output(resource, output);
                if bytes > 0 {
                    *self.over = self.gathered.keep::<serde::de::value::Error>(bytes).is_err();
                }
            }
            Reached::Other => {}
        }
    }

    fn object<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Expressions { gathered: self.gathered, module: self.module }.object(map)
    }
}
