//! Protobuf bodies as Kubernetes' typed clients send them.
//!
//! ```text
//! "k8s\0" │ Unknown { 1: TypeMeta { 1: apiVersion, 2: kind }, 2: the message of the object }
//! ```
//!
//! A message becomes the JSON value of the same object, which is then checked as any other body.
//! Field numbers are in `fields.tsv`, a row a field, for the messages that requests may hold.

mod fields;
mod message;
mod reader;

use serde_json::Value;

use reader::Reader;

const PREFIX: &[u8] = b"k8s\0";

/// Why a body is not the protobuf form of an object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The first bytes are others.
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    Prefix,
    /// The end comes in the middle of a field.
    #[error("unexpected EOF")]
    Truncated,
    /// A number is longer than 64 bits.
    #[error("proto: integer overflow")]
    Overflow,
    /// A field is encoded as nothing of its type is.
    #[error("proto: wrong wireType = {wire} for field {field}")]
    WireType {
        /// The encoding.
        wire: u8,
        /// The name or number of the field.
        field: String,
    },
    /// A text is not UTF-8.
    #[error("proto: field {field} contains invalid UTF-8")]
    Text {
        /// The name of the field.
        field: String,
    },
    /// JSON in a field of bytes can't be read.
    #[error("proto: field {field} contains invalid JSON")]
    Json {
        /// The name of the field.
        field: String,
    },
    /// Messages in messages, deeper than any object of Kubernetes.
    #[error("proto: exceeded max depth")]
    Depth,
}

/// Reads a body as an object of a schema, such as `io.k8s.api.core.v1.Pod`. Its `apiVersion` and `kind`
/// are those that the body says.
pub fn read(body: &[u8], schema: &str) -> Result<Value, Error> {
    let body = body.strip_prefix(PREFIX).ok_or(Error::Prefix)?;
    let (mut type_meta, mut raw): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader::new(body);
    while let Some((number, wire)) = reader.tag()? {
        match number {
            1 => type_meta = reader.bytes(wire, "typeMeta")?,
            2 => raw = reader.bytes(wire, "raw")?,
            _ => reader.skip(number, wire)?,
        }
    }
    let mut object = message::read(raw, schema)?;
    let mut reader = Reader::new(type_meta);
    while let Some((number, wire)) = reader.tag()? {
        let field = match number {
            1 => "apiVersion",
            2 => "kind",
            _ => {
                reader.skip(number, wire)?;
                continue;
            }
        };
        object[field] = reader.text(wire, field)?.into();
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A field of bytes: a text or a message.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())];
        [
            PREFIX.to_vec(),
            field(1, &meta.concat()),
            field(2, raw),
            field(3, b""),
        ]
        .concat()
    }

    #[test]
    fn a_list_as_the_value_of_a_map_is_a_list() {
        let values = [field(1, b"b"), field(1, b"c")].concat();
        let entry = [field(1, b"a"), field(2, &values)].concat();
        let body = envelope(
            "authorization.k8s.io/v1",
            "SubjectAccessReview",
            &field(2, &[field(5, &entry), field(6, b"7")].concat()),
        );
        assert_eq!(
            read(&body, "io.k8s.api.authorization.v1.SubjectAccessReview").unwrap()["spec"],
            json!({"extra": {"a": ["b", "c"]}, "uid": "7"})
        );
    }

    #[test]
    fn a_config_map_is_read_with_its_maps() {
        let entry = [field(1, b"a"), field(2, b"b")].concat();
        let binary = [field(1, b"x"), field(2, &[0, 255])].concat();
        let raw = [
            field(1, &field(1, b"one")),
            field(2, &entry),
            field(3, &binary),
            vec![4 << 3, 1],
        ];
        let body = envelope("v1", "ConfigMap", &raw.concat());
        assert_eq!(
            read(&body, "io.k8s.api.core.v1.ConfigMap"),
            Ok(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"},
                "data": {"a": "b"}, "binaryData": {"x": "AP8="}, "immutable": true,
            }))
        );
    }

    #[test]
    fn embedded_structs_have_their_fields_in_the_one_around_them() {
        let path = field(1, b"/data");
        let volume = [field(1, b"v"), field(2, &field(1, &path))].concat();
        let spec = field(2, &field(1, &volume));
        let body = envelope("v1", "Pod", &spec);
        let pod = read(&body, "io.k8s.api.core.v1.Pod").unwrap();
        let volumes = json!([{"name": "v", "hostPath": {"path": "/data"}}]);
        assert_eq!(pod["spec"]["volumes"], volumes);
    }

    #[test]
    fn times_quantities_and_ports_are_spelled_as_in_json() {
        let time = field(8, &[1 << 3, 60]);
        let limit = [field(1, b"cpu"), field(2, &field(1, b"100m"))].concat();
        let named = [vec![1 << 3, 1, 2 << 3, 0], field(3, b"web")].concat();
        let probe = field(10, &field(1, &field(2, &field(2, &named))));
        let container = [field(8, &field(1, &limit)), probe].concat();
        let raw = [field(1, &time), field(2, &field(2, &container))].concat();
        let pod = read(&envelope("v1", "Pod", &raw), "io.k8s.api.core.v1.Pod").unwrap();
        assert_eq!(pod["metadata"]["creationTimestamp"], "1970-01-01T00:01:00Z");
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["resources"]["limits"], json!({"cpu": "100m"}));
        assert_eq!(container["livenessProbe"]["httpGet"]["port"], "web");
    }

    #[test]
    fn a_body_that_is_none_says_why() {
        let read = |body: &[u8]| read(body, "io.k8s.api.core.v1.ConfigMap").unwrap_err();
        assert_eq!(read(b"{}"), Error::Prefix);
        assert_eq!(read(b"k8s\0\x12\x7f"), Error::Truncated);
        assert_eq!(read(b"k8s\0\x12"), Error::Truncated);
        let text = envelope("v1", "ConfigMap", &field(1, &field(1, &[255])));
        assert!(matches!(read(&text), Error::Text { .. }));
        let wire = envelope("v1", "ConfigMap", &[1 << 3, 1]);
        assert!(matches!(read(&wire), Error::WireType { wire: 0, .. }));
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let whole = envelope("v1", "Pod", &field(2, &field(2, &field(1, b"c"))));
        for end in 0..whole.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut body = whole.clone();
                body[end] = byte;
                // Whatever comes out, it comes out.
                let _ = super::read(&body, "io.k8s.api.core.v1.Pod");
                let _ = super::read(&body[..end], "io.k8s.api.core.v1.Pod");
            }
        }
    }
}
