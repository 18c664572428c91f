//! One version of an object, and one change, as the watch cache keeps them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use api::kind::Kind;
use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::Value;
use store::Revision;

use crate::options::Selection;
use crate::record;

/// One version of an object, shared by all who read it.
#[derive(Debug)]
pub(crate) struct Object {
    /// The commit that made this version.
    pub(crate) revision: Revision,
    /// The namespace, empty for a cluster-scoped object.
    pub(crate) namespace: String,
    /// The name.
    pub(crate) name: String,
    /// The JSON text, complete with its resourceVersion.
    pub(crate) json: Bytes,
    /// `metadata.labels`.
    pub(crate) labels: BTreeMap<String, String>,
    /// The selectable fields of its kind.
    pub(crate) fields: Vec<(&'static str, String)>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    metadata: HeadMeta,
}

#[derive(Default, Deserialize)]
struct HeadMeta {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Object {
    /// The object that a record holds. `None` for bytes that are no record of an object. With `full` it
    /// is parsed as a whole, else no further than its labels.
    pub(crate) fn read(
        kind: &'static dyn Kind,
        full: bool,
        record: &[u8],
        revision: Revision,
    ) -> Option<(Self, Option<Value>)> {
        let json = record::json(record, revision)?;
        let head: Head = serde_json::from_slice(&json).ok()?;
        let value: Option<Value> = match full {
            true => Some(serde_json::from_slice(&json).ok()?),
            false => None,
        };
        let object = Self {
            revision,
            namespace: head.metadata.namespace,
            name: head.metadata.name,
            json,
            labels: head.metadata.labels,
            fields: value.as_ref().map(|v| kind.fields(v)).unwrap_or_default(),
        };
        Some((object, value))
    }

    /// The object as a value.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.json).expect("read() has parsed this text")
    }

    /// Whether a selection wants it.
    pub(crate) fn matches(&self, selection: &Selection) -> bool {
        (selection.namespace.is_empty() || selection.namespace == self.namespace)
            && (selection.name.is_empty() || selection.name == self.name)
            && (selection.labels.is_everything() || selection.labels.matches(&self.labels))
            && (selection.fields.is_everything()
                || selection.fields.matches(|field| self.field(field)))
    }

    fn field(&self, field: &str) -> Option<&str> {
        match field {
            "metadata.name" => Some(&self.name),
            "metadata.namespace" => Some(&self.namespace),
            field => {
                let found = self.fields.iter().find(|(name, _)| *name == field);
                found.map(|(_, value)| value.as_str())
            }
        }
    }
}

/// What happened to an object, from the view of one who selects some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It came into view.
    Added,
    /// It changed in view.
    Modified,
    /// It left the view.
    Deleted,
}

impl Change {
    /// The `type` of the watch event.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change of one object, shared by all watchers.
#[derive(Debug)]
pub(crate) struct Event {
    /// The commit.
    pub(crate) revision: Revision,
    /// The version before, if there was one.
    pub(crate) previous: Option<Arc<Object>>,
    /// The version after, if there is one.
    pub(crate) current: Option<Arc<Object>>,
    /// The previous text with this event's revision: what a watcher sees that loses the object.
    last: OnceLock<Bytes>,
    frames: [OnceLock<Bytes>; 3],
}

impl Event {
    /// A change at `revision`.
    pub(crate) fn new(
        revision: Revision,
        previous: Option<Arc<Object>>,
        current: Option<Arc<Object>>,
    ) -> Self {
        Self {
            revision,
            previous,
            current,
            last: OnceLock::new(),
            frames: [const { OnceLock::new() }; 3],
        }
    }

    /// What the change is for one who selects, `None` when it is out of view before and after.
    pub(crate) fn seen(&self, selection: &Selection) -> Option<Change> {
        let before = self.previous.as_ref().is_some_and(|o| o.matches(selection));
        let after = self.current.as_ref().is_some_and(|o| o.matches(selection));
        match (before, after) {
            (false, true) => Some(Change::Added),
            (true, true) => Some(Change::Modified),
            (true, false) => Some(Change::Deleted),
            (false, false) => None,
        }
    }

    /// The text of the object as the watcher is to see it.
    pub(crate) fn object(&self, change: Change) -> Bytes {
        match (change, &self.current, &self.previous) {
            (Change::Added | Change::Modified, Some(current), _) => current.json.clone(),
            (_, _, Some(previous)) => self
                .last
                .get_or_init(|| restamp(previous, self.revision))
                .clone(),
            (_, Some(current), None) => current.json.clone(),
            (_, None, None) => Bytes::new(),
        }
    }

    /// The line of the watch stream, made once for all watchers.
    pub(crate) fn frame(&self, change: Change) -> Bytes {
        let frame = &self.frames[change as usize];
        frame
            .get_or_init(|| line(change.name(), &self.object(change)))
            .clone()
    }
}

/// `{"type":…,"object":…}` and a line feed.
pub(crate) fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(object.len() + kind.len() + 24);
    out.put_slice(b"{\"type\":\"");
    out.put_slice(kind.as_bytes());
    out.put_slice(b"\",\"object\":");
    out.put_slice(object);
    out.put_slice(b"}\n");
    out.freeze()
}

/// A deleted object is shown with the revision of its deletion.
fn restamp(object: &Object, revision: Revision) -> Bytes {
    let mut value = object.value();
    value["metadata"]["resourceVersion"] = revision.to_string().into();
    serde_json::to_vec(&value)
        .expect("a Value has text keys")
        .into()
}
