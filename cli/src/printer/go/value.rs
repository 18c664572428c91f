//! A value with the Go type that it has in kubectl.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

/// What a value holds.
#[derive(Clone, Debug)]
pub(crate) enum Data<'a> {
    /// Nothing: a nil interface if wrapped, otherwise no value at all.
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`, the type of literals and places.
    Int(i64),
    /// `int64`, the type of whole numbers in objects.
    Int64(i64),
    /// `uint8`, what a string consists of.
    Byte(u8),
    /// `float64`
    Float(f64),
    /// `complex128`
    Complex(f64, f64),
    /// `string`, of bytes.
    Text(Cow<'a, [u8]>),
    /// `map[string]interface {}`
    Map(&'a Map<String, Json>),
    /// `[]interface {}`
    List(List<'a>),
}

/// A Go slice: what is behind its end can come back as far as its capacity reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    all: &'a [Json],
    length: usize,
    capacity: usize,
}

impl<'a> List<'a> {
    fn new(all: &'a [Json]) -> Self {
        // Go's decoder appends one at a time, which doubles the capacity each time that it is full.
        let capacity = if all.is_empty() {
            0
        } else {
            all.len().next_power_of_two()
        };
        Self {
            all,
            length: all.len(),
            capacity,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The item at a place below the length; one that was never written is nil.
    pub(crate) fn get(&self, at: usize) -> Value<'a> {
        self.all.get(at).map_or(Value::nil(), Value::inside)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let list = *self;
        (0..list.length).map(move |at| list.get(at))
    }

    /// `list[from:to:capacity]`; the caller has checked that each is at most the next, and the last at
    /// most the capacity.
    pub(crate) fn slice(&self, from: usize, to: usize, capacity: usize) -> Self {
        Self {
            all: self.all.get(from..).unwrap_or_default(),
            length: to.saturating_sub(from),
            capacity: capacity.saturating_sub(from),
        }
    }
}

/// A value. Go's `interface {}` around it shows in errors, and is nil for JSON's null.
#[derive(Clone, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) data: Data<'a>,
    /// Whether it is held in an interface, as what maps and lists hold is.
    pub(crate) wrapped: bool,
}

impl<'a> From<Data<'a>> for Value<'a> {
    fn from(data: Data<'a>) -> Self {
        Self {
            data,
            wrapped: false,
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Data::Bool(value).into()
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(text: Vec<u8>) -> Self {
        Data::Text(Cow::Owned(text)).into()
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(text: &'a [u8]) -> Self {
        Data::Text(Cow::Borrowed(text)).into()
    }
}

impl<'a> Value<'a> {
    /// No value: Go's zero `reflect.Value`.
    pub(crate) fn none() -> Self {
        Data::Nil.into()
    }

    /// A nil interface.
    pub(crate) fn nil() -> Self {
        Self {
            data: Data::Nil,
            wrapped: true,
        }
    }

    /// `int`
    pub(crate) fn int(value: usize) -> Self {
        // No length here is above what an i64 holds.
        Data::Int(i64::try_from(value).unwrap_or(i64::MAX)).into()
    }

    /// A decoded JSON value.
    pub(crate) fn of(json: &'a Json) -> Self {
        let data = match json {
            Json::Null => Data::Nil,
            Json::Bool(value) => Data::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Data::Int64(whole),
                None => Data::Float(number.as_f64().unwrap_or_default()),
            },
            Json::String(text) => Data::Text(Cow::Borrowed(text.as_bytes())),
            Json::Array(list) => Data::List(List::new(list)),
            Json::Object(map) => Data::Map(map),
        };
        data.into()
    }

    /// A decoded JSON value in the map or list that holds it.
    pub(crate) fn inside(json: &'a Json) -> Self {
        Self {
            wrapped: true,
            ..Self::of(json)
        }
    }

    /// The value without its interface.
    pub(crate) fn unwrapped(self) -> Self {
        self.data.into()
    }

    /// Whether there is no value at all, not even a nil.
    pub(crate) fn is_none(&self) -> bool {
        self.is_nil() && !self.wrapped
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self.data, Data::Nil)
    }

    /// The name of the type that it is declared with.
    pub(crate) fn type_name(&self) -> &'static str {
        if self.wrapped {
            "interface {}"
        } else {
            self.data.type_name()
        }
    }
}

impl Data<'_> {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Complex(..) => "complex128",
            Self::Text(_) => "string",
            Self::Map(_) => "map[string]interface {}",
            Self::List(_) => "[]interface {}",
        }
    }

    /// A whole number of any type.
    pub(crate) fn whole(&self) -> Option<i64> {
        match self {
            Self::Int(value) | Self::Int64(value) => Some(*value),
            Self::Byte(value) => Some((*value).into()),
            _ => None,
        }
    }
}

/// An object as it is after it was written as JSON and read again: numbers with a fraction of zero are
/// whole ones.
pub(crate) fn written_and_read(json: &Json) -> Cow<'_, Json> {
    if has_whole_floats(json) {
        Cow::Owned(with_whole_numbers(json))
    } else {
        Cow::Borrowed(json)
    }
}

fn whole(number: &serde_json::Number) -> Option<i64> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    // Exactly the floats whose conversion to an i64 and back changes nothing.
    let fits = float.fract() == 0.0 && (-(2f64.powi(63))..2f64.powi(63)).contains(&float);
    fits.then_some(float as i64)
}

fn has_whole_floats(json: &Json) -> bool {
    match json {
        Json::Number(number) => whole(number).is_some(),
        Json::Array(list) => list.iter().any(has_whole_floats),
        Json::Object(map) => map.values().any(has_whole_floats),
        _ => false,
    }
}

fn with_whole_numbers(json: &Json) -> Json {
    match json {
        Json::Number(number) => whole(number).map_or_else(|| json.clone(), Json::from),
        Json::Array(list) => list.iter().map(with_whole_numbers).collect(),
        Json::Object(map) => {
            let pairs = map.iter().map(|(k, v)| (k.clone(), with_whole_numbers(v)));
            Json::Object(pairs.collect())
        }
        other => other.clone(),
    }
}
