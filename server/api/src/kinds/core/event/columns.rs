//! The table of Events.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::cell::{self, NAME, shown, wide};
use crate::kinds::read::{has, int, text};

pub(super) static COLUMNS: &[Column] = &[
    shown(
        "Last Seen",
        "The time at which the most recent occurrence of this event was recorded.",
    ),
    shown(
        "Type",
        "Type of this event (Normal, Warning), new types could be added in the future",
    ),
    shown(
        "Reason",
        "This should be a short, machine understandable string that gives the reason for the transition into the object's current status.",
    ),
    shown("Object", "The object that this event is about."),
    wide(
        "Subobject",
        "If referring to a piece of an object instead of an entire object, this string should contain a valid JSON/Go field access statement, such as desiredState.manifest.containers[2]. For example, if the object reference is to a container within a pod, this would take on a value like: \"spec.containers{name}\" (where \"name\" refers to the name of the container that triggered the event) or if no container name is specified \"spec.containers[2]\" (container with index 2 in this pod). This syntax is chosen only to have some well-defined way of referencing a part of an object.",
    ),
    wide(
        "Source",
        "The component reporting this event. Should be a short machine understandable string.",
    ),
    shown(
        "Message",
        "A human-readable description of the status of this operation.",
    ),
    wide(
        "First Seen",
        "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)",
    ),
    wide("Count", "The number of times this event has occurred."),
    Column {
        priority: 1,
        ..NAME
    },
];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let since = |time: &str| cell::since(time, now);
    let first = match text(object, "firstTimestamp") {
        "" => since(text(object, "eventTime")),
        time => since(time),
    };
    let series = &object["series"];
    let (last, count) = if has(object, "series") {
        let last = since(text(series, "lastObservedTime"));
        (last, int(series, "count").unwrap_or(0))
    } else {
        let last = match text(object, "lastTimestamp") {
            "" => first.clone(),
            time => since(time),
        };
        // Events of the newer form that happened once don't count.
        (last, int(object, "count").unwrap_or(0).max(1))
    };
    let about = &object["involvedObject"];
    let kind = text(about, "kind").to_lowercase();
    let target = match text(about, "name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        last.into(),
        text(object, "type").into(),
        text(object, "reason").into(),
        target.into(),
        text(about, "fieldPath").into(),
        source(object).into(),
        text(object, "message").trim().into(),
        first.into(),
        count.into(),
        cell::name(object),
    ]
}

/// The reporting component and its instance, from the older fields where they are set.
fn source(object: &Value) -> String {
    let either = |old: &str, new: &str| {
        let old = text(&object["source"], old);
        if old.is_empty() {
            text(object, new)
        } else {
            old
        }
        .to_owned()
    };
    let component = either("component", "reportingComponent");
    let instance = either("host", "reportingInstance");
    if instance.is_empty() {
        return component;
    }
    format!("{component}, {instance}")
}
