//! Reading request bodies: their size, their type, and what they say.

use std::collections::HashSet;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::{Error, Result};
use crate::options::Validation;

/// The longest body that is read, in bytes.
pub(crate) const LIMIT: usize = 3 << 20;

/// A response to a request whose body may not have been read to its end, because there was no need to.
///
/// What is under way of it is read still, as Go's server does: a connection of HTTP/1.1 is closed else, in
/// the middle of what the client sends. Of a longer body the rest is dropped after the response is sent: a
/// stream of HTTP/2 whose request is dropped before is cancelled, and then many a client reads no response
/// (RFC 9113, section 8.1).
pub(crate) async fn settle(response: Response, mut request: Body) -> Response {
    if request.is_end_stream() {
        return response;
    }
    let ended = tokio::time::timeout(PATIENCE, discard(&mut request)).await;
    if ended == Ok(true) {
        return response;
    }
    response.map(|response| {
        Body::new(Answer {
            response,
            _request: request,
        })
    })
}

/// Reads a body that nobody wants. Whether it has ended within the limit.
async fn discard(body: &mut Body) -> bool {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return true;
        };
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > DISCARDED {
            return false;
        }
    }
    true
}

/// The body of a response, and that of its request.
struct Answer {
    response: Body,
    _request: Body,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.response).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.response.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.response.size_hint()
    }
}

/// How much of a body is read that nobody wants, in bytes, and how long that may take.
const DISCARDED: usize = 256 << 10;
const PATIENCE: Duration = Duration::from_millis(500);

/// The whole body.
pub(crate) async fn read(body: &mut Body) -> Result<Bytes> {
    match Limited::new(body, LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Error::too_large(LIMIT))
        }
        Err(error) => Err(Error::bad_request(format!(
            "the body can't be read: {error}"
        ))),
    }
}

/// A body as a value, and what it says twice.
pub(crate) struct Parsed {
    /// What it says.
    pub(crate) value: Value,
    /// Fields that occur twice.
    pub(crate) duplicates: Duplicates,
}

/// Fields that occur twice in a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Duplicates {
    /// Their paths in a JSON text that describes an object, and the text.
    Json(Vec<String>, Bytes),
    /// Their paths in a patch, with what stands before `duplicate field`.
    Patch(&'static str, Vec<String>),
    /// Where they are in a YAML text: `line 3: key "name" already set in map`.
    Yaml(Vec<String>),
}

impl Duplicates {
    /// Those of something that is not a text.
    pub(crate) const NONE: Self = Self::Yaml(Vec::new());
}

/// Parses a body by its content type. `Err` is the parser's complaint.
/// A protobuf body is a message of `schema`.
pub(crate) fn parse(
    call: &Call,
    body: &Bytes,
    schema: &str,
) -> Result<std::result::Result<Parsed, String>> {
    match media_type(call) {
        "" | "application/json" => Ok(json(body)),
        "application/yaml" => Ok(yaml(body)),
        "application/vnd.kubernetes.protobuf" => {
            let read = api::wire::protobuf::read(body, schema).map(|value| Parsed {
                value,
                duplicates: Duplicates::NONE,
            });
            Ok(read.map_err(|error| error.to_string()))
        }
        _ => Err(Error::unsupported_body()),
    }
}

/// The content type without its parameters.
pub(crate) fn media_type(call: &Call) -> &str {
    let given = call.header(CONTENT_TYPE);
    given.split(';').next().unwrap_or_default().trim()
}

/// Parses JSON. `Err` is the parser's complaint.
fn json(body: &Bytes) -> std::result::Result<Parsed, String> {
    // Go's reader takes U+FFFD for what is no UTF-8.
    let text = match str::from_utf8(body) {
        Ok(_) => body.clone(),
        Err(_) => Bytes::from(String::from_utf8_lossy(body).into_owned()),
    };
    match api::wire::json::parse(&text) {
        Ok(parsed) => Ok(Parsed {
            value: parsed.value,
            duplicates: Duplicates::Json(parsed.duplicates, text),
        }),
        Err(error) => Err(format!(
            "couldn't get version/kind; json parse error: {}",
            error.message
        )),
    }
}

/// Parses YAML, of which the first document counts. `Err` is the parser's complaint.
pub(crate) fn yaml(body: &[u8]) -> std::result::Result<Parsed, String> {
    let (value, duplicates) =
        api::wire::yaml::body(&String::from_utf8_lossy(body)).map_err(|e| e.to_string())?;
    let lines = duplicates.iter();
    let lines = lines.map(|twice| format!("line {}: {}", twice.line, twice.message));
    Ok(Parsed {
        value,
        duplicates: Duplicates::Yaml(lines.collect()),
    })
}

/// The object in a body: of the kind that the request is about, or of `expected` where a subresource
/// has a kind of its own.
pub(crate) fn object(
    call: &Call,
    body: &Bytes,
    validation: Validation,
    expected: Expected<'_>,
) -> Result<Value> {
    let kind = expected.kind;
    let schema = expected.schema.unwrap_or_default();
    let parsed = parse(call, body, schema)?.map_err(|why| {
        Error::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({})",
            summary(body)
        ))
    })?;
    let mut value = match parsed.value {
        // To Go's reader null is an object that says nothing.
        Value::Null if !body.is_empty() => json!({}),
        value => value,
    };
    if !value.is_object() {
        return Err(Error::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; \
             json parse error: json: cannot unmarshal {} into Go value of type struct ({})",
            json_type(&value),
            summary(body)
        )));
    }
    identify(&mut value, expected).map_err(|why| {
        let version = value["apiVersion"]
            .as_str()
            .filter(|given| !given.is_empty());
        let version = version.unwrap_or(expected.api_version);
        let version = version.rsplit('/').next().unwrap_or_default();
        let given = value["kind"].as_str().filter(|given| !given.is_empty());
        let given = given.unwrap_or(kind);
        Error::bad_request(format!(
            "{given} in version {version:?} cannot be handled as a {kind}: {why}"
        ))
    })?;
    check(call, &mut value, expected, validation, parsed.duplicates)?;
    Ok(value)
}

/// What a body must be.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// `apps/v1`
    pub(crate) api_version: &'a str,
    /// `Deployment`
    pub(crate) kind: &'a str,
    /// The name of the schema, where the body is checked against one.
    pub(crate) schema: Option<&'a str>,
}

/// Fills in apiVersion and kind, or says why others don't do.
pub(crate) fn identify(
    value: &mut Value,
    expected: Expected<'_>,
) -> std::result::Result<(), String> {
    if !value.is_object() {
        return Err(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of \
             type struct",
            json_type(value)
        ));
    }
    let mut given = ["", ""];
    for (text, field) in given.iter_mut().zip(["apiVersion", "kind"]) {
        *text = match &value[field] {
            Value::Null => "",
            Value::String(text) => text,
            other => {
                return Err(format!(
                    "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go \
                     struct field .{field} of type string",
                    json_type(other)
                ));
            }
        };
    }
    let [version, kind] = given;
    let fits = |given: &str, wanted: &str| given.is_empty() || given == wanted;
    if !fits(version, expected.api_version) || !fits(kind, expected.kind) {
        let kind = if kind.is_empty() { expected.kind } else { kind };
        if version.matches('/').count() > 1 {
            return Err(format!("unexpected GroupVersion string: {version}"));
        }
        let version = match version {
            "" => expected.api_version,
            version => version,
        };
        if api::kinds::by_kind(version, kind).is_none() {
            return Err(format!(
                "no kind {kind:?} is registered for version {version:?} in scheme \
                 \"pkg/runtime/scheme.go:111\""
            ));
        }
        let to = expected.api_version;
        let to = to.split_once('/').map_or("core", |(group, _)| group);
        return Err(format!(
            "converting ({from}.{kind}) to ({to}.{wanted}): unknown conversion",
            from = scheme_name(version),
            to = to.split('.').next().unwrap_or_default(),
            wanted = expected.kind,
        ));
    }
    value["apiVersion"] = expected.api_version.into();
    value["kind"] = expected.kind.into();
    Ok(())
}

fn scheme_name(version: &str) -> &str {
    version.rsplit('/').next().unwrap_or_default()
}

/// Checks a value against its schema; unknown fields go, and are told as the client wants it.
pub(crate) fn check(
    call: &Call,
    value: &mut Value,
    expected: Expected<'_>,
    validation: Validation,
    duplicates: Duplicates,
) -> Result<()> {
    let Some(schema) = expected.schema.and_then(api::schema::of) else {
        return Ok(());
    };
    let handled = |why: String| {
        let version = expected.api_version.rsplit('/').next().unwrap_or_default();
        Error::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {why}",
            kind = expected.kind
        ))
    };
    let checked = schema.check(value);
    if let Some(error) = checked.error {
        return Err(handled(error));
    }
    if validation == Validation::Ignore {
        return Ok(());
    }
    let complaints = complaints(duplicates, checked.unknown, validation);
    if validation == Validation::Strict && !complaints.is_empty() {
        let list = complaints.join(", ");
        return Err(handled(format!("strict decoding error: {list}")));
    }
    for complaint in complaints {
        call.warn(complaint);
    }
    Ok(())
}

/// What is to be said about fields that occur twice or that nobody knows, in the order of the text
/// where there is one.
fn complaints(duplicates: Duplicates, unknown: Vec<String>, validation: Validation) -> Vec<String> {
    let unknown_field = |path: &String| format!("unknown field {path:?}");
    let mut told: Vec<String> = match duplicates {
        // Of a large body the order is not worth a second reading.
        Duplicates::Json(twice, text)
            if twice.len() + unknown.len() > 1 && text.len() <= ORDERED =>
        {
            return in_order(&twice, &unknown, &text);
        }
        Duplicates::Json(twice, _) => {
            let twice = twice.iter();
            twice
                .map(|path| format!("duplicate field {path:?}"))
                .collect()
        }
        Duplicates::Patch(of, twice) => {
            let twice = twice.iter();
            let told = twice.map(|path| format!("{of}duplicate field {path:?}"));
            told.collect()
        }
        Duplicates::Yaml(lines) if validation == Validation::Strict && !lines.is_empty() => {
            vec![format!("yaml: unmarshal errors:\n  {}", lines.join("\n  "))]
        }
        Duplicates::Yaml(lines) => lines,
    };
    told.extend(unknown.iter().map(unknown_field));
    told
}

/// Up to how many bytes of a body complaints come in its order.
const ORDERED: usize = 64 << 10;

fn in_order(twice: &[String], unknown: &[String], text: &[u8]) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut told = Vec::new();
    // What stands below an unknown field is skipped, not read.
    let mut skipped: Option<String> = None;
    for path in api::wire::json::fields(text) {
        let below = skipped
            .as_ref()
            .and_then(|skipped| path.strip_prefix(skipped.as_str()));
        if below.is_some_and(|rest| rest.starts_with(['.', '['])) {
            continue;
        }
        let first = seen.insert(path.clone());
        if unknown.contains(&path) {
            if first {
                told.push(format!("unknown field {path:?}"));
            }
            skipped = Some(path);
        } else if !first && twice.contains(&path) {
            told.push(format!("duplicate field {path:?}"));
        }
    }
    told
}

/// The start of a body, for messages.
fn summary(body: &[u8]) -> String {
    const MAX: usize = 2048;
    match body {
        [] => "<empty>".to_owned(),
        [b'{', ..] => {
            let shown = &body[..body.len().min(MAX)];
            let more = if body.len() > MAX { "..." } else { "" };
            format!("{}{more}", String::from_utf8_lossy(shown))
        }
        _ => {
            let shown: String = body
                .iter()
                .take(MAX / 2)
                .map(|b| format!("{b:02x}"))
                .collect();
            format!("hex: {shown}")
        }
    }
}

/// The name of a value's type, as Go's JSON reader gives it.
pub(crate) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
