//! The table of ReplicaSets.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::cell::{self, AGE, NAME, number, wide};
use crate::kinds::read::int;
use crate::meta::selector::Labels;

pub(super) static COLUMNS: &[Column] = &[
    NAME,
    number(
        "Desired",
        "Replicas is the number of desired pods. This is a pointer to distinguish between explicit zero and unspecified. Defaults to 1. More info: https://kubernetes.io/docs/concepts/workloads/controllers/replicaset",
    ),
    number(
        "Current",
        "Replicas is the most recently observed number of non-terminating pods. More info: https://kubernetes.io/docs/concepts/workloads/controllers/replicaset",
    ),
    number(
        "Ready",
        "The number of non-terminating pods targeted by this ReplicaSet with a Ready Condition.",
    ),
    AGE,
    wide("Containers", "Names of each container in the template."),
    wide(
        "Images",
        "Images referenced by each container in the template.",
    ),
    wide(
        "Selector",
        "Selector is a label query over pods that should match the replica count. Label keys and values that must match in order to be controlled by this replica set. It must match the pod template's labels. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
    ),
];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let (names, images) = cell::containers(&spec["template"]);
    let selector = Labels::from_selector(&spec["selector"]);
    let selector = selector.map_or("<error>".to_owned(), |s| s.to_string());
    vec![
        cell::name(object),
        int(spec, "replicas").unwrap_or(0).into(),
        int(status, "replicas").unwrap_or(0).into(),
        int(status, "readyReplicas").unwrap_or(0).into(),
        cell::age(object, now),
        names.into(),
        images.into(),
        cell::or_none(&selector).into(),
    ]
}
