//! Messages as JSON values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Error;
use super::fields::{self, Field, Label};
use super::reader::{BYTES, Reader};
use crate::meta::time;

/// Deeper messages are refused.
const MAX_DEPTH: usize = 64;

const QUANTITY: &str = "apimachinery.pkg.api.resource.Quantity";
const TIME: &str = "apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "apimachinery.pkg.apis.meta.v1.MicroTime";
const FIELDS: &str = "apimachinery.pkg.apis.meta.v1.FieldsV1";
const RAW: &str = "apimachinery.pkg.runtime.RawExtension";
const INT_OR_STRING: &str = "apimachinery.pkg.util.intstr.IntOrString";

/// Messages of one field that are lists of texts in JSON: protobuf has no lists as values of maps.
const LISTS: [&str; 3] = [
    "api.authentication.v1.AttestationValue",
    "api.authentication.v1.ExtraValue",
    "api.authorization.v1.ExtraValue",
];

/// Whether a message stands for a JSON value that is no object of its fields.
#[cfg(test)]
pub(super) fn is_special(message: &str) -> bool {
    [QUANTITY, TIME, MICRO_TIME, FIELDS, RAW, INT_OR_STRING].contains(&message)
}

/// Reads the message of a schema.
pub(super) fn read(bytes: &[u8], schema: &str) -> Result<Value, Error> {
    let message = schema.strip_prefix("io.k8s.").unwrap_or(schema);
    let mut object = Map::new();
    object_into(&mut object, bytes, message, 0)?;
    Ok(Value::Object(object))
}

fn object_into(
    object: &mut Map<String, Value>,
    bytes: &[u8],
    message: &str,
    depth: usize,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::Depth);
    }
    let fields = fields::of(message);
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.tag()? {
        let Some(field) = fields.and_then(|fields| fields.get(&number)) else {
            reader.skip(number, wire)?;
            continue;
        };
        match field.label {
            Label::Once if field.inline => {
                let inner = reader.bytes(wire, field.name)?;
                object_into(object, inner, field.kind, depth + 1)?;
            }
            Label::Once => {
                let value = value(&mut reader, wire, field, depth)?;
                object.insert(field.name.to_owned(), value);
            }
            Label::Repeated => repeated(object, &mut reader, wire, field, depth)?,
            Label::Map => {
                let pair = reader.bytes(wire, field.name)?;
                let (key, value) = entry(pair, field, depth)?;
                let map = object
                    .entry(field.name)
                    .or_insert_with(|| Value::Object(Map::new()));
                map[key] = value;
            }
        }
    }
    Ok(())
}

/// One more entry of a list. Numbers may also come packed, all in one field.
fn repeated(
    object: &mut Map<String, Value>,
    reader: &mut Reader<'_>,
    wire: u8,
    field: &Field,
    depth: usize,
) -> Result<(), Error> {
    let packed = wire == BYTES && matches!(field.kind, "int32" | "int64" | "bool");
    let mut found = Vec::new();
    if packed {
        let mut numbers = Reader::new(reader.bytes(wire, field.name)?);
        while !numbers.is_empty() {
            found.push(number(numbers.varint()?, field.kind));
        }
    } else {
        found.push(value(reader, wire, field, depth)?);
    }
    let list = object
        .entry(field.name)
        .or_insert_with(|| Value::Array(Vec::new()));
    list.as_array_mut()
        .into_iter()
        .for_each(|list| list.append(&mut found));
    Ok(())
}

/// An entry of a map: a message of key and value.
fn entry(pair: &[u8], field: &Field, depth: usize) -> Result<(String, Value), Error> {
    let (mut key, mut found) = (String::new(), None);
    let mut reader = Reader::new(pair);
    while let Some((number, wire)) = reader.tag()? {
        match number {
            1 => key = reader.text(wire, field.name)?.to_owned(),
            2 => found = Some(value(&mut reader, wire, field, depth)?),
            _ => reader.skip(number, wire)?,
        }
    }
    let empty = || value(&mut Reader::new(&[0]), BYTES, field, depth);
    Ok((key, found.map_or_else(empty, Ok)?))
}

fn value(reader: &mut Reader<'_>, wire: u8, field: &Field, depth: usize) -> Result<Value, Error> {
    let name = field.name;
    Ok(match field.kind {
        "string" => reader.text(wire, name)?.into(),
        "bytes" => STANDARD.encode(reader.bytes(wire, name)?).into(),
        kind @ ("bool" | "int32" | "int64") => number(reader.number(wire, name)?, kind),
        QUANTITY => first_text(reader.bytes(wire, name)?, name)?.into(),
        TIME => instant(reader.bytes(wire, name)?, name, time::seconds)?,
        MICRO_TIME => instant(reader.bytes(wire, name)?, name, time::micros)?,
        INT_OR_STRING => int_or_string(reader.bytes(wire, name)?, name)?,
        FIELDS | RAW => json(reader.bytes(wire, name)?, name)?,
        message => {
            let mut object = Map::new();
            object_into(&mut object, reader.bytes(wire, name)?, message, depth + 1)?;
            match LISTS.contains(&message) {
                true => object
                    .remove("items")
                    .unwrap_or_else(|| Vec::<Value>::new().into()),
                false => Value::Object(object),
            }
        }
    })
}

fn number(bits: u64, kind: &str) -> Value {
    match kind {
        "bool" => (bits != 0).into(),
        // The encoder has extended the sign to 64 bits.
        _ => bits.cast_signed().into(),
    }
}

/// The text in field 1 of a message, empty if there is none.
fn first_text<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str, Error> {
    let mut reader = Reader::new(bytes);
    let mut found = "";
    while let Some((number, wire)) = reader.tag()? {
        match number {
            1 => found = reader.text(wire, name)?,
            _ => reader.skip(number, wire)?,
        }
    }
    Ok(found)
}

/// `{1: seconds, 2: nanoseconds}`; an empty message is no time.
fn instant(bytes: &[u8], name: &str, spell: fn(Timestamp) -> String) -> Result<Value, Error> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.tag()? {
        match number {
            1 => seconds = reader.number(wire, name)?.cast_signed(),
            2 => nanos = reader.number(wire, name)?.cast_signed(),
            _ => reader.skip(number, wire)?,
        }
    }
    let nanos = i32::try_from(nanos).map_err(|_| Error::Overflow)?;
    let time = Timestamp::new(seconds, nanos).map_err(|_| Error::Overflow)?;
    Ok(spell(time).into())
}

/// `{1: 0 for a number or 1 for a text, 2: the number, 3: the text}`
fn int_or_string(bytes: &[u8], name: &str) -> Result<Value, Error> {
    let (mut is_text, mut number, mut text) = (false, 0, "");
    let mut reader = Reader::new(bytes);
    while let Some((field, wire)) = reader.tag()? {
        match field {
            1 => is_text = reader.number(wire, name)? == 1,
            2 => number = reader.number(wire, name)?.cast_signed(),
            3 => text = reader.text(wire, name)?,
            _ => reader.skip(field, wire)?,
        }
    }
    Ok(match is_text {
        true => text.into(),
        false => number.into(),
    })
}

/// The JSON text in field 1 of a message, null if there is none.
fn json(bytes: &[u8], name: &str) -> Result<Value, Error> {
    let mut reader = Reader::new(bytes);
    let mut found = Value::Null;
    while let Some((number, wire)) = reader.tag()? {
        match number {
            1 => {
                let text = reader.bytes(wire, name)?;
                found = serde_json::from_slice(text).map_err(|_| Error::Json {
                    field: name.to_owned(),
                })?;
            }
            _ => reader.skip(number, wire)?,
        }
    }
    Ok(found)
}
