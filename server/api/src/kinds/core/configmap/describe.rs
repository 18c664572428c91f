//! The description of a ConfigMap.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Query;
use crate::kinds::description::{Description, events_about};
use crate::kinds::payload;
use crate::kinds::read::{entries, text};

pub(super) fn related(map: &Value) -> Vec<Query> {
    let uid = text(&map["metadata"], "uid");
    vec![events_about(map, "ConfigMap", uid)]
}

pub(super) fn describe(map: &Value, related: &[Vec<Value>], now: Timestamp) -> String {
    let mut out = Description::default();
    out.identity(map);
    out.put("\nData\n====\n");
    for (key, value) in entries(map, "data") {
        let value = value.as_str().unwrap_or_default();
        out.put(&format!("{key}:\n----\n{value}\n\n"));
    }
    out.put("\nBinaryData\n====\n");
    for (key, value) in entries(map, "binaryData") {
        out.line(0, &format!("{key}: {} bytes", payload::size(value)));
    }
    out.put("\n");
    out.events(related, now);
    out.finish()
}
