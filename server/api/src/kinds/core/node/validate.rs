//! The taints, the ranges of addresses and the amounts of a Node.

use serde_json::{Value, json};

use crate::field::{Error, Path, Reason};
use crate::kinds::check::{qualified_name, with_shown};
use crate::kinds::core::pod::spec::{resources, taint_effect};
use crate::kinds::read::{entries, items, text, texts};
use crate::meta::name;

pub(super) fn warnings(object: &Value) -> Vec<String> {
    match text(&object["spec"], "externalID") {
        "" => Vec::new(),
        _ => vec![
            "spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned(),
        ],
    }
}

pub(super) fn object(object: &Value) -> Vec<Error> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    // Kubernetes reports taints below `metadata`, where they once were.
    taints(&mut errors, spec, &Path::new("metadata").child("taints"));
    amounts(&mut errors, object);
    let path = Path::new("spec").child("podCIDRs");
    let ranges = texts(spec, "podCIDRs");
    for (at, range) in ranges.iter().enumerate() {
        if family(range).is_none() {
            let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            errors.push(Error::invalid(&path.index(at), *range, detail));
        }
    }
    if ranges.len() > 1
        && let Some(at) = ranges.iter().position(|r| family(r).is_none())
    {
        let detail = format!(
            "invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[{at}]: <nil> (invalid CIDR address: {})",
            ranges[at]
        );
        errors.push(Error {
            reason: Reason::Internal,
            field: path.clone(),
            value: None,
            detail,
        });
    }
    let both = ranges.len() == 2 && family(ranges[0]) != family(ranges[1]);
    if ranges.len() > 1 && !both {
        let detail = "may specify no more than one CIDR for each IP family";
        errors.push(Error::invalid(&path, json!(ranges), detail));
    }
    errors
}

/// Whether a range of addresses is of IPv6, or nothing for what is no range.
fn family(range: &str) -> Option<bool> {
    let (address, length) = range.split_once('/')?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    let max = if address.is_ipv6() { 128 } else { 32 };
    (length <= max).then_some(address.is_ipv6())
}

fn taints(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    let taints = items(spec, "taints");
    for (at, taint) in taints.iter().enumerate() {
        let path = path.index(at);
        qualified_name(errors, &path.child("key"), text(taint, "key"));
        let value = text(taint, "value");
        let found = name::label_value(value);
        if !found.is_empty() {
            let path = path.child("value");
            errors.push(Error::invalid(&path, value, found.join(";")));
        }
        let effect = text(taint, "effect");
        taint_effect(errors, effect, &path.child("effect"));
        let same = |t: &Value| text(t, "key") == text(taint, "key") && text(t, "effect") == effect;
        if taints[..at].iter().any(same) {
            let shown = format!(
                "{{\"Key\":{:?},\"Value\":{value:?},\"Effect\":{effect:?},\"TimeAdded\":{}}}",
                text(taint, "key"),
                taint["timeAdded"],
            );
            let detail = "taints must be unique by key and effect pair";
            errors.push(with_shown(Reason::Duplicate, &path, &shown, detail));
        }
    }
}

fn amounts(errors: &mut Vec<Error>, object: &Value) {
    let status = &object["status"];
    for list in ["capacity", "allocatable"] {
        let path = Path::new("status").child(list);
        for (name, value) in entries(status, list) {
            resources::quantity(errors, name, value, &path.child(name));
        }
    }
}

pub(super) fn update(new: &Value, stored: &Value) -> Vec<Error> {
    let path = Path::new("spec");
    let (now, before) = (&new["spec"], &stored["spec"]);
    let mut errors = Vec::new();
    let addresses = items(&new["status"], "addresses");
    for (at, address) in addresses.iter().enumerate() {
        if addresses[..at].contains(address) {
            let path = Path::new("status").child("addresses").index(at);
            let shown = json!({"Address": text(address, "address"), "Type": text(address, "type")});
            errors.push(Error::duplicate(&path, shown));
        }
    }
    if !texts(before, "podCIDRs").is_empty() && now["podCIDRs"] != before["podCIDRs"] {
        let detail = "node updates may not change podCIDR except from \"\" to valid";
        errors.push(Error::forbidden(&path.child("podCIDRs"), detail));
    }
    let (id, old) = (text(now, "providerID"), text(before, "providerID"));
    if !old.is_empty() && id != old {
        let detail = if id.is_empty() {
            "field cannot be cleared once set"
        } else {
            "field cannot be modified once set"
        };
        let path = path.child("providerID");
        errors.push(Error::invalid(&path, Value::Null, detail));
    }
    if text(now, "externalID") != text(before, "externalID") {
        let path = path.child("externalID");
        errors.push(Error::forbidden(&path, "may not be updated"));
    }
    errors
}
