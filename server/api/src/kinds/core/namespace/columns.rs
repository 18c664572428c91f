//! The table of Namespaces.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::cell::{self, AGE, NAME, shown};
use crate::kinds::read::text;

pub(super) static COLUMNS: &[Column] = &[NAME, shown("Status", "The status of the namespace"), AGE];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        cell::name(object),
        text(&object["status"], "phase").into(),
        cell::age(object, now),
    ]
}
