//! The table of Leases.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::cell::{self, AGE, NAME, shown};
use crate::kinds::read::text;

pub(super) static COLUMNS: &[Column] = &[
    NAME,
    shown(
        "Holder",
        "holderIdentity contains the identity of the holder of a current lease. If Coordinated Leader Election is used, the holder identity must be equal to the elected LeaseCandidate.metadata.name field.",
    ),
    AGE,
];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        cell::name(object),
        text(&object["spec"], "holderIdentity").into(),
        cell::age(object, now),
    ]
}
