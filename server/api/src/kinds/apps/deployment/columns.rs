//! The table of Deployments.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::cell::{self, AGE, NAME, shown, wide};
use crate::kinds::read::int;
use crate::meta::selector::Labels;

pub(super) static COLUMNS: &[Column] = &[
    NAME,
    shown("Ready", "Number of the pod with ready state"),
    shown(
        "Up-to-date",
        "Total number of non-terminating pods targeted by this deployment that have the desired template spec.",
    ),
    shown(
        "Available",
        "Total number of available non-terminating pods (ready for at least minReadySeconds) targeted by this deployment.",
    ),
    AGE,
    wide("Containers", "Names of each container in the template."),
    wide(
        "Images",
        "Images referenced by each container in the template.",
    ),
    wide(
        "Selector",
        "Label selector for pods. Existing ReplicaSets whose pods are selected by this will be the ones affected by this deployment. It must match the pod template's labels.",
    ),
];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let count = |field: &str| int(status, field).unwrap_or(0);
    let desired = int(spec, "replicas").unwrap_or(0);
    let (names, images) = cell::containers(&spec["template"]);
    let selector = Labels::from_selector(&spec["selector"]);
    let selector = selector.map_or("<invalid>".to_owned(), |s| s.to_string());
    vec![
        cell::name(object),
        format!("{}/{desired}", count("readyReplicas")).into(),
        count("updatedReplicas").into(),
        count("availableReplicas").into(),
        cell::age(object, now),
        names.into(),
        images.into(),
        selector.into(),
    ]
}
