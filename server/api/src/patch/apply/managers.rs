//! The entries of `metadata.managedFields`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::set::{self, Combine, Set};
use crate::meta::{self, time};

/// An object keeps at most this many entries of plain updates; the oldest are merged beyond that.
const MAX_UPDATERS: usize = 10;
/// The manager that merged entries go to.
const OLD_UPDATES: &str = "ancient-changes";

/// Who makes a change.
#[derive(Clone, Copy, Debug)]
pub struct Manager<'a> {
    /// The field manager's name; `unknown` if it is empty.
    pub name: &'a str,
    /// The subresource that the request goes to, empty for the object itself.
    pub subresource: &'a str,
    /// The API version of the request's body.
    pub api_version: &'a str,
    /// When the change is made.
    pub time: Timestamp,
    /// Fields at the top of the object that this request can't change, such as `status` in a request
    /// to the object itself: they are never owned.
    pub ignored: &'a [&'a str],
}

impl Manager<'_> {
    pub(super) fn name(&self) -> &str {
        match self.name {
            "" => "unknown",
            name => name,
        }
    }
}

/// One entry: what a manager owns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub manager: String,
    pub subresource: String,
    pub api_version: String,
    pub applied: bool,
    pub time: String,
    pub fields: Set,
}

impl Entry {
    pub(super) fn new(manager: &Manager<'_>, applied: bool, fields: Set) -> Self {
        Self {
            manager: manager.name().to_owned(),
            subresource: manager.subresource.to_owned(),
            api_version: manager.api_version.to_owned(),
            applied,
            time: time::seconds(manager.time),
            fields,
        }
    }

    /// Whether two entries are one manager's. Who applies is the same whatever version it applied.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.applied == other.applied
            && self.subresource == other.subresource
            && (self.applied || self.api_version == other.api_version)
    }

    fn read(entry: &Value) -> Option<Self> {
        let text = |field: &str| entry[field].as_str().unwrap_or_default();
        let applied = match text("operation") {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        if text("apiVersion").is_empty() || text("fieldsType") != "FieldsV1" {
            return None;
        }
        Some(Self {
            manager: text("manager").to_owned(),
            subresource: text("subresource").to_owned(),
            api_version: text("apiVersion").to_owned(),
            applied,
            time: text("time").to_owned(),
            fields: entry["fieldsV1"].as_object().cloned().unwrap_or_default(),
        })
    }

    fn write(self) -> Value {
        let operation = if self.applied { "Apply" } else { "Update" };
        let mut entry = Map::new();
        entry.insert("apiVersion".to_owned(), self.api_version.into());
        entry.insert("fieldsType".to_owned(), "FieldsV1".into());
        entry.insert("fieldsV1".to_owned(), Value::Object(self.fields));
        entry.insert("manager".to_owned(), self.manager.into());
        entry.insert("operation".to_owned(), operation.into());
        if !self.subresource.is_empty() {
            entry.insert("subresource".to_owned(), self.subresource.into());
        }
        if !self.time.is_empty() {
            entry.insert("time".to_owned(), self.time.into());
        }
        Value::Object(entry)
    }

    /// As conflicts name it: `"kubectl" with subresource "scale" using apps/v1 at TIME`.
    pub(super) fn text(&self) -> String {
        let mut text = crate::field::go_quoted(&self.manager);
        if !self.subresource.is_empty() {
            text.push_str(" with subresource ");
            text.push_str(&crate::field::go_quoted(&self.subresource));
        }
        if !self.applied {
            text.push_str(" using ");
            text.push_str(&self.api_version);
        }
        text
    }
}

/// The entries of an object. `None` if one of them can't be read.
pub(super) fn read(object: &Value) -> Option<Vec<Entry>> {
    let entries = meta::list(&object["metadata"]["managedFields"]);
    entries.iter().map(Entry::read).collect()
}

/// Whether a list of entries asks to forget all of them: `[]` or `[{}]`.
pub(super) fn is_reset(entries: &Value) -> bool {
    match entries.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([only]) => *only == json!({}),
        _ => false,
    }
}

/// Writes the entries into an object, in their order; removes the field if there are none.
pub(super) fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|a, b| {
        let key = |e: &Entry| (!e.applied, e.time.clone());
        let rest = |e: &Entry| {
            (
                e.manager.clone(),
                e.api_version.clone(),
                e.subresource.clone(),
            )
        };
        key(a).cmp(&key(b)).then_with(|| rest(a).cmp(&rest(b)))
    });
    let Some(metadata) = super::metadata_mut(object) else {
        return;
    };
    if entries.is_empty() {
        metadata.remove("managedFields");
        return;
    }
    let entries = entries.into_iter().map(Entry::write).collect();
    metadata.insert("managedFields".to_owned(), Value::Array(entries));
}

/// Takes the set's members out of what is owned.
pub(super) fn subtract(entry: &mut Entry, gone: &Set) {
    if gone
        .keys()
        .any(|element| entry.fields.contains_key(element))
    {
        entry.fields = set::combine(&entry.fields, gone, Combine::Difference);
    }
}

/// Merges the oldest updates of each version until there are few enough.
pub(super) fn cap(entries: &mut Vec<Entry>) {
    let count = |entries: &[Entry]| entries.iter().filter(|e| !e.applied).count();
    let mut count = count(entries);
    if count <= MAX_UPDATERS {
        return;
    }
    let (mut updates, mut kept): (Vec<Entry>, Vec<Entry>) = std::mem::take(entries)
        .into_iter()
        .partition(|e| !e.applied);
    updates.sort_by(|a, b| (&a.time, &a.manager).cmp(&(&b.time, &b.manager)));
    let mut merged: Vec<Entry> = Vec::new();
    for mut update in updates {
        if count <= MAX_UPDATERS {
            merged.push(update);
            continue;
        }
        match merged
            .iter_mut()
            .find(|m| m.api_version == update.api_version)
        {
            Some(bucket) => {
                set::add(&mut bucket.fields, std::mem::take(&mut update.fields));
                OLD_UPDATES.clone_into(&mut bucket.manager);
                bucket.subresource.clear();
                bucket.time = update.time;
                count -= 1;
            }
            None => merged.push(update),
        }
    }
    kept.append(&mut merged);
    *entries = kept;
}
