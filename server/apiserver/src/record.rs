//! How an object stands in the store, and how its revision gets into it.
//!
//! ```text
//! u32, little endian: offset │ {"kind":…,"apiVersion":…,…,"metadata":{…,"resourceVersion":""…}…}
//!                                                                  offset ─────────────────▲
//! ```
//!
//! The revision is known only when the commit is done. Its digits go in at the offset, counted from
//! the start of the JSON: the text is made once, and nothing is encoded again for any reader. The kind
//! stands first, so that a list can leave it out.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};

const HEAD: usize = 4;

/// The record of an object. Its `metadata.resourceVersion` does not matter.
pub fn encode(object: &Value) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(&[0; HEAD]);
    let mut offset = 0;
    out.push(b'{');
    let empty = Map::new();
    let fields = object.as_object().unwrap_or(&empty);
    let first = ["kind", "apiVersion"];
    let head = first.iter().filter_map(|name| fields.get_key_value(*name));
    let rest = fields
        .iter()
        .filter(|(name, _)| !first.contains(&name.as_str()));
    for (i, (field, value)) in head.chain(rest).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(&mut out, &Value::String(field.clone()));
        out.push(b':');
        match value {
            Value::Object(meta) if field == "metadata" => offset = metadata(&mut out, meta),
            value => write(&mut out, value),
        }
    }
    out.push(b'}');
    let offset = u32::try_from(offset).expect("bodies are at most 3 MiB");
    out[..HEAD].copy_from_slice(&offset.to_le_bytes());
    out.into()
}

/// Writes `metadata` and returns where the revision goes.
fn metadata(out: &mut Vec<u8>, meta: &Map<String, Value>) -> usize {
    out.push(b'{');
    for (field, value) in meta.iter().filter(|(field, _)| *field != "resourceVersion") {
        write(out, &Value::String(field.clone()));
        out.push(b':');
        write(out, value);
        out.push(b',');
    }
    out.extend_from_slice(br#""resourceVersion":""#);
    let offset = out.len() - HEAD;
    out.extend_from_slice(br#""}"#);
    offset
}

fn write(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(out, value).expect("a Value has text keys, and a Vec takes all bytes");
}

/// What the entries of a list show of their objects' texts: all but the kind, which the list has.
#[derive(Debug)]
pub struct Entries {
    /// How texts begin.
    head: String,
}

impl Entries {
    /// The entries of a list of a kind.
    pub fn of(kind: &str, api_version: &str) -> Self {
        Self {
            head: format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","#),
        }
    }

    /// The parts of an object's text that its entry is made of.
    pub fn parts<'a>(&self, text: &'a [u8]) -> [&'a [u8]; 2] {
        match text.strip_prefix(self.head.as_bytes()) {
            Some(rest) => [b"{", rest],
            None => [b"", text],
        }
    }
}

/// The JSON text of a record that was committed at `revision`. `None` for bytes that are no record.
pub fn json(record: &[u8], revision: u64) -> Option<Bytes> {
    let head: [u8; HEAD] = record.get(..HEAD)?.try_into().ok()?;
    let text = &record[HEAD..];
    let offset = u32::from_le_bytes(head) as usize;
    let (before, after) = text.split_at_checked(offset)?;
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(revision);
    let mut out = BytesMut::with_capacity(text.len() + digits.len());
    out.put_slice(before);
    out.put_slice(digits.as_bytes());
    out.put_slice(after);
    Some(out.freeze())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_revision_is_spliced_into_the_text() {
        let object =
            json!({"kind": "A", "metadata": {"name": "x", "resourceVersion": "7"}, "z": [1]});
        let text = json(&encode(&object), 42).unwrap();
        let read: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            read,
            json!({"kind": "A", "metadata": {"name": "x", "resourceVersion": "42"}, "z": [1]})
        );
    }

    #[test]
    fn an_entry_of_a_list_has_no_kind() {
        let object = json!({"apiVersion": "v1", "data": {}, "kind": "A", "metadata": {}});
        let text = json(&encode(&object), 1).unwrap();
        let shown = Entries::of("A", "v1").parts(&text);
        let read: Value = serde_json::from_slice(&shown.concat()).unwrap();
        assert_eq!(
            read,
            json!({"data": {}, "metadata": {"resourceVersion": "1"}})
        );
        let other = Entries::of("B", "v1").parts(&text);
        assert_eq!(other.concat(), text);
    }

    #[test]
    fn bytes_that_are_no_record_are_none() {
        assert_eq!(json(b"", 1), None);
        assert_eq!(json(b"\xff\xff\xff\xff{}", 1), None);
    }
}
