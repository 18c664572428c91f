//! Reading request bodies: their size, their type, and what they say.

use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use crate::call::Call;
use crate::error::{Error, Result};
use crate::options::Validation;

/// The longest body that is read, in bytes.
pub(crate) const LIMIT: usize = 3 << 20;

/// The whole body.
pub(crate) async fn read(body: Body) -> Result<Bytes> {
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

/// A body as a value, and the paths of fields that it has twice.
pub(crate) struct Parsed {
    /// What it says.
    pub(crate) value: Value,
    /// Fields that occur twice.
    pub(crate) duplicates: Vec<String>,
}

/// Parses a body by its content type. `Err` is the parser's complaint.
pub(crate) fn parse(call: &Call, body: &[u8]) -> Result<std::result::Result<Parsed, String>> {
    match media_type(call) {
        "" | "application/json" => Ok(match api::wire::json::parse(body) {
            Ok(parsed) => Ok(Parsed {
                value: parsed.value,
                duplicates: parsed.duplicates,
            }),
            Err(error) => Err(format!("json parse error: {}", error.message)),
        }),
        "application/yaml" => Ok(yaml(body)),
        _ => Err(Error::unsupported_body()),
    }
}

/// The content type without its parameters.
pub(crate) fn media_type(call: &Call) -> &str {
    let given = call.header(CONTENT_TYPE);
    given.split(';').next().unwrap_or_default().trim()
}

/// Parses YAML. `Err` is the parser's complaint.
pub(crate) fn yaml(body: &[u8]) -> std::result::Result<Parsed, String> {
    serde_yaml::from_slice(body)
        .map(|value| Parsed {
            value,
            duplicates: Vec::new(),
        })
        .map_err(|error| format!("error converting YAML to JSON: yaml: {error}"))
}

/// The object in a body: of the kind that the request is about, or of `expected` where a subresource
/// has a kind of its own.
pub(crate) fn object(
    call: &Call,
    body: &[u8],
    validation: Validation,
    expected: Expected<'_>,
) -> Result<Value> {
    let kind = expected.kind;
    let parsed = parse(call, body)?.map_err(|why| {
        Error::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; {why} ({})",
            summary(body)
        ))
    })?;
    let mut value = parsed.value;
    if !value.is_object() {
        return Err(Error::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; \
             json parse error: json: cannot unmarshal {} into Go value of type struct ({})",
            json_type(&value),
            summary(body)
        )));
    }
    identify(&mut value, expected)?;
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

/// Fills in apiVersion and kind, or refuses others.
fn identify(value: &mut Value, expected: Expected<'_>) -> Result<()> {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let fits = |given: &str, wanted: &str| given.is_empty() || given == wanted;
    if !fits(&version, expected.api_version) || !fits(&kind, expected.kind) {
        let kind = if kind.is_empty() {
            expected.kind
        } else {
            &kind
        };
        let (from, to) = (scheme_name(&version), expected.api_version);
        let to = to.split_once('/').map_or("core", |(group, _)| group);
        let to = to.split('.').next().unwrap_or_default();
        return Err(Error::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {wanted}: converting ({from}.{kind}) to \
             ({to}.{wanted}): unknown conversion",
            wanted = expected.kind,
        )));
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
    duplicates: Vec<String>,
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
    let duplicates = duplicates
        .iter()
        .map(|path| format!("duplicate field {path:?}"));
    let unknown = checked
        .unknown
        .iter()
        .map(|path| format!("unknown field {path:?}"));
    let complaints: Vec<String> = duplicates.chain(unknown).collect();
    if validation == Validation::Strict && !complaints.is_empty() {
        let list = complaints.join(", ");
        return Err(handled(format!("strict decoding error: {list}")));
    }
    for complaint in complaints {
        call.warn(complaint);
    }
    Ok(())
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
