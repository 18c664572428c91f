//! What the columns and cells of many kinds have in common.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::read::text;
use crate::meta::time;

/// The column that names the object.
pub(crate) const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
    description: "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names",
};

/// The description of the columns that show the time of creation.
pub(crate) const CREATED: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// The column of the time since creation.
pub(crate) const AGE: Column = shown("Age", CREATED);

/// A text column that is always shown.
pub(crate) const fn shown(name: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 0,
        description,
    }
}

/// A text column of wide output.
pub(crate) const fn wide(name: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 1,
        description,
    }
}

/// An integer column that is always shown.
pub(crate) const fn number(name: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: "integer",
        format: "",
        priority: 0,
        description,
    }
}

/// The object's name.
pub(crate) fn name(object: &Value) -> Value {
    text(&object["metadata"], "name").into()
}

/// The time since the object's creation.
pub(crate) fn age(object: &Value, now: Timestamp) -> Value {
    since(text(&object["metadata"], "creationTimestamp"), now).into()
}

/// The time since `timestamp`, as people read it, or `<unknown>`.
pub(crate) fn since(timestamp: &str, now: Timestamp) -> String {
    match time::parse(timestamp) {
        Some(then) => time::human_duration(now.duration_since(then)),
        None => "<unknown>".to_owned(),
    }
}

/// `text`, or `<none>` where it is empty.
pub(crate) fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

/// The names and the images of the containers in a pod template, each joined by commas.
pub(crate) fn containers(template: &Value) -> (String, String) {
    let join = |field: &str| {
        let containers = super::read::items(&template["spec"], "containers");
        let texts: Vec<&str> = containers.iter().map(|c| text(c, field)).collect();
        texts.join(",")
    };
    (join("name"), join("image"))
}
