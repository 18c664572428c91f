//! JSON as kube-apiserver reads it: one pass, and every field that occurs twice is reported.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A body that was read.
#[derive(Debug, PartialEq)]
pub struct Parsed {
    /// What it says. Of a field that occurs twice, the last occurrence counts.
    pub value: Value,
    /// The paths of fields that occur twice, such as `spec.containers[0].image`.
    pub duplicates: Vec<String>,
}

/// A body that is not JSON.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What is wrong, as Go's JSON reader words the common cases.
    pub message: String,
    /// The byte at which reading stopped, from 0.
    pub offset: usize,
}

/// Reads a JSON document.
pub fn parse(body: &[u8]) -> Result<Parsed, Error> {
    let mut reader = Reader::default();
    let value = reader.read(body)?;
    Ok(Parsed {
        value,
        duplicates: reader.duplicates,
    })
}

/// The paths of all fields in the order of the text, one that occurs twice twice. Empty for a body
/// that is not JSON.
pub fn fields(body: &[u8]) -> Vec<String> {
    let mut reader = Reader {
        fields: Some(Vec::new()),
        ..Reader::default()
    };
    match reader.read(body) {
        Ok(_) => reader.fields.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// How many fields that occur twice are told.
const MAX_DUPLICATES: usize = 100;

/// Values with more levels than this are neither stored nor made by patches: readers have limits of
/// their own, and what goes through a value goes down it by recursion.
pub const MAX_DEPTH: usize = 100;

/// Whether a value has more than that many levels of lists and maps.
pub fn is_deeper(value: &Value, levels: usize) -> bool {
    let inside = |inner: &Value| levels == 0 || is_deeper(inner, levels - 1);
    match value {
        Value::Array(list) => list.iter().any(inside),
        Value::Object(fields) => fields.values().any(inside),
        _ => false,
    }
}

/// A step of the path to the value being read. Keys are copied only for containers, not for leaves.
enum Step {
    Key(String),
    Index(usize),
}

#[derive(Default)]
struct Reader {
    path: Vec<Step>,
    duplicates: Vec<String>,
    /// Every field, if somebody wants to know.
    fields: Option<Vec<String>>,
}

impl Reader {
    fn read(&mut self, body: &[u8]) -> Result<Value, Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        Seed(self)
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value))
            .map_err(|e| explain(&e, body))
    }

    /// The path of a field of the value being read.
    fn at(&self, key: &str) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(key),
                Step::Key(key) => {
                    text.push('.');
                    text.push_str(key);
                }
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(key);
        text
    }
}

struct Seed<'a>(&'a mut Reader);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let reader = self.0;
        let mut list = Vec::new();
        reader.path.push(Step::Index(0));
        while let Some(value) = access.next_element_seed(Seed(reader))? {
            list.push(value);
            if let Some(Step::Index(index)) = reader.path.last_mut() {
                *index = list.len();
            }
        }
        reader.path.pop();
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let reader = self.0;
        let mut fields = Map::new();
        reader.path.push(Step::Key(String::new()));
        while let Some(key) = access.next_key::<String>()? {
            let twice = fields.contains_key(&key);
            let twice = twice && reader.duplicates.len() < MAX_DUPLICATES;
            if twice || reader.fields.is_some() {
                let own = reader.path.pop();
                let path = reader.at(&key);
                reader.path.extend(own);
                if twice {
                    reader.duplicates.push(path.clone());
                }
                reader
                    .fields
                    .as_mut()
                    .into_iter()
                    .for_each(|all| all.push(path.clone()));
            }
            // The key lives in the path while its value is read, and moves into the map after that.
            if let Some(step) = reader.path.last_mut() {
                *step = Step::Key(key);
            }
            let value = access.next_value_seed(Seed(reader))?;
            if let Some(Step::Key(key)) = reader.path.last_mut() {
                fields.insert(std::mem::take(key), value);
            }
        }
        reader.path.pop();
        Ok(Value::Object(fields))
    }
}

/// Go's words for what serde found.
fn explain(error: &serde_json::Error, body: &[u8]) -> Error {
    let offset = offset_of(body, error.line(), error.column());
    let message = match error.classify() {
        serde_json::error::Category::Eof => "unexpected end of JSON input".to_owned(),
        _ => match std::str::from_utf8(body).err() {
            Some(_) => "invalid UTF-8 in body".to_owned(),
            None => syntax(error, body, offset),
        },
    };
    Error { message, offset }
}

fn offset_of(body: &[u8], line: usize, column: usize) -> usize {
    let ends = body.iter().enumerate().filter(|(_, b)| **b == b'\n');
    let start = match line {
        0 | 1 => 0,
        line => ends.map(|(i, _)| i + 1).nth(line - 2).unwrap_or_default(),
    };
    (start + column.saturating_sub(1)).min(body.len())
}

fn syntax(error: &serde_json::Error, body: &[u8], offset: usize) -> String {
    let text = error.to_string();
    let found = body.get(offset).map(|b| char::from(*b));
    let context = match () {
        () if text.starts_with("expected value") => "looking for beginning of value",
        () if text.starts_with("expected `:`") => "after object key",
        () if text.starts_with("key must be a string") => {
            "looking for beginning of object key string"
        }
        () if text.starts_with("expected `,` or `}`") => "after object key:value pair",
        () if text.starts_with("expected `,` or `]`") => "after array element",
        () if text.starts_with("trailing characters") => "after top-level value",
        () if text.starts_with("trailing comma") => "looking for beginning of object key string",
        () => return text,
    };
    match found {
        Some(c) => format!("invalid character {} {context}", quoted(c)),
        None => text,
    }
}

/// A character as Go's `strconv.Quote` shows it in single quotes.
fn quoted(c: char) -> String {
    match c {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c if c.is_control() => format!("'\\x{:02x}'", u32::from(c)),
        c => format!("'{c}'"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_listed_in_the_order_of_the_text() {
        assert_eq!(
            fields(br#"{"z": [{"b": 1, "a": 2}], "y": 1, "y": {"c": 3}}"#),
            ["z", "z[0].b", "z[0].a", "y", "y", "y.c"]
        );
        assert!(fields(b"{").is_empty());
    }

    #[test]
    fn a_document_is_read_as_it_stands() {
        let parsed = parse(
            br#" {"a": [1, -2, 2.5, "x\n", true, null, {}], "b": {"c": 18446744073709551615}} "#,
        );
        let value =
            json!({"a": [1, -2, 2.5, "x\n", true, null, {}], "b": {"c": 18446744073709551615u64}});
        assert_eq!(
            parsed,
            Ok(Parsed {
                value,
                duplicates: vec![]
            })
        );
    }

    #[test]
    fn fields_that_occur_twice_are_reported_by_path_and_the_last_counts() {
        let body = br#"{"kind":"Pod","kind":"Pod","spec":{"containers":[{"name":"a"},{"name":"b","name":"c",
            "env":[{"x":1,"x":2}]}]}}"#;
        let parsed = parse(body).expect("JSON");
        assert_eq!(
            parsed.duplicates,
            [
                "kind",
                "spec.containers[1].name",
                "spec.containers[1].env[0].x"
            ]
        );
        assert_eq!(parsed.value["spec"]["containers"][1]["name"], "c");
    }

    #[test]
    fn what_is_no_json_is_explained_in_go_s_words() {
        for (body, message) in [
            ("", "unexpected end of JSON input"),
            ("{\"a\":", "unexpected end of JSON input"),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{\"a\":1 \"b\"}",
                "invalid character '\"' after object key:value pair",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            (
                "{a:1}",
                "invalid character 'a' looking for beginning of object key string",
            ),
            (
                "{\"a\":1,}",
                "invalid character '}' looking for beginning of object key string",
            ),
        ] {
            assert_eq!(
                parse(body.as_bytes()).map_err(|e| e.message),
                Err(message.to_owned()),
                "{body}"
            );
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|m| m.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_json()) {
            let parsed = parse(value.to_string().as_bytes()).expect("JSON");
            prop_assert_eq!(parsed, Parsed { value, duplicates: vec![] });
        }

        #[test]
        fn no_input_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&body);
        }
    }
}
