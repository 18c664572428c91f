//! The table of ConfigMaps.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::cell::{self, AGE, NAME, shown};
use crate::kinds::read::entries;

pub(super) static COLUMNS: &[Column] = &[
    NAME,
    shown(
        "Data",
        "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'. Values with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data must not overlap with the keys in the BinaryData field, this is enforced during validation process.",
    ),
    AGE,
];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let keys = entries(object, "data").count() + entries(object, "binaryData").count();
    vec![cell::name(object), keys.into(), cell::age(object, now)]
}
