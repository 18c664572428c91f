//! The first state of a Pod, and what is filled in beyond its spec.

use serde_json::{Value, json};

use super::spec;
use crate::kinds::read::{flag, int, items, items_mut, part_mut, set_default, show_times, text};

pub(super) fn object(object: &mut Value) {
    if let Some(body) = part_mut(object, "spec") {
        spec::default(body);
        set_default(body, "enableServiceLinks", true);
        // Graceless ends asked for by older clients.
        if int(body, "terminationGracePeriodSeconds").is_some_and(|s| s < 0) {
            body["terminationGracePeriodSeconds"] = 1.into();
        }
        spec::requests_from_limits(body);
        if flag(body, "hostNetwork") {
            spec::host_ports(body);
        }
    }
    addresses(object, "podIP", "podIPs");
    if let Some(status) = part_mut(object, "status") {
        for condition in items_mut(status, "conditions") {
            show_times(condition, &["lastProbeTime", "lastTransitionTime"]);
        }
    }
}

/// The one address and the list of addresses say the same; the one address wins.
fn addresses(object: &mut Value, one: &str, all: &str) {
    let status = &object["status"];
    let first = items(status, all).first().map(|a| text(a, "ip").to_owned());
    let own = text(status, one).to_owned();
    match (own.is_empty(), first) {
        (false, first) if first.as_deref() != Some(&own) => {
            object["status"][all] = json!([{ "ip": own }]);
        }
        (true, Some(first)) => object["status"][one] = first.into(),
        _ => {}
    }
}

/// A new Pod is pending, whatever the request says.
pub(super) fn create(object: &mut Value) {
    object["metadata"]["generation"] = 1.into();
    let class = spec::qos::class(&object["spec"]);
    object["status"] = json!({"phase": "Pending", "qosClass": class});
    if !items(&object["spec"], "schedulingGates").is_empty() {
        object["status"]["conditions"] = json!([{
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": null,
            "lastTransitionTime": object["metadata"]["creationTimestamp"],
        }]);
    }
    match_label_keys(object);
}

/// Turns `matchLabelKeys` into requirements on the values that this Pod has (KEP-3633, KEP-3243).
fn match_label_keys(object: &mut Value) {
    let labels = object["metadata"]["labels"].clone();
    let spec = &mut object["spec"];
    for term in items_mut(spec, "topologySpreadConstraints") {
        require(term, "matchLabelKeys", "In", &labels);
    }
    for affinity in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = part_mut(spec, "affinity").and_then(|a| part_mut(a, affinity)) else {
            continue;
        };
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        for term in items_mut(affinity, preferred) {
            require_both(&mut term["podAffinityTerm"], &labels);
        }
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        for term in items_mut(affinity, required) {
            require_both(term, &labels);
        }
    }
}

fn require_both(term: &mut Value, labels: &Value) {
    require(term, "matchLabelKeys", "In", labels);
    require(term, "mismatchLabelKeys", "NotIn", labels);
}

fn require(term: &mut Value, field: &str, operator: &str, labels: &Value) {
    let keys: Vec<String> = crate::kinds::read::texts(term, field)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let Some(selector) = part_mut(term, "labelSelector") else {
        return;
    };
    for key in keys {
        if let Some(value) = labels.get(&key) {
            let rule = json!({"key": key, "operator": operator, "values": [value]});
            match selector["matchExpressions"].as_array_mut() {
                Some(rules) => rules.push(rule),
                None => selector["matchExpressions"] = json!([rule]),
            }
        }
    }
}
