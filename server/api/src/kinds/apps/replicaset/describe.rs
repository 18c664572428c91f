//! The description of a ReplicaSet.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Query;
use crate::kinds::core::pod::spec::describe::template;
use crate::kinds::description::{Description, controller, events_about};
use crate::kinds::read::{int, text};
use crate::kinds::selectors;
use crate::meta::{controller_of, selector::Labels};

pub(super) fn related(object: &Value) -> Vec<Query> {
    let metadata = &object["metadata"];
    let selector = Labels::from_selector(&object["spec"]["selector"]);
    let pods = Query {
        plural: "pods",
        namespace: Some(text(metadata, "namespace").to_owned()),
        labels: selector.map(|s| s.to_string()).unwrap_or_default(),
        ..Query::default()
    };
    let events = events_about(object, "ReplicaSet", text(metadata, "uid"));
    vec![pods, events]
}

pub(super) fn describe(object: &Value, related: &[Vec<Value>], now: Timestamp) -> String {
    let (metadata, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    let mut out = Description::default();
    out.field(0, "Name", text(metadata, "name"));
    out.field(0, "Namespace", text(metadata, "namespace"));
    out.field(0, "Selector", selectors::formatted(&spec["selector"]));
    out.labels("Labels", metadata, "labels");
    out.annotations("Annotations", metadata);
    if let Some(controller) = controller(object) {
        out.field(0, "Controlled By", controller);
    }
    let count = |object: &Value, field: &str| int(object, field).unwrap_or(0);
    let (current, desired) = (count(status, "replicas"), count(spec, "replicas"));
    out.field(
        0,
        "Replicas",
        format!("{current} current / {desired} desired"),
    );
    let uid = text(metadata, "uid");
    let pods = related.first().map_or(&[][..], Vec::as_slice);
    let phase = |phase: &str| {
        let own = |pod: &&Value| controller_of(pod).is_some_and(|o| o.uid == uid);
        let pods = pods.iter().filter(own);
        pods.filter(|p| text(&p["status"], "phase") == phase)
            .count()
    };
    let counts = format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        phase("Running"),
        phase("Pending"),
        phase("Succeeded"),
        phase("Failed"),
    );
    out.field(0, "Pods Status", counts);
    template(&mut out, &spec["template"]);
    out.conditions(status);
    out.events(related.get(1..).unwrap_or_default(), now);
    out.finish()
}
