//! The table form, and the form that shows metadata alone.

use api::kind::Kind;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::query::Query;

/// How much of the object stands beside the cells of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    /// Nothing.
    None,
    /// Its metadata. The default.
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// What `includeObject` says.
    pub(crate) fn of(query: &Query) -> Result<Self> {
        match query.text("includeObject") {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(Error::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: \
                 must be 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

/// The table's header.
pub(crate) fn columns(kind: &dyn Kind) -> Value {
    let columns = kind.columns().iter().map(|column| {
        json!({
            "name": column.name,
            "type": column.kind,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        })
    });
    columns.collect()
}

/// Appends an object's row.
pub(crate) fn row(
    out: &mut Vec<u8>,
    kind: &dyn Kind,
    object: &[u8],
    include: Include,
    now: Timestamp,
) {
    let value: Value = serde_json::from_slice(object).unwrap_or_default();
    let cells = kind.cells(&value, now);
    out.extend_from_slice(b"{\"cells\":");
    write(out, &Value::Array(cells));
    out.extend_from_slice(b",\"object\":");
    match include {
        Include::None => out.extend_from_slice(b"null"),
        Include::Metadata => partial(out, object),
        Include::Object => out.extend_from_slice(object),
    }
    out.push(b'}');
}

/// A table of one row, as watches send it. Later tables of a watch have no header.
pub(crate) fn single(
    kind: &dyn Kind,
    object: &[u8],
    include: Include,
    header: bool,
    now: Timestamp,
) -> Vec<u8> {
    #[derive(Deserialize)]
    struct Head {
        metadata: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        #[serde(default, rename = "resourceVersion")]
        resource_version: String,
    }
    let head: Option<Head> = serde_json::from_slice(object).ok();
    let version = head.map(|head| head.metadata.resource_version);
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(br#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":"#);
    write(
        &mut out,
        &json!({ "resourceVersion": version.unwrap_or_default() }),
    );
    out.extend_from_slice(b",\"columnDefinitions\":");
    let columns = if header { columns(kind) } else { Value::Null };
    write(&mut out, &columns);
    out.extend_from_slice(b",\"rows\":[");
    row(&mut out, kind, object, include, now);
    out.extend_from_slice(b"]}");
    out
}

/// Appends an object's metadata as a `PartialObjectMetadata`. The text is taken over as it is.
pub(crate) fn partial(out: &mut Vec<u8>, object: &[u8]) {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    let head: Option<Head<'_>> = serde_json::from_slice(object).ok();
    let metadata = head.map_or("{}", |head| head.metadata.get());
    out.extend_from_slice(
        br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#,
    );
    out.extend_from_slice(metadata.as_bytes());
    out.push(b'}');
}

fn write(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(out, value).expect("a Value has text keys, and a Vec takes all bytes");
}
