//! `planned_values` and `prior_state`: what data sources read, and which attributes look like nested blocks.

use std::collections::BTreeMap;

use serde::de::{MapAccess, SeqAccess};

use super::gathered::{Draft, Gathered, Read};
use super::sink::{Feed, Sink, Text, skip, take};

/// A whole state, with its root module one level down or two.
pub(super) struct State<'a> {
    pub(super) gathered: &'a mut Gathered,
    /// It is a whole document, and holds what it says under `values`.
    pub(super) nested: bool,
}

impl<'de> Sink<'de> for State<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "values" if self.nested => take(&mut map, State { gathered: &mut *self.gathered, nested: false })?,
                "root_module" if !self.nested => take(&mut map, Module(self.gathered))?,
                _ => skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// An instance of a module.
struct Module<'a>(&'a mut Gathered);

impl<'de> Sink<'de> for Module<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "resources" => take(&mut map, Each(self.0, What::Resource))?,
                "child_modules" => take(&mut map, Each(self.0, What::Module))?,
                _ => skip(&mut map)?,
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum What {
    Resource,
    Module,
}

struct Each<'a>(&'a mut Gathered, What);

impl<'de> Sink<'de> for Each<'_> {
    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let next = match self.1 {
                What::Resource => seq.next_element_seed(Feed(Resource(self.0)))?,
                What::Module => seq.next_element_seed(Feed(Module(self.0)))?,
            };
            if next.is_none() {
                return Ok(());
            }
        }
    }
}

/// An instance of a resource or data source.
struct Resource<'a>(&'a mut Gathered);

impl<'de> Sink<'de> for Resource<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut draft = Draft::default();
        let mut shapes = Shapes::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "address" => take(&mut map, Text(&mut draft.address))?,
                "mode" => take(&mut map, Text(&mut draft.mode))?,
                "type" => take(&mut map, Text(&mut draft.resource_type))?,
                "values" => take(&mut map, Values { read: &mut draft.read, shapes: &mut shapes })?,
                // What is not known yet shows here, if it is a list.
                "sensitive_values" => take(&mut map, Sensitive(&mut shapes))?,
                _ => skip(&mut map)?,
            }
        }
        self.0.shapes::<A::Error>(&draft, shapes)?;
        self.0.data_source::<A::Error>(draft)
    }
}

/// Attributes by name, and whether each may be a list of nested blocks.
pub(super) type Shapes = BTreeMap<String, Shape>;

/// What the values of an attribute look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// Nothing was seen of it.
    Unseen,
    /// A list of objects, or an empty one.
    Blocks,
    /// No list, or one with other elements in it.
    Plain,
}

/// The attributes of an instance.
pub(super) struct Values<'a> {
    pub(super) read: &'a mut Read,
    pub(super) shapes: &'a mut Shapes,
}

impl<'de> Sink<'de> for Values<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let mut shape = Shape::Unseen;
            match key.as_str() {
                "config" => take(&mut map, Config { read: &mut *self.read, shape: &mut shape })?,
                "backend" | "workspace" | "organization" => {
                    take(&mut map, Attribute { text: self.read.text(&key), shape: &mut shape })?;
                }
                _ => take(&mut map, Attribute { text: None, shape: &mut shape })?,
            }
            self.shapes.insert(key, shape);
        }
        Ok(())
    }
}

/// Which attributes are sensitive: objects and lists show, whether or not they are known.
struct Sensitive<'a>(&'a mut Shapes);

impl<'de> Sink<'de> for Sensitive<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let mut shape = Shape::Unseen;
            take(&mut map, Attribute { text: None, shape: &mut shape })?;
            if shape == Shape::Blocks {
                let known = self.0.entry(key).or_insert(shape);
                *known = (*known).max(shape);
            }
        }
        Ok(())
    }
}

/// One attribute.
struct Attribute<'a> {
    /// Where its text is wanted. Elsewhere it may be a secret.
    text: Option<&'a mut Option<String>>,
    shape: &'a mut Shape,
}

impl<'de> Sink<'de> for Attribute<'_> {
    fn text(self, text: &str) {
        *self.shape = Shape::Plain;
        if let Some(wanted) = self.text {
            *wanted = Some(text.to_owned());
        }
    }

    fn boolean(self, _: bool) {
        *self.shape = Shape::Plain;
    }

    fn number(self) {
        *self.shape = Shape::Plain;
    }

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        *self.shape = Shape::Plain;
        while map.next_key::<serde::de::IgnoredAny>()?.is_some() {
            skip(&mut map)?;
        }
        Ok(())
    }

    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        *self.shape = Shape::Blocks;
        let mut element = Shape::Unseen;
        while seq.next_element_seed(Feed(Element(&mut element)))?.is_some() {
            *self.shape = (*self.shape).max(element);
        }
        Ok(())
    }
}

/// An element of a list.
struct Element<'a>(&'a mut Shape);

impl<'de> Sink<'de> for Element<'_> {
    fn text(self, _: &str) {
        *self.0 = Shape::Plain;
    }

    fn boolean(self, _: bool) {
        *self.0 = Shape::Plain;
    }

    fn number(self) {
        *self.0 = Shape::Plain;
    }

    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        *self.0 = Shape::Plain;
        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// A backend's configuration. Of a data source of another type it is any attribute.
struct Config<'a> {
    read: &'a mut Read,
    shape: &'a mut Shape,
}

impl<'de> Sink<'de> for Config<'_> {
    fn text(self, _: &str) {
        *self.shape = Shape::Plain;
    }

    fn boolean(self, _: bool) {
        *self.shape = Shape::Plain;
    }

    fn number(self) {
        *self.shape = Shape::Plain;
    }

    fn object<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        *self.shape = Shape::Plain;
        BackendConfig(self.read).object(map)
    }

    fn array<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Attribute { text: None, shape: self.shape }.array(seq)
    }
}

/// The members of a backend's configuration that say which workspace is read. Its token is stepped over.
pub(super) struct BackendConfig<'a>(pub(super) &'a mut Read);

impl<'de> Sink<'de> for BackendConfig<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let config = &mut self.0.config;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "hostname" => take(&mut map, Text(&mut config.hostname))?,
                "organization" => take(&mut map, Text(&mut config.organization))?,
                "name" => take(&mut map, Text(&mut config.name))?,
                "address" => take(&mut map, Text(&mut config.address))?,
                "workspaces" => take(&mut map, Workspaces(config))?,
                _ => skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct Workspaces<'a>(&'a mut crate::state::Config);

impl<'de> Sink<'de> for Workspaces<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => take(&mut map, Text(&mut self.0.workspace))?,
                "prefix" => take(&mut map, Text(&mut self.0.prefix))?,
                _ => skip(&mut map)?,
            }
        }
        Ok(())
    }
}
