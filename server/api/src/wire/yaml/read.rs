//! Reads YAML documents into JSON values, and remembers where each field stands.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::scalar::{Plain, resolve};

/// Deeper documents are refused.
const MAX_DEPTH: usize = 128;
/// Aliases may bring in this many values beyond ten times what the document itself has.
const ALIAS_BUDGET: usize = 10_000;

/// A document: one object of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// The line that it begins on, from 1.
    pub line: usize,
    positions: BTreeMap<String, (usize, usize)>,
}

impl Document {
    /// The line and column, from 1, of a field's name or a list's entry, by a path such as
    /// `spec.containers[0].image`.
    pub fn position(&self, path: &str) -> Option<(usize, usize)> {
        self.positions.get(path).copied()
    }
}

/// Why a text is not YAML, or not YAML that stands for an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("yaml: line {line}: {message}")]
pub struct Error {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Reads all documents of a text. Documents without content are left out, and a key that a mapping
/// has twice is an error.
pub fn documents(text: &str) -> Result<Vec<Document>, Error> {
    let mut reader = Reader::new(text);
    let documents = reader.documents(usize::MAX)?;
    match reader.duplicates.into_iter().next() {
        Some(duplicate) => Err(duplicate),
        None => Ok(documents),
    }
}

/// The first document of a text as kube-apiserver reads a body, null if there is none. Of a key that a
/// mapping has twice, the last occurrence counts; the errors tell where.
pub fn body(text: &str) -> Result<(Value, Vec<Error>), Error> {
    let mut reader = Reader::new(text);
    // A body is from anybody, and nobody asks where its fields stand.
    reader.places = false;
    let first = reader.documents(1)?.pop();
    let value = first.map_or(Value::Null, |document| document.value);
    Ok((value, reader.duplicates))
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Values by anchor, with the number of values in each.
    anchors: HashMap<usize, (Value, usize)>,
    positions: BTreeMap<String, (usize, usize)>,
    /// Whether positions are kept.
    places: bool,
    duplicates: Vec<Error>,
    own: usize,
    aliased: usize,
}

fn error(at: Marker, message: impl Into<String>) -> Error {
    Error {
        line: at.line(),
        column: at.col() + 1,
        message: message.into(),
    }
}

fn scan_error(problem: &ScanError) -> Error {
    error(*problem.marker(), problem.info())
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            positions: BTreeMap::new(),
            places: true,
            duplicates: Vec::new(),
            own: 0,
            aliased: 0,
        }
    }

    /// The next documents, at most so many.
    fn documents(&mut self, most: usize) -> Result<Vec<Document>, Error> {
        let mut documents = Vec::new();
        while documents.len() < most
            && let Some((event, span)) = self.next()?
        {
            match event {
                Event::DocumentStart(..) => {
                    let (event, span) = self.expect(span.start)?;
                    let line = span.start.line();
                    let value = self.value(event, span, &mut String::new(), 0)?;
                    let positions = std::mem::take(&mut self.positions);
                    self.anchors.clear();
                    (self.own, self.aliased) = (0, 0);
                    if !value.is_null() {
                        documents.push(Document {
                            value,
                            line,
                            positions,
                        });
                    }
                }
                Event::StreamEnd => break,
                _ => {}
            }
        }
        Ok(documents)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Error> {
        loop {
            let next = self.parser.next_event().transpose();
            match next.map_err(|e| scan_error(&e))? {
                Some((Event::Comment(..), _)) => {}
                next => return Ok(next),
            }
        }
    }

    fn expect(&mut self, at: Marker) -> Result<(Event<'a>, Span), Error> {
        self.next()?
            .ok_or_else(|| error(at, "unexpected end of document"))
    }

    /// The value that an event begins. `path` is where it stands, and is left as it was.
    fn value(
        &mut self,
        event: Event<'a>,
        span: Span,
        path: &mut String,
        depth: usize,
    ) -> Result<Value, Error> {
        if depth > MAX_DEPTH {
            return Err(error(span.start, "exceeded max depth"));
        }
        let before = self.own + self.aliased;
        self.own += 1;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(&text, style, tag.as_deref(), span.start)?, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(path, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(path, depth)?, anchor),
            Event::Alias(anchor) => (self.alias(anchor, span.start)?, 0),
            _ => return Err(error(span.start, "did not find expected node content")),
        };
        if anchor != 0 {
            let size = self.own + self.aliased - before;
            self.spend(size, span.start)?;
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Ok(value)
    }

    fn alias(&mut self, anchor: usize, at: Marker) -> Result<Value, Error> {
        let Some((value, size)) = self.anchors.get(&anchor) else {
            return Err(error(at, "anchor value contains itself"));
        };
        let (value, size) = (value.clone(), *size);
        self.spend(size, at)?;
        Ok(value)
    }

    /// Counts values that are copied, for an anchor or an alias.
    fn spend(&mut self, size: usize, at: Marker) -> Result<(), Error> {
        self.aliased += size;
        match self.aliased > ALIAS_BUDGET + 10 * self.own {
            true => Err(error(at, "document contains excessive aliasing")),
            false => Ok(()),
        }
    }

    fn sequence(&mut self, path: &mut String, depth: usize) -> Result<Value, Error> {
        let mut list = Vec::new();
        loop {
            let (event, span) = self.expect(Marker::new(0, 1, 0))?;
            if event == Event::SequenceEnd {
                return Ok(Value::Array(list));
            }
            let length = path.len();
            path.push_str(&format!("[{}]", list.len()));
            self.remember(path, span.start);
            list.push(self.value(event, span, path, depth + 1)?);
            path.truncate(length);
        }
    }

    fn mapping(&mut self, path: &mut String, depth: usize) -> Result<Value, Error> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.expect(Marker::new(0, 1, 0))?;
            if event == Event::MappingEnd {
                break;
            }
            let at = span.start;
            let merges =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.value(event, span, &mut String::new(), depth + 1)?;
            let key = key_text(key, at)?;
            let (event, span) = self.expect(at)?;
            let length = path.len();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&key);
            self.remember(path, at);
            let value = self.value(event, span, path, depth + 1)?;
            path.truncate(length);
            if merges {
                merged.push((value, at));
            } else {
                if map.contains_key(&key) {
                    let key = crate::field::go_quoted(&key);
                    let told = error(at, format!("key {key} already set in map"));
                    self.duplicates.push(told);
                }
                map.insert(key, value);
            }
        }
        for (value, at) in merged {
            merge(&mut map, value, at)?;
        }
        Ok(Value::Object(map))
    }

    fn remember(&mut self, path: &str, at: Marker) {
        if !self.places {
            return;
        }
        let position = (at.line(), at.col() + 1);
        self.positions.entry(path.to_owned()).or_insert(position);
    }
}

/// `<<: *defaults`: fields that the mapping itself does not have.
fn merge(map: &mut Map<String, Value>, value: Value, at: Marker) -> Result<(), Error> {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                map.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(list) if list.iter().all(Value::is_object) => {
            list.into_iter().try_for_each(|value| merge(map, value, at))
        }
        _ => Err(error(
            at,
            "map merge requires map or sequence of maps as the value",
        )),
    }
}

/// Keys are texts in JSON; others are written as they are read.
fn key_text(key: Value, at: Marker) -> Result<String, Error> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Ok("null".to_owned()),
        Value::Array(_) | Value::Object(_) => Err(error(at, "invalid map key")),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Marker) -> Result<Value, Error> {
    let as_text = || Ok(Value::String(text.to_owned()));
    let suffix = tag.and_then(|tag| {
        let full = format!("{}{}", tag.handle(), tag.suffix());
        let suffix = full
            .strip_prefix("tag:yaml.org,2002:")
            .or(full.strip_prefix("!!"));
        suffix.map(str::to_owned)
    });
    let wanted = match (tag, suffix.as_deref()) {
        (None, _) if style == ScalarStyle::Plain => None,
        (None, _) | (Some(_), None | Some("str" | "timestamp")) => return as_text(),
        (Some(_), Some("binary")) => {
            let compact: String = text.split_whitespace().collect();
            let bytes = STANDARD.decode(compact).ok();
            let decoded = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            return decoded
                .map(Value::String)
                .ok_or_else(|| error(at, "!!binary value contains invalid base64 data"));
        }
        (Some(_), Some(suffix)) => Some(suffix.to_owned()),
    };
    let value = match resolve(text) {
        Plain::Text | Plain::Timestamp => Value::String(text.to_owned()),
        Plain::NoJson(number) => {
            return Err(error(at, format!("json: unsupported value: {number}")));
        }
        Plain::Value(value) => value,
    };
    let found = match &value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        _ => "str",
    };
    match wanted.as_deref() {
        Some(wanted @ ("null" | "bool" | "int" | "float"))
            if wanted != found && !(wanted == "float" && found == "int") =>
        {
            Err(error(
                at,
                format!("cannot decode !!{found} `{text}` as a !!{wanted}"),
            ))
        }
        _ => Ok(value),
    }
}
