//! JSON whose fields stay in the order in which they came.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::json;

/// A value with its fields in order.
pub(crate) enum Ordered {
    /// Fields.
    Object(Vec<(String, Ordered)>),
    /// Items.
    Array(Vec<Ordered>),
    /// Anything else.
    Plain(Value),
}

impl Ordered {
    /// Removes `metadata.managedFields` from the objects of a list.
    pub(crate) fn strip_managed_fields(&mut self) {
        if let Some(Self::Array(items)) = self.field("items") {
            for item in items {
                if let Some(Self::Object(metadata)) = item.field("metadata") {
                    metadata.retain(|(name, _)| name != "managedFields");
                }
            }
        }
    }

    fn field(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(fields) = self else {
            return None;
        };
        fields
            .iter_mut()
            .find_map(|(own, value)| (own == name).then_some(value))
    }

    /// Indented, with a newline at the end.
    pub(crate) fn pretty(&self) -> String {
        let mut out = String::new();
        self.write(Some(0), &mut out);
        out.push('\n');
        out
    }

    fn write(&self, depth: Option<usize>, out: &mut String) {
        match self {
            Self::Plain(value) => out.push_str(&json::compact(value)),
            Self::Array(items) => {
                let each = items.iter().map(|item| (None, item));
                json::block(['[', ']'], each, depth, out, Self::write);
            }
            Self::Object(fields) => {
                let each = fields.iter().map(|(key, item)| (Some(key.as_str()), item));
                json::block(['{', '}'], each, depth, out, Self::write);
            }
        }
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Ordered;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Ordered, E> {
        Ok(Ordered::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Ordered, E> {
        Ok(Ordered::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Ordered, E> {
        Ok(Ordered::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Ordered, E> {
        Ok(Ordered::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Ordered, E> {
        Ok(Ordered::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Ordered, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Ordered::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Ordered::Object(fields))
    }
}
