//! What pods can have of a Node, where only what it has in total is given.

use serde_json::Value;

use crate::kinds::core::pod::spec::quantities;
use crate::kinds::read::{has, items_mut, part_mut, part_or_new, show_times, text};

pub(super) fn object(object: &mut Value) {
    addresses(part_or_new(object, "spec"));
    let Some(status) = part_mut(object, "status") else {
        return;
    };
    for condition in items_mut(status, "conditions") {
        show_times(condition, &["lastHeartbeatTime", "lastTransitionTime"]);
    }
    for list in ["capacity", "allocatable"] {
        if let Some(list) = part_mut(status, list) {
            quantities(list);
        }
    }
    if !has(status, "allocatable") && has(status, "capacity") {
        status["allocatable"] = status["capacity"].clone();
    }
}

/// The one range of addresses and the list of ranges say the same; the one wins.
fn addresses(spec: &mut Value) {
    let one = text(spec, "podCIDR").to_owned();
    let first = spec["podCIDRs"][0].as_str().map(str::to_owned);
    match (one.is_empty(), first) {
        (false, first) if first.as_deref() != Some(&one) => {
            spec["podCIDRs"] = serde_json::json!([one]);
        }
        (true, Some(first)) => spec["podCIDR"] = first.into(),
        _ => {}
    }
}
