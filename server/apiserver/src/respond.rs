//! Answers: objects, lists and errors, in the form that the client wants.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use api::kind::Kind;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cache::Object;
use crate::call::Call;
use crate::error::{Error, Result};
use crate::negotiate::{Encoding, Form, Shape};
use crate::record::Entries;
use crate::table::{self, Include};

/// Bodies above this many bytes are compressed for clients that accept it.
const COMPRESS: usize = 128 << 10;
/// Lists are sent in chunks of about this many bytes.
const CHUNK: usize = 64 << 10;

/// Answers with one object, given as its JSON text.
pub(crate) fn object(call: &Call, code: u16, text: Bytes) -> Result<Response> {
    let shaped: Bytes = match call.form.shape {
        Shape::Object | Shape::Discovery => text,
        Shape::Table => {
            let include = Include::of(&call.query)?;
            table::single(call.kind, &text, include, true, Timestamp::now()).into()
        }
        Shape::Partial { list: true } => {
            return Err(Error::not_acceptable(
                "you requested PartialObjectMetadataList, but the requested object is not a list",
            ));
        }
        Shape::Partial { list: false } => {
            let mut out = Vec::with_capacity(512);
            table::partial(&mut out, &text);
            out.into()
        }
    };
    Ok(text_in(call.form, code, shaped))
}

/// Answers with a value that has no other shape, such as a `Status`.
pub(crate) fn value(form: Form, code: u16, value: &Value) -> Response {
    let text = serde_json::to_vec(value).expect("a Value has text keys");
    text_in(form, code, text.into())
}

/// Answers with a `Status` that tells what went wrong.
pub(crate) fn error(form: Form, error: &Error) -> Response {
    let mut response = value(form, error.code, &error.status());
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Answers with a JSON text.
pub(crate) fn text_in(form: Form, code: u16, text: Bytes) -> Response {
    let (kind, text) = match form.encoding {
        Encoding::Json => ("application/json", text),
        Encoding::Pretty => {
            let value: Value = serde_json::from_slice(&text).unwrap_or_default();
            let pretty = serde_json::to_vec_pretty(&value).expect("a Value has text keys");
            ("application/json", pretty.into())
        }
        Encoding::Yaml => {
            let value: Value = serde_json::from_slice(&text).unwrap_or_default();
            ("application/yaml", yaml(&value).into())
        }
    };
    raw(form, code, kind, text)
}

/// Answers with bytes of a content type, compressed if that pays.
pub(crate) fn raw(form: Form, code: u16, kind: &'static str, body: Bytes) -> Response {
    if form.gzip && body.len() > COMPRESS {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&body).expect("a Vec takes all bytes");
        let body = encoder.finish().expect("a Vec takes all bytes");
        let mut response = plain(code, kind, Body::from(body));
        mark_compressed(&mut response);
        return response;
    }
    plain(code, kind, Body::from(body))
}

fn plain(code: u16, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if kind.starts_with("text/plain") {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

fn mark_compressed(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// A value as YAML.
pub(crate) fn yaml(value: &Value) -> String {
    api::wire::yaml::write(value)
}

/// What a list says about itself.
#[derive(Debug, Default)]
pub(crate) struct ListMeta {
    /// The state that the list shows.
    pub(crate) revision: u64,
    /// The token of the next page, or empty.
    pub(crate) token: String,
    /// How many objects follow, where that is known.
    pub(crate) remaining: Option<usize>,
}

impl ListMeta {
    fn value(&self) -> Value {
        let mut meta = json!({ "resourceVersion": self.revision.to_string() });
        if !self.token.is_empty() {
            meta["continue"] = self.token.as_str().into();
        }
        if let Some(remaining) = self.remaining {
            meta["remainingItemCount"] = remaining.into();
        }
        meta
    }
}

/// Answers with a list. Its objects are sent as they stand in the cache, chunk by chunk.
pub(crate) fn list(call: &Call, objects: Vec<Arc<Object>>, meta: &ListMeta) -> Result<Response> {
    let resource = call.resource();
    let shape = call.form.shape;
    let include = match shape {
        Shape::Table => Include::of(&call.query)?,
        Shape::Partial { list: false } => {
            return Err(Error::not_acceptable(
                "you requested PartialObjectMetadata, but the requested object is a list",
            ));
        }
        _ => Include::None,
    };
    let (kind, version) = match shape {
        Shape::Table => ("Table".to_owned(), "meta.k8s.io/v1".to_owned()),
        Shape::Partial { .. } => (
            "PartialObjectMetadataList".to_owned(),
            "meta.k8s.io/v1".to_owned(),
        ),
        _ => (format!("{}List", resource.kind), resource.api_version()),
    };
    let mut head = format!(
        r#"{{"kind":"{kind}","apiVersion":"{version}","metadata":{}"#,
        meta.value()
    );
    if shape == Shape::Table {
        head.push_str(&format!(
            r#","columnDefinitions":{},"rows":["#,
            table::columns(call.kind)
        ));
    } else {
        head.push_str(r#","items":["#);
    }
    let chunks = Chunks {
        head: Some(head),
        kind: call.kind,
        entries: Entries::of(resource.kind, &resource.api_version()),
        shape,
        include,
        now: Timestamp::now(),
        objects: objects.into_iter(),
        first: true,
        ended: false,
    };
    Ok(stream(call.form, chunks))
}

fn stream(form: Form, mut chunks: Chunks) -> Response {
    let first = chunks.next().unwrap_or_default();
    if chunks.ended || form.encoding != Encoding::Json {
        let mut whole = first.to_vec();
        chunks.for_each(|chunk| whole.extend_from_slice(&chunk));
        return text_in(form, 200, whole.into());
    }
    let chunks = std::iter::once(first).chain(chunks);
    if form.gzip {
        let compressed = Gzip {
            chunks,
            encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())),
        };
        let mut response = plain(200, "application/json", streamed(compressed));
        mark_compressed(&mut response);
        return response;
    }
    plain(200, "application/json", streamed(chunks))
}

fn streamed(chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    Body::from_stream(futures::stream::iter(chunks.map(Ok::<_, Infallible>)))
}

/// The text of a list, a chunk at a time: memory does not grow with the list.
struct Chunks {
    head: Option<String>,
    kind: &'static dyn Kind,
    entries: Entries,
    shape: Shape,
    include: Include,
    now: Timestamp,
    objects: std::vec::IntoIter<Arc<Object>>,
    first: bool,
    ended: bool,
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut out = Vec::with_capacity(match self.objects.len() {
            0..8 => 4096,
            _ => CHUNK + 4096,
        });
        if let Some(head) = self.head.take() {
            out.extend_from_slice(head.as_bytes());
        }
        while out.len() < CHUNK {
            let Some(object) = self.objects.next() else {
                out.extend_from_slice(b"]}\n");
                self.ended = true;
                break;
            };
            if !std::mem::take(&mut self.first) {
                out.push(b',');
            }
            match self.shape {
                Shape::Object | Shape::Discovery => {
                    let parts = self.entries.parts(&object.json);
                    parts.iter().for_each(|part| out.extend_from_slice(part));
                }
                Shape::Table => {
                    table::row(&mut out, self.kind, &object.json, self.include, self.now);
                }
                Shape::Partial { .. } => table::partial(&mut out, &object.json),
            }
        }
        Some(out.into())
    }
}

/// Chunks, compressed.
struct Gzip<I> {
    chunks: I,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<I: Iterator<Item = Bytes>> Iterator for Gzip<I> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let encoder = self.encoder.as_mut()?;
        for chunk in self.chunks.by_ref() {
            encoder.write_all(&chunk).expect("a Vec takes all bytes");
            let out = encoder.get_mut();
            if out.len() >= CHUNK / 4 {
                return Some(std::mem::take(out).into());
            }
        }
        let rest = self
            .encoder
            .take()?
            .finish()
            .expect("a Vec takes all bytes");
        Some(rest.into())
    }
}
