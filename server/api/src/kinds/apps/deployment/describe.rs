//! The description of a Deployment.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Query;
use crate::kinds::core::pod::spec::describe::template;
use crate::kinds::description::{Description, date, events_about};
use crate::kinds::read::{has, int, remove, text};
use crate::meta::{controller_of, selector::Labels};

/// The label that tells the ReplicaSets of one Deployment apart.
const HASH: &str = "pod-template-hash";

pub(super) fn related(object: &Value) -> Vec<Query> {
    let metadata = &object["metadata"];
    let selector = Labels::from_selector(&object["spec"]["selector"]);
    let replica_sets = Query {
        group: "apps",
        plural: "replicasets",
        namespace: Some(text(metadata, "namespace").to_owned()),
        labels: selector.map(|s| s.to_string()).unwrap_or_default(),
        ..Query::default()
    };
    let events = events_about(object, "Deployment", text(metadata, "uid"));
    vec![replica_sets, events]
}

pub(super) fn describe(object: &Value, related: &[Vec<Value>], now: Timestamp) -> String {
    let (metadata, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    let mut out = Description::default();
    out.field(0, "Name", text(metadata, "name"));
    out.field(0, "Namespace", text(metadata, "namespace"));
    let created = date(text(metadata, "creationTimestamp"));
    out.field(0, "CreationTimestamp", created);
    out.labels("Labels", metadata, "labels");
    out.annotations("Annotations", metadata);
    let selector = Labels::from_selector(&spec["selector"]);
    out.field(
        0,
        "Selector",
        selector.map(|s| s.to_string()).unwrap_or_default(),
    );
    let count = |field: &str| int(status, field).unwrap_or(0);
    let replicas = format!(
        "{} desired | {} updated | {} total | {} available | {} unavailable",
        int(spec, "replicas").unwrap_or(0),
        count("updatedReplicas"),
        count("replicas"),
        count("availableReplicas"),
        count("unavailableReplicas"),
    );
    out.field(0, "Replicas", replicas);
    let strategy = &spec["strategy"];
    out.field(0, "StrategyType", text(strategy, "type"));
    let ready = int(spec, "minReadySeconds").unwrap_or(0);
    out.field(0, "MinReadySeconds", ready);
    if has(strategy, "rollingUpdate") {
        let plain = |field: &str| match &strategy["rollingUpdate"][field] {
            Value::String(percent) => percent.clone(),
            other => other.to_string(),
        };
        let (down, up) = (plain("maxUnavailable"), plain("maxSurge"));
        let both = format!("{down} max unavailable, {up} max surge");
        out.field(0, "RollingUpdateStrategy", both);
    }
    template(&mut out, &spec["template"]);
    out.conditions(status);
    let sets = related.first().map_or(&[][..], Vec::as_slice);
    replica_sets(&mut out, object, sets);
    out.events(related.get(1..).unwrap_or_default(), now);
    out.finish()
}

/// Adds the ReplicaSets: the one with the present template, and those before it.
fn replica_sets(out: &mut Description, object: &Value, sets: &[Value]) {
    let uid = text(&object["metadata"], "uid");
    let own = |set: &&Value| controller_of(set).is_some_and(|o| o.uid == uid);
    let mut own: Vec<&Value> = sets.iter().filter(own).collect();
    if own.is_empty() {
        return;
    }
    own.sort_by_key(|set| {
        let metadata = &set["metadata"];
        (text(metadata, "creationTimestamp"), text(metadata, "name"))
    });
    let wanted = without_hash(&object["spec"]["template"]);
    let newest = own
        .iter()
        .position(|set| without_hash(&set["spec"]["template"]) == wanted);
    let new: Vec<&Value> = newest.map(|at| own.remove(at)).into_iter().collect();
    out.field(0, "OldReplicaSets", shown(&own));
    out.field(0, "NewReplicaSet", shown(&new));
}

fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if has(&template["metadata"], "labels") {
        remove(&mut template["metadata"]["labels"], HASH);
    }
    template
}

fn shown(sets: &[&Value]) -> String {
    if sets.is_empty() {
        return "<none>".to_owned();
    }
    let sets = sets.iter().map(|set| {
        let name = text(&set["metadata"], "name");
        let created = int(&set["status"], "replicas").unwrap_or(0);
        let desired = int(&set["spec"], "replicas").unwrap_or(0);
        format!("{name} ({created}/{desired} replicas created)")
    });
    sets.collect::<Vec<_>>().join(", ")
}
