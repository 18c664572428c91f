//! The table of ServiceAccounts.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::cell::{self, AGE, NAME};

pub(super) static COLUMNS: &[Column] = &[NAME, AGE];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![cell::name(object), cell::age(object, now)]
}
