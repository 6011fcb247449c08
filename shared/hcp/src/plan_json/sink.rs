//! Takes JSON in as it comes: a [`Sink`] says what it wants of a value, and everything else is stepped over. A value of
//! another type than expected is stepped over too.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What wants a value, of whatever type it turns out to be.
pub(super) trait Sink<'de>: Sized {
    /// It is a string.
    fn text(self, _: &str) {}

    /// It is true or false.
    fn boolean(self, _: bool) {}

    /// It is a number.
    fn number(self) {}

    /// It is an object.
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    /// It is an array.
    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Feeds a sink with the next value.
pub(super) struct Feed<S>(pub(super) S);

impl<'de, S: Sink<'de>> DeserializeSeed<'de> for Feed<S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: Sink<'de>> Visitor<'de> for Feed<S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.boolean(value);
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.0.number();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.0.number();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.0.number();
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.object(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        self.0.array(seq)
    }
}

/// Feeds `sink` with the value of the member whose key was just read.
pub(super) fn take<'de, A: MapAccess<'de>>(map: &mut A, sink: impl Sink<'de>) -> Result<(), A::Error> {
    map.next_value_seed(Feed(sink))
}

/// Steps over the value of the member whose key was just read.
pub(super) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// Wants a string.
pub(super) struct Text<'a>(pub(super) &'a mut Option<String>);

impl Sink<'_> for Text<'_> {
    fn text(self, text: &str) {
        *self.0 = Some(text.to_owned());
    }
}

/// Wants true or false.
pub(super) struct Flag<'a>(pub(super) &'a mut Option<bool>);

impl Sink<'_> for Flag<'_> {
    fn boolean(self, value: bool) {
        *self.0 = Some(value);
    }
}

/// Wants to know whether anything in a value is true: how a plan tells what is unknown.
pub(super) struct AnyTrue<'a>(pub(super) &'a mut bool);

impl<'de> Sink<'de> for AnyTrue<'_> {
    fn boolean(self, value: bool) {
        *self.0 |= value;
    }

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            take(&mut map, AnyTrue(self.0))?;
        }
        Ok(())
    }

    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Feed(AnyTrue(self.0)))?.is_some() {}
        Ok(())
    }
}
