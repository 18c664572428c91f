//! The description of a Node, with what its pods ask of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Query;
use crate::kinds::cell::since;
use crate::kinds::description::{Description, date, events_about};
use crate::kinds::read::{entries, flag, items, text, texts};
use crate::meta::quantity::Quantity;

type Amounts = BTreeMap<String, Quantity>;

pub(super) fn related(node: &Value) -> Vec<Query> {
    let name = text(&node["metadata"], "name");
    let pods = Query {
        plural: "pods",
        fields: format!("spec.nodeName={name},status.phase!=Failed,status.phase!=Succeeded"),
        ..Query::default()
    };
    let lease = Query {
        group: "coordination.k8s.io",
        plural: "leases",
        namespace: Some("kube-node-lease".to_owned()),
        fields: format!("metadata.name={name}"),
        ..Query::default()
    };
    // Controllers report on the object, the node itself by its name.
    let events = events_about(node, "Node", text(&node["metadata"], "uid"));
    vec![pods, lease, events, events_about(node, "Node", name)]
}

pub(super) fn describe(node: &Value, related: &[Vec<Value>], now: Timestamp) -> String {
    let (metadata, spec, status) = (&node["metadata"], &node["spec"], &node["status"]);
    let list = |at: usize| related.get(at).map_or(&[][..], Vec::as_slice);
    let mut out = Description::default();
    let name = text(metadata, "name");
    out.field(0, "Name", name);
    out.field(0, "Roles", super::columns::roles(node));
    out.labels("Labels", metadata, "labels");
    out.annotations("Annotations", metadata);
    let created = date(text(metadata, "creationTimestamp"));
    out.field(0, "CreationTimestamp", created);
    out.list("Taints", &taints(spec));
    out.field(0, "Unschedulable", flag(spec, "unschedulable"));
    lease(&mut out, name, list(1).first());
    conditions(&mut out, status);
    out.line(0, "Addresses:");
    for address in items(status, "addresses") {
        out.field(1, text(address, "type"), text(address, "address"));
    }
    for (title, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        if entries(status, field).next().is_some() {
            out.line(0, &format!("{title}:"));
        }
        for (name, amount) in entries(status, field) {
            out.field(1, name, amount.as_str().unwrap_or_default());
        }
    }
    system(&mut out, &status["nodeInfo"]);
    let ranges = texts(spec, "podCIDRs").join(",");
    for (title, value) in [
        ("PodCIDR", text(spec, "podCIDR")),
        ("PodCIDRs", ranges.as_str()),
        ("ProviderID", text(spec, "providerID")),
    ] {
        if !value.is_empty() {
            out.field(0, title, value);
        }
    }
    pods(&mut out, status, list(0), now);
    out.events(related.get(2..).unwrap_or_default(), now);
    out.finish()
}

fn taints(spec: &Value) -> Vec<String> {
    let mut taints: Vec<&Value> = items(spec, "taints").iter().collect();
    taints.sort_by_key(|t| (text(t, "effect"), text(t, "key")));
    let shown = taints.into_iter().map(|taint| {
        let (key, effect) = (text(taint, "key"), text(taint, "effect"));
        match (text(taint, "value"), effect) {
            ("", "") => key.to_owned(),
            ("", effect) => format!("{key}:{effect}"),
            (value, "") => format!("{key}={value}:"),
            (value, effect) => format!("{key}={value}:{effect}"),
        }
    });
    shown.collect()
}

fn lease(out: &mut Description, name: &str, lease: Option<&Value>) {
    let Some(lease) = lease else {
        let problem = format!("leases.coordination.k8s.io {name:?} not found");
        return out.field(0, "Lease", format!("Failed to get lease: {problem}"));
    };
    let spec = &lease["spec"];
    let or_unset = |field: &str| match text(spec, field) {
        "" => "<unset>".to_owned(),
        time => date(time),
    };
    out.line(0, "Lease:");
    let holder = spec["holderIdentity"].as_str().unwrap_or("<unset>");
    out.field(1, "HolderIdentity", holder);
    out.field(1, "AcquireTime", or_unset("acquireTime"));
    out.field(1, "RenewTime", or_unset("renewTime"));
}

fn conditions(out: &mut Description, status: &Value) {
    let conditions = items(status, "conditions");
    if conditions.is_empty() {
        return;
    }
    out.line(
        0,
        "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage",
    );
    out.line(
        1,
        "----\t------\t-----------------\t------------------\t------\t-------",
    );
    for condition in conditions {
        let get = |field: &str| text(condition, field);
        let line = format!(
            "{} \t{} \t{} \t{} \t{} \t{}",
            get("type"),
            get("status"),
            date(get("lastHeartbeatTime")),
            date(get("lastTransitionTime")),
            get("reason"),
            get("message"),
        );
        out.line(1, &line);
    }
}

fn system(out: &mut Description, info: &Value) {
    out.line(0, "System Info:");
    for (title, field) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
    ] {
        out.field(1, title, text(info, field));
    }
}

fn pods(out: &mut Description, status: &Value, pods: &[Value], now: Timestamp) {
    let total = match &status["allocatable"] {
        Value::Object(list) if !list.is_empty() => "allocatable",
        _ => "capacity",
    };
    let have = |name: &str| -> Quantity {
        let text = status[total][name].as_str().unwrap_or("0");
        text.parse().unwrap_or_default()
    };
    let shown = |name: &str, amounts: &Amounts| -> String {
        let amount = amounts.get(name).copied().unwrap_or_default();
        format!("{amount} ({}%)", percent(name, amount, have(name)))
    };
    out.field(
        0,
        "Non-terminated Pods",
        format!("({} in total)", pods.len()),
    );
    out.line(
        1,
        "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge",
    );
    out.line(
        1,
        "---------\t----\t\t------------\t----------\t---------------\t-------------\t---",
    );
    let (mut all_requests, mut all_limits) = (Amounts::new(), Amounts::new());
    for pod in pods {
        let (requests, limits) = (sum(pod, "requests"), sum(pod, "limits"));
        let metadata = &pod["metadata"];
        let line = format!(
            "{}\t{}\t\t{}\t{}\t{}\t{}\t{}",
            text(metadata, "namespace"),
            text(metadata, "name"),
            shown("cpu", &requests),
            shown("cpu", &limits),
            shown("memory", &requests),
            shown("memory", &limits),
            since(text(metadata, "creationTimestamp"), now),
        );
        out.line(1, &line);
        add(&mut all_requests, &requests);
        add(&mut all_limits, &limits);
    }
    out.line(
        0,
        "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)",
    );
    out.line(1, "Resource\tRequests\tLimits");
    out.line(1, "--------\t--------\t------");
    let names = entries(status, total).map(|(name, _)| name);
    let (huge, other): (Vec<&str>, Vec<&str>) = names
        .filter(|n| !matches!(*n, "cpu" | "memory" | "ephemeral-storage" | "pods"))
        .partition(|n| n.starts_with("hugepages-"));
    for name in ["cpu", "memory", "ephemeral-storage"]
        .into_iter()
        .chain(huge)
    {
        let (requests, limits) = (shown(name, &all_requests), shown(name, &all_limits));
        out.line(1, &format!("{name}\t{requests}\t{limits}"));
    }
    for name in other {
        let get = |amounts: &Amounts| amounts.get(name).copied().unwrap_or_default();
        let (requests, limits) = (get(&all_requests), get(&all_limits));
        out.line(1, &format!("{name}\t{requests}\t{limits}"));
    }
}

/// The part of the whole, cut to whole percents.
fn percent(name: &str, amount: Quantity, whole: Quantity) -> i128 {
    let (amount, whole) = if name == "cpu" {
        (amount.milli(), whole.milli())
    } else {
        (amount.value(), whole.value())
    };
    if whole == 0 { 0 } else { amount * 100 / whole }
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *to.entry(name.clone()).or_default() += *amount;
    }
}

/// What a pod asks for: its containers together, or the init container that asks for more than they
/// and the sidecars started before it.
fn sum(pod: &Value, list: &str) -> Amounts {
    let spec = &pod["spec"];
    let of = |container: &Value| -> Amounts {
        let amounts = entries(&container["resources"], list);
        amounts
            .filter_map(|(name, v)| Some((name.to_owned(), v.as_str()?.parse().ok()?)))
            .collect()
    };
    let mut total = Amounts::new();
    for container in items(spec, "containers") {
        add(&mut total, &of(container));
    }
    let (mut sidecars, mut peak) = (Amounts::new(), Amounts::new());
    for container in items(spec, "initContainers") {
        let mut own = of(container);
        if text(container, "restartPolicy") == "Always" {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            own = sidecars.clone();
        } else {
            add(&mut own, &sidecars);
        }
        raise(&mut peak, &own);
    }
    raise(&mut total, &peak);
    for (name, amount) in entries(&spec["resources"], list) {
        if let Some(amount) = amount.as_str().and_then(|a| a.parse().ok()) {
            total.insert(name.to_owned(), amount);
        }
    }
    total
}

fn raise(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let entry = to.entry(name.clone()).or_default();
        *entry = (*entry).max(*amount);
    }
}
